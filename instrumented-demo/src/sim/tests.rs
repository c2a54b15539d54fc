//! The generator keeps its word: the same bytes whoever makes them, answers that fit the data, and
//! faults that a user would notice.
// A generated request that lacks what it must have should fail the test there.
#![allow(clippy::unwrap_used)]

mod laws;
mod scenarios;
mod stability;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;

/// A span with its service.
pub(super) type Row = (String, Span);

/// Keeps everything, with its length before each request as in a file.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) requests: Vec<(Signal, Vec<u8>)>,
}

impl Sink for Kept {
    fn take(&mut self, signal: Signal, requests: &Requests) -> anyhow::Result<()> {
        self.requests.extend(requests.iter().map(|request| (signal, request.to_vec())));
        Ok(())
    }
}

impl Kept {
    pub(super) fn of(options: &Options) -> (Kept, Summary) {
        let mut kept = Kept::default();
        let summary = generate(options, &mut kept).unwrap();
        (kept, summary)
    }

    fn decoded<M: Message + Default>(&self, signal: Signal) -> Vec<M> {
        let of_signal = self.requests.iter().filter(|(of, _)| *of == signal);
        of_signal.map(|(_, bytes)| M::decode(bytes.as_slice()).unwrap()).collect()
    }

    fn traces(&self) -> Vec<ExportTraceServiceRequest> {
        self.decoded(Signal::Traces)
    }

    /// All spans, each with its service.
    pub(super) fn spans(&self) -> Vec<Row> {
        let mut spans = Vec::new();
        for request in self.traces() {
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.unwrap();
                let service = text(&resource.attributes, "service.name").unwrap_or_default();
                let all = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(all.map(|span| (service.clone(), span)));
            }
        }
        spans
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        _ => None,
    }
}

pub(super) fn small(preset: Preset, requests: u64) -> Options {
    Options { preset, requests: Some(requests), ..Options::default() }
}
