//! Live rows become files: sorted, written, committed together with the WAL range they cover, shown
//! in one swap, and only then is their WAL freed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use schemas::{Signal, Table};

use crate::StorageError;
use crate::buffer::Sealed;
use crate::catalog::Change;
use crate::catalog::facts::{DataFile, Label, NewFile};
use crate::store::Inner;
use crate::{durable, order, parquet_file};

/// How often the age of generations is looked at, and the pause after a failed flush.
const TICK: Duration = Duration::from_secs(1);

/// Flushes what is old or large until the store closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = inner.closing() => return,
            () = inner.wake.notified() => {}
            _ = tick.tick() => {}
        }
        inner.seal(inner.config.flush_age, inner.flush_bytes_now());
        if let Err(why) = inner.flush_sealed().await {
            tracing::warn!(%why, "flushing live rows failed; they stay in memory and in the WAL");
            tokio::select! {
                () = inner.closing() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

impl Inner {
    pub(crate) fn seal(&self, age: Duration, bytes: usize) {
        self.buffer.seal(self.clock.monotonic(), age, bytes);
    }

    /// When nobody is let in any more every generation is to go, however small.
    fn flush_bytes_now(&self) -> usize {
        match self.buffer.bytes() >= self.config.room_bytes() {
            true => 0,
            false => self.config.flush_bytes,
        }
    }

    /// Flushes every sealed generation whose turn has come. Stops at the first failure: its rows
    /// stay live, and so do those behind it.
    pub(crate) async fn flush_sealed(self: &Arc<Self>) -> Result<(), StorageError> {
        let _one_at_a_time = self.writer()?.flushing.lock().await;
        for signal in Signal::ALL {
            while let Some(sealed) = self.buffer.next_sealed(signal) {
                let flushed = self.flush_one(sealed).await;
                let counter = match &flushed {
                    Ok(()) => &self.counters.flushes,
                    Err(_) => &self.counters.flush_failures,
                };
                counter.fetch_add(1, Ordering::Relaxed);
                flushed?;
            }
        }
        Ok(())
    }

    async fn flush_one(self: &Arc<Self>, sealed: Sealed) -> Result<(), StorageError> {
        let (files, sealed) = self.write_generation(sealed).await?;
        self.commit_generation(sealed, files).await
    }

    /// Sorts and writes off the runtime's workers.
    pub(crate) async fn write_generation(
        self: &Arc<Self>,
        sealed: Sealed,
    ) -> Result<(Vec<NewFile>, Sealed), StorageError> {
        let inner = Arc::clone(self);
        let write = move || {
            let mut files = vec![];
            for (table, batches) in &sealed.tables {
                if let Err(why) = inner.write_table(*table, batches, sealed.seq, &mut files) {
                    let names: Vec<_> =
                        files.into_iter().map(|new: NewFile| new.file.name).collect();
                    inner.discard(&names);
                    return Err(why);
                }
            }
            Ok((files, sealed))
        };
        // A panic while writing is a failed flush like any other.
        tokio::task::spawn_blocking(write)
            .await
            .unwrap_or_else(|why| Err(StorageError::of("write live rows", why)))
    }

    fn write_table(
        &self,
        table: Table,
        batches: &[Arc<schemas::Batch>],
        seq: (u64, u64),
        files: &mut Vec<NewFile>,
    ) -> Result<(), StorageError> {
        let keys = Sealed::keys(batches);
        let rows: Vec<_> = batches.iter().map(|batch| &batch.rows).collect();
        for prepared in order::prepare(table, &rows)? {
            let window = prepared.window;
            let label =
                Label { table, level: 0, window, seq: Some(seq), keys: &keys, inputs: vec![] };
            let rows = prepared.rows.num_rows() as u64;
            let one = std::iter::once(Ok::<_, StorageError>(prepared.rows));
            files.push(parquet_file::write(&self.config.dir, &label, rows, one)?);
        }
        Ok(())
    }

    /// Makes written files the home of a generation's rows.
    async fn commit_generation(
        self: &Arc<Self>,
        sealed: Sealed,
        files: Vec<NewFile>,
    ) -> Result<(), StorageError> {
        let files = self.commit_only(&sealed, files).await?;
        self.buffer.flushed(&sealed, files);
        let inner = Arc::clone(self);
        let release = move || {
            if let Some(writer) = &inner.writer {
                let mut covered = writer.covered.lock();
                covered[sealed.signal.index()] = sealed.seq.1;
                writer.wal.release(*covered);
            }
        };
        let released = tokio::task::spawn_blocking(release).await;
        released.map_err(|why| StorageError::of("free WAL segments", why))
    }

    /// The durable half of a flush: readers do not see it yet.
    pub(crate) async fn commit_only(
        &self,
        sealed: &Sealed,
        files: Vec<NewFile>,
    ) -> Result<Vec<Arc<DataFile>>, StorageError> {
        let catalog = &self.writer()?.catalog;
        let now_ns = self.clock.wall_ns();
        let keys = self.keys_seen(sealed, now_ns);
        let rejects = self.rejects.lock().take();
        let names: Vec<String> = files.iter().map(|new| new.file.name.clone()).collect();
        let change = Change {
            add: files,
            covered: vec![(sealed.signal, sealed.seq.1)],
            keys: keys.clone(),
            rejects: rejects.clone(),
            note: "flush",
            ..Change::default()
        };
        let committed = catalog.commit(change, now_ns).await;
        self.rejects.lock().settle(rejects, committed.is_ok());
        match committed {
            Ok(files) => {
                self.keys.lock().apply(keys);
                Ok(files.unwrap_or_default())
            }
            Err(why) => {
                if !catalog.is_unsure().await {
                    self.discard(&names);
                }
                Err(why)
            }
        }
    }

    /// Deletes files that no commit names.
    pub(crate) fn discard(&self, names: &[String]) {
        for path in names.iter().map(|name| self.config.dir.join(name)) {
            if let Err(why) = durable::remove_durably(&path) {
                tracing::warn!(path = %path.display(), %why, "deleting an uncommitted file failed");
            }
        }
    }

    /// The new state of all keys of a generation; tables share scopes, so one sees the other's.
    fn keys_seen(&self, sealed: &Sealed, now_ns: i64) -> Vec<crate::AttributeKey> {
        let known = self.keys.lock();
        let of_table =
            |(table, batches): &(Table, Vec<Arc<schemas::Batch>>)| (*table, Sealed::keys(batches));
        let seen: Vec<_> = sealed.tables.iter().map(of_table).collect();
        known.seen(&seen, now_ns)
    }
}
