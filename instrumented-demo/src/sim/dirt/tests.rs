//! Each kind of damage is done, counted, and to be seen in the data.
// A generated request that lacks what it must have should fail the test there.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use crate::sim::tests::{Kept, Row, small};
use crate::sim::{Options, Preset};

use super::*;

/// What a span shows beside its place in the trace.
fn with(rate: &str, requests: u64) -> (Vec<Row>, u64) {
    let mut rates = Rates::NONE;
    rates.set(rate.parse().unwrap());
    let (kept, summary) = Kept::of(&Options { rates, ..small(Preset::Dirty, requests) });
    let name = rate.split_once('=').unwrap().0;
    assert_eq!(summary.answers.dirt.len(), 1, "{:?}", summary.answers.dirt);
    assert!(!summary.answers.exact);
    (kept.spans(), summary.answers.dirt[name])
}

/// How many spans are of some kind, seen with their parents.
fn count(rows: &[Row], is: impl Fn(&Row, Option<&Row>) -> bool) -> u64 {
    let by_id: HashMap<(&[u8], &[u8]), &Row> = rows
        .iter()
        .map(|row| ((row.1.trace_id.as_slice(), row.1.span_id.as_slice()), row))
        .collect();
    let parent = |row: &Row| {
        by_id.get(&(row.1.trace_id.as_slice(), row.1.parent_span_id.as_slice())).copied()
    };
    rows.iter().filter(|row| is(row, parent(row))).count() as u64
}

#[test]
fn unit_damage_is_counted_as_often_as_it_is_seen() {
    type Seen = fn(&Row, Option<&Row>) -> bool;
    let cases: [(&str, Seen); 6] = [
        ("zero-length=20000", |(_, s), _| s.start_time_unix_nano == s.end_time_unix_nano),
        ("clock-back=20000", |(_, s), _| s.start_time_unix_nano > s.end_time_unix_nano),
        ("unknown-kind=20000", |(_, s), _| s.kind == 17),
        ("nameless=20000", |(service, _), _| service.is_empty()),
        ("outliving=20000", |(_, s), parent| {
            parent.is_some_and(|(_, p)| s.end_time_unix_nano > p.end_time_unix_nano)
        }),
        ("early=20000", |(_, s), parent| {
            parent.is_some_and(|(_, p)| s.start_time_unix_nano < p.start_time_unix_nano)
        }),
    ];
    for (rate, seen) in cases {
        let (rows, counted) = with(rate, 300);
        assert!(counted > 50, "{rate}: {counted}");
        assert_eq!(count(&rows, seen), counted, "{rate}");
    }
}

#[test]
fn unit_lost_and_repeated_spans_make_other_numbers_of_rows() {
    let clean = Options { rates: Rates::NONE, ..small(Preset::Dirty, 300) };
    let clean = Kept::of(&clean).1.answers.spans;
    for (rate, sign) in
        [("lost-parent=50000", -1), ("duplicate=20000", 1), ("differing-duplicate=20000", 1)]
    {
        let (rows, counted) = with(rate, 300);
        let expected = clean.checked_add_signed(sign * i64::try_from(counted).unwrap());
        assert_eq!(Some(rows.len() as u64), expected, "{rate}");
        assert!(counted > 50, "{rate}: {counted}");
    }
}

#[test]
fn unit_shared_ids_are_those_of_the_client() {
    let (rows, counted) = with("shared-id=100000", 300);
    let mut seen: HashMap<(&[u8], &[u8]), u64> = HashMap::new();
    for (_, span) in &rows {
        *seen.entry((&span.trace_id, &span.span_id)).or_default() += 1;
    }
    let twice = seen.values().filter(|n| **n == 2).count() as u64;
    assert_eq!(twice, counted);
    assert!(counted > 50, "{counted}");
}

#[test]
fn unit_a_late_span_comes_behind_those_of_later_requests() {
    let (rows, counted) = with("late=20000", 2_000);
    let last = rows.iter().map(|(_, s)| s.start_time_unix_nano).max().unwrap();
    let tail = &rows[rows.len() - counted as usize / 4..];
    assert!(tail.iter().any(|(_, s)| s.start_time_unix_nano + 10_000_000_000 < last));
}

#[test]
fn unit_cycles_are_of_two() {
    let (rows, counted) = with("cycle=20000", 300);
    let cycles = count(&rows, |(_, span), parent| {
        parent.is_some_and(|(_, parent)| parent.parent_span_id == span.span_id)
    });
    // Both members see one; a parent that two children close a cycle with keeps one of them.
    assert!(cycles % 2 == 0 && cycles > counted, "{cycles} of {counted}");
}

#[test]
fn unit_deep_and_wide_requests_come_when_asked_for() {
    let (rows, counted) = with("deep-chain=300000", 8);
    assert!(counted > 0 && rows.len() as u64 >= counted * 9_999, "{} {counted}", rows.len());
    let (rows, counted) = with("wide-parent=300000", 4);
    assert!(counted > 0 && rows.len() as u64 >= counted * 100_001, "{} {counted}", rows.len());
}

#[test]
fn unit_rates_are_read_from_text() {
    let rate = |text: &str| text.parse::<Rate>();
    assert_eq!(rate("late=10"), Ok(Rate { kind: Dirt::Late, per_million: 10 }));
    assert!(rate("late").unwrap_err().contains("late=10000"));
    assert!(rate("soon=10").unwrap_err().contains("lost-parent"));
    assert!(rate("late=1000001").is_err());
    for kind in Dirt::value_variants() {
        assert_eq!(rate(&format!("{}=1", kind.name())), Ok(Rate { kind: *kind, per_million: 1 }));
    }
}
