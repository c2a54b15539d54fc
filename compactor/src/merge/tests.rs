//! Merges of Parquet files written with text as plain strings, as the store writes them.
#![allow(clippy::unwrap_used)] // a failing test may panic

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use schemas::KeyFacts;
use schemas::columns as c;

use super::*;
use crate::rows::{Log, logs, spans};

/// Writes each list of logs to a file, merges the files, shows the rows.
fn check(inputs: &[&[Log]], expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let inputs: Vec<_> = inputs.iter().map(|rows| logs(rows)).collect();
    let job = job(Table::Logs, dir.path(), &inputs);
    let rows: Result<Vec<_>, _> = Merge::open(&job, 1_000).unwrap().collect();
    assert_eq!(rows.unwrap().iter().flat_map(show).collect::<Vec<_>>(), expected);
    assert_eq!(keys(&job).record["http.route"].rows, 7 * job.inputs.len() as u64);
}

/// A job of sorted files.
fn job(table: Table, dir: &std::path::Path, inputs: &[RecordBatch]) -> Job {
    let inputs = inputs.iter().enumerate().map(|(i, rows)| {
        let path = dir.join(format!("{i}.parquet"));
        write(&path, &sort_rows(table, std::slice::from_ref(rows)).unwrap());
        Arc::new(file(path, rows.num_rows()))
    });
    Job { table, window: (0, 600), inputs: inputs.collect() }
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
    let said = Merge::open(&job, 1_000).err().unwrap().to_string();
    assert!(said.starts_with("cannot read no/such.parquet: No such file"), "{said}");
}

/// Whether rows stand in the order of their keys, batch after batch.
fn in_order(table: Table, batches: &[RecordBatch]) -> bool {
    let key = |rows: &RecordBatch, at| SortKey::of(table, rows, at).unwrap();
    let keys = batches.iter().flat_map(|rows| (0..rows.num_rows()).map(move |at| key(rows, at)));
    keys.is_sorted()
}

const SECOND_NS: i64 = 1_000_000_000;

/// (trace, start, trace_start) of each row.
fn starts(rows: &RecordBatch) -> Vec<(u8, i64, i64)> {
    let times = |name| rows.column_by_name(name).unwrap().as_primitive::<TimestampNanosecondType>();
    let (starts, of_trace) = (times(c::START_TIME), times(c::TRACE_START));
    let traces = rows.column_by_name(c::TRACE_ID).unwrap().as_fixed_size_binary();
    let row = |at| (traces.value(at)[0], starts.value(at), of_trace.value(at));
    (0..rows.num_rows()).map(row).collect()
}

/// What merging spans in so little memory gives, and what it should: every span once, and the start of
/// its trace.
fn merged(files: &[Vec<(u8, i64)>], rows_max: usize) -> [Vec<(u8, i64, i64)>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let inputs: Vec<_> = files.iter().map(|rows| spans(rows)).collect();
    let job = job(Table::Spans, dir.path(), &inputs);
    let batches: Vec<_> = Merge::open(&job, rows_max).unwrap().map(Result::unwrap).collect();
    assert!(in_order(Table::Spans, &batches), "{files:?} with {rows_max}");
    let mut rows: Vec<_> = batches.iter().flat_map(starts).collect();
    rows.sort_unstable();
    let all = || files.iter().flatten().copied();
    let start = |trace| all().filter(|(t, _)| *t == trace).map(|(_, start)| start).min().unwrap();
    let mut expected: Vec<_> = all().map(|(trace, at)| (trace, at, start(trace))).collect();
    expected.sort_unstable();
    [rows, expected]
}

#[test]
fn spans_flushed_apart_come_together() {
    let seed: u64 = rand::rng().random();
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..60 {
        let traces = rng.random_range(1..40_u8);
        let seconds = rng.random_range(1..90);
        let span = |rng: &mut StdRng| {
            (rng.random_range(0..traces), rng.random_range(0..seconds * 4) * SECOND_NS / 4)
        };
        let files: Vec<Vec<_>> = (0..rng.random_range(1..7))
            .map(|_| (0..rng.random_range(1..400)).map(|_| span(&mut rng)).collect())
            .collect();
        let [rows, expected] = merged(&files, 5_000);
        assert_eq!(rows, expected, "seed {seed}");
        // With no memory to move rows their traces keep several starts, and no row is lost.
        let [rows, expected] = merged(&files, 2);
        let without = |rows: &[(u8, i64, i64)]| rows.iter().map(|r| (r.0, r.1)).collect::<Vec<_>>();
        assert_eq!(without(&rows), without(&expected), "seed {seed}");
    }
}

#[test]
fn logs_of_many_files_come_in_order() {
    let seed: u64 = rand::rng().random();
    let mut rng = StdRng::seed_from_u64(seed);
    let services = ["a", "b", "cart-service", "checkout-service", "z"];
    for _ in 0..40 {
        let log = |rng: &mut StdRng| -> Log {
            let route = rng.random::<bool>().then_some("/a/rather/long/route");
            (services[rng.random_range(0..5)], rng.random_range(0..300) * SECOND_NS, route)
        };
        let files: Vec<Vec<Log>> = (0..rng.random_range(1..9))
            .map(|_| (0..rng.random_range(1..300)).map(|_| log(&mut rng)).collect())
            .collect();
        let dir = tempfile::tempdir().unwrap();
        let inputs: Vec<_> = files.iter().map(|rows| logs(rows)).collect();
        let job = job(Table::Logs, dir.path(), &inputs);
        let batches: Vec<_> = Merge::open(&job, 2).unwrap().map(Result::unwrap).collect();
        assert!(in_order(Table::Logs, &batches), "seed {seed}");
        let mut lines: Vec<_> = batches.iter().flat_map(show).collect();
        let mut expected: Vec<_> = files
            .iter()
            .flatten()
            .map(|(service, time, route)| format!("{service} {time} {}", route.unwrap_or("-")))
            .collect();
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines, expected, "seed {seed}");
    }
}
