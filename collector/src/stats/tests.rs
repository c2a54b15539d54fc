//! Counting services, and the text for Prometheus.

use schemas::Signal;
use storage::Encoding;

use super::{CollectorStats, Origin, SERVICES_MAX, ServiceTally, Transport};
use crate::testing::batch;

const SECOND_NS: i64 = 1_000_000_000;

fn tally(services: &[(&str, usize)]) -> ServiceTally {
    ServiceTally::of(Signal::Traces, &[batch(Signal::Traces, services)])
}

#[test]
fn services_are_counted_by_name() {
    let stats = CollectorStats::default();
    let long = "a service with a name beyond twelve bytes";
    stats.count_services(&tally(&[("cart", 3), (long, 2), ("cart", 1)]), 5);
    stats
        .count_services(&ServiceTally::of(Signal::Logs, &[batch(Signal::Logs, &[("cart", 7)])]), 9);
    let seen: Vec<_> =
        stats.services().into_iter().map(|s| (s.name, s.last_seen_ns, s.records)).collect();
    let expected = [(long.to_owned(), 5, [2, 0, 0]), ("cart".to_owned(), 9, [4, 0, 7])];
    assert_eq!(seen, expected);
}

#[test]
fn the_list_of_services_is_bounded() {
    let stats = CollectorStats::default();
    let mut now_ns = 1_000 * SECOND_NS;
    for i in 0..SERVICES_MAX + 10 {
        stats.count_services(&tally(&[(&format!("s{i}"), 1)]), now_ns);
    }
    assert_eq!(stats.services().len(), SERVICES_MAX);
    let mut text = String::new();
    stats.render_prometheus(&mut text);
    assert!(text.contains("otlake_receiver_services_overflow_records_total 10\n"), "{text}");
    // The silent make room.
    now_ns += 700 * SECOND_NS;
    stats.count_services(&tally(&[("fresh", 1)]), now_ns);
    assert_eq!(stats.services().len(), 1);
}

#[test]
fn warnings_come_once_a_minute() {
    let stats = CollectorStats::default();
    let cart = tally(&[("cart", 1)]);
    stats.count_services(&cart, 0);
    let asked = [0, 1, 59, 60, 61].map(|s| stats.may_warn(&cart, s * SECOND_NS));
    assert_eq!(asked, [true, false, false, true, false]);
}

#[test]
fn prometheus_text() {
    let stats = CollectorStats::default();
    let origin = Origin {
        signal: Signal::Metrics,
        transport: Transport::Grpc,
        encoding: Encoding::Protobuf,
    };
    stats.count_accepted(origin, 12);
    stats.count_received(origin, 345);
    let mut text = String::new();
    stats.render_prometheus(&mut text);
    for line in [
        "# TYPE otelcol_receiver_accepted_metric_points counter\n",
        "otelcol_receiver_accepted_metric_points{receiver=\"otlp\",transport=\"grpc\"} 12\n",
        "otelcol_receiver_accepted_metric_points{receiver=\"otlp\",transport=\"http\"} 0\n",
        "otlake_receiver_wire_bytes_total{signal=\"metrics\",transport=\"grpc\",encoding=\"protobuf\"} 345\n",
        "# TYPE otlake_receiver_connections gauge\notlake_receiver_connections 0\n",
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
    for name in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let name = name.split(' ').next().unwrap_or_default();
        assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1, "{name}");
    }
}
