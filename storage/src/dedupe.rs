//! Request fingerprints: a byte-identical retry is acknowledged again and not stored twice.
//!
//! A fingerprint is remembered for a window of time, or until the memory for it is used up; the
//! oldest go first. A second copy of a request that is still on its way waits for the first's
//! outcome. The window outlives the WAL segment: before one is recycled its fingerprints go to a
//! `.fp` file, so that a restart remembers them.
//!
//! Time is the requests' `received_ns`, not a clock of our own: replay then decides as ingest did.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Fingerprint;
use crate::wal::Refusal;

mod file;
pub(crate) use file::{SUFFIX, decode, encode};

/// Memory of one remembered fingerprint, both containers and their slack together.
const ENTRY_BYTES: usize = 80;

/// A request that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) received_ns: i64,
    /// 0 when it comes from a `.fp` file, which keeps no sequences.
    pub(crate) seq: u64,
}

/// The fingerprints of durable requests, bounded by age and number.
#[derive(Debug, Default)]
pub(crate) struct Index {
    window_ns: i64,
    entries_max: usize,
    known: HashMap<Fingerprint, i64>,
    /// In order of sequence, which is nearly that of arrival.
    order: VecDeque<Remembered>,
}

impl Index {
    /// Remembers for `window_ns` (0: nothing at all) within `bytes_max` of memory.
    pub(crate) fn new(window_ns: i64, bytes_max: usize) -> Index {
        let entries_max = if window_ns > 0 { bytes_max / ENTRY_BYTES } else { 0 };
        Index { window_ns, entries_max, ..Index::default() }
    }

    /// Whether the same request was stored within the window before `now_ns`.
    pub(crate) fn contains(&self, fingerprint: &Fingerprint, now_ns: i64) -> bool {
        self.known.get(fingerprint).is_some_and(|received_ns| !self.expired(*received_ns, now_ns))
    }

    /// Remembers a durable request and forgets what is too old or too much.
    pub(crate) fn insert(&mut self, entry: Remembered) {
        if self.entries_max == 0 {
            return;
        }
        while let Some(oldest) = self.order.front() {
            let full = self.order.len() >= self.entries_max;
            if !full && !self.expired(oldest.received_ns, entry.received_ns) {
                break;
            }
            self.forget_oldest();
        }
        self.known.insert(entry.fingerprint, entry.received_ns);
        self.order.push_back(entry);
    }

    /// The remembered requests of a range of sequences.
    pub(crate) fn of_segment(&self, first_seq: u64, last_seq: u64) -> Vec<Remembered> {
        let from = self.order.partition_point(|entry| entry.seq < first_seq);
        let to = self.order.partition_point(|entry| entry.seq <= last_seq);
        self.order.range(from..to.max(from)).copied().collect()
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.order.pop_front() else { return };
        // The same request may have been stored again after its window had passed.
        if self.known.get(&oldest.fingerprint) == Some(&oldest.received_ns) {
            self.known.remove(&oldest.fingerprint);
        }
    }

    fn expired(&self, received_ns: i64, now_ns: i64) -> bool {
        now_ns.saturating_sub(received_ns) > self.window_ns
    }

    fn newest_ns(&self) -> Option<i64> {
        self.order.back().map(|entry| entry.received_ns)
    }
}

/// Where a request stands.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Not seen: store it, then call [`Dedupe::stored`] or [`Dedupe::failed`].
    New,
    /// Durable already.
    Duplicate,
    /// On its way: the receiver gets the outcome.
    Waiting(oneshot::Receiver<Result<(), Refusal>>),
    /// Too many copies wait already.
    Full,
}

/// The index and the requests that are on their way, shared by appenders and the committer.
#[derive(Debug)]
pub(crate) struct Dedupe {
    state: Mutex<State>,
    waiting_max: usize,
    deduplicated: AtomicU64,
}

#[derive(Debug)]
struct State {
    index: Index,
    pending: HashMap<Fingerprint, Vec<oneshot::Sender<Result<(), Refusal>>>>,
    waiting: usize,
}

/// What `system` tables show of the index.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DedupeStats {
    pub(crate) fingerprints: u64,
    pub(crate) oldest_ns: Option<i64>,
    pub(crate) deduplicated: u64,
}

impl Dedupe {
    /// At most `waiting_max` copies may wait for requests on their way.
    pub(crate) fn new(index: Index, waiting_max: usize) -> Dedupe {
        let state = Mutex::new(State { index, pending: HashMap::new(), waiting: 0 });
        Dedupe { state, waiting_max, deduplicated: AtomicU64::new(0) }
    }

    /// Decides whether a request is stored; [`Admission::New`] makes it the one others wait for.
    pub(crate) fn admit(&self, fingerprint: Fingerprint, now_ns: i64) -> Admission {
        let mut state = self.state.lock();
        let state = &mut *state;
        if state.index.entries_max == 0 {
            return Admission::New;
        }
        if state.index.contains(&fingerprint, now_ns) {
            self.count_duplicate();
            return Admission::Duplicate;
        }
        let Some(waiters) = state.pending.get_mut(&fingerprint) else {
            state.pending.insert(fingerprint, Vec::new());
            return Admission::New;
        };
        if state.waiting >= self.waiting_max {
            return Admission::Full;
        }
        let (sender, receiver) = oneshot::channel();
        waiters.push(sender);
        state.waiting += 1;
        Admission::Waiting(receiver)
    }

    /// Counts a request that was acknowledged without being stored.
    pub(crate) fn count_duplicate(&self) {
        self.deduplicated.fetch_add(1, Ordering::Relaxed);
    }

    /// Remembers requests that are durable and visible, and answers their copies.
    pub(crate) fn stored(&self, entries: impl Iterator<Item = Remembered>) {
        let mut state = self.state.lock();
        for entry in entries {
            state.index.insert(entry);
            state.answer(&entry.fingerprint, &Ok(()));
        }
    }

    /// Forgets a request that was not stored, and tells its copies why.
    pub(crate) fn failed(&self, fingerprint: &Fingerprint, why: &Refusal) {
        self.state.lock().answer(fingerprint, &Err(why.clone()));
    }

    /// Forgets everything on its way; its copies see their channel closed.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.pending.clear();
        state.waiting = 0;
    }

    /// The remembered requests of a range of sequences, and the time of the newest of all.
    pub(crate) fn of_segment(&self, first_seq: u64, last_seq: u64) -> Vec<Remembered> {
        self.state.lock().index.of_segment(first_seq, last_seq)
    }

    /// Whether nothing received at that time is worth remembering.
    pub(crate) fn is_past(&self, received_ns: i64) -> bool {
        let state = self.state.lock();
        state.index.newest_ns().is_some_and(|now_ns| state.index.expired(received_ns, now_ns))
    }

    pub(crate) fn stats(&self) -> DedupeStats {
        let state = self.state.lock();
        DedupeStats {
            fingerprints: state.index.order.len() as u64,
            oldest_ns: state.index.order.front().map(|entry| entry.received_ns),
            deduplicated: self.deduplicated.load(Ordering::Relaxed),
        }
    }
}

impl State {
    fn answer(&mut self, fingerprint: &Fingerprint, outcome: &Result<(), Refusal>) {
        for waiter in self.pending.remove(fingerprint).unwrap_or_default() {
            self.waiting -= 1;
            // Whoever went away meanwhile needs no answer.
            let _ = waiter.send(outcome.clone());
        }
    }
}

#[cfg(test)]
mod tests;
