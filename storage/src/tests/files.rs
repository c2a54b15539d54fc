//! What flushed files look like: order, windows, facts, names, and the catalog's views for DuckDB.

use std::os::unix::fs::PermissionsExt;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use schemas::columns as c;
use schemas::{Keys, Table};
use sqlx::{ConnectOptions, Row};

use super::support::{
    Columns, NOON_NS, append, batch_of, config, numbers_of, open, read, span_row, spans, visible,
};
use crate::{Bound, Promotion, SortKey, StorageError, layout, sort_rows};

/// (bucket, trace, start) of each row, and its stored `trace_start`.
fn sort_keys(rows: &arrow_array::RecordBatch) -> Vec<(i64, Vec<u8>, i64)> {
    let times =
        |name| rows.column_by_name(name).unwrap().as_primitive::<TimestampNanosecondType>().clone();
    let (trace_start, start) = (times(c::TRACE_START), times(c::START_TIME));
    let trace = rows.column_by_name(c::TRACE_ID).unwrap().as_fixed_size_binary().clone();
    (0..rows.num_rows())
        .map(|i| {
            (
                trace_start.value(i).div_euclid(10_000_000_000),
                trace.value(i).to_vec(),
                start.value(i),
            )
        })
        .collect()
}

#[test]
fn rows_of_batches_with_other_columns_are_sorted_together() {
    let batches = [spans(&[7, 3, 900, 1], 0), spans(&[2, 5], 0), spans(&[4, 1000, 6], 0)];
    let rows: Vec<_> = batches.iter().map(|b| b.rows.clone()).collect();
    let sorted = sort_rows(Table::Spans, &rows).unwrap();
    assert!(sort_keys(&sorted).is_sorted());
    let mut numbers = numbers_of(&sorted);
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 900, 1000]);
    let route = sorted.column_by_name("a.http.route").unwrap();
    let filled = numbers_of(&sorted).iter().filter(|n| n.is_multiple_of(3)).count();
    assert_eq!(route.len() - route.null_count(), filled);
}

#[test]
fn sorted_rows_stand_in_the_order_of_their_keys() {
    let mut columns = Columns::default();
    (0..500).map(|n| n * 7919 % 997).for_each(|number| span_row(number, &mut columns));
    for table in Table::ALL {
        let rows = batch_of(table, &columns, NOON_NS).rows;
        let sorted = sort_rows(table, &[rows]).unwrap();
        let keys: Vec<_> =
            (0..sorted.num_rows()).map(|at| SortKey::of(table, &sorted, at).unwrap()).collect();
        assert!(keys.is_sorted(), "{}", table.name());
        let distinct = keys.chunk_by(|a, b| a == b).count();
        assert!(distinct > 300, "{}: {distinct} keys tell 500 rows apart", table.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushed_files_are_sorted_and_described() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    append(&store, &(0..2000).collect::<Vec<_>>()).await;
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    let files = snapshot.files(Table::Spans);
    // 977 seconds of starts lie in two or three windows of ten minutes.
    assert!((2..=3).contains(&files.len()), "{} files", files.len());
    for file in files {
        let rows = read(&file.path);
        let keys: Vec<_> = rows.iter().flat_map(sort_keys).collect();
        assert!(keys.is_sorted());
        assert_eq!(keys.len() as u64, file.rows);
        let width = file.window.1 - file.window.0;
        assert_eq!(width, layout::WINDOW_NS);
        assert!(keys.iter().all(|(bucket, ..)| {
            (file.window.0..file.window.1).contains(&(bucket * 10_000_000_000))
        }));
        let starts = keys.iter().map(|k| k.2);
        assert_eq!(
            (starts.clone().min(), starts.max()),
            (Some(file.min_time_ns), Some(file.max_time_ns))
        );
        assert_eq!(file.promoted["a.http.route"], Promotion::Full);
        assert_eq!(file.columns[c::PARENT_SPAN_ID].nulls, Some(file.rows));
        assert_eq!(file.columns[c::SERVICE_NAME].min, Some(Bound::Text("service-0".to_owned())));
        assert!(matches!(file.columns[c::TRACE_ID].min, Some(Bound::Bytes(_))));
        assert_eq!(file.seq, Some((1, 1)));
        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            rows[0].schema().field_with_name(c::NAME).unwrap().data_type(),
            &arrow_schema::DataType::Utf8
        );
    }
    let keys = store.attribute_keys();
    assert_eq!((keys.len(), keys[0].key.as_str(), keys[0].rows), (1, "http.route", 667));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_survive_a_restart_and_stand_in_the_footer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    append(&store, &(0..500).collect::<Vec<_>>()).await;
    store.flush().await.unwrap();
    let before: Vec<_> = store.snapshot().files(Table::Spans).to_vec();
    store.close().await.unwrap();
    drop(store);
    let store = open(config(dir.path())).await;
    assert_eq!(store.snapshot().files(Table::Spans), before);
    for file in &before {
        let (mut read, inputs) = crate::parquet_file::read(dir.path(), &file.name).unwrap();
        // The footer does not tell numbers, nor nulls of columns without statistics.
        read.file.id = file.id;
        for (name, facts) in &mut read.file.columns {
            facts.nulls = facts.nulls.or(file.columns[name].nulls);
        }
        assert_eq!(&read.file, file.as_ref());
        assert!(inputs.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_files_leave_once_and_only_while_live() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    for part in [0..40_u64, 40..80] {
        append(&store, &part.collect::<Vec<_>>()).await;
        store.flush().await.unwrap();
    }
    let inputs: Vec<_> = store.snapshot().files(Table::Spans).to_vec();
    let merge = || {
        let rows: Vec<_> = inputs.iter().flat_map(|f| read(&f.path)).collect();
        let sorted = sort_rows(Table::Spans, &rows).unwrap();
        let mut keys = Keys::default();
        inputs.iter().for_each(|f| keys.merge(&f.keys));
        let rows = std::iter::once(Ok::<_, StorageError>(sorted));
        store.write_file(Table::Spans, 1, inputs[0].window, rows, &keys, &inputs).unwrap()
    };
    let (first, second) = (merge(), merge());
    assert_eq!(first.file.seq, Some((1, 2)));
    let refused = second.file.path.clone();
    assert!(store.replace_files(Table::Spans, &inputs, vec![first]).await.unwrap());
    assert!(!store.replace_files(Table::Spans, &inputs, vec![second]).await.unwrap());
    assert!(!refused.exists(), "a refused file is deleted");
    assert!(inputs[0].path.exists(), "readers may still have it");
    assert_eq!(visible(&store.snapshot()), (0..80).collect::<Vec<_>>());
    drop(store);
    let store = open(config(dir.path())).await;
    assert_eq!(visible(&store.snapshot()), (0..80).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_finds_its_tables() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    append(&store, &(0..100).collect::<Vec<_>>()).await;
    store.flush().await.unwrap();
    let path = layout::catalog(dir.path());
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let cases = [
        ("SELECT count(*) FROM ducklake_table", 6),
        ("SELECT sum(record_count) FROM ducklake_data_file", 100),
        ("SELECT count(*) FROM ducklake_column WHERE column_name = 'a.http.route'", 1),
        ("SELECT count(*) FROM ducklake_column WHERE column_type = 'struct'", 3),
        ("SELECT max(schema_version) FROM ducklake_snapshot", 2),
        ("SELECT count(*) FROM ducklake_sort_expression", 0),
        // DuckDB takes the types of a view's columns from here.
        (
            "SELECT count(*) FROM pragma_table_info('ducklake_file_column_stats')
             WHERE (name, type) IN (('data_file_id', 'INTEGER'), ('min_value', 'TEXT'))",
            2,
        ),
    ];
    for (sql, expected) in cases {
        let row = sqlx::query(sql).fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), expected, "{sql}");
    }
}
