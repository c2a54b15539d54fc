//! The columns of the four metric tables.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, Int32Builder, PrimitiveBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type,
    UInt64Type,
};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::ArrowError;
use schemas::columns as c;
use schemas::{Batch, Table};

use super::super::columns::{Ids, ListEnds, Rows, array, optional, times};
use super::super::texts::Texts;
use super::super::{Bad, Request};
use super::header::{HeaderColumns, Headers, Kind};
use super::points::{Buckets, Exemplar, Number, Point};

/// Rows of all four tables, and the facts of their metrics.
pub(super) struct MetricColumns {
    pub(super) headers: Headers,
    points: Points,
    histograms: Histograms,
    summaries: Summaries,
    exemplars: Exemplars,
}

impl MetricColumns {
    pub(super) fn new(body_bytes: usize) -> MetricColumns {
        MetricColumns {
            headers: Headers::default(),
            points: Points::new(body_bytes),
            histograms: Histograms::new(body_bytes),
            summaries: Summaries::new(body_bytes),
            exemplars: Exemplars::new(body_bytes),
        }
    }

    pub(super) fn accepted(&self) -> u32 {
        let tables = [&self.points.head, &self.histograms.head, &self.summaries.head];
        tables.iter().map(|head| head.rows.len() as u32).sum()
    }

    /// Appends a checked point and its exemplars.
    pub(super) fn push(
        &mut self,
        point: &mut Point<'_>,
        request: &mut Request<'_, '_>,
        header: u32,
        context: u32,
    ) -> Result<(), Bad> {
        let kind = self.headers.kind(header);
        let series_id = self.write_json(point, request, header)?;
        let row = Row {
            header,
            context,
            series_id,
            start_ns: point.start_ns as i64,
            time_ns: point.time_ns as i64,
            quality: point.bits
                | self.headers.quality(header)
                | request.contexts.quality(context)
                | request.time_quality(point.time_ns as i64),
        };
        match kind {
            Kind::Gauge | Kind::Sum => self.points.push(point, &row, request),
            Kind::Histogram | Kind::Exponential => self.histograms.push(kind, point, &row, request),
            Kind::Summary => self.summaries.push(point, &row, request),
        }
        for exemplar in &point.exemplars {
            self.exemplars.push(exemplar, &row, request.scratch);
        }
        request.notes.count(row.quality);
        Ok(())
    }

    /// Writes the attributes that are not promoted into the scratch, then those of the exemplars.
    fn write_json(
        &self,
        point: &mut Point<'_>,
        request: &mut Request<'_, '_>,
        header: u32,
    ) -> Result<[u8; 16], Bad> {
        let Request { keys, limits, scratch, .. } = request;
        scratch.clear();
        let (attributes, split, bits) = (&point.attributes, &mut point.split, &mut point.bits);
        keys.record.split(scratch, attributes, split, limits, bits)?;
        point.rest = 0..scratch.len();
        // A series is named by all its attributes, also by those that become columns.
        let whole = if point.split.promoted.is_empty() {
            0
        } else {
            keys.record.write(scratch, attributes, limits, bits)?;
            point.rest.end
        };
        let series_id = self.headers.series_id(header, &scratch[whole..]);
        scratch.truncate(point.rest.end);
        point.write_exemplars(scratch, &mut keys.plain, limits)?;
        Ok(series_id)
    }

    pub(super) fn finish(self, request: &Request<'_, '_>) -> Result<Vec<Batch>, ArrowError> {
        let headers = self.headers.finish()?;
        let mut batches = Vec::new();
        if self.points.head.rows.len() > 0 {
            batches.push(self.points.finish(request, &headers)?);
        }
        if self.histograms.head.rows.len() > 0 {
            batches.push(self.histograms.finish(request, &headers)?);
        }
        if self.summaries.head.rows.len() > 0 {
            batches.push(self.summaries.finish(request, &headers)?);
        }
        if self.exemplars.rows.len() > 0 {
            batches.push(self.exemplars.finish(request, &headers)?);
        }
        Ok(batches)
    }
}

/// What a row knows beside its point.
struct Row {
    header: u32,
    context: u32,
    series_id: [u8; 16],
    start_ns: i64,
    time_ns: i64,
    quality: u32,
}

impl Row {
    /// A start of 0 is unknown.
    fn start(&self) -> Option<i64> {
        (self.start_ns != 0).then_some(self.start_ns)
    }
}

/// What the tables of points have in common.
struct Head {
    rows: Rows,
    headers: Vec<u32>,
    series_id: Ids<16>,
    start_time: PrimitiveBuilder<TimestampNanosecondType>,
    time: Vec<i64>,
    flags: Vec<u32>,
    rest: Texts,
}

impl Head {
    fn new(body_bytes: usize) -> Head {
        Head {
            rows: Rows::new(body_bytes),
            headers: Vec::new(),
            series_id: Ids::new(),
            start_time: optional(),
            time: Vec::new(),
            flags: Vec::new(),
            rest: Texts::default(),
        }
    }

    fn push(&mut self, point: &Point<'_>, row: &Row, request: &Request<'_, '_>) {
        let mut quality = row.quality;
        self.headers.push(row.header);
        self.series_id.push(Some(row.series_id));
        self.start_time.append_option(row.start());
        self.time.push(row.time_ns);
        self.flags.push(point.flags);
        self.rest.push(self.rows.texts.add_json(&request.scratch[point.rest.clone()]));
        self.rows.push_split(&point.split, &request.limits, &mut quality);
        self.rows.push(row.context, quality);
    }

    fn finish(
        mut self,
        table: Table,
        mut own: Vec<(&'static str, ArrayRef)>,
        request: &Request<'_, '_>,
        headers: &HeaderColumns,
    ) -> Result<Batch, ArrowError> {
        let no_counts = vec![0; self.rows.len()];
        let sealed = self.rows.seal(&request.contexts)?;
        own.extend(headers.rows(self.headers)?);
        own.push((c::SERIES_ID, self.series_id.finish()?));
        own.push((c::START_TIME, Arc::new(self.start_time.finish())));
        own.push((c::TIME, times(self.time)));
        own.push((c::FLAGS, array::<UInt32Type>(self.flags)));
        // Points have no such count in OTLP.
        own.push((c::DROPPED_ATTRIBUTES_COUNT, array::<UInt32Type>(no_counts)));
        own.push((c::ATTRIBUTES_REST, sealed.texts(self.rest)?));
        sealed.finish(table, own, request, &request.keys.record)
    }
}

/// A value that is a double, an int or missing, in two columns.
struct Values {
    double: Float64Builder,
    int: PrimitiveBuilder<Int64Type>,
}

impl Values {
    fn new() -> Values {
        Values { double: optional::<Float64Type>(), int: optional() }
    }

    fn push(&mut self, value: Option<Number>) {
        let (double, int) = match value {
            Some(Number::Double(v)) => (Some(v), None),
            Some(Number::Int(v)) => (None, Some(v)),
            None => (None, None),
        };
        self.double.append_option(double);
        self.int.append_option(int);
    }

    fn finish(&mut self) -> [(&'static str, ArrayRef); 2] {
        [
            (c::VALUE_DOUBLE, Arc::new(self.double.finish())),
            (c::VALUE_INT, Arc::new(self.int.finish())),
        ]
    }
}

/// `metric_points`.
struct Points {
    head: Head,
    values: Values,
}

impl Points {
    fn new(body_bytes: usize) -> Points {
        Points { head: Head::new(body_bytes), values: Values::new() }
    }

    fn push(&mut self, point: &Point<'_>, row: &Row, request: &Request<'_, '_>) {
        // With the flag the value means nothing, whatever was sent.
        self.values.push(point.value.filter(|_| !point.has_no_recorded_value()));
        self.head.push(point, row, request);
    }

    fn finish(
        mut self,
        request: &Request<'_, '_>,
        headers: &HeaderColumns,
    ) -> Result<Batch, ArrowError> {
        let own = self.values.finish().into();
        self.head.finish(Table::MetricPoints, own, request, headers)
    }
}

/// `metric_histograms`.
struct Histograms {
    head: Head,
    count: Vec<u64>,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
    bounds: List<f64>,
    bucket_counts: List<u64>,
    scale: Int32Builder,
    zero_count: PrimitiveBuilder<UInt64Type>,
    zero_threshold: Float64Builder,
    positive: Side,
    negative: Side,
}

impl Histograms {
    fn new(body_bytes: usize) -> Histograms {
        Histograms {
            head: Head::new(body_bytes),
            count: Vec::new(),
            sum: optional::<Float64Type>(),
            min: optional::<Float64Type>(),
            max: optional::<Float64Type>(),
            bounds: List::new(),
            bucket_counts: List::new(),
            scale: optional::<Int32Type>(),
            zero_count: optional(),
            zero_threshold: optional::<Float64Type>(),
            positive: Side::new(),
            negative: Side::new(),
        }
    }

    fn push(&mut self, kind: Kind, point: &Point<'_>, row: &Row, request: &Request<'_, '_>) {
        let is_explicit = kind == Kind::Histogram;
        self.count.push(point.count);
        self.sum.append_option(point.sum);
        self.min.append_option(point.min);
        self.max.append_option(point.max);
        self.bounds.push(is_explicit.then_some(&point.bounds));
        self.bucket_counts.push(is_explicit.then_some(&point.counts));
        self.scale.append_option((!is_explicit).then_some(point.scale));
        self.zero_count.append_option((!is_explicit).then_some(point.zero_count));
        self.zero_threshold.append_option((!is_explicit).then_some(point.zero_threshold));
        self.positive.push(point.positive.as_ref());
        self.negative.push(point.negative.as_ref());
        self.head.push(point, row, request);
    }

    fn finish(
        mut self,
        request: &Request<'_, '_>,
        headers: &HeaderColumns,
    ) -> Result<Batch, ArrowError> {
        let own: Vec<(&'static str, ArrayRef)> = vec![
            (c::COUNT, array::<UInt64Type>(self.count)),
            (c::SUM, Arc::new(self.sum.finish())),
            (c::MIN, Arc::new(self.min.finish())),
            (c::MAX, Arc::new(self.max.finish())),
            (c::BOUNDS, self.bounds.finish::<Float64Type>()?),
            (c::BUCKET_COUNTS, self.bucket_counts.finish::<UInt64Type>()?),
            (c::SCALE, Arc::new(self.scale.finish())),
            (c::ZERO_COUNT, Arc::new(self.zero_count.finish())),
            (c::ZERO_THRESHOLD, Arc::new(self.zero_threshold.finish())),
            (c::POS_OFFSET, Arc::new(self.positive.offset.finish())),
            (c::POS_COUNTS, self.positive.counts.finish::<UInt64Type>()?),
            (c::NEG_OFFSET, Arc::new(self.negative.offset.finish())),
            (c::NEG_COUNTS, self.negative.counts.finish::<UInt64Type>()?),
        ];
        self.head.finish(Table::MetricHistograms, own, request, headers)
    }
}

/// A list of numbers a row.
struct List<T> {
    ends: ListEnds,
    nulls: NullBufferBuilder,
    values: Vec<T>,
}

impl<T: Copy> List<T> {
    fn new() -> List<T> {
        List { ends: ListEnds::new(), nulls: NullBufferBuilder::new(0), values: Vec::new() }
    }

    /// An empty list and none at all differ.
    fn push(&mut self, list: Option<&Vec<T>>) {
        self.values.extend_from_slice(list.map_or(&[], |l| l.as_slice()));
        self.ends.push(self.values.len());
        self.nulls.append(list.is_some());
    }

    fn finish<A: ArrowPrimitiveType<Native = T>>(mut self) -> Result<ArrayRef, ArrowError> {
        self.ends.finish(array::<A>(self.values), self.nulls.finish())
    }
}

/// One side of exponential histograms.
struct Side {
    offset: Int32Builder,
    counts: List<u64>,
}

impl Side {
    fn new() -> Side {
        Side { offset: optional::<Int32Type>(), counts: List::new() }
    }

    fn push(&mut self, buckets: Option<&Buckets>) {
        self.offset.append_option(buckets.map(|b| b.offset));
        self.counts.push(buckets.map(|b| &b.counts));
    }
}

/// `metric_summaries`.
struct Summaries {
    head: Head,
    count: Vec<u64>,
    sum: Vec<f64>,
    ends: ListEnds,
    quantile: Vec<f64>,
    value: Vec<f64>,
}

impl Summaries {
    fn new(body_bytes: usize) -> Summaries {
        Summaries {
            head: Head::new(body_bytes),
            count: Vec::new(),
            sum: Vec::new(),
            ends: ListEnds::new(),
            quantile: Vec::new(),
            value: Vec::new(),
        }
    }

    fn push(&mut self, point: &Point<'_>, row: &Row, request: &Request<'_, '_>) {
        self.count.push(point.count);
        self.sum.push(point.sum.unwrap_or_default());
        self.quantile.extend(point.quantiles.iter().map(|(quantile, _)| quantile));
        self.value.extend(point.quantiles.iter().map(|(_, value)| value));
        self.ends.push(self.quantile.len());
        self.head.push(point, row, request);
    }

    fn finish(
        self,
        request: &Request<'_, '_>,
        headers: &HeaderColumns,
    ) -> Result<Batch, ArrowError> {
        let columns = vec![array::<Float64Type>(self.quantile), array::<Float64Type>(self.value)];
        let quantiles = self.ends.finish_structs(c::quantile_fields(), columns)?;
        let own: Vec<(&'static str, ArrayRef)> = vec![
            (c::COUNT, array::<UInt64Type>(self.count)),
            (c::SUM, array::<Float64Type>(self.sum)),
            (c::QUANTILES, quantiles),
        ];
        self.head.finish(Table::MetricSummaries, own, request, headers)
    }
}

/// `metric_exemplars`.
struct Exemplars {
    rows: Rows,
    headers: Vec<u32>,
    series_id: Ids<16>,
    point_start_time: PrimitiveBuilder<TimestampNanosecondType>,
    point_time: Vec<i64>,
    time: Vec<i64>,
    values: Values,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    attributes: Texts,
}

impl Exemplars {
    fn new(body_bytes: usize) -> Exemplars {
        Exemplars {
            rows: Rows::new(body_bytes),
            headers: Vec::new(),
            series_id: Ids::new(),
            point_start_time: optional(),
            point_time: Vec::new(),
            time: Vec::new(),
            values: Values::new(),
            trace_id: Ids::new(),
            span_id: Ids::new(),
            attributes: Texts::default(),
        }
    }

    fn push(&mut self, exemplar: &Exemplar<'_>, row: &Row, json: &[u8]) {
        self.headers.push(row.header);
        self.series_id.push(Some(row.series_id));
        self.point_start_time.append_option(row.start());
        self.point_time.push(row.time_ns);
        self.time.push(exemplar.time_ns as i64);
        self.values.push(exemplar.value);
        self.trace_id.push(exemplar.trace_id());
        self.span_id.push(exemplar.span_id());
        self.attributes.push(self.rows.texts.add_json(&json[exemplar.json.clone()]));
        self.rows.push_facts(&exemplar.facts, 1);
        self.rows.push(row.context, row.quality);
    }

    fn finish(
        mut self,
        request: &Request<'_, '_>,
        headers: &HeaderColumns,
    ) -> Result<Batch, ArrowError> {
        let sealed = self.rows.seal(&request.contexts)?;
        let mut own: Vec<(&'static str, ArrayRef)> = vec![
            (c::SERIES_ID, self.series_id.finish()?),
            (c::POINT_START_TIME, Arc::new(self.point_start_time.finish())),
            (c::POINT_TIME, times(self.point_time)),
            (c::TIME, times(self.time)),
            (c::TRACE_ID, self.trace_id.finish()?),
            (c::SPAN_ID, self.span_id.finish()?),
            (c::FILTERED_ATTRIBUTES, sealed.texts(self.attributes)?),
        ];
        own.extend(self.values.finish());
        own.extend(headers.rows(self.headers)?);
        sealed.finish(Table::MetricExemplars, own, request, &request.keys.plain)
    }
}
