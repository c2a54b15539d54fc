//! SQL behaviour: every file of `slt/` against a server filled with the same few records.

use std::path::Path;

use api::client::ClientError;
use serde_json::{Value, json};
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};
use tempfile::TempDir;

use crate::support::{Server, attribute, block_on, request, span};

/// 2026-11-22T10:00:00Z
const START_NS: i64 = 1_795_341_600_000_000_000;

#[test]
fn every_file_answers_as_written() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &["--retain", "0"]);
    fill(&server);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/slt");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Asking(&server)) });
        if let Err(error) = runner.run_file(&file) {
            panic!("{}: {}", file.display(), error.display(false));
        }
    }
}

/// Three spans of one trace, two logs, three points.
fn fill(server: &Server) {
    let ms = 1_000_000;
    let root = span(1, None, START_NS, 20 * ms, "POST /orders");
    let mut child = span(2, Some(1), START_NS + 5 * ms, 10 * ms, "charge");
    child["status"] = json!({"code": 2, "message": "refused"});
    child["attributes"] = json!([
        attribute("retry", true),
        attribute("amount", 12.5),
        attribute("http.route", "/charge")
    ]);
    let mut plain = span(3, Some(1), START_NS + 16 * ms, ms, "reserve");
    plain["attributes"] = json!([]);
    server.accept("traces", &request("traces", "gateway", vec![root]));
    server.accept("traces", &request("traces", "payment", vec![child, plain]));
    let log = |offset: i64, number: i64, body: Value| json!({"timeUnixNano": (START_NS + offset * ms).to_string(), "severityNumber": number, "body": body});
    let logs = vec![
        log(1, 9, json!({"stringValue": "order taken"})),
        log(12, 17, json!({"kvlistValue": {"values": [attribute("reason", "refused")]}})),
    ];
    server.accept("logs", &request("logs", "payment", logs));
    let point = |value: i64, route: &str| {
        json!({"timeUnixNano": START_NS.to_string(), "startTimeUnixNano": (START_NS - ms).to_string(),
               "asInt": value.to_string(), "attributes": [attribute("http.route", route)]})
    };
    let sum = json!({"name": "requests", "unit": "1", "sum": {
        "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point(3, "/a"), point(4, "/b")]}});
    let gauge = json!({"name": "load", "gauge": {"dataPoints": [{"timeUnixNano": START_NS.to_string(), "asDouble": 0.5}]}});
    server.accept("metrics", &request("metrics", "payment", vec![sum, gauge]));
}

struct Asking<'a>(&'a Server);

#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Message and hint, so that a file can expect either.
fn refused(error: ClientError) -> Refused {
    match error {
        ClientError::Refused(problem) => {
            Refused(format!("{} ({})", problem.message, problem.hint.unwrap_or_default()))
        }
        other => Refused(other.to_string()),
    }
}

impl DB for Asking<'_> {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let client = api::client::Client::new(&self.0.url()).map_err(|e| Refused(e.to_string()))?;
        let request = api::sql::SqlRequest { sql: sql.to_owned(), ..Default::default() };
        let answer = block_on(client.sql(&request)).map_err(refused)?;
        let types = answer.schema.iter().map(|field| column_type(&field.kind)).collect();
        let row = |row: &serde_json::Map<String, Value>| {
            answer.schema.iter().map(|field| shown(&row[&field.name])).collect()
        };
        Ok(DBOutput::Rows { types, rows: answer.rows.iter().map(row).collect() })
    }

    fn engine_name(&self) -> &str {
        "otlake"
    }
}

fn column_type(kind: &str) -> DefaultColumnType {
    match kind {
        kind if kind.contains("int") => DefaultColumnType::Integer,
        "double" | "real" | "float" => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::String(text) if text.is_empty() => "(empty)".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
