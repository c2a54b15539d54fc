//! Who is let in, what a request means, how an answer ends. Routes with a real engine are tested
//! by the integration tests of `cli`.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use api::sql::Stats;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use axum::body::Body;
use futures::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::answer::{Rows, answer};
use super::{ServerInfo, door, request};
use crate::QueryError;
use crate::encode::{Format, Options};

fn info(loopback: bool, hosts: &[&str]) -> ServerInfo {
    ServerInfo {
        ready: Arc::new(|| Ok(())),
        metrics: Arc::new(String::new),
        allowed_hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        allowed_origins: vec!["http://grafana".into()],
        loopback,
    }
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    pairs.iter().map(pair).collect()
}

#[test]
fn strangers_are_refused() {
    for (loopback, hosts, sent, expected) in [
        (true, &[][..], &[("host", "localhost:4319")][..], true),
        (true, &[], &[("host", "127.0.0.1:4319")], true),
        (true, &[], &[("host", "[::1]:4319")], true),
        (true, &[], &[("host", "[::1]")], true),
        (true, &[], &[("host", "evil.example")], false),
        (true, &[], &[("host", "localhost.evil.example:4319")], false),
        (true, &[], &[], false),
        (true, &["lake"], &[("host", "LAKE:80")], true),
        (false, &[], &[("host", "anything")], true),
        (false, &["lake"], &[("host", "other")], false),
        (true, &[], &[("host", "localhost"), ("origin", "http://evil")], false),
        (true, &[], &[("host", "localhost"), ("origin", "null")], false),
        (true, &[], &[("host", "localhost"), ("origin", "http://grafana")], true),
        (true, &[], &[("host", "localhost"), ("sec-fetch-site", "cross-site")], false),
        (true, &[], &[("host", "localhost"), ("sec-fetch-site", "none")], true),
    ] {
        let found = door::allowed(&info(loopback, hosts), &Method::GET, None, &headers(sent));
        assert_eq!(found.is_ok(), expected, "{sent:?}");
    }
    let info = info(true, &[]);
    assert!(door::allowed(&info, &Method::GET, Some("localhost:1"), &headers(&[])).is_ok());
    assert!(door::allowed(&info, &Method::GET, Some("evil"), &headers(&[])).is_err());
}

/// Status and body of `GET path` from `host`, without an engine.
async fn get(info: ServerInfo, host: &str, path: &str) -> String {
    let routes = super::guarded(super::health(&info), info);
    let request = http::Request::get(path).header("host", host);
    let response = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    format!("{status} {}", String::from_utf8_lossy(&body).trim_end())
}

#[tokio::test]
async fn health_and_wrong_turns() {
    let broken = ServerInfo { ready: Arc::new(|| Err("disk full".into())), ..info(true, &[]) };
    let good = info(true, &[]);
    for (info, host, path, expected) in [
        (&good, "localhost", "/livez", "200 ok"),
        (&good, "localhost", "/readyz", "200 ok"),
        (&good, "localhost", "/readyz?verbose", "200 {\"ready\":true,\"reason\":null}"),
        (&broken, "localhost", "/readyz", "503 disk full"),
        (&broken, "localhost", "/-/ready", "503 disk full"),
        (&broken, "localhost", "/livez", "200 ok"),
        (
            &good,
            "localhost",
            "/api/v2/sql",
            "404 {\"code\":\"unknown_path\",\"status\":404,\"detail\":\"no such path\",\"hint\":\"SQL is POST /api/v1/sql; docs/api.md lists the others; also /livez, /readyz, /metrics\"}",
        ),
    ] {
        assert_eq!(get(info.clone(), host, path).await, expected, "{path}");
    }
    let refused = get(good, "evil.example", "/metrics").await;
    assert!(refused.starts_with("403 {\"code\":\"forbidden\""), "{refused}");
}

/// `sql|limit|timeout|format|int64` or the code of the error.
fn read(query: &str, sent: &[(&'static str, &'static str)], body: Option<&[u8]>) -> String {
    let asked = match body {
        Some(body) => request::from_body(query, &headers(sent), body),
        None => request::from_query(query, &headers(sent)),
    };
    match asked {
        Ok(a) => format!(
            "{}|{:?}|{:?}|{}|{}",
            a.sql.sql,
            a.sql.limit,
            a.sql.timeout_s,
            a.format.name(),
            a.options.int64_as_text
        ),
        Err(error) => error.0.code,
    }
}

#[test]
fn requests_are_understood() {
    let json = &[("content-type", "application/json; charset=utf-8")][..];
    for (query, sent, body, expected) in [
        ("q=SELECT%201%2B1", &[][..], None, "SELECT 1+1|None|None|json|false"),
        (
            "q=SELECT+1&format=csv&limit=5&timeout=1.5&int64=string",
            &[("accept", "text/plain")],
            None,
            "SELECT 1|Some(5)|Some(1.5)|csv|true",
        ),
        ("", &[], None, "syntax"),
        ("q=1&colour=red", &[], None, "syntax"),
        ("q=1&format=parquet", &[], None, "unsupported"),
        ("", &[], Some(&b"SELECT 1"[..]), "SELECT 1|None|None|json|false"),
        ("", &[("accept", "text/csv")], Some(b"SELECT 1"), "SELECT 1|None|None|csv|false"),
        ("limit=3", json, Some(br#"{"sql":"S","limit":9}"#), "S|Some(3)|None|json|false"),
        ("", json, Some(br#"{"sql":"S","timeout_s":2}"#), "S|None|Some(2.0)|json|false"),
        ("", json, Some(br#"{"sql":"S","tenant":"x"}"#), "syntax"),
        ("", json, Some(b"SELECT 1"), "syntax"),
        ("", &[], Some(b"\xff"), "syntax"),
        ("", &[("content-type", "text/xml")], Some(b"x"), "unsupported"),
    ] {
        assert_eq!(read(query, sent, body), expected, "{query} {sent:?}");
    }
}

/// A canned answer that says when it is dropped.
struct Canned {
    rest: std::vec::IntoIter<Result<RecordBatch, QueryError>>,
    dropped: Arc<AtomicBool>,
}

impl Stream for Canned {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.rest.next())
    }
}

impl Rows for Canned {
    fn stats(&self) -> Stats {
        Stats { rows: 7, ..Stats::default() }
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]))
}

fn rows(n: i64) -> Result<RecordBatch, QueryError> {
    let column = Arc::new(Int64Array::from_iter_values(0..n));
    Ok(RecordBatch::try_new(schema(), vec![column]).unwrap())
}

fn canned(batches: Vec<Result<RecordBatch, QueryError>>) -> (Canned, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    (Canned { rest: batches.into_iter(), dropped: Arc::clone(&dropped) }, dropped)
}

async fn respond(
    batches: Vec<Result<RecordBatch, QueryError>>,
    format: Format,
) -> Result<axum::response::Response, QueryError> {
    answer(canned(batches).0, "q1", &schema(), format, Options::default()).await
}

#[tokio::test]
async fn a_short_answer_goes_out_whole() {
    let response = respond(vec![rows(2), rows(1)], Format::Csv).await.unwrap();
    let stats = response.headers()["x-query-stats"].to_str().unwrap();
    assert!(stats.contains("\"rows\":7"), "{stats}");
    assert_eq!(response.headers()["x-query-id"], "q1");
    assert!(!response.headers().contains_key("trailer"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "x\r\n0\r\n1\r\n0\r\n");
}

#[tokio::test]
async fn a_failure_before_the_first_byte_has_its_own_status() {
    let error = respond(vec![rows(2), Err(QueryError::timeout("late"))], Format::Json).await;
    assert_eq!(error.unwrap_err().0.status, 504);
}

#[tokio::test]
async fn a_long_answer_is_streamed_and_tells_of_its_failure() {
    let long = || rows(100_000);
    for (format, end) in [
        (Format::Json, "\"detail\":\"late\"}}\n"),
        (Format::Ndjson, "\"detail\":\"late\"}}\n"),
        (Format::Csv, "99999\r\n"),
        (Format::Text, "error: late\n"),
    ] {
        let batches = vec![long(), Err(QueryError::timeout("late"))];
        let response = respond(batches, format).await.unwrap();
        assert!(!response.headers().contains_key("x-query-stats"));
        let collected = response.into_body().collect().await.unwrap();
        let trailers = collected.trailers().unwrap().clone();
        assert!(trailers["x-query-error"].to_str().unwrap().contains("timeout"));
        assert!(trailers.contains_key("x-query-stats"));
        let body = collected.to_bytes();
        assert!(body.ends_with(end.as_bytes()), "{format:?}");
    }
    let response = respond(vec![long(), rows(1)], Format::Csv).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert!(!collected.trailers().unwrap().contains_key("x-query-error"));
}

#[tokio::test]
async fn dropping_the_body_drops_the_query() {
    let (stream, dropped) = canned(vec![rows(100_000), rows(100_000)]);
    let options = Options::default();
    let response = answer(stream, "q", &schema(), Format::Csv, options).await.unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    drop(response);
    assert!(dropped.load(Ordering::SeqCst));
}
