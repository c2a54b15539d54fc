//! `{"schema":[…],"rows":[{…},…],"stats":{…}}`, the default format.

use api::sql::{Field, Stats};
use arrow_array::RecordBatch;
use serde::Serialize;

use super::{Options, ndjson, value};
use crate::QueryError;

#[derive(Debug)]
pub(super) struct Json {
    fields: Vec<Field>,
    rows: ndjson::Ndjson,
    /// A row has been written, so the next one needs a comma.
    any: bool,
}

impl Json {
    pub(super) fn new(fields: Vec<Field>, options: Options) -> Json {
        Json { rows: ndjson::Ndjson::new(&fields, options), fields, any: false }
    }

    pub(super) fn start(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"schema\":");
        write(&self.fields, out);
        out.extend_from_slice(b",\"rows\":[");
    }

    pub(super) fn rows(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        let columns = value::columns(batch, self.fields.len())?;
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if self.any { b",\n" } else { b"\n" });
            self.any = true;
            self.rows.object(&columns, row, out);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, stats: &Stats, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n],\"stats\":");
        write(stats, out);
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn fail(&mut self, error: &QueryError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\n],\"error\":");
        write(&error.0, out);
        out.extend_from_slice(b"}\n");
    }
}

/// Appends a plain struct as JSON. serde_json lets DEL, C1 controls and U+2028 through, and
/// messages quote what users sent; outside of strings none of them occurs.
pub(super) fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    match serde_json::to_string(value) {
        Ok(text) => value::escape(&text, value::hidden_length, out),
        // Structs with text keys cannot fail; should one, the reader still gets JSON.
        Err(_) => out.extend_from_slice(b"null"),
    }
}
