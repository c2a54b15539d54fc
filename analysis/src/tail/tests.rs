//! Bands and their widening, the split, the identity, and that order means nothing.
#![allow(clippy::unwrap_used)] // a failing test may panic

use proptest::prelude::*;

use super::*;
use crate::path_times::tests::{path_times, random_traces, shuffled};
use crate::path_times::{PathTime, TraceTotal};
use crate::sampling::Weight;

/// n traces of durations 1, 2, 3 …, all in one key.
fn ramp(count: u32) -> PathTimes {
    let total = |ns: u32| TraceTotal { root_ns: i64::from(ns), ..TraceTotal::default() };
    let entry = |trace: u32| PathTime { trace, key: 0, path_ns: i64::from(trace) + 1, spans: 1 };
    let totals: Vec<_> = (1..=count).map(total).collect();
    PathTimes::new(&["a".into()], &totals, &(0..count).map(entry).collect::<Vec<_>>()).unwrap()
}

fn check_bands(paths: &PathTimes, start: TailStart, expected: &str) {
    let text = |band: &Band| {
        format!("{} {}..{} ({})", band.name, band.shortest_ns, band.longest_ns, band.traces)
    };
    let found = match tail_attribution(paths, start, 0) {
        Ok(found) => format!("{}, {}", text(&found.middle), text(&found.tail)),
        Err(TooFewTraces { middle, tail, .. }) => format!("{middle} and {tail}"),
    };
    assert_eq!(found, expected);
}

#[test]
fn bands_widen_until_they_have_thirty_traces() {
    let p99 = TailStart::P99;
    check_bands(&ramp(3_000), p99, "p40–p60 1200..1800 (601), > p99 2971..3000 (30)");
    check_bands(&ramp(2_999), p99, "p40–p60 1200..1800 (601), > p95 2851..2999 (149)");
    check_bands(&ramp(600), p99, "p40–p60 240..360 (121), > p95 571..600 (30)");
    check_bands(&ramp(300), p99, "p40–p60 120..180 (61), > p90 271..300 (30)");
    check_bands(&ramp(299), p99, "121 and 29");
    check_bands(&ramp(3_000), TailStart::P95, "p40–p60 1200..1800 (601), > p95 2851..3000 (150)");
    check_bands(&ramp(3_000), TailStart::P90, "p40–p60 1200..1800 (601), > p90 2701..3000 (300)");
    check_bands(&ramp(0), p99, "0 and 0");
}

#[test]
fn the_middle_widens_where_weights_make_it_narrow() {
    // A hundred heavy traces between light ones: 29 of them lie between p40 and p60.
    let mut lines: Vec<String> = (0..200).map(|i| format!("{}: a 1", 100 + i)).collect();
    lines.extend((0..100).map(|i| format!("{} ×10: a 1", 1_000 + i)));
    lines.extend((0..200).map(|i| format!("{}: a 1", 2_000 + i)));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let expected = "p30–p70 1021..1077 (57), > p95 2130..2199 (70)";
    check_bands(&path_times(&lines), TailStart::P99, expected);
}

#[test]
fn equal_durations_have_no_tail() {
    let paths = path_times(&["5: a 5"; 500]);
    let error = tail_attribution(&paths, TailStart::P99, 0).unwrap_err();
    assert_eq!(error, TooFewTraces { middle: 500, tail: 0, traces: 500 });
    assert!(error.to_string().contains("take a longer time range"), "{error}");
}

fn check_split(middle: (f64, f64), tail: (f64, f64), expected: (f64, f64, f64)) {
    let means = |(spans, each): (f64, f64)| Means { path_ns: spans * each, spans };
    let found = split(means(middle), means(tail));
    assert_eq!((found.delta_ns, found.more_calls_ns, found.slower_ns), expected);
}

#[test]
fn the_split_of_the_page() {
    check_split((1.0, 20.0), (3.0, 40.0), (100.0, 40.0, 60.0));
    check_split((0.0, 0.0), (2.0, 30.0), (60.0, 60.0, 0.0));
    check_split((2.0, 30.0), (0.0, 0.0), (-60.0, -60.0, 0.0));
    check_split((2.0, 30.0), (2.0, 20.0), (-20.0, 0.0, -20.0));
}

#[test]
fn rows_say_what_the_slow_traces_do_more_and_slower() {
    // 270 ordinary traces, one call of 20 and 80 elsewhere; 30 slow ones, three calls of 40.
    let mut lines = vec!["100: a 80, db 20"; 270];
    lines.extend(vec!["200: a 80, db 120/3"; 30]);
    let found = tail_attribution(&path_times(&lines), TailStart::P99, 7).unwrap();
    let [db, a] = &found.rows[..] else { panic!("{:?}", found.rows) };
    assert_eq!((db.key.as_str(), db.delta_ns, db.share), ("db", 100.0, Some(1.0)));
    assert_eq!((db.more_calls_ns, db.slower_ns), (40.0, 60.0));
    assert_eq!(db.interval, Interval { lo_ns: 100.0, hi_ns: 100.0 });
    assert_eq!((a.key.as_str(), a.delta_ns), ("a", 0.0));
}

#[test]
fn intervals_follow_from_the_seed() {
    let (names, totals, entries) = random_traces(3, 1_000, 5);
    let paths = PathTimes::new(&names, &totals, &entries).unwrap();
    let with = |seed| tail_attribution(&paths, TailStart::P99, seed).unwrap();
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
    for row in with(1).rows {
        assert!(
            row.interval.lo_ns <= row.delta_ns && row.delta_ns <= row.interval.hi_ns,
            "{row:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn differences_sum_to_that_of_the_roots_in_any_order(seed in any::<u64>(), keys in 1..8_usize) {
        let mut input = random_traces(seed, 600, keys);
        // Ties of duration and weight: whole copies, and traces that differ in content alone.
        for total in input.1.iter_mut().take(300) {
            total.weight = Weight::ONE;
        }
        let found = tail_attribution(&shuffled(seed ^ 1, &input), TailStart::P99, seed).unwrap();
        let exact = |of: fn(&TailRow) -> i128| found.rows.iter().map(of).sum::<i128>();
        prop_assert_eq!(exact(|row| row.middle_weighted_ns), found.middle.weighted_root_ns);
        prop_assert_eq!(exact(|row| row.tail_weighted_ns), found.tail.weighted_root_ns);
        let sum: f64 = found.rows.iter().map(|row| row.delta_ns).sum();
        let roots = found.tail.mean_root_ns() - found.middle.mean_root_ns();
        prop_assert!((sum - roots).abs() < 1e-6 * roots.abs().max(1.0), "{} {}", sum, roots);
        for row in &found.rows {
            prop_assert!((row.more_calls_ns + row.slower_ns - row.delta_ns).abs() < 1e-3);
        }
        let again = tail_attribution(&shuffled(seed ^ 2, &input), TailStart::P99, seed).unwrap();
        prop_assert_eq!(again, found);
    }
}
