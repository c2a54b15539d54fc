//! What rows a request must become, said plainly: prost's messages to columns as text.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::PrimitiveArray;
use arrow_array::types::{Float64Type, UInt64Type};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Metric, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use schemas::attributes::{Owner, ValueType, promoted};
use schemas::columns as c;
use schemas::columns::quality;
use schemas::ids::hex;

use super::{RECEIVED_NS, Row};

/// Canonical JSON from a tree, `None` for an absent value.
fn json(value: Option<&AnyValue>, duplicates: &mut bool) -> String {
    match value.and_then(|v| v.value.as_ref()) {
        None => r#"{"$empty":true}"#.to_owned(),
        Some(Value::StringValue(text)) => quoted(text),
        Some(Value::BoolValue(v)) => v.to_string(),
        Some(Value::IntValue(v)) => v.to_string(),
        Some(Value::DoubleValue(v)) if v.is_nan() => r#"{"$f":"NaN"}"#.to_owned(),
        Some(Value::DoubleValue(v)) if v.is_infinite() => {
            format!(r#"{{"$f":"{}Infinity"}}"#, if *v < 0.0 { "-" } else { "" })
        }
        Some(Value::DoubleValue(v)) => format!("{v:?}"),
        Some(Value::BytesValue(bytes)) => {
            use base64::Engine;
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            format!(r#"{{"$b64":"{text}"}}"#)
        }
        Some(Value::ArrayValue(array)) => {
            let all: Vec<_> = array.values.iter().map(|v| json(Some(v), duplicates)).collect();
            format!("[{}]", all.join(","))
        }
        Some(Value::KvlistValue(map)) => object(&set(&map.values, duplicates), true),
        Some(_) => String::new(),
    }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    schemas::json::write_string(&mut out, text);
    String::from_utf8(out).unwrap()
}

/// Attributes as a set: key to JSON, the last of equal keys.
fn set(attributes: &[KeyValue], duplicates: &mut bool) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    for kv in attributes {
        let value = json(kv.value.as_ref(), duplicates);
        *duplicates |= set.insert(kv.key.clone(), value).is_some();
    }
    // Only what is kept tells of duplicates inside.
    set
}

fn object(set: &BTreeMap<String, String>, is_value: bool) -> String {
    let escape = |key: &str| {
        if is_value && key.starts_with('$') { format!("${key}") } else { key.to_owned() }
    };
    let members: Vec<_> =
        set.iter().map(|(key, value)| format!("{}:{value}", quoted(&escape(key)))).collect();
    format!("{{{}}}", members.join(","))
}

/// The last values only, so that duplicates inside dropped values do not count.
fn kept(attributes: &[KeyValue]) -> (Vec<KeyValue>, bool) {
    let mut seen = BTreeSet::new();
    let mut kept: Vec<KeyValue> =
        attributes.iter().rev().filter(|kv| seen.insert(kv.key.clone())).cloned().collect();
    kept.reverse();
    let duplicates = kept.len() < attributes.len();
    (kept, duplicates)
}

fn whole(attributes: &[KeyValue], bits: &mut u32) -> Option<String> {
    let (kept, mut duplicates) = kept(attributes);
    let set = set(&kept, &mut duplicates);
    if duplicates {
        *bits |= quality::DUPLICATE_KEY;
    }
    (!set.is_empty()).then(|| object(&set, false))
}

fn put(row: &mut Row, name: &str, text: impl ToString) {
    row.insert(name.to_owned(), text.to_string());
}

fn put_some(row: &mut Row, name: &str, text: Option<impl ToString>) {
    if let Some(text) = text {
        put(row, name, text);
    }
}

fn put_text(row: &mut Row, name: &str, text: &str) {
    put_some(row, name, Some(text).filter(|t| !t.is_empty()));
}

fn time(ns: u64) -> String {
    let array = arrow_array::TimestampNanosecondArray::from(vec![ns as i64]);
    let options = FormatOptions::default();
    ArrayFormatter::try_new(&array, &options).unwrap().value(0).to_string()
}

fn float(value: f64) -> String {
    let array = PrimitiveArray::<Float64Type>::from(vec![value]);
    let options = FormatOptions::default();
    ArrayFormatter::try_new(&array, &options).unwrap().value(0).to_string()
}

fn uints(values: &[u64]) -> String {
    let array = PrimitiveArray::<UInt64Type>::from(values.to_vec());
    let texts: Vec<_> = array.values().iter().map(u64::to_string).collect();
    format!("[{}]", texts.join(", "))
}

/// Splits attributes into promoted columns and the rest.
fn put_attributes(row: &mut Row, attributes: &[KeyValue], bits: &mut u32) {
    let (kept, mut duplicates) = kept(attributes);
    let mut rest = Vec::new();
    for kv in kept {
        let value = kv.value.as_ref().and_then(|v| v.value.as_ref());
        let column = promoted(Owner::Record, &kv.key);
        match (column.map(|p| p.value_type), value) {
            (Some(ValueType::Text), Some(Value::StringValue(text))) => {
                put(row, column.unwrap().column, text);
            }
            (Some(ValueType::Int), Some(Value::IntValue(v))) => put(row, column.unwrap().column, v),
            _ => rest.push(kv),
        }
    }
    let set = set(&rest, &mut duplicates);
    if duplicates {
        *bits |= quality::DUPLICATE_KEY;
    }
    put_some(row, c::ATTRIBUTES_REST, (!set.is_empty()).then(|| object(&set, false)));
}

/// The columns of resource and scope, and their quality bits.
fn shared(
    table: &str,
    resource: Option<&Resource>,
    resource_url: &str,
    scope: Option<&InstrumentationScope>,
    scope_url: &str,
) -> (Row, u32) {
    let (mut row, mut bits) = (Row::new(), 0);
    put(&mut row, "table", table);
    let empty = (Resource::default(), InstrumentationScope::default());
    let (resource, scope) = (resource.unwrap_or(&empty.0), scope.unwrap_or(&empty.1));
    put_some(&mut row, c::RESOURCE, whole(&resource.attributes, &mut bits));
    put(&mut row, c::RESOURCE_DROPPED, resource.dropped_attributes_count);
    put_text(&mut row, c::RESOURCE_SCHEMA_URL, resource_url);
    let texts = |all: &[String]| all.iter().map(|t| quoted(t)).collect::<Vec<_>>().join(",");
    let refs: Vec<_> = resource
        .entity_refs
        .iter()
        .map(|e| {
            format!(
                r#"{{"description_keys":[{}],"id_keys":[{}],"schema_url":{},"type":{}}}"#,
                texts(&e.description_keys),
                texts(&e.id_keys),
                quoted(&e.schema_url),
                quoted(&e.r#type)
            )
        })
        .collect();
    put_some(
        &mut row,
        c::RESOURCE_ENTITY_REFS,
        (!refs.is_empty()).then(|| format!("[{}]", refs.join(","))),
    );
    put(&mut row, c::SERVICE_NAME, service(resource));
    for kv in kept(&resource.attributes).0 {
        if let (Some(p), Some(Value::StringValue(text))) =
            (promoted(Owner::Resource, &kv.key), kv.value.and_then(|v| v.value))
        {
            put(&mut row, p.column, text);
        }
    }
    put_text(&mut row, c::SCOPE_NAME, &scope.name);
    put_text(&mut row, c::SCOPE_VERSION, &scope.version);
    put_text(&mut row, c::SCOPE_SCHEMA_URL, scope_url);
    put_some(&mut row, c::SCOPE_ATTRIBUTES, whole(&scope.attributes, &mut bits));
    put(&mut row, c::SCOPE_DROPPED, scope.dropped_attributes_count);
    put(&mut row, c::INGESTED_AT, time((RECEIVED_NS - RECEIVED_NS % 1_000_000) as u64));
    (row, bits)
}

fn service(resource: &Resource) -> String {
    let found = resource.attributes.iter().rev().find(|kv| kv.key == "service.name");
    let value = found.map(|kv| json(kv.value.as_ref(), &mut false));
    let text = value.as_deref().and_then(schemas::json::value).map(schemas::json::as_text);
    text.filter(|t| !t.is_empty()).unwrap_or("unknown_service".into()).into_owned()
}

fn word(words: &[&str], number: i32) -> String {
    let word = usize::try_from(number).ok().and_then(|n| words.get(n));
    word.map_or_else(|| number.to_string(), |w| (*w).to_owned())
}

pub(super) fn spans(request: &ExportTraceServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for r in &request.resource_spans {
        for s in &r.scope_spans {
            let shared = shared(
                "spans",
                r.resource.as_ref(),
                &r.schema_url,
                s.scope.as_ref(),
                &s.schema_url,
            );
            rows.extend(s.spans.iter().map(|one| span(shared.clone(), one)));
        }
    }
    rows
}

fn span((mut row, mut bits): (Row, u32), span: &Span) -> Row {
    put(&mut row, c::TRACE_ID, hex(&span.trace_id));
    put(&mut row, c::SPAN_ID, hex(&span.span_id));
    put_text(&mut row, c::PARENT_SPAN_ID, &hex(&span.parent_span_id));
    put(&mut row, c::START_TIME, time(span.start_time_unix_nano));
    let duration = span.end_time_unix_nano as i64 - span.start_time_unix_nano as i64;
    put(&mut row, c::DURATION_NS, duration.max(0));
    put_some(&mut row, c::END_BEFORE_START, (duration < 0).then_some(-duration));
    put(&mut row, c::NAME, &span.name);
    let kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    put(&mut row, c::KIND, word(&kinds, span.kind));
    let status = span.status.clone().unwrap_or_default();
    put(&mut row, c::STATUS_CODE, word(&["unset", "ok", "error"], status.code));
    put_text(&mut row, c::STATUS_MESSAGE, &status.message);
    put_text(&mut row, c::TRACE_STATE, &span.trace_state);
    put(&mut row, c::FLAGS, span.flags);
    put(&mut row, c::DROPPED_ATTRIBUTES_COUNT, span.dropped_attributes_count);
    put(&mut row, c::DROPPED_EVENTS_COUNT, span.dropped_events_count);
    put(&mut row, c::DROPPED_LINKS_COUNT, span.dropped_links_count);
    put_attributes(&mut row, &span.attributes, &mut bits);
    let attributes = |all: &[KeyValue], bits: &mut u32| whole(all, bits).unwrap_or_default();
    let events: Vec<_> = span
        .events
        .iter()
        .map(|e| {
            format!(
                "{{time: {}, name: {}, attributes: {}, dropped_attributes_count: {}}}",
                time(e.time_unix_nano),
                e.name,
                attributes(&e.attributes, &mut bits),
                e.dropped_attributes_count
            )
        })
        .collect();
    put_some(&mut row, c::EVENTS, (!events.is_empty()).then(|| format!("[{}]", events.join(", "))));
    let links: Vec<_> = span
        .links
        .iter()
        .map(|l| {
            format!(
                "{{trace_id: {}, span_id: {}, trace_state: {}, attributes: {}, dropped_attributes_count: {}, flags: {}}}",
                hex(&l.trace_id), hex(&l.span_id), l.trace_state, attributes(&l.attributes, &mut bits),
                l.dropped_attributes_count, l.flags
            )
        })
        .collect();
    put_some(&mut row, c::LINKS, (!links.is_empty()).then(|| format!("[{}]", links.join(", "))));
    put(&mut row, c::QUALITY, bits);
    row
}

pub(super) fn logs(request: &ExportLogsServiceRequest) -> Vec<Row> {
    let mut rows = Vec::new();
    for r in &request.resource_logs {
        for s in &r.scope_logs {
            let shared =
                shared("logs", r.resource.as_ref(), &r.schema_url, s.scope.as_ref(), &s.schema_url);
            rows.extend(s.log_records.iter().map(|one| log(shared.clone(), one)));
        }
    }
    rows
}

fn log((mut row, mut bits): (Row, u32), log: &LogRecord) -> Row {
    let (sent, observed) = (log.time_unix_nano, log.observed_time_unix_nano);
    let first = [sent, observed, RECEIVED_NS as u64].into_iter().find(|t| *t != 0).unwrap();
    put(&mut row, c::TIME, time(first));
    put(&mut row, c::TIME_MISSING, u32::from(sent == 0) + 2 * u32::from(observed == 0));
    put_some(&mut row, c::OBSERVED_TIME, (observed != 0).then(|| time(observed)));
    put_text(&mut row, c::TRACE_ID, &hex(&log.trace_id));
    put_text(&mut row, c::SPAN_ID, &hex(if log.trace_id.is_empty() { &[] } else { &log.span_id }));
    put(&mut row, c::SEVERITY_NUMBER, log.severity_number);
    put_text(&mut row, c::SEVERITY_TEXT, &log.severity_text);
    put_text(&mut row, c::EVENT_NAME, &log.event_name);
    put(&mut row, c::FLAGS, log.flags);
    put(&mut row, c::DROPPED_ATTRIBUTES_COUNT, log.dropped_attributes_count);
    put_attributes(&mut row, &log.attributes, &mut bits);
    if let Some(body) = &log.body {
        let mut duplicates = false;
        let text = json(Some(body), &mut duplicates);
        let (text, name) = match &body.value {
            Some(Value::StringValue(text)) => (text.clone(), "string"),
            Some(Value::BoolValue(_)) => (text, "bool"),
            Some(Value::IntValue(_)) => (text, "int"),
            Some(Value::DoubleValue(_)) => (text, "double"),
            Some(Value::BytesValue(_)) => (text, "bytes"),
            Some(Value::ArrayValue(_)) => (text, "array"),
            Some(Value::KvlistValue(_)) => (text, "map"),
            _ => (text, "empty"),
        };
        put(&mut row, c::BODY, text);
        put(&mut row, c::BODY_TYPE, name);
        bits |= if duplicates { quality::DUPLICATE_KEY } else { 0 };
    }
    put(&mut row, c::QUALITY, bits);
    row
}

/// Rows in the decoder's order: points, histograms, summaries, exemplars.
pub(super) fn metrics(request: &ExportMetricsServiceRequest) -> Vec<Row> {
    let mut tables: [Vec<Row>; 4] = Default::default();
    for r in &request.resource_metrics {
        for s in &r.scope_metrics {
            for m in &s.metrics {
                let shared = |table: &str| {
                    shared(
                        table,
                        r.resource.as_ref(),
                        &r.schema_url,
                        s.scope.as_ref(),
                        &s.schema_url,
                    )
                };
                metric_rows(m, &shared, &mut tables);
            }
        }
    }
    tables.into_iter().flatten().collect()
}

/// What all kinds of points have.
struct Common<'p> {
    attributes: &'p [KeyValue],
    start: u64,
    time: u64,
    flags: u32,
    exemplars: &'p [Exemplar],
}

fn metric_rows(m: &Metric, shared: &dyn Fn(&str) -> (Row, u32), tables: &mut [Vec<Row>; 4]) {
    macro_rules! common {
        ($p:expr, $exemplars:expr) => {
            Common {
                attributes: &$p.attributes,
                start: $p.start_time_unix_nano,
                time: $p.time_unix_nano,
                flags: $p.flags,
                exemplars: $exemplars,
            }
        };
    }
    let temporality = |t: i32| Some(["", "delta", "cumulative"][t as usize]);
    let mut add = |table: usize,
                   kind: &str,
                   t: Option<&str>,
                   mono: Option<bool>,
                   common: Common<'_>,
                   own: Row| {
        let name = ["metric_points", "metric_histograms", "metric_summaries"][table];
        let (mut row, mut bits) = shared(name);
        put_text(&mut row, c::METRIC, &m.name);
        row.entry(c::METRIC.to_owned()).or_default();
        put_text(&mut row, c::UNIT, &m.unit);
        put_text(&mut row, c::DESCRIPTION, &m.description);
        put_some(&mut row, c::METRIC_METADATA, whole(&m.metadata, &mut bits));
        put(&mut row, c::KIND, kind);
        put_some(&mut row, c::TEMPORALITY, t);
        put_some(&mut row, c::IS_MONOTONIC, mono);
        put_some(&mut row, c::START_TIME, (common.start != 0).then(|| time(common.start)));
        put(&mut row, c::TIME, time(common.time));
        put(&mut row, c::FLAGS, common.flags);
        put(&mut row, c::DROPPED_ATTRIBUTES_COUNT, 0);
        put_attributes(&mut row, common.attributes, &mut bits);
        let mut exemplars = Vec::new();
        for e in common.exemplars {
            exemplars.push(exemplar_row(&row, &common, e, &mut bits));
        }
        put(&mut row, c::QUALITY, bits);
        row.extend(own);
        tables[table].push(row);
        for mut row in exemplars {
            put(&mut row, c::QUALITY, bits);
            tables[3].push(row);
        }
    };
    match m.data.as_ref().unwrap() {
        metric::Data::Gauge(g) => {
            for p in &g.data_points {
                add(0, "gauge", None, None, common!(p, &p.exemplars), value_row(p.value));
            }
        }
        metric::Data::Sum(s) => {
            for p in &s.data_points {
                let (t, mono) = (temporality(s.aggregation_temporality), Some(s.is_monotonic));
                add(0, "sum", t, mono, common!(p, &p.exemplars), value_row(p.value));
            }
        }
        metric::Data::Histogram(h) => {
            for p in &h.data_points {
                let mut own = numbers(p.count, p.sum, p.min, p.max);
                let bounds: Vec<_> = p.explicit_bounds.iter().map(|b| float(*b)).collect();
                put(&mut own, c::BOUNDS, format!("[{}]", bounds.join(", ")));
                put(&mut own, c::BUCKET_COUNTS, uints(&p.bucket_counts));
                let t = temporality(h.aggregation_temporality);
                add(1, "histogram", t, None, common!(p, &p.exemplars), own);
            }
        }
        metric::Data::ExponentialHistogram(h) => {
            for p in &h.data_points {
                let mut own = numbers(p.count, p.sum, p.min, p.max);
                put(&mut own, c::SCALE, p.scale);
                put(&mut own, c::ZERO_COUNT, p.zero_count);
                put(&mut own, c::ZERO_THRESHOLD, float(p.zero_threshold));
                for (side, offset, counts) in [
                    (&p.positive, c::POS_OFFSET, c::POS_COUNTS),
                    (&p.negative, c::NEG_OFFSET, c::NEG_COUNTS),
                ] {
                    put_some(&mut own, offset, side.as_ref().map(|b| b.offset));
                    put_some(&mut own, counts, side.as_ref().map(|b| uints(&b.bucket_counts)));
                }
                let t = temporality(h.aggregation_temporality);
                add(1, "exponential_histogram", t, None, common!(p, &p.exemplars), own);
            }
        }
        metric::Data::Summary(s) => {
            for p in &s.data_points {
                let mut own = numbers(p.count, Some(p.sum), None, None);
                let quantiles: Vec<_> = p
                    .quantile_values
                    .iter()
                    .map(|q| {
                        format!("{{quantile: {}, value: {}}}", float(q.quantile), float(q.value))
                    })
                    .collect();
                let quantiles =
                    (!quantiles.is_empty()).then(|| format!("[{}]", quantiles.join(", ")));
                put_some(&mut own, c::QUANTILES, quantiles);
                add(2, "summary", None, None, common!(p, &[]), own);
            }
        }
    }
}

fn numbers(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> Row {
    let mut row = Row::new();
    put(&mut row, c::COUNT, count);
    put_some(&mut row, c::SUM, sum.map(float));
    put_some(&mut row, c::MIN, min.map(float));
    put_some(&mut row, c::MAX, max.map(float));
    row
}

fn value_row(value: Option<number_data_point::Value>) -> Row {
    let mut row = Row::new();
    match value {
        Some(number_data_point::Value::AsDouble(v)) => put(&mut row, c::VALUE_DOUBLE, float(v)),
        Some(number_data_point::Value::AsInt(v)) => put(&mut row, c::VALUE_INT, v),
        None => {}
    }
    row
}

fn exemplar_row(point: &Row, common: &Common<'_>, e: &Exemplar, bits: &mut u32) -> Row {
    let mut row = Row::new();
    put(&mut row, "table", "metric_exemplars");
    for name in [c::METRIC, c::SERVICE_NAME, c::INGESTED_AT] {
        put_some(&mut row, name, point.get(name));
    }
    put_some(&mut row, c::POINT_START_TIME, (common.start != 0).then(|| time(common.start)));
    put(&mut row, c::POINT_TIME, time(common.time));
    put(&mut row, c::TIME, time(e.time_unix_nano));
    match e.value {
        Some(exemplar::Value::AsDouble(v)) => put(&mut row, c::VALUE_DOUBLE, float(v)),
        Some(exemplar::Value::AsInt(v)) => put(&mut row, c::VALUE_INT, v),
        None => {}
    }
    put_text(&mut row, c::TRACE_ID, &hex(&e.trace_id));
    put_text(&mut row, c::SPAN_ID, &hex(&e.span_id));
    put_some(&mut row, c::FILTERED_ATTRIBUTES, whole(&e.filtered_attributes, bits));
    row
}
