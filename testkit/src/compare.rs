//! Order-insensitive equality of requests, to state that what is stored is what was sent.
//!
//! A request becomes one text a record, which holds the record and all that stands around it, and
//! the texts are sorted; so grouping, order and NaN do not matter. Held equal besides, because OTLP
//! gives the difference no meaning:
//!
//! * attributes in another order; of equal keys the last counts; an attribute without a value has
//!   an empty one,
//! * an absent scope, resource or status and an empty one; envelopes without records,
//! * ids that are all zero or of a wrong length and absent ones; the span id of a log record
//!   without a trace id,
//! * exemplars of a point in another order.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write as _};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

/// The records of one or several requests, comparable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Text of a record and how often it occurs.
    texts: BTreeMap<String, usize>,
}

impl Records {
    /// The spans of a request.
    pub fn of_traces(request: &ExportTraceServiceRequest) -> Records {
        let mut records = Records::default();
        for r in &request.resource_spans {
            let resource = (resource(r.resource.as_ref()), &r.schema_url);
            for s in &r.scope_spans {
                let scope = (scope(s.scope.as_ref()), &s.schema_url);
                s.spans.iter().for_each(|x| records.add(&(span(x), &resource, &scope)));
            }
        }
        records
    }

    /// The log records of a request.
    pub fn of_logs(request: &ExportLogsServiceRequest) -> Records {
        let mut records = Records::default();
        for r in &request.resource_logs {
            let resource = (resource(r.resource.as_ref()), &r.schema_url);
            for s in &r.scope_logs {
                let scope = (scope(s.scope.as_ref()), &s.schema_url);
                s.log_records.iter().for_each(|x| records.add(&(log(x), &resource, &scope)));
            }
        }
        records
    }

    /// The data points of a request, each with its metric and its exemplars.
    pub fn of_metrics(request: &ExportMetricsServiceRequest) -> Records {
        let mut records = Records::default();
        for r in &request.resource_metrics {
            let resource = (resource(r.resource.as_ref()), &r.schema_url);
            for s in &r.scope_metrics {
                let scope = (scope(s.scope.as_ref()), &s.schema_url);
                for metric in s.metrics.iter().flat_map(points) {
                    records.add(&(metric, &resource, &scope));
                }
            }
        }
        records
    }

    /// Adds the records of another request.
    pub fn extend(&mut self, other: Records) {
        for (text, count) in other.texts {
            *self.texts.entry(text).or_default() += count;
        }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.texts.values().sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// What the other lacks and what it has too much, `None` when they are equal.
    pub fn difference(&self, other: &Records) -> Option<Difference> {
        let difference = Difference { missing: self.minus(other), extra: other.minus(self) };
        (!difference.missing.is_empty() || !difference.extra.is_empty()).then_some(difference)
    }

    fn minus(&self, other: &Records) -> Vec<String> {
        let mut rest = Vec::new();
        for (text, count) in &self.texts {
            let of_other = other.texts.get(text).copied().unwrap_or(0);
            rest.extend(std::iter::repeat_n(text.clone(), count.saturating_sub(of_other)));
        }
        rest
    }

    fn add(&mut self, record: &impl Debug) {
        // Debug shows every field there is, a field of the next version of OTLP too.
        *self.texts.entry(format!("{record:?}")).or_default() += 1;
    }
}

/// How two sets of records differ. Its text shows the first pairs from where they part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Records of the first that the second lacks.
    pub missing: Vec<String>,
    /// Records of the second that the first lacks.
    pub extra: Vec<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 3;
        writeln!(f, "{} missing, {} too much", self.missing.len(), self.extra.len())?;
        let nothing = String::new();
        for i in 0..SHOWN_MAX.min(self.missing.len().max(self.extra.len())) {
            let missing = self.missing.get(i).unwrap_or(&nothing);
            let extra = self.extra.get(i).unwrap_or(&nothing);
            f.write_str(&parting(missing, extra))?;
        }
        Ok(())
    }
}

/// Both texts around the first place at which they differ.
fn parting(missing: &str, extra: &str) -> String {
    const CHARS_BEFORE: usize = 80;
    const CHARS_SHOWN: usize = 240;
    let same = missing.chars().zip(extra.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(CHARS_BEFORE);
    let mut text = String::new();
    for (sign, record) in [('-', missing), ('+', extra)] {
        let shown: String = record.chars().skip(from).take(CHARS_SHOWN).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{sign} at {from}: …{shown}…");
    }
    text
}

fn resource(resource: Option<&Resource>) -> Resource {
    let mut resource = resource.cloned().unwrap_or_default();
    sort(&mut resource.attributes);
    resource
}

fn scope(scope: Option<&InstrumentationScope>) -> InstrumentationScope {
    let mut scope = scope.cloned().unwrap_or_default();
    sort(&mut scope.attributes);
    scope
}

fn span(span: &Span) -> Span {
    let mut span = span.clone();
    valid_or_none(&mut span.parent_span_id, 8);
    sort(&mut span.attributes);
    span.events.iter_mut().for_each(|event| sort(&mut event.attributes));
    for link in &mut span.links {
        valid_or_none(&mut link.trace_id, 16);
        valid_or_none(&mut link.span_id, 8);
        sort(&mut link.attributes);
    }
    span.status.get_or_insert_default();
    span
}

fn log(record: &LogRecord) -> LogRecord {
    let mut record = record.clone();
    valid_or_none(&mut record.trace_id, 16);
    valid_or_none(&mut record.span_id, 8);
    if record.trace_id.is_empty() {
        record.span_id.clear();
    }
    sort(&mut record.attributes);
    record.body.iter_mut().for_each(normalise);
    record
}

/// A metric of one point for each of its points.
fn points(metric: &Metric) -> Vec<Metric> {
    macro_rules! split {
        ($kind:ident, $data:expr, $normalise:expr) => {{
            let mut data = $data.clone();
            let points = std::mem::take(&mut data.data_points);
            let one = |mut point| {
                $normalise(&mut point);
                let mut data = data.clone();
                data.data_points.push(point);
                Data::$kind(data)
            };
            points.into_iter().map(one).collect()
        }};
    }
    macro_rules! with_exemplars {
        ($point:ident) => {
            |point: &mut opentelemetry_proto::tonic::metrics::v1::$point| {
                sort(&mut point.attributes);
                sort_exemplars(&mut point.exemplars);
            }
        };
    }
    let data: Vec<Data> = match &metric.data {
        None => Vec::new(),
        Some(Data::Gauge(d)) => split!(Gauge, d, with_exemplars!(NumberDataPoint)),
        Some(Data::Sum(d)) => split!(Sum, d, with_exemplars!(NumberDataPoint)),
        Some(Data::Histogram(d)) => split!(Histogram, d, with_exemplars!(HistogramDataPoint)),
        Some(Data::ExponentialHistogram(d)) => {
            split!(ExponentialHistogram, d, with_exemplars!(ExponentialHistogramDataPoint))
        }
        Some(Data::Summary(d)) => split!(
            Summary,
            d,
            |point: &mut opentelemetry_proto::tonic::metrics::v1::SummaryDataPoint| {
                sort(&mut point.attributes);
            }
        ),
    };
    let mut header = Metric { data: None, ..metric.clone() };
    sort(&mut header.metadata);
    data.into_iter().map(|data| Metric { data: Some(data), ..header.clone() }).collect()
}

fn sort_exemplars(exemplars: &mut [Exemplar]) {
    for exemplar in exemplars.iter_mut() {
        valid_or_none(&mut exemplar.trace_id, 16);
        valid_or_none(&mut exemplar.span_id, 8);
        sort(&mut exemplar.filtered_attributes);
    }
    exemplars.sort_by_cached_key(|exemplar| format!("{exemplar:?}"));
}

fn valid_or_none(id: &mut Vec<u8>, bytes: usize) {
    if id.len() != bytes || id.iter().all(|b| *b == 0) {
        id.clear();
    }
}

/// By key, of equal keys only the last, at every level.
fn sort(attributes: &mut Vec<KeyValue>) {
    let by_key: BTreeMap<String, KeyValue> =
        attributes.drain(..).map(|kv| (kv.key.clone(), kv)).collect();
    attributes.extend(by_key.into_values());
    attributes.iter_mut().for_each(|kv| normalise(kv.value.get_or_insert_default()));
}

fn normalise(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::KvlistValue(map)) => sort(&mut map.values),
        Some(Value::ArrayValue(list)) => list.values.iter_mut().for_each(normalise),
        _ => {}
    }
}
