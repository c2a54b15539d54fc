//! The open store: what callers hold, and the state that its background tasks share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arrow_array::RecordBatch;
use parking_lot::Mutex;
use schemas::{Keys, Signal, Table};
use tokio::sync::{Notify, watch};

use crate::buffer::Buffer;
use crate::catalog::facts::{DataFile, Label, NewFile};
use crate::catalog::{Catalog, Change};
use crate::clock::Clock;
use crate::keys::{AttributeKey, KnownKeys};
use crate::lock::DirLock;
use crate::rejects::Counts;
use crate::request::{Append, Appended, Replay};
use crate::retention::Removed;
use crate::snapshot::{DataLoss, Snapshot};
use crate::wal::{Covered, Wal};
use crate::{
    Scrubbed, StorageError, StoreConfig, StoreStats, layout, parquet_file, recovery, sweep,
};

/// Durable, queryable telemetry in one directory. Dropping it without [`Store::close`] is like a
/// crash: nothing acknowledged is lost, live rows come back from the WAL at the next start.
#[derive(Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

/// What the store and its background tasks share.
pub(crate) struct Inner {
    pub(crate) config: StoreConfig,
    pub(crate) clock: Clock,
    pub(crate) buffer: Arc<Buffer>,
    /// What changes the directory; none when it is only read.
    pub(crate) writer: Option<Writer>,
    pub(crate) keys: Mutex<KnownKeys>,
    pub(crate) rejects: Mutex<Counts>,
    pub(crate) counters: Counters,
    pub(crate) replay: Replay,
    /// Wakes the flusher before its time.
    pub(crate) wake: Arc<Notify>,
    pub(crate) phase: watch::Sender<Phase>,
    /// How far comparing files with their hashes has come.
    pub(crate) scrubbed: watch::Sender<Scrubbed>,
}

/// What only the one process that holds the directory has.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) catalog: Catalog,
    pub(crate) wal: Wal,
    pub(crate) covered: Mutex<Covered>,
    /// One flush at a time: generations of a signal leave in order, memory for sorting is bounded.
    pub(crate) flushing: tokio::sync::Mutex<()>,
    pub(crate) removed: Mutex<Vec<Removed>>,
    pub(crate) refusal: Mutex<Option<String>>,
    lock: Mutex<Option<DirLock>>,
}

/// How far the store's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Old WAL is being replayed.
    Replaying,
    /// Everything durable is visible.
    Complete,
    /// Background tasks end.
    Closing,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) flushes: AtomicU64,
    pub(crate) flush_failures: AtomicU64,
    pub(crate) free_disk_bytes: AtomicU64,
    pub(crate) wal_torn_tail_bytes: AtomicU64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(catalog: Catalog, wal: Wal, covered: Covered, lock: DirLock) -> Writer {
        Writer {
            catalog,
            wal,
            covered: Mutex::new(covered),
            flushing: tokio::sync::Mutex::default(),
            removed: Mutex::default(),
            refusal: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        }
    }
}

impl Store {
    /// Opens a directory: takes its lock, reads the catalog, accepts requests, and replays old WAL
    /// in the background. Damage is recorded in [`Snapshot::gaps`] and stops nothing.
    pub async fn open(config: StoreConfig, replay: Replay) -> Result<Arc<Store>, StorageError> {
        Store::open_at(config, replay, Clock::system()).await
    }

    pub(crate) async fn open_at(
        config: StoreConfig,
        replay: Replay,
        clock: Clock,
    ) -> Result<Arc<Store>, StorageError> {
        let inner = match config.read_only {
            true => recovery::open_read_only(config, replay, clock).await?,
            false => recovery::open(config, replay, clock).await?,
        };
        Ok(Arc::new(Store { inner }))
    }

    /// Returns once the request is durable and visible. Cancel-safe: dropping the future does not
    /// undo an append that reached the WAL queue.
    pub async fn append(&self, request: Append) -> Result<Appended, StorageError> {
        let inner = &self.inner;
        let wal = &inner.writer()?.wal;
        if inner.buffer.bytes() >= inner.config.live_bytes_max {
            inner.wake.notify_one();
            return Err(full());
        }
        wal.append(request).await
    }

    /// Returns once live rows leave room for more, or says after `wait` that they do not. To be
    /// asked before a request is decoded: one that [`Store::append`] refuses has cost that for nothing.
    pub async fn room(&self, wait: Duration) -> Result<(), StorageError> {
        let inner = &self.inner;
        let room_bytes = inner.config.room_bytes();
        if inner.buffer.bytes() < room_bytes {
            return Ok(());
        }
        inner.wake.notify_one();
        let below = tokio::time::timeout(wait, inner.buffer.below(room_bytes));
        below.await.map_err(|_| full())
    }

    /// An immutable view: every acknowledged row exactly once. Cheap.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.buffer.snapshot()
    }

    /// Adds to the persistent count of rejected records (`system.rejects`).
    pub fn count_rejects(&self, signal: Signal, reason: &'static str, count: u64) {
        let day = layout::day(self.inner.clock.wall_ns());
        self.inner.rejects.lock().add(day, signal, reason, count);
    }

    /// (day `YYYY-MM-DD`, signal, reason, count), persisted and pending together.
    pub fn rejects(&self) -> Vec<(String, Signal, String, u64)> {
        self.inner.rejects.lock().all()
    }

    /// Attribute keys of all flushed rows; those of live rows stand in their batches.
    pub fn attribute_keys(&self) -> Vec<AttributeKey> {
        self.inner.keys.lock().list()
    }

    /// Figures for `status` and `/metrics`.
    pub fn stats(&self) -> StoreStats {
        StoreStats::of(&self.inner)
    }

    /// Flushes everything live to files now (used by `compact`, tests, shutdown). Waits for the
    /// replay of old WAL first.
    pub async fn flush(&self) -> Result<(), StorageError> {
        self.inner.recovered().await;
        self.inner.seal(Duration::ZERO, 0);
        self.inner.flush_sealed().await
    }

    /// Stops accepting, flushes, closes. Idempotent.
    pub async fn close(&self) -> Result<(), StorageError> {
        let inner = &self.inner;
        let Some(writer) = &inner.writer else { return Ok(()) };
        if writer.lock.lock().is_none() {
            return Ok(());
        }
        let replayed = *inner.phase.borrow() == Phase::Complete;
        inner.phase.send_replace(Phase::Closing);
        let closing = Arc::clone(inner);
        let closed = tokio::task::spawn_blocking(move || {
            closing.writer.iter().for_each(|writer| writer.wal.close());
        });
        closed.await.map_err(|why| StorageError::of("close the WAL", why))?;
        // Rows that old WAL has not given back yet stay in it, and so do all behind them.
        let flushed = if replayed { self.flush_last().await } else { Ok(()) };
        let persisted = inner.persist_rejects().await;
        writer.catalog.close().await;
        writer.lock.lock().take();
        flushed.and(persisted)
    }

    async fn flush_last(&self) -> Result<(), StorageError> {
        self.inner.seal(Duration::ZERO, 0);
        self.inner.flush_sealed().await
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.inner.config.dir
    }

    /// Whether the disk is so full that only compactions that shrink should run.
    pub fn disk_is_low(&self) -> bool {
        self.inner.disk_is_low()
    }

    /// Replaces files of one table by others in one catalog transaction and one snapshot swap;
    /// refused (`Ok(false)`) when an input is no longer live. Refused outputs are deleted.
    pub async fn replace_files(
        &self,
        table: Table,
        inputs: &[Arc<DataFile>],
        outputs: Vec<NewFile>,
    ) -> Result<bool, StorageError> {
        debug_assert!(outputs.iter().all(|new| new.file.table == table), "one table at a time");
        let names: Vec<String> = outputs.iter().map(|new| new.file.name.clone()).collect();
        let change = Change {
            add: outputs,
            remove: inputs.iter().map(|file| file.id).collect(),
            note: "compaction",
            ..Change::default()
        };
        let replaced = self.inner.exchange(change, inputs.to_vec()).await?;
        if !replaced {
            self.inner.discard(&names);
        }
        Ok(replaced)
    }

    /// Writes all rows of the inputs, already sorted and in batches of one schema, as a Parquet file:
    /// temp, fsync, rename, fsync dir. Not yet in the catalog. Blocks on the disk. The first failure
    /// of `rows` ends it.
    pub fn write_file<E: From<StorageError>>(
        &self,
        table: Table,
        level: u8,
        window: (i64, i64),
        rows: impl Iterator<Item = Result<RecordBatch, E>>,
        keys: &Keys,
        inputs: &[Arc<DataFile>],
    ) -> Result<NewFile, E> {
        self.inner.writer()?;
        let ranges = inputs.iter().filter_map(|file| file.seq);
        let seq = ranges.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
        let names = inputs.iter().map(|file| file.name.clone()).collect();
        let label = Label { table, level, window, seq, keys, inputs: names };
        let row_count = inputs.iter().map(|file| file.rows).sum();
        parquet_file::write(&self.inner.config.dir, &label, row_count, rows)
    }

    /// Takes a file that cannot be decoded out of all future snapshots, records its rows as lost
    /// and moves it to quarantine. false when no live file has that number.
    pub async fn quarantine_file(&self, id: i64, cause: &str) -> Result<bool, StorageError> {
        self.inner.quarantine_file(id, cause).await
    }
}

#[cfg(test)]
impl Store {
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) async fn recovered(&self) {
        self.inner.recovered().await;
    }

    /// Returns once all files are compared with their hashes.
    pub(crate) async fn scrubbed(&self) -> Scrubbed {
        let mut scrubbed = self.inner.scrubbed.subscribe();
        // The sender lives in self, so waiting cannot fail.
        scrubbed.wait_for(|scrubbed| scrubbed.pending == 0).await.map(|s| *s).unwrap_or_default()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.inner.phase.send_replace(Phase::Closing);
    }
}

fn full() -> StorageError {
    StorageError::Unavailable {
        reason: "live rows fill their memory and wait to be written".to_owned(),
        retry_after: Duration::from_secs(1),
    }
}

impl Inner {
    /// The writing side, or why there is none.
    pub(crate) fn writer(&self) -> Result<&Writer, StorageError> {
        let why = || StorageError::Io("the data directory was opened for reading only".to_owned());
        self.writer.as_ref().ok_or_else(why)
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.phase.borrow() == Phase::Closing
    }

    /// Returns once old WAL is replayed, or the store closes.
    pub(crate) async fn recovered(&self) {
        // The sender lives in self, so waiting cannot fail.
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Replaying).await;
    }

    /// Returns when the store closes.
    pub(crate) async fn closing(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Closing).await;
    }

    /// Commits a change of files and shows it in one swap. `unlink_later` are those removed files
    /// that are to be deleted once no one reads them. false when a file was no longer live.
    pub(crate) async fn exchange(
        &self,
        change: Change,
        unlink_later: Vec<Arc<DataFile>>,
    ) -> Result<bool, StorageError> {
        let writer = self.writer()?;
        let (gone, losses) = (change.remove.clone(), change.losses.clone());
        let Some(new) = writer.catalog.commit(change, self.clock.wall_ns()).await? else {
            return Ok(false);
        };
        self.buffer.exchange(&gone, new, losses);
        let since = self.clock.monotonic();
        let removed = unlink_later.into_iter().map(|file| Removed { file, since });
        writer.removed.lock().extend(removed);
        Ok(true)
    }

    /// As [`Store::quarantine_file`].
    pub(crate) async fn quarantine_file(&self, id: i64, cause: &str) -> Result<bool, StorageError> {
        let snapshot = self.buffer.snapshot();
        let file = Table::ALL.iter().flat_map(|t| snapshot.files(*t)).find(|file| file.id == id);
        let Some(file) = file else { return Ok(false) };
        let now_ns = self.clock.wall_ns();
        let loss = DataLoss::of_file(now_ns, file, cause);
        let change = Change {
            remove: vec![id],
            losses: vec![loss],
            note: "quarantine",
            ..Change::default()
        };
        if !self.exchange(change, vec![]).await? {
            return Ok(false);
        }
        self.writer()?.catalog.mark_unlinked(&[id], now_ns).await?;
        sweep::set_aside(&self.config.dir, &file.name);
        Ok(true)
    }

    pub(crate) async fn persist_rejects(&self) -> Result<(), StorageError> {
        let rejects = self.rejects.lock().take();
        let change = Change { rejects: rejects.clone(), note: "rejects", ..Change::default() };
        let committed = self.writer()?.catalog.commit(change, self.clock.wall_ns()).await;
        self.rejects.lock().settle(rejects, committed.is_ok());
        committed.map(|_| ())
    }
}
