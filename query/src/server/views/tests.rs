//! Parameters and their refusals, widths of columns. What the SQL gives is tested by the integration
//! tests of `cli`.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use api::views::{Breakdown, Heatmap, Question, Tail, Trace};

use super::ranges::{Grid, column_ns, compared, range};
use super::request::read;
use super::skeleton::{by_parents, tree};

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

/// Length of a range in seconds, columns and the least width asked for, and what comes of it.
#[test]
fn columns_cover_the_range() {
    for (from, to, columns, least_s, expected) in [
        ("10:00:00", "10:15:00", 60, 0, (15, 60)),
        ("10:00:07", "10:15:07", 60, 0, (15, 61)),
        ("10:00:00", "10:15:00", 60, 60, (60, 15)),
        ("10:00:00", "10:00:10", 60, 60, (10, 1)),
        ("10:00:00", "11:00:00", 1, 0, (3_600, 1)),
    ] {
        let at = |clock: &str| Some(format!("2026-11-22T{clock}Z"));
        let range = range(at(from), at(to)).unwrap();
        let grid = Grid::wider(&range, columns, least_s * 1_000_000_000).unwrap();
        assert_eq!((grid.width_ns / 1_000_000_000, grid.count), expected, "{from} {to} {columns}");
        assert_eq!(grid.from_ns % grid.width_ns, 0);
    }
}

#[test]
fn periods_are_compared() {
    let asked = range(Some("2026-11-22T10:00:00Z".into()), Some("2026-11-22T10:15:00Z".into()));
    let asked = asked.unwrap();
    for (with, expected) in [
        ("previous", "2026-11-22T09:45:00.000000000Z"),
        ("1d", "2026-11-21T10:00:00.000000000Z"),
        ("-7d", "2026-11-15T10:00:00.000000000Z"),
    ] {
        let found = compared(&asked, Some(with)).unwrap().unwrap();
        assert_eq!(found.from.as_deref(), Some(expected), "{with}");
    }
    assert_eq!(compared(&asked, Some("none")), Ok(None));
    assert!(compared(&asked, Some("soon")).is_err());
    assert!(compared(&range(None, None).unwrap(), Some("previous")).is_err());
}

/// Spans as name, parent and start; the walk as names behind their depth, and what stands below each.
fn check_walk(spans: &[(&str, &str, i64)], expected: &str) {
    let ids: Vec<&[u8]> = spans.iter().map(|span| span.0.as_bytes()).collect();
    let parents: Vec<Option<&[u8]>> =
        spans.iter().map(|span| (!span.1.is_empty()).then_some(span.1.as_bytes())).collect();
    let starts: Vec<i64> = spans.iter().map(|span| span.2).collect();
    let (order, walk) = by_parents(&ids, &parents, &starts);
    let (_, ends) = tree(&walk.left, &walk.right);
    let told: Vec<String> = (0..order.len())
        .map(|at| {
            let below = ends[at] as usize - at - 1;
            format!("{}{}:{below}", walk.depth[at], spans[order[at] as usize].0)
        })
        .collect();
    assert_eq!(told.join(" "), expected);
}

#[test]
fn a_walk_follows_parents_without_the_kernel() {
    check_walk(&[], "");
    check_walk(&[("a", "", 5)], "0a:0");
    let chain = [("c", "b", 3), ("b", "a", 2), ("a", "", 1)];
    check_walk(&chain, "0a:2 1b:1 2c:0");
    let siblings = [("a", "", 0), ("y", "a", 9), ("x", "a", 3), ("z", "x", 4), ("o", "gone", 1)];
    check_walk(&siblings, "0a:3 1x:1 2z:0 1y:0 0o:0");
    // A cycle stands below its earliest, and a span that is its own parent is a root.
    check_walk(&[("p", "q", 2), ("q", "p", 1), ("s", "s", 0)], "0s:0 0q:1 1p:0");
}
