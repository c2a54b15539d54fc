//! Spans of a trace and log records as OTLP/JSON, for `otlake import` and for other backends.
//!
//! Fields as in the proto3 JSON mapping of OTLP: ids in hex, enums as numbers, 64-bit integers as
//! texts. What a screen does not know (scopes, flags, trace state) is left out.

use std::collections::BTreeMap;

use api::time;
use api::views::{LogRow, TraceSpan};
use serde_json::{Map, Value, json};

/// One `ExportTraceServiceRequest`; a span that came twice is there once.
pub(crate) fn spans(spans: &[TraceSpan]) -> String {
    let once = spans.iter().filter(|span| span.is_duplicate != Some(true));
    let of_resource =
        grouped(once.map(|row| (row.resource.clone().unwrap_or_default(), span(row))));
    let resource = |(resource, spans): (Value, Vec<Value>)| json!({"resource": {"attributes": key_values(Some(&resource))}, "scopeSpans": [{"spans": spans}]});
    let resources: Vec<Value> = of_resource.into_iter().map(resource).collect();
    json!({ "resourceSpans": resources }).to_string()
}

/// One `ExportLogsServiceRequest`. Of resources, rows know the service alone.
pub(crate) fn logs<'a>(rows: impl Iterator<Item = &'a LogRow>) -> String {
    let of_resource =
        grouped(rows.map(|row| (json!({"service.name": row.service_name}), record(row))));
    let resource = |(resource, records): (Value, Vec<Value>)| json!({"resource": {"attributes": key_values(Some(&resource))}, "scopeLogs": [{"logRecords": records}]});
    let resources: Vec<Value> = of_resource.into_iter().map(resource).collect();
    json!({ "resourceLogs": resources }).to_string()
}

/// Items by their resource, in the order of its text.
fn grouped(items: impl Iterator<Item = (Value, Value)>) -> Vec<(Value, Vec<Value>)> {
    let mut groups: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for (resource, item) in items {
        let group = groups.entry(resource.to_string()).or_insert_with(|| (resource, Vec::new()));
        group.1.push(item);
    }
    groups.into_values().collect()
}

fn span(span: &TraceSpan) -> Value {
    const KINDS: [&str; 5] = ["internal", "server", "client", "producer", "consumer"];
    let kind = KINDS.iter().position(|kind| span.kind.as_deref() == Some(kind));
    let code = match span.status_code.as_deref() {
        Some("ok") => 1,
        Some("error") => 2,
        _ => 0,
    };
    let start_ns = unix_ns(&span.start_time);
    let event = |event: &api::views::SpanEvent| {
        json!({
            "timeUnixNano": unix_ns(&event.time).to_string(),
            "name": event.name,
            "attributes": key_values(event.attributes.as_ref()),
        })
    };
    let link = |link: &api::views::SpanLink| {
        json!({
            "traceId": link.trace_id,
            "spanId": link.span_id,
            "attributes": key_values(link.attributes.as_ref()),
        })
    };
    json!({
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_span_id.as_deref().unwrap_or(""),
        "name": span.name,
        "kind": kind.map_or(0, |place| place + 1),
        "startTimeUnixNano": start_ns.to_string(),
        "endTimeUnixNano": start_ns.saturating_add(span.duration_ns).to_string(),
        "attributes": key_values(span.attributes.as_ref()),
        "events": span.events.iter().map(event).collect::<Vec<_>>(),
        "links": span.links.iter().map(link).collect::<Vec<_>>(),
        "status": {"code": code, "message": span.status_message.as_deref().unwrap_or("")},
    })
}

fn record(row: &LogRow) -> Value {
    let mut record = json!({
        "timeUnixNano": unix_ns(&row.time).to_string(),
        "severityNumber": row.severity_number.unwrap_or(0),
        "severityText": row.severity_text.as_deref().unwrap_or(""),
        "eventName": row.event_name.as_deref().unwrap_or(""),
        "attributes": key_values(row.attributes.as_ref()),
        "traceId": row.trace_id.as_deref().unwrap_or(""),
        "spanId": row.span_id.as_deref().unwrap_or(""),
    });
    if let Some(body) = &row.body {
        record["body"] = json!({ "stringValue": body });
    }
    record
}

fn unix_ns(text: &str) -> i64 {
    time::parse(text, 0).unwrap_or(0)
}

fn key_values(attributes: Option<&Value>) -> Value {
    let of = |fields: &Map<String, Value>| {
        fields.iter().map(|(key, value)| json!({"key": key, "value": any_value(value)})).collect()
    };
    Value::Array(attributes.and_then(Value::as_object).map(of).unwrap_or_default())
}

fn any_value(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Number(number) => match number.as_i64() {
            Some(int) => json!({ "intValue": int.to_string() }),
            None => json!({ "doubleValue": number }),
        },
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(any_value).collect::<Vec<_>>()}})
        }
        Value::Object(_) => json!({"kvlistValue": {"values": key_values(Some(value))}}),
    }
}
