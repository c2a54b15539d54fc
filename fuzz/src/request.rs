//! A request as prost reads it.

use collector::export::json;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use schemas::Signal;

/// A request of any signal.
#[derive(Debug)]
pub enum Request {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Request {
    /// `None` where prost refuses the bytes.
    pub fn read(signal: Signal, body: &[u8]) -> Option<Request> {
        Some(match signal {
            Signal::Traces => Request::Traces(Message::decode(body).ok()?),
            Signal::Metrics => Request::Metrics(Message::decode(body).ok()?),
            Signal::Logs => Request::Logs(Message::decode(body).ok()?),
        })
    }

    /// The request as OTLP/JSON.
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Request::Traces(request) => json::traces(&mut out, request),
            Request::Metrics(request) => json::metrics(&mut out, request),
            Request::Logs(request) => json::logs(&mut out, request),
        }
        out
    }
}
