//! Texts and the ranges they are.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use jiff::tz::{Offset, TimeZone};

use super::*;

/// A Sunday, 15:53 in Berlin.
const NOW: &str = "2026-11-22T14:53:00Z";

fn ns(text: &str) -> i64 {
    i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap()
}

fn read(text: &str) -> Result<Range, TimeError> {
    range(text, ns(NOW), &TimeZone::fixed(Offset::constant(1)))
}

/// Clocks of the zone are an hour ahead of UTC.
fn check(text: &str, from: &str, to: &str) {
    let expected = Range::Between { from_ns: ns(from), to_ns: ns(to) };
    assert_eq!(read(text), Ok(expected), "{text}");
}

#[test]
fn ranges_with_both_ends() {
    check("14:00..14:30", "2026-11-22T13:00:00Z", "2026-11-22T13:30:00Z");
    check("15:40..16:05", "2026-11-22T14:40:00Z", "2026-11-22T15:05:00Z");
    check("18:00..18:30", "2026-11-21T17:00:00Z", "2026-11-21T17:30:00Z");
    check("23:50..0:10", "2026-11-21T22:50:00Z", "2026-11-21T23:10:00Z");
    check("14:00 .. +30m", "2026-11-22T13:00:00Z", "2026-11-22T13:30:00Z");
    check("2026-11-22T14:00Z..+30m", "2026-11-22T14:00:00Z", "2026-11-22T14:30:00Z");
    check("2026-11-22T14:00..2026-11-22T14:10:05", "2026-11-22T13:00:00Z", "2026-11-22T13:10:05Z");
    check("2h..1h", "2026-11-22T12:53:00Z", "2026-11-22T13:53:00Z");
    check("now-2h..now", "2026-11-22T12:53:00Z", "2026-11-22T14:53:00Z");
    check("1795341600..1795341700", "2026-11-22T10:00:00Z", "2026-11-22T10:01:40Z");
    check("around 15:53 +-5m", "2026-11-22T14:48:00Z", "2026-11-22T14:58:00Z");
    check("around 2026-11-22T10:00:00Z+-1m", "2026-11-22T09:59:00Z", "2026-11-22T10:01:00Z");
}

#[test]
fn ranges_of_days() {
    check("yesterday", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z");
    check("yesterday 9-10", "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z");
    check("today 9:30-10:15", "2026-11-22T08:30:00Z", "2026-11-22T09:15:00Z");
    check("2026-11-01", "2026-10-31T23:00:00Z", "2026-11-01T23:00:00Z");
    check("yesterday 9:30..+1h", "2026-11-21T08:30:00Z", "2026-11-21T09:30:00Z");
    // The day on which clocks go back has 25 hours.
    let berlin = range("2026-10-25", ns(NOW), &TimeZone::get("Europe/Berlin").unwrap());
    let ends = berlin.unwrap().ends_ns(0).unwrap();
    assert_eq!((ends.1.unwrap() - ends.0.unwrap()) / 3_600_000_000_000, 25);
}

#[test]
fn ranges_that_go_on() {
    assert_eq!(read("15m"), Ok(Range::Last { length_ns: 900_000_000_000 }));
    assert_eq!(read(" 1h30m "), Ok(Range::Last { length_ns: 5_400_000_000_000 }));
    assert_eq!(read("since 9:30"), Ok(Range::Since { from_ns: ns("2026-11-22T08:30:00Z") }));
    assert_eq!(read("9:30.."), Ok(Range::Since { from_ns: ns("2026-11-22T08:30:00Z") }));
    let deploy = Range::SinceDeploy { service: "checkout".to_owned() };
    assert_eq!(read("since deploy:checkout"), Ok(deploy));
    assert_eq!(read("change"), Ok(Range::Change));
    assert_eq!(read("all"), Ok(Range::All));
    let last = read("15m").unwrap().ends_ns(ns(NOW)).unwrap();
    assert_eq!(last, (Some(ns("2026-11-22T14:38:00Z")), Some(ns(NOW))));
    assert_eq!(read("change").unwrap().ends_ns(0), None);
}

#[test]
fn other_texts_are_refused() {
    for text in [
        "",
        "0",
        "soon",
        "14:00",
        "14:00..x",
        "1h..2h",
        "25:00..26:00",
        "yesterday 9",
        "9:60..10:00",
        "around 15:53",
        "since",
        "since deploy:",
        "..",
        "yesterday 10-9",
        "today..today",
        "15",
    ] {
        let refused = read(text);
        let shown = refused.as_ref().map_err(ToString::to_string);
        assert!(refused.is_err(), "{text}: {shown:?}");
    }
    assert!(read("soon").unwrap_err().to_string().contains("`since deploy:NAME`"));
}
