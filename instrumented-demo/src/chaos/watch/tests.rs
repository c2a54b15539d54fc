//! A week in a second, in stopped time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Chaos, Clock, Firing};
use crate::faults::{Fleet, Member};

const WEEK_S: f64 = 7.0 * 86_400.0;

fn fleet() -> Fleet {
    let member = Member {
        service: "order-service".to_owned(),
        instance: "order-service-1".to_owned(),
        host: "host-a".to_owned(),
    };
    let edge = ("gateway".to_owned(), "order-service".to_owned());
    Fleet { instances: vec![member], edges: vec![edge] }
}

fn chaos(action: &str) -> Chaos {
    let text = format!(
        "chaos: {{enabled: true, schedule: '0 9-17 * * 1-5', probability: 1, actions: [{action}]}}"
    );
    Chaos::parse(&text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn unit_a_week_passes_in_a_second() {
    let start = Instant::now();
    let clock = Clock { start: "2026-01-05T00:00:00".parse().unwrap(), speed: WEEK_S };
    let stop = CancellationToken::new();
    let mut seen = Vec::new();
    let watching = async {
        let (chaos, fleet) = (chaos("terminateInstance"), fleet());
        let struck = |strike, effect| seen.push((start.elapsed(), strike, effect));
        chaos.watch(&fleet, clock, start, stop.clone(), struck).await;
    };
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stop.cancel();
    };
    tokio::join!(watching, second);
    assert_eq!(seen.len(), 45);
    let (first_at, strike, effect) = &seen[0];
    // Nine hours of a week are 53.57 ms of a second.
    assert!((effect.from.as_secs_f64() - 9.0 * 3_600.0 / WEEK_S).abs() < 1e-6);
    assert!(*first_at >= effect.from);
    let record = strike.record(3, 1_000_000_000, effect);
    assert_eq!((record.id, record.seed, record.valid), (0, 3, false));
    assert_eq!(record.start_ns, 1_000_000_000 + effect.from.as_nanos() as i64);
    assert_eq!(record.culprit.name, "order-service-1");
}

#[test]
fn unit_firings_read_as_lines() {
    let line = |action: &str, probability: f64| {
        let chaos = Chaos { probability, ..chaos(action) };
        let firing: Firing =
            chaos.next_after("2026-01-05T10:00:00".parse().unwrap(), &fleet()).unwrap();
        firing.to_string()
    };
    assert_eq!(line("cpuSpike", 0.0), "Mon 2026-01-05 11:00  nothing");
    assert_eq!(line("cpuSpike", 1.0), "Mon 2026-01-05 11:00  cpuSpike order-service-1 for 60 s");
    let edge = "Mon 2026-01-05 11:00  networkLatency gateway→order-service for 60 s";
    assert_eq!(line("networkLatency", 1.0), edge);
}
