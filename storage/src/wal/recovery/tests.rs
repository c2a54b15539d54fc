//! Any cut, flip or missing piece: what is intact is kept, what is not is named.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;

use super::super::tests::{Log, config, copy_dir, faults, open, request};
use super::*;
use crate::Appended;

/// Writes requests `0..count`, whose sequences are then `1..=count`, and stops without closing.
fn written(count: u64) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let live = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = open(&config(live.path()), [0; 3]);
    runtime.block_on(log.store(0..count));
    copy_dir(live.path(), root.path());
    root
}

/// A copy that a test may damage.
fn copy(from: &TempDir) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_dir(from.path(), to.path());
    to
}

fn segments(root: &TempDir) -> Vec<Old> {
    recover(&config(root.path()), [0; 3], 0, false).unwrap().segments
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// What a recovery gave: sequences replayed, sequences named as lost, losses without sequences.
struct Outcome {
    kept: BTreeSet<u64>,
    lost: BTreeSet<u64>,
    unnumbered: usize,
    torn_tail_bytes: u64,
    next_seq: u64,
}

/// Recovers twice, reading and writing, which must agree, and compares every frame with what was
/// written: nothing changed, nothing invented, in order.
fn check_recovery(root: &TempDir) -> Outcome {
    let reading = outcome(root, false);
    let writing = outcome(root, true);
    assert_eq!((&reading.kept, &reading.lost), (&writing.kept, &writing.lost));
    assert!(reading.kept.is_disjoint(&reading.lost));
    writing
}

fn outcome(root: &TempDir, writable: bool) -> Outcome {
    let recovered = recover(&config(root.path()), [0; 3], 0, writable).unwrap();
    let mut kept = BTreeSet::new();
    let mut bytes = 0;
    for found in recovered.frames() {
        let found = found.unwrap();
        let sent = request(found.seq - 1);
        assert!(kept.last().is_none_or(|last| *last < found.seq));
        assert_eq!((found.payload, found.accepted), (sent.payload, sent.accepted));
        assert_eq!((found.signal, found.encoding), (sent.signal, sent.encoding));
        assert_eq!((found.fingerprint, found.received_ns), (sent.fingerprint, sent.received_ns));
        kept.insert(found.seq);
        bytes += found.frame_bytes;
    }
    assert_eq!(bytes, recovered.bytes_to_replay);
    let lost =
        recovered.losses.iter().filter_map(|loss| loss.seq).flat_map(|(a, b)| a..=b).collect();
    let unnumbered = recovered.losses.iter().filter(|loss| loss.seq.is_none()).count();
    let (torn_tail_bytes, next_seq) = (recovered.torn_tail_bytes, recovered.next_seq);
    Outcome { kept, lost, unnumbered, torn_tail_bytes, next_seq }
}

fn range(seqs: RangeInclusive<u64>) -> BTreeSet<u64> {
    seqs.collect()
}

#[test]
fn a_crash_loses_nothing() {
    let outcome = check_recovery(&written(40));
    assert_eq!((outcome.kept, outcome.next_seq), (range(1..=40), 41));
    assert_eq!((outcome.lost.len(), outcome.torn_tail_bytes), (0, 0));
}

#[test]
fn an_empty_or_missing_directory_is_a_new_log() {
    let root = tempfile::tempdir().unwrap();
    let recovered = recover(&config(root.path()), [4, 9, 0], 0, false).unwrap();
    assert_eq!((recovered.next_seq, recovered.frames().count()), (10, 0));
    assert!(!root.path().join("wal").exists());
}

#[test]
fn every_cut_of_the_last_segment_keeps_what_is_before() {
    let root = written(12);
    let last = segments(&root).pop().unwrap();
    let bytes = std::fs::read(&last.path).unwrap();
    // Of each frame in it: sequence, end of the payload, end of the padding.
    let mut ends = vec![(last.kept.first_seq - 1, 0, segment::HEADER_BYTES)];
    for found in Reader::new(bytes.into(), &last.uuid, last.kept.first_seq) {
        let Found::Frame(raw) = found else { panic!("{found:?}") };
        let end = ends[ends.len() - 1].2 + frame::HEADER_BYTES + raw.stored.len();
        ends.push((raw.header.seq, end, raw.end as usize));
    }
    let file = OpenOptions::new().write(true).open(&last.path).unwrap();
    for cut in (0..=ends[ends.len() - 1].2).rev() {
        file.set_len(cut as u64).unwrap();
        let (seq, _, end) = ends.iter().rfind(|(_, end, _)| *end <= cut).unwrap();
        let outcome = outcome(&root, false);
        assert_eq!(
            (outcome.kept, outcome.lost),
            (range(1..=*seq), BTreeSet::new()),
            "cut at {cut}"
        );
        assert_eq!(outcome.torn_tail_bytes, cut.saturating_sub(*end) as u64, "cut at {cut}");
    }
}

#[test]
fn a_torn_tail_is_cut_once_and_not_judged_again() {
    let root = written(12);
    let config = config(root.path());
    let last = segments(&root).pop().unwrap();
    let keep = last.kept.last_seq - 1;
    damage(&last.path, |bytes| bytes.truncate(last_end(&last) as usize - 9));
    let first = check_recovery(&root);
    assert_eq!((first.kept, first.next_seq), (range(1..=keep), keep + 1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = open(&config, [0; 3]);
    assert_eq!(log.recovered.torn_tail_bytes, 0);
    // The torn request comes again, under the sequence it had.
    runtime.block_on(log.store(keep..keep + 3));
    drop(log);
    let second = check_recovery(&root);
    assert_eq!((second.kept, second.lost), (range(1..=keep + 3), BTreeSet::new()));
}

fn last_end(segment: &Old) -> u64 {
    let bytes = std::fs::read(&segment.path).unwrap();
    let mut reader = Reader::new(bytes.into(), &segment.uuid, segment.kept.first_seq);
    assert!(reader.by_ref().count() > 0);
    reader.at()
}

#[test]
fn a_missing_segment_is_named() {
    let root = written(40);
    let all = segments(&root);
    for missing in 0..all.len() {
        let root = copy(&root);
        std::fs::remove_file(root.path().join("wal").join(&all[missing].name)).unwrap();
        let outcome = check_recovery(&root);
        let gone = range(all[missing].kept.first_seq..=all[missing].kept.last_seq);
        assert!(outcome.kept.is_disjoint(&gone));
        assert_eq!(outcome.kept.len() + gone.len(), 40);
        // Of the last one nothing is left that could tell.
        let last = missing + 1 == all.len();
        assert_eq!(outcome.lost, if last { BTreeSet::new() } else { gone });
    }
}

#[test]
fn a_cut_segment_in_the_middle_is_corruption() {
    let root = written(40);
    let middle = &segments(&root)[1];
    damage(&middle.path, |bytes| bytes.truncate(segment::HEADER_BYTES + 1));
    let outcome = check_recovery(&root);
    let gone = range(middle.kept.first_seq..=middle.kept.last_seq);
    assert_eq!((outcome.lost, outcome.kept.len() as u64), (gone.clone(), 40 - gone.len() as u64));
    assert!(root.path().join("quarantine").join(&middle.name).exists());
}

#[test]
fn a_damaged_header_costs_nothing() {
    let root = written(40);
    for segment in segments(&root) {
        let root = copy(&root);
        damage(&root.path().join("wal").join(&segment.name), |bytes| bytes[..4096].fill(0));
        let outcome = check_recovery(&root);
        assert_eq!((outcome.kept, outcome.lost), (range(1..=40), BTreeSet::new()));
    }
}

#[test]
fn zeros_are_the_end_only_when_nothing_follows() {
    let root = written(40);
    for segment in segments(&root) {
        let root = copy(&root);
        let path = root.path().join("wal").join(&segment.name);
        let end = last_end(&segment) as usize;
        damage(&path, |bytes| bytes[segment::HEADER_BYTES..end - 300].fill(0));
        let outcome = check_recovery(&root);
        let all: BTreeSet<u64> = outcome.kept.union(&outcome.lost).copied().collect();
        let last = segment.kept.last_seq == 40;
        assert_eq!(
            all.len() as u64,
            if last && !outcome.kept.contains(&40) { segment.kept.first_seq - 1 } else { 40 }
        );
    }
}

#[test]
fn covered_frames_are_neither_replayed_nor_missed() {
    let root = written(40);
    let config = config(root.path());
    let recovered = recover(&config, [10, 20, 30], 0, false).unwrap();
    let seqs: Vec<u64> = recovered.frames().map(|frame| frame.unwrap().seq).collect();
    // Sequence s carries signal (s - 1) % 3.
    let expected = (1..=40u64).filter(|s| *s > [10, 20, 30][(*s as usize - 1) % 3]);
    assert_eq!(seqs, expected.collect::<Vec<_>>());
    let first = segments(&root).remove(0);
    std::fs::remove_file(&first.path).unwrap();
    let through = first.kept.last_seq;
    for covered in [[through; 3], [40; 3], [u64::MAX; 3]] {
        assert_eq!(recover(&config, covered, 0, false).unwrap().losses, vec![]);
    }
}

#[test]
fn a_newer_version_is_refused_untouched() {
    let root = written(3);
    let segment = segments(&root).remove(0);
    damage(&segment.path, |bytes| {
        bytes[8] = 2;
        let crc = crc32c::crc32c(&bytes[..124]);
        bytes[124..128].copy_from_slice(&crc.to_le_bytes());
    });
    let unfinished = root.path().join("wal/x.tmp");
    std::fs::write(&unfinished, b"").unwrap();
    let refused = recover(&config(root.path()), [0; 3], 0, true);
    assert!(matches!(refused, Err(StorageError::NewerFormat(_))));
    assert!(unfinished.exists());
}

#[test]
fn foreign_files_do_not_stop_a_start() {
    let root = written(12);
    let wal = root.path().join("wal");
    std::fs::write(wal.join("x.tmp"), b"unfinished").unwrap();
    std::fs::write(wal.join("README"), b"kept").unwrap();
    std::fs::write(wal.join("nothing.wal"), b"garbage").unwrap();
    std::fs::write(wal.join("nothing.fp"), b"garbage").unwrap();
    std::fs::create_dir(wal.join("folder.wal")).unwrap();
    let twice = segments(&root).remove(0);
    std::fs::copy(&twice.path, wal.join("copy.wal")).unwrap();
    let outcome = outcome(&root, true);
    assert_eq!((outcome.kept, outcome.unnumbered), (range(1..=12), 1));
    assert!(!wal.join("x.tmp").exists() && wal.join("README").exists());
    assert!(root.path().join("quarantine/nothing.wal").exists());
}

#[test]
fn a_second_copy_is_not_replayed() {
    let root = tempfile::tempdir().unwrap();
    let without = WalConfig { retry_window_ns: 0, ..config(root.path()) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(open(&without, [0; 3]).store([0, 1, 0, 2, 1]));
    let recovered = recover(&config(root.path()), [0; 3], 0, true).unwrap();
    let seqs: Vec<u64> = recovered.frames().map(|frame| frame.unwrap().seq).collect();
    assert_eq!(seqs, [1, 2, 4]);
}

#[test]
fn damage_after_the_start_is_told_at_replay() {
    let root = written(40);
    let recovered = recover(&config(root.path()), [0; 3], 0, true).unwrap();
    let [second, third] = [&recovered.segments[1], &recovered.segments[2]];
    damage(&second.path, |bytes| bytes[segment::HEADER_BYTES..].fill(7));
    std::fs::remove_file(&third.path).unwrap();
    let (kept, lost): (Vec<_>, Vec<_>) = recovered.frames().partition(Result::is_ok);
    let lost: Vec<_> = lost.into_iter().filter_map(|loss| loss.unwrap_err().seq).collect();
    let ranges = [second, third].map(|s| (s.kept.first_seq, s.kept.last_seq));
    assert_eq!(lost, ranges);
    let missing: u64 = ranges.iter().map(|(first, last)| last - first + 1).sum();
    assert_eq!(kept.len() as u64, 40 - missing);
}

#[test]
fn crafted_payloads_do_not_slow_a_search() {
    // A segment full of headers that claim all that follows, none of them valid.
    let mut bytes = vec![0u8; 4 << 20];
    for at in (segment::HEADER_BYTES..bytes.len()).step_by(64) {
        let length = (bytes.len() - at).saturating_sub(64) as u32;
        bytes[at..at + 4].copy_from_slice(b"OTWF");
        bytes[at + 4] = 1;
        bytes[at + 8..at + 12].copy_from_slice(&length.to_le_bytes());
        bytes[at + 32..at + 34].fill(1);
    }
    let mut reader = Reader::new(bytes.into(), &[0; 16], 1);
    assert!(reader.next().is_none());
}

/// Runs a property and prints the smallest failing input with the seed to run it again.
fn check_property<S: Strategy>(cases: u32, strategy: S, property: impl Fn(S::Value)) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let seed: [u8; 32] = rand::random();
    println!("seed {seed:?}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&strategy, |value| {
        property(value);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Flipped and zeroed bytes anywhere: every frame is kept, named, or part of the torn tail.
#[test]
fn random_damage_is_always_accounted() {
    let written = written(24);
    let place = (any::<Index>(), any::<Index>(), 1..=255u8, 1..600usize);
    check_property(40, prop::collection::vec(place, 1..4), |places| {
        let root = copy(&written);
        let all = segments(&root);
        for (segment, offset, flip, length) in &places {
            let segment = segment.get(&all);
            let end = last_end_of(segment);
            let from = offset.index(end);
            damage(&segment.path, |bytes| {
                let to = (from + length).min(end);
                if *length % 3 == 0 { bytes[from..to].fill(0) } else { bytes[from] ^= flip }
            });
        }
        let outcome = check_recovery(&root);
        let last_first = all.last().unwrap().kept.first_seq;
        let last_kept = outcome.kept.last().copied().unwrap_or(0);
        for seq in 1..=24 {
            let torn = seq >= last_first && seq > last_kept;
            let accounted = outcome.kept.contains(&seq) || outcome.lost.contains(&seq) || torn;
            assert!(accounted, "{seq} is neither kept nor named");
        }
    });
}

/// One step in the life of a log.
#[derive(Clone, Debug)]
enum Step {
    /// Sends request `n`, perhaps again.
    Send(u64),
    /// Sends request `n` to a disk whose next sync fails.
    SendFailing(u64),
    /// Commits files that cover a share of all sequences, then frees segments.
    Release(Index),
    /// Stops at once: goes on with a copy of the directory as it is.
    Crash,
    /// Stops in order.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..40u64).prop_map(Step::Send),
        1 => (0..40u64).prop_map(Step::SendFailing),
        2 => any::<Index>().prop_map(Step::Release),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

/// What must be in the log, told from the answers alone.
struct Model {
    root: TempDir,
    log: Log,
    covered: u64,
    /// Sequence to request of all that was acknowledged as stored or came back at a restart.
    stored: BTreeMap<u64, u64>,
    /// Requests whose sync failed: each may come back, whole, or not.
    unsure: BTreeSet<u64>,
    /// The last append failed; a second one in a row would make the log refuse.
    failing: bool,
}

impl Model {
    fn new() -> Model {
        let root = tempfile::tempdir().unwrap();
        let log = open(&config(root.path()), [0; 3]);
        let (stored, unsure) = (BTreeMap::new(), BTreeSet::new());
        Model { root, log, covered: 0, stored, unsure, failing: false }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Send(n) => self.send(n).await,
            Step::SendFailing(n) if !self.failing && self.stored.values().all(|s| *s != n) => {
                faults::fail_syncs(&self.root.path().join("wal"), 1);
                self.log.wal.append(request(n)).await.unwrap_err();
                self.unsure.insert(n);
                self.failing = true;
            }
            Step::SendFailing(_) => {}
            Step::Release(share) => {
                let last = self.stored.keys().last().copied().unwrap_or(0);
                self.covered = self.covered.max(share.index(last as usize + 1) as u64);
                self.log.wal.release([self.covered; 3]);
            }
            Step::Crash => {
                let crashed = copy(&self.root);
                self.reopen(Some(crashed));
            }
            Step::Restart => self.reopen(None),
        }
    }

    async fn send(&mut self, n: u64) {
        let known = self.stored.values().any(|stored| *stored == n);
        match self.log.wal.append(request(n)).await.unwrap() {
            Appended::Duplicate => assert!(known, "{n} was never stored"),
            Appended::Stored { seq } => {
                assert!(!known, "{n} is stored twice");
                assert!(self.stored.keys().all(|given| *given < seq), "{seq} was given before");
                self.stored.insert(seq, n);
                self.failing = false;
            }
        }
    }

    fn reopen(&mut self, root: Option<TempDir>) {
        self.log.wal.close();
        self.failing = false;
        self.root = root.unwrap_or_else(|| copy(&self.root));
        self.log = open(&config(self.root.path()), [self.covered; 3]);
        assert_eq!(self.log.recovered.losses, vec![]);
        let mut replayed = BTreeSet::new();
        for frame in self.log.recovered.frames() {
            let frame = frame.unwrap();
            let known = self.stored.get(&frame.seq).copied();
            let n = known.or_else(|| {
                self.unsure.iter().copied().find(|n| request(*n).fingerprint == frame.fingerprint)
            });
            let n = n.unwrap_or_else(|| panic!("{} was never sent", frame.seq));
            assert_eq!(frame.payload, request(n).payload);
            self.stored.insert(frame.seq, n);
            assert!(replayed.insert(frame.seq));
        }
        let expected: BTreeSet<u64> =
            self.stored.range(self.covered + 1..).map(|(seq, _)| *seq).collect();
        assert_eq!(replayed, expected);
    }
}

/// Any life of a log: acknowledged is there after each restart, once, and nothing else is.
#[test]
fn any_life_keeps_what_was_acknowledged() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    check_property(12, prop::collection::vec(step(), 1..60), |steps| {
        runtime.block_on(async {
            let mut model = Model::new();
            for step in steps {
                model.step(step).await;
            }
            model.step(Step::Crash).await;
        });
    });
}

fn last_end_of(segment: &Old) -> usize {
    let limit = std::fs::metadata(&segment.path).unwrap().len();
    limit.min(segment.limit) as usize
}
