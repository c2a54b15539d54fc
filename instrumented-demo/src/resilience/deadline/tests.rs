//! Times left, from headers and to calls.

use std::time::{Duration, Instant};

use super::Deadline;

const OWN: Duration = Duration::from_millis(2_000);

fn check_received(header: Option<&str>, expected_ms: u64) {
    let now = Instant::now();
    let left = Deadline::received(now, header, OWN).left(now);
    assert_eq!(left, Some(Duration::from_millis(expected_ms)), "{header:?}");
}

#[test]
fn unit_the_caller_may_shorten_the_time_but_not_lengthen_it() {
    check_received(None, 2_000);
    check_received(Some("150"), 150);
    check_received(Some(" 150 "), 150);
    check_received(Some("9000"), 2_000);
    check_received(Some("soon"), 2_000);
    check_received(Some("-1"), 2_000);
}

#[test]
fn unit_each_call_gets_the_smaller_of_its_own_time_and_what_is_left() {
    let start = Instant::now();
    let deadline = Deadline::within(start, Duration::from_millis(300));
    let at = |ms| start + Duration::from_millis(ms);
    let own = Duration::from_millis(200);
    for (passed_ms, limit_ms) in [(0, Some(200)), (50, Some(200)), (250, Some(50))] {
        assert_eq!(deadline.limit(at(passed_ms), own), limit_ms.map(Duration::from_millis));
    }
    assert_eq!(deadline.limit(at(300), own), None);
    assert_eq!(deadline.limit(at(400), own), None);
}

#[test]
fn unit_a_header_never_says_zero() {
    assert_eq!(Deadline::header_value(Duration::from_micros(300)), "1");
    assert_eq!(Deadline::header_value(Duration::from_millis(70)), "70");
}
