//! Telemetry of a small shop, as its services' SDKs would send it.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use rand::Rng;

use super::Generator;

const SERVICES: [&str; 6] = ["gateway", "cart", "checkout", "payment", "inventory", "shipping"];
const ROUTES: [&str; 6] = [
    "/api/cart",
    "/api/cart/{item}",
    "/api/checkout",
    "/api/orders/{order}",
    "/api/payments",
    "/api/stock/{sku}",
];
const METHODS: [&str; 3] = ["GET", "POST", "DELETE"];
const SPANS_OF_TRACE: usize = 8;
const BOUNDS_MS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];

impl Generator {
    pub(super) fn plausible_resource(&mut self) -> Resource {
        let service = self.pick(&SERVICES);
        let pod = self.rng.random_range(0..8);
        Resource {
            attributes: vec![
                text("service.name", service),
                text("service.namespace", "shop"),
                text("service.version", "1.4.2"),
                text("service.instance.id", format!("{service}-{pod}")),
                text("deployment.environment.name", "production"),
                text("host.name", format!("node-{}", pod % 3)),
                text("k8s.namespace.name", "shop"),
                text("k8s.pod.name", format!("{service}-5d4f8-{pod}")),
                text("telemetry.sdk.language", "rust"),
                text("telemetry.sdk.name", "opentelemetry"),
                text("telemetry.sdk.version", "0.33.0"),
            ],
            ..Resource::default()
        }
    }

    pub(super) fn plausible_scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: "shop.http".to_owned(),
            version: "0.9.1".to_owned(),
            ..InstrumentationScope::default()
        }
    }

    /// Traces of a few spans each: a server span and the calls below it.
    pub(super) fn plausible_spans(&mut self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::with_capacity(self.options.records);
        for i in 0..self.options.records {
            let root = (i % SPANS_OF_TRACE != 0).then(|| spans[i - i % SPANS_OF_TRACE].clone());
            spans.push(self.plausible_span(root.as_ref()));
        }
        spans
    }

    fn plausible_span(&mut self, root: Option<&Span>) -> Span {
        let route = self.pick(&ROUTES);
        let method = self.pick(&METHODS);
        let failed = self.chance(0.02);
        let start = self.options.now_ns - self.rng.random_range(0..30_000_000_000);
        let duration = self.rng.random_range(200_000..400_000_000);
        let kind = if root.is_some() { SpanKind::Client } else { SpanKind::Server };
        let start = root.map_or(start, |r| r.start_time_unix_nano + duration / 16);
        Span {
            trace_id: root.map_or_else(|| self.trace_id(), |r| r.trace_id.clone()),
            span_id: self.span_id(),
            parent_span_id: root.map_or_else(Vec::new, |r| r.span_id.clone()),
            flags: 0x101,
            name: format!("{method} {route}"),
            kind: kind as i32,
            start_time_unix_nano: start,
            end_time_unix_nano: start + duration,
            attributes: self.http_attributes(method, route, failed),
            events: if failed { vec![exception(start + duration)] } else { vec![] },
            status: failed.then(|| Status {
                message: "connection reset".to_owned(),
                code: StatusCode::Error as i32,
            }),
            ..Span::default()
        }
    }

    fn http_attributes(&mut self, method: &str, route: &str, failed: bool) -> Vec<KeyValue> {
        let order = self.rng.random_range(1..1_000_000);
        let mut attributes = vec![
            text("http.request.method", method),
            text("http.route", route),
            int("http.response.status_code", if failed { 500 } else { 200 }),
            text("url.path", format!("{route}/{order}")),
            text("url.scheme", "https"),
            text("server.address", format!("{}.shop.svc", self.pick(&SERVICES))),
            int("server.port", 8080),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "shop-frontend/2.3"),
            int("shop.order.id", order),
        ];
        let first_extra = attributes.len();
        attributes.truncate(self.options.attributes);
        for i in first_extra..self.options.attributes {
            attributes.push(int(&format!("shop.extra.{i}"), order));
        }
        attributes
    }

    pub(super) fn plausible_log(&mut self) -> LogRecord {
        let levels = [(9, "INFO"), (9, "INFO"), (9, "INFO"), (13, "WARN"), (17, "ERROR")];
        let (severity_number, severity) = self.pick(&levels);
        let time = self.options.now_ns - self.rng.random_range(0..30_000_000_000);
        let route = self.pick(&ROUTES);
        let order: u32 = self.rng.random_range(1..1_000_000);
        let mut attributes = vec![
            text("http.route", route),
            int("shop.order.id", i64::from(order)),
            text("thread.name", "worker-3"),
            text("code.function.name", "shop::orders::place"),
        ];
        attributes.truncate(self.options.attributes);
        LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: time + 1_000_000,
            severity_number,
            severity_text: severity.to_owned(),
            body: Some(string(format!("order {order} handled at {route} in {} ms", order % 900))),
            attributes,
            flags: 1,
            trace_id: self.trace_id(),
            span_id: self.span_id(),
            ..LogRecord::default()
        }
    }

    pub(super) fn plausible_metric(&mut self) -> Metric {
        match self.rng.random_range(0..3) {
            0 => self.metric("process.memory.usage", "By", |g| {
                let data_points = vec![g.plausible_number()];
                Data::Gauge(Gauge { data_points })
            }),
            1 => self.metric("shop.orders", "{order}", |g| {
                Data::Sum(Sum {
                    data_points: vec![g.plausible_number()],
                    aggregation_temporality: 2,
                    is_monotonic: true,
                })
            }),
            _ => self.metric("http.server.request.duration", "ms", |g| {
                Data::Histogram(Histogram {
                    data_points: vec![g.plausible_histogram()],
                    aggregation_temporality: 2,
                })
            }),
        }
    }

    fn metric(
        &mut self,
        name: &str,
        unit: &str,
        data: impl FnOnce(&mut Generator) -> Data,
    ) -> Metric {
        Metric {
            name: name.to_owned(),
            description: format!("{name} of the shop"),
            unit: unit.to_owned(),
            metadata: vec![],
            data: Some(data(self)),
        }
    }

    fn point_attributes(&mut self) -> Vec<KeyValue> {
        let (method, route) = (self.pick(&METHODS), self.pick(&ROUTES));
        vec![text("http.request.method", method), text("http.route", route)]
    }

    fn plausible_number(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.point_attributes(),
            start_time_unix_nano: self.options.now_ns - 3_600_000_000_000,
            time_unix_nano: self.point_time(),
            value: Some(number_data_point::Value::AsInt(self.rng.random_range(0..1 << 30))),
            ..NumberDataPoint::default()
        }
    }

    fn plausible_histogram(&mut self) -> HistogramDataPoint {
        let bucket_counts: Vec<u64> =
            (0..=BOUNDS_MS.len()).map(|_| self.rng.random_range(0..1000)).collect();
        HistogramDataPoint {
            attributes: self.point_attributes(),
            start_time_unix_nano: self.options.now_ns - 3_600_000_000_000,
            time_unix_nano: self.point_time(),
            count: bucket_counts.iter().sum(),
            sum: Some(self.rng.random_range(0.0..1e6)),
            bucket_counts,
            explicit_bounds: BOUNDS_MS.to_vec(),
            exemplars: vec![Exemplar {
                time_unix_nano: self.options.now_ns,
                span_id: self.span_id(),
                trace_id: self.trace_id(),
                value: Some(exemplar::Value::AsDouble(self.rng.random_range(0.1..900.0))),
                ..Exemplar::default()
            }],
            min: Some(0.4),
            max: Some(912.5),
            ..HistogramDataPoint::default()
        }
    }
}

fn exception(time_unix_nano: u64) -> Event {
    Event {
        time_unix_nano,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", "ConnectionReset"),
            text("exception.message", "connection reset by peer"),
        ],
        dropped_attributes_count: 0,
    }
}

fn string(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(string(value)), key_strindex: 0 }
}

fn int(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}
