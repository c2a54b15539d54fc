//! The bounded queue between appenders and the committer, and the reasons to refuse an append.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use schemas::Batch;
use tokio::sync::oneshot;

use super::frame::Header;
use crate::{Appended, StorageError};

/// While the log is broken, one request in this time makes the committer try again.
const PROBE_NS: u64 = 1_000_000_000;
/// Delay told while the queue is full.
const FULL_RETRY: Duration = Duration::from_secs(1);
/// Delay told while the disk is full or fails.
const BROKEN_RETRY: Duration = Duration::from_secs(5);

/// Why an append was not stored, for the request and for those that waited for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Try again after the delay.
    Later(String, Duration),
    /// A payload of so many bytes, where so many are allowed.
    TooLarge(usize, usize),
    /// The log is closed.
    Closed,
}

impl Refusal {
    pub(crate) fn full() -> Refusal {
        Refusal::Later("the write-ahead log's queue is full".to_owned(), FULL_RETRY)
    }

    pub(crate) fn broken(reason: String) -> Refusal {
        Refusal::Later(reason, BROKEN_RETRY)
    }
}

impl From<Refusal> for StorageError {
    fn from(refusal: Refusal) -> StorageError {
        match refusal {
            Refusal::Later(reason, retry_after) => {
                StorageError::Unavailable { reason, retry_after }
            }
            Refusal::TooLarge(is, max) => StorageError::Io(format!(
                "a request of {is} bytes does not fit the write-ahead log (at most {max}); send less at a time"
            )),
            Refusal::Closed => StorageError::ShuttingDown,
        }
    }
}

/// A request that waits to be written. Its sequence is given by the committer.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) header: Header,
    pub(crate) stored: bytes::Bytes,
    pub(crate) batches: Vec<Batch>,
    pub(crate) answer: oneshot::Sender<Result<Appended, Refusal>>,
}

/// What the committer is to do next.
#[derive(Debug)]
pub(crate) enum Work {
    /// Write these.
    Group(Vec<Queued>),
    /// The log is broken and somebody asked: see whether it still is.
    Probe,
}

/// Bounded by number and bytes; full means refused, never waiting.
#[derive(Debug)]
pub(crate) struct Queue {
    requests_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Queued>,
    bytes: usize,
    closed: bool,
    /// Set from outside: a disk watermark.
    refused: Option<String>,
    /// Set by the committer: syncs failed.
    broken: Option<String>,
    probe: bool,
    probed_ns: Option<i64>,
}

impl Queue {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Queue {
        let state = Mutex::new(State::default());
        Queue { requests_max, bytes_max, state, filled: Condvar::new() }
    }

    /// Whether an append may be tried now: cheap, before its payload is compressed.
    pub(crate) fn check(&self, now_ns: i64) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refusal::Closed);
        }
        if let Some(reason) = state.broken.clone() {
            if state.probe_due(now_ns) {
                self.filled.notify_one();
            }
            return Err(Refusal::broken(reason));
        }
        if let Some(reason) = state.refused.clone() {
            return Err(Refusal::broken(reason));
        }
        if state.items.len() >= self.requests_max { Err(Refusal::full()) } else { Ok(()) }
    }

    /// Hands a request to the committer. One request always fits an empty queue.
    pub(crate) fn push(&self, item: Queued) -> Result<(), Refusal> {
        let bytes = item.header.frame_bytes();
        let mut state = self.state.lock();
        if state.closed {
            return Err(Refusal::Closed);
        }
        let over = state.bytes + bytes > self.bytes_max && !state.items.is_empty();
        if over || state.items.len() >= self.requests_max {
            return Err(Refusal::full());
        }
        state.items.push_back(item);
        state.bytes += bytes;
        self.filled.notify_one();
        Ok(())
    }

    /// Waits for work; takes all that waits up to `group_bytes`, at least one request. `None` once
    /// the queue is closed and empty.
    pub(crate) fn take(&self, group_bytes: usize) -> Option<Work> {
        let mut state = self.state.lock();
        loop {
            if !state.items.is_empty() {
                return Some(Work::Group(state.drain(group_bytes)));
            }
            if state.closed {
                return None;
            }
            if std::mem::take(&mut state.probe) {
                return Some(Work::Probe);
            }
            self.filled.wait(&mut state);
        }
    }

    /// Refuses appends from now on; what waits is still taken.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.filled.notify_all();
    }

    /// Closes and drops what waits; the waiters see their channel closed.
    pub(crate) fn abandon(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.items.clear();
        state.bytes = 0;
    }

    pub(crate) fn set_refused(&self, reason: Option<String>) {
        self.state.lock().refused = reason;
    }

    pub(crate) fn set_broken(&self, reason: Option<String>) {
        self.state.lock().broken = reason;
    }

    /// Why appends are refused, if they are.
    pub(crate) fn refusing(&self) -> Option<String> {
        let state = self.state.lock();
        state.broken.clone().or_else(|| state.refused.clone())
    }
}

impl State {
    fn drain(&mut self, group_bytes: usize) -> Vec<Queued> {
        let mut taken_bytes = 0;
        let mut count = 0;
        for item in &self.items {
            let bytes = item.header.frame_bytes();
            if count > 0 && taken_bytes + bytes > group_bytes {
                break;
            }
            taken_bytes += bytes;
            count += 1;
        }
        self.bytes -= taken_bytes;
        self.items.drain(..count).collect()
    }

    fn probe_due(&mut self, now_ns: i64) -> bool {
        let due = self.probed_ns.is_none_or(|last_ns| now_ns.abs_diff(last_ns) >= PROBE_NS);
        if due {
            self.probed_ns = Some(now_ns);
            self.probe = true;
        }
        due
    }
}
