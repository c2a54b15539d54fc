//! Records as text, once from prost's messages and once from stored rows, to be compared.
//!
//! One record is one list of cells; what is not sent and what is null are both an empty cell.
//! Of attributes only keys and types are compared; their values are a matter of tests with an oracle.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use schemas::columns as c;
use schemas::ids::hex;
use schemas::{Batch, KeyFacts, KeySet, Keys, Table, type_bits};

use crate::RECEIVED_NS;
use crate::request::Request;

/// Cells of one record.
pub type Record = Vec<String>;

/// The records of one table, and the keys of their attributes.
#[derive(Debug)]
pub struct Records {
    pub table: Table,
    pub records: Vec<Record>,
    pub keys: Keys,
}

impl Records {
    fn new(table: Table) -> Records {
        Records { table, records: Vec::new(), keys: Keys::default() }
    }

    fn push(&mut self, cells: Record, from: &Origin<'_>, attributes: &[KeyValue]) {
        self.records.push(cells);
        let resource = from.resource.map_or(&[][..], |resource| &resource.attributes);
        let scope = from.scope.map_or(&[][..], |scope| &scope.attributes);
        add_keys(&mut self.keys.resource, resource);
        add_keys(&mut self.keys.scope, scope);
        add_keys(&mut self.keys.record, attributes);
    }
}

/// Adds a row with these attributes. Of equal keys the last one counts.
fn add_keys(set: &mut KeySet, attributes: &[KeyValue]) {
    let last: BTreeMap<_, _> = attributes.iter().map(|kv| (&kv.key, kv.value.as_ref())).collect();
    for (key, value) in last {
        let name = value.map_or("empty", |value| body(value).0);
        let known = type_bits::NAMES.iter().find(|(_, known)| *known == name);
        let types = known.map_or(0, |(bit, _)| *bit);
        set.entry(key.clone()).or_default().merge(KeyFacts { types, rows: 1 });
    }
}

const SPANS: [&str; 20] = [
    c::RESOURCE_SCHEMA_URL,
    c::RESOURCE_DROPPED,
    c::SCOPE_NAME,
    c::SCOPE_VERSION,
    c::SCOPE_SCHEMA_URL,
    c::SCOPE_DROPPED,
    c::TRACE_ID,
    c::SPAN_ID,
    c::PARENT_SPAN_ID,
    c::TRACE_STATE,
    c::NAME,
    c::START_TIME,
    c::DURATION_NS,
    c::END_BEFORE_START,
    c::STATUS_MESSAGE,
    c::FLAGS,
    c::DROPPED_ATTRIBUTES_COUNT,
    c::DROPPED_EVENTS_COUNT,
    c::DROPPED_LINKS_COUNT,
    c::KIND,
];
const LOGS: [&str; 18] = [
    c::RESOURCE_SCHEMA_URL,
    c::RESOURCE_DROPPED,
    c::SCOPE_NAME,
    c::SCOPE_VERSION,
    c::SCOPE_SCHEMA_URL,
    c::SCOPE_DROPPED,
    c::TIME,
    c::OBSERVED_TIME,
    c::TRACE_ID,
    c::SPAN_ID,
    c::SEVERITY_NUMBER,
    c::SEVERITY_TEXT,
    c::EVENT_NAME,
    c::FLAGS,
    c::DROPPED_ATTRIBUTES_COUNT,
    c::TIME_MISSING,
    c::BODY_TYPE,
    c::BODY,
];
const POINTS: [&str; 9] = [
    c::METRIC,
    c::UNIT,
    c::DESCRIPTION,
    c::KIND,
    c::START_TIME,
    c::TIME,
    c::FLAGS,
    c::VALUE_DOUBLE,
    c::VALUE_INT,
];
const HISTOGRAMS: [&str; 12] = [
    c::METRIC,
    c::UNIT,
    c::DESCRIPTION,
    c::KIND,
    c::START_TIME,
    c::TIME,
    c::FLAGS,
    c::COUNT,
    c::SUM,
    c::MIN,
    c::MAX,
    c::SCALE,
];
const SUMMARIES: [&str; 9] = [
    c::METRIC,
    c::UNIT,
    c::DESCRIPTION,
    c::KIND,
    c::START_TIME,
    c::TIME,
    c::FLAGS,
    c::COUNT,
    c::SUM,
];

/// The compared columns of a table; exemplars have none.
fn columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Spans => &SPANS,
        Table::Logs => &LOGS,
        Table::MetricPoints => &POINTS,
        Table::MetricHistograms => &HISTOGRAMS,
        Table::MetricSummaries => &SUMMARIES,
        _ => &[],
    }
}

/// The records that were stored.
pub fn stored(batch: &Batch) -> Records {
    let columns: Vec<_> = columns(batch.table).iter().map(|name| column(batch, name)).collect();
    let records = (0..batch.rows.num_rows()).map(|row| {
        let mut cells: Record = columns.iter().map(|column| cell(column, row)).collect();
        // Bodies that are no text are canonical JSON, which has no other reader here.
        if batch.table == Table::Logs && cells[LOGS.len() - 2] != "string" {
            cells[LOGS.len() - 1].clear();
        }
        cells
    });
    Records { table: batch.table, records: records.collect(), keys: batch.keys.clone() }
}

fn column(batch: &Batch, name: &str) -> Arc<dyn Array> {
    let found = batch.rows.column_by_name(name);
    Arc::clone(found.unwrap_or_else(|| panic!("{} lacks {name}", batch.table.name())))
}

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    match column.data_type() {
        DataType::FixedSizeBinary(_) => hex(column.as_fixed_size_binary().value(row)),
        DataType::Utf8View => column.as_string_view().value(row).to_owned(),
        DataType::Timestamp(..) => {
            column.as_primitive::<TimestampNanosecondType>().value(row).to_string()
        }
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(row).to_string(),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        other => panic!("no text for {other}"),
    }
}

fn float(value: f64) -> String {
    format!("{:016x}", value.to_bits())
}

/// All rows as text.
pub fn text(rows: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default();
    let formatters = rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let formatters: Vec<_> = formatters.collect::<Result<_, _>>().expect("columns have a text");
    let schema = rows.schema();
    let names: Vec<_> = schema.fields().iter().map(|field| field.name()).collect();
    (0..rows.num_rows())
        .map(|row| {
            let cells = names.iter().zip(&formatters);
            cells.map(|(name, cells)| format!("{name}: {}\n", cells.value(row))).collect()
        })
        .collect()
}

/// The records that prost finds, and how many metrics have no data point (each may be a reject).
pub fn sent(request: &Request) -> (Vec<Records>, u64) {
    match request {
        Request::Traces(request) => {
            let mut spans = Records::new(Table::Spans);
            for r in &request.resource_spans {
                for s in &r.scope_spans {
                    let from = Origin::new(&r.resource, &r.schema_url, &s.scope, &s.schema_url);
                    s.spans.iter().for_each(|one| {
                        spans.push(span(from.cells(), one), &from, &one.attributes);
                    });
                }
            }
            (vec![spans], 0)
        }
        Request::Logs(request) => {
            let mut logs = Records::new(Table::Logs);
            for r in &request.resource_logs {
                for s in &r.scope_logs {
                    let from = Origin::new(&r.resource, &r.schema_url, &s.scope, &s.schema_url);
                    s.log_records.iter().for_each(|one| {
                        logs.push(log(from.cells(), one), &from, &one.attributes);
                    });
                }
            }
            (vec![logs], 0)
        }
        Request::Metrics(request) => {
            let mut points = Points::new();
            for r in &request.resource_metrics {
                for s in &r.scope_metrics {
                    let from = Origin::new(&r.resource, &r.schema_url, &s.scope, &s.schema_url);
                    s.metrics.iter().for_each(|metric| points.add(metric, &from));
                }
            }
            (vec![points.points, points.histograms, points.summaries], points.without_points)
        }
    }
}

/// Resource and scope of a record.
struct Origin<'a> {
    resource: Option<&'a Resource>,
    resource_url: &'a str,
    scope: Option<&'a InstrumentationScope>,
    scope_url: &'a str,
}

impl<'a> Origin<'a> {
    fn new(
        resource: &'a Option<Resource>,
        resource_url: &'a str,
        scope: &'a Option<InstrumentationScope>,
        scope_url: &'a str,
    ) -> Origin<'a> {
        Origin { resource: resource.as_ref(), resource_url, scope: scope.as_ref(), scope_url }
    }

    fn cells(&self) -> Record {
        let scope = self.scope.cloned().unwrap_or_default();
        vec![
            self.resource_url.to_owned(),
            self.resource.map_or(0, |r| r.dropped_attributes_count).to_string(),
            scope.name,
            scope.version,
            self.scope_url.to_owned(),
            scope.dropped_attributes_count.to_string(),
        ]
    }
}

/// An id as it is stored: none unless it has its length and is not all zero.
fn id(bytes: &[u8], len: usize) -> String {
    if bytes.len() == len && bytes.iter().any(|b| *b != 0) { hex(bytes) } else { String::new() }
}

fn unless_zero(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

fn word(words: &[&str], number: i32) -> String {
    let word = usize::try_from(number).ok().and_then(|n| words.get(n));
    word.map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

fn span(mut cells: Record, span: &Span) -> Record {
    let duration = (span.end_time_unix_nano as i64).wrapping_sub(span.start_time_unix_nano as i64);
    let kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    let status = span.status.as_ref();
    cells.extend([
        id(&span.trace_id, 16),
        id(&span.span_id, 8),
        id(&span.parent_span_id, 8),
        span.trace_state.clone(),
        span.name.clone(),
        span.start_time_unix_nano.to_string(),
        duration.max(0).to_string(),
        if duration < 0 { duration.wrapping_neg().to_string() } else { String::new() },
        status.map(|s| s.message.clone()).unwrap_or_default(),
        span.flags.to_string(),
        span.dropped_attributes_count.to_string(),
        span.dropped_events_count.to_string(),
        span.dropped_links_count.to_string(),
        word(&kinds, span.kind),
    ]);
    cells
}

fn log(mut cells: Record, log: &LogRecord) -> Record {
    let (sent, observed) = (log.time_unix_nano, log.observed_time_unix_nano);
    let times = [sent, observed, RECEIVED_NS as u64];
    let trace_id = id(&log.trace_id, 16);
    // Without its trace a span id means nothing.
    let span_id = if trace_id.is_empty() { String::new() } else { id(&log.span_id, 8) };
    let (body_type, body) = log.body.as_ref().map_or(("", ""), body);
    cells.extend([
        times.into_iter().find(|time| *time != 0).unwrap_or_default().to_string(),
        unless_zero(observed),
        trace_id,
        span_id,
        log.severity_number.to_string(),
        log.severity_text.clone(),
        log.event_name.clone(),
        log.flags.to_string(),
        log.dropped_attributes_count.to_string(),
        (u32::from(sent == 0) + 2 * u32::from(observed == 0)).to_string(),
        body_type.to_owned(),
        body.to_owned(),
    ]);
    cells
}

/// A value's type, and its text if it is one.
fn body(body: &AnyValue) -> (&'static str, &str) {
    match &body.value {
        Some(Value::StringValue(text)) => ("string", text),
        Some(Value::BoolValue(_)) => ("bool", ""),
        Some(Value::IntValue(_)) => ("int", ""),
        Some(Value::DoubleValue(_)) => ("double", ""),
        Some(Value::BytesValue(_)) => ("bytes", ""),
        Some(Value::ArrayValue(_)) => ("array", ""),
        Some(Value::KvlistValue(_)) => ("map", ""),
        // A reference into a string table, which only profiles have.
        Some(Value::StringValueStrindex(_)) | None => ("empty", ""),
    }
}

/// Data points by table.
struct Points {
    points: Records,
    histograms: Records,
    summaries: Records,
    without_points: u64,
}

impl Points {
    fn new() -> Points {
        Points {
            points: Records::new(Table::MetricPoints),
            histograms: Records::new(Table::MetricHistograms),
            summaries: Records::new(Table::MetricSummaries),
            without_points: 0,
        }
    }

    fn count(&self) -> usize {
        let tables = [&self.points, &self.histograms, &self.summaries];
        tables.iter().map(|table| table.records.len()).sum()
    }

    fn add(&mut self, metric: &Metric, from: &Origin<'_>) {
        let before = self.count();
        macro_rules! head {
            ($kind:literal, $p:ident) => {
                head(metric, $kind, [$p.start_time_unix_nano, $p.time_unix_nano], $p.flags)
            };
        }
        match &metric.data {
            None => {}
            Some(Data::Gauge(gauge)) => {
                for p in &gauge.data_points {
                    let cells = number(head!("gauge", p), p.flags, p.value);
                    self.points.push(cells, from, &p.attributes);
                }
            }
            Some(Data::Sum(sum)) => {
                for p in &sum.data_points {
                    let cells = number(head!("sum", p), p.flags, p.value);
                    self.points.push(cells, from, &p.attributes);
                }
            }
            Some(Data::Histogram(histogram)) => {
                for p in &histogram.data_points {
                    let (head, scale) = (head!("histogram", p), String::new());
                    let cells = distribution(head, p.count, [p.sum, p.min, p.max], scale);
                    self.histograms.push(cells, from, &p.attributes);
                }
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                for p in &histogram.data_points {
                    let (head, scale) = (head!("exponential_histogram", p), p.scale.to_string());
                    let cells = distribution(head, p.count, [p.sum, p.min, p.max], scale);
                    self.histograms.push(cells, from, &p.attributes);
                }
            }
            Some(Data::Summary(summary)) => {
                for p in &summary.data_points {
                    let mut cells = head!("summary", p);
                    cells.extend([p.count.to_string(), float(p.sum)]);
                    self.summaries.push(cells, from, &p.attributes);
                }
            }
        }
        self.without_points += u64::from(self.count() == before);
    }
}

/// The cells that points of all kinds have.
fn head(metric: &Metric, kind: &str, [start, time]: [u64; 2], flags: u32) -> Record {
    vec![
        metric.name.clone(),
        metric.unit.clone(),
        metric.description.clone(),
        kind.to_owned(),
        unless_zero(start),
        time.to_string(),
        flags.to_string(),
    ]
}

/// The cells of a histogram.
fn distribution(
    mut cells: Record,
    count: u64,
    optional: [Option<f64>; 3],
    scale: String,
) -> Record {
    cells.push(count.to_string());
    cells.extend(optional.map(|value| value.map(float).unwrap_or_default()));
    cells.push(scale);
    cells
}

/// The cells of a number, which means nothing with the flag "no recorded value".
fn number(mut cells: Record, flags: u32, value: Option<number_data_point::Value>) -> Record {
    let (double, int) = match value.filter(|_| flags & 1 == 0) {
        Some(number_data_point::Value::AsDouble(v)) => (float(v), String::new()),
        Some(number_data_point::Value::AsInt(v)) => (String::new(), v.to_string()),
        None => Default::default(),
    };
    cells.extend([double, int]);
    cells
}
