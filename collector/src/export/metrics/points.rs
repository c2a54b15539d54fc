//! The points of each metric table, and the exemplars that go back to them.

use std::collections::HashMap;

use arrow_array::types::{Float64Type, UInt64Type};
use arrow_array::{
    FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringViewArray, TimestampNanosecondArray, UInt32Array, UInt64Array,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint,
    exemplar, number_data_point,
};
use schemas::{Table, columns as c};

use super::{ExportError, Header, KIND_EXPECTED};
use crate::export::columns::{Columns, Structs, id, numbers, optional, text, time};
use crate::export::values::attributes;

/// What points of all kinds have.
struct Common {
    series_id: FixedSizeBinaryArray,
    start_time: TimestampNanosecondArray,
    time: TimestampNanosecondArray,
    flags: UInt32Array,
    attributes: StringViewArray,
}

impl Common {
    fn new(columns: &Columns<'_>) -> Result<Common, ExportError> {
        Ok(Common {
            series_id: columns.get(c::SERIES_ID)?,
            start_time: columns.get(c::START_TIME)?,
            time: columns.get(c::TIME)?,
            flags: columns.get(c::FLAGS)?,
            attributes: columns.get(c::ATTRIBUTES)?,
        })
    }

    fn attributes(&self, row: usize) -> Result<Vec<KeyValue>, ExportError> {
        attributes(c::ATTRIBUTES, text(&self.attributes, row))
    }

    fn key(&self, row: usize) -> PointKey {
        point_key(&self.series_id, &self.time, &self.start_time, row)
    }
}

fn misplaced(data: &Data) -> ExportError {
    let kind = match data {
        Data::Gauge(_) => "gauge",
        Data::Sum(_) => "sum",
        Data::Histogram(_) => "histogram",
        Data::ExponentialHistogram(_) => "exponential_histogram",
        Data::Summary(_) => "summary",
    };
    ExportError::value(c::KIND, kind, KIND_EXPECTED)
}

/// A batch of `metric_points`.
pub(super) struct Numbers {
    pub(super) header: Header,
    common: Common,
    value_double: Float64Array,
    value_int: Int64Array,
}

impl Numbers {
    pub(super) fn new(rows: &RecordBatch) -> Result<Numbers, ExportError> {
        let columns = Columns { table: Table::MetricPoints, rows };
        Ok(Numbers {
            header: Header::new(&columns)?,
            common: Common::new(&columns)?,
            value_double: columns.get(c::VALUE_DOUBLE)?,
            value_int: columns.get(c::VALUE_INT)?,
        })
    }

    pub(super) fn append(
        &self,
        row: usize,
        data: &mut Data,
        exemplars: &mut Exemplars,
    ) -> Result<(), ExportError> {
        let points = match data {
            Data::Gauge(gauge) => &mut gauge.data_points,
            Data::Sum(sum) => &mut sum.data_points,
            other => return Err(misplaced(other)),
        };
        let double = optional(&self.value_double, row).map(number_data_point::Value::AsDouble);
        let int = optional(&self.value_int, row).map(number_data_point::Value::AsInt);
        points.push(NumberDataPoint {
            attributes: self.common.attributes(row)?,
            start_time_unix_nano: time(&self.common.start_time, row),
            time_unix_nano: time(&self.common.time, row),
            exemplars: exemplars.take(self.common.key(row)),
            flags: self.common.flags.value(row),
            value: double.or(int),
        });
        Ok(())
    }
}

/// A batch of `metric_histograms`.
pub(super) struct Histograms {
    pub(super) header: Header,
    common: Common,
    count: UInt64Array,
    sum: Float64Array,
    min: Float64Array,
    max: Float64Array,
    bounds: ListArray,
    bucket_counts: ListArray,
    scale: Int32Array,
    zero_count: UInt64Array,
    zero_threshold: Float64Array,
    pos_offset: Int32Array,
    pos_counts: ListArray,
    neg_offset: Int32Array,
    neg_counts: ListArray,
}

impl Histograms {
    pub(super) fn new(rows: &RecordBatch) -> Result<Histograms, ExportError> {
        let columns = Columns { table: Table::MetricHistograms, rows };
        Ok(Histograms {
            header: Header::new(&columns)?,
            common: Common::new(&columns)?,
            count: columns.get(c::COUNT)?,
            sum: columns.get(c::SUM)?,
            min: columns.get(c::MIN)?,
            max: columns.get(c::MAX)?,
            bounds: columns.get(c::BOUNDS)?,
            bucket_counts: columns.get(c::BUCKET_COUNTS)?,
            scale: columns.get(c::SCALE)?,
            zero_count: columns.get(c::ZERO_COUNT)?,
            zero_threshold: columns.get(c::ZERO_THRESHOLD)?,
            pos_offset: columns.get(c::POS_OFFSET)?,
            pos_counts: columns.get(c::POS_COUNTS)?,
            neg_offset: columns.get(c::NEG_OFFSET)?,
            neg_counts: columns.get(c::NEG_COUNTS)?,
        })
    }

    pub(super) fn append(
        &self,
        row: usize,
        data: &mut Data,
        exemplars: &mut Exemplars,
    ) -> Result<(), ExportError> {
        let exemplars = exemplars.take(self.common.key(row));
        match data {
            Data::Histogram(h) => h.data_points.push(self.explicit(row, exemplars)?),
            Data::ExponentialHistogram(h) => h.data_points.push(self.exponential(row, exemplars)?),
            other => return Err(misplaced(other)),
        }
        Ok(())
    }

    fn explicit(
        &self,
        row: usize,
        exemplars: Vec<Exemplar>,
    ) -> Result<HistogramDataPoint, ExportError> {
        Ok(HistogramDataPoint {
            attributes: self.common.attributes(row)?,
            start_time_unix_nano: time(&self.common.start_time, row),
            time_unix_nano: time(&self.common.time, row),
            count: self.count.value(row),
            sum: optional(&self.sum, row),
            bucket_counts: numbers::<UInt64Type>(&self.bucket_counts, row).unwrap_or_default(),
            explicit_bounds: numbers::<Float64Type>(&self.bounds, row).unwrap_or_default(),
            exemplars,
            flags: self.common.flags.value(row),
            min: optional(&self.min, row),
            max: optional(&self.max, row),
        })
    }

    fn exponential(
        &self,
        row: usize,
        exemplars: Vec<Exemplar>,
    ) -> Result<ExponentialHistogramDataPoint, ExportError> {
        Ok(ExponentialHistogramDataPoint {
            attributes: self.common.attributes(row)?,
            start_time_unix_nano: time(&self.common.start_time, row),
            time_unix_nano: time(&self.common.time, row),
            count: self.count.value(row),
            sum: optional(&self.sum, row),
            scale: optional(&self.scale, row).unwrap_or_default(),
            zero_count: optional(&self.zero_count, row).unwrap_or_default(),
            positive: buckets(&self.pos_offset, &self.pos_counts, row),
            negative: buckets(&self.neg_offset, &self.neg_counts, row),
            flags: self.common.flags.value(row),
            exemplars,
            min: optional(&self.min, row),
            max: optional(&self.max, row),
            zero_threshold: optional(&self.zero_threshold, row).unwrap_or_default(),
        })
    }
}

fn buckets(offset: &Int32Array, counts: &ListArray, row: usize) -> Option<Buckets> {
    let bucket_counts = numbers::<UInt64Type>(counts, row)?;
    Some(Buckets { offset: optional(offset, row).unwrap_or_default(), bucket_counts })
}

/// A batch of `metric_summaries`.
pub(super) struct Summaries {
    pub(super) header: Header,
    common: Common,
    count: UInt64Array,
    sum: Float64Array,
    quantiles: Structs,
    quantile: Float64Array,
    value: Float64Array,
}

impl Summaries {
    pub(super) fn new(rows: &RecordBatch) -> Result<Summaries, ExportError> {
        let columns = Columns { table: Table::MetricSummaries, rows };
        let quantiles = Structs::get(&columns, c::QUANTILES)?;
        Ok(Summaries {
            header: Header::new(&columns)?,
            common: Common::new(&columns)?,
            count: columns.get(c::COUNT)?,
            sum: columns.get(c::SUM)?,
            quantile: quantiles.field(c::QUANTILE)?,
            value: quantiles.field(c::VALUE)?,
            quantiles,
        })
    }

    pub(super) fn append(&self, row: usize, data: &mut Data) -> Result<(), ExportError> {
        let Data::Summary(summary) = data else { return Err(misplaced(data)) };
        let quantile =
            |i| ValueAtQuantile { quantile: self.quantile.value(i), value: self.value.value(i) };
        summary.data_points.push(SummaryDataPoint {
            attributes: self.common.attributes(row)?,
            start_time_unix_nano: time(&self.common.start_time, row),
            time_unix_nano: time(&self.common.time, row),
            count: self.count.value(row),
            sum: self.sum.value(row),
            quantile_values: self.quantiles.elements(row).map(quantile).collect(),
            flags: self.common.flags.value(row),
        });
        Ok(())
    }
}

/// Series, time and start time of a point.
type PointKey = ([u8; 16], u64, u64);

fn point_key(
    series_id: &FixedSizeBinaryArray,
    at: &TimestampNanosecondArray,
    start: &TimestampNanosecondArray,
    row: usize,
) -> PointKey {
    // The schema says 16 bytes, and the column was cast to it.
    let series_id = series_id.value(row).try_into().unwrap_or_default();
    (series_id, time(at, row), time(start, row))
}

/// Exemplars waiting for the point that carries them.
pub(super) struct Exemplars {
    by_point: HashMap<PointKey, Vec<Exemplar>>,
}

impl Exemplars {
    /// Reads rows of `metric_exemplars`.
    pub(super) fn new(batches: &[RecordBatch]) -> Result<Exemplars, ExportError> {
        let mut by_point: HashMap<_, Vec<Exemplar>> = HashMap::new();
        for rows in batches {
            let rows = ExemplarRows::new(rows)?;
            for row in 0..rows.time.len() {
                by_point.entry(rows.key(row)).or_default().push(rows.exemplar(row)?);
            }
        }
        Ok(Exemplars { by_point })
    }

    fn take(&mut self, point: PointKey) -> Vec<Exemplar> {
        // Most data has no exemplars; do not hash then.
        if self.by_point.is_empty() {
            return Vec::new();
        }
        self.by_point.remove(&point).unwrap_or_default()
    }

    /// Says what found no point.
    pub(super) fn warn_of_rest(&self) {
        let exemplars: usize = self.by_point.values().map(Vec::len).sum();
        if exemplars > 0 {
            tracing::warn!(exemplars, "exemplars left out because their points were not given");
        }
    }
}

struct ExemplarRows {
    series_id: FixedSizeBinaryArray,
    point_start_time: TimestampNanosecondArray,
    point_time: TimestampNanosecondArray,
    time: TimestampNanosecondArray,
    value_double: Float64Array,
    value_int: Int64Array,
    trace_id: FixedSizeBinaryArray,
    span_id: FixedSizeBinaryArray,
    filtered_attributes: StringViewArray,
}

impl ExemplarRows {
    fn new(rows: &RecordBatch) -> Result<ExemplarRows, ExportError> {
        let columns = Columns { table: Table::MetricExemplars, rows };
        Ok(ExemplarRows {
            series_id: columns.get(c::SERIES_ID)?,
            point_start_time: columns.get(c::POINT_START_TIME)?,
            point_time: columns.get(c::POINT_TIME)?,
            time: columns.get(c::TIME)?,
            value_double: columns.get(c::VALUE_DOUBLE)?,
            value_int: columns.get(c::VALUE_INT)?,
            trace_id: columns.get(c::TRACE_ID)?,
            span_id: columns.get(c::SPAN_ID)?,
            filtered_attributes: columns.get(c::FILTERED_ATTRIBUTES)?,
        })
    }

    fn key(&self, row: usize) -> PointKey {
        point_key(&self.series_id, &self.point_time, &self.point_start_time, row)
    }

    fn exemplar(&self, row: usize) -> Result<Exemplar, ExportError> {
        let filtered = text(&self.filtered_attributes, row);
        let double = optional(&self.value_double, row).map(exemplar::Value::AsDouble);
        let int = optional(&self.value_int, row).map(exemplar::Value::AsInt);
        Ok(Exemplar {
            filtered_attributes: attributes(c::FILTERED_ATTRIBUTES, filtered)?,
            time_unix_nano: time(&self.time, row),
            span_id: id(&self.span_id, row),
            trace_id: id(&self.trace_id, row),
            value: double.or(int),
        })
    }
}
