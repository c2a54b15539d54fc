//! An OTLP receiver for tests: takes all three signals over gRPC and keeps what it was sent.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::{Notify, OwnedMutexGuard};
use tonic::{Request, Response, Status};

use instrumented_demo::topology::Edge;

/// Span kinds as the protocol numbers them.
pub(crate) const SERVER: i32 = 2;
pub(crate) const CLIENT: i32 = 3;
pub(crate) const PRODUCER: i32 = 4;
pub(crate) const CONSUMER: i32 = 5;

/// What has arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    /// Spans with the service that sent them.
    pub(crate) spans: Vec<(String, Span)>,
    pub(crate) logs: Vec<(String, LogRecord)>,
    pub(crate) metrics: Vec<(String, Metric)>,
    /// Who sent spans or metrics.
    pub(crate) resources: Vec<Resource>,
    /// Everything as text, to look for words in.
    pub(crate) words: String,
}

/// A receiver that listens.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    arrived: Arc<Mutex<Arrived>>,
    news: Arc<Notify>,
    _alone: Arc<OwnedMutexGuard<()>>,
}

/// Who tells a collector is a whole system with real time limits. Several at once on a small machine
/// would wait for each other beyond them.
static ALONE: LazyLock<Arc<tokio::sync::Mutex<()>>> = LazyLock::new(Arc::default);

impl Collector {
    /// Listens on a free port, as soon as no other one does.
    pub(crate) async fn start() -> Collector {
        let alone = Arc::clone(&ALONE).lock_owned().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Collector {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            arrived: Arc::default(),
            news: Arc::default(),
            _alone: Arc::new(alone),
        };
        let routes = tonic::service::Routes::new(TraceServiceServer::new(collector.clone()))
            .add_service(LogsServiceServer::new(collector.clone()))
            .add_service(MetricsServiceServer::new(collector.clone()))
            .into_axum_router();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        collector
    }

    fn note(&self, act: impl FnOnce(&mut Arrived)) {
        act(&mut self.arrived.lock().unwrap());
        self.news.notify_waiters();
    }

    /// A copy of what has arrived so far.
    pub(crate) fn arrived(&self) -> Arrived {
        self.arrived.lock().unwrap().clone()
    }

    /// Waits until what has arrived satisfies a condition; panics if it never does.
    pub(crate) async fn until(&self, what: &str, mut is_there: impl FnMut(&Arrived) -> bool) {
        let there = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if is_there(&self.arrived.lock().unwrap()) {
                    return;
                }
                news.await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), there).await;
        assert!(waited.is_ok(), "{what} did not arrive");
    }
}

fn service(resource: Option<&Resource>) -> String {
    let attributes = resource.map(|r| r.attributes.as_slice()).unwrap_or_default();
    attribute(attributes, "service.name").unwrap_or_default()
}

/// An attribute as text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|kv| kv.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(truth) => truth.to_string(),
        other => format!("{other:?}"),
    })
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        self.note(|arrived| {
            arrived.words.push_str(&format!("{request:?}"));
            for group in request.resource_spans {
                let service = service(group.resource.as_ref());
                arrived.resources.extend(group.resource);
                let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
                arrived.spans.extend(spans.map(|span| (service.clone(), span)));
            }
        });
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let request = request.into_inner();
        self.note(|arrived| {
            arrived.words.push_str(&format!("{request:?}"));
            for group in request.resource_logs {
                let service = service(group.resource.as_ref());
                let logs = group.scope_logs.into_iter().flat_map(|scope| scope.log_records);
                arrived.logs.extend(logs.map(|log| (service.clone(), log)));
            }
        });
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let request = request.into_inner();
        self.note(|arrived| {
            arrived.words.push_str(&format!("{request:?}"));
            for group in request.resource_metrics {
                let service = service(group.resource.as_ref());
                arrived.resources.extend(group.resource);
                let metrics = group.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                arrived.metrics.extend(metrics.map(|metric| (service.clone(), metric)));
            }
        });
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Arrived {
    /// Services that sent spans, logs and metrics.
    pub(crate) fn services(&self) -> [BTreeSet<&str>; 3] {
        [
            self.spans.iter().map(|(service, _)| service.as_str()).collect(),
            self.logs.iter().map(|(service, _)| service.as_str()).collect(),
            self.metrics.iter().map(|(service, _)| service.as_str()).collect(),
        ]
    }

    /// Spans by their id.
    pub(crate) fn by_id(&self) -> HashMap<&[u8], &(String, Span)> {
        self.spans.iter().map(|pair| (pair.1.span_id.as_slice(), pair)).collect()
    }

    /// The edges that the spans show, by the rules of a service map.
    pub(crate) fn edges(&self) -> BTreeSet<Edge> {
        let by_id = self.by_id();
        let mut answered: BTreeMap<&[u8], &str> = BTreeMap::new();
        for (service, span) in &self.spans {
            let is_call = span.kind == SERVER && !span.parent_span_id.is_empty();
            if is_call {
                answered.insert(span.parent_span_id.as_slice(), service);
            }
        }
        let mut edges = BTreeSet::new();
        let mut add = |caller: &str, callee: &str, is_by_link| {
            edges.insert(Edge { caller: caller.into(), callee: callee.into(), is_by_link });
        };
        for (service, span) in &self.spans {
            match span.kind {
                CLIENT if operation(span).as_deref() != Some("receive") => {
                    let callee = answered.get(span.span_id.as_slice());
                    add(service, &callee.map_or_else(|| node(span), |s| (*s).to_owned()), false);
                }
                PRODUCER => add(service, &topic(span), false),
                CONSUMER => {
                    let is_known = |id: &[u8]| by_id.get(id).is_some_and(|p| p.1.kind == PRODUCER);
                    assert!(span.links.iter().any(|link| is_known(&link.span_id)), "no producer");
                    add(&topic(span), service, !is_known(&span.parent_span_id));
                }
                _ => {}
            }
        }
        edges
    }
}

fn operation(span: &Span) -> Option<String> {
    attribute(&span.attributes, "messaging.operation.type")
}

fn topic(span: &Span) -> String {
    let get = |key| attribute(&span.attributes, key).unwrap_or_default();
    format!("{}:{}", get("messaging.system"), get("messaging.destination.name"))
}

/// What nobody answered for.
fn node(span: &Span) -> String {
    let get = |key| attribute(&span.attributes, key);
    let address = get("server.address");
    match get("db.system.name") {
        Some(system) => {
            let at = address.map(|address| format!("@{address}")).unwrap_or_default();
            format!("{system}:{}{at}", get("db.namespace").unwrap_or_default())
        }
        None => {
            format!("{}:{}", address.unwrap_or_default(), get("server.port").unwrap_or_default())
        }
    }
}
