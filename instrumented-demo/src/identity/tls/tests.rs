//! Handshakes over a pipe in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Authority, Papers, provider};
use crate::faults::{Knobs, Settings};

/// What becomes of a connection to `inventory-service`: its answer, or the client's error, or the
/// server's if the client saw none.
async fn connect(server: &Papers, client: Arc<ClientConfig>, name: &str, knobs: Knobs) -> String {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let acceptor = TlsAcceptor::from(server.server(knobs).unwrap());
    let serve = async {
        let mut stream = acceptor.accept(far).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await
    };
    let call = async {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let (served, answer) = tokio::join!(serve, call);
    match (served, answer) {
        (Ok(()), Ok(answer)) => answer,
        (_, Err(error)) | (Err(error), _) => error.to_string(),
    }
}

fn papers(authority: &Authority, service: &str) -> Papers {
    authority.papers(service).unwrap()
}

async fn check(name: &str, settings: Settings, expected: &str) {
    let authority = Authority::new().unwrap();
    let knobs = Knobs::new();
    knobs.replace(settings);
    let client = papers(&authority, "gateway").client().unwrap();
    let server = papers(&authority, "inventory-service");
    let result = connect(&server, client, name, knobs).await;
    assert!(result.contains(expected), "{result}");
}

#[tokio::test]
async fn integration_services_with_papers_understand_each_other() {
    check("inventory-service", Settings::default(), "hello").await;
}

#[tokio::test]
async fn integration_an_expired_certificate_ends_the_handshake() {
    let expired = Settings { certificate_expired: true, ..Settings::default() };
    check("inventory-service", expired, "certificate expired").await;
}

#[tokio::test]
async fn integration_a_service_is_not_another() {
    check("payment-service", Settings::default(), "not valid for name").await;
}

#[tokio::test]
async fn integration_strangers_are_refused_on_both_sides() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let server = papers(&authority, "inventory-service");
    let stranger = papers(&other, "gateway").client().unwrap();
    let result = connect(&server, stranger, "inventory-service", Knobs::new()).await;
    assert!(result.contains("invalid peer certificate"), "{result}");

    // Who trusts the authority but has no papers is no better.
    let mut roots = RootCertStore::empty();
    roots.add(server.authority.clone().into()).unwrap();
    let nobody = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let result = connect(&server, Arc::new(nobody), "inventory-service", Knobs::new()).await;
    assert!(result.contains("CertificateRequired"), "{result}");
}

#[test]
fn unit_papers_can_be_handed_over_and_show_no_key() {
    let papers = papers(&Authority::new().unwrap(), "gateway");
    let text = serde_json::to_string(&papers).unwrap();
    let other: Papers = serde_json::from_str(&text).unwrap();
    assert_eq!(other.valid.key, papers.valid.key);
    assert_eq!(format!("{papers:?}"), "Papers { .. }");
}
