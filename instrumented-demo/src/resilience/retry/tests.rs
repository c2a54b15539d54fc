//! Pauses and budgets.

use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{RetryBudget, RetryPolicy};

#[test]
fn unit_pauses_lie_below_the_doubling_ceiling_and_fill_it() {
    let seed = 7;
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let policy = RetryPolicy::default();
    for (retry, ceiling_ms) in [(0, 50), (1, 100), (2, 200), (3, 400)] {
        let mut pauses: Vec<Duration> =
            (0..1_000).map(|_| policy.pause(retry, &mut random)).collect();
        pauses.sort();
        let share = |at: usize| pauses[at].as_secs_f64() * 1_000.0 / f64::from(ceiling_ms);
        assert!(share(999) <= 1.0, "retry {retry}");
        assert!((share(500) - 0.5).abs() < 0.06, "retry {retry}: median at {}", share(500));
        assert!(share(10) < 0.05, "retry {retry}");
    }
}

#[test]
fn unit_a_pause_never_overflows() {
    let mut random = StdRng::seed_from_u64(7);
    RetryPolicy::default().pause(u32::MAX, &mut random);
}

/// Retries granted of `asked` after `requests` requests.
fn granted(requests: u32, asked: u32, budget_percent: Option<u64>) -> usize {
    let now = Instant::now();
    let policy = RetryPolicy { budget_percent, ..RetryPolicy::default() };
    let mut budget = RetryBudget::new(now);
    (0..requests).for_each(|_| budget.request(now));
    (0..asked).filter(|_| budget.withdraw(&policy, now)).count()
}

#[test]
fn unit_a_tenth_of_the_requests_may_be_retried() {
    let cases = [
        (0, 5, Some(10), 0),
        (9, 5, Some(10), 0),
        (10, 5, Some(10), 1),
        (100, 50, Some(10), 10),
        (100, 5, Some(10), 5),
        (100, 50, Some(0), 0),
        (0, 50, None, 50),
    ];
    for (requests, asked, percent, expected) in cases {
        assert_eq!(granted(requests, asked, percent), expected, "{requests} {asked} {percent:?}");
    }
}

#[test]
fn unit_the_budget_looks_back_ten_seconds() {
    let start = Instant::now();
    let at = |s| start + Duration::from_secs(s);
    let policy = RetryPolicy::default();
    let mut budget = RetryBudget::new(start);
    (0..10).for_each(|_| budget.request(at(0)));
    assert!(budget.withdraw(&policy, at(9)));
    assert!(!budget.withdraw(&policy, at(9)));
    (0..10).for_each(|_| budget.request(at(10)));
    assert!(!budget.withdraw(&policy, at(18)), "the retry of second 9 still counts");
    assert!(budget.withdraw(&policy, at(19)));
}
