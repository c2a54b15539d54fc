//! What counts as a change, and which stretch is found.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn period(calls: u64, per_second: f64, errors: f64, p99_ms: f64) -> Before {
    Before {
        calls,
        per_second,
        error_share: Some(errors),
        p99_ms: Some(p99_ms),
        ..Before::default()
    }
}

fn check(now: Before, before: Before, expected: Option<(&str, f64)>) {
    let found = largest(&now, &before, true);
    let told = found.as_ref().map(|change| (change.of.as_str(), change.factor.unwrap_or(0.0)));
    assert_eq!(told, expected, "{found:?}");
}

#[test]
fn the_largest_change_is_told() {
    let usual = period(1_000, 10.0, 0.0, 100.0);
    check(usual.clone(), usual.clone(), None);
    check(period(1_000, 12.0, 0.005, 110.0), usual.clone(), None);
    check(period(1_000, 10.0, 0.0, 500.0), usual.clone(), Some(("p99", 5.0)));
    check(period(1_000, 10.0, 0.2, 130.0), usual.clone(), Some(("errors", 0.0)));
    check(period(1_000, 5.0, 0.0, 100.0), usual.clone(), Some(("rate", 0.5)));
    check(period(10, 10.0, 0.5, 900.0), usual.clone(), None);
    assert_eq!(largest(&period(1_000, 5.0, 0.0, 100.0), &usual, false), None);
    let slower = largest(&period(1_000, 50.0, 0.0, 300.0), &usual, false);
    assert_eq!(slower.map(|change| change.of), Some("p99".to_owned()));
    assert_eq!(impact(&period(1_000, 10.0, 0.0, 500.0), &usual), Some(4_000.0));
    assert_eq!(impact(&period(10, 10.0, 0.0, 500.0), &usual), None);
}

fn check_stretch(values: &[f64], expected: Option<(usize, usize)>) {
    let values: Vec<Option<f64>> = values.iter().map(|v| (*v >= 0.0).then_some(*v)).collect();
    let found = stretch(&values, 0.4, 0.02);
    assert_eq!(found.map(|stretch| stretch.columns), expected, "{values:?}");
}

#[test]
fn a_stretch_is_found_where_it_begins_and_ends() {
    check_stretch(&[1.0; 20], None);
    check_stretch(&[], None);
    let mut values = [1.0, 1.1, 0.9, 1.0, 1.05, 1.0, 0.95, 1.0, 1.1, 1.0, 1.0, 0.9];
    check_stretch(&values, None);
    values[6..].iter_mut().for_each(|v| *v += 3.0);
    check_stretch(&values, Some((6, 12)));
    values[9..].iter_mut().for_each(|v| *v -= 3.0);
    check_stretch(&values, Some((6, 9)));
    // Gaps do not move it.
    values[9] += 3.0;
    values[7] = -1.0;
    check_stretch(&values, Some((6, 10)));
    // One column is no stretch, nor what lies around it.
    check_stretch(&[1.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0], None);
    // What was so from the start is no change.
    check_stretch(&[4.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], None);
}

/// A minute a column, and 60 calls in each.
fn check_risen(p99_ms: &[f64], errors: &[u64], expected: Option<(&str, usize, f64)>) {
    let trend = Trend {
        calls: vec![60; p99_ms.len()],
        errors: errors.to_vec(),
        p99_ms: p99_ms.iter().copied().map(Some).collect(),
    };
    let found = risen(&trend, 60.0);
    let told = found.as_ref().map(|risen| (risen.change.of.as_str(), risen.column, risen.impact));
    assert_eq!(told, expected, "{found:?}");
}

#[test]
fn a_rise_within_the_range_is_told() {
    let usual = [0; 8];
    check_risen(&[100.0; 8], &usual, None);
    check_risen(&[], &[], None);
    let slow = [100.0, 101.0, 99.0, 100.0, 400.0, 401.0, 399.0, 400.0].map(f64::round);
    let found = risen(
        &Trend { calls: vec![60; 8], errors: usual.into(), p99_ms: slow.map(Some).into() },
        60.0,
    );
    let found = found.unwrap();
    assert_eq!((found.change.of.as_str(), found.column), ("p99", 4));
    assert!((found.impact - 300.0).abs() < 2.0, "{found:?}");
    check_risen(&[100.0; 8], &[0, 0, 0, 0, 30, 30, 30, 30], Some(("errors", 4, 0.0)));
}

#[test]
fn robust_z_is_large_for_what_stands_out() {
    let flat = [5.0; 10];
    assert_eq!(robust_z(5.0, &flat), 0.0);
    assert!(robust_z(10.0, &flat) > 10.0);
    assert!(robust_z(10.5, &[9.0, 10.0, 11.0, 10.0, 9.5, 10.5]).abs() < 2.0);
    assert_eq!(robust_z(1.0, &[1.0]), 0.0);
    assert_eq!(median(vec![3.0, 1.0, 2.0, 10.0]), Some(2.5));
}
