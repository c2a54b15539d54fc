//! Every form a person may type, and what is refused.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

const NOW: i64 = 1_795_000_000_000_000_000;
const MINUTE: i64 = 60_000_000_000;

fn check(text: &str, expected: Option<i64>) {
    assert_eq!(parse(text, NOW).ok(), expected, "{text}");
}

#[test]
fn times() {
    for (text, expected) in [
        ("now", Some(NOW)),
        ("15m", Some(NOW - 15 * MINUTE)),
        ("now-1h", Some(NOW - 60 * MINUTE)),
        ("now+1m", Some(NOW + MINUTE)),
        ("1h30m", Some(NOW - 90 * MINUTE)),
        ("0", Some(0)),
        ("1795000000", Some(NOW)),
        ("1795000000000", Some(NOW)),
        ("1795000000000000", Some(NOW)),
        ("1795000000000000000", Some(NOW)),
        ("1970-01-01T00:00:01Z", Some(1_000_000_000)),
        ("1970-01-01T01:00:01+01:00", Some(1_000_000_000)),
        ("1970-01-01T00:00:01.000000005", Some(1_000_000_005)),
        ("1970-01-02", Some(86_400_000_000_000)),
        ("", None),
        ("yesterday", None),
        ("15", Some(15_000_000_000)),
        ("15q", None),
        ("now-", None),
        ("99999999999999999999", None),
        ("m15", None),
    ] {
        check(text, expected);
    }
}

#[test]
fn durations() {
    for (text, expected) in [
        ("0", Some(0)),
        ("250ms", Some(250)),
        ("90s", Some(90_000)),
        ("1h30m", Some(5_400_000)),
        ("7d", Some(604_800_000)),
        ("15", None),
        ("-5m", None),
        ("", None),
        ("5 m", None),
    ] {
        let found = duration(text).ok().map(|d| d.as_millis());
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn written_times_read_back() {
    for ns in [0, 1, NOW, NOW + 123_456_789, -1] {
        assert_eq!(parse(&format(ns), 0).unwrap(), ns);
    }
    assert_eq!(sql_literal(1_000_000_005), "TIMESTAMP '1970-01-01T00:00:01.000000005'");
}
