//! Random requests that use every field of OTLP, as prost's messages.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::Event, span::Link,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::TIME_NS;

/// Keys: promoted ones, ordinary ones, and ones that canonical JSON must treat with care.
const KEYS: [&str; 14] = [
    "http.route",
    "http.request.method",
    "http.response.status_code",
    "server.port",
    "error.type",
    "service.name",
    "k8s.pod.name",
    "host.name",
    "a",
    "b.c",
    "$b64",
    "",
    "zürich",
    "quo\"te\n",
];
const TEXTS: [&str; 8] = [
    "",
    "GET",
    "/api/cart/{user}/items",
    "twelve bytes",
    "line\nend\t\u{1}",
    "日本語",
    "\"",
    "\0\0",
];
const DOUBLES: [f64; 8] = [0.0, -0.0, 1.0, 0.1, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

pub(super) struct Generator {
    random: StdRng,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Generator {
        Generator { random: StdRng::seed_from_u64(seed) }
    }

    fn text(&mut self) -> String {
        (*TEXTS.choose(&mut self.random).unwrap()).to_owned()
    }

    fn double(&mut self) -> f64 {
        *DOUBLES.choose(&mut self.random).unwrap()
    }

    fn up_to(&mut self, max: usize) -> usize {
        self.random.random_range(0..=max)
    }

    fn many<T>(&mut self, max: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.up_to(max)).map(|_| one(self)).collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.random.random_bool(0.5).then(|| one(self))
    }

    fn id(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.random.random_range(1..=255)).collect()
    }

    fn maybe_id(&mut self, len: usize) -> Vec<u8> {
        self.maybe(|g| g.id(len)).unwrap_or_default()
    }

    fn count(&mut self) -> u32 {
        self.random.random_range(0..3)
    }

    fn time(&mut self) -> u64 {
        TIME_NS + self.random.random_range(0..1_000_000_000)
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        let kinds = if depth < 3 { 8 } else { 6 };
        let value = match self.random.random_range(0..kinds) {
            0 => Some(Value::StringValue(self.text())),
            1 => Some(Value::BoolValue(self.random.random())),
            2 => Some(Value::IntValue(
                *[0, -1, i64::MIN, i64::MAX].choose(&mut self.random).unwrap(),
            )),
            3 => Some(Value::DoubleValue(self.double())),
            4 => Some(Value::BytesValue(self.maybe_id(5))),
            5 => None,
            6 => {
                let values = self.many(3, |g| g.value(depth + 1));
                Some(Value::ArrayValue(ArrayValue { values }))
            }
            _ => {
                let values = self.attributes_at(depth + 1);
                Some(Value::KvlistValue(KeyValueList { values }))
            }
        };
        AnyValue { value }
    }

    fn attributes_at(&mut self, depth: usize) -> Vec<KeyValue> {
        self.many(6, |g| KeyValue {
            key: (*KEYS.choose(&mut g.random).unwrap()).to_owned(),
            value: Some(g.value(depth)),
            ..KeyValue::default()
        })
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.attributes_at(0)
    }

    fn resource(&mut self) -> Option<Resource> {
        self.maybe(|g| Resource {
            attributes: g.attributes(),
            dropped_attributes_count: g.count(),
            entity_refs: g.many(2, |g| EntityRef {
                schema_url: g.text(),
                r#type: g.text(),
                id_keys: g.many(2, Self::text),
                description_keys: g.many(2, Self::text),
            }),
        })
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        self.maybe(|g| InstrumentationScope {
            name: g.text(),
            version: g.text(),
            attributes: g.attributes(),
            dropped_attributes_count: g.count(),
        })
    }

    pub(super) fn traces(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.many(3, |g| ResourceSpans {
            resource: g.resource(),
            scope_spans: g.many(2, |g| ScopeSpans {
                scope: g.scope(),
                spans: g.many(4, Self::span),
                schema_url: g.text(),
            }),
            schema_url: g.text(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: self.maybe_id(8),
            flags: self.random.random(),
            name: self.text(),
            kind: self.random.random_range(-1..8),
            start_time_unix_nano: self.time(),
            end_time_unix_nano: self.time(),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            events: self.many(3, |g| Event {
                time_unix_nano: g.time(),
                name: (*["exception", "", "retry"].choose(&mut g.random).unwrap()).to_owned(),
                attributes: g.attributes(),
                dropped_attributes_count: g.count(),
            }),
            dropped_events_count: self.count(),
            links: self.many(2, |g| Link {
                trace_id: g.maybe_id(16),
                span_id: g.maybe_id(8),
                trace_state: g.text(),
                attributes: g.attributes(),
                dropped_attributes_count: g.count(),
                flags: g.random.random(),
            }),
            dropped_links_count: self.count(),
            status: self.maybe(|g| Status { message: g.text(), code: g.random.random_range(0..4) }),
        }
    }

    pub(super) fn logs(&mut self) -> ExportLogsServiceRequest {
        let resource_logs = self.many(3, |g| ResourceLogs {
            resource: g.resource(),
            scope_logs: g.many(2, |g| ScopeLogs {
                scope: g.scope(),
                log_records: g.many(4, Self::log),
                schema_url: g.text(),
            }),
            schema_url: g.text(),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    fn log(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.maybe(Self::time).unwrap_or_default(),
            observed_time_unix_nano: self.maybe(Self::time).unwrap_or_default(),
            severity_number: self.random.random_range(0..30),
            severity_text: self.text(),
            body: self.maybe(|g| g.value(0)),
            attributes: self.attributes(),
            dropped_attributes_count: self.count(),
            flags: self.random.random(),
            trace_id: self.maybe_id(16),
            span_id: self.maybe_id(8),
            event_name: self.text(),
        }
    }

    pub(super) fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.many(3, |g| ResourceMetrics {
            resource: g.resource(),
            scope_metrics: g.many(2, |g| ScopeMetrics {
                scope: g.scope(),
                metrics: g.many(4, Self::metric),
                schema_url: g.text(),
            }),
            schema_url: g.text(),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn metric(&mut self) -> Metric {
        let aggregation_temporality = self.random.random_range(1..3);
        let data = match self.random.random_range(0..5) {
            0 => Data::Gauge(Gauge { data_points: self.many(3, Self::number_point) }),
            1 => Data::Sum(Sum {
                data_points: self.many(3, Self::number_point),
                aggregation_temporality,
                is_monotonic: self.random.random(),
            }),
            2 => Data::Histogram(Histogram {
                data_points: self.many(3, Self::histogram_point),
                aggregation_temporality,
            }),
            3 => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.many(3, Self::exponential_point),
                aggregation_temporality,
            }),
            _ => Data::Summary(Summary { data_points: self.many(3, Self::summary_point) }),
        };
        Metric {
            name: self.text(),
            description: self.text(),
            unit: self.text(),
            metadata: self.attributes(),
            data: Some(data),
        }
    }

    fn number_point(&mut self) -> NumberDataPoint {
        let value = match self.random.random_range(0..3) {
            0 => Some(number_data_point::Value::AsDouble(self.double())),
            1 => Some(number_data_point::Value::AsInt(self.random.random())),
            _ => None,
        };
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.maybe(Self::time).unwrap_or_default(),
            time_unix_nano: self.time(),
            exemplars: self.many(2, Self::exemplar),
            flags: u32::from(value.is_none()),
            value,
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        let value = match self.random.random_range(0..3) {
            0 => Some(exemplar::Value::AsDouble(self.double())),
            1 => Some(exemplar::Value::AsInt(self.random.random())),
            _ => None,
        };
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.time(),
            span_id: self.maybe_id(8),
            trace_id: self.maybe_id(16),
            value,
        }
    }

    fn histogram_point(&mut self) -> HistogramDataPoint {
        let bounds = self.up_to(3);
        let counts = if bounds == 0 { self.up_to(1) } else { bounds + 1 };
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.maybe(Self::time).unwrap_or_default(),
            time_unix_nano: self.time(),
            count: self.random.random(),
            sum: self.maybe(Self::double),
            bucket_counts: (0..counts).map(|_| self.random.random()).collect(),
            explicit_bounds: (0..bounds).map(|i| i as f64 - 0.5).collect(),
            exemplars: self.many(2, Self::exemplar),
            flags: self.count(),
            min: self.maybe(Self::double),
            max: self.maybe(Self::double),
        }
    }

    fn exponential_point(&mut self) -> ExponentialHistogramDataPoint {
        let buckets = |g: &mut Self| Buckets {
            offset: g.random.random_range(-20..20),
            bucket_counts: g.many(4, |g| g.random.random()),
        };
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.maybe(Self::time).unwrap_or_default(),
            time_unix_nano: self.time(),
            count: self.random.random(),
            sum: self.maybe(Self::double),
            scale: self.random.random_range(-3..20),
            zero_count: self.random.random(),
            positive: self.maybe(buckets),
            negative: self.maybe(buckets),
            flags: self.count(),
            exemplars: self.many(2, Self::exemplar),
            min: self.maybe(Self::double),
            max: self.maybe(Self::double),
            zero_threshold: self.double(),
        }
    }

    fn summary_point(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.maybe(Self::time).unwrap_or_default(),
            time_unix_nano: self.time(),
            count: self.random.random(),
            sum: self.double(),
            quantile_values: self.many(3, |g| ValueAtQuantile { quantile: 0.5, value: g.double() }),
            flags: self.count(),
        }
    }
}
