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

    /// Takes a batch; gives the rows of all traces that have ended with it, and keeps the rest. The
    /// trace that was held comes by itself, so that a batch is cut and not copied.
    pub(super) fn push(
        &mut self,
        batch: RecordBatch,
        trace_id: usize,
        schema: &SchemaRef,
    ) -> Result<[Option<RecordBatch>; 2]> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok([None, None]);
        }
        let held = if self.goes_on(&batch, trace_id) { first_run(&batch, trace_id) } else { 0 };
        self.batches.push(batch.slice(0, held));
        self.rows += held;
        if held == rows {
            return Ok([None, None]);
        }
        let before = self.take(schema)?;
        let last = last_run(&batch, trace_id);
        let between = (last > held).then(|| batch.slice(held, last - held));
        self.rows = rows - last;
        self.batches.push(batch.slice(last, rows - last));
        Ok([before, between])
    }

    /// All that is held.
    pub(super) fn take(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        let mut batches = std::mem::take(&mut self.batches);
        self.rows = 0;
        batches.retain(|batch| batch.num_rows() > 0);
        match batches.len() {
            0 => Ok(None),
            1 => Ok(batches.pop()),
            _ => Ok(Some(concat_batches(schema, &batches)?)),
        }
    }

    /// Whether the first row of a batch belongs to the trace that is held.
    fn goes_on(&self, batch: &RecordBatch, trace_id: usize) -> bool {
        let Some(held) = self.batches.iter().rev().find(|held| held.num_rows() > 0) else {
            return false;
        };
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

/// Rows of the first trace of a batch.
fn first_run(batch: &RecordBatch, trace_id: usize) -> usize {
    let first = id(batch, trace_id, 0);
    (0..batch.num_rows()).take_while(|&row| id(batch, trace_id, row) == first).count()
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
