//! Which files go, when they leave the disk, and what a jumping clock does.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

use std::sync::Arc;
use std::time::Duration;

use schemas::Table;

use super::*;
use crate::clock::Manual;
use crate::layout::WINDOW_NS;
use crate::tests::support::{NOON_NS, append, config, replay};
use crate::{Store, StoreConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_files_are_removed_and_later_unlinked() {
    let dir = tempfile::tempdir().unwrap();
    let manual = Arc::new(Manual::default());
    manual.advance(Duration::from_nanos(NOON_NS as u64));
    let clock = Clock::Manual(Arc::clone(&manual));
    let retain = Some(Duration::from_secs(3600));
    let config = StoreConfig { retain, ..config(dir.path()) };
    let store = Store::open_at(config, replay(), clock).await.unwrap();
    append(&store, &[1, 2, 3]).await;
    store.flush().await.unwrap();
    let inner = store.inner();
    inner.expire().await.unwrap();
    let held = store.snapshot();
    assert_eq!(held.files(Table::Spans).len(), 1, "young files stay");

    manual.advance(Duration::from_secs(2 * 3600));
    inner.expire().await.unwrap();
    assert_eq!(store.snapshot().files(Table::Spans).len(), 0);
    manual.advance(Duration::from_secs(301));
    inner.unlink_removed().await.unwrap();
    let path = held.files(Table::Spans)[0].path.clone();
    assert!(path.exists(), "a snapshot holds it");
    drop(held);
    inner.unlink_removed().await.unwrap();
    assert!(!path.exists());
}

#[test]
fn the_oldest_windows_go_first_and_no_more_than_needed() {
    let file = |id: i64, bytes: u64, far: i64| {
        let window = (id * WINDOW_NS, (id + 1) * WINDOW_NS);
        let mut file = DataFile { id, bytes, window, ..sample() };
        (file.min_time_ns, file.max_time_ns) = (window.0, window.1 - 1 + far);
        Arc::new(file)
    };
    // The second one has a row whose sender lives in another century.
    let files = [file(3, 10, 0), file(0, 10, i64::MAX / 2), file(1, 10, 0), file(2, 10, 0)];
    let ids = |retain: Option<i64>, bytes| {
        let retain = retain.map(|windows| Duration::from_nanos((windows * WINDOW_NS) as u64));
        let gone = expired(&files, 200 * WINDOW_NS, retain, bytes);
        gone.iter().map(|f| f.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, None), [0_i64; 0]);
    assert_eq!(ids(None, Some(25)), [1, 2]);
    assert_eq!(ids(Some(196), None), [1, 2]);
    assert_eq!(ids(Some(50), None), [1, 2, 3, 0]);
}

#[test]
fn a_jump_of_the_wall_clock_suspends_deleting() {
    let manual = Arc::new(Manual::default());
    let clock = Clock::Manual(Arc::clone(&manual));
    let mut steadiness = Steadiness::new(&clock);
    manual.advance(Duration::from_secs(60));
    assert!(steadiness.trusted(&clock));
    manual.wall_ns.fetch_add(2 * HOUR_NS, std::sync::atomic::Ordering::SeqCst);
    assert!(!steadiness.trusted(&clock));
    manual.advance(Duration::from_secs(590));
    assert!(!steadiness.trusted(&clock));
    manual.advance(Duration::from_secs(20));
    assert!(steadiness.trusted(&clock));
}

fn sample() -> DataFile {
    DataFile {
        id: 0,
        table: Table::Spans,
        path: Default::default(),
        name: String::new(),
        level: 0,
        window: (0, 0),
        min_time_ns: 0,
        max_time_ns: 0,
        rows: 1,
        bytes: 1,
        footer_bytes: 1,
        seq: None,
        columns: Default::default(),
        promoted: Default::default(),
        keys: Default::default(),
        keys_complete: true,
        blooms: Default::default(),
    }
}
