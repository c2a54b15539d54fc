//! Each rule with the example of analytics 13, and just beyond its conditions.
#![allow(clippy::unwrap_used)] // a failing test may panic

use super::*;

const MS: i64 = 1_000_000;
const S: i64 = 1_000_000_000;

/// `score saving evidence`, or `-`.
fn check(found: Option<Finding>, expected: &str) {
    let text = found.map_or("-".into(), |f| {
        let saving = f.saving_ns.map_or("-".into(), |ns| duration_text(ns as f64));
        format!("{:.3} | {saving} | {}", f.score, f.evidence)
    });
    assert_eq!(text, expected);
}

fn pool(full: usize, points: usize) -> Vec<PoolPoint> {
    let used = |i| if i < full { 20.0 } else { 5.0 };
    (0..points).map(|i| PoolPoint { used: used(i), max: 20.0, pending: 0.0 }).collect()
}

#[test]
fn saturation_of_a_pool() {
    let with = |pool: &[PoolPoint], wait_p90_ns| {
        saturation(&Saturation {
            pool,
            wait_p90_ns,
            caller_path_ns: 60 * MS,
            ..Saturation::default()
        })
    };
    let text = "0.300 | 12.0 ms | pool full in 9 of 30 points, p90 of the wait 12.0 ms of 60.0 ms \
                path time";
    check(with(&pool(9, 30), 12 * MS), text);
    check(with(&pool(5, 30), 12 * MS), "-");
    check(with(&pool(9, 30), 6 * MS), "-");
    check(with(&[], 12 * MS), "-");
    let waiting = [PoolPoint { used: 1.0, max: 20.0, pending: 3.0 }; 2];
    assert!(with(&waiting, 12 * MS).is_some());
    let unbounded = [PoolPoint { used: 1.0, max: 0.0, pending: 0.0 }; 2];
    check(with(&unbounded, 12 * MS), "-");
}

#[test]
fn saturation_of_a_consumer_and_a_processor() {
    let lag = |points: &[(i64, f64)]| {
        let points = points.iter().map(|(s, lag)| LagPoint { time_ns: s * S, lag: *lag });
        saturation(&Saturation { lag: &points.collect::<Vec<_>>(), ..Saturation::default() })
    };
    check(
        lag(&[(20, 9.0), (0, 1.0), (10, 4.0), (30, 20.0), (40, 2.0)]),
        "1.000 | - | lag grew from 1 to 20 for 30.00 s",
    );
    check(lag(&[(0, 1.0), (10, 4.0), (20, 4.0), (30, 20.0)]), "-");
    check(lag(&[(0, 1.0), (29, 4.0)]), "-");
    let cpu = |share| saturation(&Saturation { cpu_share: Some(share), ..Saturation::default() });
    check(cpu(0.95), "0.950 | - | 95.0 % of the processor used");
    check(cpu(0.9), "-");
}

#[test]
fn concurrency_is_counted_by_time() {
    let check = |spans: &[(i64, i64)], expected: (u64, i64)| {
        let found = at_maximum(spans);
        assert_eq!((found.spans_max, found.time_ns), expected, "{spans:?}");
    };
    check(&[(0, 10), (5, 15), (5, 8), (20, 30), (20, 25), (21, 22)], (3, 3 + 1));
    check(&[(0, 10), (10, 20)], (1, 20));
    check(&[(5, 5), (7, 3)], (0, 0));
    check(&[(3, 9)], (1, 6));
    check(&[], (0, 0));
}

#[test]
fn a_concurrency_limit() {
    let with = |seconds, gap_ms| {
        concurrency_limit(&ConcurrencyLimit {
            concurrency: AtMaximum { spans_max: 3, time_ns: seconds * S },
            window_ns: 60 * S,
            gap_p90_ns: gap_ms * MS,
            base_gap_p90_ns: 5 * MS,
        })
    };
    let text = "0.667 | 75.0 ms | 3 at once for 40.00 s of 60.00 s, p90 of the gap 80.0 ms against \
                5.0 ms";
    check(with(40, 80), text);
    check(with(29, 80), "-");
    check(with(40, 9), "-");
    check(concurrency_limit(&ConcurrencyLimit::default()), "-");
}

#[test]
fn retries_that_amplify() {
    let with = |attempts, error_rate, after| {
        retry_amplification(&RetryAmplification {
            window: Attempts { attempts, calls: 100 },
            error_rate,
            base_error_rate: 0.01,
            attempt_ns: 10 * MS,
            after,
        })
    };
    let text =
        "1.700 | 7.0 ms | 170 attempts for 100 calls (1.70 each), errors 30.0 % against 1.0 %";
    check(with(170, 0.3, None), text);
    check(with(149, 0.3, None), "-");
    check(with(170, 0.01, None), "-");
    let still = Some(Attempts { attempts: 160, calls: 100 });
    check(with(170, 0.3, still), &format!("{text}; metastable: 1.60 each after the trigger ended"));
    check(with(170, 0.3, Some(Attempts { attempts: 110, calls: 100 })), text);
}

#[test]
fn outliers_among_instances() {
    let check = |medians_us: &[i64], spans, expected: &[(usize, f64)]| {
        let instance = |us: &i64| Instance { median_self_ns: us * 1_000, spans };
        let found = instance_outliers(&medians_us.iter().map(instance).collect::<Vec<_>>());
        let rounded = found.iter().map(|(place, f)| (*place, (f.score * 10.0).round() / 10.0));
        assert_eq!(rounded.collect::<Vec<_>>(), expected);
    };
    check(&[10_000, 11_000, 10_400, 10_800, 30_000], 30, &[(4, 32.4)]);
    check(&[10_000, 11_000, 10_400, 10_800, 30_000], 29, &[]);
    check(&[10_000, 30_000], 30, &[]);
    check(&[100, 100, 130], 30, &[]);
    check(&[30_000, 10_000, 10_000, 10_000, 1], 30, &[(0, 134.9)]);
}

#[test]
fn timeouts_below_the_callee() {
    let with = |deadline_ms: Option<i64>, timed_out_us: &[i64], p95_ms: i64| {
        timeout_mismatch(&Timeouts {
            deadline_ns: deadline_ms.map(|ms| ms * MS),
            timed_out_ns: &timed_out_us.iter().map(|us| us * 1_000).collect::<Vec<_>>(),
            callee_p95_ns: p95_ms * MS,
        })
    };
    check(
        with(Some(200), &[], 340),
        "1.700 | - | deadline 200.0 ms (sent) below the callee's p95 of 340.0 ms",
    );
    check(with(Some(340), &[], 340), "-");
    check(
        with(None, &[500_000, 200_400, 199_700, 200_000, 500_100], 340),
        "1.700 | - | deadline 200.0 ms (from its timeouts) below the callee's p95 of 340.0 ms",
    );
    check(
        with(None, &[300_000, 200_000], 340),
        "1.700 | - | deadline 200.0 ms (from its timeouts) below the callee's p95 of 340.0 ms",
    );
    check(with(None, &[], 340), "-");
}

#[test]
fn pairs_that_talk_too_much() {
    let with = |calls, gap_ms| {
        let (gap_ns, request_ns) = (gap_ms * MS, 1_000 * MS);
        chatty_pair(&ChattyPair { calls, requests: 10, gap_ns, request_ns })
    };
    check(
        with(100, 200),
        "0.200 | 18.0 ms | 10.0 calls per request, 20.0 % of its time between caller and callee",
    );
    check(with(50, 200), "-");
    check(with(100, 100), "-");
    check(chatty_pair(&ChattyPair::default()), "-");
}

#[test]
fn coupling_multiplies_availabilities() {
    let with = |services_on_path: &[usize]| {
        coupling(&Coupling { services_on_path, availabilities: &[0.999; 6] })
    };
    check(
        with(&[6, 2, 7, 5]),
        "0.500 | - | 50.0 % of the requests cross 6 or more services; 6 on the chain are available \
         99.40 % of the time together",
    );
    check(with(&[5, 2]), "-");
    check(with(&[]), "-");
    assert!((0.999_f64.powi(6) - 0.9940).abs() < 5e-5);
}

#[test]
fn databases_of_several_services() {
    check(shared_database(&["user", "order", "user"]), "2.000 | - | used by order, user");
    check(shared_database(&["user", "user"]), "-");
}

#[test]
fn durations_are_readable() {
    for (ns, expected) in
        [(0.0, "0 ns"), (1_500.0, "1.5 µs"), (-2e6, "-2.0 ms"), (12_345e6, "12.35 s")]
    {
        assert_eq!(duration_text(ns), expected);
    }
}
