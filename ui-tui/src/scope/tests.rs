//! Ranges keep still within a bucket, and zoom in steps.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn now(text: &str) -> Now {
    Now { mono_ms: 0, unix_ns: time::parse(text, 0).unwrap() }
}

fn check(range: Range, at: &str, from: &str, to: &str) {
    let fixed = range.fixed(now(at));
    let cut = |text: Option<String>| text.unwrap_or_default().get(..19).unwrap_or("").to_owned();
    assert_eq!(
        (cut(fixed.from()).as_str(), cut(fixed.to()).as_str()),
        (from, to),
        "{range:?} at {at}"
    );
}

#[test]
fn a_live_range_keeps_still_within_its_bucket() {
    let quarter = Range::default();
    check(quarter, "2026-11-22T15:59:46Z", "2026-11-22T15:45:00", "2026-11-22T16:00:00");
    check(quarter, "2026-11-22T15:59:59.9Z", "2026-11-22T15:45:00", "2026-11-22T16:00:00");
    check(quarter, "2026-11-22T16:00:00Z", "2026-11-22T15:45:15", "2026-11-22T16:00:15");
    check(Range::All, "2026-11-22T16:00:00Z", "", "");
}

#[test]
fn zooming_steps_and_comes_back() {
    let mut range = Range::default();
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(range.words(&TimeZone::UTC));
        range = range.wider();
    }
    assert_eq!(
        seen.join(", "),
        "last 15m, last 1h, last 6h, last 1d, last 7d, last 30d, last 365d, all time"
    );
    assert_eq!(Range::Last(MINUTE_NS).narrower(), Range::Last(MINUTE_NS));
    let hour = Range::Between(0, HOUR_NS);
    assert_eq!(hour.narrower(), Range::Between(15 * MINUTE_NS, 45 * MINUTE_NS));
    assert_eq!(hour.narrower().wider(), hour);
}

#[test]
fn shifting_stops_the_clock() {
    let at = now("2026-11-22T15:59:46Z");
    assert_eq!(
        Range::default().shifted(at, -1, 1).words(&TimeZone::UTC),
        "2026-11-22 15:30..15:45"
    );
    assert_eq!(Range::All.shifted(at, -1, 1), Range::All);
}

#[test]
fn lengths_read_as_they_are_typed() {
    for text in ["1s", "90s", "15m", "1h30m", "7d"] {
        let ns = i64::try_from(time::duration(text).unwrap().as_nanos()).unwrap();
        let again = length(ns);
        assert_eq!(time::duration(&again).unwrap(), time::duration(text).unwrap(), "{again}");
    }
}

/// Ages of the oldest and the newest row in seconds, and the range to begin with.
#[test]
fn the_first_range_fits_the_data() {
    const NOW_NS: i64 = 1_795_363_186_000_000_000;
    for (oldest_s, newest_s, expected) in [
        (20, 0, "last 30s"),
        (100, 1, "last 2m"),
        (310, 1, "last 6m"),
        (899, 1, "last 15m"),
        (86_400, 3, "last 15m"),
        (86_400, 899, "last 15m"),
        (86_400, 7_200, "2026-11-22 13:44:47..13:59:47"),
        (7_500, 7_200, "2026-11-22 13:53:47..13:59:47"),
        (7_200, 7_200, "2026-11-22 13:59:17..13:59:47"),
    ] {
        let at = |ago_s: i64| NOW_NS - ago_s * 1_000_000_000;
        let range = Range::fitting(NOW_NS, (at(oldest_s), at(newest_s)));
        assert_eq!(range.words(&TimeZone::UTC), expected, "{oldest_s} {newest_s}");
    }
}
