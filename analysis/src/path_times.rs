//! Path time by trace and group key: what breakdown, tail attribution and cohort diff count over.
//!
//! Rows are compressed by trace (offsets into one list of entries). Keys are put in the order of
//! their names and traces in the order of (root duration, weight, content), so that neither the
//! order of the input nor the numbers given to keys change any answer, the random ones included.

use std::fmt;

use crate::sampling::Weight;

/// A trace as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceTotal {
    /// Duration of the root of the counted segment.
    pub root_ns: i64,
    /// How many traces it stands for.
    pub weight: Weight,
    /// Its root operation, as any number; see [`PathTimes::is_mixed`].
    pub root_operation: u32,
}

/// Time that a trace spent in a key. Several of one trace and key add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathTime {
    /// Index of the trace.
    pub trace: u32,
    /// Index of the key.
    pub key: u32,
    /// Time on the critical path, or whichever time is asked for.
    pub path_ns: i64,
    /// How many spans have it.
    pub spans: u32,
}

/// An entry names a trace or key that was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownIndex {
    entry: PathTime,
    traces: usize,
    keys: usize,
}

impl fmt::Display for UnknownIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entry, traces, keys) = (self.entry, self.traces, self.keys);
        write!(
            f,
            "path time of trace {} and key {}, but there are {traces} traces and {keys} keys: give \
             the totals and names of all that the entries speak of",
            entry.trace, entry.key,
        )
    }
}

impl std::error::Error for UnknownIndex {}

/// Path times of many traces.
#[derive(Clone, Debug, Default)]
pub struct PathTimes {
    keys: Vec<String>,
    traces: Vec<TraceTotal>,
    /// First entry of each trace, and one more for the end.
    starts: Vec<usize>,
    entries: Vec<Entry>,
}

/// What one trace spent in one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) key: u32,
    pub(crate) path_ns: i64,
    pub(crate) spans: u64,
}

impl PathTimes {
    /// Orders the entries. Keys of one name become one key; entries without time and spans vanish.
    pub fn new(
        names: &[String],
        totals: &[TraceTotal],
        entries: &[PathTime],
    ) -> Result<PathTimes, UnknownIndex> {
        let (traces, keys) = (totals.len(), names.len());
        let unknown = |e: &&PathTime| e.trace as usize >= traces || e.key as usize >= keys;
        if let Some(&entry) = entries.iter().find(unknown) {
            return Err(UnknownIndex { entry, traces, keys });
        }
        let mut keys = names.to_vec();
        keys.sort_unstable();
        keys.dedup();
        let place = |name| keys.partition_point(|key| key < name) as u32;
        let key_of: Vec<u32> = names.iter().map(place).collect();
        let (starts, by_trace) = by_trace(traces, &key_of, entries);
        Ok(PathTimes::in_order(keys, totals, &starts, by_trace))
    }

    /// Puts the traces in order, summing what is of one key.
    fn in_order(
        keys: Vec<String>,
        totals: &[TraceTotal],
        starts: &[usize],
        mut by_trace: Vec<Entry>,
    ) -> PathTimes {
        for trace in 0..totals.len() {
            by_trace[starts[trace]..starts[trace + 1]].sort_unstable();
        }
        let rows = |trace: usize| &by_trace[starts[trace]..starts[trace + 1]];
        let rank = |trace: usize| (totals[trace].root_ns, totals[trace].weight);
        let mut order: Vec<usize> = (0..totals.len()).collect();
        order.sort_unstable_by(|&a, &b| {
            rank(a).cmp(&rank(b)).then_with(|| rows(a).cmp(rows(b))).then_with(|| a.cmp(&b))
        });
        let mut sorted = PathTimes { keys, starts: vec![0], ..PathTimes::default() };
        for trace in order {
            sorted.traces.push(totals[trace]);
            for equal in rows(trace).chunk_by(|a, b| a.key == b.key) {
                let path_ns = equal.iter().map(|e| e.path_ns).sum();
                let spans = equal.iter().map(|e| e.spans).sum();
                if path_ns != 0 || spans != 0 {
                    sorted.entries.push(Entry { key: equal[0].key, path_ns, spans });
                }
            }
            sorted.starts.push(sorted.entries.len());
        }
        sorted
    }

    /// Names of the keys, in their order.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The traces, by root duration.
    pub fn traces(&self) -> &[TraceTotal] {
        &self.traces
    }

    /// Whether the traces have more than one root operation. Then shares mislead: a change of the
    /// mix looks like a change of every key.
    pub fn is_mixed(&self) -> bool {
        self.traces.iter().any(|trace| trace.root_operation != self.traces[0].root_operation)
    }

    /// Entries of a trace, by key.
    pub(crate) fn entries(&self, trace: usize) -> &[Entry] {
        &self.entries[self.starts[trace]..self.starts[trace + 1]]
    }

    /// How many entries some traces have together.
    pub(crate) fn entry_count(&self, traces: std::ops::Range<usize>) -> usize {
        self.starts.get(traces.end).map_or(0, |end| end - self.starts[traces.start])
    }
}

/// Groups the entries by trace in two passes, without sorting them all.
fn by_trace(traces: usize, key_of: &[u32], entries: &[PathTime]) -> (Vec<usize>, Vec<Entry>) {
    let mut starts = vec![0; traces + 1];
    for entry in entries {
        starts[entry.trace as usize + 1] += 1;
    }
    for trace in 0..traces {
        starts[trace + 1] += starts[trace];
    }
    let mut next = starts.clone();
    let mut grouped = vec![Entry { key: 0, path_ns: 0, spans: 0 }; entries.len()];
    for entry in entries {
        let key = key_of[entry.key as usize];
        let place = &mut next[entry.trace as usize];
        grouped[*place] = Entry { key, path_ns: entry.path_ns, spans: u64::from(entry.spans) };
        *place += 1;
    }
    (starts, grouped)
}

#[cfg(test)]
pub(crate) mod tests;
