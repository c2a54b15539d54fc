//! Compares the files of the last run with the hashes they were written with, behind the start.
//!
//! A flipped bit can leave a page that still decodes: a query would show a wrong value. One file at
//! a time is read, one chunk a tick; a file whose bytes are others is set aside, its rows become a
//! named gap. Files of this run are the next start's work.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use schemas::Table;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::catalog::facts::DataFile;
use crate::snapshot::DataLoss;
use crate::store::Inner;
use crate::verify::OTHER_BYTES;

/// What is read at once; with [`CHUNK_EVERY`], at most 32 MiB a second.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_EVERY: Duration = Duration::from_nanos(1_000_000_000 / 32);

/// How many files were compared since the start, and with what result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Files still to be compared; zero once all is done.
    pub pending: u64,
    /// Files whose bytes are the ones that were written.
    pub sound: u64,
    /// Files whose bytes are others; they were set aside.
    pub damaged: u64,
    /// Files without a hash, and those that could not be read.
    pub unchecked: u64,
}

/// The files that a start found, in the order of their turn.
#[derive(Debug)]
pub(crate) struct Work(Vec<Entry>);

/// By number alone: holding the file itself would keep it from being unlinked.
#[derive(Debug)]
struct Entry {
    table: Table,
    id: i64,
    blake3: Option<[u8; 32]>,
}

enum Verdict {
    Sound,
    Damaged,
    Unchecked,
}

/// Notes what is to be compared, so that it is pending from now on.
pub(crate) fn plan(inner: &Inner, hashes: &HashMap<i64, [u8; 32]>) -> Work {
    let snapshot = inner.buffer.snapshot();
    let mut files: Vec<&Arc<DataFile>> =
        Table::ALL.iter().flat_map(|table| snapshot.files(*table)).collect();
    // Files that are soon merged come first: a merge would copy a wrong value into a file whose
    // hash is right. Then those that are asked for most.
    files.sort_by_key(|file| (file.level, std::cmp::Reverse(file.max_time_ns)));
    let entry = |file: &&Arc<DataFile>| Entry {
        table: file.table,
        id: file.id,
        blake3: hashes.get(&file.id).copied(),
    };
    let work = Work(files.iter().map(entry).collect());
    inner.scrubbed.send_modify(|scrubbed| scrubbed.pending = work.0.len() as u64);
    work
}

/// Compares all files, or those that it comes to before the store closes.
pub(crate) async fn run(inner: Arc<Inner>, work: Work) {
    inner.recovered().await;
    let mut ticks = interval(CHUNK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for entry in work.0 {
        let verdict = match live(&inner, &entry) {
            // Merged or expired meanwhile.
            None => None,
            Some(file) => {
                let Some(verdict) = compare(&inner, &file, entry.blake3, &mut ticks).await else {
                    return;
                };
                if matches!(verdict, Verdict::Damaged) {
                    set_aside(&inner, &file).await;
                }
                Some(verdict)
            }
        };
        inner.scrubbed.send_modify(|scrubbed| {
            scrubbed.pending = scrubbed.pending.saturating_sub(1);
            match verdict {
                Some(Verdict::Sound) => scrubbed.sound += 1,
                Some(Verdict::Damaged) => scrubbed.damaged += 1,
                Some(Verdict::Unchecked) => scrubbed.unchecked += 1,
                None => {}
            }
        });
    }
    let done = *inner.scrubbed.borrow();
    let Scrubbed { sound, damaged, unchecked, .. } = done;
    tracing::debug!(sound, damaged, unchecked, "stored files were compared with their hashes");
}

fn live(inner: &Inner, entry: &Entry) -> Option<Arc<DataFile>> {
    let snapshot = inner.buffer.snapshot();
    snapshot.files(entry.table).iter().find(|file| file.id == entry.id).cloned()
}

/// `None` when the store closes.
async fn compare(
    inner: &Inner,
    file: &DataFile,
    blake3: Option<[u8; 32]>,
    ticks: &mut Interval,
) -> Option<Verdict> {
    let Some(written) = blake3 else { return Some(Verdict::Unchecked) };
    match hash(inner, file, ticks).await {
        Ok(None) => None,
        Ok(Some(found)) if found == written => Some(Verdict::Sound),
        Ok(Some(_)) => Some(Verdict::Damaged),
        // It may be readable later; a query that needs it says so and looks closer.
        Err(why) => {
            tracing::warn!(file = file.name, %why, "comparing a file with its hash failed");
            Some(Verdict::Unchecked)
        }
    }
}

/// BLAKE3 of a file, one chunk a tick; `None` when the store closes.
async fn hash(
    inner: &Inner,
    file: &DataFile,
    ticks: &mut Interval,
) -> io::Result<Option<[u8; 32]>> {
    let path = file.path.clone();
    let mut reading: Option<Reading> = None;
    loop {
        tokio::select! {
            biased;
            () = inner.closing() => return Ok(None),
            _ = ticks.tick() => {}
        }
        let (path, now) = (path.clone(), reading.take());
        let read = move || {
            let mut reading = now.map_or_else(|| Reading::open(&path), Ok)?;
            let bytes = reading.chunk()?;
            Ok::<_, io::Error>((reading, bytes))
        };
        let (next, bytes) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        if bytes < CHUNK_BYTES as u64 {
            return Ok(Some(next.hash.finalize().into()));
        }
        reading = Some(next);
    }
}

/// A file that is read chunk by chunk.
struct Reading {
    file: File,
    hash: blake3::Hasher,
}

impl Reading {
    fn open(path: &std::path::Path) -> io::Result<Reading> {
        Ok(Reading { file: File::open(path)?, hash: blake3::Hasher::new() })
    }

    /// Bytes that were read; fewer than a chunk at the end of the file.
    fn chunk(&mut self) -> io::Result<u64> {
        let before = self.hash.count();
        self.hash.update_reader((&mut self.file).take(CHUNK_BYTES as u64))?;
        Ok(self.hash.count() - before)
    }
}

async fn set_aside(inner: &Inner, file: &DataFile) {
    tracing::error!(file = file.name, rows = file.rows, "a stored file is damaged: {OTHER_BYTES}");
    if let Err(why) = inner.quarantine_file(file.id, OTHER_BYTES).await {
        // Not durable, and so found again at the next start; but no answer may show its rows.
        tracing::error!(file = file.name, %why, "the damaged file could not be set aside");
        let loss = DataLoss::of_file(inner.clock.wall_ns(), file, OTHER_BYTES);
        inner.buffer.exchange(&[file.id], vec![], vec![loss]);
    }
}

#[cfg(test)]
mod tests;
