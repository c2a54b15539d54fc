//! Answers are bounded, failures keep their kind.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use futures::executor::block_on;
use futures::stream;

use super::*;

fn answer(status: u16, chunks: &[&str]) -> Answer {
    let chunks: Vec<_> = chunks.iter().map(|c| Ok(Bytes::from((*c).to_owned()))).collect();
    Answer::new(status, None, Box::pin(stream::iter(chunks)))
}

fn check_sql(status: u16, body: &str, expected: &str) {
    let (head, tail) = body.split_at(body.len() / 2);
    let said = match block_on(async { answer(status, &[head, tail]).checked().await?.sql().await })
    {
        Ok(answer) => format!("rows {}", answer.rows.len()),
        Err(ClientError::Refused(problem)) => format!("refused {}", problem.code),
        Err(error) => error.to_string(),
    };
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn answers_keep_their_kind() {
    let whole = r#"{"schema":[{"name":"n","type":"bigint"}],"rows":[{"n":1}],"stats":{}}"#;
    let cut = r#"{"schema":[],"rows":[],"error":{"code":"timeout","status":504,"detail":"30 s"}}"#;
    let problem = r#"{"code":"syntax","status":400,"detail":"no"}"#;
    check_sql(200, whole, "rows 1");
    check_sql(200, cut, "refused timeout");
    check_sql(400, problem, "refused syntax");
    check_sql(502, "<html>", "HTTP status 502: <html>");
    check_sql(200, "nonsense", "not an answer of otlake");
}

#[test]
fn a_large_answer_is_refused() {
    let mut large = answer(200, &["0123456789"]);
    large.bytes_left = 9;
    assert!(matches!(block_on(large.bytes()), Err(ClientError::Garbled(_))));
}

#[test]
fn an_address_needs_a_scheme() {
    assert!(Client::new("127.0.0.1:4319").is_err());
    assert_eq!(Client::new("http://127.0.0.1:4319/").unwrap().url(), "http://127.0.0.1:4319");
}

#[test]
fn a_failure_in_the_trailers_ends_the_answer() {
    let mut trailers = http::HeaderMap::new();
    let problem = r#"{"code":"timeout","status":504,"detail":"30 s"}"#;
    trailers.insert(QUERY_ERROR, http::HeaderValue::from_static(problem));
    let frames = [http_body::Frame::data(Bytes::from("a,b")), http_body::Frame::trailers(trailers)];
    let frames = frames.map(Ok::<_, std::convert::Infallible>);
    let mut answer =
        Answer::new(200, None, body(http_body_util::StreamBody::new(stream::iter(frames))));
    assert_eq!(block_on(answer.chunk()).unwrap().unwrap(), "a,b");
    assert!(
        matches!(block_on(answer.chunk()), Err(ClientError::Refused(p)) if p.code == "timeout")
    );
}
