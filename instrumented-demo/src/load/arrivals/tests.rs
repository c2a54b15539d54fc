//! Counts and gaps of arrivals against the rates that were asked for.

use std::time::Duration;

use super::{Arrivals, Bursts, Surge, Traffic, day};
use rand::SeedableRng;
use rand::rngs::StdRng;

const SEED: u64 = 11;

fn times_s(rate_per_s: f64, traffic: Traffic, surge: Option<Surge>, until_s: f64) -> Vec<f64> {
    let arrivals = Arrivals::new(SEED, rate_per_s, traffic, surge);
    arrivals.map(|at| at.as_secs_f64()).take_while(|at| *at < until_s).collect()
}

/// Within four standard deviations of a Poisson count.
fn check_count(count: usize, expected: f64) {
    let off = (count as f64 - expected).abs();
    assert!(off < 4.0 * expected.sqrt(), "{count} instead of {expected}, seed {SEED}");
}

#[test]
fn unit_steady_traffic_is_poisson() {
    let times = times_s(40.0, Traffic::Steady, None, 1_000.0);
    check_count(times.len(), 40_000.0);
    // The variance of counts per second is the mean, as of nothing that comes evenly.
    let mut counts = vec![0.0; 1_000];
    times.iter().for_each(|at| counts[*at as usize] += 1.0);
    let variance = counts.iter().map(|count: &f64| (count - 40.0).powi(2)).sum::<f64>() / 1_000.0;
    assert!((30.0..50.0).contains(&variance), "{variance}");
}

#[test]
fn unit_the_day_goes_up_and_down_with_a_flat_noon() {
    let cases =
        [(0.0, 1.0), (150.0, 1.48), (120.0, 1.48), (300.0, 1.0), (450.0, 0.4), (600.0, 1.0)];
    for (at_s, expected) in cases {
        assert!((day(at_s) - expected).abs() < 1e-9, "{at_s} s: {}", day(at_s));
    }
}

#[test]
fn unit_bursts_last_eight_seconds_and_stay_away_for_ninety() {
    let mut bursts = Bursts::new(StdRng::seed_from_u64(SEED));
    let (mut on_s, mut begun, mut was_on) = (0, 0, false);
    let total_s = 200_000;
    for second in 0..total_s {
        let is_on = bursts.is_on(f64::from(second));
        on_s += i32::from(is_on);
        begun += i32::from(is_on && !was_on);
        was_on = is_on;
    }
    let share = f64::from(on_s) / f64::from(total_s);
    assert!((share - 8.0 / 98.0).abs() < 0.008, "{share}");
    // Some bursts are over before the next whole second.
    assert!((1_600..2_100).contains(&begun), "{begun}");
}

#[test]
fn unit_lively_traffic_has_the_rate_of_the_day_between_bursts() {
    let times = times_s(40.0, Traffic::Lively, None, 600.0);
    let arrivals = &mut Arrivals::new(SEED, 40.0, Traffic::Lively, None);
    let expected: f64 = (0..60_000).map(|n| arrivals.shape(f64::from(n) / 100.0) * 0.4).sum();
    check_count(times.len(), expected);
}

#[test]
fn unit_a_surge_multiplies_its_window_only() {
    let at = Duration::from_secs;
    let surge = Surge { from: at(100), to: at(200), factor: 3.0 };
    let times = times_s(40.0, Traffic::Steady, Some(surge), 300.0);
    let count = |from: f64, to: f64| times.iter().filter(|at| (from..to).contains(*at)).count();
    check_count(count(0.0, 100.0), 4_000.0);
    check_count(count(100.0, 200.0), 12_000.0);
    check_count(count(200.0, 300.0), 4_000.0);
}

#[test]
fn unit_no_rate_means_no_arrival() {
    assert_eq!(Arrivals::new(SEED, 0.0, Traffic::Lively, None).next(), None);
}
