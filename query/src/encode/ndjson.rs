//! One object a line; also the rows of the JSON format.

use api::sql::Field;
use arrow_array::RecordBatch;

use super::value::Values;
use super::{Options, json, value};
use crate::QueryError;

#[derive(Debug)]
pub(super) struct Ndjson {
    /// `"name":` of every column.
    keys: Vec<Vec<u8>>,
    options: Options,
}

impl Ndjson {
    pub(super) fn new(fields: &[Field], options: Options) -> Ndjson {
        Ndjson { keys: fields.iter().map(|f| value::key(&f.name)).collect(), options }
    }

    pub(super) fn rows(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = value::columns(batch, self.keys.len())?;
        for row in 0..batch.num_rows() {
            self.object(&columns, row, out);
            out.push(b'\n');
        }
        Ok(())
    }

    pub(super) fn object(&self, columns: &[Values<'_>], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, (key, values)) in self.keys.iter().zip(columns).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            values.json(row, self.options, out);
        }
        out.push(b'}');
    }
}

pub(super) fn fail(error: &QueryError, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":");
    json::write(&error.0, out);
    out.extend_from_slice(b"}\n");
}
