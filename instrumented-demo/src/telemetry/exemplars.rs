//! Exemplars, which the SDK's aggregations leave empty: a reservoir that our instruments feed, and an
//! exporter that puts what is in it on the data points before they are sent.
//!
//! A reservoir keeps, for each metric, attribute set and bucket, the last sampled measurement since the
//! last export. The SDK's points cannot be changed (their fields are private), so the exporter turns
//! them into messages of the protocol first and sends those itself.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Request};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::common::v1 as wire;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar, metric};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use super::Switch;
use super::http::Sender;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// Attribute sets that are kept apart; further ones have no exemplars.
const SETS_MAX: usize = 2_000;
/// Buckets of an exponential histogram that are kept apart: eight for each doubling.
const STEPS_PER_DOUBLING: f64 = 8.0;
/// Exponential buckets that are kept.
const STEPS_MAX: usize = 64;

/// How a histogram divides its values.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Buckets {
    /// At these upper bounds, each belonging to its bucket.
    Explicit(&'static [f64]),
    /// By powers.
    Exponential,
}

impl Buckets {
    fn of(&self, value: f64) -> i32 {
        match self {
            Buckets::Explicit(bounds) => bounds.partition_point(|bound| *bound < value) as i32,
            Buckets::Exponential => (value.log2() * STEPS_PER_DOUBLING).floor() as i32,
        }
    }
}

#[derive(Clone, Debug)]
struct Measurement {
    value: f64,
    time: SystemTime,
    span: SpanContext,
}

/// The measurements kept for the next export.
#[derive(Debug, Default)]
pub(super) struct Reservoir {
    kept: Mutex<HashMap<String, HashMap<i32, Measurement>>>,
    dropped: AtomicU64,
}

impl Reservoir {
    /// Keeps a measurement if the span it was made in is sampled.
    pub(super) fn offer(
        &self,
        metric: &str,
        buckets: &Buckets,
        value: f64,
        attributes: &[KeyValue],
        context: &Context,
    ) {
        let span = context.span().span_context().clone();
        if !span.is_sampled() {
            return;
        }
        let pairs = attributes.iter().map(|kv| (kv.key.as_str(), kv.value.to_string()));
        let key = key(metric, pairs.collect());
        let measurement = Measurement { value, time: SystemTime::now(), span };
        let Ok(mut kept) = self.kept.lock() else { return };
        if kept.len() >= SETS_MAX && !kept.contains_key(&key) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let slots = kept.entry(key).or_default();
        let bucket = buckets.of(value);
        if slots.len() < STEPS_MAX || slots.contains_key(&bucket) {
            slots.insert(bucket, measurement);
        }
    }

    /// Measurements that found no room.
    #[cfg(test)]
    fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Moves what is kept onto the points of a request.
    fn fill(&self, request: &mut ExportMetricsServiceRequest) {
        let Ok(mut kept) = self.kept.lock() else { return };
        let scopes = request.resource_metrics.iter_mut().flat_map(|r| &mut r.scope_metrics);
        for found in scopes.flat_map(|scope| &mut scope.metrics) {
            let name = found.name.clone();
            let mut of_point = |attributes: &[wire::KeyValue]| {
                let pairs = attributes.iter().map(|kv| (kv.key.as_str(), text(kv)));
                take(&mut kept, &key(&name, pairs.collect()))
            };
            match &mut found.data {
                Some(metric::Data::Histogram(histogram)) => {
                    for point in &mut histogram.data_points {
                        point.exemplars = of_point(&point.attributes);
                    }
                }
                Some(metric::Data::ExponentialHistogram(histogram)) => {
                    for point in &mut histogram.data_points {
                        point.exemplars = of_point(&point.attributes);
                    }
                }
                _ => {}
            }
        }
    }
}

fn take(kept: &mut HashMap<String, HashMap<i32, Measurement>>, key: &str) -> Vec<Exemplar> {
    let mut slots: Vec<_> = kept.remove(key).into_iter().flatten().collect();
    slots.sort_by_key(|(bucket, _)| *bucket);
    slots.into_iter().map(|(_, measurement)| exemplar(measurement)).collect()
}

fn exemplar(measurement: Measurement) -> Exemplar {
    let time = measurement.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: time.as_nanos() as u64,
        span_id: measurement.span.span_id().to_bytes().to_vec(),
        trace_id: measurement.span.trace_id().to_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(measurement.value)),
    }
}

/// One text for a metric and its attributes in any order.
fn key(metric: &str, mut attributes: Vec<(&str, String)>) -> String {
    attributes.sort();
    let mut key = metric.to_owned();
    for (name, value) in attributes {
        let _ = write!(key, "\u{1f}{name}={value}");
    }
    key
}

/// The value of an attribute as `Value::to_string` writes it.
fn text(attribute: &wire::KeyValue) -> String {
    use wire::any_value::Value;
    match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        _ => String::new(),
    }
}

/// Where metrics are sent.
#[derive(Clone, Debug)]
pub(super) enum Destination {
    /// Over gRPC.
    Grpc {
        client: MetricsServiceClient<Channel>,
        metadata: MetadataMap,
        timeout: Duration,
        runtime: tokio::runtime::Handle,
    },
    /// Over HTTP, with the whole address.
    Http { sender: Sender, endpoint: String, headers: HeaderMap },
}

impl Destination {
    /// Sends a request. There is no second try: sums are cumulative, so the next export has all that
    /// this one had.
    async fn send(&self, message: ExportMetricsServiceRequest) -> OTelSdkResult {
        match self {
            Destination::Grpc { client, metadata, timeout, runtime } => {
                let mut request = tonic::Request::new(message);
                *request.metadata_mut() = metadata.clone();
                request.set_timeout(*timeout);
                let mut client = client.clone();
                match runtime.spawn(async move { client.export(request).await }).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(status)) => Err(failure(status)),
                    Err(_) => Err(OTelSdkError::AlreadyShutdown),
                }
            }
            Destination::Http { sender, endpoint, headers } => {
                let mut request = Request::new(Bytes::from(message.encode_to_vec()));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = endpoint.parse().map_err(failure)?;
                *request.headers_mut() = headers.clone();
                request.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
                let response = sender.send(request).await.map_err(failure)?;
                let status = response.status();
                status.is_success().then_some(()).ok_or_else(|| failure(status))
            }
        }
    }
}

fn failure(why: impl ToString) -> OTelSdkError {
    OTelSdkError::InternalFailure(why.to_string())
}

/// Sends metrics with their exemplars.
#[derive(Debug)]
pub(super) struct Exporter {
    pub(super) to: Destination,
    pub(super) temporality: Temporality,
    pub(super) reservoir: std::sync::Arc<Reservoir>,
    pub(super) switch: Switch,
}

impl PushMetricExporter for Exporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        if self.switch.is_off() {
            return Ok(());
        }
        let mut request = ExportMetricsServiceRequest::from(metrics);
        self.reservoir.fill(&mut request);
        self.to.send(request).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
