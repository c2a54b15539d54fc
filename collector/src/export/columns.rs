//! Typed access to the columns of one batch.

use std::ops::Range;

use arrow_array::{
    Array, ArrowPrimitiveType, FixedSizeBinaryArray, ListArray, PrimitiveArray, RecordBatch,
    StringViewArray, StructArray, TimestampNanosecondArray,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;
use schemas::{Table, columns as c};

use super::ExportError;

/// The columns of one batch, each in the type that the schema gives it.
pub(super) struct Columns<'a> {
    pub(super) table: Table,
    pub(super) rows: &'a RecordBatch,
}

impl Columns<'_> {
    /// The column of that name, cast where the rows hold it otherwise (text that is not a view).
    pub(super) fn get<A: Array + Clone + 'static>(
        &self,
        column: &'static str,
    ) -> Result<A, ExportError> {
        let missing = || ExportError::MissingColumn { table: self.table, column };
        let array = self.rows.column_by_name(column).ok_or_else(missing)?;
        let expected = match column {
            c::ATTRIBUTES => DataType::Utf8View,
            _ => self.table.column(column).ok_or_else(missing)?.kind.data_type(),
        };
        let wrong = || ExportError::ColumnType {
            column,
            found: array.data_type().clone(),
            expected: expected.clone(),
        };
        // Not the lenient default, which turns what it cannot cast into nulls.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let array = cast_with_options(array, &expected, &options).map_err(|_| wrong())?;
        array.as_any().downcast_ref::<A>().cloned().ok_or_else(wrong)
    }
}

/// A list of structs, with its fields at hand.
pub(super) struct Structs {
    table: Table,
    lists: ListArray,
    fields: StructArray,
}

impl Structs {
    pub(super) fn get(columns: &Columns<'_>, column: &'static str) -> Result<Structs, ExportError> {
        let table = columns.table;
        let lists: ListArray = columns.get(column)?;
        let fields = lists.values().as_any().downcast_ref::<StructArray>().cloned();
        let fields = fields.ok_or(ExportError::MissingColumn { table, column })?;
        Ok(Structs { table, lists, fields })
    }

    /// The values of one field over all elements of all rows.
    pub(super) fn field<A: Array + Clone + 'static>(
        &self,
        column: &'static str,
    ) -> Result<A, ExportError> {
        // The cast of the whole list has seen to the type.
        let array = self.fields.column_by_name(column);
        let array = array.and_then(|a| a.as_any().downcast_ref::<A>()).cloned();
        array.ok_or(ExportError::MissingColumn { table: self.table, column })
    }

    /// Which elements belong to a row.
    pub(super) fn elements(&self, row: usize) -> Range<usize> {
        range(&self.lists, row)
    }
}

/// Which values of a list column belong to a row; none for null.
fn range(lists: &ListArray, row: usize) -> Range<usize> {
    if lists.is_null(row) {
        return 0..0;
    }
    let offset = |i: usize| usize::try_from(lists.value_offsets()[i]).unwrap_or(0);
    offset(row)..offset(row + 1)
}

/// The text of a row, empty for null.
pub(super) fn text(column: &StringViewArray, row: usize) -> &str {
    if column.is_null(row) { "" } else { column.value(row) }
}

/// The bytes of a row, empty for null.
pub(super) fn id(column: &FixedSizeBinaryArray, row: usize) -> Vec<u8> {
    if column.is_null(row) { Vec::new() } else { column.value(row).to_vec() }
}

/// The nanoseconds of a row, 0 for null.
pub(super) fn time(column: &TimestampNanosecondArray, row: usize) -> u64 {
    optional(column, row).map_or(0, i64::cast_unsigned)
}

/// The number of a row, if it has one.
pub(super) fn optional<T: ArrowPrimitiveType>(
    column: &PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    column.is_valid(row).then(|| column.value(row))
}

/// The numbers of a row's list, if it has one.
pub(super) fn numbers<T: ArrowPrimitiveType>(
    lists: &ListArray,
    row: usize,
) -> Option<Vec<T::Native>> {
    let values = lists.values().as_any().downcast_ref::<PrimitiveArray<T>>()?;
    lists.is_valid(row).then(|| values.values()[range(lists, row)].to_vec())
}

/// The number of an enum from its stored word; a number no word stands for is kept as its digits.
pub(super) fn number(column: &'static str, words: &[&str], text: &str) -> Result<i32, ExportError> {
    let known = words.iter().position(|w| *w == text).and_then(|i| i32::try_from(i).ok());
    let parsed = known.or_else(|| text.parse().ok());
    parsed.ok_or_else(|| ExportError::value(column, text, "a known word or a number"))
}
