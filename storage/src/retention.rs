//! What is old goes, and what is removed leaves the disk once nobody reads it.
//!
//! Removing comes first and is durable; a file is unlinked at the earliest five minutes later, when
//! no snapshot holds it. A crash in between leaves a file too many, never an entry without a file.

use std::sync::Arc;
use std::time::Duration;

use schemas::Table;

use crate::catalog::Change;
use crate::catalog::facts::DataFile;
use crate::clock::Clock;
use crate::layout::{DAY_NS, HOUR_NS};
use crate::store::Inner;
use crate::{StorageError, durable};

/// Readers outside this process get this long to finish with a removed file.
const UNLINK_AFTER: Duration = Duration::from_secs(300);
/// The wall clock must have been steady for this long.
const STEADY_FOR: Duration = Duration::from_secs(600);

/// A removed file that is still on disk.
#[derive(Clone, Debug)]
pub(crate) struct Removed {
    pub(crate) file: Arc<DataFile>,
    /// On the monotonic clock, so that no jump of the wall clock cuts the wait short.
    pub(crate) since: Duration,
}

/// Compares the wall clock with the monotonic one: while it jumps, nothing is called old.
#[derive(Debug)]
pub(crate) struct Steadiness {
    wall_ns: i64,
    monotonic: Duration,
    distrusted_since: Option<Duration>,
}

impl Steadiness {
    pub(crate) fn new(clock: &Clock) -> Steadiness {
        Steadiness {
            wall_ns: clock.wall_ns(),
            monotonic: clock.monotonic(),
            distrusted_since: None,
        }
    }

    /// Whether the wall clock may decide about deletes now.
    pub(crate) fn trusted(&mut self, clock: &Clock) -> bool {
        let (wall_ns, monotonic) = (clock.wall_ns(), clock.monotonic());
        let passed = monotonic.saturating_sub(self.monotonic).as_nanos();
        let expected = self.wall_ns.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        if wall_ns.abs_diff(expected) > HOUR_NS.unsigned_abs() {
            tracing::warn!(
                "the wall clock jumped by more than an hour; nothing is deleted for now"
            );
            self.distrusted_since = Some(monotonic);
        }
        (self.wall_ns, self.monotonic) = (wall_ns, monotonic);
        self.distrusted_since.is_none_or(|since| monotonic.saturating_sub(since) >= STEADY_FOR)
    }
}

/// The files that the limits say should go.
pub(crate) fn expired(
    files: &[Arc<DataFile>],
    now_ns: i64,
    retain: Option<Duration>,
    retain_bytes: Option<u64>,
) -> Vec<Arc<DataFile>> {
    let cutoff =
        retain.map(|age| now_ns.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)));
    let mut by_age: Vec<&Arc<DataFile>> = files.iter().collect();
    by_age.sort_by_key(|file| (end(file), file.id));
    let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let mut gone = vec![];
    for file in by_age {
        let old = cutoff.is_some_and(|cutoff| end(file) < cutoff);
        let over = retain_bytes.is_some_and(|limit| bytes > limit);
        if !old && !over {
            break;
        }
        bytes -= file.bytes;
        gone.push(Arc::clone(file));
    }
    gone
}

/// When the newest row of a file happened. A sender's clock may be years off, so times far behind
/// the window do not count; rows from before it have the window's age.
fn end(file: &DataFile) -> i64 {
    let latest = file.max_time_ns.min(file.window.1.saturating_add(DAY_NS));
    latest.max(file.window.1)
}

impl Inner {
    /// Removes what is past the limits.
    pub(crate) async fn expire(&self) -> Result<(), StorageError> {
        let snapshot = self.buffer.snapshot();
        let files: Vec<Arc<DataFile>> =
            Table::ALL.iter().flat_map(|table| snapshot.files(*table)).cloned().collect();
        let (retain, retain_bytes) = (self.config.retain, self.config.retain_bytes);
        let gone = expired(&files, self.clock.wall_ns(), retain, retain_bytes);
        if gone.is_empty() {
            return Ok(());
        }
        tracing::info!(files = gone.len(), "removing files past the retention limits");
        let remove = gone.iter().map(|file| file.id).collect();
        let change = Change { remove, note: "retention", ..Change::default() };
        // A file that a compaction has just replaced: the next pass sees the new state.
        self.exchange(change, gone).await.map(|_| ())
    }

    /// Unlinks removed files that no one can be reading any more.
    pub(crate) async fn unlink_removed(&self) -> Result<(), StorageError> {
        let writer = self.writer()?;
        let now = self.clock.monotonic();
        let due = |removed: &Removed| {
            now.saturating_sub(removed.since) >= UNLINK_AFTER
                && Arc::strong_count(&removed.file) == 1
        };
        let ready: Vec<(i64, std::path::PathBuf)> = {
            let removed = writer.removed.lock();
            removed.iter().filter(|r| due(r)).map(|r| (r.file.id, r.file.path.clone())).collect()
        };
        if ready.is_empty() {
            return Ok(());
        }
        let ids: Vec<i64> = ready.iter().map(|(id, _)| *id).collect();
        writer.catalog.mark_unlinked(&ids, self.clock.wall_ns()).await?;
        writer.removed.lock().retain(|removed| !ids.contains(&removed.file.id));
        for (_, path) in ready {
            // A file that stays is unknown to the catalog; the sweep of the next start finds it.
            if let Err(why) = durable::remove_durably(&path) {
                tracing::warn!(path = %path.display(), %why, "unlinking a removed file failed");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
