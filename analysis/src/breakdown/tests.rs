//! The two traces of analytics 8, weights, and the identity.

use proptest::prelude::*;

use super::*;
use crate::path_times::tests::{path_times, random_traces, shuffled};
use crate::path_times::{PathTime, PathTimes, TraceTotal};
use crate::sampling::Weight;

/// Each row as `key contrib share% presence calls`.
fn check(lines: &[&str], expected: &[&str]) {
    let found = breakdown(&path_times(lines), MixedShares::Refuse);
    let rows: Vec<String> = found
        .rows
        .iter()
        .map(|row| {
            let share = row.share.map_or("-".into(), |share| (share * 100.0).to_string());
            format!("{} {} {share}% {} {}", row.key, row.contrib_ns, row.presence, row.calls)
        })
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(found.unowned_ns(), 0);
}

#[test]
fn the_example_of_the_page() {
    check(
        &[
            "100: gateway 10, order 19/2, pricing 24/2, payment 29/2, sqlite:payment 15, bus:orders 3",
            "60: gateway 4, order 16/2, payment 30/2, sqlite:payment 10",
        ],
        &[
            "payment 29.5 36.875% 1 2",
            "order 17.5 21.875% 1 2",
            "sqlite:payment 12.5 15.625% 1 1",
            "pricing 12 15% 0.5 1",
            "gateway 7 8.75% 1 1",
            "bus:orders 1.5 1.875% 0.5 0.5",
        ],
    );
    check(
        &["100: self 61, gap 21, db 15, queue 3", "60: self 40, gap 10, db 10"],
        &[
            "self 50.5 63.125% 1 1",
            "gap 15.5 19.375% 1 1",
            "db 12.5 15.625% 1 1",
            "queue 1.5 1.875% 0.5 0.5",
        ],
    );
}

#[test]
fn a_trace_counts_as_often_as_it_stands_for() {
    check(
        &["10 ×3: a 10", "30: b 20/4, a 10"],
        &["a 10 66.66666666666666% 1 1", "b 5 33.33333333333333% 0.25 1"],
    );
}

#[test]
fn edges_of_the_input() {
    check(&[], &[]);
    check(&["0: a 0/1"], &["a 0 -% 0 1"]);
    check(&["10: b 5, a 5"], &["a 5 50% 1 1", "b 5 50% 1 1"]);
}

#[test]
fn what_no_key_owns_is_said() {
    let found = breakdown(&path_times(&["10 ×2: a 7"]), MixedShares::Refuse);
    assert_eq!(found.unowned_ns(), 3 * 2 * i128::from(Weight::ONE.units()));
}

#[test]
fn mixed_roots_have_shares_only_when_asked_for() {
    let total = |root_operation| TraceTotal { root_ns: 8, root_operation, ..TraceTotal::default() };
    let entry = PathTime { trace: 0, key: 0, path_ns: 4, spans: 1 };
    for (roots, mixed, expected) in [
        ([1, 1], MixedShares::Refuse, Some(0.25)),
        ([1, 2], MixedShares::Refuse, None),
        ([1, 2], MixedShares::Show, Some(0.25)),
    ] {
        let paths = PathTimes::new(&["a".into()], &roots.map(total), &[entry]);
        let found = breakdown(&paths.unwrap_or_default(), mixed);
        assert_eq!(found.rows[0].share, expected, "{roots:?} {mixed:?}");
        assert_eq!(found.is_mixed, roots[0] != roots[1]);
    }
}

proptest! {
    #[test]
    fn contributions_sum_to_the_root_exactly_in_any_order(
        seed in any::<u64>(), traces in 0..40_usize, keys in 1..8_usize,
    ) {
        let input = random_traces(seed, traces, keys);
        let found = breakdown(&shuffled(seed ^ 1, &input), MixedShares::Refuse);
        prop_assert_eq!(found.unowned_ns(), 0);
        let sum: f64 = found.rows.iter().map(|row| row.contrib_ns).sum();
        prop_assert!((sum - found.mean_root_ns).abs() <= 1e-9 * found.mean_root_ns.max(1.0));
        prop_assert!(found.rows.iter().all(|row| (0.0..=1.0).contains(&row.presence)));
        prop_assert_eq!(breakdown(&shuffled(seed ^ 2, &input), MixedShares::Refuse), found);
    }
}
