//! All three signals over HTTP, to a receiver that knows no gRPC.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentelemetry::trace::SpanKind;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::sync::mpsc;

use super::*;
use crate::faults::Knobs;
use crate::say;
use crate::telemetry::{Identity, Settings, Telemetry};

type Arrived = (&'static str, HeaderMap, Bytes);

/// Listens; what arrives comes out of the channel.
async fn receiver(status: StatusCode) -> (String, mpsc::Receiver<Arrived>) {
    let (sender, receiver) = mpsc::channel(64);
    let route = |path: &'static str| {
        post(
            move |State(sender): State<mpsc::Sender<Arrived>>, headers: HeaderMap, body: Bytes| async move {
                let _ = sender.send((path, headers, body)).await;
                status
            },
        )
    };
    let router = ["/v1/traces", "/v1/logs", "/v1/metrics"]
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, route(path)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router.with_state(sender)).await });
    (endpoint, receiver)
}

/// Says one thing of each kind; returns what could not be sent.
async fn speak(endpoint: String) -> Vec<String> {
    let identity = Identity {
        service: "order-service",
        instance: "order-service-1".to_owned(),
        version: "1.4.0".to_owned(),
        host: "host-a".to_owned(),
        team: "checkout",
        domain: "sales",
    };
    let lookup = |name: &str| match name {
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("http/protobuf".to_owned()),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("api-key=abc".to_owned()),
        _ => None,
    };
    let settings = Settings { endpoint: Some(endpoint), ..Settings::default() };
    let runtime = Handle::current();
    let telemetry = Telemetry::start(identity, settings, &Knobs::new(), &runtime, &lookup).unwrap();
    let telemetry = Arc::new(telemetry);
    tracing::subscriber::with_default(telemetry.subscriber(), || say!(info, "hello"));
    telemetry.instruments().sent.add(1, &[]);
    telemetry.span(SpanKind::Internal, "work").start().end();
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_each_signal_goes_to_its_path_as_protobuf() {
    let (endpoint, mut arrived) = receiver(StatusCode::OK).await;
    assert_eq!(speak(endpoint).await, Vec::<String>::new());
    let mut paths = Vec::new();
    while let Ok((path, headers, body)) = arrived.try_recv() {
        assert_eq!(headers["content-type"], "application/x-protobuf", "{path}");
        if path == "/v1/traces" {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, "work");
        } else if path == "/v1/metrics" {
            assert_eq!(headers["api-key"], "abc");
            let request = ExportMetricsServiceRequest::decode(body).unwrap();
            assert!(!request.resource_metrics.is_empty());
        }
        paths.push(path);
    }
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths, ["/v1/logs", "/v1/metrics", "/v1/traces"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_a_refusal_is_a_loss_that_is_named() {
    let (endpoint, _arrived) = receiver(StatusCode::BAD_REQUEST).await;
    let losses = speak(endpoint).await;
    assert!(losses.iter().any(|loss| loss.starts_with("metrics")), "{losses:?}");
}
