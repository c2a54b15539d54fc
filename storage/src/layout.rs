//! Names and places inside the data directory. Pure, apart from fresh ids.

use std::path::{Path, PathBuf};

use schemas::Table;

/// Nanoseconds of a second.
pub(crate) const SECOND_NS: i64 = 1_000_000_000;
/// Nanoseconds of an hour.
pub(crate) const HOUR_NS: i64 = 3_600 * SECOND_NS;
/// Nanoseconds of a day.
pub(crate) const DAY_NS: i64 = 24 * HOUR_NS;
/// Width of the windows that own flushed files.
pub(crate) const WINDOW_NS: i64 = 600 * SECOND_NS;

/// The catalog's database.
pub(crate) fn catalog(dir: &Path) -> PathBuf {
    dir.join("catalog.sqlite")
}

/// The folder of WAL segments.
pub(crate) fn wal(dir: &Path) -> PathBuf {
    dir.join("wal")
}

/// The folder of damaged pieces, kept for people to look at.
pub(crate) fn quarantine(dir: &Path) -> PathBuf {
    dir.join("quarantine")
}

/// The file that is given up when the disk is full.
pub(crate) fn ballast(dir: &Path) -> PathBuf {
    dir.join("ballast")
}

/// A fresh name for a file of a table, relative to the data directory:
/// `<table>/date=YYYY-MM-DD/hour=HH/L<n>-<uuid v7>.parquet`. Date and hour are the window's start.
pub(crate) fn new_file(table: Table, level: u8, window_start_ns: i64) -> String {
    let day = day(window_start_ns);
    let hour = window_start_ns.rem_euclid(DAY_NS) / HOUR_NS;
    let id = uuid::Uuid::now_v7();
    format!("{}/date={day}/hour={hour:02}/L{level}-{id}.parquet", table.name())
}

/// The day of a time as `YYYY-MM-DD`, UTC.
pub(crate) fn day(time_ns: i64) -> String {
    let (year, month, day) = civil(time_ns.div_euclid(DAY_NS));
    format!("{year:04}-{month:02}-{day:02}")
}

/// A time as `YYYY-MM-DD HH:MM:SS.nnnnnnnnn`, UTC: how DuckLake writes bounds of timestamps.
pub(crate) fn timestamp(time_ns: i64) -> String {
    let of_day = time_ns.rem_euclid(DAY_NS);
    let (seconds, ns) = (of_day / SECOND_NS, of_day % SECOND_NS);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{} {hour:02}:{minute:02}:{second:02}.{ns:09}", day(time_ns))
}

/// Reads [`timestamp`] back.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let shape = text.len() == 29 && text.is_ascii();
    let days = days(number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let ns = days.checked_mul(DAY_NS)?.checked_add(seconds * SECOND_NS + number(20..29)?)?;
    shape.then_some(ns)
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    //! Dates against known ones, and there and back.
    use super::*;

    #[test]
    fn times_are_written_and_read_back() {
        let cases = [
            (0, "1970-01-01 00:00:00.000000000"),
            (951_782_400 * SECOND_NS + 1, "2000-02-29 00:00:00.000000001"),
            (-1, "1969-12-31 23:59:59.999999999"),
            (1_795_373_060 * SECOND_NS, "2026-11-22 18:44:20.000000000"),
            (i64::MAX, "2262-04-11 23:47:16.854775807"),
        ];
        for (ns, text) in cases {
            assert_eq!(timestamp(ns), text);
            assert_eq!(parse_timestamp(text), Some(ns));
        }
    }
}
