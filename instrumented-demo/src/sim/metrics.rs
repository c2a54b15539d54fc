//! Metrics of the instances: durations of HTTP requests with exemplars, and connection pools.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
    exemplar, number_data_point,
};
use prost::Message;

use super::catalog::Catalog;
use super::encode::Requests;
use super::failure::FAILURES;
use super::schedule::SECOND_NS;
use super::trace::{Span, Trace};

/// Time between two collections, and the same where a run takes hours.
const COLLECT_NS: u64 = 10 * SECOND_NS;
const COLLECT_SELDOM_NS: u64 = 60 * SECOND_NS;
const LONG_NS: u64 = 3_600 * SECOND_NS;
/// The bounds that the conventions advise.
const BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A request that a server has answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measurement {
    instance: u32,
    op: u32,
    failure: u8,
    end_ns: u64,
    duration_ns: u64,
    trace: u128,
    span: u64,
}

impl Measurement {
    pub(super) fn of(trace: &Trace, span: &Span) -> Measurement {
        Measurement {
            instance: span.instance,
            op: span.op,
            failure: span.failure,
            end_ns: span.end_ns,
            duration_ns: span.duration_ns(),
            trace: trace.ids[span.trace as usize],
            span: span.id,
        }
    }
}

/// A connection pool at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool<'a> {
    pub(super) instance: u32,
    pub(super) name: &'a str,
    pub(super) used: i64,
    pub(super) max: i64,
    pub(super) pending: i64,
}

/// The meters of all instances.
#[derive(Debug)]
pub(super) struct Meters {
    start_ns: u64,
    pub(super) interval_ns: u64,
    /// When they are collected next.
    next_ns: u64,
    /// Measurements that no collection has reached yet.
    pending: Vec<Measurement>,
    sums: BTreeMap<(u32, Series), Sums>,
}

/// Operation and HTTP status.
type Series = (u32, u16);

#[derive(Debug, Default)]
struct Sums {
    counts: [u64; BOUNDS_S.len() + 1],
    sum_s: f64,
    min_s: f64,
    max_s: f64,
    /// The last measurement of each bucket since the last collection.
    exemplars: BTreeMap<usize, Exemplar>,
}

impl Meters {
    /// Meters for a run of some length.
    pub(super) fn new(start_ns: u64, len_ns: u64) -> Meters {
        let interval_ns = if len_ns > LONG_NS { COLLECT_SELDOM_NS } else { COLLECT_NS };
        let next_ns = start_ns + interval_ns;
        Meters { start_ns, interval_ns, next_ns, pending: Vec::new(), sums: BTreeMap::new() }
    }

    pub(super) fn record(&mut self, measurements: &[Measurement]) {
        self.pending.extend_from_slice(measurements);
    }

    /// All collections before a time up to which every measurement is known.
    pub(super) fn collect<'a>(
        &mut self,
        catalog: &Catalog,
        until_ns: u64,
        pools: impl Fn(u64) -> Vec<Pool<'a>>,
        out: &mut Requests,
    ) {
        while self.next_ns <= until_ns {
            let mut metrics: BTreeMap<u32, Vec<Metric>> = BTreeMap::new();
            for (instance, points) in self.points(catalog) {
                metrics.entry(instance).or_default().push(durations(points));
            }
            for pool in pools(self.next_ns) {
                metrics.entry(pool.instance).or_default().extend(pool.metrics(self.next_ns));
            }
            for (instance, metrics) in metrics {
                push(catalog, instance, &metrics, out);
            }
            self.next_ns += self.interval_ns;
        }
    }

    fn points(&mut self, catalog: &Catalog) -> BTreeMap<u32, Vec<HistogramDataPoint>> {
        let now_ns = self.next_ns;
        self.pending.sort_by_key(|measurement| measurement.end_ns);
        let ended = self.pending.partition_point(|measurement| measurement.end_ns <= now_ns);
        for measurement in self.pending.drain(..ended) {
            let op = &catalog.ops[measurement.op as usize];
            let success = op.route.as_ref().map_or(200, |route| route.success());
            let status = FAILURES[usize::from(measurement.failure)].http_status(success);
            let series = (measurement.op, status);
            self.sums.entry((measurement.instance, series)).or_default().add(&measurement);
        }
        let mut points: BTreeMap<u32, Vec<HistogramDataPoint>> = BTreeMap::new();
        for ((instance, series), sums) in &mut self.sums {
            let point = sums.point(catalog, *series, self.start_ns, now_ns);
            points.entry(*instance).or_default().push(point);
        }
        points
    }
}

impl Sums {
    fn add(&mut self, measurement: &Measurement) {
        let value = measurement.duration_ns as f64 / 1e9;
        let bucket = BOUNDS_S.partition_point(|bound| *bound < value);
        let is_first = self.counts.iter().all(|count| *count == 0);
        self.counts[bucket] += 1;
        self.sum_s += value;
        self.min_s = if is_first { value } else { self.min_s.min(value) };
        self.max_s = self.max_s.max(value);
        let exemplar = Exemplar {
            time_unix_nano: measurement.end_ns,
            span_id: measurement.span.to_be_bytes().to_vec(),
            trace_id: measurement.trace.to_be_bytes().to_vec(),
            value: Some(exemplar::Value::AsDouble(value)),
            ..Exemplar::default()
        };
        self.exemplars.insert(bucket, exemplar);
    }

    fn point(
        &mut self,
        catalog: &Catalog,
        (op, status): Series,
        start_ns: u64,
        now_ns: u64,
    ) -> HistogramDataPoint {
        let route = catalog.ops[op as usize].route;
        let (method, route) = route.map_or(("", ""), |route| (route.method, route.route));
        HistogramDataPoint {
            attributes: vec![
                text("http.request.method", method),
                text("http.route", route),
                int("http.response.status_code", i64::from(status)),
                text("url.scheme", "http"),
            ],
            start_time_unix_nano: start_ns,
            time_unix_nano: now_ns,
            count: self.counts.iter().sum(),
            sum: Some(self.sum_s),
            bucket_counts: self.counts.to_vec(),
            explicit_bounds: BOUNDS_S.to_vec(),
            exemplars: std::mem::take(&mut self.exemplars).into_values().collect(),
            min: Some(self.min_s),
            max: Some(self.max_s),
            ..HistogramDataPoint::default()
        }
    }
}

impl Pool<'_> {
    fn metrics(&self, now_ns: u64) -> [Metric; 3] {
        let point = |value: i64, state: Option<&str>| {
            let mut attributes = vec![text("db.client.connection.pool.name", self.name)];
            attributes.extend(state.map(|state| text("db.client.connection.state", state)));
            NumberDataPoint {
                attributes,
                time_unix_nano: now_ns,
                value: Some(number_data_point::Value::AsInt(value)),
                ..NumberDataPoint::default()
            }
        };
        let states =
            vec![point(self.used, Some("used")), point(self.max - self.used, Some("idle"))];
        [
            up_down("db.client.connection.count", "{connection}", states),
            up_down("db.client.connection.max", "{connection}", vec![point(self.max, None)]),
            up_down(
                "db.client.connection.pending_requests",
                "{request}",
                vec![point(self.pending, None)],
            ),
        ]
    }
}

fn durations(data_points: Vec<HistogramDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative as i32;
    Metric {
        name: "http.server.request.duration".to_owned(),
        description: "Duration of HTTP server requests.".to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Histogram(Histogram { data_points, aggregation_temporality })),
        ..Metric::default()
    }
}

fn up_down(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let sum = Sum {
        data_points,
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: false,
    };
    Metric { data: Some(Data::Sum(sum)), ..named(name, unit) }
}

fn named(name: &str, unit: &str) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), ..Metric::default() }
}

fn push(catalog: &Catalog, instance: u32, metrics: &[Metric], out: &mut Requests) {
    let mut request = vec![0; catalog.head_len_max(instance)];
    for metric in metrics {
        super::wire::bytes(&mut request, 2, &metric.encode_to_vec());
    }
    let from = catalog.enclose(&mut request, instance);
    out.push((request, from), metrics.iter().map(points_of).sum());
}

fn points_of(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        _ => 0,
    };
    points as u64
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn int(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
