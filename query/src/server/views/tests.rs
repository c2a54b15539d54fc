//! Parameters and their refusals, widths of columns. What the SQL gives is tested by the integration
//! tests of `cli`.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use api::views::{Breakdown, Heatmap, Question, Tail, Trace};

use super::questions::column_ns;
use super::request::read;

const NOW_NS: i64 = 1_795_341_600_000_000_000;

/// What a request reads as, or why it is refused.
fn check<Q: Question + std::fmt::Debug>(path: &[(&str, &str)], query: &str, expected: &str) {
    let found = match read::<Q>(&Q::ENDPOINT, path.iter().copied(), query, NOW_NS) {
        Ok((question, options)) => format!("{question:?} {options:?}"),
        Err(error) => format!(
            "{} {} {} ({})",
            error.0.status,
            error.0.code,
            error.0.message,
            error.0.hint.unwrap_or_default()
        ),
    };
    assert!(found.contains(expected), "{query}: {found}");
}

#[test]
fn parameters_are_read_and_refused() {
    check::<Breakdown>(&[], "", "from: None");
    check::<Breakdown>(&[], "from=-15m", "from: Some(\"2026-11-22T09:45:00.000000000Z\")");
    check::<Breakdown>(&[], "from=15m&to=", "to: None");
    check::<Breakdown>(&[], "root=GET%20%2Fa%3D1%26b", "root: Some(\"GET /a=1&b\")");
    check::<Breakdown>(&[], "sql=1&limit=7", "sql: Some(true), limit: Some(7)");
    check::<Trace>(&[("trace_id", "ab")], "", "trace_id: Some(\"ab\")");
    check::<Tail>(&[], "quantile=0.95", "quantile: Some(0.95)");
    check::<Breakdown>(&[], "form=1h", "400 unknown_parameter");
    check::<Breakdown>(&[], "form=1h", "did you mean from?");
    check::<Breakdown>(&[], "zzzzzzzz=1", "known are from, to, root, by, filter, sql, limit");
    check::<Breakdown>(&[], "from=yesterday", "400 invalid from: `yesterday` is not a time");
    check::<Breakdown>(&[], "by=service&by=edge", "by is given twice");
    check::<Breakdown>(&[], "sql=yes", "sql: `yes` is neither 1 nor 0");
    check::<Heatmap>(&[], "columns=-1", "columns: `-1` is no whole number");
    check::<Tail>(&[], "quantile=NaN", "quantile: `NaN` is no number");
}

#[test]
fn columns_have_usual_widths() {
    for (length_s, columns, expected_s) in [
        (60, 60, 1),
        (900, 60, 15),
        (901, 60, 30),
        (3_600, 60, 60),
        (86_400, 60, 1_800),
        (1, 1, 1),
        (604_800 * 10, 1, 604_800 * 11),
    ] {
        let found = column_ns(length_s * 1_000_000_000, columns);
        assert_eq!(found, expected_s * 1_000_000_000, "{length_s} s in {columns}");
    }
}
