//! The schedule and the figures; sending is tested against a real server by `benches/report`.

use super::*;

fn load(rate: Option<u64>, requests_max: u64) -> Load {
    Load {
        endpoint: SocketAddr::from(([127, 0, 0, 1], 1)),
        door: Door::Http,
        signal: Signal::Traces,
        connections: 1,
        batch: 500,
        rate,
        duration: Duration::from_secs(1),
        requests_max,
        run: "run".to_owned(),
    }
}

#[test]
fn an_open_load_is_due_at_fixed_times() {
    let schedule = Schedule::new(&load(Some(5_000), 1_000));
    let due: Vec<_> = std::iter::from_fn(|| schedule.next()).collect();
    let offsets: Vec<_> = due.iter().map(|(_, at)| (*at - schedule.start).as_millis()).collect();
    assert_eq!(offsets, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
}

#[test]
fn a_run_ends_after_its_requests() {
    let schedule = Schedule::new(&load(None, 3));
    assert_eq!(std::iter::from_fn(|| schedule.next()).count(), 3);
}

#[test]
fn latencies_are_read_off_the_sorted_list() {
    let report = Report { latencies_us: (1..=101).collect(), ..Report::default() };
    assert_eq!(report.latency(0.5), Duration::from_micros(51));
    assert_eq!(report.latency(0.99), Duration::from_micros(100));
    assert_eq!(report.latency(1.0), Duration::from_micros(101));
    assert_eq!(Report::default().latency(0.5), Duration::ZERO);
}
