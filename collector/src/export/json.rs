//! OTLP/JSON: the protobuf-JSON mapping with OTLP's own rules, deterministic.
//!
//! Ids are hex, enums integers, 64-bit integers text, NaN and the infinities text, bytes base64.
//! Members that hold their default are left out, except where presence means something (a value, a
//! body, an optional sum) and where common readers fail without them (`key`, `values`). Written by
//! hand because the message crate's serde form loses data (non-finite doubles, empty lists).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use schemas::json::write_string;

/// Appends a trace request, on one line.
pub fn traces(out: &mut Vec<u8>, request: &ExportTraceServiceRequest) {
    object(out, |o| {
        o.objects("resourceSpans", &request.resource_spans, |o, spans| {
            resource(o, spans.resource.as_ref());
            o.objects("scopeSpans", &spans.scope_spans, |o, spans| {
                scope(o, spans.scope.as_ref());
                o.objects("spans", &spans.spans, span);
                o.text("schemaUrl", &spans.schema_url);
            });
            o.text("schemaUrl", &spans.schema_url);
        });
    });
}

/// Appends a logs request, on one line.
pub fn logs(out: &mut Vec<u8>, request: &ExportLogsServiceRequest) {
    object(out, |o| {
        o.objects("resourceLogs", &request.resource_logs, |o, logs| {
            resource(o, logs.resource.as_ref());
            o.objects("scopeLogs", &logs.scope_logs, |o, logs| {
                scope(o, logs.scope.as_ref());
                o.objects("logRecords", &logs.log_records, log_record);
                o.text("schemaUrl", &logs.schema_url);
            });
            o.text("schemaUrl", &logs.schema_url);
        });
    });
}

/// Appends a metrics request, on one line.
pub fn metrics(out: &mut Vec<u8>, request: &ExportMetricsServiceRequest) {
    object(out, |o| {
        o.objects("resourceMetrics", &request.resource_metrics, |o, metrics| {
            resource(o, metrics.resource.as_ref());
            o.objects("scopeMetrics", &metrics.scope_metrics, |o, metrics| {
                scope(o, metrics.scope.as_ref());
                o.objects("metrics", &metrics.metrics, metric);
                o.text("schemaUrl", &metrics.schema_url);
            });
            o.text("schemaUrl", &metrics.schema_url);
        });
    });
}

/// A JSON object being written; the methods add members.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

fn object(out: &mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    members(&mut Object { out, is_empty: true });
    out.push(b'}');
}

fn array<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

impl Object<'_> {
    /// Begins a member; the caller appends its value.
    fn member(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            write_string(self.member(name), text);
        }
    }

    fn id(&mut self, name: &str, id: &[u8]) {
        if !id.is_empty() {
            write_string(self.member(name), &schemas::ids::hex(id));
        }
    }

    /// An enum or a 32-bit integer.
    fn int(&mut self, name: &str, value: impl Into<i64>) {
        let value = value.into();
        if value != 0 {
            schemas::json::write_int(self.member(name), value);
        }
    }

    /// A time or another 64-bit integer.
    fn long(&mut self, name: &str, value: u64) {
        if value != 0 {
            quoted(self.member(name), value);
        }
    }

    fn double(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value {
            double(self.member(name), &value);
        }
    }

    fn array<T>(&mut self, name: &str, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
        if !items.is_empty() {
            array(self.member(name), items, write);
        }
    }

    fn objects<T>(&mut self, name: &str, items: &[T], members: impl Fn(&mut Object<'_>, &T)) {
        self.array(name, items, |out, item| object(out, |o| members(o, item)));
    }

    fn object(&mut self, name: &str, members: impl FnOnce(&mut Object<'_>)) {
        object(self.member(name), members);
    }

    fn attributes(&mut self, name: &str, attributes: &[KeyValue]) {
        self.objects(name, attributes, key_value);
    }
}

fn quoted(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.push(b'"');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.push(b'"');
}

fn double(out: &mut Vec<u8>, value: &f64) {
    let mut buffer = ryu::Buffer::new();
    let text = match *value {
        v if v.is_finite() => return out.extend_from_slice(buffer.format_finite(v).as_bytes()),
        v if v.is_nan() => "\"NaN\"",
        f64::INFINITY => "\"Infinity\"",
        _ => "\"-Infinity\"",
    };
    out.extend_from_slice(text.as_bytes());
}

fn resource(o: &mut Object<'_>, resource: Option<&Resource>) {
    let Some(resource) = resource else { return };
    o.object("resource", |o| {
        o.attributes("attributes", &resource.attributes);
        o.int("droppedAttributesCount", resource.dropped_attributes_count);
        o.objects("entityRefs", &resource.entity_refs, entity_ref);
    });
}

fn entity_ref(o: &mut Object<'_>, entity: &EntityRef) {
    o.text("schemaUrl", &entity.schema_url);
    o.text("type", &entity.r#type);
    o.array("idKeys", &entity.id_keys, |out, key| write_string(out, key));
    o.array("descriptionKeys", &entity.description_keys, |out, key| write_string(out, key));
}

fn scope(o: &mut Object<'_>, scope: Option<&InstrumentationScope>) {
    let Some(scope) = scope else { return };
    o.object("scope", |o| {
        o.text("name", &scope.name);
        o.text("version", &scope.version);
        o.attributes("attributes", &scope.attributes);
        o.int("droppedAttributesCount", scope.dropped_attributes_count);
    });
}

fn key_value(o: &mut Object<'_>, attribute: &KeyValue) {
    write_string(o.member("key"), &attribute.key);
    if let Some(value) = &attribute.value {
        any_value(o.member("value"), value);
    }
    o.int("keyStrindex", attribute.key_strindex);
}

fn any_value(out: &mut Vec<u8>, value: &AnyValue) {
    object(out, |o| match &value.value {
        None => {}
        Some(Value::StringValue(text)) => write_string(o.member("stringValue"), text),
        Some(Value::BoolValue(bool)) => {
            schemas::json::write_bool(o.member("boolValue"), *bool);
        }
        Some(Value::IntValue(int)) => quoted(o.member("intValue"), *int),
        Some(Value::DoubleValue(value)) => double(o.member("doubleValue"), value),
        Some(Value::ArrayValue(list)) => o.object("arrayValue", |o| {
            array(o.member("values"), &list.values, any_value);
        }),
        Some(Value::KvlistValue(map)) => o.object("kvlistValue", |o| {
            array(o.member("values"), &map.values, |out, kv| object(out, |o| key_value(o, kv)));
        }),
        Some(Value::BytesValue(bytes)) => {
            write_string(o.member("bytesValue"), &STANDARD.encode(bytes));
        }
        Some(Value::StringValueStrindex(index)) => {
            schemas::json::write_int(o.member("stringValueStrindex"), i64::from(*index));
        }
    });
}

fn span(o: &mut Object<'_>, span: &Span) {
    o.id("traceId", &span.trace_id);
    o.id("spanId", &span.span_id);
    o.text("traceState", &span.trace_state);
    o.id("parentSpanId", &span.parent_span_id);
    o.int("flags", span.flags);
    o.text("name", &span.name);
    o.int("kind", span.kind);
    o.long("startTimeUnixNano", span.start_time_unix_nano);
    o.long("endTimeUnixNano", span.end_time_unix_nano);
    o.attributes("attributes", &span.attributes);
    o.int("droppedAttributesCount", span.dropped_attributes_count);
    o.objects("events", &span.events, event);
    o.int("droppedEventsCount", span.dropped_events_count);
    o.objects("links", &span.links, link);
    o.int("droppedLinksCount", span.dropped_links_count);
    if let Some(status) = &span.status {
        o.object("status", |o| {
            o.text("message", &status.message);
            o.int("code", status.code);
        });
    }
}

fn event(o: &mut Object<'_>, event: &Event) {
    o.long("timeUnixNano", event.time_unix_nano);
    o.text("name", &event.name);
    o.attributes("attributes", &event.attributes);
    o.int("droppedAttributesCount", event.dropped_attributes_count);
}

fn link(o: &mut Object<'_>, link: &Link) {
    o.id("traceId", &link.trace_id);
    o.id("spanId", &link.span_id);
    o.text("traceState", &link.trace_state);
    o.attributes("attributes", &link.attributes);
    o.int("droppedAttributesCount", link.dropped_attributes_count);
    o.int("flags", link.flags);
}

fn log_record(o: &mut Object<'_>, record: &LogRecord) {
    o.long("timeUnixNano", record.time_unix_nano);
    o.long("observedTimeUnixNano", record.observed_time_unix_nano);
    o.int("severityNumber", record.severity_number);
    o.text("severityText", &record.severity_text);
    if let Some(body) = &record.body {
        any_value(o.member("body"), body);
    }
    o.attributes("attributes", &record.attributes);
    o.int("droppedAttributesCount", record.dropped_attributes_count);
    o.int("flags", record.flags);
    o.id("traceId", &record.trace_id);
    o.id("spanId", &record.span_id);
    o.text("eventName", &record.event_name);
}

fn metric(o: &mut Object<'_>, metric: &Metric) {
    o.text("name", &metric.name);
    o.text("description", &metric.description);
    o.text("unit", &metric.unit);
    o.attributes("metadata", &metric.metadata);
    match &metric.data {
        None => {}
        Some(Data::Gauge(gauge)) => o.object("gauge", |o| {
            o.objects("dataPoints", &gauge.data_points, number_point);
        }),
        Some(Data::Sum(sum)) => o.object("sum", |o| {
            o.objects("dataPoints", &sum.data_points, number_point);
            o.int("aggregationTemporality", sum.aggregation_temporality);
            if sum.is_monotonic {
                schemas::json::write_bool(o.member("isMonotonic"), true);
            }
        }),
        Some(Data::Histogram(histogram)) => o.object("histogram", |o| {
            o.objects("dataPoints", &histogram.data_points, histogram_point);
            o.int("aggregationTemporality", histogram.aggregation_temporality);
        }),
        Some(Data::ExponentialHistogram(histogram)) => o.object("exponentialHistogram", |o| {
            o.objects("dataPoints", &histogram.data_points, exponential_point);
            o.int("aggregationTemporality", histogram.aggregation_temporality);
        }),
        Some(Data::Summary(summary)) => o.object("summary", |o| {
            o.objects("dataPoints", &summary.data_points, summary_point);
        }),
    }
}

fn number_point(o: &mut Object<'_>, point: &NumberDataPoint) {
    o.attributes("attributes", &point.attributes);
    o.long("startTimeUnixNano", point.start_time_unix_nano);
    o.long("timeUnixNano", point.time_unix_nano);
    match point.value {
        None => {}
        Some(number_data_point::Value::AsDouble(value)) => o.double("asDouble", Some(value)),
        Some(number_data_point::Value::AsInt(value)) => quoted(o.member("asInt"), value),
    }
    o.objects("exemplars", &point.exemplars, exemplar);
    o.int("flags", point.flags);
}

fn histogram_point(o: &mut Object<'_>, point: &HistogramDataPoint) {
    o.attributes("attributes", &point.attributes);
    o.long("startTimeUnixNano", point.start_time_unix_nano);
    o.long("timeUnixNano", point.time_unix_nano);
    o.long("count", point.count);
    o.double("sum", point.sum);
    o.array("bucketCounts", &point.bucket_counts, |out, count| quoted(out, *count));
    o.array("explicitBounds", &point.explicit_bounds, double);
    o.objects("exemplars", &point.exemplars, exemplar);
    o.int("flags", point.flags);
    o.double("min", point.min);
    o.double("max", point.max);
}

fn exponential_point(o: &mut Object<'_>, point: &ExponentialHistogramDataPoint) {
    o.attributes("attributes", &point.attributes);
    o.long("startTimeUnixNano", point.start_time_unix_nano);
    o.long("timeUnixNano", point.time_unix_nano);
    o.long("count", point.count);
    o.double("sum", point.sum);
    o.int("scale", point.scale);
    o.long("zeroCount", point.zero_count);
    buckets(o, "positive", point.positive.as_ref());
    buckets(o, "negative", point.negative.as_ref());
    o.int("flags", point.flags);
    o.objects("exemplars", &point.exemplars, exemplar);
    o.double("min", point.min);
    o.double("max", point.max);
    // -0.0 equals 0 but is not the default: protobuf keeps its sign.
    o.double(
        "zeroThreshold",
        (point.zero_threshold.to_bits() != 0).then_some(point.zero_threshold),
    );
}

fn buckets(o: &mut Object<'_>, name: &str, buckets: Option<&Buckets>) {
    let Some(buckets) = buckets else { return };
    o.object(name, |o| {
        o.int("offset", buckets.offset);
        o.array("bucketCounts", &buckets.bucket_counts, |out, count| quoted(out, *count));
    });
}

fn summary_point(o: &mut Object<'_>, point: &SummaryDataPoint) {
    o.attributes("attributes", &point.attributes);
    o.long("startTimeUnixNano", point.start_time_unix_nano);
    o.long("timeUnixNano", point.time_unix_nano);
    o.long("count", point.count);
    o.double("sum", Some(point.sum));
    o.objects("quantileValues", &point.quantile_values, |o, quantile| {
        o.double("quantile", Some(quantile.quantile));
        o.double("value", Some(quantile.value));
    });
    o.int("flags", point.flags);
}

fn exemplar(o: &mut Object<'_>, exemplar: &Exemplar) {
    o.attributes("filteredAttributes", &exemplar.filtered_attributes);
    o.long("timeUnixNano", exemplar.time_unix_nano);
    match exemplar.value {
        None => {}
        Some(exemplar::Value::AsDouble(value)) => o.double("asDouble", Some(value)),
        Some(exemplar::Value::AsInt(value)) => quoted(o.member("asInt"), value),
    }
    o.id("spanId", &exemplar.span_id);
    o.id("traceId", &exemplar.trace_id);
}
