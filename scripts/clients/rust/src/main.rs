//! A Rust application with the OpenTelemetry SDK: sends the common scenario (../README.md) once.
//! usage: otlake-client-rust {grpc|http/protobuf} HOST:PORT SERVICE

use std::error::Error;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider as _};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

type Failure = Box<dyn Error + Send + Sync>;

/// The channel of tonic wants a runtime around it; the SDK's own threads do the sending.
#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [protocol, endpoint, service] = arguments.as_slice() else {
        return Err("usage: otlake-client-rust {grpc|http/protobuf} HOST:PORT SERVICE".into());
    };
    let (grpc, base) = (protocol == "grpc", format!("http://{endpoint}"));
    let service = service.clone();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _inside = runtime.enter();
        send(grpc, &base, &service)
    })
    .await?
}

macro_rules! exporter {
    ($type:ident, $grpc:expr, $base:expr, $path:literal) => {
        if $grpc {
            $type::builder()
                .with_tonic()
                .with_endpoint($base)
                .with_compression(Compression::Gzip)
                .build()?
        } else {
            $type::builder()
                .with_http()
                .with_endpoint(format!("{}/v1/{}", $base, $path))
                .with_compression(Compression::Gzip)
                .build()?
        }
    };
}

fn send(grpc: bool, base: &str, service: &str) -> Result<(), Failure> {
    let resource = Resource::builder_empty().with_service_name(service.to_owned()).build();
    let tracers = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_batch_exporter(exporter!(SpanExporter, grpc, base, "traces"))
        .build();
    let meters = SdkMeterProvider::builder()
        .with_resource(resource.clone())
        .with_periodic_exporter(exporter!(MetricExporter, grpc, base, "metrics"))
        .build();
    let loggers = SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter!(LogExporter, grpc, base, "logs"))
        .build();
    send_spans(&tracers.tracer("client"));
    send_metrics(&meters.meter("client"));
    send_logs(&loggers.logger("client"));
    tracers.shutdown()?;
    meters.shutdown()?;
    loggers.shutdown()?;
    Ok(())
}

fn send_spans(tracer: &SdkTracer) {
    for order in 0..10 {
        let attributes = vec![
            KeyValue::new("http.route", "/orders/{id}"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("client.order", order),
            KeyValue::new("client.ratio", 0.5),
            KeyValue::new("client.cached", true),
            KeyValue::new("client.tags", tags()),
        ];
        let builder = |name, kind| {
            tracer.span_builder(name).with_kind(kind).with_attributes(attributes.clone())
        };
        let mut parent = builder("checkout", SpanKind::Server).start(tracer);
        parent.add_event("retry", vec![KeyValue::new("attempt", 1)]);
        let inside = Context::new().with_span(parent);
        let mut child = builder("charge", SpanKind::Client).start_with_context(tracer, &inside);
        if order == 9 {
            child.set_status(Status::error("card declined"));
        }
        child.end();
        inside.span().end();
    }
}

fn tags() -> Value {
    Value::Array(Array::String(vec![StringValue::from("a"), StringValue::from("b")]))
}

fn send_metrics(meter: &Meter) {
    let requests = meter.u64_counter("client.requests").with_unit("{request}").build();
    requests.add(3, &[]);
    requests.add(4, &[]);
    meter.f64_gauge("client.temperature").with_unit("Cel").build().record(21.5, &[]);
    let latency = meter.f64_histogram("client.latency").with_unit("ms").build();
    for value in [1.0, 2.0, 3.0] {
        latency.record(value, &[]);
    }
}

fn send_logs(logger: &impl Logger) {
    for order in 0..5 {
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Warn);
        record.set_severity_text("WARN");
        record.set_body(AnyValue::from(format!("order {order} placed")));
        record.add_attribute("order.id", i64::from(order));
        logger.emit(record);
    }
}
