//! One parser for every time a person types: `15m`, `now-1h`, RFC 3339, epoch s, ms, µs or ns.
//!
//! Everything becomes nanoseconds since the Unix epoch. A bare duration means "that long ago", which
//! is what `--since 15m` wants.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

mod range;
#[cfg(test)]
mod tests;

pub use range::{Range, range};

/// A text that is no time. The message says which forms are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: write {forms}")]
pub struct TimeError {
    text: String,
    what: &'static str,
    forms: &'static str,
}

/// Reads a point in time, relative forms counted from `now_ns`.
pub fn parse(text: &str, now_ns: i64) -> Result<i64, TimeError> {
    let trimmed = text.trim();
    relative(trimmed, now_ns).or_else(|| epoch(trimmed)).or_else(|| calendar(trimmed)).ok_or_else(
        || TimeError {
            text: text.to_owned(),
            what: "time",
            forms: "`15m` (ago), `now-1h`, `2026-11-22T10:00:00Z`, or an epoch in s, ms, µs or ns",
        },
    )
}

/// Reads a length of time: `90s`, `1h30m`, `7d`, `250ms`. A bare number other than 0 is refused,
/// since nobody agrees on its unit.
pub fn duration(text: &str) -> Result<Duration, TimeError> {
    length_ns(text.trim())
        .and_then(|ns| u64::try_from(ns).ok())
        .map(Duration::from_nanos)
        .ok_or_else(|| TimeError {
            text: text.to_owned(),
            what: "duration",
            forms: "a number and a unit, such as `250ms`, `90s`, `15m`, `1h30m`, `7d` or `2w`",
        })
}

/// RFC 3339 in UTC with nine digits, the form of every answer.
pub fn format(ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(at) => format!("{at:.9}"),
        Err(_) => ns.to_string(),
    }
}

/// The same instant as a typed SQL literal, so that files are pruned by it.
pub fn sql_literal(ns: i64) -> String {
    format!("TIMESTAMP '{}'", format(ns).trim_end_matches('Z'))
}

/// The wall clock, in nanoseconds since the epoch.
pub fn now_ns() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

fn relative(text: &str, now_ns: i64) -> Option<i64> {
    if text == "now" {
        return Some(now_ns);
    }
    if let Some(length) = text.strip_prefix("now-") {
        return now_ns.checked_sub(length_ns(length)?);
    }
    if let Some(length) = text.strip_prefix("now+") {
        return now_ns.checked_add(length_ns(length)?);
    }
    now_ns.checked_sub(length_ns(text).filter(|_| text != "0")?)
}

/// An epoch's unit follows from its number of digits: seconds reach year 5138 with eleven.
fn epoch(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unit_ns = match text.len() {
        ..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    text.parse::<i64>().ok()?.checked_mul(unit_ns)
}

fn calendar(text: &str) -> Option<i64> {
    let at = text
        .parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(in_utc))
        .or_else(|_| text.parse::<Date>().map(|day| day.at(0, 0, 0, 0)).and_then(in_utc))
        .ok()?;
    i64::try_from(at.as_nanosecond()).ok()
}

fn in_utc(at: DateTime) -> Result<Timestamp, jiff::Error> {
    at.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp())
}

fn length_ns(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let count: i64 = rest[..digits].parse().ok()?;
        let unit = unit_ns(&rest[digits..digits + letters])?;
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = &rest[digits + letters..];
    }
    (!text.is_empty()).then_some(total)
}

fn unit_ns(unit: &str) -> Option<i64> {
    Some(match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return None,
    })
}
