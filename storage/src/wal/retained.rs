//! The segments on disk that still hold rows no committed file has, and how they are freed.
//!
//! Segments are freed oldest first and one durable step at a time, so that what a crash leaves is
//! always a run without holes: a hole then means that somebody lost a segment.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use schemas::Signal;

use super::Covered;
use super::segment::{SPARE_SUFFIX, SUFFIX};
use crate::dedupe::{self, Dedupe};
use crate::durable::{remove_durably, rename_durably, write_file_durably};

/// Freed segments kept for the next ones; enough for a burst between two flushes.
pub(crate) const SPARES_MAX: usize = 4;

/// One segment and what must be covered before it can go.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) path: PathBuf,
    pub(crate) file_bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
    /// Highest sequence of each signal in it; 0 for none.
    pub(crate) newest: Covered,
    /// Nothing is appended to it any more.
    pub(crate) sealed: bool,
}

impl Kept {
    /// Whether every frame's rows are in committed files.
    pub(crate) fn is_covered(&self, covered: &Covered) -> bool {
        self.newest.iter().zip(covered).all(|(newest, covered)| newest <= covered)
    }

    /// Notes a durable frame.
    pub(crate) fn add(&mut self, signal: Signal, seq: u64) {
        self.last_seq = seq;
        self.newest[signal.index()] = seq;
    }
}

/// A `.fp` file on disk.
#[derive(Clone, Debug)]
pub(crate) struct FingerprintFile {
    pub(crate) path: PathBuf,
    pub(crate) newest_ns: i64,
}

/// All segments in order, the current one last, and the spare files.
#[derive(Debug)]
pub(crate) struct Retained {
    /// Only files of this size are worth keeping as spares.
    segment_bytes: u64,
    files: Mutex<Files>,
    /// Held while freeing, so that two callers keep the order.
    freeing: Mutex<()>,
}

/// What the WAL's directory holds.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) segments: VecDeque<Kept>,
    pub(crate) spares: Vec<PathBuf>,
    pub(crate) fingerprints: VecDeque<FingerprintFile>,
}

impl Retained {
    pub(crate) fn new(segment_bytes: u64, files: Files) -> Retained {
        Retained { segment_bytes, files: Mutex::new(files), freeing: Mutex::new(()) }
    }

    /// A spare file to make the next segment of, if there is one.
    pub(crate) fn take_spare(&self) -> Option<PathBuf> {
        self.files.lock().spares.pop()
    }

    /// Seals the current segment and adds the next one.
    pub(crate) fn opened(&self, segment: Kept) {
        let mut files = self.files.lock();
        if let Some(current) = files.segments.back_mut() {
            current.sealed = true;
        }
        files.segments.push_back(segment);
    }

    /// Nothing will be appended to the current segment; its file may be gone.
    pub(crate) fn condemned(&self, removed: bool) {
        let mut files = self.files.lock();
        if removed {
            files.segments.pop_back();
        } else if let Some(current) = files.segments.back_mut() {
            current.sealed = true;
        }
    }

    /// Notes durable frames in the current segment.
    pub(crate) fn wrote(&self, frames: impl Iterator<Item = (Signal, u64)>) {
        if let Some(current) = self.files.lock().segments.back_mut() {
            frames.for_each(|(signal, seq)| current.add(signal, seq));
        }
    }

    /// Number of segments and bytes of their files.
    pub(crate) fn size(&self) -> (u64, u64) {
        let files = self.files.lock();
        let bytes = files.segments.iter().map(|segment| segment.file_bytes).sum();
        (files.segments.len() as u64, bytes)
    }

    /// Frees the oldest segments whose rows are all in committed files.
    pub(crate) fn release(&self, covered: &Covered, dedupe: &Dedupe) {
        let _order = self.freeing.lock();
        while let Some(segment) = self.take_covered(covered) {
            if let Err(error) = self.free(&segment, dedupe) {
                let path = segment.path.display();
                tracing::warn!(%path, %error, "cannot free a WAL segment, will try again");
                self.files.lock().segments.push_front(segment);
                break;
            }
        }
        self.forget_old_fingerprints(dedupe);
    }

    fn take_covered(&self, covered: &Covered) -> Option<Kept> {
        let mut files = self.files.lock();
        let oldest = files.segments.front()?;
        if oldest.sealed && oldest.is_covered(covered) { files.segments.pop_front() } else { None }
    }

    fn free(&self, segment: &Kept, dedupe: &Dedupe) -> std::io::Result<()> {
        if let Err(error) = self.save_fingerprints(segment, dedupe) {
            // A full disk must not keep what would make room; only a restart within the window
            // could then store a retry twice.
            let path = segment.path.display();
            tracing::warn!(%path, %error, "cannot save the fingerprints of a WAL segment");
        }
        let room = self.files.lock().spares.len() < SPARES_MAX;
        if !room || segment.file_bytes != self.segment_bytes {
            return remove_durably(&segment.path);
        }
        let spare = with_suffix(&segment.path, SPARE_SUFFIX);
        rename_durably(&segment.path, &spare)?;
        self.files.lock().spares.push(spare);
        Ok(())
    }

    fn save_fingerprints(&self, segment: &Kept, dedupe: &Dedupe) -> std::io::Result<()> {
        let mut entries = dedupe.of_segment(segment.first_seq, segment.last_seq);
        entries.retain(|entry| !dedupe.is_past(entry.received_ns));
        let Some(newest_ns) = entries.iter().map(|entry| entry.received_ns).max() else {
            return Ok(());
        };
        let path = with_suffix(&segment.path, dedupe::SUFFIX);
        write_file_durably(&path, |file| file.write_all(&dedupe::encode(&entries)))?;
        self.files.lock().fingerprints.push_back(FingerprintFile { path, newest_ns });
        Ok(())
    }

    fn forget_old_fingerprints(&self, dedupe: &Dedupe) {
        let mut past = Vec::new();
        self.files.lock().fingerprints.retain(|file| {
            let keep = !dedupe.is_past(file.newest_ns);
            if !keep {
                past.push(file.path.clone());
            }
            keep
        });
        for path in past {
            if let Err(error) = std::fs::remove_file(&path) {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot remove an old fingerprint file");
            }
        }
    }
}

/// The segment's path with another ending.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{}{suffix}", name.strip_suffix(SUFFIX).unwrap_or(&name)))
}
