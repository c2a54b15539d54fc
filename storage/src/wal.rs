//! The write-ahead log: a request is acknowledged when its frame here is covered by a sync.
//!
//! [`recover`] reads what a directory holds, [`Wal::start`] goes on behind it in a new segment.
//! [`Wal::append`] hands a request to the committer, one thread that writes all that wait with one
//! `writev` and one `fdatasync`, publishes their rows and answers. Once rows are in committed files
//! [`Wal::release`] frees their segments for reuse.
//!
//! What every byte means stands in `frame` and `segment`, and for readers in other languages in
//! `docs/format/wal.md`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::Mutex;
use schemas::{Batch, Signal};
use tokio::sync::oneshot;

use crate::dedupe::{Admission, Dedupe};
use crate::durable::create_dir_all_synced;
use crate::{Append, Appended, Encoding, Fingerprint, StorageError};

mod committer;
mod frame;
pub(crate) mod fuzz;
mod queue;
mod reader;
mod recovery;
mod retained;
mod segment;

pub(crate) use queue::Refusal;
pub(crate) use recovery::{Recovered, recover};

/// Sizes and places of the log.
#[derive(Clone, Debug)]
pub(crate) struct WalConfig {
    /// Where segments lie.
    pub(crate) dir: PathBuf,
    /// Where damaged segments are copied to.
    pub(crate) quarantine_dir: PathBuf,
    /// Size of a segment; a larger frame gets one of its own.
    pub(crate) segment_bytes: u64,
    /// Requests that may wait for the committer.
    pub(crate) queue_requests: usize,
    /// Bytes of frames that may wait for the committer.
    pub(crate) queue_bytes: usize,
    /// Bytes of frames under one sync.
    pub(crate) group_bytes: usize,
    /// How long an identical request counts as a retry; 0 turns it off.
    pub(crate) retry_window_ns: i64,
    /// Memory for remembered fingerprints.
    pub(crate) fingerprint_bytes: usize,
}

/// Highest sequence of each signal, by [`Signal::index`], whose rows are in committed files.
pub(crate) type Covered = [u64; Signal::ALL.len()];

/// Frames that were in the log and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WalLoss {
    /// First and last lost sequence, when they can be told.
    pub(crate) seq: Option<(u64, u64)>,
    /// File name of the segment.
    pub(crate) segment: String,
    /// What was found.
    pub(crate) cause: String,
}

/// A frame to replay.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) seq: u64,
    pub(crate) received_ns: i64,
    pub(crate) signal: Signal,
    pub(crate) encoding: Encoding,
    pub(crate) accepted: u32,
    pub(crate) fingerprint: Fingerprint,
    /// The request's body as it was received, decompressed.
    pub(crate) payload: Bytes,
    /// What the frame takes in its segment; these add up to [`Recovered::bytes_to_replay`].
    pub(crate) frame_bytes: u64,
}

/// A request that is durable and about to be acknowledged.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) seq: u64,
    pub(crate) signal: Signal,
    pub(crate) received_ns: i64,
    pub(crate) batches: Vec<Batch>,
}

/// Makes durable rows visible. Called on the committer's thread after the sync of a group, groups
/// and requests in order of sequence, before any of them is acknowledged.
pub(crate) type Publish = Box<dyn FnMut(Vec<Committed>) + Send>;

/// What `status` and `/metrics` show of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct WalStats {
    pub(crate) segments: u64,
    /// Bytes of the segments' files, preallocated space included.
    pub(crate) bytes: u64,
    pub(crate) next_seq: u64,
    /// Frames, syncs and their time (writes included) since the start.
    pub(crate) frames: u64,
    pub(crate) syncs: u64,
    pub(crate) sync_ns_total: u64,
    pub(crate) sync_failures: u64,
    pub(crate) deduplicated: u64,
    pub(crate) fingerprints: u64,
    /// Arrival of the oldest remembered request.
    pub(crate) oldest_fingerprint_ns: Option<i64>,
    /// Why appends are refused, if they are.
    pub(crate) refusing: Option<String>,
}

/// A running log. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Wal {
    shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<()>>>,
}

/// What appenders, the committer and `release` have in common.
#[derive(Debug)]
struct Shared {
    config: WalConfig,
    queue: queue::Queue,
    dedupe: Dedupe,
    retained: retained::Retained,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    next_seq: AtomicU64,
    frames: AtomicU64,
    syncs: AtomicU64,
    sync_ns_total: AtomicU64,
    sync_failures: AtomicU64,
}

impl Wal {
    /// Starts the committer behind what was recovered with `writable`. Takes the fingerprints and
    /// the old segments over; the frames can still be replayed. The first segment is made by the
    /// first append, so a full disk does not stop a start.
    pub(crate) fn start(
        config: WalConfig,
        recovered: &mut Recovered,
        publish: Publish,
    ) -> Result<Wal, StorageError> {
        create_dir_all_synced(&config.dir)
            .map_err(crate::durable::failed("create", &config.dir))?;
        let next_seq = recovered.next_seq;
        let shared = Arc::new(Shared {
            queue: queue::Queue::new(config.queue_requests, config.queue_bytes),
            dedupe: Dedupe::new(recovered.take_fingerprints(), config.queue_requests),
            retained: retained::Retained::new(config.segment_bytes, recovered.take_files()),
            counters: Counters { next_seq: next_seq.into(), ..Counters::default() },
            config,
        });
        let tail = recovered.tail();
        let committer = committer::Committer::new(Arc::clone(&shared), publish, tail, next_seq);
        let thread = std::thread::Builder::new()
            .name("wal-committer".to_owned())
            .spawn(move || committer.run())
            .map_err(|error| StorageError::Io(format!("cannot start the WAL thread: {error}")))?;
        Ok(Wal { shared, committer: Mutex::new(Some(thread)) })
    }

    /// Returns once the request is durable and published, or was so before. Requests get their
    /// sequences in the order in which they reach the queue. Does not block the runtime. Dropping
    /// the future does not take back a request that reached the queue: it may be stored.
    pub(crate) async fn append(&self, request: Append) -> Result<Appended, StorageError> {
        match self.shared.dedupe.admit(request.fingerprint, request.received_ns) {
            Admission::New => outcome(self.enqueue(request)?.await),
            Admission::Duplicate => Ok(Appended::Duplicate),
            Admission::Full => Err(Refusal::full().into()),
            Admission::Waiting(first) => {
                outcome(first.await)?;
                self.shared.dedupe.count_duplicate();
                Ok(Appended::Duplicate)
            }
        }
    }

    /// Frees the segments whose rows are all in committed files. Call after the commit succeeded,
    /// never before. Blocks on the disk.
    pub(crate) fn release(&self, covered: Covered) {
        self.shared.retained.release(&covered, &self.shared.dedupe);
    }

    /// Refuses appends while there is a reason to: the disk is nearly full.
    pub(crate) fn set_refuse(&self, reason: Option<String>) {
        self.shared.queue.set_refused(reason);
    }

    pub(crate) fn stats(&self) -> WalStats {
        let Shared { retained, dedupe, counters, queue, .. } = &*self.shared;
        let (segments, bytes) = retained.size();
        let dedupe = dedupe.stats();
        WalStats {
            segments,
            bytes,
            next_seq: counters.next_seq.load(Ordering::Relaxed),
            frames: counters.frames.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            sync_ns_total: counters.sync_ns_total.load(Ordering::Relaxed),
            sync_failures: counters.sync_failures.load(Ordering::Relaxed),
            deduplicated: dedupe.deduplicated,
            fingerprints: dedupe.fingerprints,
            oldest_fingerprint_ns: dedupe.oldest_ns,
            refusing: queue.refusing(),
        }
    }

    /// Refuses new appends, makes those that wait durable, answers them and ends the thread.
    /// Blocks until then. Idempotent.
    pub(crate) fn close(&self) {
        self.shared.queue.close();
        let thread = self.committer.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the WAL thread had panicked");
        }
    }

    fn enqueue(&self, request: Append) -> Result<Receiver, StorageError> {
        let (answer, receiver) = oneshot::channel();
        let fingerprint = request.fingerprint;
        let queue = &self.shared.queue;
        let queued = queue
            .check(request.received_ns)
            .and_then(|()| encode(request, answer))
            .and_then(|item| queue.push(item));
        if let Err(why) = queued {
            self.shared.dedupe.failed(&fingerprint, &why);
            return Err(why.into());
        }
        Ok(receiver)
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.close();
    }
}

type Receiver = oneshot::Receiver<Result<Appended, Refusal>>;

/// Compresses on the caller's task: the committer is one thread for all.
fn encode(
    request: Append,
    answer: oneshot::Sender<Result<Appended, Refusal>>,
) -> Result<queue::Queued, Refusal> {
    if request.payload.len() > frame::PAYLOAD_BYTES_MAX {
        let (is, max) = (request.payload.len(), frame::PAYLOAD_BYTES_MAX);
        return Err(Refusal::TooLarge(is, max));
    }
    let (compression, stored) = frame::compress(request.payload);
    let header = frame::Header {
        payload_bytes: stored.len() as u32,
        seq: 0,
        received_ns: request.received_ns,
        signal: request.signal,
        encoding: request.encoding,
        compression,
        accepted: request.accepted,
        fingerprint: request.fingerprint,
    };
    Ok(queue::Queued { header, stored, batches: request.batches, answer })
}

fn outcome<T>(
    answer: Result<Result<T, Refusal>, oneshot::error::RecvError>,
) -> Result<T, StorageError> {
    let lost = |_| Refusal::broken("the write-ahead log stopped before it answered".to_owned());
    Ok(answer.map_err(lost).and_then(|answer| answer)?)
}

#[cfg(test)]
mod tests;
