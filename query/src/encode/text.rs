//! A table for people. Column widths come from the first batch; later rows that are wider stick
//! out. Control characters are shown, not sent: the reader is a terminal.

use std::fmt::Write as _;

use api::sql::{Field, Stats};
use arrow_array::RecordBatch;

use super::value::{self, Plain, Values};
use crate::QueryError;

#[derive(Debug)]
pub(super) struct Text {
    fields: Vec<Field>,
    /// Characters of each column, once the first batch has told them.
    widths: Vec<usize>,
    rows: u64,
    cell: Vec<u8>,
    shown: String,
}

impl Text {
    pub(super) fn new(fields: Vec<Field>) -> Text {
        Text { fields, widths: Vec::new(), rows: 0, cell: Vec::new(), shown: String::new() }
    }

    pub(super) fn rows(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns = value::columns(batch, self.fields.len())?;
        if self.widths.is_empty() {
            self.measure(&columns, batch.num_rows());
            self.head(out);
        }
        for row in 0..batch.num_rows() {
            for (i, values) in columns.iter().enumerate() {
                let kind = self.show(values, row);
                self.pad(i, kind == Plain::Number, out);
            }
            out.push(b'\n');
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    pub(super) fn finish(&mut self, stats: &Stats, out: &mut Vec<u8>) {
        if self.widths.is_empty() {
            self.measure(&[], 0);
            self.head(out);
        }
        self.shown.clear();
        let plural = if self.rows == 1 { "row" } else { "rows" };
        let _ = writeln!(self.shown, "({} {plural})", self.rows);
        let notes = [
            (stats.truncated, "cut by the row limit"),
            (stats.partial, "some rows could not be read"),
            (stats.recovering_bytes.is_some(), "older rows are still being recovered"),
        ];
        for (_, note) in notes.iter().filter(|(holds, _)| *holds) {
            let _ = writeln!(self.shown, "note: {note}");
        }
        for warning in &stats.warnings {
            self.shown.push_str("note: ");
            sanitise(warning, &mut self.shown);
            self.shown.push('\n');
        }
        out.extend_from_slice(self.shown.as_bytes());
    }

    pub(super) fn fail(&mut self, error: &QueryError, out: &mut Vec<u8>) {
        self.shown.clear();
        self.shown.push_str("error: ");
        sanitise(&error.0.message, &mut self.shown);
        self.shown.push('\n');
        out.extend_from_slice(self.shown.as_bytes());
    }

    fn measure(&mut self, columns: &[Values<'_>], rows: usize) {
        let mut widths = Vec::with_capacity(self.fields.len());
        for i in 0..self.fields.len() {
            self.shown.clear();
            sanitise(&self.fields[i].name, &mut self.shown);
            let mut width = self.shown.chars().count();
            if let Some(values) = columns.get(i) {
                for row in 0..rows {
                    self.show(values, row);
                    width = width.max(self.shown.chars().count());
                }
            }
            widths.push(width);
        }
        self.widths = widths;
    }

    fn head(&mut self, out: &mut Vec<u8>) {
        for i in 0..self.fields.len() {
            self.shown.clear();
            sanitise(&self.fields[i].name, &mut self.shown);
            self.pad(i, false, out);
        }
        out.push(b'\n');
        for (i, width) in self.widths.iter().enumerate() {
            if i > 0 {
                out.push(b'+');
            }
            out.resize(out.len() + width + 2, b'-');
        }
        out.push(b'\n');
    }

    /// Puts the value into `shown`.
    fn show(&mut self, values: &Values<'_>, row: usize) -> Plain {
        self.cell.clear();
        self.shown.clear();
        let kind = values.plain(row, &mut self.cell);
        sanitise(&String::from_utf8_lossy(&self.cell), &mut self.shown);
        kind
    }

    fn pad(&self, column: usize, right: bool, out: &mut Vec<u8>) {
        let last = column + 1 == self.widths.len();
        let space = self.widths[column].saturating_sub(self.shown.chars().count());
        out.extend_from_slice(if column > 0 { b"| " } else { b" " });
        if right {
            out.resize(out.len() + space, b' ');
        }
        out.extend_from_slice(self.shown.as_bytes());
        if !last {
            out.resize(out.len() + if right { 1 } else { space + 1 }, b' ');
        }
    }
}

/// Shows what a terminal would obey or hide (security.md section 12).
fn sanitise(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('?')),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {
                let _ = write!(out, "<U+{:04X}>", u32::from(c));
            }
            _ => out.push(c),
        }
    }
}
