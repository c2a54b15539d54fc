//! The way in without a network: order, repeats, sizes, import.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use schemas::Signal;
use storage::Encoding;
use tokio::time::Instant;

use super::{
    Accepted, ExportOptions, Intake, Parcel, SUSPECTS_MAX, Suspects, fingerprint, new_decoders,
};
use crate::decode::Limits;
use crate::decompress::Compression;
use crate::stats::{Origin, Transport};
use crate::testing::{Double, Server, TRACES, call, config, frame, script_decoder};
use crate::{CollectorConfig, Condition};

fn intake(config: &CollectorConfig) -> (Intake, Arc<Double>) {
    let store = Arc::new(Double::default());
    let sink = Arc::clone(&store);
    (Intake::with_parts(config, sink, script_decoder(), Arc::default()), store)
}

#[tokio::test]
async fn export_stores_and_recognises_repeats() {
    let (intake, store) = intake(&config());
    let export = async |body: &'static str, skip_fingerprint| {
        let options = ExportOptions { skip_fingerprint };
        intake.export(Signal::Logs, Encoding::Json, Bytes::from(body), options).await.unwrap()
    };
    let first = export("ok=3 bad=1", false).await;
    assert_eq!((first.accepted, first.rejected, first.deduplicated), (3, 1, false));
    let again = export("ok=3 bad=1", false).await;
    assert_eq!(again, Accepted { deduplicated: true, ..first.clone() });
    for _ in 0..2 {
        assert_eq!(export("ok=3 bad=1", true).await, first);
    }
    assert_eq!(export("", false).await, Accepted::default());
    assert_eq!(store.accepted(), 9);
}

#[tokio::test]
async fn large_bodies_go_through_the_blocking_pool() {
    let (intake, store) = intake(&config());
    let body = Bytes::from(format!("ok=3 {}", " ".repeat(200_000)));
    let options = ExportOptions::default();
    intake.export(Signal::Traces, Encoding::Protobuf, body.clone(), options).await.unwrap();
    assert_eq!(store.appended.lock()[0].2, body);
    let panic = Bytes::from(format!("panic {}", " ".repeat(200_000)));
    for condition in [Condition::DecoderPanicked, Condition::DecoderPanickedAgain] {
        let refusal =
            intake.export(Signal::Traces, Encoding::Protobuf, panic.clone(), options).await;
        assert_eq!(refusal.unwrap_err().condition, condition);
    }
    assert_eq!(intake.stats().in_flight_bytes(), 0);
}

#[tokio::test]
async fn sizes_are_bounded_by_the_budget() {
    let (intake, _) = intake(&CollectorConfig { in_flight_bytes: 1000, ..config() });
    let export = async |n: usize| {
        let body = Bytes::from(format!("ok=1{}", " ".repeat(n - 4)));
        let answer = intake.export(Signal::Logs, Encoding::Json, body, ExportOptions::default());
        answer.await.map_err(|r| r.condition).map(|a| a.accepted)
    };
    assert_eq!(export(250).await, Ok(1));
    assert_eq!(export(251).await, Err(Condition::DecodedTooLarge));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_counts_until_the_request_is_queued() {
    let store = Arc::new(Double::gated());
    let sink = Arc::clone(&store);
    let intake = Intake::with_parts(&config(), sink, script_decoder(), Arc::default());
    let parcel = async |body: &'static [u8], deadline| Parcel {
        origin: Origin {
            signal: Signal::Traces,
            transport: Transport::Grpc,
            encoding: Encoding::Protobuf,
        },
        compression: Compression::Identity,
        wire: Bytes::from_static(body),
        charge: intake.admit(body.len(), None).await.unwrap(),
        deadline: Some(deadline),
        skip_fingerprint: false,
    };
    let deadline = Instant::now() + Duration::from_secs(1);
    let in_time = intake.accept(parcel(b"ok=1", deadline).await);
    let (stored, ()) = tokio::join!(in_time, async {
        store.someone_waits().await;
        tokio::time::advance(Duration::from_secs(2)).await;
        store.let_through(1);
    });
    assert_eq!(stored.unwrap().accepted, 1);
    let late = intake.accept(parcel(b"ok=2", deadline).await).await;
    assert_eq!(late.unwrap_err().condition, Condition::DeadlineOver);
    assert_eq!(store.accepted(), 1);
}

#[test]
fn fingerprints_tell_signals_apart() {
    let [traces, metrics, logs] = Signal::ALL.map(|s| fingerprint(s, b"body"));
    assert!(traces != metrics && metrics != logs && traces != logs);
    assert_eq!(traces, fingerprint(Signal::Traces, b"body"));
}

#[test]
fn suspects_are_bounded() {
    let mut suspects = Suspects::default();
    for i in 0..=SUSPECTS_MAX as u8 {
        suspects.remember([i; 16]);
    }
    assert_eq!(suspects.newest_last.len(), SUSPECTS_MAX);
    assert_eq!(suspects.newest_last.front(), Some(&[1; 16]));
}

/// A thousand spans of which one has a span id of seven bytes.
fn one_bad_of_a_thousand(bad: usize) -> Bytes {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    let span = |i: usize| Span {
        trace_id: vec![1; 16],
        span_id: vec![2; if i == bad { 7 } else { 8 }],
        name: format!("span {i}"),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_000_000_001,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..1000).map(span).collect(), ..<_>::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..<_>::default() }];
    Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec())
}

#[tokio::test]
async fn one_bad_record_costs_itself_with_the_real_decoder() {
    let new_decode = new_decoders(Limits::default());
    let server = Server::with_decoder(config(), Double::default(), new_decode);
    let mut bodies = Vec::new();
    for bad in [0, 500, 999] {
        let body = one_bad_of_a_thousand(bad);
        let reply =
            server.post("/v1/traces", "content-type: application/x-protobuf\r\n", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let text = reply.text();
        assert!(text.contains("1 rejected as bad_span_id"), "{text}");
        assert!(text.contains(&format!("span {bad}")), "{text}");
        // The same over gRPC is a repeat, with the same answer.
        let call = call(server.grpc, TRACES, &[], frame(0, &body)).await;
        assert_eq!((call.code(), &call.data[5..]), (0, reply.body.as_slice()));
        bodies.push(body);
    }
    assert_eq!(server.store.accepted(), 3 * 999);
    assert_eq!(server.store.rejects.lock()[&(Signal::Traces, "bad_span_id")], 3);
    assert_eq!(server.stats.deduplicated(Signal::Traces), 3);
    let services = server.stats.services();
    assert_eq!((services[0].name.as_str(), services[0].records), ("unknown_service", [2997, 0, 0]));
    let stored: Vec<Bytes> = server.store.appended.lock().iter().map(|a| a.2.clone()).collect();
    assert_eq!(stored, bodies);
}
