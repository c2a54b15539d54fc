//! Buckets over time, and many keys.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use super::{Rate, RateLimiter};

const RATE: Rate = Rate { per_second: 10.0, burst: 5.0 };

/// How many of the calls at these milliseconds get through.
fn allowed(at_ms: impl IntoIterator<Item = u64>) -> usize {
    let start = Instant::now();
    let mut limiter = RateLimiter::new(RATE, 10, start);
    let times = at_ms.into_iter().map(|ms| start + Duration::from_millis(ms));
    times.filter(|&now| limiter.take("k", now).is_ok()).count()
}

#[test]
fn unit_a_burst_then_the_rate() {
    assert_eq!(allowed([0; 20]), 5);
    assert_eq!(allowed((0..20).map(|n| n * 100)), 20);
    assert_eq!(allowed((0..1_000).map(|n| n * 10)), 5 + 99);
    assert_eq!(allowed([0; 5].into_iter().chain([60_000; 20])), 10);
}

#[test]
fn unit_says_when_to_come_back() {
    let start = Instant::now();
    let mut limiter = RateLimiter::new(RATE, 10, start);
    (0..5).for_each(|_| limiter.take("k", start).unwrap());
    let wait = limiter.take("k", start).unwrap_err();
    assert_eq!(wait, Duration::from_millis(100));
    assert!(limiter.take("k", start + wait).is_ok());
    for (wait_ms, seconds) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2)] {
        assert_eq!(RateLimiter::retry_after_s(Duration::from_millis(wait_ms)), seconds);
    }
}

#[test]
fn unit_keys_are_apart_and_bounded() {
    let start = Instant::now();
    let mut limiter = RateLimiter::new(RATE, 2, start);
    let mut take = |key: &str, ms| limiter.take(key, start + Duration::from_millis(ms)).is_ok();
    assert!((0..5).all(|_| take("a", 0)));
    assert!((0..5).all(|_| take("b", 0)));
    assert!(!take("a", 0) && !take("b", 0));
    // Both are in use, so `c` and `d` share.
    assert!((0..3).all(|_| take("c", 0)) && (0..2).all(|_| take("d", 0)));
    assert!(!take("c", 0) && !take("d", 0));
    // A minute later both buckets are full again and make room.
    assert!((0..5).all(|_| take("e", 60_000)));
    assert!((0..5).all(|_| take("f", 60_000)));
    assert_eq!(limiter.buckets.len(), 2);
}
