//! Metrics: the catalogue, one metric over time, metrics by change.
//!
//! What a column shows follows from the kind: a gauge and a sum that may fall its mean, a sum that
//! only grows its rate per second, a histogram and a summary the mean of what was observed. A column
//! without points is absent, never zero.

use serde::{Deserialize, Serialize};

use super::{Basis, Bins, TimeRange};

rows! {
    /// A metric.
    MetricRow {
        /// Its name.
        metric: String,
        /// Its unit (UCUM).
        unit: Option<String>,
        /// What it means.
        description: Option<String>,
        /// `gauge`, `sum`, `histogram`, `exponential_histogram` or `summary`.
        kind: String,
        /// `delta` or `cumulative`; absent for gauges and summaries.
        temporality: Option<String>,
        /// Of a sum: it only grows.
        is_monotonic: Option<bool>,
        /// What the values are: `mean` or `rate` per second.
        shows: String,
        /// Series.
        series: u64,
        /// Points.
        points: u64,
        /// Services that send it.
        services: u64,
        /// Time of the last point.
        last_time: String,
        /// Value of the last column that has one: mean over series, or sum of their rates.
        last_value: Option<f64>,
        /// Values by column.
        trend: Vec<Option<f64>>,
    }
    /// One metric over time.
    MetricSeriesAnswer {
        /// Its name.
        metric: String,
        /// Its unit (UCUM).
        unit: Option<String>,
        /// As of the catalogue; absent when there are no points.
        kind: Option<String>,
        /// `delta` or `cumulative`.
        temporality: Option<String>,
        /// What `value` is: `mean` or `rate` per second.
        shows: String,
        /// What was asked about.
        range: TimeRange,
        /// The columns.
        bins: Bins,
        /// Usual time between two points of a series.
        interval_ns: Option<i64>,
        /// The largest groups, then `other`; one without `by`.
        groups: Vec<MetricGroup>,
        /// Exemplars by time, 500 at most.
        exemplars: Vec<MetricExemplar>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// Series that have a value of an attribute.
    MetricGroup {
        /// The value; absent for series without the attribute and without `by`.
        label: Option<String>,
        /// The groups that are not shown by themselves.
        is_other: bool,
        /// Series in it.
        series: u64,
        /// Value by column: the mean over series, or the sum of their rates.
        value: Vec<Option<f64>>,
        /// Least value of a point, of a histogram the least observed.
        min: Vec<Option<f64>>,
        /// Largest value.
        max: Vec<Option<f64>>,
        /// Points of a gauge or sum; observations of a histogram or summary.
        count: Vec<u64>,
        /// Columns in which a counter began anew.
        resets: Vec<usize>,
        /// Quantiles of a histogram, or those that a summary has.
        quantiles: Vec<QuantileLine>,
    }
    /// A quantile over time.
    QuantileLine {
        /// From 0 to 1.
        quantile: f64,
        /// Values by column.
        values: Vec<Option<f64>>,
    }
    /// A measurement with its trace.
    MetricExemplar {
        /// When.
        time: String,
        /// The measurement.
        value: Option<f64>,
        /// Name of the service.
        service_name: String,
        /// Its trace.
        trace_id: Option<String>,
        /// Its span.
        span_id: Option<String>,
    }
    /// A metric by how much it changed; of its series the one that changed most.
    RankedMetricRow {
        /// Its name.
        metric: String,
        /// Its unit (UCUM).
        unit: Option<String>,
        /// As of the catalogue.
        kind: String,
        /// What the values are: `mean`, `rate` or `count` per second.
        shows: String,
        /// Service of the series.
        service_name: String,
        /// Id of the series, 32 hex digits.
        series_id: String,
        /// Attributes of the series as `key=value`, the first of them.
        labels: Vec<String>,
        /// Series of the metric in the scope.
        series: u64,
        /// Robust z of the value at the moment against the range before; 0 for flat series.
        score: f64,
        /// Median of the range before.
        before: Option<f64>,
        /// The value at the moment that differs most.
        at: Option<f64>,
        /// Changes of direction behind the moment.
        flips: u64,
        /// Values by column.
        trend: Vec<Option<f64>>,
        /// Trace of an exemplar near the moment.
        exemplar_trace: Option<String>,
    }
}
