//! Leaves out files whose catalog facts exclude a hit, without opening them: when a query is
//! planned, and when it runs and knows more.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, UInt64Array};
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{
    Column, ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::Guarantee;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use schemas::Table;
use schemas::attributes::{Owner, promoted};
use schemas::columns as c;
use schemas::semantic::{Source as SemanticSource, semantic};
use storage::{Bound, ColumnFacts, DataFile, Promotion};

use crate::attributes::{Source, VirtualColumn};

/// The files that may hold a row for which the predicate is true.
pub(crate) async fn prune(
    table: Table,
    files: &[Arc<DataFile>],
    predicate: Option<&Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> Result<Vec<Arc<DataFile>>> {
    let Some(predicate) = predicate else { return Ok(files.to_vec()) };
    let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema));
    let Ok(pruning) = builder.try_build(Arc::clone(predicate)) else {
        return Ok(files.to_vec());
    };
    let kept = pruning.prune(&FileFacts { table, files, schema })?;
    let kept = files.iter().zip(kept).filter(|(_, keep)| *keep).map(|(f, _)| Arc::clone(f));
    match trace_ids(&pruning) {
        Some(ids) if table.column(c::TRACE_ID).is_some() => having(kept.collect(), ids).await,
        _ => Ok(kept.collect()),
    }
}

/// The ids of which every row that meets the predicate has one, if it is such a predicate.
fn trace_ids(pruning: &PruningPredicate) -> Option<Vec<[u8; 16]>> {
    let id = |value: &ScalarValue| match value {
        ScalarValue::FixedSizeBinary(_, Some(bytes)) => bytes.as_slice().try_into().ok(),
        _ => None,
    };
    let mut known = pruning.literal_guarantees().iter();
    let of_traces = known.find(|guarantee| {
        guarantee.column.name == c::TRACE_ID && guarantee.guarantee == Guarantee::In
    })?;
    of_traces.literals.iter().map(id).collect()
}

/// The files whose bloom filters do not exclude these traces: bounds of random ids exclude none.
async fn having(files: Vec<Arc<DataFile>>, ids: Vec<[u8; 16]>) -> Result<Vec<Arc<DataFile>>> {
    let look = move || files.into_iter().filter(|file| file.may_have_trace(&ids)).collect();
    tokio::task::spawn_blocking(look).await.map_err(|why| DataFusionError::External(why.into()))
}

/// What a file says of these columns, for the reader to leave it out while a query runs. Only exact
/// bounds count there, which texts do not have; columns behind the last of these are left off.
pub(crate) fn statistics(
    table: Table,
    file: &DataFile,
    schema: &SchemaRef,
    columns: &BTreeSet<String>,
) -> Statistics {
    let exact = |bound: &Option<Bound>, to: &DataType| match bound {
        Some(bound @ (Bound::Int(_) | Bound::UInt(_))) => {
            scalar(bound, to).map_or(Precision::Absent, Precision::Exact)
        }
        _ => Precision::Absent,
    };
    let count = |n: u64| usize::try_from(n).map_or(Precision::Absent, Precision::Exact);
    let mut of_columns = Vec::new();
    for name in columns {
        let (Ok(index), Some(_)) = (schema.index_of(name), table.column(name)) else { continue };
        let Some(facts) = file.columns.get(name) else { continue };
        of_columns.resize(of_columns.len().max(index + 1), ColumnStatistics::new_unknown());
        let to = schema.field(index).data_type();
        of_columns[index].min_value = exact(&facts.min, to);
        of_columns[index].max_value = exact(&facts.max, to);
        of_columns[index].null_count = facts.nulls.map_or(Precision::Absent, count);
    }
    Statistics {
        num_rows: count(file.rows),
        total_byte_size: Precision::Absent,
        column_statistics: of_columns,
    }
}

struct FileFacts<'a> {
    table: Table,
    files: &'a [Arc<DataFile>],
    schema: &'a SchemaRef,
}

/// What one file says of a column of the table.
enum Known<'a> {
    Facts(&'a ColumnFacts),
    /// No row has a value.
    AllNull,
    Unknown,
}

impl FileFacts<'_> {
    fn known<'f>(&self, file: &'f DataFile, column: &str) -> Known<'f> {
        if let Some(access) = VirtualColumn::parse(column) {
            return access_facts(file, access.source, &access.key, access.value_type);
        }
        if self.table.column(column).is_some() {
            return file.columns.get(column).map_or(Known::Unknown, Known::Facts);
        }
        semantic_facts(file, column)
    }

    fn bounds(
        &self,
        column: &Column,
        bound: impl Fn(&ColumnFacts) -> Option<&Bound>,
    ) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        let null = ScalarValue::try_from(field.data_type()).ok()?;
        let values = self.files.iter().map(|file| match self.known(file, &column.name) {
            Known::Facts(facts) => bound(facts)
                .and_then(|b| scalar(b, field.data_type()))
                .unwrap_or_else(|| null.clone()),
            _ => null.clone(),
        });
        ScalarValue::iter_to_array(values.collect::<Vec<_>>()).ok()
    }
}

impl PruningStatistics for FileFacts<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |f| f.min.as_ref())
    }
    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |f| f.max.as_ref())
    }
    fn num_containers(&self) -> usize {
        self.files.len()
    }
    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let counts = self.files.iter().map(|file| match self.known(file, &column.name) {
            Known::Facts(facts) => facts.nulls,
            Known::AllNull => Some(file.rows),
            Known::Unknown => None,
        });
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }
    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|f| Some(f.rows)).collect::<UInt64Array>()))
    }
    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

fn access_facts<'f>(
    file: &'f DataFile,
    source: Source,
    key: &str,
    value_type: schemas::attributes::ValueType,
) -> Known<'f> {
    let keys = match source {
        Source::Record | Source::Filtered => &file.keys.record,
        Source::Resource => &file.keys.resource,
        Source::Scope => &file.keys.scope,
    };
    if !keys.contains_key(key) {
        return if file.keys_complete { Known::AllNull } else { Known::Unknown };
    }
    let stored = source.owner().and_then(|owner| promoted(owner, key));
    match stored.filter(|p| p.value_type == value_type) {
        Some(p) if file.promoted.get(p.column) == Some(&Promotion::Full) => {
            file.columns.get(p.column).map_or(Known::Unknown, Known::Facts)
        }
        _ => Known::Unknown,
    }
}

/// Facts of a semantic column: known where the file has at most one of its keys.
fn semantic_facts<'f>(file: &'f DataFile, column: &str) -> Known<'f> {
    let Some(semantic) = semantic(column) else { return Known::Unknown };
    let source = match semantic.owner {
        Owner::Record => Source::Record,
        Owner::Resource => Source::Resource,
    };
    let mut only = Known::AllNull;
    for alternative in semantic.sources {
        let SemanticSource::Key(key) = alternative else { return Known::Unknown };
        match (access_facts(file, source, key, semantic.value_type), &only) {
            (Known::AllNull, _) => {}
            (facts @ Known::Facts(_), Known::AllNull) => only = facts,
            _ => return Known::Unknown,
        }
    }
    only
}

/// A bound in the column's type. Doubles are left out: a file's bounds do not speak of its NaNs.
fn scalar(bound: &Bound, to: &DataType) -> Option<ScalarValue> {
    Some(match (bound, to) {
        (Bound::Int(v), DataType::Timestamp(TimeUnit::Nanosecond, zone)) => {
            ScalarValue::TimestampNanosecond(Some(*v), zone.clone())
        }
        (Bound::Int(v), DataType::Int64) => ScalarValue::Int64(Some(*v)),
        (Bound::Int(v), DataType::Int32) => ScalarValue::Int32(Some(i32::try_from(*v).ok()?)),
        (Bound::UInt(v), DataType::UInt64) => ScalarValue::UInt64(Some(*v)),
        (Bound::UInt(v), DataType::UInt32) => ScalarValue::UInt32(Some(u32::try_from(*v).ok()?)),
        (Bound::Bool(v), DataType::Boolean) => ScalarValue::Boolean(Some(*v)),
        (Bound::Text(v), DataType::Utf8View) => ScalarValue::Utf8View(Some(v.clone())),
        (Bound::Bytes(v), DataType::FixedSizeBinary(width))
            if v.len() == usize::try_from(*width).ok()? =>
        {
            ScalarValue::FixedSizeBinary(*width, Some(v.clone()))
        }
        _ => return None,
    })
}
