//! What the load looks like: a shop of 15 services with traces of 8 spans, logs and metrics.
//!
//! A template's strings repeat only within its own request: paths, customers and query arguments are
//! drawn, so that files do not compress better than real ones would.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use rand::Rng;

use crate::template::{Holes, encode};

/// Services with the route each serves; the first is the door.
const SERVICES: [(&str, &str); 15] = [
    ("gateway", "/api/{version}/checkout"),
    ("cart", "/carts/{id}"),
    ("catalog", "/products/{id}"),
    ("checkout", "/checkouts"),
    ("currency", "/convert"),
    ("email", "/mails"),
    ("fraud", "/scores/{order}"),
    ("inventory", "/stock/{sku}"),
    ("ledger", "/entries"),
    ("orders", "/orders/{id}"),
    ("payment", "/charges"),
    ("pricing", "/prices/{sku}"),
    ("recommendations", "/users/{id}/recommendations"),
    ("shipping", "/quotes"),
    ("users", "/users/{id}"),
];

/// A trace in miniature: whose span (0 is the gateway, others are drawn), kind, parent.
const TRACE: [(usize, SpanKind, Option<u32>); 8] = [
    (0, SpanKind::Server, None),
    (0, SpanKind::Client, Some(0)),
    (1, SpanKind::Server, Some(1)),
    (1, SpanKind::Internal, Some(2)),
    (0, SpanKind::Client, Some(0)),
    (2, SpanKind::Server, Some(4)),
    (2, SpanKind::Client, Some(5)),
    (3, SpanKind::Server, Some(6)),
];

/// A trace ends this long before its request is sent.
const SENT_AFTER_NS: u32 = 10_000_000;

/// One span before it is encoded; requests group spans by service.
struct Draft {
    service: usize,
    trace: u32,
    span: u32,
    parent: Option<u32>,
    kind: SpanKind,
    start_before_ns: u32,
    end_before_ns: u32,
}

/// An encoded request of whole traces, and its number of spans.
pub(crate) fn traces(holes: &mut Holes, records: u32, run: &str) -> (Vec<u8>, u32) {
    let traces = (records / TRACE.len() as u32).max(1);
    let mut drafts: Vec<Draft> = (0..traces).flat_map(|trace| drafts(holes, trace)).collect();
    drafts.sort_by_key(|d| d.service);
    let spans = drafts.len() as u32;
    let resource_spans = drafts
        .chunk_by(|a, b| a.service == b.service)
        .map(|of_service| ResourceSpans {
            resource: Some(resource(of_service[0].service, run)),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans: of_service.iter().map(|draft| span(holes, draft)).collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        })
        .collect();
    (encode(&ExportTraceServiceRequest { resource_spans }), spans)
}

fn drafts(holes: &mut Holes, trace: u32) -> Vec<Draft> {
    let random = &mut holes.random;
    let others: [usize; 3] = std::array::from_fn(|_| random.random_range(1..SERVICES.len()));
    let duration_ns: u32 = random.random_range(5_000_000..400_000_000);
    let of_shape = |(index, (who, kind, parent)): (usize, (usize, SpanKind, Option<u32>))| {
        // Each level starts a little later and ends a little earlier than the one around it.
        let inset_ns = duration_ns / 20 * index as u32;
        let jitter_ns = random.random_range(0..duration_ns / 40);
        Draft {
            service: if who == 0 { 0 } else { others[who - 1] },
            trace,
            span: trace * TRACE.len() as u32 + index as u32,
            parent: parent.map(|p| trace * TRACE.len() as u32 + p),
            kind,
            start_before_ns: SENT_AFTER_NS + duration_ns - inset_ns - jitter_ns,
            end_before_ns: SENT_AFTER_NS + inset_ns,
        }
    };
    TRACE.into_iter().enumerate().map(of_shape).collect()
}

/// Fields stand in the order of their tags: placeholders must be drawn in the order of encoding.
fn span(holes: &mut Holes, draft: &Draft) -> Span {
    let (service, route) = SERVICES[draft.service];
    let failed = holes.random.random_ratio(1, 50);
    Span {
        trace_id: holes.trace(draft.trace),
        span_id: holes.span(draft.span),
        parent_span_id: draft.parent.map(|p| holes.span(p)).unwrap_or_default(),
        flags: 0x101,
        name: match draft.kind {
            SpanKind::Server => format!("POST {route}"),
            SpanKind::Client => "POST".to_owned(),
            _ => format!("{service} query"),
        },
        kind: draft.kind as i32,
        start_time_unix_nano: holes.time(draft.start_before_ns),
        end_time_unix_nano: holes.time(draft.end_before_ns),
        attributes: attributes(holes, draft, failed),
        events: event(holes, draft, failed),
        status: failed.then(|| Status {
            message: "upstream timed out".to_owned(),
            code: StatusCode::Error as i32,
        }),
        ..Span::default()
    }
}

fn attributes(holes: &mut Holes, draft: &Draft, failed: bool) -> Vec<KeyValue> {
    let (service, route) = SERVICES[draft.service];
    let number: u32 = holes.random.random_range(0..1_000_000);
    let host = format!("{service}-{}.shop.internal", number % 7);
    let status = if failed { 504 } else { 200 };
    match draft.kind {
        SpanKind::Server => vec![
            text("http.request.method", "POST"),
            text("http.route", route),
            int("http.response.status_code", status),
            text("url.path", &route.replace("{id}", &number.to_string())),
            text("url.scheme", "http"),
            text("server.address", &host),
            int("server.port", 8080),
            text("client.address", &format!("10.4.{}.{}", number % 256, number / 256 % 256)),
            text("user_agent.original", "shop-client/2.4 (linux; amd64)"),
            text("network.protocol.version", "1.1"),
        ],
        SpanKind::Client => vec![
            text("http.request.method", "POST"),
            int("http.response.status_code", status),
            text("url.full", &format!("http://{host}:8080/v1/items/{number}")),
            text("server.address", &host),
            int("server.port", 8080),
            text("network.peer.address", &format!("10.8.0.{}", number % 256)),
            int("network.peer.port", 8080),
            text("network.protocol.version", "1.1"),
            int("http.request.resend_count", 0),
            int("thread.id", i64::from(number % 64)),
        ],
        _ => vec![
            text("db.system.name", "postgresql"),
            text("db.namespace", service),
            text("db.operation.name", "SELECT"),
            text("db.collection.name", "items"),
            text("db.query.text", "select * from items where id = $1 and region = $2"),
            text("server.address", "db.shop.internal"),
            int("server.port", 5432),
            int("db.response.returned_rows", i64::from(number % 50)),
            text("customer.id", &format!("c-{number:06}")),
            flag("cache.hit", number.is_multiple_of(3)),
        ],
    }
}

/// Failed spans have an exception, of the others one in twelve something to tell.
fn event(holes: &mut Holes, draft: &Draft, failed: bool) -> Vec<Event> {
    if !failed && !holes.random.random_ratio(1, 12) {
        return Vec::new();
    }
    let attributes = match failed {
        true => vec![
            text("exception.type", "shop.UpstreamTimeout"),
            text("exception.message", "no answer within 250 ms"),
        ],
        false => vec![int("attempt", 1), text("reason", "connection reset")],
    };
    vec![Event {
        time_unix_nano: holes.time(draft.end_before_ns),
        name: if failed { "exception" } else { "retry" }.to_owned(),
        attributes,
        dropped_attributes_count: 0,
    }]
}

/// An encoded request of log records, and their number.
pub(crate) fn logs(holes: &mut Holes, records: u32, run: &str) -> (Vec<u8>, u32) {
    let services = SERVICES.len() as u32;
    let resource_logs = (0..services)
        .map(|service| {
            let numbers = (0..records).filter(|n| n % services == service);
            ResourceLogs {
                resource: Some(resource(service as usize, run)),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records: numbers.map(|n| log(holes, n)).collect(),
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }
        })
        .collect();
    (encode(&ExportLogsServiceRequest { resource_logs }), records)
}

fn log(holes: &mut Holes, n: u32) -> LogRecord {
    let order: u32 = holes.random.random_range(0..1_000_000);
    let took_ms: u32 = holes.random.random_range(1..900);
    let before_ns = SENT_AFTER_NS + n * 1_000;
    let (severity_number, severity_text, body) = match n % 10 {
        0 => (17, "ERROR", format!("payment of order {order} failed: card declined")),
        1 | 2 => (13, "WARN", format!("slow answer from inventory: {took_ms} ms")),
        _ => (9, "INFO", format!("order {order} placed by customer c-{order:06} in {took_ms} ms")),
    };
    LogRecord {
        time_unix_nano: holes.time(before_ns),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
        attributes: vec![
            int("order.id", i64::from(order)),
            text("code.function.name", "shop::orders::place"),
            int("code.line.number", i64::from(n % 200)),
            text("thread.name", &format!("worker-{}", n % 16)),
        ],
        flags: 1,
        trace_id: holes.trace(n / 8),
        span_id: holes.span(n),
        observed_time_unix_nano: holes.time(before_ns),
        ..LogRecord::default()
    }
}

/// An encoded request of data points, and their number: per service two metrics of as many series
/// as it takes.
pub(crate) fn metrics(holes: &mut Holes, records: u32, run: &str) -> (Vec<u8>, u32) {
    let series = records.div_ceil(2 * SERVICES.len() as u32);
    let resource_metrics = (0..SERVICES.len())
        .map(|service| ResourceMetrics {
            resource: Some(resource(service, run)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: vec![counter(holes, series), gauge(holes, series)],
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        })
        .collect();
    let request = ExportMetricsServiceRequest { resource_metrics };
    (encode(&request), points(&request))
}

/// Data points of a request of the model.
pub(crate) fn points(request: &ExportMetricsServiceRequest) -> u32 {
    let scopes = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics);
    let of_metric = |metric: &Metric| match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        _ => 0,
    };
    scopes.flat_map(|s| &s.metrics).map(of_metric).sum::<usize>() as u32
}

fn counter(holes: &mut Holes, series: u32) -> Metric {
    let data = Data::Sum(Sum {
        data_points: (0..series).map(|n| point(holes, n, false)).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: true,
    });
    metric("http.server.request.count", "{request}", data)
}

fn gauge(holes: &mut Holes, series: u32) -> Metric {
    let data_points = (0..series).map(|n| point(holes, n, true)).collect();
    metric("process.memory.utilization", "1", Data::Gauge(Gauge { data_points }))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() }
}

fn point(holes: &mut Holes, n: u32, double: bool) -> NumberDataPoint {
    let value = match double {
        true => number_data_point::Value::AsDouble(holes.random.random_range(0.0..1.0)),
        false => number_data_point::Value::AsInt(holes.random.random_range(0..1_000_000)),
    };
    NumberDataPoint {
        start_time_unix_nano: 1_700_000_000_000_000_000,
        time_unix_nano: holes.time(0),
        value: Some(value),
        attributes: vec![
            text("http.request.method", if n.is_multiple_of(2) { "GET" } else { "POST" }),
            text("k8s.pod.name", &format!("pod-{n}")),
        ],
        ..NumberDataPoint::default()
    }
}

fn resource(service: usize, run: &str) -> Resource {
    let name = SERVICES[service].0;
    let attributes = vec![
        text("service.name", name),
        text("service.version", "2.4.1"),
        text("service.instance.id", run),
        text("deployment.environment.name", "load"),
        text("host.name", &format!("node-{}", service % 4)),
        text("k8s.pod.name", &format!("{name}-7d9c5b6f4-x2x{service}")),
        text("telemetry.sdk.language", "rust"),
    ];
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "shop".to_owned(),
        version: "1.0.0".to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn flag(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
