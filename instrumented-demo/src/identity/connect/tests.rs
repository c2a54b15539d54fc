//! HTTP clients and servers over these connections.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

use super::{Connector, Listener};
use crate::faults::{Knobs, Settings};
use crate::identity::{Authority, Papers};

async fn serve(papers: Option<&Papers>, knobs: Knobs) -> SocketAddr {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = tcp.local_addr().unwrap();
    let tls = papers.map(|papers| papers.server(knobs).unwrap());
    let router = Router::new().route("/", get(|| async { "hello" }));
    let serving = axum::serve(Listener::new(tcp, tls), router);
    tokio::spawn(async move { serving.await });
    address
}

/// The body of an answer, or the chain of errors.
async fn ask(connector: Connector, address: SocketAddr) -> String {
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let uri: Uri = format!("http://{address}/").parse().unwrap();
    match client.get(uri).await {
        Ok(answer) => {
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        }
        Err(error) => format!("{:#}", anyhow::Error::from(error)),
    }
}

fn to(service: &str, papers: &Papers) -> Connector {
    Connector::to(service, papers.client().unwrap()).unwrap()
}

#[tokio::test]
async fn integration_http_over_plain_and_mutual_tls() {
    let authority = Authority::new().unwrap();
    let papers = authority.papers("inventory-service").unwrap();
    let caller = authority.papers("gateway").unwrap();
    assert_eq!(ask(Connector::plain(), serve(None, Knobs::new()).await).await, "hello");
    let address = serve(Some(&papers), Knobs::new()).await;
    assert_eq!(ask(to("inventory-service", &caller), address).await, "hello");
    let error = ask(to("payment-service", &caller), address).await;
    assert!(error.contains("not valid for name"), "{error}");
    let error = ask(Connector::plain(), address).await;
    assert!(!error.contains("hello"), "{error}");
}

#[tokio::test]
async fn integration_a_bad_caller_does_not_stop_the_next() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let knobs = Knobs::new();
    let papers = authority.papers("inventory-service").unwrap();
    let address = serve(Some(&papers), knobs.clone()).await;
    let stranger = other.papers("gateway").unwrap();
    assert!(!ask(to("inventory-service", &stranger), address).await.contains("hello"));
    // Silent: connected, and says nothing.
    let _silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let caller = authority.papers("gateway").unwrap();
    assert_eq!(ask(to("inventory-service", &caller), address).await, "hello");
    knobs.replace(Settings { certificate_expired: true, ..Settings::default() });
    let error = ask(to("inventory-service", &caller), address).await;
    assert!(error.contains("certificate expired"), "{error}");
    knobs.replace(Settings::default());
    assert_eq!(ask(to("inventory-service", &caller), address).await, "hello");
}

#[test]
fn unit_names_no_certificate_can_have_are_refused() {
    let papers = Authority::new().unwrap().papers("gateway").unwrap();
    assert!(Connector::to("no name", papers.client().unwrap()).is_err());
}
