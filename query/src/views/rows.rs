//! The rows of a view's statement, read column by column, and the columns of its answer.

use std::sync::Arc;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, StringViewType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, ListArray,
    RecordBatch, StringViewArray,
};
use arrow_schema::DataType;
use datafusion::common::Result;

/// One batch, its columns cast to what a formula reads.
pub(super) struct Rows {
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl Rows {
    pub(super) fn new(batch: &RecordBatch) -> Result<Rows> {
        let plain = |column: &ArrayRef| {
            let to = match column.data_type() {
                t if t.is_integer() => DataType::Int64,
                t if t.is_floating() => DataType::Float64,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Dictionary(..) => {
                    DataType::Utf8View
                }
                other => other.clone(),
            };
            Ok(arrow_cast::cast(column, &to)?)
        };
        let columns = batch.columns().iter().map(plain).collect::<Result<_>>()?;
        Ok(Rows { columns, rows: batch.num_rows() })
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// The text of a column, empty for null.
    pub(super) fn text(&self, column: usize, row: usize) -> &str {
        let texts: Option<&StringViewArray> =
            self.columns[column].as_byte_view_opt::<StringViewType>();
        texts.filter(|t| t.is_valid(row)).map_or("", |t| t.value(row))
    }

    pub(super) fn int(&self, column: usize, row: usize) -> Option<i64> {
        let ints: &Int64Array = self.columns[column].as_primitive_opt::<Int64Type>()?;
        ints.is_valid(row).then(|| ints.value(row))
    }

    pub(super) fn bool(&self, column: usize, row: usize) -> bool {
        let bools: Option<&BooleanArray> = self.columns[column].as_boolean_opt();
        bools.is_some_and(|b| b.is_valid(row) && b.value(row))
    }

    /// The integers of a list, none for null.
    pub(super) fn list(&self, column: usize, row: usize) -> Vec<i64> {
        let lists: Option<&ListArray> = self.columns[column].as_list_opt();
        let list = lists.filter(|l| l.is_valid(row)).map(|l| l.value(row));
        let ints = list.as_ref().and_then(|l| l.as_primitive_opt::<Int64Type>());
        ints.map_or_else(Vec::new, |ints| ints.values().to_vec())
    }

    /// A trace id, 0 for null.
    pub(super) fn trace_id(&self, column: usize, row: usize) -> u128 {
        let ids: Option<&FixedSizeBinaryArray> = self.columns[column].as_fixed_size_binary_opt();
        let bytes = ids.filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row));
        bytes.and_then(|b| b.try_into().ok()).map_or(0, u128::from_be_bytes)
    }
}

/// A text column.
pub(super) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.map(|text| (!text.is_empty()).then_some(text)).collect::<StringViewArray>())
}

/// A column of integers.
pub(super) fn ints(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

/// A column of numbers.
pub(super) fn numbers(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.map(|v| v.filter(|v| v.is_finite())).collect::<Float64Array>())
}

/// A column of trace ids; 0 is null.
pub(super) fn trace_ids(values: impl Iterator<Item = u128>) -> Result<ArrayRef> {
    let mut ids = FixedSizeBinaryBuilder::new(16);
    for id in values {
        match id {
            0 => ids.append_null(),
            id => ids.append_value(id.to_be_bytes())?,
        }
    }
    Ok(Arc::new(ids.finish()))
}

/// Nanoseconds as milliseconds.
pub(super) fn ms(ns: f64) -> f64 {
    ns / 1e6
}
