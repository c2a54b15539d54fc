//! What survives a crash: finds the frames of a directory, names what is missing, cuts a torn tail.
//!
//! | found | do |
//! |---|---|
//! | bad bytes at the end of the last segment, nothing valid behind | a torn tail: cut, counted |
//! | bad bytes elsewhere | keep every valid frame behind, name the missing sequences, copy the segment to quarantine |
//! | a segment missing from the chain | name its sequences |
//! | a damaged segment header | read the frames with the uuid out of the file name |
//! | a newer version | refuse and touch nothing |
//!
//! Nothing found here stops a start, apart from a newer version and a disk that fails.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::reader::{Found, Raw, Reader};
use super::retained::{Files, FingerprintFile, Kept, SPARES_MAX};
use super::segment::{self, Decoded, SPARE_SUFFIX, SUFFIX, SegmentHeader, Tail, parse_name};
use super::{Covered, Frame, WalConfig, WalLoss, frame};
use crate::StorageError;
use crate::dedupe::{self, Index, Remembered};
use crate::durable::{
    TEMPORARY_SUFFIX, create_dir_all_synced, failed, remove_durably, rename_durably,
    write_file_durably,
};

/// Largest file that is read as a segment; recovery holds one in memory at a time.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What a directory held.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Higher than every sequence that was ever given and can be known of.
    pub(crate) next_seq: u64,
    /// Frames that were there and cannot be read. Sequences whose rows are in committed files for
    /// every signal are left out; of the others, some may be.
    pub(crate) losses: Vec<WalLoss>,
    /// Bytes of a frame that was begun and never finished.
    pub(crate) torn_tail_bytes: u64,
    /// Bytes of the frames that [`Recovered::frames`] yields.
    pub(crate) bytes_to_replay: u64,
    covered: Covered,
    segments: Vec<Old>,
    /// Sequences of second copies of a request.
    copies: Arc<HashSet<u64>>,
    index: Index,
    files: Files,
    tail: Tail,
}

/// A segment of an earlier run.
#[derive(Clone, Debug)]
struct Old {
    name: String,
    path: PathBuf,
    /// None when it is damaged.
    header: Option<SegmentHeader>,
    uuid: [u8; 16],
    /// Frames end here at the latest: recorded by the next segment, or the end of the file.
    limit: u64,
    kept: Kept,
}

/// Reads the segments below `config.dir`, checks every frame, and finds what is missing.
///
/// With `writable` it also sweeps unfinished files, makes the last segment durable, cuts a torn
/// tail and copies damaged segments to quarantine; otherwise it changes nothing. `now_ns` decides
/// which fingerprint files are too old. Blocks on the disk.
pub(crate) fn recover(
    config: &WalConfig,
    covered: Covered,
    now_ns: i64,
    writable: bool,
) -> Result<Recovered, StorageError> {
    let mut listing = Listing::read(config)?;
    if writable {
        create_dir_all_synced(&config.dir).map_err(failed("create", &config.dir))?;
        listing.sweep(config);
    }
    let mut index = Index::new(config.retry_window_ns, config.fingerprint_bytes);
    let files = Files {
        fingerprints: listing.load_fingerprints(config, now_ns, writable, &mut index),
        spares: listing.spares,
        segments: VecDeque::new(),
    };
    let mut scan = Scan::new(covered, index, &listing.segments);
    scan.losses.extend(listing.losses);
    for segment in listing.segments {
        scan.segment(segment);
    }
    if writable {
        scan.repair(config)?;
    }
    Ok(scan.finish(files))
}

impl Recovered {
    /// The frames whose rows are in no committed file, in order of sequence, of every request the
    /// first copy only. Owned, so that a background thread can replay while the log runs; reads one
    /// segment at a time. Damage that [`Recovered::losses`] names is not told again: an error here
    /// is new, and the walk goes on behind it.
    pub(crate) fn frames(&self) -> Frames {
        let mut segments = self.segments.clone();
        segments.retain(|segment| !segment.kept.is_covered(&self.covered));
        Frames {
            segments: segments.into_iter(),
            covered: self.covered,
            copies: Arc::clone(&self.copies),
            known: self.losses.iter().filter_map(|loss| loss.seq).collect(),
            current: None,
        }
    }

    pub(super) fn take_fingerprints(&mut self) -> Index {
        std::mem::take(&mut self.index)
    }

    pub(super) fn take_files(&mut self) -> Files {
        std::mem::take(&mut self.files)
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail
    }
}

/// What lies in the directory, segments in order.
#[derive(Default)]
struct Listing {
    segments: Vec<Old>,
    spares: Vec<PathBuf>,
    unfinished: Vec<PathBuf>,
    fingerprints: Vec<PathBuf>,
    /// Files that have neither a header nor a name to go by.
    unknown: Vec<PathBuf>,
    losses: Vec<WalLoss>,
}

impl Listing {
    fn read(config: &WalConfig) -> Result<Listing, StorageError> {
        let mut listing = Listing::default();
        let entries = match std::fs::read_dir(&config.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(listing),
            entries => entries.map_err(failed("list", &config.dir))?,
        };
        for entry in entries {
            let path = entry.map_err(failed("list", &config.dir))?.path();
            if path.is_file() {
                listing.add(path)?;
            }
        }
        listing.segments.sort_by_key(|segment| segment.kept.first_seq);
        let mut seen = HashSet::new();
        listing.segments.retain(|segment| seen.insert(segment.uuid));
        listing.fingerprints.sort();
        Ok(listing)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), StorageError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(SUFFIX) {
            self.add_segment(path, name)?;
        } else if name.ends_with(SPARE_SUFFIX) {
            self.spares.push(path);
        } else if name.ends_with(TEMPORARY_SUFFIX) {
            self.unfinished.push(path);
        } else if name.ends_with(dedupe::SUFFIX) {
            self.fingerprints.push(path);
        }
        Ok(())
    }

    fn add_segment(&mut self, path: PathBuf, name: String) -> Result<(), StorageError> {
        let header = match read_header(&path) {
            Ok(Decoded::Header(header)) => Some(header),
            Ok(Decoded::Newer(version)) => return Err(newer(&path, version)),
            Ok(Decoded::Damaged) => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read a WAL segment's header");
                None
            }
        };
        let from_header = header.as_ref().map(|header| (header.first_seq, header.uuid));
        // Sequences begin at 1; a name may say anything.
        let known =
            from_header.or_else(|| parse_name(&name)).filter(|(first_seq, _)| *first_seq > 0);
        let Some((first_seq, uuid)) = known else {
            let cause = "neither the file's header nor its name can be read".to_owned();
            self.losses.push(WalLoss { seq: None, segment: name, cause });
            self.unknown.push(path);
            return Ok(());
        };
        let file_bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let kept = Kept {
            path: path.clone(),
            file_bytes,
            first_seq,
            last_seq: first_seq - 1,
            newest: Covered::default(),
            sealed: true,
        };
        self.segments.push(Old { name, path, header, uuid, limit: file_bytes, kept });
        Ok(())
    }

    /// Removes unfinished files and spares beyond need, puts unknown ones aside.
    fn sweep(&mut self, config: &WalConfig) {
        let surplus = self.spares.split_off(self.spares.len().min(SPARES_MAX));
        for path in self.unfinished.drain(..).chain(surplus) {
            if let Err(error) = remove_durably(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove an unused WAL file");
            }
        }
        for path in self.unknown.drain(..) {
            if let Err(error) = move_to_quarantine(&path, config) {
                tracing::warn!(path = %path.display(), %error, "cannot move a file to quarantine");
            }
        }
    }

    /// Remembers the requests of freed segments; removes files that are past or damaged.
    fn load_fingerprints(
        &self,
        config: &WalConfig,
        now_ns: i64,
        writable: bool,
        index: &mut Index,
    ) -> VecDeque<FingerprintFile> {
        let mut kept = VecDeque::new();
        for path in &self.fingerprints {
            // Written just before a crash: the segment itself is still there and says more.
            let freed = !path.with_extension(&SUFFIX[1..]).exists();
            let entries = read_fingerprints(path, config.fingerprint_bytes).unwrap_or_default();
            let newest_ns = entries.iter().map(|entry| entry.received_ns).max();
            let fresh = newest_ns
                .filter(|newest_ns| now_ns.saturating_sub(*newest_ns) <= config.retry_window_ns);
            match fresh {
                Some(newest_ns) if freed => {
                    entries.into_iter().for_each(|entry| index.insert(entry));
                    kept.push_back(FingerprintFile { path: path.clone(), newest_ns });
                }
                _ if writable => drop(std::fs::remove_file(path)),
                _ => {}
            }
        }
        kept
    }
}

/// Goes through the segments in order and gathers what [`Recovered`] says.
struct Scan {
    covered: Covered,
    /// Up to here every signal's rows are in committed files, whatever was lost.
    floor: u64,
    /// The sequence expected next, across segments.
    expected: u64,
    /// Where the frames of a segment end, as recorded by the one after it.
    recorded: HashMap<[u8; 16], Tail>,
    uuids: HashSet<[u8; 16]>,
    index: Index,
    copies: HashSet<u64>,
    losses: Vec<WalLoss>,
    bytes_to_replay: u64,
    tail: Tail,
    segments: Vec<Old>,
    /// Segments to copy to quarantine, and those that cannot be read and are moved there.
    damaged: Vec<PathBuf>,
    unreadable: Vec<PathBuf>,
    /// Of the last segment read: where its frames end, and what was begun behind.
    end: u64,
    torn_tail_bytes: u64,
}

impl Scan {
    fn new(covered: Covered, index: Index, listed: &[Old]) -> Scan {
        let newest = covered.into_iter().filter(|seq| *seq < u64::MAX).max();
        let headers = listed.iter().filter_map(|segment| segment.header.as_ref());
        let chained = headers.filter(|header| header.previous.uuid != [0; 16]);
        Scan {
            covered,
            floor: covered.into_iter().min().unwrap_or_default(),
            expected: newest.unwrap_or_default() + 1,
            recorded: chained.map(|header| (header.previous.uuid, header.previous)).collect(),
            uuids: listed.iter().map(|segment| segment.uuid).collect(),
            index,
            copies: HashSet::new(),
            losses: Vec::new(),
            bytes_to_replay: 0,
            tail: Tail::default(),
            segments: Vec::new(),
            damaged: Vec::new(),
            unreadable: Vec::new(),
            end: 0,
            torn_tail_bytes: 0,
        }
    }

    fn segment(&mut self, mut segment: Old) {
        self.judge_before(&segment);
        if let Some(recorded) = self.recorded.get(&segment.uuid) {
            segment.limit = segment.limit.min(recorded.end);
        } else if segment.header.is_none() {
            self.damaged.push(segment.path.clone());
        }
        match read_segment(&segment) {
            Ok(bytes) => {
                self.read(&mut segment, bytes);
                self.segments.push(segment);
            }
            Err(error) => {
                let cause = format!("the segment cannot be read: {error}");
                self.losses.push(WalLoss { seq: None, segment: segment.name, cause });
                self.unreadable.push(segment.path);
            }
        }
    }

    /// Names what the chain says lies before this segment and was not found.
    fn judge_before(&mut self, segment: &Old) {
        let name = segment.name.clone();
        let (last_before, at, cause) = match &segment.header {
            None => (
                segment.kept.first_seq - 1,
                name,
                "its header is damaged, so frames before it cannot be accounted for",
            ),
            Some(header) if self.uuids.contains(&header.previous.uuid) => {
                let previous = self.segments.iter().find(|old| old.uuid == header.previous.uuid);
                let at = previous.map_or(name, |old| old.name.clone());
                (header.previous.last_seq, at, "its last frames are damaged or missing")
            }
            Some(header) => (header.previous.last_seq, name, "the segment before it is missing"),
        };
        if self.expected <= last_before {
            self.lose(self.expected..=last_before, &at, cause);
            self.damaged.extend(self.segments.last().map(|old| old.path.clone()));
        }
        self.expected = self.expected.max(segment.kept.first_seq);
    }

    fn read(&mut self, segment: &mut Old, bytes: Bytes) {
        let mut reader = Reader::new(bytes, &segment.uuid, segment.kept.first_seq);
        for found in reader.by_ref() {
            match found {
                Found::Frame(raw) => self.frame(segment, &raw),
                Found::Damage(lost) => {
                    self.lose(lost, &segment.name, "damaged frames");
                    self.damaged.push(segment.path.clone());
                }
            }
        }
        if segment.header.is_none() && segment.kept.last_seq < segment.kept.first_seq {
            let cause = "its header is damaged and no frame can be read".to_owned();
            self.losses.push(WalLoss { seq: None, segment: segment.name.clone(), cause });
        }
        self.expected = self.expected.max(reader.next_seq());
        (self.end, self.torn_tail_bytes) = (reader.at(), reader.torn_bytes());
    }

    fn frame(&mut self, segment: &mut Old, raw: &Raw) {
        let frame::Header { seq, signal, received_ns, fingerprint, .. } = raw.header;
        segment.kept.add(signal, seq);
        self.tail = Tail { uuid: segment.uuid, last_seq: seq, end: raw.end, crc: raw.crc };
        if self.index.contains(&fingerprint, received_ns) {
            self.copies.insert(seq);
            return;
        }
        self.index.insert(Remembered { fingerprint, received_ns, seq });
        if seq > self.covered[signal.index()] {
            self.bytes_to_replay += raw.header.frame_bytes() as u64;
        }
    }

    fn lose(&mut self, lost: RangeInclusive<u64>, segment: &str, cause: &str) {
        let first = (*lost.start()).max(self.floor.saturating_add(1));
        if first > *lost.end() {
            return;
        }
        let (seq, segment, cause) =
            (Some((first, *lost.end())), segment.to_owned(), cause.to_owned());
        tracing::warn!(%segment, ?seq, %cause, "frames of the WAL are lost");
        self.losses.push(WalLoss { seq, segment, cause });
    }

    /// Makes what was read durable, cuts the torn tail, and puts damaged segments aside.
    fn repair(&mut self, config: &WalConfig) -> Result<(), StorageError> {
        self.damaged.sort();
        self.damaged.dedup();
        for path in &self.damaged {
            if let Err(error) = quarantine(path, config) {
                tracing::warn!(path = %path.display(), %error, "cannot copy a segment to quarantine");
            }
        }
        for path in &self.unreadable {
            if let Err(error) = move_to_quarantine(path, config) {
                tracing::warn!(path = %path.display(), %error, "cannot move a segment to quarantine");
            }
        }
        let Some(last) = self.segments.last() else { return Ok(()) };
        if self.torn_tail_bytes > 0 {
            tracing::info!(segment = %last.name, bytes = self.torn_tail_bytes, "cut a torn WAL tail");
        }
        let cut = (self.torn_tail_bytes > 0).then_some(self.end);
        settle(&last.path, cut).map_err(failed("sync", &last.path))
    }

    fn finish(self, files: Files) -> Recovered {
        let last = self.segments.last();
        // An empty segment keeps its first sequence, so that names and order stay unique.
        let next_seq = last.map_or(0, |segment| segment.kept.first_seq + 1).max(self.expected);
        let segments = self.segments.iter().map(|segment| segment.kept.clone()).collect();
        Recovered {
            next_seq,
            losses: self.losses,
            torn_tail_bytes: self.torn_tail_bytes,
            bytes_to_replay: self.bytes_to_replay,
            covered: self.covered,
            segments: self.segments,
            copies: Arc::new(self.copies),
            index: self.index,
            files: Files { segments, ..files },
            tail: self.tail,
        }
    }
}

/// Frames to replay. See [`Recovered::frames`].
#[derive(Debug)]
pub(crate) struct Frames {
    segments: std::vec::IntoIter<Old>,
    covered: Covered,
    copies: Arc<HashSet<u64>>,
    /// Losses that were named before.
    known: Vec<(u64, u64)>,
    current: Option<(Reader, Old)>,
}

impl Iterator for Frames {
    type Item = Result<Frame, WalLoss>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((reader, segment)) = &mut self.current else {
                let segment = self.segments.next()?;
                match read_segment(&segment) {
                    Ok(bytes) => {
                        let reader = Reader::new(bytes, &segment.uuid, segment.kept.first_seq);
                        self.current = Some((reader, segment));
                    }
                    Err(error) => {
                        let all = (segment.kept.first_seq, segment.kept.last_seq);
                        return Some(Err(segment.loss(all, format!("cannot be read: {error}"))));
                    }
                }
                continue;
            };
            let lost = match reader.next() {
                Some(Found::Frame(raw)) => {
                    let seq = raw.header.seq;
                    let covered = seq <= self.covered[raw.header.signal.index()];
                    if covered || self.copies.contains(&seq) {
                        continue;
                    }
                    return Some(frame_of(raw).map_err(|cause| segment.loss((seq, seq), cause)));
                }
                Some(Found::Damage(lost)) => (*lost.start(), *lost.end()),
                None => (reader.next_seq(), segment.kept.last_seq),
            };
            let loss = segment.loss(lost, "damaged since the start".to_owned());
            if reader.next_seq() == lost.0 {
                self.current = None;
            }
            if lost.0 <= lost.1 && !self.known.iter().any(|k| k.0 <= lost.0 && lost.1 <= k.1) {
                return Some(Err(loss));
            }
        }
    }
}

impl Old {
    fn loss(&self, seq: (u64, u64), cause: String) -> WalLoss {
        WalLoss { seq: Some(seq), segment: self.name.clone(), cause }
    }
}

fn frame_of(raw: Raw) -> Result<Frame, String> {
    let frame_bytes = raw.header.frame_bytes() as u64;
    let payload = frame::decompress(raw.header.compression, raw.stored)?;
    let frame::Header { seq, received_ns, signal, encoding, accepted, fingerprint, .. } =
        raw.header;
    Ok(Frame { seq, received_ns, signal, encoding, accepted, fingerprint, payload, frame_bytes })
}

fn read_header(path: &Path) -> io::Result<Decoded> {
    let mut head = Vec::with_capacity(segment::HEADER_BYTES);
    File::open(path)?.take(segment::HEADER_BYTES as u64).read_to_end(&mut head)?;
    Ok(SegmentHeader::decode(&head))
}

/// The segment's bytes up to where its frames may end.
fn read_segment(segment: &Old) -> io::Result<Bytes> {
    if segment.limit > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("{} bytes are more than a segment", segment.limit)));
    }
    let mut bytes = Vec::with_capacity(segment.limit as usize);
    File::open(&segment.path)?.take(segment.limit).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn read_fingerprints(path: &Path, bytes_max: usize) -> Option<Vec<Remembered>> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(bytes_max as u64).read_to_end(&mut bytes));
    let entries = read.ok().and_then(|_| dedupe::decode(&bytes));
    if entries.is_none() {
        let path = path.display();
        tracing::warn!(%path, "a fingerprint file is damaged, retries of its requests are stored twice");
    }
    entries
}

/// A frame written by a process that died before its sync can be read here and yet vanish in a
/// power cut; it must be durable before a retry of it is acknowledged as a copy.
fn settle(path: &Path, cut: Option<u64>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    if let Some(end) = cut {
        file.set_len(end)?;
    }
    file.sync_all()
}

fn quarantine(path: &Path, config: &WalConfig) -> io::Result<()> {
    let copy = config.quarantine_dir.join(path.file_name().unwrap_or_default());
    if copy.exists() {
        return Ok(());
    }
    create_dir_all_synced(&config.quarantine_dir)?;
    write_file_durably(&copy, |to| io::copy(&mut File::open(path)?, to).map(drop))
}

fn move_to_quarantine(path: &Path, config: &WalConfig) -> io::Result<()> {
    create_dir_all_synced(&config.quarantine_dir)?;
    rename_durably(path, &config.quarantine_dir.join(path.file_name().unwrap_or_default()))
}

fn newer(path: &Path, version: u16) -> StorageError {
    StorageError::NewerFormat(format!(
        "{} has version {version} of the write-ahead log, which a newer otlake wrote; start that one",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
