//! One thread that numbers, writes, syncs, publishes and answers, in this order.
//!
//! While it syncs one group the next one forms in the queue, so there is no timer: groups grow with
//! the load. A failed write or sync condemns the segment. Its unsynced frames are answered as
//! failed, the next segment's header records where the durable ones end, and their sequences are
//! never given again.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::frame::{self, ALIGNMENT};
use super::queue::{Queued, Refusal, Work};
use super::retained::Kept;
use super::segment::{self, Segment, SegmentHeader, Tail};
use super::{Committed, Publish, Shared};
use crate::Appended;
use crate::dedupe::Remembered;
use crate::durable::remove_durably;

/// Failures in a row after which appends are refused before they are queued.
const FAILURES_MAX: u32 = 2;

/// The state of the thread.
pub(super) struct Committer {
    shared: Arc<Shared>,
    publish: Publish,
    dir: PathBuf,
    segment_bytes: u64,
    group_bytes: usize,
    /// None before the first frame and after a failure.
    segment: Option<Segment>,
    /// Where the durable frames end, in this segment or an earlier one.
    tail: Tail,
    next_seq: u64,
    failures: u32,
}

/// A numbered frame ready to be written.
struct Numbered {
    header: [u8; frame::HEADER_BYTES],
    crc: u32,
    seq: u64,
    queued: Queued,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        publish: Publish,
        tail: Tail,
        next_seq: u64,
    ) -> Committer {
        let config = &shared.config;
        let (dir, segment_bytes) = (config.dir.clone(), config.segment_bytes);
        let group_bytes = config.group_bytes;
        let (segment, failures) = (None, 0);
        Committer {
            shared,
            publish,
            dir,
            segment_bytes,
            group_bytes,
            segment,
            tail,
            next_seq,
            failures,
        }
    }

    /// Runs until the queue is closed and empty.
    pub(super) fn run(mut self) {
        while let Some(work) = self.shared.queue.take(self.group_bytes) {
            match work {
                Work::Group(group) => self.commit(group.into()),
                Work::Probe => self.probe(),
            }
        }
    }

    /// Writes a group: as many frames as fit the segment at a time, each time with one sync.
    fn commit(&mut self, mut group: VecDeque<Queued>) {
        while let Some(first) = group.front() {
            if let Err(error) = self.make_room(first.header.frame_bytes() as u64) {
                return self.fail(group, &error);
            }
            self.commit_part(&mut group);
        }
    }

    fn commit_part(&mut self, group: &mut VecDeque<Queued>) {
        let Some(mut segment) = self.segment.take() else { return };
        let part = self.number(&segment, group);
        match self.write(&mut segment, &part) {
            Ok(()) => {
                self.tail = segment.tail;
                self.segment = Some(segment);
                self.succeeded();
                self.finish(part);
            }
            Err(error) => {
                self.condemn(segment);
                self.fail(part.into_iter().map(|frame| frame.queued), &error);
            }
        }
    }

    /// Takes from the group what fits the segment and gives it its place.
    fn number(&mut self, segment: &Segment, group: &mut VecDeque<Queued>) -> Vec<Numbered> {
        let mut part = Vec::with_capacity(group.len());
        let mut bytes = 0;
        while let Some(mut queued) = group.pop_front() {
            bytes += queued.header.frame_bytes() as u64;
            if !segment.fits(bytes) {
                group.push_front(queued);
                break;
            }
            queued.header.seq = self.next_seq;
            let (header, crc) = queued.header.encode(segment.seed, &queued.stored);
            part.push(Numbered { header, crc, seq: self.next_seq, queued });
            self.next_seq += 1;
        }
        self.shared.counters.next_seq.store(self.next_seq, Ordering::Relaxed);
        part
    }

    fn write(&self, segment: &mut Segment, part: &[Numbered]) -> io::Result<()> {
        let Some(last) = part.last() else { return Ok(()) };
        let mut slices = Vec::with_capacity(part.len() * 3);
        for frame in part {
            let stored = &frame.queued.stored;
            let padding = frame::frame_bytes(stored.len()) - frame::HEADER_BYTES - stored.len();
            slices.push(IoSlice::new(&frame.header));
            slices.push(IoSlice::new(stored));
            slices.push(IoSlice::new(&[0; ALIGNMENT][..padding]));
        }
        let started = Instant::now();
        segment.append(&mut slices, (last.seq, last.crc))?;
        let counters = &self.shared.counters;
        let sync_ns = started.elapsed().as_nanos() as u64;
        counters.sync_ns_total.fetch_add(sync_ns, Ordering::Relaxed);
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        counters.frames.fetch_add(part.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Durable: now visible, then remembered, then answered.
    fn finish(&mut self, part: Vec<Numbered>) {
        let shared = &self.shared;
        shared.retained.wrote(part.iter().map(|frame| (frame.queued.header.signal, frame.seq)));
        let remembered: Vec<Remembered> = part.iter().map(Numbered::remembered).collect();
        let mut answers = Vec::with_capacity(part.len());
        let mut committed = Vec::with_capacity(part.len());
        for Numbered { seq, queued, .. } in part {
            let (signal, received_ns) = (queued.header.signal, queued.header.received_ns);
            committed.push(Committed { seq, signal, received_ns, batches: queued.batches });
            answers.push((queued.answer, seq));
        }
        (self.publish)(committed);
        shared.dedupe.stored(remembered.into_iter());
        for (answer, seq) in answers {
            // Whoever went away meanwhile needs no answer; the request stays stored.
            let _ = answer.send(Ok(Appended::Stored { seq }));
        }
    }

    /// Opens the next segment when the current one cannot take a frame of that size.
    fn make_room(&mut self, frame_bytes: u64) -> io::Result<()> {
        if self.segment.as_ref().is_some_and(|segment| segment.fits(frame_bytes)) {
            return Ok(());
        }
        let capacity_bytes = self.segment_bytes.max(segment::HEADER_BYTES as u64 + frame_bytes);
        self.open(capacity_bytes)
    }

    fn open(&mut self, capacity_bytes: u64) -> io::Result<()> {
        if self.segment.take().is_some_and(|unused| unused.is_empty()) {
            // First sequences order the segments, so no two may have the same.
            self.next_seq += 1;
        }
        let opened = self.create(capacity_bytes);
        if opened.is_err() {
            self.next_seq += 1;
        }
        opened
    }

    fn create(&mut self, capacity_bytes: u64) -> io::Result<()> {
        let header = SegmentHeader::new(self.next_seq, self.tail);
        let retained = &self.shared.retained;
        let spare = if capacity_bytes == self.segment_bytes { retained.take_spare() } else { None };
        let segment = Segment::create(&self.dir, &header, capacity_bytes, spare)?;
        retained.opened(Kept {
            path: segment.path.clone(),
            file_bytes: capacity_bytes,
            first_seq: self.next_seq,
            last_seq: segment.tail.last_seq,
            newest: Default::default(),
            sealed: false,
        });
        self.segment = Some(segment);
        Ok(())
    }

    /// Closes the segment: its descriptor is never synced again. An empty one is removed, or a
    /// failing disk would fill with them.
    fn condemn(&self, segment: Segment) {
        let removed = segment.is_empty() && remove_durably(&segment.path).is_ok();
        self.shared.retained.condemned(removed);
    }

    fn fail(&mut self, requests: impl IntoIterator<Item = Queued>, error: &io::Error) {
        self.failed(error);
        let why = Refusal::broken(format!("the write-ahead log could not be written: {error}"));
        for queued in requests {
            self.shared.dedupe.failed(&queued.header.fingerprint, &why);
            let _ = queued.answer.send(Err(why.clone()));
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.failures = self.failures.saturating_add(1);
        self.shared.counters.sync_failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, in_a_row = self.failures, "cannot write the WAL");
        if self.failures >= FAILURES_MAX {
            let times = self.failures;
            let reason = format!("the write-ahead log failed {times} times in a row: {error}");
            self.shared.queue.set_broken(Some(reason));
        }
    }

    fn succeeded(&mut self) {
        if self.failures >= FAILURES_MAX {
            tracing::info!("the WAL can be written again");
            self.shared.queue.set_broken(None);
        }
        self.failures = 0;
    }

    /// A new segment is the proof that the log can be written again: making one takes two syncs.
    fn probe(&mut self) {
        let writable = if self.segment.is_some() { Ok(()) } else { self.open(self.segment_bytes) };
        match writable {
            Ok(()) => self.succeeded(),
            Err(error) => self.failed(&error),
        }
    }
}

impl Numbered {
    fn remembered(&self) -> Remembered {
        let header = &self.queued.header;
        let (fingerprint, received_ns) = (header.fingerprint, header.received_ns);
        Remembered { fingerprint, received_ns, seq: self.seq }
    }
}

impl Drop for Committer {
    /// Also runs when publishing panics: nobody may wait for a thread that is gone.
    fn drop(&mut self) {
        self.shared.queue.abandon();
        self.shared.dedupe.abandon();
    }
}
