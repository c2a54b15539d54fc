//! `http.server.request.duration` of every instance, collected once a minute: cumulative
//! histograms with exemplars.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Histogram, HistogramDataPoint, Metric, ResourceMetrics,
    ScopeMetrics, exemplar,
};

use super::topology::{Fleet, int, text};
use super::{SCHEMA_URL, scope};

/// The bounds that the conventions advise.
const BOUNDS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// One request that a server has answered.
#[derive(Clone, Debug)]
pub(super) struct Measurement {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
    pub(super) status: i64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    pub(super) trace_id: Vec<u8>,
    pub(super) span_id: Vec<u8>,
}

impl Measurement {
    fn duration_s(&self) -> f64 {
        (self.end_ns - self.start_ns) as f64 / 1e9
    }
}

/// Method, route and status.
type Series = (&'static str, &'static str, i64);

#[derive(Debug, Default)]
struct Sums {
    bucket_counts: [u64; BOUNDS_S.len() + 1],
    sum_s: f64,
    min_s: Option<f64>,
    max_s: Option<f64>,
    /// The last measurement of each bucket since the last collection.
    exemplars: BTreeMap<usize, Exemplar>,
}

/// The meters of all instances.
#[derive(Debug, Default)]
pub(super) struct Meters {
    /// Measurements that no collection has reached yet.
    pending: Vec<(usize, Measurement)>,
    sums: BTreeMap<(usize, Series), Sums>,
}

impl Meters {
    pub(super) fn record(&mut self, measurements: Vec<(usize, Measurement)>) {
        self.pending.extend(measurements);
    }

    /// One request of each instance that has served, with all that ended up to that time.
    pub(super) fn collect(
        &mut self,
        fleet: &Fleet,
        now_ns: u64,
    ) -> Vec<ExportMetricsServiceRequest> {
        self.pending.sort_by_key(|(_, measurement)| measurement.end_ns);
        let ended = self.pending.partition_point(|(_, measurement)| measurement.end_ns <= now_ns);
        for (instance, measurement) in self.pending.drain(..ended) {
            let series = (measurement.method, measurement.route, measurement.status);
            self.sums.entry((instance, series)).or_default().add(measurement);
        }
        let mut points: BTreeMap<usize, Vec<HistogramDataPoint>> = BTreeMap::new();
        for ((instance, series), sums) in &mut self.sums {
            let start_ns = fleet.get(*instance).start_ns;
            points.entry(*instance).or_default().push(sums.point(*series, start_ns, now_ns));
        }
        let request = |(instance, points)| request(fleet, instance, points);
        points.into_iter().map(request).collect()
    }
}

impl Sums {
    fn add(&mut self, measurement: Measurement) {
        let value = measurement.duration_s();
        let bucket = BOUNDS_S.partition_point(|bound| *bound < value);
        self.bucket_counts[bucket] += 1;
        self.sum_s += value;
        self.min_s = Some(self.min_s.map_or(value, |least| least.min(value)));
        self.max_s = Some(self.max_s.map_or(value, |most| most.max(value)));
        let exemplar = Exemplar {
            time_unix_nano: measurement.end_ns,
            span_id: measurement.span_id,
            trace_id: measurement.trace_id,
            value: Some(exemplar::Value::AsDouble(value)),
            ..Exemplar::default()
        };
        self.exemplars.insert(bucket, exemplar);
    }

    fn point(&mut self, series: Series, start_ns: u64, now_ns: u64) -> HistogramDataPoint {
        let (method, route, status) = series;
        HistogramDataPoint {
            attributes: vec![
                text("http.request.method", method),
                text("http.route", route),
                int("http.response.status_code", status),
                text("url.scheme", "http"),
            ],
            start_time_unix_nano: start_ns,
            time_unix_nano: now_ns,
            count: self.bucket_counts.iter().sum(),
            sum: Some(self.sum_s),
            bucket_counts: self.bucket_counts.to_vec(),
            explicit_bounds: BOUNDS_S.to_vec(),
            exemplars: std::mem::take(&mut self.exemplars).into_values().collect(),
            min: self.min_s,
            max: self.max_s,
            ..HistogramDataPoint::default()
        }
    }
}

fn request(
    fleet: &Fleet,
    instance: usize,
    data_points: Vec<HistogramDataPoint>,
) -> ExportMetricsServiceRequest {
    let histogram = Histogram {
        data_points,
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
    };
    let metric = Metric {
        name: "http.server.request.duration".to_owned(),
        description: "Duration of HTTP server requests.".to_owned(),
        unit: "s".to_owned(),
        metadata: vec![],
        data: Some(Data::Histogram(histogram)),
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(fleet.get(instance).resource()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: vec![metric],
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    }
}
