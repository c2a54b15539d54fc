//! What a client is told for each kind of engine error.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::QueryError;

/// `code status @line:column message | hint` of what planning `sql` says.
async fn told(sql: &str) -> String {
    let config = SessionConfig::new().set_bool("datafusion.sql_parser.collect_spans", true);
    let context = SessionContext::new_with_config(config);
    let fields = vec![
        Field::new("service_name", DataType::Utf8, true),
        Field::new("duration_ns", DataType::Int64, true),
    ];
    let batch = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    context.register_batch("spans", batch).unwrap();
    match context.sql(sql).await {
        Ok(_) => "ok".to_owned(),
        Err(error) => text(&QueryError::from_datafusion(error, sql)),
    }
}

fn text(error: &QueryError) -> String {
    let p = &error.0;
    let place = match (p.line, p.column) {
        (Some(line), Some(column)) => format!(" @{line}:{column}"),
        _ => String::new(),
    };
    let hint = p.hint.as_deref().map(|h| format!(" | {h}")).unwrap_or_default();
    format!("{} {}{place} {}{hint}", p.code, p.status, p.message)
}

#[tokio::test]
async fn planning_errors_say_where_and_what_to_do() {
    for (sql, expected) in [
        (
            "SELECT servce_name FROM spans",
            "unknown_column 400 @1:8 no column \"servce_name\" | did you mean service_name?",
        ),
        (
            "SELECT 1,\n  http.route FROM spans",
            "unknown_column 400 @2:3 no column \"route\" in http | DESCRIBE the table to see its columns; attributes are attributes['key']",
        ),
        (
            "SELECT * FROM spans WHERE service_name = \"order\"",
            "unknown_column 400 @1:42 no column \"order\" | attributes are written attributes['order'], texts in single quotes: 'order'",
        ),
        ("SELECT * FROM span", "unknown_table 400 @1:15 no table span | did you mean spans?"),
        ("SELECT * FROM zzz", "unknown_table 400 @1:15 no table zzz | SHOW TABLES lists all"),
        (
            "SELECT date_trunk('day', now())",
            "unknown_function 400 @1:8 no function date_trunk() | did you mean date_trunc()?",
        ),
        ("SELECT * FROM zzz()", "unknown_function 400 no table function zzz()"),
        ("SELECT 1 FRM spans WHERE", "syntax 400 @1:14 Expected: end of statement, found: spans"),
    ] {
        assert_eq!(told(sql).await, expected, "{sql}");
    }
}

#[test]
fn running_errors_hide_the_inside() {
    let ours = QueryError::timeout("over 30 s");
    let io = std::io::Error::other("/var/lib/secret/file.parquet: gone");
    for (error, expected) in [
        (
            DataFusionError::ResourcesExhausted("Failed to allocate 5 GB for HashJoin".into()),
            "limit 422 the query needs more memory than it may use | narrow the time range, group by fewer values, or add a LIMIT",
        ),
        (
            DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None),
            "failed 422 division by zero | divide by nullif(x, 0) to get NULL instead",
        ),
        (
            DataFusionError::IoError(io),
            "internal 500 the engine failed on this statement | the server's log has the details; please report the statement",
        ),
        (
            DataFusionError::Context(
                "x".into(),
                Box::new(DataFusionError::External(Box::new(ours))),
            ),
            "timeout 504 over 30 s",
        ),
        (
            DataFusionError::Shared(Arc::new(DataFusionError::Execution(
                "bad cast\n\nbacktrace: /x".into(),
            ))),
            "failed 422 bad cast",
        ),
    ] {
        assert_eq!(text(&QueryError::from_datafusion(error, "")), expected);
    }
}
