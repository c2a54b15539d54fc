//! One hand-written request of each signal, as JSON and as messages, with every kind of message in
//! it. The two forms mean the same.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// The request of [`traces`] in OTLP/JSON.
pub const TRACES_JSON: &str = include_str!("../examples/traces.json");
/// The request of [`logs`] in OTLP/JSON.
pub const LOGS_JSON: &str = include_str!("../examples/logs.json");
/// The request of [`metrics`] in OTLP/JSON.
pub const METRICS_JSON: &str = include_str!("../examples/metrics.json");

/// 2025-06-01 12:00 UTC.
const NOON: u64 = 1_748_779_200_000_000_000;
const TRACE_ID: [u8; 16] = *b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c";
const ROOT_ID: [u8; 8] = *b"\xb7\xad\x6b\x71\x69\x20\x33\x31";

/// Two spans of a trace, the first with everything a span can have.
pub fn traces() -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "shop.http".into(),
        version: "0.9.1".into(),
        attributes: vec![attribute("short", Value::BoolValue(true))],
        dropped_attributes_count: 2,
    };
    let resource = Resource {
        attributes: vec![text("service.name", "checkout"), int("process.pid", 4242)],
        dropped_attributes_count: 1,
        entity_refs: vec![EntityRef {
            schema_url: "https://example.org/entities/1".into(),
            r#type: "service".into(),
            id_keys: vec!["service.name".into()],
            description_keys: vec!["process.pid".into()],
        }],
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: vec![root_span(), child_span()],
                schema_url: "https://opentelemetry.io/schemas/1.37.0".into(),
            }],
            schema_url: "https://opentelemetry.io/schemas/1.36.0".into(),
        }],
    }
}

fn root_span() -> Span {
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: ROOT_ID.to_vec(),
        trace_state: "shop=7,other=x".into(),
        parent_span_id: vec![],
        flags: 257,
        name: "POST /orders".into(),
        kind: 2,
        start_time_unix_nano: NOON,
        end_time_unix_nano: NOON + 125_000_001,
        attributes: attributes_of_every_type(),
        dropped_attributes_count: 3,
        events: vec![Event {
            time_unix_nano: NOON + 100_000_000,
            name: "exception".into(),
            attributes: vec![text("exception.type", "Timeout")],
            dropped_attributes_count: 4,
        }],
        dropped_events_count: 5,
        links: vec![Link {
            trace_id: vec![0x11; 16],
            span_id: vec![0x22; 8],
            trace_state: "a=b".into(),
            attributes: vec![text("why", "retry of")],
            dropped_attributes_count: 6,
            flags: 1,
        }],
        dropped_links_count: 7,
        status: Some(Status { message: "no answer in 100 ms".into(), code: 2 }),
    }
}

fn child_span() -> Span {
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: b"\x00\xf0\x67\xaa\x0b\xa9\x02\xb7".to_vec(),
        parent_span_id: ROOT_ID.to_vec(),
        name: "charge".into(),
        kind: 3,
        start_time_unix_nano: NOON + 10_000_000,
        end_time_unix_nano: NOON + 110_000_000,
        ..Span::default()
    }
}

fn attributes_of_every_type() -> Vec<KeyValue> {
    let tags = [Some(Value::StringValue("a".into())), Some(Value::IntValue(-1)), None];
    let tags = tags.into_iter().map(|value| AnyValue { value }).collect();
    vec![
        text("http.route", "/orders"),
        int("http.response.status_code", 500),
        attribute("ratio", Value::DoubleValue(3.0)),
        attribute("limit", Value::DoubleValue(f64::INFINITY)),
        attribute("token", Value::BytesValue(vec![0, 255])),
        attribute("tags", Value::ArrayValue(ArrayValue { values: tags })),
        attribute("cfg", Value::KvlistValue(KeyValueList { values: vec![text("$b64", "x")] })),
        attribute("none", Value::ArrayValue(ArrayValue { values: vec![] })),
    ]
}

/// A full log record, one with a map for a body, one with an empty body and one without any.
pub fn logs() -> ExportLogsServiceRequest {
    let full = LogRecord {
        time_unix_nano: NOON + 100_000_000,
        observed_time_unix_nano: NOON + 101_000_000,
        severity_number: 17,
        severity_text: "ERROR".into(),
        body: Some(any(Value::StringValue("order \"4711\" failed\n".into()))),
        attributes: vec![int("shop.order.id", 4711)],
        dropped_attributes_count: 1,
        flags: 1,
        trace_id: TRACE_ID.to_vec(),
        span_id: ROOT_ID.to_vec(),
        event_name: "shop.order.failed".into(),
    };
    let map = KeyValueList { values: vec![attribute("$empty", Value::BoolValue(true))] };
    let with_body = |time: u64, observed: u64, body| LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: observed,
        body,
        ..LogRecord::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(checkout()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope("shop.orders")),
                log_records: vec![
                    full,
                    with_body(0, NOON + 102_000_000, Some(any(Value::KvlistValue(map)))),
                    with_body(NOON + 103_000_000, 0, Some(AnyValue { value: None })),
                    with_body(NOON + 104_000_000, 0, None),
                ],
                schema_url: String::new(),
            }],
            schema_url: "https://opentelemetry.io/schemas/1.37.0".into(),
        }],
    }
}

/// Metrics of all five kinds.
pub fn metrics() -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(checkout()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope("shop.metrics")),
                metrics: vec![gauge(), sum(), histogram(), exponential_histogram(), summary()],
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn gauge() -> Metric {
    let point = |nano, value, flags| NumberDataPoint {
        time_unix_nano: NOON + nano,
        value,
        flags,
        ..NumberDataPoint::default()
    };
    let nan = number_data_point::Value::AsDouble(f64::NAN);
    Metric {
        description: "load of the shop".into(),
        metadata: vec![text("origin", "probe")],
        ..metric(
            "shop.load",
            "1",
            Data::Gauge(Gauge { data_points: vec![point(1, Some(nan), 0), point(2, None, 1)] }),
        )
    }
}

fn sum() -> Metric {
    let exemplar = Exemplar {
        filtered_attributes: vec![int("shop.order.id", 4711)],
        time_unix_nano: NOON - 1_000_000_000,
        span_id: ROOT_ID.to_vec(),
        trace_id: TRACE_ID.to_vec(),
        value: Some(exemplar::Value::AsInt(1)),
    };
    let point = NumberDataPoint {
        attributes: vec![text("http.route", "/orders")],
        start_time_unix_nano: NOON - 3_600_000_000_000,
        time_unix_nano: NOON + 3,
        exemplars: vec![exemplar],
        flags: 0,
        value: Some(number_data_point::Value::AsInt(i64::MIN)),
    };
    let data = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    metric("shop.orders", "{order}", Data::Sum(data))
}

fn histogram() -> Metric {
    let full = HistogramDataPoint {
        start_time_unix_nano: NOON - 3_600_000_000_000,
        time_unix_nano: NOON + 4,
        count: u64::MAX,
        sum: Some(0.5),
        bucket_counts: vec![1, 0, u64::MAX - 1],
        explicit_bounds: vec![5.0, 10.0],
        min: Some(-0.0),
        max: Some(1e300),
        ..HistogramDataPoint::default()
    };
    let bare =
        HistogramDataPoint { time_unix_nano: NOON + 5, count: 3, ..HistogramDataPoint::default() };
    let data = Histogram { data_points: vec![full, bare], aggregation_temporality: 1 };
    metric("shop.latency", "ms", Data::Histogram(data))
}

fn exponential_histogram() -> Metric {
    let full = ExponentialHistogramDataPoint {
        time_unix_nano: NOON + 6,
        count: 4,
        sum: Some(7.5),
        scale: -1,
        zero_count: 1,
        positive: Some(Buckets { offset: -3, bucket_counts: vec![1, 2] }),
        negative: Some(Buckets::default()),
        exemplars: vec![Exemplar {
            time_unix_nano: NOON - 999_999_999,
            value: Some(exemplar::Value::AsDouble(2.5)),
            ..Exemplar::default()
        }],
        min: Some(0.25),
        max: Some(4.0),
        zero_threshold: 1e-6,
        ..ExponentialHistogramDataPoint::default()
    };
    let bare = ExponentialHistogramDataPoint {
        time_unix_nano: NOON + 7,
        scale: 20,
        ..ExponentialHistogramDataPoint::default()
    };
    let data = ExponentialHistogram { data_points: vec![full, bare], aggregation_temporality: 2 };
    metric("shop.size", "By", Data::ExponentialHistogram(data))
}

fn summary() -> Metric {
    let point = SummaryDataPoint {
        time_unix_nano: NOON + 8,
        count: 10,
        sum: 12.0,
        quantile_values: vec![
            ValueAtQuantile { quantile: 0.5, value: 1.0 },
            ValueAtQuantile { quantile: 0.99, value: 2.25 },
        ],
        ..SummaryDataPoint::default()
    };
    metric("shop.old", "", Data::Summary(Summary { data_points: vec![point] }))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.into(), unit: unit.into(), data: Some(data), ..Metric::default() }
}

fn checkout() -> Resource {
    Resource { attributes: vec![text("service.name", "checkout")], ..Resource::default() }
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope { name: name.into(), ..InstrumentationScope::default() }
}

fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(any(value)), key_strindex: 0 }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}
