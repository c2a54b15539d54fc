//! Every row of the answers table over gRPC, frame by frame.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use schemas::Signal;
use storage::StorageError;
use tonic_types::pb;

use super::timeout;
use crate::testing::{
    CallReply, Double, Server, TRACES, call, call_head, call_on, config, connect, eventually,
    frame, raw_http, read_call,
};
use crate::{CollectorConfig, Condition};

const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
type Headers<'a> = &'a [(&'a str, &'a str)];

const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 3;
const DEADLINE_EXCEEDED: i32 = 4;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;

/// Calls, then compares the code and looks for a text in the percent-encoded message.
async fn check(
    server: &Server,
    path: &str,
    headers: Headers<'_>,
    body: Bytes,
    code: i32,
    text: &str,
) -> CallReply {
    let reply = call(server.grpc, path, headers, body).await;
    assert_eq!(reply.http, 200, "{path}: {reply:?}");
    assert_eq!(reply.field("content-type"), "application/grpc");
    assert_eq!(reply.code(), code, "{path}: {reply:?}");
    assert!(reply.field("grpc-message").contains(text), "{text:?} not in {reply:?}");
    reply
}

fn decoded<M: Message + Default>(reply: &CallReply, field: &str) -> Option<M> {
    let text = reply.fields.get(field)?;
    Some(M::decode(&*STANDARD_NO_PAD.decode(text).unwrap()).unwrap())
}

/// The delays of both places that clients read.
fn delays(reply: &CallReply) -> (Option<f64>, Option<f64>) {
    let seconds = |info: pb::RetryInfo| {
        let delay = info.retry_delay.unwrap();
        delay.seconds as f64 + f64::from(delay.nanos) / 1e9
    };
    let status: Option<pb::Status> = decoded(reply, "grpc-status-details-bin");
    let in_details = status.and_then(|s| {
        let url = "type.googleapis.com/google.rpc.RetryInfo";
        let detail = s.details.into_iter().find(|d| d.type_url == url)?;
        Some(seconds(pb::RetryInfo::decode(&*detail.value).unwrap()))
    });
    (in_details, decoded(reply, "google.rpc.retryinfo-bin").map(seconds))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn successes() {
    let server = Server::new();
    let zstd = zstd::encode_all(&b"ok=5"[..], 1).unwrap();
    let members = [gzip("ok=1 "), gzip("ok=10")].concat();
    #[rustfmt::skip]
    let cases: [(&str, Headers<'_>, Bytes); 9] = [
        (TRACES,  &[], frame(0, b"ok=1")),
        (METRICS, &[], frame(0, b"ok=2")),
        (LOGS,    &[], frame(0, b"ok=3")),
        (TRACES,  &[("content-type", "application/grpc+proto")], frame(0, b"ok=4")),
        (TRACES,  &[], frame(0, b"")),
        (TRACES,  &[("grpc-encoding", "gzip")], frame(1, &members)),
        (TRACES,  &[("grpc-encoding", "gzip")], frame(0, b"ok=12")),
        (TRACES,  &[("grpc-encoding", "zstd"), ("grpc-timeout", "5S")], frame(1, &zstd)),
        (TRACES,  &[("origin", "http://localhost:1")], frame(0, b"ok=6")),
    ];
    for (path, headers, body) in cases {
        let reply = check(&server, path, headers, body, OK, "").await;
        assert_eq!(reply.data, [0; 5], "{reply:?}");
    }
    assert_eq!(server.store.accepted(), 1 + 2 + 3 + 4 + 11 + 12 + 5 + 6);
}

#[tokio::test]
async fn partial_success_counts_and_says_why() {
    let server = Server::new();
    let reply = check(&server, METRICS, &[], frame(0, b"ok=999 bad=1"), OK, "").await;
    assert_eq!(reply.data[0], 0);
    assert_eq!(reply.data[1..5], u32::to_be_bytes(reply.data.len() as u32 - 5));
    let partial = ExportMetricsServiceResponse::decode(&reply.data[5..]).unwrap();
    let partial = partial.partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 1);
    assert!(partial.error_message.starts_with("1 rejected as bad_span_id"), "{partial:?}");
}

#[tokio::test]
async fn refusals() {
    let limits = CollectorConfig { wire_bytes_max: 1000, decoded_bytes_max: 2000, ..config() };
    let server = Server::with(limits, Double::default());
    let bomb = gzip(&"x".repeat(100_000));
    let two = [frame(0, b"ok=1"), frame(0, b"ok=2")].concat();
    let cut = frame(0, b"ok=1").slice(..7);
    let profiles = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    #[rustfmt::skip]
    let cases: [(&str, Headers<'_>, Bytes, i32, &str); 16] = [
        (TRACES, &[], frame(0, b"nonsense"), INVALID_ARGUMENT, "unknown word nonsense"),
        (TRACES, &[], frame(0, b"malformed=9"), INVALID_ARGUMENT, "every span is malformed"),
        (TRACES, &[("grpc-encoding", "gzip")], frame(1, b"not gzip"), INVALID_ARGUMENT, "compressed"),
        (TRACES, &[("grpc-encoding", "gzip")], frame(1, &gzip("ok=1")[..9]), INVALID_ARGUMENT, "cut"),
        (TRACES, &[("grpc-encoding", "br")], frame(1, b"x"), UNIMPLEMENTED, "compression br"),
        (TRACES, &[("grpc-encoding", "gzip")], frame(1, &bomb), RESOURCE_EXHAUSTED, "--decoded-bytes-max"),
        (TRACES, &[], frame(0, &[b' '; 1001]), RESOURCE_EXHAUSTED, "1001 bytes"),
        (TRACES, &[], two.into(), INVALID_ARGUMENT, "takes one message"),
        (TRACES, &[], frame(1, b"ok=1"), INTERNAL, "grpc-encoding is absent"),
        (TRACES, &[], frame(2, b"ok=1"), INTERNAL, "flag byte"),
        (TRACES, &[], cut, INTERNAL, "in the middle"),
        (TRACES, &[], Bytes::new(), INTERNAL, "5-byte header"),
        (profiles, &[], frame(0, b"ok=1"), UNIMPLEMENTED, "profiles are not stored"),
        ("/other.Service/Call", &[], frame(0, b"ok=1"), UNIMPLEMENTED, "TraceService"),
        (TRACES, &[("origin", "https://evil.example")], frame(0, b"ok=1"), PERMISSION_DENIED, "--allow-origin"),
        (TRACES, &[("grpc-timeout", "0m")], frame(0, b"ok=1"), DEADLINE_EXCEEDED, "deadline"),
    ];
    for (path, headers, body, code, text) in cases {
        let reply = check(&server, path, headers, body, code, text).await;
        assert_eq!(delays(&reply), (None, None), "{text}");
        assert!(reply.data.is_empty());
    }
    let reply = call(server.grpc, TRACES, &[("grpc-encoding", "br")], frame(1, b"x")).await;
    assert!(reply.field("grpc-accept-encoding").contains("gzip"), "{reply:?}");
    assert_eq!(server.store.accepted(), 0);
    assert_eq!(server.stats.refused(Condition::BadFrame), 4);
    assert_eq!(server.stats.in_flight_bytes(), 0);
}

#[tokio::test]
async fn undecodable_names_the_field() {
    let server = Server::new();
    let reply = check(&server, TRACES, &[], frame(0, b"100%"), INVALID_ARGUMENT, "100%25").await;
    let status: pb::Status = decoded(&reply, "grpc-status-details-bin").unwrap();
    assert_eq!((status.code, status.message.as_str()), (3, "unknown word 100%"));
    let detail = pb::BadRequest::decode(&*status.details[0].value).unwrap();
    assert_eq!(detail.field_violations[0].field, "byte 0");
}

#[tokio::test]
async fn retryable_refusals_carry_the_delay_twice() {
    let server = Server::new();
    let failure = |secs| StorageError::Unavailable {
        reason: "the live buffer is full".to_owned(),
        retry_after: Duration::from_secs(secs),
    };
    for (secs, expected) in [(1, 0.8..=1.2), (5, 4.0..=5.0), (600, 4.0..=5.0)] {
        server.store.failures.lock().push(failure(secs));
        let reply = check(&server, TRACES, &[], frame(0, b"ok=1"), UNAVAILABLE, "full").await;
        let (in_details, in_trailer) = delays(&reply);
        assert_eq!(in_details, in_trailer);
        assert!(expected.contains(&in_details.unwrap()), "{secs}: {in_details:?}");
    }
    let reply = check(&server, TRACES, &[], frame(0, b"panic"), UNAVAILABLE, "").await;
    assert!(delays(&reply).0.is_some());
    check(&server, TRACES, &[], frame(0, b"panic"), INVALID_ARGUMENT, "twice").await;
}

#[tokio::test]
async fn overload_is_refused_with_a_delay_and_nothing_is_lost() {
    let tight = CollectorConfig {
        in_flight_bytes: 4000,
        admission_wait: Duration::from_millis(30),
        ..config()
    };
    let server = Server::with(tight, Double::gated());
    let body = |n: u32| frame(0, format!("ok={n}{}", " ".repeat(900)).as_bytes());
    // Each holds its bytes and its rows: two fill what newcomers may take, and more.
    let held = async {
        let (a, b) = tokio::join!(
            call(server.grpc, TRACES, &[], body(1)),
            call(server.grpc, TRACES, &[], body(2))
        );
        assert_eq!((a.code(), b.code()), (OK, OK), "{a:?} {b:?}");
    };
    let refused = async {
        server.store.someone_waits().await;
        server.store.someone_waits().await;
        let reply = check(&server, TRACES, &[], body(4), UNAVAILABLE, "in flight").await;
        assert!(delays(&reply).0.is_some_and(|s| (0.8..=1.2).contains(&s)), "{reply:?}");
        server.store.let_through(3);
    };
    tokio::join!(held, refused);
    check(&server, TRACES, &[], body(4), OK, "").await;
    assert_eq!(server.store.accepted(), 7);
    assert_eq!(server.stats.in_flight_bytes(), 0);
}

#[tokio::test]
async fn requests_wait_for_those_being_stored_but_not_for_long() {
    let hasty = CollectorConfig { admission_wait: Duration::from_millis(30), ..config() };
    let server = Server::with(hasty, Double::gated());
    let body = |n: u32| frame(0, format!("ok={n}{}", " ".repeat(600_000)).as_bytes());
    // Four large ones at a time; a small one finds no place beside them either.
    let held = futures::future::join_all((1..5).map(|n| call(server.grpc, TRACES, &[], body(n))));
    let refused = async {
        for _ in 0..4 {
            server.store.someone_waits().await;
        }
        for late in [body(8), frame(0, b"ok=8")] {
            let reply = check(&server, TRACES, &[], late, UNAVAILABLE, "in flight").await;
            assert!(delays(&reply).0.is_some_and(|s| (0.8..=1.2).contains(&s)), "{reply:?}");
        }
        server.store.let_through(5);
    };
    let (stored, ()) = tokio::join!(held, refused);
    assert!(stored.iter().all(|reply| reply.code() == OK), "{stored:?}");
    check(&server, TRACES, &[], body(16), OK, "").await;
    assert_eq!(server.store.accepted(), 1 + 2 + 3 + 4 + 16);
    assert_eq!(server.stats.in_flight_bytes(), 0);
}

#[tokio::test]
async fn a_full_store_refuses_before_it_decodes() {
    let server = Server::with(
        CollectorConfig { admission_wait: Duration::from_millis(30), ..config() },
        Double::default(),
    );
    let body = || frame(0, b"no word of the script");
    check(&server, TRACES, &[], body(), INVALID_ARGUMENT, "unknown word").await;
    server.store.full.store(true, Relaxed);
    let reply = check(&server, TRACES, &[], body(), UNAVAILABLE, "fill their memory").await;
    assert!(delays(&reply).0.is_some_and(|s| (0.8..=1.2).contains(&s)), "{reply:?}");
    let http = server.post("/v1/traces", "content-type: application/json\r\n", b"no word").await;
    assert_eq!((http.status, http.header("retry-after")), (503, Some("1")), "{}", http.text());
}

#[tokio::test]
async fn wrong_dialects_are_told_in_http() {
    let server = Server::new();
    for content_type in
        ["application/grpc-web", "application/grpc-web-text", "application/grpc+json"]
    {
        let headers = [("content-type", content_type)];
        let reply = call(server.grpc, TRACES, &headers, frame(0, b"ok=1")).await;
        let text = String::from_utf8_lossy(&reply.data).into_owned();
        assert_eq!(reply.http, 415, "{text}");
        assert!(text.contains("application/x-protobuf"), "{text}");
    }
    let over_http1 = format!(
        "POST {TRACES} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n\r\n"
    );
    assert_eq!(raw_http(server.grpc, over_http1.as_bytes()).await.status, 400);
}

#[tokio::test]
async fn calls_of_one_connection_are_answered_out_of_order() {
    let server = Server::with(config(), Double::gated());
    let connection = connect(server.http).await;
    let first = call_on(connection.clone(), call_head(TRACES, &[]), frame(0, b"ok=1"));
    let second = async {
        server.store.someone_waits().await;
        let reply = call_on(connection.clone(), call_head(LOGS, &[]), frame(0, b"{}")).await;
        server.store.let_through(1);
        reply
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.unwrap().code(), second.unwrap().code()), (OK, OK));
}

#[tokio::test]
async fn a_reset_while_storing_is_counted() {
    let server = Server::with(config(), Double::gated());
    let mut connection = connect(server.grpc).await.ready().await.unwrap();
    let (response, mut stream) = connection.send_request(call_head(TRACES, &[]), false).unwrap();
    stream.send_data(frame(0, b"ok=1"), true).unwrap();
    server.store.someone_waits().await;
    stream.send_reset(h2::Reason::CANCEL);
    assert!(read_call(response).await.is_err());
    let stats = &server.stats;
    eventually("the reset", || stats.abandoned.load(Relaxed) == 1).await;
    assert_eq!(server.stats.accepted(Signal::Traces), 0);
}

#[tokio::test]
async fn a_slow_body_is_reset() {
    let mut slow = config();
    slow.timeouts.body_progress = Duration::from_millis(20);
    let server = Server::with(slow, Double::default());
    let mut connection = connect(server.grpc).await.ready().await.unwrap();
    let (response, mut stream) = connection.send_request(call_head(TRACES, &[]), false).unwrap();
    stream.send_data(frame(0, b"ok=1").slice(..7), false).unwrap();
    let error = read_call(response).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL), "{error:?}");
    let (store, stats) = server.stopped().await;
    assert_eq!(store.accepted(), 0);
    assert_eq!(stats.bodies_slow.load(Relaxed), 1);
}

#[tokio::test]
async fn health_and_reflection() {
    let server = Server::new();
    let health = call(server.grpc, "/grpc.health.v1.Health/Check", &[], frame(0, b"")).await;
    assert_eq!((health.code(), health.data.as_slice()), (OK, [0, 0, 0, 0, 2, 8, 1].as_slice()));
    // Field 7 of the request: list the services.
    let list = frame(0, b"\x3a\x01*");
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let services = call(server.grpc, path, &[], list).await;
    let text = String::from_utf8_lossy(&services.data).into_owned();
    for name in ["TraceService", "MetricsService", "LogsService", "grpc.health.v1.Health"] {
        assert!(text.contains(name), "{name} not in {text}");
    }
}

#[test]
fn timeouts() {
    let cases = [
        ("1H", Some(3_600_000_000_000)),
        ("2M", Some(120_000_000_000)),
        ("3S", Some(3_000_000_000)),
        ("4m", Some(4_000_000)),
        ("5u", Some(5_000)),
        ("99999999n", Some(99_999_999)),
        ("100000000n", None),
        ("5", None),
        ("S", None),
        ("", None),
        ("5x", None),
        ("-5S", None),
    ];
    for (text, expected_ns) in cases {
        let ns = timeout(&HeaderValue::from_static(text)).map(|d| d.as_nanos());
        assert_eq!(ns, expected_ns, "{text}");
    }
}
