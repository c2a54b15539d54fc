//! Records survive their file, and only what a user would notice is valid.
// A record that cannot be written or read should fail the test there.
#![allow(clippy::unwrap_used)]

use super::*;

const START_NS: i64 = 1_748_779_200_000_000_000;

fn record(id: u8) -> Record {
    let scenario = Scenario::by_id(id).unwrap();
    Record::new(scenario, 7, START_NS, START_NS + 60_000_000_001)
}

fn change(before: (u64, u64, u64), during: (u64, u64, u64)) -> Change {
    let requests = |(count, errors, p99_ns)| Requests { count, errors, p99_ns };
    Change { root: "GET /x".to_owned(), before: requests(before), during: requests(during) }
}

#[test]
fn unit_a_line_comes_back_as_the_record() {
    let mut file = Vec::new();
    let records = [record(4), record(13), record(29)];
    records.iter().for_each(|record| record.write(&mut file).unwrap());
    file.extend(b"\n");
    assert_eq!(read(file.as_slice()).unwrap(), records);
}

#[test]
fn unit_times_are_rfc_3339_with_nanoseconds() {
    let line = record(4).to_line().unwrap();
    assert!(line.contains(r#""t_start":"2025-06-01T12:00:00.000000000Z""#), "{line}");
    assert!(line.contains(r#""t_end":"2025-06-01T12:01:00.000000001Z""#), "{line}");
    assert!(line.contains(r#""culprit":{"kind":"edge","name":"order-service→payment-service"}"#));
}

#[test]
fn unit_a_target_that_was_drawn_replaces_the_name_of_its_kind_alone() {
    let record = record(20).aimed_at(CulpritKind::Instance, "order-service-2");
    assert_eq!(record.culprit.name, "service.version=1.4.1");
    assert_eq!(record.also[0].name, "order-service-2");
}

#[test]
fn unit_valid_is_what_a_user_would_notice() {
    let cases = [
        (change((100, 0, 100), (100, 0, 125)), true),
        (change((100, 0, 100), (100, 0, 124)), false),
        (change((100, 0, 100), (100, 0, 75)), true),
        (change((1000, 5, 100), (1000, 15, 100)), true),
        (change((1000, 5, 100), (1000, 14, 100)), false),
        (change((0, 0, 0), (100, 50, 100)), false),
    ];
    for (change, expected) in cases {
        let mut record = record(4);
        record.judge(std::slice::from_ref(&change));
        assert_eq!(record.valid, expected, "{change:?}: {}", record.why);
    }
}

#[test]
fn unit_percentiles_are_of_the_nearest_rank() {
    let mut requests: Vec<(u64, bool)> = (1..=200).rev().map(|ns| (ns, ns % 50 == 0)).collect();
    assert_eq!(Requests::of(&mut requests), Requests { count: 200, errors: 4, p99_ns: 198 });
    assert_eq!(Requests::of(&mut [(9, true)]), Requests { count: 1, errors: 1, p99_ns: 9 });
    assert_eq!(Requests::of(&mut []), Requests::default());
}
