//! CSV after RFC 4180. NULL is an empty cell, the empty text is `""`. Text that a spreadsheet
//! would run as a formula gets a leading `'` (OWASP ASVS 1.2.10); numbers are exempt.

use api::sql::Field;
use arrow_array::RecordBatch;

use super::Options;
use super::value::{self, Plain};
use crate::QueryError;

#[derive(Debug)]
pub(super) struct Csv {
    fields: Vec<Field>,
    options: Options,
    /// The cell being written, kept for its memory.
    cell: Vec<u8>,
}

impl Csv {
    pub(super) fn new(fields: Vec<Field>, options: Options) -> Csv {
        Csv { fields, options, cell: Vec::new() }
    }

    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        for (i, field) in self.fields.iter().enumerate() {
            separate(i, out);
            write_text(field.name.as_bytes(), self.options, out);
        }
        out.extend_from_slice(b"\r\n");
    }

    pub(super) fn rows(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        let columns = value::columns(batch, self.fields.len())?;
        for row in 0..batch.num_rows() {
            for (i, values) in columns.iter().enumerate() {
                separate(i, out);
                self.cell.clear();
                match values.plain(row, &mut self.cell) {
                    Plain::Null => {}
                    Plain::Number => out.extend_from_slice(&self.cell),
                    Plain::Text => write_text(&self.cell, self.options, out),
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }
}

fn separate(column: usize, out: &mut Vec<u8>) {
    if column > 0 {
        out.push(b',');
    }
}

fn write_text(text: &[u8], options: Options, out: &mut Vec<u8>) {
    let formula = !options.csv_raw
        && matches!(text.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | 0));
    let special = |b: &u8| matches!(b, b'"' | b',' | b'\n' | b'\r');
    if !formula && !text.is_empty() && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
