//! Brings the rows of a trace together where its input is ordered by trace: cuts the stream of
//! batches into chunks that hold whole traces.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use datafusion::common::Result;

/// Rows of the last trace seen, which may go on in the next batch.
#[derive(Debug, Default)]
pub(super) struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
}

impl Pending {
    /// Rows held.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Takes a batch; gives the rows of all traces that have ended with it, and keeps the rest.
    pub(super) fn push(
        &mut self,
        batch: RecordBatch,
        trace_id: usize,
        schema: &SchemaRef,
    ) -> Result<Option<RecordBatch>> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(None);
        }
        let last = last_run(&batch, trace_id);
        if last > 0 || !self.goes_on(&batch, trace_id) {
            let ended = batch.slice(0, last);
            let rest = batch.slice(last, rows - last);
            self.batches.push(ended);
            let chunk = self.take(schema)?;
            self.rows = rest.num_rows();
            self.batches.push(rest);
            return Ok(chunk);
        }
        self.rows += rows;
        self.batches.push(batch);
        Ok(None)
    }

    /// All that is held.
    pub(super) fn take(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let batches = std::mem::take(&mut self.batches);
        self.rows = 0;
        let chunk = concat_batches(schema, &batches)?;
        Ok((chunk.num_rows() > 0).then_some(chunk))
    }

    /// Whether the first row of a batch belongs to the trace that is held.
    fn goes_on(&self, batch: &RecordBatch, trace_id: usize) -> bool {
        let Some(held) = self.batches.last() else { return false };
        let last = held.num_rows().checked_sub(1).map(|row| id(held, trace_id, row));
        last.is_some_and(|last| last == id(batch, trace_id, 0))
    }
}

/// Where each trace of a chunk lies.
pub(super) fn runs(trace_ids: &[u128]) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    trace_ids.chunk_by(|a, b| a == b).map(move |run| {
        let range = from..from + run.len();
        from = range.end;
        range
    })
}

/// First row of the last trace of a batch.
fn last_run(batch: &RecordBatch, trace_id: usize) -> usize {
    let last = batch.num_rows() - 1;
    let same =
        (0..last).rev().take_while(|&row| id(batch, trace_id, row) == id(batch, trace_id, last));
    last - same.count()
}

fn id(batch: &RecordBatch, trace_id: usize, row: usize) -> &[u8] {
    let ids = batch.column(trace_id).as_fixed_size_binary_opt();
    ids.filter(|ids| ids.is_valid(row)).map_or(&[], |ids| ids.value(row))
}
