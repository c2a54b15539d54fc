//! Whatever happens between an answer and a query, the rows are there, once each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use schemas::Signal;

use super::support::{append, config, open, request, visible};
use crate::{Appended, Store};

/// What a run of the property test does next.
#[derive(Clone, Debug)]
enum Step {
    /// A request of so many spans.
    Append(usize),
    /// The last request once more, byte for byte.
    Retry,
    Flush,
    /// Writes a generation's files and dies before the commit.
    DieWithFiles,
    /// Dies between commit and swap.
    DieCommitted,
    /// Drops the store, as a crash does.
    Die,
    Close,
    /// Opens the directory beside the running store.
    ReadOnly,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_usize..40).prop_map(Step::Append),
        2 => Just(Step::Retry),
        2 => Just(Step::Flush),
        1 => Just(Step::DieWithFiles),
        1 => Just(Step::DieCommitted),
        1 => Just(Step::Die),
        1 => Just(Step::Close),
        1 => Just(Step::ReadOnly),
    ];
    proptest::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_row_is_visible_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(config(dir.path())).await;
    let mut next = 0;
    let mut last: Vec<u64> = vec![];
    for step in steps {
        match step {
            Step::Append(count) => {
                last = (next..next + count as u64).collect();
                next += count as u64;
                append(&store, &last).await;
            }
            Step::Retry if !last.is_empty() => {
                let answer = store.append(request(&last)).await.unwrap();
                assert_eq!(answer, Appended::Duplicate);
            }
            Step::Retry => {}
            Step::Flush => store.flush().await.unwrap(),
            Step::DieWithFiles => {
                if let Some(sealed) = store.inner().buffer.oldest(Signal::Traces) {
                    store.inner().write_generation(sealed).await.unwrap();
                }
                store = reopen(store, dir.path()).await;
            }
            Step::DieCommitted => {
                if let Some(sealed) = store.inner().buffer.oldest(Signal::Traces) {
                    let (files, sealed) = store.inner().write_generation(sealed).await.unwrap();
                    store.inner().commit_only(&sealed, files).await.unwrap();
                }
                store = reopen(store, dir.path()).await;
            }
            Step::Die => store = reopen(store, dir.path()).await,
            Step::Close => {
                store.close().await.unwrap();
                store = reopen(store, dir.path()).await;
            }
            Step::ReadOnly => {
                let reading = crate::StoreConfig { read_only: true, ..config(dir.path()) };
                let reader = open(reading).await;
                assert_eq!(visible(&reader.snapshot()), (0..next).collect::<Vec<_>>());
            }
        }
        let snapshot = store.snapshot();
        assert_eq!(visible(&snapshot), (0..next).collect::<Vec<_>>());
        assert_eq!(snapshot.gaps(), []);
    }
}

async fn reopen(store: Arc<Store>, dir: &std::path::Path) -> Arc<Store> {
    drop(store);
    open(config(dir)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_a_gap_or_a_double() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    let done = Arc::new(AtomicBool::new(false));
    let (reading, stop) = (Arc::clone(&store), Arc::clone(&done));
    let reader = tokio::task::spawn_blocking(move || {
        let mut most = 0;
        while !stop.load(Ordering::SeqCst) {
            let numbers = visible(&reading.snapshot());
            let distinct: BTreeSet<&u64> = numbers.iter().collect();
            assert_eq!(distinct.len(), numbers.len(), "a row is there twice");
            assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "a row is missing");
            assert!(numbers.len() >= most, "rows went away");
            most = numbers.len();
        }
        most
    });
    for round in 0..60_u64 {
        append(&store, &(round * 25..(round + 1) * 25).collect::<Vec<_>>()).await;
        if round % 10 == 9 {
            store.flush().await.unwrap();
        }
    }
    done.store(true, Ordering::SeqCst);
    reader.await.unwrap();
    assert_eq!(visible(&store.snapshot()).len(), 1500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiny_requests_are_merged_as_they_come() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    for group in 0..10_u64 {
        let appends = (group * 150..(group + 1) * 150).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { append(&store, &[number]).await })
        });
        for append in appends.collect::<Vec<_>>() {
            append.await.unwrap();
        }
    }
    let snapshot = store.snapshot();
    assert_eq!(visible(&snapshot), (0..1500).collect::<Vec<_>>());
    let batches = snapshot.live(schemas::Table::Spans).len();
    assert!(batches < 100, "{batches} batches");
    let stats = store.stats();
    assert!(stats.live_bytes < 2 << 20, "{} bytes for 1500 spans", stats.live_bytes);
    store.close().await.unwrap();
    assert_eq!(store.stats().live_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_memory_is_answered_with_a_delay_and_heals() {
    let dir = tempfile::tempdir().unwrap();
    let small = crate::StoreConfig { live_bytes_max: 1, ..config(dir.path()) };
    let store = open(small).await;
    store.room(Duration::ZERO).await.unwrap();
    let flushing = store.inner().writer().unwrap().flushing.lock().await;
    append(&store, &[0]).await;
    let refused = [store.room(Duration::ZERO).await, store.append(request(&[1])).await.map(drop)];
    for answer in refused {
        assert!(matches!(answer, Err(crate::StorageError::Unavailable { .. })), "{answer:?}");
    }
    // The refusal has woken the flusher; who may wait for the room that it makes gets in.
    drop(flushing);
    for number in [1, 2] {
        store.room(Duration::from_secs(60)).await.unwrap();
        append(&store, &[number]).await;
    }
    assert_eq!(visible(&store.snapshot()), [0, 1, 2]);
}
