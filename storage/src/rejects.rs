//! How many records were rejected and why, a count a day; survives restarts.

use std::collections::BTreeMap;

use schemas::Signal;

/// Counts by day (`YYYY-MM-DD`), signal and reason. The reasons are a closed list, so is the map.
pub(crate) type Rejects = BTreeMap<(String, Signal, String), u64>;

/// Persisted counts, and those that the next commit persists.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    persisted: Rejects,
    pending: Rejects,
}

impl Counts {
    pub(crate) fn new(persisted: Rejects) -> Counts {
        Counts { persisted, pending: Rejects::new() }
    }

    pub(crate) fn add(&mut self, day: String, signal: Signal, reason: &str, count: u64) {
        *self.pending.entry((day, signal, reason.to_owned())).or_default() += count;
    }

    /// Takes what a commit is to persist; [`Self::settle`] says how that went.
    pub(crate) fn take(&mut self) -> Rejects {
        std::mem::take(&mut self.pending)
    }

    /// Counts the taken ones as persisted, or as pending again.
    pub(crate) fn settle(&mut self, taken: Rejects, committed: bool) {
        let into = if committed { &mut self.persisted } else { &mut self.pending };
        for (key, count) in taken {
            *into.entry(key).or_default() += count;
        }
    }

    pub(crate) fn all(&self) -> Vec<(String, Signal, String, u64)> {
        let mut sum = self.persisted.clone();
        for (key, count) in &self.pending {
            *sum.entry(key.clone()).or_default() += count;
        }
        sum.into_iter().map(|((day, signal, reason), n)| (day, signal, reason, n)).collect()
    }
}
