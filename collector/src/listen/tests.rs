//! Connections: silence, slowness, floods, wrong protocols, stopping.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Collector, CollectorError, normal_prefix};
use crate::testing::{
    Double, Server, TRACES, call_head, call_on, config, connect, frame, read_reply, script_decoder,
};
use crate::{CollectorConfig, Condition};

/// Sends, then expects the connection to be closed without an answer.
async fn check_closed(server: &Server, bytes: &[u8], counter: impl Fn(&Server) -> &AtomicU64) {
    let before = counter(server).load(Relaxed);
    let mut stream = TcpStream::connect(server.grpc).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(bytes).into_owned();
    assert!(matches!(read, Ok(0) | Err(_)), "{text}: {:?}", String::from_utf8_lossy(&answer));
    assert_eq!(counter(server).load(Relaxed), before + 1, "{text}");
}

#[tokio::test]
async fn silent_and_slow_connections_are_closed() {
    let mut quick = config();
    quick.timeouts.first_request = Duration::from_millis(20);
    quick.timeouts.body_progress = Duration::from_millis(20);
    let server = Server::with(quick, Double::default());
    for bytes in
        [b"".as_slice(), b"PRI * HTTP/2.0\r\n\r\n", b"P", b"POST /v1/traces HTTP/1.1\r\nhost: loc"]
    {
        check_closed(&server, bytes, |s| &s.stats.connections_silent).await;
    }
    let half_a_body = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\nok=1";
    check_closed(&server, half_a_body, |s| &s.stats.bodies_slow).await;
    assert_eq!(server.store.accepted(), 0);
}

#[tokio::test]
async fn a_body_that_trickles_ends_with_the_total_time() {
    let mut quick = config();
    quick.timeouts.body_total = Duration::from_millis(60);
    let server = Server::with(quick, Double::default());
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let head = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    // Each write is progress; the server closes all the same, which ends the writing.
    while stream.write_all(b" ").await.is_ok() {
        tokio::task::yield_now().await;
    }
    let (_, stats) = server.stopped().await;
    assert_eq!(stats.bodies_slow.load(Relaxed), 1);
}

#[tokio::test]
async fn wrong_protocols() {
    let server = Server::new();
    check_closed(&server, b"\x16\x03\x01\x02\x00\x01", |s| &s.stats.tls_hellos).await;
    let mut stream = TcpStream::connect(server.grpc).await.unwrap();
    stream.write_all(b"HELLO\r\n\r\n").await.unwrap();
    assert_eq!(read_reply(&mut stream).await.status, 400);
    let mut stream = TcpStream::connect(server.grpc).await.unwrap();
    let long = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    stream.write_all(long.as_bytes()).await.unwrap();
    assert_eq!(read_reply(&mut stream).await.status, 431);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let few = CollectorConfig { connections_max: 1, ..config() };
    let server = Server::with(few, Double::default());
    let mut first = TcpStream::connect(server.grpc).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_reply(&mut first).await.status, 200);
    check_closed(&server, b"", |s| &s.stats.connections_refused).await;
    // Keep-alive: the first still serves.
    first.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_reply(&mut first).await.status, 200);
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight_and_refuses_the_rest() {
    let server = Server::with(config(), Double::gated());
    let busy = connect(server.grpc).await;
    let in_flight = call_on(busy.clone(), call_head(TRACES, &[]), frame(0, b"ok=1"));
    let mut half_sent = TcpStream::connect(server.http).await.unwrap();
    let head = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\n";
    let stop = async {
        server.store.someone_waits().await;
        half_sent.write_all(&head[..20]).await.unwrap();
        let stats = &server.stats;
        crate::testing::eventually("both connections", || stats.connections.load(Relaxed) == 2)
            .await;
        server.stop.cancel();
        // GOAWAY: the connection takes no further call.
        let late = async {
            loop {
                let body = frame(0, b"{}");
                match call_on(busy.clone(), call_head(TRACES, &[]), body).await {
                    Err(_) => break,
                    Ok(reply) => assert!(matches!(reply.code(), 0 | 14), "{reply:?}"),
                }
            }
        };
        late.await;
        server.store.let_through(1);
    };
    let (answer, ()) = tokio::join!(in_flight, stop);
    assert_eq!(answer.unwrap().code(), 0);
    let (store, stats) = server.stopped().await;
    assert_eq!(store.accepted(), 1);
    assert_eq!(stats.connections.load(Relaxed), 0);
}

#[tokio::test]
async fn stopping_cuts_off_what_does_not_finish() {
    let mut quick = config();
    quick.timeouts.shutdown = Duration::from_millis(20);
    let server = Server::with(quick, Double::gated());
    let stuck = tokio::spawn(call_on(
        connect(server.grpc).await,
        call_head(TRACES, &[]),
        frame(0, b"ok=1"),
    ));
    server.store.someone_waits().await;
    server.stopped().await;
    assert!(stuck.await.unwrap().is_err());
}

#[tokio::test]
async fn a_request_after_the_stop_is_refused_retryably() {
    let server = Server::with(config(), Double::gated());
    // A connection that is in the middle of a head when the server stops.
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read_reply(&mut stream).await.status, 200);
    let head = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 4\r\n\r\nok=1";
    server.stop.cancel();
    let _ = stream.write_all(head).await;
    let reply = read_reply(&mut stream).await;
    // Closed before it could be read, or refused: never lost after an acknowledgement.
    assert!(matches!(reply.status, 0 | 503), "{}", reply.text());
    if reply.status == 503 {
        assert_eq!(reply.header("connection"), Some("close"));
        assert_eq!(server.stats.refused(Condition::ShuttingDown), 1);
    }
    assert_eq!(server.store.accepted(), 0);
}

#[tokio::test]
async fn a_taken_port_names_the_flag() {
    let first = Server::new();
    let taken = CollectorConfig { http_addr: first.http, ..config() };
    let error = Collector::bind_with(taken, Arc::new(Double::default()), script_decoder());
    let error: CollectorError = error.unwrap_err();
    let text = error.to_string();
    for part in
        [first.http.to_string().as_str(), "--otlp-http", "another process", "choose another"]
    {
        assert!(text.contains(part), "{part} not in {text}");
    }
}

#[test]
fn prefixes() {
    let cases =
        [("x", Some("/x")), ("/x/", Some("/x")), ("/a/b", Some("/a/b")), ("/", None), ("", None)];
    for (given, expected) in cases {
        assert_eq!(normal_prefix(given).as_deref(), expected, "{given}");
    }
}
