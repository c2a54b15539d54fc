//! The traces that are learned from: all, or of many a sample that is cheap to read. Files are sorted
//! by trace, so a few ranges of ids are a few pages, and random ids make them a fair choice.

use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_schema::Schema;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, Literal, lit,
};
use schemas::columns as c;

/// Rows that are learned from at most.
const ROWS_MAX: u64 = 50_000;
/// Ranges over which they are spread: ids may begin with a time.
const RANGES: usize = 4;

/// Ranges of trace ids; `None` for all ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample(Option<Arc<[RangeInclusive<u128>]>>);

impl Sample {
    /// Of runs of rows and how many each has, sorted by trace. The same traces give the same sample, in
    /// whatever files they lie.
    pub(super) fn of(runs: &[(u128, u64)]) -> Sample {
        if runs.iter().map(|(_, rows)| rows).sum::<u64>() <= ROWS_MAX {
            return Sample(None);
        }
        // However many runs a trace is split into, it counts once.
        let traces: Vec<(u128, u64)> = runs
            .chunk_by(|a, b| a.0 == b.0)
            .map(|runs| (runs[0].0, runs.iter().map(|run| run.1).sum()))
            .collect();
        let part = traces.len().div_ceil(RANGES);
        Sample(Some(traces.chunks(part).filter_map(range).collect()))
    }

    /// Whether a trace belongs to it.
    pub(super) fn contains(&self, trace_id: u128) -> bool {
        match &self.0 {
            Some(ranges) => ranges.iter().any(|range| range.contains(&trace_id)),
            None => true,
        }
    }
}

/// The first traces that have few enough rows together.
fn range(traces: &[(u128, u64)]) -> Option<RangeInclusive<u128>> {
    let rows_max = ROWS_MAX / RANGES as u64;
    let first = traces.iter().position(|(_, rows)| *rows <= rows_max)?;
    let mut rows = 0;
    let fits = |trace: &&(u128, u64)| {
        rows += trace.1;
        rows <= rows_max
    };
    let last = traces[first..].iter().take_while(fits).last()?;
    Some(traces[first].0..=last.0)
}

/// A predicate on the trace id for files that are opened when the sample is known.
#[derive(Clone, Debug)]
pub(super) struct SampleFilter {
    trace_id: Arc<dyn PhysicalExpr>,
    filter: Arc<DynamicFilterPhysicalExpr>,
}

impl SampleFilter {
    /// Lets all rows through.
    ///
    /// # Errors
    /// When the schema has no trace id.
    pub(super) fn new(schema: &Schema) -> Result<SampleFilter> {
        let index = schema.index_of(c::TRACE_ID)?;
        let trace_id: Arc<dyn PhysicalExpr> = Arc::new(Column::new(c::TRACE_ID, index));
        let filter = DynamicFilterPhysicalExpr::new(vec![Arc::clone(&trace_id)], lit(true));
        Ok(SampleFilter { trace_id, filter: Arc::new(filter) })
    }

    pub(super) fn predicate(&self) -> Arc<dyn PhysicalExpr> {
        Arc::clone(&self.filter) as Arc<dyn PhysicalExpr>
    }

    /// From now on only rows of the sample.
    pub(super) fn narrow(&self, sample: &Sample) -> Result<()> {
        let Some(ranges) = &sample.0 else { return Ok(()) };
        let whole =
            ranges.iter().map(|range| self.within(range)).reduce(|a, b| binary(a, Operator::Or, b));
        self.filter.update(whole.unwrap_or_else(|| lit(false)))
    }

    fn within(&self, range: &RangeInclusive<u128>) -> Arc<dyn PhysicalExpr> {
        let bound = |operator, id: u128| {
            let id = ScalarValue::FixedSizeBinary(16, Some(id.to_be_bytes().to_vec()));
            binary(Arc::clone(&self.trace_id), operator, Arc::new(Literal::new(id)))
        };
        let (from, to) =
            (bound(Operator::GtEq, *range.start()), bound(Operator::LtEq, *range.end()));
        binary(from, Operator::And, to)
    }
}

fn binary(
    left: Arc<dyn PhysicalExpr>,
    operator: Operator,
    right: Arc<dyn PhysicalExpr>,
) -> Arc<dyn PhysicalExpr> {
    Arc::new(BinaryExpr::new(left, operator, right))
}

#[cfg(test)]
mod tests;
