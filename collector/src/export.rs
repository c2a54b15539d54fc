//! The way back: stored rows as the OTLP messages they came from (promise P4).
//!
//! The rows come in their logical shape ([`logical_columns`]): the stored columns, but `attributes`
//! with the whole canonical JSON of the record's attributes in place of `attributes_rest`. Columns
//! are found by name; any text encoding does, so rows of the engine, of a Parquet file and of an
//! Arrow stream all serve. What OTLP sends once for many records is grouped again: equal resources
//! and scopes are one, in the order in which they are first seen.
//!
//! Only what OTLP itself calls insignificant is lost: the order of attributes, an absent scope
//! against an empty one, envelopes without records.

mod columns;
mod groups;
pub mod json;
mod logs;
mod metrics;
mod spans;
#[cfg(test)]
mod tests;
mod values;

pub use logs::logs;
pub use metrics::metrics;
pub use spans::traces;

use arrow_schema::DataType;
use schemas::{Table, columns as c};

/// The columns of a table's logical shape, by name: what to select in order to export.
pub fn logical_columns(table: Table) -> impl Iterator<Item = &'static str> {
    let stored = table.columns().iter().map(|column| column.name);
    let merged = table.has_attributes().then_some(c::ATTRIBUTES);
    stored.filter(|name| *name != c::ATTRIBUTES_REST).chain(merged)
}

/// Why rows could not be turned into messages. None of them passes by trying again.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The rows are not in the logical shape.
    #[error("the rows of {} lack the column {column}; select it to export them", table.name())]
    MissingColumn {
        /// Table the rows belong to.
        table: Table,
        /// Name of the column.
        column: &'static str,
    },
    /// A column is of a type that cannot be read as the one the schema names.
    #[error("column {column} is {found} and cannot be read as {expected}")]
    ColumnType {
        /// Name of the column.
        column: &'static str,
        /// Type of the rows.
        found: DataType,
        /// Type of the schema.
        expected: DataType,
    },
    /// A stored text is not what the collector writes: the data is damaged or was edited.
    #[error("column {column} holds {text:?}, which is not {expected}; otlake verify finds damage")]
    Value {
        /// Name of the column.
        column: &'static str,
        /// The text, cut to its beginning.
        text: String,
        /// What it should have been.
        expected: &'static str,
    },
}

impl ExportError {
    fn value(column: &'static str, text: &str, expected: &'static str) -> ExportError {
        const TEXT_CHARS_MAX: usize = 80;
        ExportError::Value { column, text: text.chars().take(TEXT_CHARS_MAX).collect(), expected }
    }
}
