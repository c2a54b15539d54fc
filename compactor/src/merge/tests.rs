//! Merges of Parquet files written with text as plain strings, as the store writes them.
#![allow(clippy::unwrap_used)] // a failing test may panic

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use schemas::KeyFacts;
use schemas::columns as c;

use super::*;
use crate::rows::{Log, logs};

/// Writes each list of logs to a file, merges the files, shows the rows.
fn check(inputs: &[&[Log]], expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let inputs = inputs.iter().enumerate().map(|(i, rows)| {
        let path = dir.path().join(format!("{i}.parquet"));
        write(&path, &logs(rows));
        Arc::new(file(path, rows.len()))
    });
    let job = Job { table: Table::Logs, window: (0, 600), inputs: inputs.collect() };
    let merged = merge(&job).unwrap();
    assert_eq!(show(&merged.rows), expected);
    assert_eq!(merged.keys.record["http.route"].rows, 7 * job.inputs.len() as u64);
}

fn write(path: &std::path::Path, rows: &RecordBatch) {
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new_with_options(file, rows.schema(), options).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

fn file(path: std::path::PathBuf, rows: usize) -> DataFile {
    let mut keys = Keys::default();
    keys.record.insert("http.route".to_owned(), KeyFacts { types: 1, rows: 7 });
    DataFile {
        id: 0,
        table: Table::Logs,
        name: path.display().to_string(),
        path,
        level: 0,
        window: (0, 600),
        min_time_ns: 0,
        max_time_ns: 0,
        rows: rows as u64,
        bytes: 0,
        footer_bytes: 0,
        seq: None,
        columns: Default::default(),
        promoted: Default::default(),
        keys,
        keys_complete: true,
        blooms: Default::default(),
    }
}

fn show(rows: &RecordBatch) -> Vec<String> {
    let services = rows.column_by_name(c::SERVICE_NAME).unwrap().as_string_view();
    let times = rows.column_by_name(c::TIME).unwrap().as_primitive::<TimestampNanosecondType>();
    let routes = rows.column_by_name("a.http.route").map(|r| r.as_string_view());
    let route = |at: usize| routes.filter(|r| r.is_valid(at)).map_or("-", |r| r.value(at));
    let line = |at| format!("{} {} {}", services.value(at), times.value(at), route(at));
    (0..rows.num_rows()).map(line).collect()
}

#[test]
fn sorts_the_rows_of_all_files_together() {
    check(
        &[&[("a", 1, None), ("a", 5, None), ("c", 2, None)], &[("a", 3, None), ("b", 4, None)]],
        &["a 1 -", "a 3 -", "a 5 -", "b 4 -", "c 2 -"],
    );
}

#[test]
fn a_column_that_a_file_lacks_is_null_in_its_rows() {
    check(
        &[&[("a", 1, Some("/x")), ("a", 2, None)], &[("a", 3, None)]],
        &["a 1 /x", "a 2 -", "a 3 -"],
    );
}

#[test]
fn names_the_file_it_cannot_read() {
    let missing = Arc::new(file("no/such.parquet".into(), 1));
    let job = Job { table: Table::Logs, window: (0, 600), inputs: vec![missing] };
    let said = merge(&job).unwrap_err().to_string();
    assert!(said.starts_with("cannot read no/such.parquet: No such file"), "{said}");
}
