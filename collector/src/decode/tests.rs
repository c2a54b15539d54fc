//! Decoding, seen from outside: bytes in, rows as text out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use schemas::{Batch, Signal};
use storage::Encoding;

use super::{DecodeError, Decoded, Decoder, Limits};
use crate::rejects::Reason;

mod differential;
mod generate;
mod hostile;
mod json;
mod oracle;
mod rules;

/// When all test requests arrive: 2026-09-21, with a part below a millisecond.
pub(super) const RECEIVED_NS: i64 = 1_790_000_000_123_456_789;
/// An ordinary time of a record.
pub(super) const TIME_NS: u64 = 1_790_000_000_000_000_000;

/// A row without its nulls: column to text.
pub(super) type Row = BTreeMap<String, String>;

pub(super) fn decode(
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
) -> Result<Decoded, DecodeError> {
    Decoder::new(Limits::default()).decode(signal, encoding, body, RECEIVED_NS)
}

/// Rows of all tables, each with its table's name in the column `table`.
pub(super) fn rows(batches: &[Batch]) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        check_shape(batch);
        let schema = batch.rows.schema();
        let options = FormatOptions::default();
        for row in 0..batch.rows.num_rows() {
            let mut cells = Row::from([("table".to_owned(), batch.table.name().to_owned())]);
            for (field, column) in schema.fields().iter().zip(batch.rows.columns()) {
                if column.is_valid(row) {
                    let text = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
                    cells.insert(field.name().clone(), text.value(row).to_string());
                }
            }
            rows.push(cells);
        }
    }
    rows
}

/// What holds of every batch: the table's columns first, promoted ones behind, none all null.
fn check_shape(batch: &Batch) {
    let schema = batch.rows.schema();
    let own = batch.table.schema();
    assert_eq!(schema.fields()[..own.fields().len()], own.fields()[..]);
    assert!(batch.rows.num_rows() > 0, "an empty batch");
    for (i, field) in schema.fields().iter().enumerate().skip(own.fields().len()) {
        let promoted = schemas::attributes::promoted_column(field.name()).unwrap();
        assert_eq!(**field, promoted.field());
        assert!(batch.rows.column(i).null_count() < batch.rows.num_rows(), "{field} is all null");
    }
}

/// Asserts the reasons and counts of rejects.
pub(super) fn check_rejects(decoded: &Decoded, expected: &[(Reason, u32)]) {
    let actual: Vec<_> = decoded.rejects.counts().collect();
    assert_eq!(actual, expected, "{}", decoded.rejects.message());
}
