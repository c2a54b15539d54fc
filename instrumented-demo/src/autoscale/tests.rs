//! The article's numbers, and stories over time.

use std::time::{Duration, Instant};

use super::{Autoscaler, Metric, Policy, REQUESTS, Utilisation};

fn use_of(cpu_percent: f64, memory_percent: f64) -> Utilisation {
    Utilisation { cpu_percent, memory_percent }
}

#[test]
fn unit_the_formula_with_the_articles_numbers() {
    //  current, cpu %, memory %, desired, by
    let cases = [
        (3, 140.0, 60.0, 6, Metric::Cpu),
        (4, 105.0, 60.0, 6, Metric::Cpu),
        (3, 74.0, 80.0, 3, Metric::Cpu),
        (10, 14.0, 16.0, 3, Metric::Cpu),
        (60, 140.0, 20.0, 100, Metric::Cpu),
        (3, 20.0, 160.0, 6, Metric::Memory),
        (10, 77.0, 20.0, 10, Metric::Cpu),
        (10, 77.1, 20.0, 12, Metric::Cpu),
        (10, 63.0, 20.0, 10, Metric::Cpu),
        (10, 62.9, 20.0, 9, Metric::Cpu),
        (5, 0.0, 0.0, 3, Metric::Cpu),
        (3, 1e9, 0.0, 100, Metric::Cpu),
    ];
    for (current, cpu, memory, desired, metric) in cases {
        let got = Policy::default().desired(current, use_of(cpu, memory));
        assert_eq!(got, (desired, metric), "{current} at {cpu} % and {memory} %");
    }
}

#[test]
fn unit_utilisation_is_a_share_of_the_request() {
    let half_a_core = Utilisation::of(REQUESTS, 0.5, 128 << 20);
    assert_eq!(half_a_core, use_of(200.0, 50.0));
}

/// Observes the processor every ten seconds and returns the instances after each.
fn play(cpu: &[f64]) -> Vec<u32> {
    let start = Instant::now();
    let mut scaler = Autoscaler::new(Policy::small());
    let mut current = 2;
    let times = (0..).map(|n| start + Duration::from_secs(10 * n));
    let step = |(now, cpu): (Instant, &f64)| {
        // What an instance uses falls as there are more of them.
        if let Some(event) = scaler.decide(now, current, use_of(cpu / f64::from(current), 0.0)) {
            assert_eq!(event.from, current);
            current = event.to;
        }
        current
    };
    times.zip(cpu).map(step).collect()
}

#[test]
fn unit_goes_up_at_once_and_down_after_half_a_minute() {
    assert_eq!(play(&[140.0, 280.0, 280.0]), [2, 4, 4]);
    assert_eq!(play(&[280.0, 70.0, 70.0, 70.0, 70.0]), [4, 4, 4, 1, 1]);
}

#[test]
fn unit_one_busy_moment_keeps_the_instances() {
    assert_eq!(play(&[280.0, 70.0, 70.0, 280.0, 70.0, 70.0, 70.0]), [4, 4, 4, 4, 4, 4, 1]);
    // The highest of the window, not the last, is where it goes.
    assert_eq!(play(&[280.0, 70.0, 140.0, 70.0, 70.0, 70.0]), [4, 4, 4, 2, 2, 1]);
}

#[test]
fn unit_memory_of_the_past_is_bounded() {
    let start = Instant::now();
    let mut scaler = Autoscaler::new(Policy::default());
    for n in 0_u32..10_000 {
        let percent = f64::from(n % 97);
        scaler.decide(start + Duration::from_millis(n.into()), 50, use_of(percent, 0.0));
        assert!(scaler.recent.len() <= 100);
    }
}
