//! What decoding costs: OTLP bytes to Arrow batches, for each signal and encoding, beside prost
//! decoding the same bytes into messages and dropping them.
//!
//! `cargo bench -p collector --bench decode`; criterion's elements are records.
#![allow(clippy::unwrap_used, reason = "a bench that cannot set up must stop")]

use collector::decode::{Decoder, Limits};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::Event, status::StatusCode,
};
use prost::Message;
use schemas::Signal;
use storage::Encoding;

const RECORDS: u64 = 512;
const NOW_NS: u64 = 1_790_000_000_000_000_000;

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn resource() -> Option<Resource> {
    let attributes = vec![
        text("service.name", "checkout"),
        text("service.version", "2.4.1"),
        text("service.instance.id", "627cc493-f310-47de-96bd-71410b7dec09"),
        text("k8s.pod.name", "checkout-5d8c7bfb4c-x2x8p"),
        text("k8s.namespace.name", "shop"),
        text("telemetry.sdk.language", "rust"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "0.33.1"),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "shop.http".to_owned(), ..InstrumentationScope::default() })
}

/// Ten attributes, five of them promoted.
fn attributes(i: u64) -> Vec<KeyValue> {
    vec![
        text("http.request.method", "GET"),
        text("http.route", "/api/cart/{user}/items"),
        attribute("http.response.status_code", Value::IntValue(200)),
        text("server.address", "cart.shop.svc.cluster.local"),
        attribute("server.port", Value::IntValue(8080)),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
        text("url.scheme", "https"),
        text("session.id", format!("{:016x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
        attribute("cart.items", Value::IntValue((i % 17) as i64)),
        attribute("cart.total", Value::DoubleValue(i as f64 * 0.25)),
    ]
}

fn spans() -> Vec<u8> {
    let span = |i: u64| Span {
        trace_id: u128::from(i / 8 + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C)
            .to_le_bytes()
            .into(),
        span_id: (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes().into(),
        parent_span_id: (i + 2).to_le_bytes().into(),
        flags: 0x101,
        name: "GET /api/cart/{user}/items".to_owned(),
        kind: (i % 3 + 1) as i32,
        start_time_unix_nano: NOW_NS + i * 1_000,
        end_time_unix_nano: NOW_NS + i * 1_000 + 1_234_567,
        attributes: attributes(i),
        events: i
            .is_multiple_of(10)
            .then(|| Event {
                time_unix_nano: NOW_NS,
                name: "cache.miss".to_owned(),
                attributes: vec![text("cache.key", "user:1234")],
                ..Event::default()
            })
            .into_iter()
            .collect(),
        status: Some(Status { code: StatusCode::Ok as i32, ..Status::default() }),
        ..Span::default()
    };
    let spans = (0..RECORDS).map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn logs() -> Vec<u8> {
    let body = "connection to cart.shop.svc.cluster.local:8080 took 1234 ms, retrying";
    let record = |i: u64| LogRecord {
        time_unix_nano: NOW_NS + i * 1_000,
        observed_time_unix_nano: NOW_NS + i * 1_000,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(body.to_owned())) }),
        attributes: attributes(i).split_off(5),
        trace_id: vec![7; 16],
        span_id: vec![7; 8],
        ..LogRecord::default()
    };
    let log_records = (0..RECORDS).map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn metrics() -> Vec<u8> {
    let point = |i: u64| NumberDataPoint {
        attributes: attributes(i).into_iter().take(4).collect(),
        start_time_unix_nano: NOW_NS,
        time_unix_nano: NOW_NS + i,
        value: Some(number_data_point::Value::AsInt(i as i64)),
        ..NumberDataPoint::default()
    };
    let metric = |first: u64| Metric {
        name: format!("http.server.requests.{first}"),
        unit: "{request}".to_owned(),
        data: Some(metric::Data::Sum(Sum {
            data_points: (first..first + 16).map(point).collect(),
            aggregation_temporality: AggregationTemporality::Cumulative as i32,
            is_monotonic: true,
        })),
        ..Metric::default()
    };
    let metrics = (0..RECORDS).step_by(16).map(metric).collect();
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

/// The spans once more as OTLP/JSON, as Node writes it.
fn spans_json() -> Vec<u8> {
    let request = ExportTraceServiceRequest::decode(spans().as_slice()).unwrap();
    let key_value = |kv: &KeyValue| {
        let value = match kv.value.as_ref().and_then(|v| v.value.as_ref()).unwrap() {
            Value::StringValue(text) => format!("{{\"stringValue\":\"{text}\"}}"),
            Value::IntValue(v) => format!("{{\"intValue\":{v}}}"),
            Value::DoubleValue(v) => format!("{{\"doubleValue\":{v}}}"),
            _ => "{}".to_owned(),
        };
        format!("{{\"key\":\"{}\",\"value\":{value}}}", kv.key)
    };
    let list = |kvs: &[KeyValue]| kvs.iter().map(key_value).collect::<Vec<_>>().join(",");
    let hex = schemas::ids::hex;
    let span = |s: &Span| {
        format!(
            "{{\"traceId\":\"{}\",\"spanId\":\"{}\",\"parentSpanId\":\"{}\",\"name\":\"{}\",\"kind\":{},\
             \"startTimeUnixNano\":\"{}\",\"endTimeUnixNano\":\"{}\",\"attributes\":[{}],\"flags\":257,\
             \"events\":[],\"links\":[],\"droppedAttributesCount\":0,\"status\":{{\"code\":1}}}}",
            hex(&s.trace_id),
            hex(&s.span_id),
            hex(&s.parent_span_id),
            s.name,
            s.kind,
            s.start_time_unix_nano,
            s.end_time_unix_nano,
            list(&s.attributes)
        )
    };
    let resource = &request.resource_spans[0];
    let spans: Vec<String> = resource.scope_spans[0].spans.iter().map(span).collect();
    format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{}]}},\"scopeSpans\":[{{\"scope\":{{\"name\":\"s\"}},\"spans\":[{}]}}]}}]}}",
        list(&resource.resource.as_ref().unwrap().attributes),
        spans.join(",")
    )
    .into_bytes()
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(RECORDS));
    for (name, signal, encoding, body) in [
        ("spans", Signal::Traces, Encoding::Protobuf, spans()),
        ("logs", Signal::Logs, Encoding::Protobuf, logs()),
        ("points", Signal::Metrics, Encoding::Protobuf, metrics()),
        ("spans_json", Signal::Traces, Encoding::Json, spans_json()),
    ] {
        let mut decoder = Decoder::new(Limits::default());
        group.bench_function(name, |b| {
            b.iter(|| decoder.decode(signal, encoding, &body, NOW_NS as i64).unwrap());
        });
    }
    let body = spans();
    group.bench_function("spans_prost_decode_and_drop", |b| {
        b.iter(|| ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
