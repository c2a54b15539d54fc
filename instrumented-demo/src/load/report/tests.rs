//! Quantiles, phases, and the table.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use super::{Histogram, Report, VALUE_MAX_US, bucket, upper_us};
use crate::load::Step;

#[test]
fn unit_each_value_lies_in_its_bucket_and_no_bucket_is_wide() {
    let mut values: Vec<u64> = (0..5_000).collect();
    values.extend((5..32).flat_map(|n| [(1 << n) - 1, 1 << n, (1 << n) + 1]));
    values.push(VALUE_MAX_US);
    for us in values {
        let upper = upper_us(bucket(us));
        assert!(upper >= us && upper - us <= us / 32, "{us}: up to {upper}");
        assert!(bucket(us) == 0 || upper_us(bucket(us) - 1) < us, "{us}");
    }
}

#[test]
fn unit_quantiles_are_nearest_ranks() {
    let mut histogram = Histogram::default();
    assert_eq!(histogram.quantile(0.5), None);
    (1..=100).for_each(|ms| histogram.add(Duration::from_millis(ms)));
    for (share, ms) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
        let got = histogram.quantile(share).unwrap().as_secs_f64() * 1e3;
        assert!(got >= ms && got <= ms * 33.0 / 32.0, "{share}: {got}");
    }
    histogram.add(Duration::MAX);
    assert!(histogram.quantile(1.0).unwrap() > Duration::from_secs(3_600));
}

#[test]
fn unit_requests_count_where_they_were_meant_to_be_sent() {
    let at = Duration::from_secs;
    let mut report = Report::new(vec![at(10), at(20)]);
    for (second, status) in [(0, 200), (9, 500), (10, 201), (19, 0), (20, 404), (99, 200)] {
        let tally = report.tally(at(second), Step::LookUp);
        tally.sent += 1;
        tally.end(status, Duration::from_millis(second));
    }
    for (phase, expected) in [(0, (2, 1)), (1, (2, 1)), (2, (2, 1)), (3, (0, 0))] {
        let requests = report.requests(phase, "GET /api/orders/{id}");
        assert_eq!((requests.count, requests.errors), expected, "phase {phase}");
        assert_eq!(report.requests(phase, "GET /api/orders").count, 0);
    }
    let total = report.total();
    assert_eq!((total.sent, total.ok, total.failed, total.latency.total()), (6, 3, 3, 6));
    assert_eq!(
        total.statuses.into_iter().collect::<Vec<_>>(),
        [(0, 1), (200, 2), (201, 1), (404, 1), (500, 1)]
    );
}

#[test]
fn unit_prints_a_table() {
    let mut report = Report::new(Vec::new());
    let tally = report.tally(Duration::ZERO, Step::Order);
    (tally.sent, tally.not_sent) = (2, 1);
    tally.end(201, Duration::from_micros(20));
    tally.end(503, Duration::from_micros(31));
    let expected = "\
operation                            sent   failed not sent    p50 ms    p99 ms
POST /api/orders                        2        1        1       0.0       0.0
all                                     2        1        1       0.0       0.0
";
    assert_eq!(report.to_string(), expected);
}
