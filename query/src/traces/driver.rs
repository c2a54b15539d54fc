//! How one partition of the kernel's node works: whole traces as they come, scattered ones at the
//! end, by the partition that ends last.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringViewArray};
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave_record_batch;
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::sync::mpsc::Sender;

use super::exec::TraceExec;
use super::group::{Pending, runs};
use super::split::{Split, trace_ids};
use super::window::Learned;
use super::worker::{Piece, Worker};

/// Memory of the kernel for one span: its struct, its facts, its place in the tree.
const SPAN_BYTES: usize = 640;
/// Memory of a row that is set aside, for the choice of how many turns are needed.
const ROW_BYTES: u64 = 1_024;
/// Rows of scattered traces that go through the kernel at a time, up to the end of a trace.
const CHUNK_ROWS: usize = 8_192;

/// What the partitions of one execution share.
#[derive(Debug)]
pub(super) struct Shared {
    split: OnceCell<Split>,
    learned: OnceCell<Arc<Learned>>,
    /// Rows of scattered traces, found by any partition.
    aside: Mutex<Vec<RecordBatch>>,
    /// Traces that did not fit into memory.
    too_large: Mutex<HashSet<u128>>,
    /// Partitions that still read.
    reading: AtomicUsize,
}

impl Shared {
    pub(super) fn new(partitions: usize) -> Shared {
        Shared {
            split: OnceCell::new(),
            learned: OnceCell::new(),
            aside: Mutex::default(),
            too_large: Mutex::default(),
            reading: AtomicUsize::new(partitions),
        }
    }
}

/// Whose turn it is, of how many: the scattered traces of one turn fit into memory.
#[derive(Clone, Copy, Debug)]
struct Turn {
    pass: u64,
    of: u64,
}

/// The work of one partition.
pub(super) struct Partition {
    node: TraceExec,
    number: usize,
    context: Arc<TaskContext>,
    /// For the trace that is being read.
    pending_memory: MemoryReservation,
    /// For rows that are set aside.
    aside_memory: MemoryReservation,
    worker: Worker,
    pending: Pending,
    /// Trace of the last row read.
    last: Option<u128>,
    out: Sender<Result<RecordBatch>>,
}

impl Partition {
    pub(super) fn new(
        node: &TraceExec,
        number: usize,
        context: Arc<TaskContext>,
        out: Sender<Result<RecordBatch>>,
    ) -> Partition {
        let memory = |what: &str| {
            MemoryConsumer::new(format!("TraceExec[{number}] {what}"))
                .register(context.memory_pool())
        };
        Partition {
            pending_memory: memory("trace"),
            aside_memory: memory("scattered traces"),
            worker: Worker::new(node, number),
            node: node.clone(),
            number,
            context,
            pending: Pending::default(),
            last: None,
            out,
        }
    }

    /// Reads the partition; the last one to end runs the scattered traces of all.
    pub(super) async fn run(mut self) -> Result<()> {
        let shared = Arc::clone(&self.node.shared);
        let (ids, context) = (Arc::clone(&self.node.ids), Arc::clone(&self.context));
        let rows_max = self.rows_max();
        let split = shared.split.get_or_try_init(|| Split::find(ids, context, rows_max)).await?;
        if let Some(lesson) = &self.node.lesson {
            let learn = || async {
                Learned::from(lesson, split.sample(), &self.context).await.map(Arc::new)
            };
            let learned = shared.learned.get_or_try_init(learn).await?;
            self.worker.set_window(learned);
        }
        let of = self.turns(split);
        let runs = self.read(self.number, split, Turn { pass: 0, of }).await?;
        if runs != split.runs(self.number) {
            return internal_err!("two looks at the same spans differ");
        }
        if shared.reading.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        for pass in 0..of {
            for partition in (0..self.node.partitions()).filter(|_| pass > 0) {
                self.read(partition, split, Turn { pass, of }).await?;
            }
            let aside = std::mem::take(&mut *shared.aside.lock());
            self.scattered(&aside).await?;
            self.aside_memory.free();
        }
        Ok(())
    }

    /// Rows of one scattered trace that fit into the memory of the query, with what the kernel needs.
    fn rows_max(&self) -> u64 {
        match self.context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes as u64 / (ROW_BYTES + SPAN_BYTES as u64),
            _ => u64::MAX,
        }
    }

    /// In how many turns the scattered traces fit into half the memory of the query.
    fn turns(&self, split: &Split) -> u64 {
        let MemoryLimit::Finite(bytes) = self.context.memory_pool().memory_limit() else {
            return 1;
        };
        (split.rows() * ROW_BYTES).div_ceil((bytes as u64 / 2).max(1)).max(1)
    }

    /// Reads a partition of the scan: in the first turn the kernel runs over the traces that lie in
    /// one place; in every turn the rows of some scattered ones are set aside. Gives the runs found.
    async fn read(&mut self, partition: usize, split: &Split, turn: Turn) -> Result<u64> {
        let mut input = self.node.input.execute(partition, Arc::clone(&self.context))?;
        let (schema, trace_id) = (self.node.input.schema(), self.node.layout.trace_id());
        let mut runs = 0;
        self.last = None;
        loop {
            let batch = input.next().await.transpose()?;
            let ended = batch.is_none();
            let chunks = match batch {
                Some(batch) => self.pending.push(batch, trace_id, &schema)?,
                None => [self.pending.take(&schema)?, None],
            };
            for chunk in chunks.into_iter().flatten() {
                runs += self.chunk(&chunk, split, turn).await?;
            }
            if self.pending_memory.try_resize(self.pending.rows() * SPAN_BYTES).is_err()
                && let Some(rows) = self.pending.take(&schema)?
            {
                runs += self.too_large(&rows, split, turn).await?;
            }
            if ended {
                return Ok(runs);
            }
        }
    }

    /// Rows of whole runs: through the kernel, or set aside. Gives the runs that begin here.
    async fn chunk(&mut self, rows: &RecordBatch, split: &Split, turn: Turn) -> Result<u64> {
        let mut aside = vec![false; rows.num_rows()];
        let mut too_large: Vec<Range<usize>> = Vec::new();
        let (mut runs, mut is_aside) = (0, false);
        let (mut is_whole, mut is_large) = (false, false);
        for (row, id) in trace_ids(rows, self.node.layout.trace_id())?.enumerate() {
            if row == 0 || self.last != Some(id) {
                runs += u64::from(self.last != Some(id));
                self.last = Some(id);
                let is_split = split.contains(id);
                is_large = is_split && split.too_large(id).is_some();
                is_aside = is_split && !is_large && Split::pass(id, turn.of) == turn.pass;
                is_whole |= !is_split;
                too_large.extend(is_large.then_some(row..row));
            }
            aside[row] = is_aside;
            if let Some(range) = too_large.last_mut().filter(|_| is_large) {
                range.end = row + 1;
            }
        }
        if aside.contains(&true) {
            let rows = compact(&filter(rows, aside)?)?;
            self.aside_memory.try_grow(rows.get_array_memory_size())?;
            self.node.shared.aside.lock().push(rows);
        }
        if turn.pass == 0 && is_whole {
            let out = self.worker.run(rows, |id| split.contains(id))?;
            self.give(out).await?;
        }
        for range in too_large.into_iter().filter(|_| turn.pass == 0) {
            let piece = rows.slice(range.start, range.len());
            self.give_piece(&piece, |id| split.too_large(id)).await?;
        }
        Ok(runs)
    }

    /// Rows of a trace that is too large go on without facts; `all` says how many it has.
    async fn give_piece(
        &mut self,
        rows: &RecordBatch,
        all: impl Fn(u128) -> Option<u64>,
    ) -> Result<()> {
        let Some(id) = trace_ids(rows, self.node.layout.trace_id())?.next() else { return Ok(()) };
        let piece = match self.node.shared.too_large.lock().insert(id) {
            true => Piece::First(all(id).unwrap_or(rows.num_rows() as u64)),
            false => Piece::Later,
        };
        let out = self.worker.run_piece(rows, piece)?;
        self.give(out).await
    }

    /// Rows of a trace that lies in one place and does not fit into memory after all.
    async fn too_large(&mut self, rows: &RecordBatch, split: &Split, turn: Turn) -> Result<u64> {
        let Some(id) = trace_ids(rows, self.node.layout.trace_id())?.next() else { return Ok(0) };
        let is_new = self.last != Some(id);
        self.last = Some(id);
        if turn.pass == 0 {
            self.give_piece(rows, |id| split.too_large(id)).await?;
        }
        Ok(u64::from(is_new))
    }

    /// Runs the kernel over traces whose rows lie in several batches.
    async fn scattered(&mut self, batches: &[RecordBatch]) -> Result<()> {
        let mut rows: Vec<(u128, usize, usize)> = Vec::new();
        for (place, batch) in batches.iter().enumerate() {
            let ids = trace_ids(batch, self.node.layout.trace_id())?;
            rows.extend(ids.enumerate().map(|(row, id)| (id, place, row)));
        }
        rows.sort_unstable();
        let batches: Vec<&RecordBatch> = batches.iter().collect();
        let mut rest = rows.as_slice();
        while !rest.is_empty() {
            let too_large = self.node.shared.too_large.lock().contains(&rest[0].0);
            let end = chunk_end(rest, |id| self.node.shared.too_large.lock().contains(&id));
            let places: Vec<(usize, usize)> = rest[..end].iter().map(|r| (r.1, r.2)).collect();
            let chunk = interleave_record_batch(&batches, &places)?;
            let fits = self.pending_memory.try_resize(end * SPAN_BYTES).is_ok();
            if fits && !too_large {
                let out = self.worker.run(&chunk, |_| false)?;
                self.give(out).await?;
            } else {
                let ids: Vec<u128> = rest[..end].iter().map(|row| row.0).collect();
                for run in runs(&ids) {
                    self.give_piece(&chunk.slice(run.start, run.len()), |_| None).await?;
                }
            }
            rest = &rest[end..];
        }
        Ok(())
    }

    /// Hands rows on; an error when nobody reads any more, so that the work ends.
    async fn give(&self, rows: RecordBatch) -> Result<()> {
        if rows.num_rows() > 0 && self.out.send(Ok(rows)).await.is_err() {
            return exec_err!("nobody reads the answer any more");
        }
        Ok(())
    }
}

/// Rows up to the end of a trace: several small traces, or one that is large or marked.
fn chunk_end(rows: &[(u128, usize, usize)], is_marked: impl Fn(u128) -> bool) -> usize {
    let trace_end = |from: usize| from + rows[from..].partition_point(|row| row.0 == rows[from].0);
    let mut end = trace_end(0);
    if is_marked(rows[0].0) {
        return end;
    }
    while end < rows.len() {
        let next = trace_end(end);
        if next > CHUNK_ROWS || is_marked(rows[end].0) {
            break;
        }
        end = next;
    }
    end
}

fn filter(rows: &RecordBatch, mask: Vec<bool>) -> Result<RecordBatch> {
    match mask.contains(&false) {
        true => Ok(filter_record_batch(rows, &BooleanArray::from(mask))?),
        false => Ok(rows.clone()),
    }
}

/// The rows without the buffers of the rows around them.
pub(super) fn compact(rows: &RecordBatch) -> Result<RecordBatch> {
    let column = |column: &ArrayRef| match column.as_any().downcast_ref::<StringViewArray>() {
        Some(texts) => Arc::new(texts.gc()) as ArrayRef,
        None => Arc::clone(column),
    };
    let columns = rows.columns().iter().map(column).collect();
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}
