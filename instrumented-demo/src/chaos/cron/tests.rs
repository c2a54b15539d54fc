//! Timetables and the minutes they name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::civil::DateTime;

use super::{Cron, CronError};

/// The next minutes after a start, as many as are expected.
fn check(schedule: &str, after: &str, expected: &[&str]) {
    let cron: Cron = schedule.parse().unwrap();
    let mut at: DateTime = after.parse().unwrap();
    for want in expected {
        at = cron.next_after(at).unwrap();
        assert_eq!(at, want.parse().unwrap(), "{schedule} after {after}");
    }
}

#[test]
fn unit_minutes_hours_and_days() {
    check("* * * * *", "2026-01-01T00:00:30", &["2026-01-01T00:01:00", "2026-01-01T00:02:00"]);
    check("0 9-17 * * 1-5", "2026-01-02T16:00:00", &["2026-01-02T17:00:00", "2026-01-05T09:00:00"]);
    check("0 9 * * *", "2026-01-02T08:59:59", &["2026-01-02T09:00:00", "2026-01-03T09:00:00"]);
    check(
        "*/20 3 * * *",
        "2026-01-02T03:00:00",
        &["2026-01-02T03:20:00", "2026-01-02T03:40:00", "2026-01-03T03:00:00"],
    );
    check("5/30 0 1 * *", "2026-01-31T00:00:00", &["2026-02-01T00:05:00", "2026-02-01T00:35:00"]);
    check(
        "0 0-12/6,23 * * *",
        "2026-01-02T00:00:00",
        &["2026-01-02T06:00:00", "2026-01-02T12:00:00", "2026-01-02T23:00:00"],
    );
    check("15 10 * 2 *", "2026-03-01T00:00:00", &["2027-02-01T10:15:00"]);
}

#[test]
fn unit_sunday_has_two_numbers() {
    for sunday in ["0", "7", "6-7"] {
        let schedule = format!("0 0 * * {sunday}");
        check(&schedule, "2026-01-03T12:00:00", &["2026-01-04T00:00:00"]);
    }
}

#[test]
fn unit_either_day_is_enough_if_both_are_given() {
    let days = ["2026-02-02T00:00:00", "2026-02-09T00:00:00", "2026-02-13T00:00:00"];
    check("0 0 13 * 1", "2026-02-01T00:00:00", &days);
}

#[test]
fn unit_leap_days_are_found_and_days_that_never_come_are_not() {
    check("0 0 29 2 *", "2096-02-29T00:00:00", &["2104-02-29T00:00:00"]);
    let never: Cron = "0 0 31 2 *".parse().unwrap();
    assert_eq!(never.next_after("2026-01-01T00:00:00".parse().unwrap()), None);
}

#[test]
fn unit_errors_name_the_field_and_what_it_may_be() {
    let field = |schedule: &str| match schedule.parse::<Cron>() {
        Err(CronError::Field { field, .. }) => field,
        other => panic!("{schedule}: {other:?}"),
    };
    for (schedule, expected) in [
        ("60 * * * *", "minute"),
        ("-1 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* 17-9 * * *", "hour"),
        ("* * 0 * *", "day"),
        ("* * * 13 *", "month"),
        ("* * * jan *", "month"),
        ("* * * * 8", "day of the week"),
        ("*/0 * * * *", "minute"),
        (", * * * *", "minute"),
    ] {
        assert_eq!(field(schedule), expected, "{schedule}");
    }
    assert_eq!("0 9 * *".parse::<Cron>(), Err(CronError::Fields(4)));
    let text = "* 9-25 * * *".parse::<Cron>().unwrap_err().to_string();
    let expected = "hour cannot be \"9-25\": write *, numbers from 0 to 23, ranges, lists, steps";
    assert_eq!(text, expected);
}
