//! Rows of the four metric tables → metrics requests.

mod points;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow_array::{Array, BooleanArray, RecordBatch, StringViewArray};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary,
};
use schemas::columns as c;

use self::points::{Exemplars, Histograms, Numbers, Summaries};
use super::ExportError;
use super::columns::{Columns, number, text};
use super::groups::{Envelope, Groups};
use super::values::attributes;

const TEMPORALITIES: [&str; 3] = ["", "delta", "cumulative"];

/// The metrics of rows of `metric_points`, `metric_histograms`, `metric_summaries` and
/// `metric_exemplars` in their logical shape.
///
/// Exemplars find their point by series, time and start time, so ask for the exemplars of the same
/// span of `point_time` as the points' `time`; those without a point are left out with a warning.
/// Points that are the same in all three carry their exemplars together, on the first of them.
pub fn metrics(
    points: &[RecordBatch],
    histograms: &[RecordBatch],
    summaries: &[RecordBatch],
    exemplars: &[RecordBatch],
) -> Result<ExportMetricsServiceRequest, ExportError> {
    let points = points.iter().map(Numbers::new).collect::<Result<Vec<_>, _>>()?;
    let histograms = histograms.iter().map(Histograms::new).collect::<Result<Vec<_>, _>>()?;
    let summaries = summaries.iter().map(Summaries::new).collect::<Result<Vec<_>, _>>()?;
    let mut exemplars = Exemplars::new(exemplars)?;
    let mut metrics = Metrics { groups: Groups::new(), index: HashMap::new() };
    for batch in &points {
        for row in 0..batch.header.rows() {
            batch.append(row, metrics.of_row(&batch.header, row)?, &mut exemplars)?;
        }
    }
    for batch in &histograms {
        for row in 0..batch.header.rows() {
            batch.append(row, metrics.of_row(&batch.header, row)?, &mut exemplars)?;
        }
    }
    for batch in &summaries {
        for row in 0..batch.header.rows() {
            batch.append(row, metrics.of_row(&batch.header, row)?)?;
        }
    }
    exemplars.warn_of_rest();
    metrics.request()
}

/// Metrics by resource, scope and everything but their points.
struct Metrics<'a> {
    groups: Groups<'a, Metric>,
    index: HashMap<(usize, MetricKey<'a>), usize>,
}

impl<'a> Metrics<'a> {
    /// The metric that a row is a point of.
    fn of_row(&mut self, header: &'a Header, row: usize) -> Result<&mut Data, ExportError> {
        let scope = self.groups.scope(&header.envelope, row);
        let metrics = self.groups.records(scope);
        let key = header.key(row);
        let at = match self.index.entry((scope, key)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                metrics.push(key.message()?);
                *new.insert(metrics.len() - 1)
            }
        };
        let wrong = || ExportError::value(c::KIND, key.kind, KIND_EXPECTED);
        metrics[at].data.as_mut().ok_or_else(wrong)
    }

    fn request(self) -> Result<ExportMetricsServiceRequest, ExportError> {
        let resource_metrics = self.groups.wrap(
            |scope, schema_url, metrics| ScopeMetrics { scope, metrics, schema_url },
            |resource, schema_url, scope_metrics| ResourceMetrics {
                resource,
                scope_metrics,
                schema_url,
            },
        )?;
        Ok(ExportMetricsServiceRequest { resource_metrics })
    }
}

/// What every point repeats of its metric.
struct Header {
    envelope: Envelope,
    metric: StringViewArray,
    unit: StringViewArray,
    description: StringViewArray,
    metadata: StringViewArray,
    kind: StringViewArray,
    temporality: StringViewArray,
    is_monotonic: BooleanArray,
}

impl Header {
    fn new(columns: &Columns<'_>) -> Result<Header, ExportError> {
        Ok(Header {
            envelope: Envelope::new(columns)?,
            metric: columns.get(c::METRIC)?,
            unit: columns.get(c::UNIT)?,
            description: columns.get(c::DESCRIPTION)?,
            metadata: columns.get(c::METRIC_METADATA)?,
            kind: columns.get(c::KIND)?,
            temporality: columns.get(c::TEMPORALITY)?,
            is_monotonic: columns.get(c::IS_MONOTONIC)?,
        })
    }

    fn rows(&self) -> usize {
        self.metric.len()
    }

    fn key(&self, row: usize) -> MetricKey<'_> {
        MetricKey {
            name: text(&self.metric, row),
            unit: text(&self.unit, row),
            description: text(&self.description, row),
            metadata: text(&self.metadata, row),
            kind: text(&self.kind, row),
            temporality: text(&self.temporality, row),
            is_monotonic: self.is_monotonic.is_valid(row) && self.is_monotonic.value(row),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct MetricKey<'a> {
    name: &'a str,
    unit: &'a str,
    description: &'a str,
    metadata: &'a str,
    kind: &'a str,
    temporality: &'a str,
    is_monotonic: bool,
}

/// What a stored kind must be.
const KIND_EXPECTED: &str = "a kind of metric that its table holds";

impl MetricKey<'_> {
    fn message(&self) -> Result<Metric, ExportError> {
        Ok(Metric {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            unit: self.unit.to_owned(),
            metadata: attributes(c::METRIC_METADATA, self.metadata)?,
            data: Some(self.data()?),
        })
    }

    fn data(&self) -> Result<Data, ExportError> {
        let aggregation_temporality = number(c::TEMPORALITY, &TEMPORALITIES, self.temporality)?;
        Ok(match self.kind {
            "gauge" => Data::Gauge(Gauge::default()),
            "sum" => Data::Sum(Sum {
                aggregation_temporality,
                is_monotonic: self.is_monotonic,
                ..Sum::default()
            }),
            "histogram" => {
                Data::Histogram(Histogram { aggregation_temporality, ..Histogram::default() })
            }
            "exponential_histogram" => Data::ExponentialHistogram(ExponentialHistogram {
                aggregation_temporality,
                ..ExponentialHistogram::default()
            }),
            "summary" => Data::Summary(Summary::default()),
            other => return Err(ExportError::value(c::KIND, other, KIND_EXPECTED)),
        })
    }
}
