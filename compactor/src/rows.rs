//! Rows for the tests of this crate: the required columns filled, a few of them with given values.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, RecordBatch, StringViewArray, TimestampNanosecondArray,
    UInt32Array, new_null_array,
};
use arrow_schema::{DataType, Field, Schema};
use schemas::Table;
use schemas::attributes::promoted_column;
use schemas::columns as c;

/// One log record: service, time and perhaps the promoted attribute `http.route`.
pub(crate) type Log = (&'static str, i64, Option<&'static str>);

/// Logs as a live batch; the promoted column is there when one of them has it.
pub(crate) fn logs(logs: &[Log]) -> RecordBatch {
    let services: StringViewArray = logs.iter().map(|l| Some(l.0)).collect();
    let times: TimestampNanosecondArray = logs.iter().map(|l| Some(l.1)).collect();
    let routes: StringViewArray = logs.iter().map(|l| l.2).collect();
    let route = promoted_column("a.http.route").map(|p| p.field());
    let promoted = route.filter(|_| routes.null_count() < logs.len());
    batch(
        Table::Logs,
        logs.len(),
        &[(c::SERVICE_NAME, Arc::new(services)), (c::TIME, Arc::new(times))],
        promoted.map(|field| (field, Arc::new(routes) as ArrayRef)),
    )
}

/// Spans of (trace, start): the trace id is the byte repeated.
pub(crate) fn spans(spans: &[(u8, i64)]) -> RecordBatch {
    let ids = spans.iter().map(|s| Some([s.0; 16]));
    let traces = FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids, 16).unwrap();
    let starts: TimestampNanosecondArray = spans.iter().map(|s| Some(s.1)).collect();
    let given: [(&str, ArrayRef); 2] =
        [(c::TRACE_ID, Arc::new(traces)), (c::START_TIME, Arc::new(starts))];
    batch(Table::Spans, spans.len(), &given, None)
}

fn batch(
    table: Table,
    rows: usize,
    given: &[(&str, ArrayRef)],
    promoted: Option<(Field, ArrayRef)>,
) -> RecordBatch {
    let mut fields: Vec<Field> = table.columns().iter().map(|c| c.field()).collect();
    let filled = |field: &Field| {
        let given = given.iter().find(|(name, _)| name == field.name());
        given.map_or_else(|| filler(field, rows), |(_, array)| Arc::clone(array))
    };
    let mut arrays: Vec<ArrayRef> = fields.iter().map(filled).collect();
    if let Some((field, array)) = promoted {
        fields.push(field);
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn filler(field: &Field, rows: usize) -> ArrayRef {
    if field.is_nullable() {
        return new_null_array(field.data_type(), rows);
    }
    match field.data_type() {
        DataType::Utf8View => Arc::new(StringViewArray::from(vec!["x"; rows])),
        DataType::UInt32 => Arc::new(UInt32Array::from(vec![0; rows])),
        DataType::Int32 => Arc::new(arrow_array::Int32Array::from(vec![0; rows])),
        DataType::Int64 => Arc::new(arrow_array::Int64Array::from(vec![0; rows])),
        DataType::Timestamp(..) => Arc::new(TimestampNanosecondArray::from(vec![0; rows])),
        DataType::FixedSizeBinary(8) => {
            let ids = (0..rows).map(|_| Some([1_u8; 8]));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids, 8).unwrap())
        }
        other => panic!("no filler for {other}"),
    }
}
