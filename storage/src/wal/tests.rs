//! The running log: durable before acknowledged, bounded, surviving failures of the disk.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

pub(crate) mod faults;

pub(super) const SECOND_NS: i64 = 1_000_000_000;

/// Sizes so small that a few requests fill a segment.
pub(super) fn config(root: &Path) -> WalConfig {
    WalConfig {
        dir: root.join("wal"),
        quarantine_dir: root.join("quarantine"),
        segment_bytes: (segment::HEADER_BYTES + 2048) as u64,
        queue_requests: 256,
        queue_bytes: 32 << 20,
        group_bytes: 8 << 20,
        retry_window_ns: 900 * SECOND_NS,
        fingerprint_bytes: 1 << 20,
    }
}

/// The n-th request: signal, payload and fingerprint follow from the number.
pub(super) fn request(n: u64) -> Append {
    let mut payload = format!("request {n} ").into_bytes();
    payload.resize(20 + (n as usize * 37) % 700, b'.');
    Append {
        signal: Signal::ALL[n as usize % 3],
        encoding: if n.is_multiple_of(2) { Encoding::Protobuf } else { Encoding::Json },
        payload: payload.into(),
        fingerprint: *blake3::hash(&n.to_le_bytes()).as_bytes().first_chunk().unwrap(),
        received_ns: SECOND_NS + n as i64,
        accepted: n as u32 + 1,
        batches: Vec::new(),
    }
}

/// A log on a directory, with the sequences it has published.
pub(super) struct Log {
    pub(super) wal: Arc<Wal>,
    pub(super) recovered: Recovered,
    pub(super) published: Arc<Mutex<Vec<u64>>>,
}

pub(super) fn open(config: &WalConfig, covered: Covered) -> Log {
    let mut recovered = recover(config, covered, 2 * SECOND_NS, true).unwrap();
    let published = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&published);
    let publish = move |group: Vec<Committed>| seen.lock().extend(group.iter().map(|c| c.seq));
    let wal = Wal::start(config.clone(), &mut recovered, Box::new(publish)).unwrap();
    Log { wal: Arc::new(wal), recovered, published }
}

impl Log {
    /// Appends one after the other and returns the sequences.
    pub(super) async fn store(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut seqs = Vec::new();
        for n in numbers {
            match self.wal.append(request(n)).await {
                Ok(Appended::Stored { seq }) => seqs.push(seq),
                other => panic!("request {n}: {other:?}"),
            }
        }
        seqs
    }
}

/// Copies a directory tree, as a disk looks to whoever reads it after a crash.
pub(super) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn names(dir: &Path, suffix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(suffix));
    names.sort();
    names
}

fn unavailable(result: Result<Appended, StorageError>) -> (String, u64) {
    match result {
        Err(StorageError::Unavailable { reason, retry_after }) => (reason, retry_after.as_secs()),
        other => panic!("not unavailable: {other:?}"),
    }
}

#[tokio::test]
async fn acknowledged_means_published_in_order() {
    let root = tempfile::tempdir().unwrap();
    let log = open(&config(root.path()), [0; 3]);
    assert_eq!(log.store(0..20).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(*log.published.lock(), (1..=20).collect::<Vec<_>>());
    let stats = log.wal.stats();
    assert_eq!((stats.frames, stats.next_seq, stats.sync_failures), (20, 21, 0));
    assert_eq!((stats.fingerprints, stats.oldest_fingerprint_ns), (20, Some(SECOND_NS)));
    assert!(stats.segments > 2 && stats.syncs == 20 && stats.refusing.is_none());
}

#[tokio::test]
async fn many_at_once_share_syncs() {
    let root = tempfile::tempdir().unwrap();
    let log = open(&WalConfig { segment_bytes: 1 << 20, ..config(root.path()) }, [0; 3]);
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let wal = Arc::clone(&log.wal);
            tokio::spawn(async move { wal.append(request(n)).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Appended::Stored { .. }));
    }
    assert_eq!(*log.published.lock(), (1..=200).collect::<Vec<_>>());
    assert!(log.wal.stats().syncs < 200);
}

#[tokio::test]
async fn a_frame_larger_than_a_segment_gets_its_own() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let log = open(&config, [0; 3]);
    log.store([0]).await;
    let mut payload = vec![0; 10_000];
    blake3::Hasher::new().finalize_xof().fill(&mut payload);
    let large = Append { payload: payload.clone().into(), ..request(1) };
    assert_eq!(log.wal.append(large).await.unwrap(), Appended::Stored { seq: 2 });
    log.store([2]).await;
    log.wal.close();
    let recovered = recover(&config, [0; 3], 0, false).unwrap();
    let frames: Vec<Frame> = recovered.frames().map(Result::unwrap).collect();
    assert_eq!(frames[1].payload, payload);
    assert_eq!((frames.len(), recovered.losses.len()), (3, 0));
}

#[tokio::test]
async fn after_closing_nothing_is_stored() {
    let root = tempfile::tempdir().unwrap();
    let log = open(&config(root.path()), [0; 3]);
    log.wal.close();
    log.wal.close();
    assert!(matches!(log.wal.append(request(0)).await, Err(StorageError::ShuttingDown)));
}

/// A log whose committer stands in its first publish until told to go on, and that telling.
fn standing(config: &WalConfig) -> (Arc<Wal>, mpsc::Receiver<()>, mpsc::SyncSender<()>) {
    let (entered, entries) = mpsc::sync_channel(64);
    let (go_on, waiting) = mpsc::sync_channel(64);
    let mut recovered = recover(config, [0; 3], 0, true).unwrap();
    let publish = move |_: Vec<Committed>| {
        entered.send(()).unwrap();
        // Ends with an error once the test lets go of it.
        let _ = waiting.recv();
    };
    let wal = Wal::start(config.clone(), &mut recovered, Box::new(publish)).unwrap();
    (Arc::new(wal), entries, go_on)
}

fn spawn(wal: &Arc<Wal>, n: u64) -> tokio::task::JoinHandle<Result<Appended, StorageError>> {
    let wal = Arc::clone(wal);
    tokio::spawn(async move { wal.append(request(n)).await })
}

#[tokio::test]
async fn a_full_queue_refuses() {
    for (queue_requests, queue_bytes) in [(2, 32 << 20), (256, 300)] {
        let root = tempfile::tempdir().unwrap();
        let config = WalConfig { queue_requests, queue_bytes, ..config(root.path()) };
        let (wal, entries, go_on) = standing(&config);
        let mut tasks = vec![spawn(&wal, 0)];
        tokio::task::yield_now().await;
        entries.recv().unwrap();
        tasks.extend([spawn(&wal, 1), spawn(&wal, 2)]);
        tokio::task::yield_now().await;
        let (reason, after_s) = unavailable(wal.append(request(3)).await);
        assert_eq!((reason.as_str(), after_s), ("the write-ahead log's queue is full", 1));
        drop(go_on);
        for task in tasks {
            assert!(matches!(task.await.unwrap(), Ok(Appended::Stored { .. })));
        }
        assert!(matches!(wal.append(request(3)).await, Ok(Appended::Stored { .. })));
    }
}

#[tokio::test]
async fn a_dropped_append_is_stored_all_the_same() {
    let root = tempfile::tempdir().unwrap();
    let (wal, entries, go_on) = standing(&config(root.path()));
    let first = spawn(&wal, 0);
    tokio::task::yield_now().await;
    entries.recv().unwrap();
    let dropped = spawn(&wal, 1);
    tokio::task::yield_now().await;
    dropped.abort();
    drop(go_on);
    first.await.unwrap().unwrap();
    assert_eq!(wal.append(request(1)).await.unwrap(), Appended::Duplicate);
}

#[tokio::test]
async fn a_concurrent_copy_waits_and_is_a_duplicate() {
    let root = tempfile::tempdir().unwrap();
    let (wal, entries, go_on) = standing(&config(root.path()));
    let first = spawn(&wal, 0);
    tokio::task::yield_now().await;
    entries.recv().unwrap();
    let copy = spawn(&wal, 0);
    tokio::task::yield_now().await;
    assert!(!copy.is_finished());
    drop(go_on);
    assert_eq!(first.await.unwrap().unwrap(), Appended::Stored { seq: 1 });
    assert_eq!(copy.await.unwrap().unwrap(), Appended::Duplicate);
    assert_eq!(wal.stats().deduplicated, 1);
}

#[tokio::test]
async fn a_panic_while_publishing_leaves_nobody_waiting() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let mut recovered = recover(&config, [0; 3], 0, true).unwrap();
    let publish = |_: Vec<Committed>| panic!("published");
    let wal = Wal::start(config, &mut recovered, Box::new(publish)).unwrap();
    unavailable(wal.append(request(0)).await);
    // Joins the thread, whose end closes the queue.
    wal.close();
    assert!(matches!(wal.append(request(1)).await, Err(StorageError::ShuttingDown)));
}

#[tokio::test]
async fn the_disk_watermark_refuses_and_lets_go() {
    let root = tempfile::tempdir().unwrap();
    let log = open(&config(root.path()), [0; 3]);
    log.store([0]).await;
    log.wal.set_refuse(Some("the disk is nearly full".to_owned()));
    assert_eq!(
        unavailable(log.wal.append(request(1)).await),
        ("the disk is nearly full".to_owned(), 5)
    );
    // A retry of what is stored needs no space.
    assert_eq!(log.wal.append(request(0)).await.unwrap(), Appended::Duplicate);
    log.wal.set_refuse(None);
    log.store([1]).await;
}

#[tokio::test]
async fn release_frees_only_what_is_covered() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let log = open(&config, [0; 3]);
    log.store(0..30).await;
    let before = names(&config.dir, ".wal");
    // Traces stay uncovered: nothing may go, however far the others are.
    log.wal.release([0, 30, 30]);
    assert_eq!(names(&config.dir, ".wal"), before);
    log.wal.release([10, 10, 10]);
    let after = names(&config.dir, ".wal");
    assert!(after.len() < before.len() && before.ends_with(&after));
    let recovered = recover(&config, [10, 10, 10], 0, false).unwrap();
    let seqs: Vec<u64> = recovered.frames().map(|f| f.unwrap().seq).collect();
    assert_eq!((seqs, recovered.losses), ((11..=30).collect(), vec![]));
    // The current segment stays, freed ones become spares, at most four.
    log.wal.release([30; 3]);
    assert_eq!((names(&config.dir, ".wal").len(), names(&config.dir, ".spare").len()), (1, 4));
    assert_eq!(log.wal.stats().segments, 1);
}

#[tokio::test]
async fn recycled_segments_hold_only_new_frames() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let log = open(&config, [0; 3]);
    log.store(0..30).await;
    log.wal.release([30; 3]);
    log.store(30..33).await;
    let crashed = tempfile::tempdir().unwrap();
    copy_dir(root.path(), crashed.path());
    let config = self::config(crashed.path());
    let recovered = recover(&config, [30; 3], 0, true).unwrap();
    let seqs: Vec<u64> = recovered.frames().map(|f| f.unwrap().seq).collect();
    assert_eq!(seqs, [31, 32, 33]);
    assert_eq!((recovered.losses.len(), recovered.torn_tail_bytes), (0, 0));
    assert_eq!(recovered.next_seq, 34);
}

#[tokio::test]
async fn retries_are_known_before_and_after_restart_and_recycling() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let log = open(&config, [0; 3]);
    log.store(0..30).await;
    assert_eq!(log.wal.append(request(7)).await.unwrap(), Appended::Duplicate);
    drop(log);
    let log = open(&config, [0; 3]);
    assert_eq!(log.wal.append(request(7)).await.unwrap(), Appended::Duplicate);
    log.store([30]).await;
    log.wal.release([30; 3]);
    assert!(names(&config.dir, ".wal").len() == 1 && !names(&config.dir, ".fp").is_empty());
    drop(log);
    let log = open(&config, [30; 3]);
    for n in 0..=30 {
        assert_eq!(log.wal.append(request(n)).await.unwrap(), Appended::Duplicate, "{n}");
    }
    assert_eq!(log.wal.stats().deduplicated, 31);
    // Once the window has passed they are new requests, and their files go.
    let later_ns = 5000 * SECOND_NS;
    for n in 0..30 {
        let late = Append { received_ns: later_ns, ..request(n) };
        assert!(matches!(log.wal.append(late).await.unwrap(), Appended::Stored { .. }));
    }
    log.wal.release([u64::MAX; 3]);
    let mut old = names(&config.dir, ".fp");
    old.retain(|name| name.as_str() < "00000000000000000031");
    assert_eq!(old, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_window_copies_are_stored() {
    let root = tempfile::tempdir().unwrap();
    let config = WalConfig { retry_window_ns: 0, ..config(root.path()) };
    let log = open(&config, [0; 3]);
    assert_eq!(log.store([0, 0, 0]).await, [1, 2, 3]);
    log.wal.close();
    assert_eq!(recover(&config, [0; 3], 0, false).unwrap().frames().count(), 3);
}

#[tokio::test]
async fn a_failed_sync_fails_its_requests_only() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let log = open(&config, [0; 3]);
    log.store([0]).await;
    faults::fail_syncs(&config.dir, 1);
    let (reason, after_s) = unavailable(log.wal.append(request(1)).await);
    assert!(reason.contains("could not be written") && after_s == 5, "{reason}");
    // The retry is a request of its own and the failed sequence is never given again.
    assert_eq!(log.store([1, 2]).await, [3, 4]);
    assert_eq!(*log.published.lock(), [1, 3, 4]);
    assert_eq!(log.wal.stats().sync_failures, 1);
    drop(log);
    let recovered = recover(&config, [0; 3], 0, true).unwrap();
    let seqs: Vec<u64> = recovered.frames().map(|f| f.unwrap().seq).collect();
    assert_eq!((seqs, recovered.losses), (vec![1, 3, 4], vec![]));
}

#[tokio::test]
async fn two_failures_refuse_until_a_segment_can_be_made() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let log = open(&config, [0; 3]);
    let moved = root.path().join("moved");
    log.store([0]).await;
    faults::fail_syncs(&config.dir, 1);
    unavailable(log.wal.append(request(1)).await);
    std::fs::rename(&config.dir, &moved).unwrap();
    unavailable(log.wal.append(request(1)).await);
    assert!(log.wal.stats().refusing.unwrap().contains("2 times in a row"));
    std::fs::rename(&moved, &config.dir).unwrap();
    // One request a second of refused ones wakes the committer to try again.
    let later = |s: i64| Append { received_ns: s * SECOND_NS, ..request(1) };
    let mut seconds = 100;
    let healed = loop {
        match log.wal.append(later(seconds)).await {
            Ok(appended) => break appended,
            Err(error) => assert!(matches!(error, StorageError::Unavailable { .. }), "{error}"),
        }
        seconds += 1;
        assert!(seconds < 100_000, "does not heal");
        tokio::task::yield_now().await;
    };
    assert!(matches!(healed, Appended::Stored { .. }));
    assert_eq!(log.wal.stats().refusing, None);
    drop(log);
    let recovered = recover(&config, [0; 3], 0, true).unwrap();
    assert_eq!((recovered.frames().count(), recovered.losses), (2, vec![]));
}

#[tokio::test]
async fn a_failing_disk_does_not_fill_with_segments() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path());
    let log = open(&config, [0; 3]);
    faults::fail_syncs(&config.dir, u32::MAX);
    for n in 0..20 {
        unavailable(log.wal.append(request(n)).await);
        assert!(names(&config.dir, ".wal").len() <= 1);
    }
}

/// What the fuzz target does, with bytes at random: keeps it alive in the ordinary tests.
#[test]
fn arbitrary_bytes_are_read() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    for length in 0..600 {
        let mut data = vec![0; length];
        rand::RngCore::fill_bytes(&mut rng, &mut data);
        crate::fuzzing::wal_reader(&data);
        for (at, byte) in [(0, b"OTWF\x01\0\0\0\x10\0\0\0".as_slice()), (32, &[1, 1, 3])] {
            if let Some(place) = data.get_mut(at..at + byte.len()) {
                place.copy_from_slice(byte);
            }
        }
        crate::fuzzing::wal_reader(&data);
    }
}

/// Prints what a durable append costs with many senders: add `-- --nocapture throughput`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput_of_small_appends() {
    const TASKS: u64 = 200;
    let each = 50;
    let root = tempfile::tempdir().unwrap();
    let log = open(&WalConfig { segment_bytes: 64 << 20, ..config(root.path()) }, [0; 3]);
    let started = std::time::Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let wal = Arc::clone(&log.wal);
            tokio::spawn(async move {
                for n in 0..each {
                    wal.append(request(task * each + n)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let elapsed: Duration = started.elapsed();
    let stats = log.wal.stats();
    let rate = (TASKS * each) as f64 / elapsed.as_secs_f64();
    println!(
        "{rate:.0} appends/s, {} syncs of {} ns",
        stats.syncs,
        stats.sync_ns_total / stats.syncs
    );
    assert_eq!(stats.frames, TASKS * each);
}
