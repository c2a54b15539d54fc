//! A flipped bit that still decodes is found behind the start, and no answer shows its rows again.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use schemas::Table;

use super::{Scrubbed, plan, run};
use crate::tests::support::{append, config, numbers_of, open, read, visible};
use crate::verify::OTHER_BYTES;
use crate::{DataFile, check_file};

/// A closed store of spans 0..100 in files; the files.
async fn written(dir: &Path) -> Vec<Arc<DataFile>> {
    let store = open(config(dir)).await;
    for half in [0..50_u64, 50..100] {
        append(&store, &half.collect::<Vec<_>>()).await;
        store.flush().await.unwrap();
    }
    store.close().await.unwrap();
    store.snapshot().files(Table::Spans).to_vec()
}

fn numbers(file: &DataFile) -> Vec<u64> {
    read(&file.path).iter().flat_map(numbers_of).collect()
}

/// Flips the first bit that nothing but the values tells: the file decodes, with all its rows.
fn flip_unnoticed(file: &DataFile) {
    let whole = std::fs::read(&file.path).unwrap();
    let right = read(&file.path);
    let pages = 4..whole.len() - 8 - file.footer_bytes as usize;
    let changes = pages.flat_map(|at| (0..8).map(move |bit| (at, bit)));
    for (at, bit) in changes {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        std::fs::write(&file.path, bytes).unwrap();
        if check_file(file).is_ok() && read(&file.path) != right {
            return;
        }
    }
    panic!("every flipped bit is noticed by the decoder");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_that_still_decodes_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let files = written(dir.path()).await;
    let damaged = &files[0];
    let lost = numbers(damaged);
    flip_unnoticed(damaged);
    let rest: Vec<u64> = (0..100).filter(|number| !lost.contains(number)).collect();
    let count = files.len() as u64;
    for start in 0..2 {
        let store = open(config(dir.path())).await;
        let found = store.scrubbed().await;
        let expected = match start {
            0 => Scrubbed { sound: count - 1, damaged: 1, ..Scrubbed::default() },
            _ => Scrubbed { sound: count - 1, ..Scrubbed::default() },
        };
        assert_eq!((found, store.stats().scrubbed), (expected, expected), "start {start}");
        let snapshot = store.snapshot();
        assert_eq!(visible(&snapshot), rest, "start {start}");
        let [gap] = snapshot.gaps() else { panic!("{:?}", snapshot.gaps()) };
        assert_eq!((gap.rows, gap.cause.as_str()), (Some(lost.len() as u64), OTHER_BYTES));
        assert_eq!(gap.file.as_deref(), Some(damaged.name.as_str()));
        assert!(!damaged.path.exists(), "the file is in quarantine");
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_without_a_hash_or_that_cannot_be_read_are_unchecked() {
    let dir = tempfile::tempdir().unwrap();
    let files = written(dir.path()).await;
    let store = open(config(dir.path())).await;
    let sound = store.scrubbed().await.sound;
    assert_eq!(sound, files.len() as u64);
    let wrong = HashMap::from([(files[0].id, [0; 32])]);
    std::fs::rename(&files[0].path, files[0].path.with_extension("away")).unwrap();
    run(Arc::clone(store.inner()), plan(store.inner(), &wrong)).await;
    let expected = Scrubbed { sound, unchecked: files.len() as u64, ..Scrubbed::default() };
    assert_eq!(store.stats().scrubbed, expected);
    assert_eq!(store.snapshot().gaps(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_left_meanwhile_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let store = open(config(dir.path())).await;
    let before = store.scrubbed().await;
    let work = plan(store.inner(), &HashMap::new());
    for file in store.snapshot().files(Table::Spans) {
        assert!(store.quarantine_file(file.id, "gone").await.unwrap());
    }
    run(Arc::clone(store.inner()), work).await;
    assert_eq!(store.stats().scrubbed, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_when_the_store_closes() {
    let dir = tempfile::tempdir().unwrap();
    let files = written(dir.path()).await;
    let store = open(config(dir.path())).await;
    store.scrubbed().await;
    let hashes = files.iter().map(|file| (file.id, [0; 32])).collect();
    let work = plan(store.inner(), &hashes);
    store.close().await.unwrap();
    run(Arc::clone(store.inner()), work).await;
    assert_eq!(store.stats().scrubbed.pending, files.len() as u64);
    assert_eq!(store.snapshot().gaps(), []);
}
