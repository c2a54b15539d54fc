//! Samples of traces: fair, bounded, the same for every layout.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn check(runs: &[(u128, u64)], expected: Option<&[(u128, u128)]>) {
    let found = Sample::of(runs).0;
    let found = found.map(|ranges| ranges.iter().map(|r| (*r.start(), *r.end())).collect());
    assert_eq!(found, expected.map(<[_]>::to_vec), "{runs:?}");
}

#[test]
fn few_rows_are_all_learned_from() {
    check(&[], None);
    check(&[(1, ROWS_MAX - 1), (2, 1)], None);
}

#[test]
fn of_many_rows_each_part_gives_its_first_traces() {
    let traces: Vec<(u128, u64)> = (0..8).map(|id| (id, 10_000)).collect();
    check(&traces, Some(&[(0, 0), (2, 2), (4, 4), (6, 6)]));
    let small: Vec<(u128, u64)> = (0..40_000).map(|id| (id, 2)).collect();
    let expected = [(0, 6_249), (10_000, 16_249), (20_000, 26_249), (30_000, 36_249)];
    check(&small, Some(&expected));
}

#[test]
fn a_trace_of_too_many_rows_is_left_out() {
    check(&[(1, 60_000), (2, 5_000), (3, 5_000), (4, 60_000)], Some(&[(2, 2), (3, 3)]));
    check(&[(1, 60_000)], Some(&[]));
    // Two runs of one trace, each small enough.
    let runs = [(1, 9_000), (1, 9_000), (2, 1), (3, 60_000), (4, 1), (5, 1), (6, 1), (7, 1)];
    check(&runs, Some(&[(2, 2), (4, 4), (5, 6), (7, 7)]));
}

#[test]
fn the_layout_changes_no_sample() {
    let whole: Vec<(u128, u64)> = (0..40_000).map(|id| (id, 2)).collect();
    let split: Vec<(u128, u64)> = (0..40_000)
        .flat_map(|id| if id % 3 == 0 { vec![(id, 1), (id, 1)] } else { vec![(id, 2)] })
        .collect();
    assert_eq!(Sample::of(&whole).0, Sample::of(&split).0);
}

#[test]
fn a_sample_holds_its_ranges() {
    let sample = Sample(Some([3..=5, 9..=9].into()));
    let held: Vec<u128> = (0..12).filter(|&id| sample.contains(id)).collect();
    assert_eq!(held, [3, 4, 5, 9]);
    assert!(Sample(None).contains(7));
}
