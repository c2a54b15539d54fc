//! Merges in a real store: the same rows before and after, in fewer files.
#![allow(clippy::unwrap_used)] // a failing test may panic

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use bytes::Bytes;
use schemas::{Batch, columns as c};
use storage::{Append, Encoding, StoreConfig};

use super::*;
use crate::rows::{logs, spans};

/// A window of long ago, so that it is closed.
const START_NS: i64 = 1_700_000_400_000_000_000;

async fn open(dir: &std::path::Path) -> Arc<Store> {
    let never = Arc::new(|_, _, _: &[u8], _| Err("nothing to replay".to_owned()));
    Store::open(StoreConfig::new(dir), never).await.unwrap()
}

/// Appends one request and flushes it into a file of its own.
async fn flush(store: &Store, table: Table, rows: RecordBatch) {
    let number = store.stats().wal_next_seq;
    let mut fingerprint = [0; 16];
    fingerprint[..8].copy_from_slice(&number.to_le_bytes());
    let request = Append {
        signal: table.signal(),
        encoding: Encoding::Protobuf,
        payload: Bytes::from(number.to_le_bytes().to_vec()),
        fingerprint,
        received_ns: START_NS,
        accepted: rows.num_rows() as u32,
        batches: vec![Batch { table, rows, keys: Default::default() }],
    };
    store.append(request).await.unwrap();
    store.flush().await.unwrap();
}

fn policy() -> Policy {
    Policy::new(Duration::ZERO, 64 << 20)
}

#[tokio::test]
async fn one_file_a_window_holds_all_rows() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    flush(&store, Table::Logs, logs(&[("b", START_NS + 1, None), ("a", START_NS, None)])).await;
    flush(&store, Table::Logs, logs(&[("a", START_NS + 2, Some("/x"))])).await;
    let later = START_NS + 600_000_000_000;
    flush(&store, Table::Logs, logs(&[("a", later, None)])).await;

    let done = compact_once(Arc::clone(&store), policy()).await;
    assert_eq!((done.merges, done.files_in, done.rows, done.failures), (1, 2, 3, 0), "{done:?}");
    let snapshot = store.snapshot();
    let files: Vec<_> = snapshot.files(Table::Logs).iter().map(|f| (f.level, f.rows)).collect();
    assert_eq!(files.len(), 2);
    assert!(files.contains(&(1, 3)) && files.contains(&(0, 1)), "{files:?}");
    assert_eq!(compact_once(store, policy()).await, Compacted::default());
}

#[tokio::test]
async fn a_trace_in_two_files_gets_one_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    flush(&store, Table::Spans, spans(&[(7, START_NS + 5)])).await;
    flush(&store, Table::Spans, spans(&[(7, START_NS + 2), (8, START_NS + 9)])).await;
    assert_eq!(compact_once(Arc::clone(&store), policy()).await.merges, 1);

    let snapshot = store.snapshot();
    let input = snapshot.files(Table::Spans).to_vec();
    let job = Job { table: Table::Spans, window: input[0].window, inputs: input };
    let rows = Merge::open(&job, 1_000).unwrap().next().unwrap().unwrap();
    let starts = rows.column_by_name(c::TRACE_START).unwrap();
    let starts = starts.as_primitive::<TimestampNanosecondType>();
    assert_eq!(starts.values(), &[START_NS + 2, START_NS + 2, START_NS + 9]);
}

#[tokio::test]
async fn a_damaged_file_stops_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for second in 0..2 {
        flush(&store, Table::Logs, logs(&[("a", START_NS + second, None)])).await;
        flush(&store, Table::Spans, spans(&[(1, START_NS + second)])).await;
    }
    let damaged = Arc::clone(&store.snapshot().files(Table::Logs)[0]);
    std::fs::write(&damaged.path, b"PAR1").unwrap();

    let done = compact_once(Arc::clone(&store), policy()).await;
    assert_eq!((done.merges, done.failures), (1, 1));
    assert_eq!(store.snapshot().files(Table::Logs).len(), 2);
}

#[tokio::test]
async fn stops_when_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    assert_eq!(run(open(dir.path()).await, policy(), cancel).await, Compacted::default());
}

#[test]
fn rests_in_proportion_to_its_work() {
    let second = Duration::from_secs(1);
    assert_eq!(rest_after(second, 50), second);
    assert_eq!(rest_after(second, 20), 4 * second);
    assert_eq!(rest_after(second, 100), Duration::ZERO);
    assert_eq!(rest_after(second, 0), 99 * second);
}
