//! Histograms as an Arrow column.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int8Builder, Int32Builder, Int64Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Float64Array, Int8Array, Int32Array, Int64Array, ListArray, StructArray,
};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{DataType, Field, Fields};
use datafusion::common::{Result, exec_err};
use schemas::columns as c;

use super::buckets::{Buckets, Hist, HistRef, SCALE_MAX, SCALE_MIN};

/// No double lies in a bucket further out, at any scale.
const INDEX_MAX: i32 = 1_100 << SCALE_MAX;
/// Buckets of one sign that a histogram may have: all that doubles can fill at scale 5, twice.
const BUCKETS_MAX: usize = 1 << 17;

/// The fields of a histogram. Those that OTLP has keep their names.
pub(super) fn fields() -> Fields {
    Fields::from(vec![
        Field::new(c::SCALE, DataType::Int8, true),
        Field::new("zero", DataType::Int64, true),
        Field::new("offset", DataType::Int32, true),
        Field::new("counts", c::list(DataType::Int64), true),
        Field::new(c::NEG_OFFSET, DataType::Int32, true),
        Field::new(c::NEG_COUNTS, c::list(DataType::Int64), true),
        Field::new(c::SUM, DataType::Float64, true),
        Field::new(c::MIN, DataType::Float64, true),
        Field::new(c::MAX, DataType::Float64, true),
    ])
}

/// The SQL type of a histogram.
pub(super) fn hist_type() -> DataType {
    DataType::Struct(fields())
}

/// The histograms of a column.
pub(super) struct Hists<'a> {
    array: &'a StructArray,
    scale: &'a Int8Array,
    zero: &'a Int64Array,
    offset: &'a Int32Array,
    counts: &'a ListArray,
    neg_offset: &'a Int32Array,
    neg_counts: &'a ListArray,
    sum: &'a Float64Array,
    min: &'a Float64Array,
    max: &'a Float64Array,
}

impl<'a> Hists<'a> {
    /// Reads a column of [`hist_type`].
    pub(super) fn new(array: &'a ArrayRef) -> Result<Hists<'a>> {
        let Some(array) = array.as_struct_opt().filter(|a| a.columns().len() == fields().len())
        else {
            return exec_err!("not a histogram");
        };
        let column = |i: usize| array.column(i);
        Ok(Hists {
            array,
            scale: column(0).as_primitive::<Int8Type>(),
            zero: column(1).as_primitive::<Int64Type>(),
            offset: column(2).as_primitive::<Int32Type>(),
            counts: column(3).as_list::<i32>(),
            neg_offset: column(4).as_primitive::<Int32Type>(),
            neg_counts: column(5).as_list::<i32>(),
            sum: column(6).as_primitive::<Float64Type>(),
            min: column(7).as_primitive::<Float64Type>(),
            max: column(8).as_primitive::<Float64Type>(),
        })
    }

    /// The histogram of a row; `None` for NULL.
    ///
    /// # Errors
    /// When it cannot come from [`Hist`]: SQL can put any numbers into a struct.
    pub(super) fn get(&self, row: usize) -> Result<Option<HistRef<'a>>> {
        if self.array.is_null(row) {
            return Ok(None);
        }
        let hist = HistRef {
            scale: self.scale.value(row),
            zero: self.zero.value(row),
            positive: (self.offset.value(row), counts(self.counts, row)),
            negative: (self.neg_offset.value(row), counts(self.neg_counts, row)),
            sum: self.sum.value(row),
            min: self.min.value(row),
            max: self.max.value(row),
        };
        let sound = |(offset, counts): (i32, &[i64])| {
            (-INDEX_MAX..INDEX_MAX).contains(&offset) && counts.len() <= BUCKETS_MAX
        };
        let scaled = (SCALE_MIN..=SCALE_MAX).contains(&hist.scale);
        let ordered = hist.min <= hist.max || hist.min.is_infinite();
        if !(scaled && ordered && sound(hist.positive) && sound(hist.negative)) {
            return exec_err!("a struct with the fields of a histogram holds no histogram");
        }
        Ok(Some(hist))
    }
}

fn counts(lists: &ListArray, row: usize) -> &[i64] {
    if lists.is_null(row) {
        return &[];
    }
    let offsets = lists.value_offsets();
    let all = lists.values().as_primitive::<Int64Type>().values();
    &all[offsets[row] as usize..offsets[row + 1] as usize]
}

/// Writes histograms as a column; those without values are NULL.
pub(super) fn write<'a>(hists: impl ExactSizeIterator<Item = &'a Hist>) -> StructArray {
    let rows = hists.len();
    let mut out = Writer::new(rows);
    for hist in hists {
        out.append(hist);
    }
    out.finish()
}

struct Writer {
    valid: NullBufferBuilder,
    scale: Int8Builder,
    zero: Int64Builder,
    positive: Side,
    negative: Side,
    /// Sum, minimum, maximum.
    doubles: [Float64Builder; 3],
}

impl Writer {
    fn new(rows: usize) -> Writer {
        Writer {
            valid: NullBufferBuilder::new(rows),
            scale: Int8Builder::with_capacity(rows),
            zero: Int64Builder::with_capacity(rows),
            positive: Side::new(),
            negative: Side::new(),
            doubles: std::array::from_fn(|_| Float64Builder::with_capacity(rows)),
        }
    }

    fn append(&mut self, hist: &Hist) {
        self.valid.append(hist.count > 0);
        self.scale.append_value(hist.scale);
        self.zero.append_value(signed(hist.zero));
        self.positive.append(&hist.positive);
        self.negative.append(&hist.negative);
        for (builder, value) in self.doubles.iter_mut().zip([hist.sum, hist.min, hist.max]) {
            builder.append_value(value);
        }
    }

    fn finish(mut self) -> StructArray {
        let [sum, min, max] = self.doubles.each_mut().map(|b| Arc::new(b.finish()) as ArrayRef);
        let [offset, counts] = self.positive.finish();
        let [neg_offset, neg_counts] = self.negative.finish();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.scale.finish()),
            Arc::new(self.zero.finish()),
            offset,
            counts,
            neg_offset,
            neg_counts,
            sum,
            min,
            max,
        ];
        StructArray::new(fields(), columns, self.valid.finish())
    }
}

/// Offset and counts of one sign.
struct Side {
    offset: Int32Builder,
    counts: ListBuilder<Int64Builder>,
}

impl Side {
    fn new() -> Side {
        let element = Field::new(c::LIST_ELEMENT, DataType::Int64, false);
        Side {
            offset: Int32Builder::new(),
            counts: ListBuilder::new(Int64Builder::new()).with_field(element),
        }
    }

    fn append(&mut self, buckets: &Buckets) {
        let (offset, counts) = buckets.trimmed();
        self.offset.append_value(offset);
        for &count in counts {
            self.counts.values().append_value(signed(count));
        }
        self.counts.append(true);
    }

    fn finish(&mut self) -> [ArrayRef; 2] {
        [Arc::new(self.offset.finish()), Arc::new(self.counts.finish())]
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
