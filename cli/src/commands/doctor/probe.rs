//! A span of our own, through either door.

use std::net::SocketAddr;

use api::client::Client;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::grpc;
use crate::server_file::reachable;

/// Service under which the spans of `doctor` are found.
const SERVICE: &str = "otlake-doctor";
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// One span that no other has the id of.
#[derive(Debug)]
pub(super) struct Probe {
    trace_id: [u8; 16],
    pub(super) sent_ns: i64,
}

impl Probe {
    pub(super) fn new(sent_ns: i64) -> Probe {
        let unique = (u128::from(sent_ns.unsigned_abs()) << 64) | u128::from(std::process::id());
        Probe { trace_id: unique.to_be_bytes(), sent_ns }
    }

    pub(super) fn trace_id(&self) -> String {
        schemas::ids::hex(&self.trace_id)
    }

    pub(super) async fn send_grpc(&self, address: SocketAddr) -> Result<(), String> {
        grpc::call(reachable(address), GRPC_PATH, &self.message()).await
    }

    pub(super) async fn send_http(&self, address: SocketAddr) -> Result<(), String> {
        let client =
            Client::new(&format!("http://{}", reachable(address))).map_err(|e| e.to_string())?;
        let answer =
            client.post("/v1/traces", "application/x-protobuf", Bytes::from(self.message()));
        let answer = answer.await.map_err(|error| error.to_string())?;
        match answer.status {
            200 => Ok(()),
            status => Err(format!("HTTP status {status}")),
        }
    }

    fn message(&self) -> Vec<u8> {
        let sent_ns = self.sent_ns.unsigned_abs();
        let span = Span {
            trace_id: self.trace_id.to_vec(),
            span_id: self.trace_id[..8].to_vec(),
            name: "doctor".into(),
            start_time_unix_nano: sent_ns,
            end_time_unix_nano: sent_ns,
            ..Span::default()
        };
        let service = KeyValue {
            key: "service.name".into(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(SERVICE.into())) }),
            ..KeyValue::default()
        };
        let resource = Resource { attributes: vec![service], ..Resource::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans {
            resource: Some(resource),
            scope_spans,
            ..ResourceSpans::default()
        }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }
}
