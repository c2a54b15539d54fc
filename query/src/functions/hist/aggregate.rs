//! `hist`, `hist_merge` and the percentiles as aggregates. All keep histograms as state; they
//! differ in what they read and in what they answer.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::buckets::Hist;
use super::column::{Hists, hist_type, write};

/// Percentiles by name, in thousandths.
const PERCENTILES: [(&str, u16); 6] =
    [("p50", 500), ("p75", 750), ("p90", 900), ("p95", 950), ("p99", 990), ("p999", 999)];

pub(in super::super) fn aggregate() -> Vec<Arc<AggregateUDF>> {
    let new = |name, input, finish| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::from(HistAggregate { name, input, finish, signature }))
    };
    let mut all = vec![
        new("hist", Input::Values, Finish::Hist),
        new("hist_merge", Input::Hists, Finish::Hist),
    ];
    let percentiles = PERCENTILES.iter();
    all.extend(percentiles.map(|(name, q)| new(name, Input::Values, Finish::Quantile(*q))));
    all
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Input {
    Values,
    Hists,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Finish {
    Hist,
    /// In thousandths.
    Quantile(u16),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct HistAggregate {
    name: &'static str,
    input: Input,
    finish: Finish,
    signature: Signature,
}

impl AggregateUDFImpl for HistAggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (self.input, given) {
            (Input::Values, [t]) if t.is_numeric() || t.is_null() => Ok(vec![DataType::Float64]),
            (Input::Values, _) => plan_err!("{} takes one number", self.name),
            (Input::Hists, [t @ DataType::Struct(_)]) if t.equals_datatype(&hist_type()) => {
                Ok(vec![hist_type()])
            }
            (Input::Hists, _) => plan_err!("{} takes one histogram, as hist() makes", self.name),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.finish {
            Finish::Hist => hist_type(),
            Finish::Quantile(_) => DataType::Float64,
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[hist]", args.name), hist_type(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.refuse_distinct(args.is_distinct)?;
        Ok(Box::new(One(Groups { hists: vec![Hist::default()], ..self.groups() })))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        _: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.groups()))
    }
}

impl HistAggregate {
    fn groups(&self) -> Groups {
        Groups { input: self.input, finish: self.finish, hists: Vec::new(), heap_bytes: 0 }
    }

    fn refuse_distinct(&self, is_distinct: bool) -> Result<()> {
        if is_distinct {
            return plan_err!("{} does not take DISTINCT", self.name);
        }
        Ok(())
    }
}

impl Finish {
    fn array<'a>(self, hists: impl ExactSizeIterator<Item = &'a Hist>) -> ArrayRef {
        match self {
            Finish::Hist => Arc::new(write(hists)),
            Finish::Quantile(thousandths) => {
                let q = f64::from(thousandths) / 1_000.0;
                Arc::new(hists.map(|hist| hist.quantile(q)).collect::<Float64Array>())
            }
        }
    }
}

/// One histogram: an aggregate without GROUP BY, or over a window. A single group.
#[derive(Debug)]
struct One(Groups);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let input = self.0.input;
        self.0.add(input, values, &vec![0; values[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.add(Input::Hists, states, &vec![0; states[0].len()], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.0.finish.array(self.0.hists.iter()), 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state: ArrayRef = Arc::new(write(self.0.hists.iter()));
        Ok(vec![ScalarValue::try_from_array(&state, 0)?])
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.0)
    }
}

/// One histogram a group.
#[derive(Debug)]
struct Groups {
    input: Input,
    finish: Finish,
    hists: Vec<Hist>,
    /// Sum of the histograms' own, kept up so that `size` need not visit every group.
    heap_bytes: usize,
}

impl Groups {
    fn add(
        &mut self,
        input: Input,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        if self.hists.len() < total {
            self.hists.resize_with(total, Hist::default);
        }
        let (hists, heap_bytes) = (&mut self.hists, &mut self.heap_bytes);
        let kept = |row| filter.is_none_or(|f| f.is_valid(row) && f.value(row));
        match input {
            Input::Values => {
                let values = values[0].as_primitive::<Float64Type>();
                for (row, group) in groups.iter().enumerate() {
                    if values.is_valid(row) && kept(row) {
                        grow(heap_bytes, &mut hists[*group], |hist| hist.add(values.value(row)));
                    }
                }
            }
            Input::Hists => {
                let others = Hists::new(&values[0])?;
                for (row, group) in groups.iter().enumerate().filter(|(row, _)| kept(*row)) {
                    if let Some(other) = others.get(row)? {
                        grow(heap_bytes, &mut hists[*group], |hist| hist.merge(other));
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Hist> {
        let taken = emit_to.take_needed(&mut self.hists);
        let bytes: usize = taken.iter().map(Hist::heap_bytes).sum();
        self.heap_bytes = self.heap_bytes.saturating_sub(bytes);
        taken
    }
}

/// Applies a change and adds what memory it took.
fn grow(heap_bytes: &mut usize, hist: &mut Hist, change: impl FnOnce(&mut Hist)) {
    let before = hist.heap_bytes();
    change(hist);
    *heap_bytes += hist.heap_bytes().saturating_sub(before);
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.add(self.input, values, groups, filter, total)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.add(Input::Hists, values, groups, None, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let finish = self.finish;
        Ok(finish.array(self.take(emit_to).iter()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(write(self.take(emit_to).iter()))])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values[0].len();
        let mut each =
            Groups { input: self.input, finish: Finish::Hist, hists: Vec::new(), heap_bytes: 0 };
        let own: Vec<usize> = (0..rows).collect();
        each.add(self.input, values, &own, filter, rows)?;
        Ok(vec![Arc::new(write(each.hists.iter()))])
    }

    fn size(&self) -> usize {
        size_of::<Groups>() + self.hists.capacity() * size_of::<Hist>() + self.heap_bytes
    }
}
