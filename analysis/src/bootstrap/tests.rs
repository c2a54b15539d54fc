//! Intervals cover what they should, and both methods agree where both apply.
#![allow(clippy::unwrap_used)] // a failing test may panic

use super::*;
use crate::path_times::tests::{path_times, random_traces};

fn side(paths: &PathTimes, traces: Range<usize>) -> Side<'_> {
    Side { paths, traces, key_of: (0..paths.keys().len() as u32).collect() }
}

#[test]
fn equal_traces_leave_no_doubt() {
    let paths = path_times(&["100: a 60, b 40"; 40]);
    let (method, found) = intervals(&side(&paths, 0..20), &side(&paths, 20..40), 2, 1);
    assert_eq!(method, IntervalMethod::Bootstrap);
    assert_eq!(found, [Interval::default(); 2]);
}

#[test]
fn the_bootstrap_and_the_standard_error_agree() {
    let (names, totals, entries) = random_traces(5, 2_000, 6);
    let paths = PathTimes::new(&names, &totals, &entries).unwrap();
    let (a, b) = (side(&paths, 0..1_000), side(&paths, 1_000..2_000));
    for (by_draws, by_error) in bootstrap(&a, &b, 6, 9).iter().zip(normal(&a, &b, 6)) {
        let width = by_error.hi_ns - by_error.lo_ns;
        assert!((by_draws.lo_ns - by_error.lo_ns).abs() < 0.2 * width, "{by_draws:?} {by_error:?}");
        assert!((by_draws.hi_ns - by_error.hi_ns).abs() < 0.2 * width, "{by_draws:?} {by_error:?}");
    }
}

#[test]
fn nine_of_ten_intervals_hold_the_true_difference() {
    // Both sides come from one distribution, so the true difference is 0.
    let inside = (0..200).filter(|&seed| {
        let (names, totals, entries) = random_traces(seed, 80, 2);
        // The traces are sorted by duration: take every other one.
        let pick = |side: u32| {
            let mine: Vec<_> = entries
                .iter()
                .filter(|e| e.trace % 2 == side)
                .map(|e| crate::path_times::PathTime { trace: e.trace / 2, ..*e })
                .collect();
            let of_side: Vec<_> = totals.iter().skip(side as usize).step_by(2).copied().collect();
            PathTimes::new(&names, &of_side, &mine).unwrap()
        };
        let (even, odd) = (pick(0), pick(1));
        let (_, found) = intervals(&side(&even, 0..40), &side(&odd, 0..40), 2, seed);
        (found[0].lo_ns..=found[0].hi_ns).contains(&0.0)
    });
    let inside = inside.count();
    assert!((160..=196).contains(&inside), "{inside} of 200");
}
