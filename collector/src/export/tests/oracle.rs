//! Messages → rows in the logical shape, the plain way: one JSON object a row, read by `arrow-json`.
//! It shares nothing with the decoder or with the export but the schema.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use schemas::{Table, columns as c, ids, json};
use serde_json::{Map, Value, json};

use crate::export::logical_columns;

type Row = Map<String, Value>;

/// Rows of the four metric tables.
pub(super) struct Metrics {
    pub(super) points: RecordBatch,
    pub(super) histograms: RecordBatch,
    pub(super) summaries: RecordBatch,
    pub(super) exemplars: RecordBatch,
}

pub(super) fn spans(request: &ExportTraceServiceRequest) -> RecordBatch {
    let mut rows = Vec::new();
    for r in &request.resource_spans {
        for s in &r.scope_spans {
            let envelope =
                envelope(r.resource.as_ref(), &r.schema_url, s.scope.as_ref(), &s.schema_url);
            rows.extend(s.spans.iter().map(|x| with(&envelope, span(x))));
        }
    }
    batch(Table::Spans, &rows)
}

pub(super) fn logs(request: &ExportLogsServiceRequest) -> RecordBatch {
    let mut rows = Vec::new();
    for r in &request.resource_logs {
        for s in &r.scope_logs {
            let envelope =
                envelope(r.resource.as_ref(), &r.schema_url, s.scope.as_ref(), &s.schema_url);
            rows.extend(s.log_records.iter().map(|x| with(&envelope, log(x))));
        }
    }
    batch(Table::Logs, &rows)
}

pub(super) fn metrics(request: &ExportMetricsServiceRequest) -> Metrics {
    let mut rows = MetricRows::default();
    for r in &request.resource_metrics {
        for s in &r.scope_metrics {
            let envelope =
                envelope(r.resource.as_ref(), &r.schema_url, s.scope.as_ref(), &s.schema_url);
            s.metrics.iter().for_each(|metric| rows.metric(&envelope, metric));
        }
    }
    Metrics {
        points: batch(Table::MetricPoints, &rows.points),
        histograms: batch(Table::MetricHistograms, &rows.histograms),
        summaries: batch(Table::MetricSummaries, &rows.summaries),
        exemplars: batch(Table::MetricExemplars, &rows.exemplars),
    }
}

/// A batch in the logical shape; columns that the export does not read may be null.
fn batch(table: Table, rows: &[Row]) -> RecordBatch {
    let field = |name| match table.column(name) {
        Some(column) => column.field().with_nullable(true),
        None => Field::new(name, DataType::Utf8View, true),
    };
    let schema = Arc::new(Schema::new(logical_columns(table).map(field).collect::<Vec<_>>()));
    let mut decoder = arrow_json::ReaderBuilder::new(Arc::clone(&schema))
        .with_batch_size(rows.len() + 1)
        .build_decoder()
        .unwrap();
    decoder.serialize(rows).unwrap();
    decoder.flush().unwrap().unwrap_or_else(|| RecordBatch::new_empty(schema))
}

fn with(common: &Row, own: Value) -> Row {
    let Value::Object(own) = own else { panic!("{own}") };
    common.clone().into_iter().chain(own).collect()
}

fn envelope(
    resource: Option<&Resource>,
    resource_url: &str,
    scope: Option<&InstrumentationScope>,
    scope_url: &str,
) -> Row {
    let (resource, scope) =
        (resource.cloned().unwrap_or_default(), scope.cloned().unwrap_or_default());
    with(
        &Row::new(),
        json!({
            c::RESOURCE: object(&resource.attributes),
            c::RESOURCE_DROPPED: resource.dropped_attributes_count,
            c::RESOURCE_SCHEMA_URL: text(resource_url),
            c::RESOURCE_ENTITY_REFS: entity_refs(&resource.entity_refs),
            c::SCOPE_NAME: text(&scope.name),
            c::SCOPE_VERSION: text(&scope.version),
            c::SCOPE_ATTRIBUTES: object(&scope.attributes),
            c::SCOPE_DROPPED: scope.dropped_attributes_count,
            c::SCOPE_SCHEMA_URL: text(scope_url),
        }),
    )
}

fn entity_refs(refs: &[EntityRef]) -> Value {
    let refs: Vec<Value> = refs
        .iter()
        .map(|r| {
            json!({
                "description_keys": r.description_keys,
                "id_keys": r.id_keys,
                "schema_url": r.schema_url,
                "type": r.r#type,
            })
        })
        .collect();
    if refs.is_empty() { Value::Null } else { json!(serde_json::to_string(&refs).unwrap()) }
}

fn span(span: &Span) -> Value {
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    let status = span.status.clone().unwrap_or_default();
    json!({
        c::TRACE_ID: id(&span.trace_id, 16),
        c::SPAN_ID: id(&span.span_id, 8),
        c::PARENT_SPAN_ID: id(&span.parent_span_id, 8),
        c::START_TIME: start,
        c::DURATION_NS: end.saturating_sub(start),
        c::END_BEFORE_START: (end < start).then(|| start - end),
        c::NAME: span.name,
        c::KIND: word(
            &["unspecified", "internal", "server", "client", "producer", "consumer"],
            span.kind,
        ),
        c::STATUS_CODE: word(&["unset", "ok", "error"], status.code),
        c::STATUS_MESSAGE: text(&status.message),
        c::TRACE_STATE: text(&span.trace_state),
        c::FLAGS: span.flags,
        c::ATTRIBUTES: object(&span.attributes),
        c::DROPPED_ATTRIBUTES_COUNT: span.dropped_attributes_count,
        c::EVENTS: events(span),
        c::DROPPED_EVENTS_COUNT: span.dropped_events_count,
        c::LINKS: links(span),
        c::DROPPED_LINKS_COUNT: span.dropped_links_count,
    })
}

fn events(span: &Span) -> Vec<Value> {
    let event = |event: &opentelemetry_proto::tonic::trace::v1::span::Event| {
        json!({
            c::TIME: event.time_unix_nano,
            c::NAME: event.name,
            c::ATTRIBUTES: object(&event.attributes),
            c::DROPPED_ATTRIBUTES_COUNT: event.dropped_attributes_count,
        })
    };
    span.events.iter().map(event).collect()
}

fn links(span: &Span) -> Vec<Value> {
    let link = |link: &opentelemetry_proto::tonic::trace::v1::span::Link| {
        json!({
            c::TRACE_ID: id(&link.trace_id, 16),
            c::SPAN_ID: id(&link.span_id, 8),
            c::TRACE_STATE: text(&link.trace_state),
            c::ATTRIBUTES: object(&link.attributes),
            c::DROPPED_ATTRIBUTES_COUNT: link.dropped_attributes_count,
            c::FLAGS: link.flags,
        })
    };
    span.links.iter().map(link).collect()
}

fn log(record: &LogRecord) -> Value {
    let (time, observed) = (record.time_unix_nano, record.observed_time_unix_nano);
    let trace_id = id(&record.trace_id, 16);
    let span_id = if trace_id.is_null() { Value::Null } else { id(&record.span_id, 8) };
    let (body, body_type) = match &record.body {
        None => (None, None),
        Some(AnyValue { value: Some(Any::StringValue(s)) }) => (Some(s.clone()), Some("string")),
        Some(body) => (Some(canonical(body)), Some(type_name(body))),
    };
    json!({
        c::TIME: if time == 0 { observed } else { time },
        c::TIME_MISSING: u32::from(time == 0) + 2 * u32::from(observed == 0),
        c::OBSERVED_TIME: known(observed),
        c::TRACE_ID: trace_id,
        c::SPAN_ID: span_id,
        c::SEVERITY_NUMBER: record.severity_number,
        c::SEVERITY_TEXT: text(&record.severity_text),
        c::EVENT_NAME: text(&record.event_name),
        c::BODY: body,
        c::BODY_TYPE: body_type,
        c::FLAGS: record.flags,
        c::ATTRIBUTES: object(&record.attributes),
        c::DROPPED_ATTRIBUTES_COUNT: record.dropped_attributes_count,
    })
}

#[derive(Default)]
struct MetricRows {
    points: Vec<Row>,
    histograms: Vec<Row>,
    summaries: Vec<Row>,
    exemplars: Vec<Row>,
}

impl MetricRows {
    fn metric(&mut self, envelope: &Row, metric: &Metric) {
        let header = |kind: &str, temporality: i32, is_monotonic: Option<bool>| {
            with(
                envelope,
                json!({
                    c::METRIC: metric.name,
                    c::UNIT: text(&metric.unit),
                    c::DESCRIPTION: text(&metric.description),
                    c::METRIC_METADATA: object(&metric.metadata),
                    c::KIND: kind,
                    c::TEMPORALITY: temporality_word(temporality),
                    c::IS_MONOTONIC: is_monotonic,
                }),
            )
        };
        match metric.data.as_ref().unwrap() {
            Data::Gauge(d) => self.numbers(&header("gauge", 0, None), &d.data_points),
            Data::Sum(d) => {
                let header = header("sum", d.aggregation_temporality, Some(d.is_monotonic));
                self.numbers(&header, &d.data_points);
            }
            Data::Histogram(d) => {
                let header = header("histogram", d.aggregation_temporality, None);
                for point in &d.data_points {
                    let series = self.exemplars(
                        point.time_unix_nano,
                        point.start_time_unix_nano,
                        &point.exemplars,
                    );
                    self.histograms.push(with(&header, histogram(&series, point)));
                }
            }
            Data::ExponentialHistogram(d) => {
                let header = header("exponential_histogram", d.aggregation_temporality, None);
                for point in &d.data_points {
                    let series = self.exemplars(
                        point.time_unix_nano,
                        point.start_time_unix_nano,
                        &point.exemplars,
                    );
                    self.histograms.push(with(&header, exponential(&series, point)));
                }
            }
            Data::Summary(d) => {
                let header = header("summary", 0, None);
                self.summaries.extend(d.data_points.iter().map(|p| with(&header, summary(p))));
            }
        }
    }

    fn numbers(&mut self, header: &Row, points: &[NumberDataPoint]) {
        for point in points {
            let series =
                self.exemplars(point.time_unix_nano, point.start_time_unix_nano, &point.exemplars);
            let (double, int) = match point.value {
                Some(number_data_point::Value::AsDouble(d)) => (number(d), None),
                Some(number_data_point::Value::AsInt(i)) => (Value::Null, Some(i)),
                None => (Value::Null, None),
            };
            let own = json!({
                c::SERIES_ID: series,
                c::START_TIME: known(point.start_time_unix_nano),
                c::TIME: point.time_unix_nano,
                c::FLAGS: point.flags,
                c::ATTRIBUTES: object(&point.attributes),
                c::VALUE_DOUBLE: double,
                c::VALUE_INT: int,
            });
            self.points.push(with(header, own));
        }
    }

    /// The series of a point: all alike, since the time tells the points apart.
    fn exemplars(&mut self, time: u64, start: u64, exemplars: &[Exemplar]) -> String {
        let series = ids::hex(&[7; 16]);
        for exemplar in exemplars {
            let (double, int) = match exemplar.value {
                Some(exemplar::Value::AsDouble(d)) => (number(d), None),
                Some(exemplar::Value::AsInt(i)) => (Value::Null, Some(i)),
                None => (Value::Null, None),
            };
            let row = json!({
                c::SERIES_ID: series,
                c::POINT_TIME: time,
                c::POINT_START_TIME: known(start),
                c::TIME: exemplar.time_unix_nano,
                c::VALUE_DOUBLE: double,
                c::VALUE_INT: int,
                c::TRACE_ID: id(&exemplar.trace_id, 16),
                c::SPAN_ID: id(&exemplar.span_id, 8),
                c::FILTERED_ATTRIBUTES: object(&exemplar.filtered_attributes),
            });
            self.exemplars.push(with(&Row::new(), row));
        }
        series
    }
}

fn histogram(series: &str, point: &HistogramDataPoint) -> Value {
    let bounds: Vec<Value> = point.explicit_bounds.iter().copied().map(number).collect();
    json!({
        c::SERIES_ID: series,
        c::START_TIME: known(point.start_time_unix_nano),
        c::TIME: point.time_unix_nano,
        c::FLAGS: point.flags,
        c::ATTRIBUTES: object(&point.attributes),
        c::COUNT: point.count,
        c::SUM: point.sum.map(number),
        c::MIN: point.min.map(number),
        c::MAX: point.max.map(number),
        c::BOUNDS: bounds,
        c::BUCKET_COUNTS: point.bucket_counts,
    })
}

fn exponential(series: &str, point: &ExponentialHistogramDataPoint) -> Value {
    let (pos_offset, pos_counts) = buckets(point.positive.as_ref());
    let (neg_offset, neg_counts) = buckets(point.negative.as_ref());
    json!({
        c::SERIES_ID: series,
        c::START_TIME: known(point.start_time_unix_nano),
        c::TIME: point.time_unix_nano,
        c::FLAGS: point.flags,
        c::ATTRIBUTES: object(&point.attributes),
        c::COUNT: point.count,
        c::SUM: point.sum.map(number),
        c::MIN: point.min.map(number),
        c::MAX: point.max.map(number),
        c::SCALE: point.scale,
        c::ZERO_COUNT: point.zero_count,
        c::ZERO_THRESHOLD: number(point.zero_threshold),
        c::POS_OFFSET: pos_offset,
        c::POS_COUNTS: pos_counts,
        c::NEG_OFFSET: neg_offset,
        c::NEG_COUNTS: neg_counts,
    })
}

fn buckets(buckets: Option<&Buckets>) -> (Option<i32>, Option<Vec<u64>>) {
    buckets.map(|b| (b.offset, b.bucket_counts.clone())).unzip()
}

fn summary(point: &SummaryDataPoint) -> Value {
    let quantiles: Vec<Value> = point
        .quantile_values
        .iter()
        .map(|q| json!({ c::QUANTILE: number(q.quantile), c::VALUE: number(q.value) }))
        .collect();
    json!({
        c::SERIES_ID: ids::hex(&[7; 16]),
        c::START_TIME: known(point.start_time_unix_nano),
        c::TIME: point.time_unix_nano,
        c::FLAGS: point.flags,
        c::ATTRIBUTES: object(&point.attributes),
        c::COUNT: point.count,
        c::SUM: number(point.sum),
        c::QUANTILES: quantiles,
    })
}

/// Empty text is stored as null.
fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn id(bytes: &[u8], len: usize) -> Value {
    let valid = bytes.len() == len && bytes.iter().any(|b| *b != 0);
    if valid { ids::hex(bytes).into() } else { Value::Null }
}

/// A time of 0 is none.
fn known(time: u64) -> Option<u64> {
    (time != 0).then_some(time)
}

/// A double for `arrow-json`, which reads text where JSON has no number.
fn number(double: f64) -> Value {
    if double.is_finite() { json!(double) } else { double.to_string().into() }
}

fn word(words: &[&str], number: i32) -> String {
    let known = usize::try_from(number).ok().and_then(|i| words.get(i));
    known.map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

fn temporality_word(temporality: i32) -> Option<String> {
    (temporality != 0).then(|| word(&["", "delta", "cumulative"], temporality))
}

fn type_name(value: &AnyValue) -> &'static str {
    match value.value.as_ref() {
        Some(Any::StringValue(_)) => "string",
        Some(Any::BoolValue(_)) => "bool",
        Some(Any::IntValue(_)) => "int",
        Some(Any::DoubleValue(_)) => "double",
        Some(Any::BytesValue(_)) => "bytes",
        Some(Any::ArrayValue(_)) => "array",
        Some(Any::KvlistValue(_)) => "map",
        Some(Any::StringValueStrindex(_)) | None => "empty",
    }
}

/// Attributes as canonical JSON, null when there are none.
fn object(attributes: &[KeyValue]) -> Value {
    if attributes.is_empty() {
        return Value::Null;
    }
    let mut out = Vec::new();
    write_object(&mut out, attributes, json::write_string);
    String::from_utf8(out).unwrap().into()
}

fn canonical(value: &AnyValue) -> String {
    let mut out = Vec::new();
    write_value(&mut out, Some(value));
    String::from_utf8(out).unwrap()
}

fn write_object(out: &mut Vec<u8>, attributes: &[KeyValue], write_key: fn(&mut Vec<u8>, &str)) {
    let by_key: std::collections::BTreeMap<_, _> =
        attributes.iter().map(|kv| (&kv.key, &kv.value)).collect();
    for (i, (key, value)) in by_key.into_iter().enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        write_key(out, key);
        out.push(b':');
        write_value(out, value.as_ref());
    }
    out.extend_from_slice(if attributes.is_empty() { b"{}" } else { b"}" });
}

fn write_value(out: &mut Vec<u8>, value: Option<&AnyValue>) {
    match value.and_then(|v| v.value.as_ref()) {
        Some(Any::StringValue(text)) => json::write_string(out, text),
        Some(Any::BoolValue(bool)) => json::write_bool(out, *bool),
        Some(Any::IntValue(int)) => json::write_int(out, *int),
        Some(Any::DoubleValue(double)) => json::write_double(out, *double),
        Some(Any::BytesValue(bytes)) => json::write_bytes(out, bytes),
        Some(Any::KvlistValue(map)) => write_object(out, &map.values, json::write_map_key),
        Some(Any::ArrayValue(list)) => {
            out.push(b'[');
            for (i, value) in list.values.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"," });
                write_value(out, Some(value));
            }
            out.push(b']');
        }
        Some(Any::StringValueStrindex(_)) | None => out.extend_from_slice(json::EMPTY.as_bytes()),
    }
}
