//! Merges one job after another beside ingest, within its share of a core.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use schemas::Table;
use storage::{DataFile, Store};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::merge::{self, Merge};
use crate::plan::{Job, Policy};
use crate::{CompactError, conserve, plan};

#[cfg(test)]
mod tests;

/// Level of a merged file.
const MERGED: u8 = 1;
/// How long to rest when nothing is to be merged.
const IDLE: Duration = Duration::from_secs(10);

/// What merging has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Merges committed.
    pub merges: u64,
    /// Merges that failed or were refused; their files stay and are left out until a restart.
    pub failures: u64,
    /// Merges thrown away because another change of the files came first.
    pub lost_races: u64,
    /// Files replaced.
    pub files_in: u64,
    /// Rows rewritten.
    pub rows: u64,
    /// Bytes of the files replaced.
    pub bytes_in: u64,
    /// Bytes of the files written.
    pub bytes_out: u64,
}

/// Merges closed windows until it is cancelled. A merge that is under way when that happens is given
/// up within its next batch of rows.
pub async fn run(store: Arc<Store>, policy: Policy, cancel: CancellationToken) -> Compacted {
    let mut compactor = Compactor::new(store, policy, cancel.clone());
    while !cancel.is_cancelled() {
        if !compactor.step(now_ns()).await {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
    }
    compactor.done
}

/// Merges everything that can be merged now, without rests.
pub async fn compact_once(store: Arc<Store>, policy: Policy) -> Compacted {
    let policy = Policy { cpu_percent: 100, ..policy };
    let mut compactor = Compactor::new(store, policy, CancellationToken::new());
    let now_ns = now_ns();
    // Each step merges files or leaves some out, and merged files are not merged again.
    while compactor.step(now_ns).await {}
    compactor.done
}

/// How long to rest after work, so that it takes this share of a core's time.
fn rest_after(busy: Duration, cpu_percent: u32) -> Duration {
    let percent = cpu_percent.clamp(1, 100);
    busy * (100 - percent) / percent
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Rests between the batches of a merge, so that it takes its share of a core all along and not in
/// one piece.
struct Pace {
    cpu_percent: u32,
    cancel: CancellationToken,
    rows: Merge,
    woke: Instant,
}

impl Iterator for Pace {
    type Item = Result<RecordBatch, CompactError>;

    fn next(&mut self) -> Option<Self::Item> {
        // On a thread of its own; what woke it earlier would only make it rest again.
        std::thread::sleep(rest_after(self.woke.elapsed(), self.cpu_percent));
        self.woke = Instant::now();
        match self.cancel.is_cancelled() {
            true => Some(Err(CompactError::Stopped)),
            false => self.rows.next(),
        }
    }
}

struct Compactor {
    store: Arc<Store>,
    policy: Policy,
    cancel: CancellationToken,
    /// Live files of merges that came to nothing: trying again would end the same way.
    skip: HashSet<i64>,
    done: Compacted,
}

impl Compactor {
    fn new(store: Arc<Store>, policy: Policy, cancel: CancellationToken) -> Compactor {
        Compactor { store, policy, cancel, skip: HashSet::new(), done: Compacted::default() }
    }

    /// Does the next job; false when there is none.
    async fn step(&mut self, now_ns: i64) -> bool {
        let Some(job) = self.next(now_ns) else { return false };
        let began = Instant::now();
        match self.compact(&job).await {
            Ok(Some(output)) => self.count(&job, &output, began.elapsed()),
            Ok(None) => {
                self.done.lost_races += 1;
                self.leave_out(&job);
            }
            Err(CompactError::Stopped) => {}
            Err(error) => {
                self.done.failures += 1;
                self.leave_out(&job);
                warn!(table = job.table.name(), %error, "merge failed");
            }
        }
        true
    }

    fn next(&mut self, now_ns: i64) -> Option<Job> {
        // Inputs stay for minutes after a merge: it takes space before it gives any back.
        if self.store.disk_is_low() {
            return None;
        }
        let snapshot = self.store.snapshot();
        let live =
            |id: &i64| Table::ALL.iter().any(|t| snapshot.files(*t).iter().any(|f| f.id == *id));
        self.skip.retain(live);
        let of_table = |table: Table| {
            plan::next(table, snapshot.files(table), now_ns, &self.policy, &self.skip)
        };
        Table::ALL.into_iter().filter_map(of_table).min_by_key(|job| job.window)
    }

    fn leave_out(&mut self, job: &Job) {
        self.skip.extend(job.inputs.iter().map(|f| f.id));
    }

    /// The merged file, or `None` when the store refused it because an input is gone.
    async fn compact(&self, job: &Job) -> Result<Option<DataFile>, CompactError> {
        let (store, of_thread) = (Arc::clone(&self.store), job.clone());
        let (policy, cancel) = (self.policy, self.cancel.clone());
        let write = move || write(&store, &of_thread, &policy, cancel);
        let written = tokio::task::spawn_blocking(write).await;
        let new = written.map_err(|cause| CompactError::Died {
            table: job.table.name(),
            cause: cause.to_string(),
        })??;
        let output = new.file.clone();
        let committed = self.store.replace_files(job.table, &job.inputs, vec![new]).await?;
        Ok(committed.then_some(output))
    }

    fn count(&mut self, job: &Job, output: &DataFile, took: Duration) {
        let bytes_in: u64 = job.inputs.iter().map(|f| f.bytes).sum();
        self.done.merges += 1;
        self.done.files_in += job.inputs.len() as u64;
        self.done.rows += output.rows;
        self.done.bytes_in += bytes_in;
        self.done.bytes_out += output.bytes;
        info!(
            table = job.table.name(),
            files = job.inputs.len(),
            rows = output.rows,
            bytes_in,
            bytes_out = output.bytes,
            took_ms = took.as_millis() as u64,
            "files merged"
        );
    }
}

fn write(
    store: &Store,
    job: &Job,
    policy: &Policy,
    cancel: CancellationToken,
) -> Result<storage::NewFile, CompactError> {
    let woke = Instant::now();
    let rows = Merge::open(job, policy.memory_rows)?;
    let rows = Pace { cpu_percent: policy.cpu_percent, cancel, rows, woke };
    let keys = merge::keys(job);
    let new = store.write_file(job.table, MERGED, job.window, rows, &keys, &job.inputs)?;
    conserve::check(&job.inputs, &new.file).inspect_err(|_| discard(&new.file))?;
    Ok(new)
}

/// Removes a file that no catalog names. Left behind, a reader of all files would see its rows twice.
fn discard(file: &DataFile) {
    if let Err(error) = std::fs::remove_file(&file.path) {
        warn!(file = file.name, %error, "cannot remove a file that is not in the catalog");
    }
}
