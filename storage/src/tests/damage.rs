//! Damage of any file is named, costs its own rows at most, and never stops an open.

use std::path::{Path, PathBuf};

use super::support::{append, config, open, replay, request, visible};
use crate::{Store, StoreConfig, layout, sweep, verify_dir};

/// A closed store with spans 0..100 in two files and 100..150 in the WAL alone.
async fn written(dir: &Path) {
    let store = open(config(dir)).await;
    for half in [0..50_u64, 50..100] {
        append(&store, &half.collect::<Vec<_>>()).await;
        store.flush().await.unwrap();
    }
    append(&store, &(100..150).collect::<Vec<_>>()).await;
    store.count_rejects(schemas::Signal::Traces, "too_large", 7);
    store.inner().persist_rejects().await.unwrap();
    store.inner().writer().unwrap().catalog.save_copy(0).await.unwrap();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

fn parquet(dir: &Path) -> PathBuf {
    dir.join(sweep::parquet_files(dir).remove(0))
}

async fn findings(dir: &Path) -> usize {
    verify_dir(dir, &mut |_, _| ()).await.unwrap().findings.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_directories_have_no_findings() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let report = verify_dir(dir.path(), &mut |_, _| ()).await.unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.rows, report.frames), (100, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_and_cut_files_are_gaps() {
    let damages: [fn(&Path); 2] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, b"short").unwrap(),
    ];
    for damage in damages {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path()).await;
        damage(&parquet(dir.path()));
        assert!(findings(dir.path()).await > 0);
        for _ in 0..2 {
            let store = open(config(dir.path())).await;
            let snapshot = store.snapshot();
            assert_eq!(snapshot.gaps().len(), 1, "{:?}", snapshot.gaps());
            let lost = snapshot.gaps()[0].rows.unwrap();
            assert_eq!(visible(&snapshot).len() as u64, 150 - lost);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_decoded_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    let store = open(config(dir.path())).await;
    // Else that could come first.
    store.scrubbed().await;
    let file = store.snapshot().files(schemas::Table::Spans)[0].clone();
    flip(&file.path, 100);
    assert_eq!(findings(dir.path()).await, 1);
    assert!(store.quarantine_file(file.id, "page 0 cannot be decoded").await.unwrap());
    assert!(!store.quarantine_file(file.id, "again").await.unwrap());
    assert!(!file.path.exists());
    assert_eq!(store.snapshot().gaps()[0].rows, Some(file.rows));
    assert_eq!(visible(&store.snapshot()).len() as u64, 150 - file.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_catalog_is_made_again() {
    for step in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path()).await;
        // Fold the log into the file, so that the flip is seen.
        open(config(dir.path())).await.inner().writer().unwrap().catalog.close().await;
        let path = layout::catalog(dir.path());
        let bytes = std::fs::metadata(&path).unwrap().len() as usize;
        match step {
            0 => std::fs::write(&path, b"not a database, but long enough to be looked at").unwrap(),
            1 => std::fs::File::options().write(true).open(&path).unwrap().set_len(8192).unwrap(),
            _ => flip(&path, bytes * step / 12),
        }
        let reading = StoreConfig { read_only: true, ..config(dir.path()) };
        let reader = open(reading).await;
        assert_eq!(visible(&reader.snapshot()), (0..150).collect::<Vec<_>>(), "reading, {step}");
        let store = open(config(dir.path())).await;
        let snapshot = store.snapshot();
        assert_eq!(visible(&snapshot), (0..150).collect::<Vec<_>>(), "step {step}");
        if step < 2 {
            assert_eq!(snapshot.gaps().len(), 1);
            let rejected: u64 = store.rejects().iter().map(|r| r.3).sum();
            assert_eq!(rejected, 7, "the copy knows the counts");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_the_log_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    written(dir.path()).await;
    // The store is gone once this one has the lock.
    let store = open(config(dir.path())).await;
    append(&store, &[150, 151]).await;
    append(&store, &[152]).await;
    drop(store);
    drop(open(config(dir.path())).await);
    let needle = 150_u64.to_le_bytes();
    for entry in std::fs::read_dir(layout::wal(dir.path())).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(16).position(|w| w[..8] == needle && w[8] == 151) {
            flip(&path, at);
        }
    }
    for _ in 0..2 {
        let store = open(config(dir.path())).await;
        let snapshot = store.snapshot();
        assert_eq!(snapshot.gaps().len(), 1, "{:?}", snapshot.gaps());
        let expected: Vec<u64> = (0..150).chain([152]).collect();
        assert_eq!(visible(&snapshot), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_no_decoder_survives_is_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    append(&store, &[0, 1]).await;
    append(&store, &[u64::MAX]).await;
    append(&store, &[2]).await;
    drop(store);
    let store = open(config(dir.path())).await;
    assert_eq!(visible(&store.snapshot()), [0, 1, 2]);
    assert_eq!(store.snapshot().gaps().len(), 1);
    assert_eq!(store.snapshot().gaps()[0].rows, Some(1));
    let kept = std::fs::read_dir(layout::quarantine(dir.path())).unwrap().count();
    assert_eq!(kept, 1);
    // Once the others are in files the frame is not tried again.
    store.flush().await.unwrap();
    drop(store);
    let store = open(config(dir.path())).await;
    assert_eq!(store.snapshot().gaps().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_catalog_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    open(config(dir.path())).await.close().await.unwrap();
    let path = layout::catalog(dir.path());
    let mut connection =
        sqlx::ConnectOptions::connect(&sqlx::sqlite::SqliteConnectOptions::new().filename(&path))
            .await
            .unwrap();
    sqlx::query("UPDATE meta SET value = '99' WHERE key = 'format'")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let refused = Store::open(config(dir.path()), replay()).await;
    assert!(matches!(refused, Err(crate::StorageError::NewerFormat(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_while_the_disk_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let mut full = config(dir.path());
    full.disk.refuse_bytes = u64::MAX;
    let store = open(full).await;
    let refused = store.append(request(&[1])).await;
    assert!(matches!(refused, Err(crate::StorageError::Unavailable { .. })), "{refused:?}");
    assert!(store.stats().read_only_reason.is_some());
}
