//! Which traces lie in one place, and which are scattered.
//!
//! Files are sorted by trace, so nearly every trace is one run of rows of one file, and the kernel
//! can run as the rows come. A first look at the ids alone finds the others: traces with more than
//! one run, over all files and live rows. They are few, and are brought together in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use tokio::task::JoinSet;

use super::sample::Sample;

/// The scattered traces of a scan.
#[derive(Debug, Default)]
pub(super) struct Split {
    traces: HashSet<u128>,
    /// Rows of these traces, but for those that are too large.
    rows: u64,
    /// Traces that cannot be brought together in the memory of a query, and their rows.
    too_large: HashMap<u128, u64>,
    /// Runs of rows of one trace, of each partition of the scan.
    runs: Vec<u64>,
    /// Traces to learn from.
    sample: Sample,
}

impl Split {
    /// Reads the ids of all partitions of a plan whose one column is the trace id. A scattered trace of
    /// more rows than `rows_max` is too large.
    pub(super) async fn find(
        ids: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        rows_max: u64,
    ) -> Result<Split> {
        let partitions = ids.properties().partitioning.partition_count();
        let mut tasks = JoinSet::new();
        for partition in 0..partitions {
            tasks.spawn(read(Arc::clone(&ids), partition, Arc::clone(&context)));
        }
        let mut read: Vec<(usize, Vec<(u128, u64)>)> = Vec::with_capacity(partitions);
        while let Some(done) = tasks.join_next().await {
            read.push(done.map_err(|e| exec_datafusion_err!("reading trace ids: {e}"))??);
        }
        Ok(Split::of(read, partitions, rows_max))
    }

    fn of(read: Vec<(usize, Vec<(u128, u64)>)>, partitions: usize, rows_max: u64) -> Split {
        let mut split = Split { runs: vec![0; partitions], ..Split::default() };
        for (partition, runs) in &read {
            split.runs[*partition] = runs.len() as u64;
        }
        let mut runs: Vec<(u128, u64)> = read.into_iter().flat_map(|(_, runs)| runs).collect();
        runs.sort_unstable();
        for trace in runs.chunk_by(|a, b| a.0 == b.0) {
            let (id, rows) = (trace[0].0, trace.iter().map(|run| run.1).sum::<u64>());
            if rows > rows_max {
                split.too_large.insert(id, rows);
            }
            if trace.len() > 1 {
                split.traces.insert(id);
                split.rows += if rows > rows_max { 0 } else { rows };
            }
        }
        split.sample = Sample::of(&runs);
        split
    }

    /// The traces to learn from.
    pub(super) fn sample(&self) -> &Sample {
        &self.sample
    }

    /// Whether the rows of a trace lie in several places.
    pub(super) fn contains(&self, trace_id: u128) -> bool {
        self.traces.contains(&trace_id)
    }

    /// The rows of a trace that is too large where it is scattered.
    pub(super) fn too_large(&self, trace_id: u128) -> Option<u64> {
        self.too_large.get(&trace_id).copied()
    }

    /// Rows of scattered traces that are brought together.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Runs in a partition. The second look must find as many, else the scan was not repeated.
    pub(super) fn runs(&self, partition: usize) -> u64 {
        self.runs.get(partition).copied().unwrap_or(0)
    }

    /// In which of some passes a scattered trace has its turn.
    pub(super) fn pass(trace_id: u128, passes: u64) -> u64 {
        if passes <= 1 { 0 } else { mixed(trace_id) % passes }
    }
}

/// The runs of one partition: trace and rows.
async fn read(
    ids: Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
) -> Result<(usize, Vec<(u128, u64)>)> {
    let mut input = ids.execute(partition, context)?;
    let mut runs: Vec<(u128, u64)> = Vec::new();
    while let Some(batch) = input.next().await.transpose()? {
        for id in trace_ids(&batch, 0)? {
            match runs.last_mut().filter(|last| last.0 == id) {
                Some(last) => last.1 += 1,
                None => runs.push((id, 1)),
            }
        }
    }
    Ok((partition, runs))
}

/// The trace ids of a batch, zero for null.
pub(super) fn trace_ids(
    batch: &RecordBatch,
    column: usize,
) -> Result<impl Iterator<Item = u128> + '_> {
    let ids = batch.column(column).as_fixed_size_binary_opt();
    let ids = ids.ok_or_else(|| exec_datafusion_err!("the trace kernel needs trace ids"))?;
    Ok((0..ids.len()).map(|row| match ids.is_valid(row) {
        true => ids.value(row).try_into().map_or(0, u128::from_be_bytes),
        false => 0,
    }))
}

/// Ids may count up, so both halves are mixed into all bits.
pub(crate) fn mixed(trace_id: u128) -> u64 {
    let folded = (trace_id as u64) ^ ((trace_id >> 64) as u64).rotate_left(29);
    let once = (folded ^ (folded >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    once ^ (once >> 29)
}
