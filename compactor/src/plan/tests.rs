//! Jobs from lists of files, written as `id level start-end rows`.
#![allow(clippy::unwrap_used)] // a failing test may panic

use std::path::PathBuf;

use super::*;

/// Times are in seconds; a row weighs a byte.
fn file(line: &str) -> Arc<DataFile> {
    let numbers: Vec<i64> = line.split([' ', '-']).map(|number| number.parse().unwrap()).collect();
    let [id, level, start, end, rows] = numbers[..] else { panic!("five numbers, not {line}") };
    Arc::new(DataFile {
        id,
        table: Table::Logs,
        path: PathBuf::new(),
        name: String::new(),
        level: level as u8,
        window: (start * 1_000_000_000, end * 1_000_000_000),
        min_time_ns: 0,
        max_time_ns: 0,
        rows: rows as u64,
        bytes: rows as u64,
        footer_bytes: 0,
        seq: None,
        columns: Default::default(),
        promoted: Default::default(),
        keys: Default::default(),
        keys_complete: true,
        blooms: Default::default(),
    })
}

/// Ids of the inputs that are merged at second 1,000, in their order.
fn check(files: &[&str], skip: &[i64], expected: &[i64]) {
    let policy = Policy {
        settle: Duration::from_secs(90),
        memory_rows: 1,
        rows_max: 100,
        bytes_max: 1_000,
        files_max: 4,
        cpu_percent: 50,
    };
    let files: Vec<_> = files.iter().map(|line| file(line)).collect();
    assert_eq!(merged_at_1000_s(&files, &policy, skip), expected, "{files:?}");
}

fn merged_at_1000_s(files: &[Arc<DataFile>], policy: &Policy, skip: &[i64]) -> Vec<i64> {
    let skip = skip.iter().copied().collect();
    let job = next(Table::Logs, files, 1_000_000_000_000, policy, &skip);
    job.iter().flat_map(|j| &j.inputs).map(|f| f.id).collect()
}

#[test]
fn leaves_files_alone_that_do_not_list_all_their_keys() {
    let mut many_keys = file("2 0 0-600 10").as_ref().clone();
    many_keys.keys_complete = false;
    let files = [file("1 0 0-600 10"), Arc::new(many_keys), file("3 0 0-600 10")];
    let policy = Policy::new(Duration::from_secs(60), 1 << 20);
    assert_eq!(merged_at_1000_s(&files, &policy, &[]), [1, 3]);
}

#[test]
fn merges_the_files_of_a_closed_window() {
    check(&["1 0 0-600 10", "2 0 0-600 10", "3 0 600-1200 5"], &[], &[1, 2]);
}

#[test]
fn leaves_a_window_alone_until_its_last_flush() {
    check(&["1 0 300-910 10", "2 0 300-910 10"], &[], &[1, 2]);
    check(&["1 0 300-911 10", "2 0 300-911 10"], &[], &[]);
}

#[test]
fn needs_two_flushed_files() {
    check(&["1 0 0-600 10"], &[], &[]);
    check(&["1 0 0-600 10", "2 1 0-600 10"], &[], &[]);
    check(&["1 0 0-600 10", "2 0 0-300 10"], &[], &[]);
}

#[test]
fn takes_the_oldest_window_first() {
    let files = ["1 0 300-600 9", "2 0 300-600 9", "3 0 0-300 9", "4 0 0-300 9"];
    check(&files, &[], &[3, 4]);
}

#[test]
fn takes_the_smallest_files_as_far_as_they_fit() {
    check(&["1 0 0-600 70", "2 0 0-600 40", "3 0 0-600 60"], &[], &[2, 3]);
    check(&["1 0 0-600 70", "2 0 0-600 80"], &[], &[]);
}

#[test]
fn takes_no_more_files_than_it_may_open() {
    let files = ["1 0 0-600 1", "2 0 0-600 2", "3 0 0-600 3", "4 0 0-600 4", "5 0 0-600 5"];
    check(&files, &[], &[1, 2, 3, 4]);
}

#[test]
fn leaves_out_files_that_failed() {
    check(&["1 0 0-600 1", "2 0 0-600 2", "3 0 0-600 3"], &[1], &[2, 3]);
    check(&["1 0 0-600 1", "2 0 0-600 2"], &[1], &[]);
}
