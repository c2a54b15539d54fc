//! Every row of the answers table over HTTP, byte by byte.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::io::Write;
use std::time::Duration;

use prost::Message;
use schemas::Signal;
use storage::StorageError;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic_types::pb;

use crate::testing::{Double, Server, call_head, call_on, config, connect, raw_http, read_reply};
use crate::{CollectorConfig, Condition};

const JSON: &str = "content-type: application/json\r\n";
const PROTOBUF: &str = "content-type: application/x-protobuf\r\n";

/// Posts, then compares the status and looks for each text in the answer.
async fn check(
    server: &Server,
    path: &str,
    headers: &str,
    body: &[u8],
    status: u16,
    texts: &[&str],
) {
    let reply = server.post(path, headers, body).await;
    let case =
        format!("{path} {headers:?} {:?}", String::from_utf8_lossy(&body[..body.len().min(40)]));
    assert_eq!(reply.status, status, "{case}: {}", reply.text());
    for text in texts {
        assert!(reply.text().contains(text), "{case}: {text:?} not in {}", reply.text());
    }
}

#[tokio::test]
async fn successes() {
    let server = Server::new();
    #[rustfmt::skip]
    let cases: [(&str, &str, &str, &[&str]); 17] = [
        ("/v1/traces",   JSON,     "ok=1", &["content-type: application/json\n", "content-length: 2", "{}"]),
        ("/v1/metrics",  JSON,     "ok=2", &["{}"]),
        ("/v1/logs",     JSON,     "ok=3", &["{}"]),
        ("/v1/logs/",    JSON,     "ok=4", &["{}"]),
        ("/v1/traces",   PROTOBUF, "ok=5", &["content-type: application/x-protobuf\n", "content-length: 0"]),
        ("/v1/traces",   "content-type: application/json; charset=utf-8\r\n", "ok=6", &["content-type: application/json\n"]),
        ("/v1/traces",   "Content-Type: Application/JSON\r\n", "ok=7", &["{}"]),
        ("/v1/traces",   "content-type: application/json\r\ncontent-type: application/json\r\n", "ok=8", &["{}"]),
        ("/v1/traces",   JSON,     "",     &["{}"]),
        ("/v1/traces",   JSON,     "{}",   &["{}"]),
        ("/v1/traces",   PROTOBUF, "",     &["content-length: 0"]),
        ("/v1/traces",   JSON,     "ok=997 bad=3", &[r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"3 rejected as bad_span_id, first: span_id has 7 bytes"#, "bad_span_id"]),
        ("/v1/metrics",  JSON,     "ok=999 bad=1", &[r#""rejectedDataPoints":"1""#, "1 rejected as"]),
        ("/v1/logs",     JSON,     "ok=999 bad=1", &[r#""rejectedLogRecords":"1""#]),
        ("/v1/traces",   JSON,     "bad=3", &[r#""rejectedSpans":"3""#, r#"8 needed; send ids as raw bytes in protobuf and as hex in JSON""#]),
        ("/v1/traces",   JSON,     "badtrace=3", &[r#""rejectedSpans":"3""#, "; /v1/traces takes traces only"]),
        ("/v1/traces",   JSON,     "ok=9 warn=cut", &[r#"{"partialSuccess":{"errorMessage":"cut"}}"#]),
    ];
    for (path, headers, body, texts) in cases {
        check(&server, path, headers, body.as_bytes(), 200, texts).await;
    }
    // The same service is not warned twice within a minute.
    check(&server, "/v1/traces", JSON, b"ok=10 warn=cut", 200, &["{}"]).await;
    let (store, stats) = server.stopped().await;
    assert_eq!(store.accepted(), 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 997 + 999 + 999 + 9 + 10);
    assert_eq!(stats.accepted(Signal::Traces), 1 + 5 + 6 + 7 + 8 + 997 + 9 + 10);
    assert_eq!(stats.rejected(Signal::Traces), 9);
    assert_eq!(store.rejects.lock()[&(Signal::Logs, "bad_span_id")], 1);
    assert_eq!(stats.in_flight_bytes(), 0);
}

#[tokio::test]
async fn refusals() {
    let server = Server::new();
    #[rustfmt::skip]
    let cases: [(&str, &str, &str, u16, &[&str]); 22] = [
        ("/v1/traces", JSON, "nonsense", 400, &[r#"{"code":3,"message":"unknown word nonsense""#, "google.rpc.BadRequest", r#""field":"byte 0""#]),
        ("/v1/logs",   JSON, "malformed=3", 400, &["were these logs sent to the right path?", "/v1/logs takes logs only"]),
        ("/",          JSON, "ok=1", 404, &["/v1/traces", r#""code":12"#]),
        ("/v1/trace",  JSON, "ok=1", 404, &["did you mean /v1/traces?"]),
        ("/x/v1/logs", JSON, "ok=1", 404, &["no such path /x/v1/logs"]),
        ("/api/v2/spans", JSON, "ok=1", 404, &["Zipkin"]),
        ("/api/traces", "content-type: application/x-thrift\r\n", "ok=1", 404, &["Jaeger"]),
        ("/v1development/profiles", JSON, "ok=1", 404, &["profiles are not stored"]),
        ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", JSON, "ok=1", 404, &["application/grpc"]),
        ("/v1/traces", "", "ok=1", 415, &["content type is missing", "content-type: application/json\n"]),
        ("/v1/traces", "content-type: application/x-thrift\r\n", "ok=1", 415, &["Jaeger's thrift"]),
        ("/v1/traces", "content-type: application/protobuf\r\n", "ok=1", 415, &["application/x-protobuf"]),
        ("/v1/traces", "content-type: application/x-www-form-urlencoded\r\n", "ok=1", 415, &["curl needs"]),
        ("/v1/traces", "content-type: text/plain\r\n", "ok=1", 415, &["allowed web origins"]),
        ("/v1/traces", "content-type: application/json\r\ncontent-type: application/x-protobuf\r\n", "ok=1", 415, &["several content types"]),
        ("/v1/traces", "content-type: application/json\r\ncontent-encoding: br\r\n", "ok=1", 415, &["accept-encoding: gzip, zstd", "compression br"]),
        ("/v1/traces", "content-type: application/json\r\ncontent-encoding: gzip\r\n", "ok=1", 400, &["compressed body cannot be read"]),
        ("/v1/traces", "content-type: application/json\r\norigin: https://evil.example\r\n", "ok=1", 403, &["--allow-origin https://evil.example"]),
        ("/v1/traces", "content-type: application/json\r\norigin: null\r\n", "ok=1", 403, &["origin null"]),
        ("/v1/traces", "content-type: text/plain\r\norigin: https://evil.example\r\n", "ok=1", 403, &["--allow-origin"]),
        ("/v1/traces", "content-type: application/grpc\r\n", "ok=1", 400, &["gRPC needs HTTP/2"]),
        ("/v1/traces", "content-type: application/json\r\ntransfer-encoding: sideways\r\n", "ok=1", 400, &[]),
    ];
    for (path, headers, body, status, texts) in cases {
        check(&server, path, headers, body.as_bytes(), status, texts).await;
    }
    assert_eq!(server.store.accepted(), 0);
    assert_eq!(server.stats.refused(Condition::UnknownContentType), 6);
}

#[tokio::test]
async fn errors_in_protobuf_are_a_protobuf_status() {
    let server = Server::new();
    let reply = server.post("/v1/traces", PROTOBUF, b"nonsense").await;
    assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
    let status = pb::Status::decode(&*reply.body).unwrap();
    assert_eq!((status.code, status.message.as_str()), (3, "unknown word nonsense"));
    let detail = pb::BadRequest::decode(&*status.details[0].value).unwrap();
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.BadRequest");
    assert_eq!(detail.field_violations[0].field, "byte 0");
}

#[tokio::test]
async fn partial_success_in_protobuf() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    let server = Server::new();
    let reply = server.post("/v1/logs", PROTOBUF, b"ok=7 bad=2").await;
    let answer = ExportLogsServiceResponse::decode(&*reply.body).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 2);
    assert!(partial.error_message.starts_with("2 rejected as bad_span_id"), "{partial:?}");
}

#[tokio::test]
async fn compressions() {
    let server = Server::new();
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let deflate = {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"ok=3").unwrap();
        encoder.finish().unwrap()
    };
    let framed = |text: &str| {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.into_inner().unwrap()
    };
    let lz4 = {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(b"ok=7").unwrap();
        encoder.finish().unwrap()
    };
    let snappy = snap::raw::Encoder::new().compress_vec(b"ok=4").unwrap();
    let members = [gzip("ok=1 "), gzip("ok=100")].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("identity", b"ok=8".to_vec()),
        ("gzip", members),
        ("GZIP", gzip("ok=11")),
        ("zstd", zstd::encode_all(&b"ok=2"[..], 1).unwrap()),
        ("deflate", deflate.clone()),
        ("zlib", [deflate].concat()),
        ("snappy", snappy),
        ("x-snappy-framed", framed("ok=5")),
        ("lz4", lz4),
    ];
    for (name, body) in cases {
        let headers = format!("{JSON}content-encoding: {name}\r\n");
        check(&server, "/v1/traces", &headers, &body, 200, &["{}"]).await;
    }
    let snappy_frames = framed("ok=6");
    let headers = format!("{JSON}content-encoding: snappy\r\n");
    check(&server, "/v1/traces", &headers, &snappy_frames, 200, &["{}"]).await;
    // deflate and zlib carried the same bytes: one was recognised as a repeat.
    assert_eq!(server.store.accepted(), 8 + 101 + 11 + 2 + 3 + 4 + 5 + 7 + 6);
    assert_eq!(server.stats.deduplicated(Signal::Traces), 1);
}

#[tokio::test]
async fn sizes() {
    let limits = CollectorConfig { wire_bytes_max: 1000, decoded_bytes_max: 2000, ..config() };
    let server = Server::with(limits, Double::default());
    let padded = |n: usize| [b"ok=1".as_slice(), " ".repeat(n - 4).as_bytes()].concat();
    check(&server, "/v1/traces", JSON, &padded(1000), 200, &["{}"]).await;
    check(
        &server,
        "/v1/traces",
        JSON,
        &padded(1001),
        413,
        &[r#""code":8"#, "1001 bytes", "--wire-bytes-max"],
    )
    .await;
    let gzip = format!("{JSON}content-encoding: gzip\r\n");
    for (bytes, status) in [(2000, 200), (2001, 413), (5 << 20, 413)] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&padded(bytes)).unwrap();
        let mut body = encoder.finish().unwrap();
        // The bomb's own wire size is over the limit too; its start is bomb enough.
        body.truncate(1000);
        check(&server, "/v1/traces", &gzip, &body, status, &[]).await;
    }
    // Without a length, the limit is noticed while reading.
    let mut chunked = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n{JSON}transfer-encoding: chunked\r\n\r\n"
    );
    chunked.push_str(&format!("3e9\r\n{}\r\n0\r\n\r\n", String::from_utf8(padded(1001)).unwrap()));
    let reply = raw_http(server.http, chunked.as_bytes()).await;
    assert_eq!(reply.status, 413, "{}", reply.text());
    assert!(reply.header("retry-after").is_none());
    assert_eq!(server.stats.in_flight_bytes(), 0);
}

#[tokio::test]
async fn chunked_body_is_charged_step_by_step() {
    let server = Server::new();
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n{JSON}transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(b"4\r\nok=5\r\n").await.unwrap();
    let piece = " ".repeat(100_000);
    for _ in 0..10 {
        stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(read_reply(&mut stream).await.status, 200);
    assert_eq!(server.store.appended.lock()[0].2.len(), 1_000_004);
    assert_eq!(server.stats.in_flight_bytes(), 0);
}

#[tokio::test]
async fn a_large_refused_body_is_read_before_the_answer() {
    let limits = CollectorConfig { wire_bytes_max: 1000, ..config() };
    let server = Server::with(limits, Double::default());
    let body = vec![b' '; 8 << 20];
    // Writing 8 MiB first and reading afterwards fails if the server closes early.
    check(&server, "/v1/traces", JSON, &body, 413, &["8388608 bytes"]).await;
}

#[tokio::test]
async fn expect_continue_is_refused_at_once() {
    let server = Server::new();
    let head = "POST /v1/trace HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 1000000\r\n\r\n";
    let reply = raw_http(server.http, head.as_bytes()).await;
    assert_eq!(reply.status, 404, "{}", reply.text());
}

#[tokio::test]
async fn repeats_get_the_first_answer() {
    let server = Server::new();
    for _ in 0..3 {
        check(&server, "/v1/traces", JSON, b"ok=5 bad=2", 200, &[r#""rejectedSpans":"2""#]).await;
    }
    assert_eq!(server.store.accepted(), 5);
    assert_eq!(server.stats.accepted(Signal::Traces), 5);
    assert_eq!(server.stats.rejected(Signal::Traces), 2);
    assert_eq!(server.stats.deduplicated(Signal::Traces), 2);
}

#[tokio::test]
async fn failing_stores_ask_for_a_retry() {
    let server = Server::new();
    let unavailable = |secs| StorageError::Unavailable {
        reason: "disk full".to_owned(),
        retry_after: Duration::from_secs(secs),
    };
    let cases = [
        (unavailable(1), "retry-after: 1\n", "disk full"),
        (unavailable(60), "retry-after: 5\n", "disk full"),
        (StorageError::ShuttingDown, "retry-after: 1\n", "shutting down"),
        (StorageError::Io("write failed".to_owned()), "", "write failed"),
    ];
    for (failure, retry_after, text) in cases {
        server.store.failures.lock().push(failure);
        check(
            &server,
            "/v1/traces",
            JSON,
            b"ok=1",
            503,
            &["retry-after: ", retry_after, text, "RetryInfo"],
        )
        .await;
    }
    check(&server, "/v1/traces", JSON, b"ok=1", 200, &["{}"]).await;
    let mut metrics = String::new();
    server.stats.render_prometheus(&mut metrics);
    for line in [
        r#"otelcol_receiver_accepted_spans{receiver="otlp",transport="http"} 1"#,
        r#"otelcol_receiver_refused_spans{receiver="otlp",transport="http"} 4"#,
        r#"otlake_receiver_requests_refused_total{transport="http",reason="store_unavailable"} 3"#,
    ] {
        assert!(metrics.contains(line), "{line} not in {metrics}");
    }
}

#[tokio::test]
async fn a_panic_is_retryable_once() {
    let server = Server::new();
    check(&server, "/v1/traces", JSON, b"panic", 503, &["retry-after: 1"]).await;
    check(&server, "/v1/traces", JSON, b"panic", 400, &["twice"]).await;
    check(&server, "/v1/traces", JSON, b"ok=1", 200, &["{}"]).await;
}

#[tokio::test]
async fn browsers() {
    let mine =
        CollectorConfig { allowed_origins: vec!["https://app.example/".to_owned()], ..config() };
    let server = Server::with(mine, Double::default());
    for origin in
        ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080", "https://app.example"]
    {
        let marks = [
            format!("access-control-allow-origin: {origin}\n"),
            "access-control-allow-credentials: true\n".to_owned(),
            "vary: origin\n".to_owned(),
        ];
        let marks: Vec<&str> = marks.iter().map(String::as_str).collect();
        let json = format!("{JSON}origin: {origin}\r\n");
        let beacon = format!("content-type: text/plain;charset=UTF-8\r\norigin: {origin}\r\n");
        check(&server, "/v1/traces", &json, b"ok=1", 200, &marks).await;
        check(&server, "/v1/traces", &json, b"nonsense", 400, &marks).await;
        check(&server, "/v1/trace", &json, b"", 404, &marks).await;
        check(&server, "/v1/traces", &beacon, b"ok=2", 200, &marks).await;
        let preflight = format!(
            "OPTIONS /v1/traces HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\naccess-control-request-headers: content-type,traceparent\r\n\r\n"
        );
        let reply = raw_http(server.http, preflight.as_bytes()).await;
        assert_eq!(reply.status, 204);
        let further = [
            "access-control-allow-methods: post\n",
            "access-control-allow-headers: content-type,traceparent\n",
            "access-control-max-age: 7200\n",
        ];
        for text in marks.iter().chain(&further) {
            assert!(reply.text().contains(text), "{text} not in {}", reply.text());
        }
    }
    let preflight =
        "OPTIONS /v1/traces HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example\r\n\r\n";
    let reply = raw_http(server.http, preflight.as_bytes()).await;
    assert_eq!(reply.status, 204);
    assert!(!reply.head.contains("access-control"), "{}", reply.head);
}

#[tokio::test]
async fn hosts_and_pages() {
    let named = CollectorConfig {
        allowed_hosts: vec!["collector.local".to_owned()],
        path_prefix: Some("x/".to_owned()),
        ..config()
    };
    let server = Server::with(named, Double::default());
    #[rustfmt::skip]
    let cases: [(&str, &str, u16, &[&str]); 13] = [
        ("GET / HTTP/1.1", "host: localhost", 200, &["text/plain", "/v1/traces"]),
        ("GET / HTTP/1.1", "host: 127.0.0.1:4318\r\naccept: text/html,*/*", 200, &["text/html", "nosniff", "default-src 'none'", "otlake tui"]),
        ("GET /v1/traces HTTP/1.1", "host: localhost", 405, &["allow: post, options", "takes POST"]),
        ("PUT /v1/logs HTTP/1.1", "host: localhost", 405, &["not PUT"]),
        ("GET /favicon.ico HTTP/1.1", "host: localhost", 404, &[]),
        ("GET / HTTP/1.1", "host: evil.example", 403, &["--allow-host evil.example"]),
        ("GET / HTTP/1.1", "host: localhost.evil.example:4318", 403, &[]),
        ("GET / HTTP/1.1", "host: 10.0.0.1", 403, &[]),
        ("GET / HTTP/1.1", "host: [::1]:4318", 200, &[]),
        ("GET / HTTP/1.1", "host: Collector.Local:99", 200, &[]),
        ("GET / HTTP/1.0", "accept: */*", 200, &[]),
        ("GET /x/v1/traces HTTP/1.1", "host: localhost", 405, &[]),
        ("GET /xv1/traces HTTP/1.1", "host: localhost", 404, &[]),
    ];
    for (line, headers, status, texts) in cases {
        let reply = raw_http(server.http, format!("{line}\r\n{headers}\r\n\r\n").as_bytes()).await;
        assert_eq!(reply.status, status, "{line} {headers}: {}", reply.text());
        for text in texts {
            assert!(reply.text().contains(text), "{line}: {text:?} not in {}", reply.text());
        }
    }
}

#[tokio::test]
async fn http2_and_the_other_port() {
    let server = Server::new();
    for addr in [server.http, server.grpc] {
        let head = call_head("/v1/traces", &[("content-type", "application/json")]);
        let body = format!("ok=1 pad={}", addr.port());
        let reply = call_on(connect(addr).await, head, body.into()).await.unwrap();
        assert_eq!((reply.http, reply.data.as_slice()), (200, b"{}".as_slice()));
    }
}

#[tokio::test]
async fn overload_waits_then_refuses() {
    let tight = CollectorConfig {
        in_flight_bytes: 4000,
        admission_wait: Duration::from_millis(30),
        ..config()
    };
    let server = Server::with(tight, Double::gated());
    // The first holds 2 × 900 bytes, body and rows; the second its body and would wait for its rows.
    let first = [b"ok=1".as_slice(), " ".repeat(896).as_bytes()].concat();
    let second = [b"ok=2".as_slice(), " ".repeat(896).as_bytes()].concat();
    let third = [b"ok=4".as_slice(), " ".repeat(896).as_bytes()].concat();
    let held = async {
        let (a, b) = tokio::join!(
            server.post("/v1/traces", JSON, &first),
            server.post("/v1/traces", JSON, &second)
        );
        assert_eq!((a.status, b.status), (200, 200), "{} {}", a.text(), b.text());
    };
    let refused = async {
        server.store.someone_waits().await;
        server.store.someone_waits().await;
        let reply = server.post("/v1/traces", JSON, &third).await;
        assert_eq!(
            (reply.status, reply.header("retry-after")),
            (503, Some("1")),
            "{}",
            reply.text()
        );
        assert!(reply.text().contains("in flight"), "{}", reply.text());
        server.store.let_through(3);
    };
    tokio::join!(held, refused);
    check(&server, "/v1/traces", JSON, &third, 200, &["{}"]).await;
    assert_eq!(server.store.accepted(), 7);
    assert_eq!(server.stats.refused(Condition::Overloaded), 1);
    assert_eq!(server.stats.in_flight_bytes(), 0);
}

#[tokio::test]
async fn a_client_gone_in_the_middle_stores_nothing() {
    let server = Server::new();
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: 100\r\n\r\nok=1"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let stats = &server.stats;
    crate::testing::eventually("reading", || stats.in_flight_bytes() == 100).await;
    drop(stream);
    crate::testing::eventually("noticing", || stats.in_flight_bytes() == 0).await;
    let (store, _) = server.stopped().await;
    assert_eq!(store.accepted(), 0);
}
