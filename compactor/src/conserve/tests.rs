//! Files as figures: rows, times and the nulls of columns.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemas::Table;
use storage::ColumnFacts;

use super::*;

fn file(rows: u64, times: (i64, i64), nulls: &[(&str, u64)]) -> DataFile {
    let facts = |&(name, nulls): &(&str, u64)| {
        (name.to_owned(), ColumnFacts { nulls: Some(nulls), ..Default::default() })
    };
    DataFile {
        id: 0,
        table: Table::Spans,
        path: PathBuf::new(),
        name: String::new(),
        level: 0,
        window: (0, 600),
        min_time_ns: times.0,
        max_time_ns: times.1,
        rows,
        bytes: 0,
        footer_bytes: 0,
        seq: None,
        columns: nulls.iter().map(facts).collect::<BTreeMap<_, _>>(),
        promoted: BTreeMap::new(),
        keys: Default::default(),
        keys_complete: true,
        blooms: Default::default(),
    }
}

/// Checks the output against the same two inputs; empty when it is accepted.
fn check_output(output: DataFile, expected: &str) {
    let inputs = [
        Arc::new(file(10, (100, 200), &[("name", 0), ("a.http.route", 4)])),
        Arc::new(file(5, (150, 300), &[("name", 1)])),
    ];
    let said = check(&inputs, &output).map_or_else(|e| e.to_string(), |()| String::new());
    assert_eq!(said, expected);
}

#[test]
fn accepts_the_sum_of_the_inputs() {
    check_output(file(15, (100, 300), &[("name", 1), ("a.http.route", 9)]), "");
}

#[test]
fn refuses_a_lost_row() {
    check_output(
        file(14, (100, 300), &[("name", 1), ("a.http.route", 9)]),
        "refused a merge of spans: the number of rows is 14 in the merged rows and 15 in the files",
    );
}

#[test]
fn refuses_another_range_of_times() {
    check_output(
        file(15, (100, 299), &[("name", 1), ("a.http.route", 9)]),
        "refused a merge of spans: the latest time is 299 in the merged rows and 300 in the files",
    );
}

#[test]
fn refuses_a_lost_value() {
    check_output(
        file(15, (100, 300), &[("name", 1), ("a.http.route", 10)]),
        "refused a merge of spans: the number of nulls of a.http.route is 10 in the merged rows and 9 in the files",
    );
}

#[test]
fn refuses_a_lost_column() {
    check_output(
        file(15, (100, 300), &[("name", 1)]),
        "refused a merge of spans: the number of nulls of a.http.route is 15 in the merged rows and 9 in the files",
    );
}
