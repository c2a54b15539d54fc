//! Metrics of all five kinds, with exemplars.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};
use rand::Rng;

use super::Generator;

/// Points of one metric at most.
const POINTS_MAX: usize = 3;
/// Flag of a point that says its series has ended.
const NO_RECORDED_VALUE: u32 = 1;

impl Generator {
    pub(super) fn metric_list(&mut self) -> Vec<Metric> {
        if self.is_wild() {
            return self.many(self.options.records, Generator::wild_metric);
        }
        self.many(self.options.records, Generator::plausible_metric)
    }

    fn wild_metric(&mut self) -> Metric {
        Metric {
            name: self.wild_text(),
            description: self.wild_text(),
            unit: self.wild_text(),
            metadata: if self.chance(0.3) { self.wild_attributes() } else { vec![] },
            data: Some(self.wild_data()),
        }
    }

    fn wild_data(&mut self) -> Data {
        let aggregation_temporality = self.rng.random_range(1..=2);
        match self.rng.random_range(0..5) {
            0 => {
                let data_points = self.many(POINTS_MAX, Generator::wild_number);
                Data::Gauge(Gauge { data_points })
            }
            1 => Data::Sum(Sum {
                data_points: self.many(POINTS_MAX, Generator::wild_number),
                aggregation_temporality,
                is_monotonic: self.rng.random(),
            }),
            2 => Data::Histogram(Histogram {
                data_points: self.many(POINTS_MAX, Generator::wild_histogram),
                aggregation_temporality,
            }),
            3 => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.many(POINTS_MAX, Generator::wild_exponential),
                aggregation_temporality,
            }),
            _ => {
                let data_points = self.many(POINTS_MAX, Generator::wild_summary);
                Data::Summary(Summary { data_points })
            }
        }
    }

    fn wild_number(&mut self) -> NumberDataPoint {
        let (value, flags) = match self.rng.random_range(0..5) {
            0 => (None, NO_RECORDED_VALUE),
            1 | 2 => (Some(number_data_point::Value::AsInt(self.wild_int())), 0),
            _ => (Some(number_data_point::Value::AsDouble(self.wild_double())), 0),
        };
        NumberDataPoint {
            attributes: self.wild_attributes(),
            start_time_unix_nano: self.wild_time(),
            time_unix_nano: self.point_time(),
            exemplars: self.many(2, Generator::wild_exemplar),
            flags,
            value,
        }
    }

    fn wild_histogram(&mut self) -> HistogramDataPoint {
        let explicit_bounds = self.wild_bounds();
        let has_buckets = !explicit_bounds.is_empty() || self.chance(0.5);
        let counts = if has_buckets { explicit_bounds.len() + 1 } else { 0 };
        HistogramDataPoint {
            attributes: self.wild_attributes(),
            start_time_unix_nano: self.wild_time(),
            time_unix_nano: self.point_time(),
            count: self.wild_long_count(),
            sum: self.wild_optional_double(),
            bucket_counts: (0..counts).map(|_| self.wild_long_count()).collect(),
            explicit_bounds,
            exemplars: self.many(2, Generator::wild_exemplar),
            flags: self.pick(&[0, 0, 0, NO_RECORDED_VALUE]),
            min: self.wild_optional_double(),
            max: self.wild_optional_double(),
        }
    }

    /// Strictly rising, up to infinity.
    fn wild_bounds(&mut self) -> Vec<f64> {
        let mut bound = self.pick(&[-1e9, -0.5, 0.0, 1e-9, 5.0]);
        let mut bounds = self.many(5, |g| {
            bound += g.rng.random_range(0.001..1000.0);
            bound
        });
        if self.chance(0.1) {
            bounds.push(f64::INFINITY);
        }
        bounds
    }

    fn wild_exponential(&mut self) -> ExponentialHistogramDataPoint {
        let scale = self.rng.random_range(-4..=20);
        ExponentialHistogramDataPoint {
            attributes: self.wild_attributes(),
            start_time_unix_nano: self.wild_time(),
            time_unix_nano: self.point_time(),
            count: self.wild_long_count(),
            sum: self.wild_optional_double(),
            scale,
            zero_count: self.wild_long_count(),
            positive: self.wild_buckets(scale),
            negative: self.wild_buckets(scale),
            flags: self.pick(&[0, 0, 0, NO_RECORDED_VALUE]),
            exemplars: self.many(2, Generator::wild_exemplar),
            min: self.wild_optional_double(),
            max: self.wild_optional_double(),
            zero_threshold: self.pick(&[0.0, 1e-6, 1.0]),
        }
    }

    /// Missing, empty or filled; the bounds of all buckets are finite doubles.
    fn wild_buckets(&mut self, scale: i32) -> Option<Buckets> {
        if self.chance(0.2) {
            return None;
        }
        // base^index stays within 2^±1000, well inside the doubles.
        let index_max = if scale < 0 { 1000 >> -scale } else { 1000 << scale };
        let bucket_counts = self.many(6, Generator::wild_long_count);
        Some(Buckets { offset: self.rng.random_range(-index_max..index_max - 8), bucket_counts })
    }

    fn wild_summary(&mut self) -> SummaryDataPoint {
        SummaryDataPoint {
            attributes: self.wild_attributes(),
            start_time_unix_nano: self.wild_time(),
            time_unix_nano: self.point_time(),
            count: self.wild_long_count(),
            sum: self.wild_plain_double(),
            quantile_values: self.many(4, |g| ValueAtQuantile {
                quantile: g.pick(&[0.0, 0.5, 0.9, 0.99, 1.0]),
                value: g.wild_plain_double(),
            }),
            flags: self.pick(&[0, 0, 0, NO_RECORDED_VALUE]),
        }
    }

    fn wild_exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.wild_attributes(),
            time_unix_nano: self.wild_time(),
            span_id: self.doubtful_id(8),
            trace_id: self.doubtful_id(16),
            value: Some(if self.chance(0.5) {
                exemplar::Value::AsInt(self.wild_int())
            } else {
                exemplar::Value::AsDouble(self.wild_double())
            }),
        }
    }
}
