//! OTLP in, SQL out: visible when acknowledged, rejected records told, restart loses nothing.

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Server, attribute, request, span, stdout_of};

#[test]
fn acknowledged_is_visible_for_all_signals() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let now_ns = api::time::now_ns();
    server.accept(
        "traces",
        &request("traces", "checkout", vec![span(1, None, now_ns, 5_000_000, "POST /orders")]),
    );
    let log = json!({
        "timeUnixNano": now_ns.to_string(),
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": {"stringValue": "payment refused"},
        "attributes": [attribute("order.id", 7)],
    });
    server.accept("logs", &request("logs", "checkout", vec![log]));
    let point = json!({"timeUnixNano": now_ns.to_string(), "asDouble": 1.5, "attributes": [attribute("queue", "a")]});
    let gauge = json!({"name": "queue.depth", "unit": "1", "gauge": {"dataPoints": [point]}});
    server.accept("metrics", &request("metrics", "checkout", vec![gauge]));

    let spans = server.sql("select service_name, name, kind, duration_ns, trace_id, attributes['http.response.status_code']::bigint as code from spans");
    assert_eq!(
        serde_json::Value::from(spans[0].clone()),
        json!({"service_name": "checkout", "name": "POST /orders", "kind": "server", "duration_ns": 5_000_000,
               "trace_id": format!("{:032x}", 0xabcd), "code": 200})
    );
    let logs =
        server.sql("select body, severity_number, attributes['order.id']::bigint as id from logs");
    assert_eq!(
        serde_json::Value::from(logs[0].clone()),
        json!({"body": "payment refused", "severity_number": 17, "id": 7})
    );
    let points =
        server.sql("select metric, value_double, attributes['queue'] as queue from metric_points");
    assert_eq!(
        serde_json::Value::from(points[0].clone()),
        json!({"metric": "queue.depth", "value_double": 1.5, "queue": "a"})
    );
}

#[test]
fn bad_records_are_left_out_and_told() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let now_ns = api::time::now_ns();
    let mut bad = span(2, None, now_ns, 1, "bad");
    bad["traceId"] = json!("00000000000000000000000000000000");
    let (status, answer) =
        server.send("traces", &request("traces", "s", vec![span(1, None, now_ns, 1, "good"), bad]));
    assert_eq!(status, 200);
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], json!("1"), "{answer}");
    assert_eq!(server.sql("select name from spans").len(), 1);
}

#[test]
fn a_stopped_server_leaves_its_rows_to_the_directory() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.accept(
        "traces",
        &request("traces", "s", vec![span(1, None, api::time::now_ns(), 1, "kept")]),
    );
    assert!(server.stop().success());
    let dir = dir.path().to_str().unwrap();
    assert_eq!(stdout_of(&["sql", "--data", dir, "select name from spans"]), "kept\n");
}

#[test]
fn a_directory_is_readable_while_its_server_runs_and_after_its_death() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.accept(
        "traces",
        &request("traces", "s", vec![span(1, None, api::time::now_ns(), 1, "fresh")]),
    );
    let path = dir.path().to_str().unwrap();
    let words = ["sql", "--data", path, "select count(*) from spans"];
    assert_eq!(stdout_of(&words), "1\n");
    server.kill();
    assert_eq!(stdout_of(&words), "1\n");
}

#[test]
fn what_is_exported_can_be_imported_and_is_the_same() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let now_ns = api::time::now_ns();
    let spans = (1..=50).map(|id| span(id, (id > 1).then_some(1), now_ns, 10, "op")).collect();
    server.accept("traces", &request("traces", "s", spans));
    let files = TempDir::new().unwrap();
    let copy = files.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let copy = copy.to_str().unwrap();
    let question = "select count(*), count(distinct span_id), sum(attributes['http.response.status_code']::bigint) from spans";
    for format in ["json", "protobuf"] {
        let file = files.path().join(format);
        let file = file.to_str().unwrap();
        stdout_of(&[
            "export",
            "--signal",
            "traces",
            "--format",
            format,
            "--url",
            &server.url(),
            "-o",
            file,
        ]);
        let mut words = vec!["import", "--data", copy, "--allow-repeats", file];
        if format == "protobuf" {
            words.extend(["--signal", "traces"]);
        }
        stdout_of(&words);
    }
    assert_eq!(stdout_of(&["sql", "--data", copy, question]), "100\t50\t20000\n");
}
