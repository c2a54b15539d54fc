//! Answers as a server writes them, over a real socket.
#![allow(clippy::unwrap_used)] // a failing test may panic

use tokio::net::TcpListener;

use super::*;

/// A server that takes one request and answers with these bytes.
async fn serve(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 1 << 16];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(answer.as_bytes()).await.unwrap();
        // Held open, as a server does that keeps connections alive.
        assert_eq!(stream.read(&mut request).await.unwrap(), 0);
    });
    address
}

async fn check_sql(answer: &'static str, expected: Result<u64, &str>) {
    let got = sql(serve(answer).await, "select count(*) from spans").await;
    assert_eq!(got.map_err(|e| e.to_string()), expected.map_err(str::to_owned));
}

#[tokio::test]
async fn reads_answers_with_a_length_and_in_chunks() {
    check_sql("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\ncount(*)\r\n42\n", Ok(42)).await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ncount\r\n4\r\n\n42\n\r\n0\r\n\r\n";
    check_sql(chunked, Ok(42)).await;
}

#[tokio::test]
async fn says_what_the_server_said() {
    let refused = "HTTP/1.1 400 Bad Request\r\ncontent-length: 8\r\n\r\nno table";
    let said = "the server answered `select count(*) from spans` with 400: no table";
    check_sql(refused, Err(said)).await;
}

#[test]
fn retryable_codes_are_refusals_and_others_errors() {
    for (status, refused) in [(429, true), (503, true), (400, false), (500, false)] {
        let answer = http_answer(status, b"why");
        assert_eq!(matches!(answer, Ok(Answer::Refused(_))), refused, "{status}");
        assert_eq!(answer.is_err(), !refused, "{status}");
    }
    assert_eq!(http_answer(200, b"").unwrap(), Answer::Accepted { rejected: 0 });
    // partial_success { rejected_spans: 3 }
    assert_eq!(http_answer(200, &[10, 2, 8, 3]).unwrap(), Answer::Accepted { rejected: 3 });
}

#[test]
fn grpc_status_decides() {
    let check = |status: &'static str, expected: Option<Answer>| {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", status.parse().unwrap());
        assert_eq!(grpc_answer(&trailers, &[]).ok(), expected, "{status}");
    };
    check("0", Some(Answer::Accepted { rejected: 0 }));
    check("14", Some(Answer::Refused("14 ".to_owned())));
    check("3", None);
}

#[tokio::test]
async fn leaves_other_machines_alone() {
    let elsewhere = "192.0.2.1:4317".parse().unwrap();
    let opened = Connection::open(elsewhere, Door::Grpc, Signal::Traces).await;
    let said = opened.err().map(|e| e.to_string()).unwrap_or_default();
    assert!(said.contains("loopback only"), "{said}");
}
