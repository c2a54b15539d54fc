//! Which files to merge next. Pure: files and the time in, a job out.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use schemas::Table;
use storage::DataFile;

#[cfg(test)]
mod tests;

/// When a window is merged, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long after its end a window is closed: by then its generations have been flushed.
    pub settle: Duration,
    /// Rows that a merge has in memory at a time.
    pub memory_rows: usize,
    /// Rows that one merge reads at most: where each begins is known beforehand.
    pub rows_max: u64,
    /// Bytes of files that one merge reads at most.
    pub bytes_max: u64,
    /// Files that one merge reads at most.
    pub files_max: usize,
    /// Share of one core's time that merging takes at most, in percent.
    pub cpu_percent: u32,
}

/// What a row in memory takes: about 1 KiB for a span as read, the same again once sorted.
const ROW_BYTES: u64 = 2 << 10;
/// What is known of a row beforehand at most, twice while it is brought into order.
const PLACE_BYTES: u64 = 128;
/// A larger file would make no question quicker, and would take longer to write again.
const MERGE_BYTES_MAX: u64 = 256 << 20;
const MERGE_FILES_MAX: usize = 32;

impl Policy {
    /// The usual limits for a store that flushes at this age, in so much memory.
    pub fn new(flush_age: Duration, memory_bytes: u64) -> Policy {
        Policy {
            settle: flush_age + Duration::from_secs(30),
            memory_rows: usize::try_from(memory_bytes / ROW_BYTES).unwrap_or(usize::MAX),
            rows_max: memory_bytes / PLACE_BYTES,
            bytes_max: MERGE_BYTES_MAX,
            files_max: MERGE_FILES_MAX,
            cpu_percent: 50,
        }
    }
}

/// Files of one table and window to become one.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) table: Table,
    pub(crate) window: (i64, i64),
    pub(crate) inputs: Vec<Arc<DataFile>>,
}

/// The job of the oldest closed window of the table that has at least two flushed files fitting
/// one merge. `skip` names files that an earlier merge failed on.
pub(crate) fn next(
    table: Table,
    files: &[Arc<DataFile>],
    now_ns: i64,
    policy: &Policy,
    skip: &HashSet<i64>,
) -> Option<Job> {
    let settle_ns = i64::try_from(policy.settle.as_nanos()).unwrap_or(i64::MAX);
    let mut windows: BTreeMap<(i64, i64), Vec<&Arc<DataFile>>> = BTreeMap::new();
    for file in files {
        let closed = file.window.1.saturating_add(settle_ns) <= now_ns;
        // A file that does not list all its keys cannot say which ones the merged file would have,
        // and queries skip files that lack a key.
        let mergeable = file.level == 0 && file.keys_complete && !skip.contains(&file.id);
        if closed && mergeable {
            windows.entry(file.window).or_default().push(file);
        }
    }
    windows.into_iter().find_map(|(window, files)| {
        let inputs = fitting(files, policy);
        (inputs.len() >= 2).then_some(Job { table, window, inputs })
    })
}

/// The smallest files first, as many as fit: each merge removes the most files for its bytes.
fn fitting(mut files: Vec<&Arc<DataFile>>, policy: &Policy) -> Vec<Arc<DataFile>> {
    files.sort_by_key(|f| (f.bytes, f.id));
    let (mut rows, mut bytes) = (0_u64, 0_u64);
    files
        .into_iter()
        .take(policy.files_max)
        .take_while(|f| {
            rows = rows.saturating_add(f.rows);
            bytes = bytes.saturating_add(f.bytes);
            rows <= policy.rows_max && bytes <= policy.bytes_max
        })
        .map(Arc::clone)
        .collect()
}
