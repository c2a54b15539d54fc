//! Every request arrives with its bytes, also where the server asks for it again.
// A request that cannot be sent should fail the test there.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, Uri};
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;

use super::*;
use crate::sim::tests::{Kept, small};
use crate::sim::{Preset, generate};

/// Path and body of each request that was accepted, and how many were put off.
#[derive(Default)]
struct Arrived {
    accepted: Vec<(String, Vec<u8>)>,
    put_off: u64,
}

type Inbox = Arc<Mutex<Arrived>>;

/// Every third request is put off.
async fn export(State(inbox): State<Inbox>, uri: Uri, body: Body) -> Response<Body> {
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let mut arrived = inbox.lock().unwrap();
    let answered = arrived.accepted.len() as u64 + arrived.put_off;
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    if answered % 3 == 2 {
        arrived.put_off += 1;
        response.headers_mut().insert("grpc-status", HeaderValue::from_static("14"));
        return response;
    }
    // Five bytes stand before the message: a flag and its length.
    arrived.accepted.push((uri.path().to_owned(), body[5..].to_vec()));
    let trailers =
        HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static("0"))]);
    let empty = Full::new(Bytes::from_static(&[0; 5]));
    *response.body_mut() = Body::new(empty.with_trailers(async { Some(Ok(trailers)) }));
    response
}

/// A server on a thread of its own; it ends with the test's process.
fn serve(inbox: Inbox) -> String {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new().route("/{service}/Export", post(export)).with_state(inbox);
            axum::serve(listener, router).await.unwrap();
        });
    });
    format!("http://{}", receiver.recv().unwrap())
}

#[test]
fn integration_all_requests_arrive_once() {
    let inbox = Inbox::default();
    let mut server = Server::connect(&serve(Arc::clone(&inbox))).unwrap();
    let options = small(Preset::Shop, 40);
    generate(&options, &mut server).unwrap();
    server.finish().unwrap();

    let mut arrived = inbox.lock().unwrap();
    let mut expected: Vec<(String, Vec<u8>)> = Kept::of(&options)
        .0
        .requests
        .into_iter()
        .map(|(signal, body)| (path(signal).as_str().to_owned(), body))
        .collect();
    expected.sort_unstable();
    arrived.accepted.sort_unstable();
    assert_eq!(arrived.accepted.len(), expected.len());
    assert_eq!(arrived.accepted, expected);
    assert!(arrived.put_off > 0);
}

#[test]
fn integration_an_address_where_nobody_listens_is_said_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Server::connect(&format!("http://{free}")).err().unwrap();
    assert!(error.to_string().contains("is a collector listening there?"), "{error:#}");
}
