//! Rows of `logs` → logs requests.

use arrow_array::{
    FixedSizeBinaryArray, Int32Array, RecordBatch, StringViewArray, TimestampNanosecondArray,
    UInt32Array,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use schemas::columns::time_missing;
use schemas::{Table, columns as c};

use super::ExportError;
use super::columns::{Columns, id, text, time};
use super::groups::{Envelope, Groups};
use super::values::{attributes, value};

/// The log records of rows of the table `logs` in its logical shape.
pub fn logs(batches: &[RecordBatch]) -> Result<ExportLogsServiceRequest, ExportError> {
    let batches = batches.iter().map(Logs::new).collect::<Result<Vec<_>, _>>()?;
    let mut groups = Groups::new();
    for logs in &batches {
        for row in 0..logs.time.len() {
            let scope = groups.scope(&logs.envelope, row);
            groups.records(scope).push(logs.record(row)?);
        }
    }
    let resource_logs = groups.wrap(
        |scope, schema_url, log_records| ScopeLogs { scope, log_records, schema_url },
        |resource, schema_url, scope_logs| ResourceLogs { resource, scope_logs, schema_url },
    )?;
    Ok(ExportLogsServiceRequest { resource_logs })
}

struct Logs {
    envelope: Envelope,
    time: TimestampNanosecondArray,
    time_missing: UInt32Array,
    observed_time: TimestampNanosecondArray,
    trace_id: FixedSizeBinaryArray,
    span_id: FixedSizeBinaryArray,
    severity_number: Int32Array,
    severity_text: StringViewArray,
    event_name: StringViewArray,
    body: StringViewArray,
    body_type: StringViewArray,
    flags: UInt32Array,
    attributes: StringViewArray,
    dropped_attributes_count: UInt32Array,
}

impl Logs {
    fn new(rows: &RecordBatch) -> Result<Logs, ExportError> {
        let columns = Columns { table: Table::Logs, rows };
        Ok(Logs {
            envelope: Envelope::new(&columns)?,
            time: columns.get(c::TIME)?,
            time_missing: columns.get(c::TIME_MISSING)?,
            observed_time: columns.get(c::OBSERVED_TIME)?,
            trace_id: columns.get(c::TRACE_ID)?,
            span_id: columns.get(c::SPAN_ID)?,
            severity_number: columns.get(c::SEVERITY_NUMBER)?,
            severity_text: columns.get(c::SEVERITY_TEXT)?,
            event_name: columns.get(c::EVENT_NAME)?,
            body: columns.get(c::BODY)?,
            body_type: columns.get(c::BODY_TYPE)?,
            flags: columns.get(c::FLAGS)?,
            attributes: columns.get(c::ATTRIBUTES)?,
            dropped_attributes_count: columns.get(c::DROPPED_ATTRIBUTES_COUNT)?,
        })
    }

    fn record(&self, row: usize) -> Result<LogRecord, ExportError> {
        Ok(LogRecord {
            time_unix_nano: self.time_unless(time_missing::TIME, &self.time, row),
            observed_time_unix_nano: self.time_unless(
                time_missing::OBSERVED,
                &self.observed_time,
                row,
            ),
            severity_number: self.severity_number.value(row),
            severity_text: text(&self.severity_text, row).to_owned(),
            body: self.body(row)?,
            attributes: attributes(c::ATTRIBUTES, text(&self.attributes, row))?,
            dropped_attributes_count: self.dropped_attributes_count.value(row),
            flags: self.flags.value(row),
            trace_id: id(&self.trace_id, row),
            span_id: id(&self.span_id, row),
            event_name: text(&self.event_name, row).to_owned(),
        })
    }

    /// The time of a column, 0 where the column holds a stand-in for what was not sent.
    fn time_unless(&self, missing: u32, column: &TimestampNanosecondArray, row: usize) -> u64 {
        if self.time_missing.value(row) & missing == 0 { time(column, row) } else { 0 }
    }

    fn body(&self, row: usize) -> Result<Option<AnyValue>, ExportError> {
        let body = text(&self.body, row);
        match text(&self.body_type, row) {
            "" => Ok(None),
            "string" => Ok(Some(AnyValue { value: Some(Value::StringValue(body.to_owned())) })),
            "empty" => Ok(Some(AnyValue { value: None })),
            _ => value(c::BODY, body).map(Some),
        }
    }
}
