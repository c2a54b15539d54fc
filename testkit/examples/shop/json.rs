//! OTLP/JSON of what the shop sends, one request a line: ids as hex, 64-bit integers as text, no
//! empty members. Texts and integers are all the values that the shop has.

use std::io;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, HistogramDataPoint, Metric, exemplar};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use testkit::shop::Request;

/// Appends a request and the end of the line.
pub(crate) fn line(out: &mut String, request: &Request) -> io::Result<()> {
    object(out, |o| match request {
        Request::Traces(request) => o.list("resourceSpans", &request.resource_spans, |o, group| {
            resource(o, group.resource.as_ref())?;
            o.list("scopeSpans", &group.scope_spans, |o, group| {
                scope(o, group.scope.as_ref())?;
                o.list("spans", &group.spans, span)?;
                o.text("schemaUrl", &group.schema_url)
            })?;
            o.text("schemaUrl", &group.schema_url)
        }),
        Request::Logs(request) => o.list("resourceLogs", &request.resource_logs, |o, group| {
            resource(o, group.resource.as_ref())?;
            o.list("scopeLogs", &group.scope_logs, |o, group| {
                scope(o, group.scope.as_ref())?;
                o.list("logRecords", &group.log_records, log_record)?;
                o.text("schemaUrl", &group.schema_url)
            })?;
            o.text("schemaUrl", &group.schema_url)
        }),
        Request::Metrics(request) => {
            o.list("resourceMetrics", &request.resource_metrics, |o, group| {
                resource(o, group.resource.as_ref())?;
                o.list("scopeMetrics", &group.scope_metrics, |o, group| {
                    scope(o, group.scope.as_ref())?;
                    o.list("metrics", &group.metrics, metric)?;
                    o.text("schemaUrl", &group.schema_url)
                })?;
                o.text("schemaUrl", &group.schema_url)
            })
        }
    })?;
    out.push('\n');
    Ok(())
}

/// A JSON object being written; the methods add members.
struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

fn object(
    out: &mut String,
    members: impl FnOnce(&mut Object<'_>) -> io::Result<()>,
) -> io::Result<()> {
    out.push('{');
    members(&mut Object { out, is_empty: true })?;
    out.push('}');
    Ok(())
}

impl Object<'_> {
    /// Begins a member; the caller appends its value.
    fn member(&mut self, name: &str) -> &mut String {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        quoted(self.out, name);
        self.out.push(':');
        self.out
    }

    fn object(
        &mut self,
        name: &str,
        members: impl FnOnce(&mut Object<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        object(self.member(name), members)
    }

    fn list<T>(
        &mut self,
        name: &str,
        items: &[T],
        write: impl Fn(&mut Object<'_>, &T) -> io::Result<()>,
    ) -> io::Result<()> {
        if items.is_empty() {
            return Ok(());
        }
        let out = self.member(name);
        out.push('[');
        for (nth, item) in items.iter().enumerate() {
            if nth > 0 {
                out.push(',');
            }
            object(out, |o| write(o, item))?;
        }
        out.push(']');
        Ok(())
    }

    fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            quoted(self.member(name), text);
        }
        Ok(())
    }

    fn id(&mut self, name: &str, id: &[u8]) -> io::Result<()> {
        self.text(name, &id.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// A 64-bit integer.
    fn long(&mut self, name: &str, value: u64) -> io::Result<()> {
        self.text(name, &value.to_string())
    }

    /// A number that stands without quotes: a 32-bit integer, an enum or a finite double.
    fn number(&mut self, name: &str, value: impl std::fmt::Display) -> io::Result<()> {
        self.member(name).push_str(&value.to_string());
        Ok(())
    }

    fn numbers<T: std::fmt::Display>(&mut self, name: &str, values: &[T]) -> io::Result<()> {
        let values: Vec<String> = values.iter().map(T::to_string).collect();
        self.member(name).push_str(&format!("[{}]", values.join(",")));
        Ok(())
    }

    fn value(&mut self, name: &str, value: Option<&AnyValue>) -> io::Result<()> {
        self.object(name, |o| match value.and_then(|any| any.value.as_ref()) {
            Some(Value::StringValue(text)) => {
                quoted(o.member("stringValue"), text);
                Ok(())
            }
            Some(Value::IntValue(int)) => o.text("intValue", &int.to_string()),
            other => Err(io::Error::other(format!("no rule to write the value {other:?} as JSON"))),
        })
    }

    fn attributes(&mut self, attributes: &[KeyValue]) -> io::Result<()> {
        self.list("attributes", attributes, |o, attribute| {
            quoted(o.member("key"), &attribute.key);
            o.value("value", attribute.value.as_ref())
        })
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn resource(o: &mut Object<'_>, resource: Option<&Resource>) -> io::Result<()> {
    let Some(resource) = resource else { return Ok(()) };
    o.object("resource", |o| o.attributes(&resource.attributes))
}

fn scope(o: &mut Object<'_>, scope: Option<&InstrumentationScope>) -> io::Result<()> {
    let Some(scope) = scope else { return Ok(()) };
    o.object("scope", |o| {
        o.text("name", &scope.name)?;
        o.text("version", &scope.version)
    })
}

fn span(o: &mut Object<'_>, span: &Span) -> io::Result<()> {
    o.id("traceId", &span.trace_id)?;
    o.id("spanId", &span.span_id)?;
    o.id("parentSpanId", &span.parent_span_id)?;
    o.number("flags", span.flags)?;
    o.text("name", &span.name)?;
    o.number("kind", span.kind)?;
    o.long("startTimeUnixNano", span.start_time_unix_nano)?;
    o.long("endTimeUnixNano", span.end_time_unix_nano)?;
    o.attributes(&span.attributes)?;
    o.list("events", &span.events, event)?;
    o.list("links", &span.links, link)?;
    let Some(status) = &span.status else { return Ok(()) };
    o.object("status", |o| {
        o.text("message", &status.message)?;
        o.number("code", status.code)
    })
}

fn event(o: &mut Object<'_>, event: &Event) -> io::Result<()> {
    o.long("timeUnixNano", event.time_unix_nano)?;
    o.text("name", &event.name)?;
    o.attributes(&event.attributes)
}

fn link(o: &mut Object<'_>, link: &Link) -> io::Result<()> {
    o.id("traceId", &link.trace_id)?;
    o.id("spanId", &link.span_id)?;
    o.number("flags", link.flags)
}

fn log_record(o: &mut Object<'_>, log: &LogRecord) -> io::Result<()> {
    o.long("timeUnixNano", log.time_unix_nano)?;
    o.long("observedTimeUnixNano", log.observed_time_unix_nano)?;
    o.number("severityNumber", log.severity_number)?;
    o.text("severityText", &log.severity_text)?;
    o.value("body", log.body.as_ref())?;
    o.attributes(&log.attributes)?;
    o.number("flags", log.flags)?;
    o.id("traceId", &log.trace_id)?;
    o.id("spanId", &log.span_id)
}

fn metric(o: &mut Object<'_>, metric: &Metric) -> io::Result<()> {
    o.text("name", &metric.name)?;
    o.text("description", &metric.description)?;
    o.text("unit", &metric.unit)?;
    let Some(Data::Histogram(histogram)) = &metric.data else {
        return Err(io::Error::other(format!("no rule to write {} as JSON", metric.name)));
    };
    o.object("histogram", |o| {
        o.list("dataPoints", &histogram.data_points, histogram_point)?;
        o.number("aggregationTemporality", histogram.aggregation_temporality)
    })
}

fn histogram_point(o: &mut Object<'_>, point: &HistogramDataPoint) -> io::Result<()> {
    o.attributes(&point.attributes)?;
    o.long("startTimeUnixNano", point.start_time_unix_nano)?;
    o.long("timeUnixNano", point.time_unix_nano)?;
    o.long("count", point.count)?;
    for (name, value) in [("sum", point.sum), ("min", point.min), ("max", point.max)] {
        value.map_or(Ok(()), |value| o.number(name, value))?;
    }
    let counts: Vec<String> = point.bucket_counts.iter().map(|c| format!("\"{c}\"")).collect();
    o.numbers("bucketCounts", &counts)?;
    o.numbers("explicitBounds", &point.explicit_bounds)?;
    o.list("exemplars", &point.exemplars, exemplar)
}

fn exemplar(o: &mut Object<'_>, exemplar: &Exemplar) -> io::Result<()> {
    o.long("timeUnixNano", exemplar.time_unix_nano)?;
    match exemplar.value {
        Some(exemplar::Value::AsDouble(value)) => o.number("asDouble", value)?,
        Some(exemplar::Value::AsInt(value)) => o.text("asInt", &value.to_string())?,
        None => {}
    }
    o.id("spanId", &exemplar.span_id)?;
    o.id("traceId", &exemplar.trace_id)
}
