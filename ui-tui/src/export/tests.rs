//! Files say what the screen says, and run nothing.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use api::views::{LogRow, SpanEvent, TraceSpan};
use serde_json::json;

use super::*;

fn grid() -> Grid {
    let text = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
    Grid {
        columns: text(&["name", "value"]),
        rows: vec![text(&["=cmd()", "-1.5"]), text(&["a,\"b\"", "2"])],
    }
}

#[test]
fn formulas_become_text() {
    assert_eq!(csv(&grid()), "name,value\r\n'=cmd(),-1.5\r\n\"a,\"\"b\"\"\",2\r\n");
}

#[test]
fn json_has_an_object_a_row() {
    let rows: serde_json::Value = serde_json::from_str(&json(&grid())).unwrap();
    assert_eq!(rows[0]["name"], "=cmd()");
    assert_eq!(rows[1]["value"], "2");
}

#[test]
fn spans_are_written_as_they_would_be_sent() {
    let span = TraceSpan {
        trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
        span_id: "b7ad6b7169203331".into(),
        start_time: "2026-11-22T15:45:00.000000001Z".into(),
        duration_ns: 7,
        name: "GET".into(),
        kind: Some("server".into()),
        status_code: Some("error".into()),
        attributes: Some(
            json!({"n": 3, "x": 0.5, "ok": true, "list": ["a", null], "map": {"k": "v"}}),
        ),
        resource: Some(json!({"service.name": "cart"})),
        events: vec![SpanEvent {
            time: "2026-11-22T15:45:00.000000002Z".into(),
            name: "retry".into(),
            attributes: None,
        }],
        ..TraceSpan::default()
    };
    let twice = TraceSpan { is_duplicate: Some(true), ..span.clone() };
    let other = TraceSpan { resource: Some(json!({"service.name": "db"})), ..span.clone() };
    let written: serde_json::Value =
        serde_json::from_str(&otlp::spans(&[span, twice, other])).unwrap();
    let resources = written["resourceSpans"].as_array().unwrap();
    assert_eq!(resources.len(), 2);
    assert_eq!(
        resources[0]["resource"]["attributes"],
        json!([{"key": "service.name", "value": {"stringValue": "cart"}}])
    );
    let spans = &resources[0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().unwrap().len(), 1);
    let expected = json!({
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": "b7ad6b7169203331",
        "parentSpanId": "",
        "name": "GET",
        "kind": 2,
        "startTimeUnixNano": "1795362300000000001",
        "endTimeUnixNano": "1795362300000000008",
        "attributes": [
            {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
            {"key": "n", "value": {"intValue": "3"}},
            {"key": "ok", "value": {"boolValue": true}},
            {"key": "x", "value": {"doubleValue": 0.5}},
        ],
        "events": [{"timeUnixNano": "1795362300000000002", "name": "retry", "attributes": []}],
        "links": [],
        "status": {"code": 2, "message": ""},
    });
    assert_eq!(spans[0], expected);
}

#[test]
fn log_records_are_written_as_they_would_be_sent() {
    let row = LogRow {
        time: "2026-11-22T15:45:00Z".into(),
        service_name: "cart".into(),
        severity_number: Some(17),
        body: Some("lost".into()),
        ..LogRow::default()
    };
    let written: serde_json::Value = serde_json::from_str(&otlp::logs([&row].into_iter())).unwrap();
    let record = &written["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["body"], json!({"stringValue": "lost"}));
    assert_eq!(record["severityNumber"], 17);
    assert_eq!(record["timeUnixNano"], "1795362300000000000");
}
