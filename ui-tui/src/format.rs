//! Numbers, times and ids as people read them: three significant digits and a unit, `us` and not `µs`,
//! `=` for no change. Every text is ASCII.

use jiff::Timestamp;
use jiff::tz::TimeZone;

#[cfg(test)]
mod tests;

const US: f64 = 1e3;
const MS: f64 = 1e6;
const S: f64 = 1e9;
const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// What is not known or cannot be counted.
pub const NONE: &str = "-";

/// At most three significant digits, without the zeros that say nothing: `41`, `1.92`, `0.3`.
fn digits(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0') } else { &text };
    match text.trim_end_matches('.') {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// The value in the largest of these units in which it reads as 1 or more.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let last = units.len() - 1;
    for (at, (size, unit)) in units.iter().enumerate() {
        // 999.6 would read `1000`: the next unit is its place.
        let shown = value.abs() / size;
        if at == last || shown < 999.5 {
            return format!("{} {unit}", digits(value / size)).trim_end().to_owned();
        }
    }
    NONE.to_owned()
}

/// A length of time: `0 ms`, `310 us`, `41 ms`, `1.92 s`, `2m 05s`, `3h 07m`, `4d 02h`.
pub fn duration_ns(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let size = ns.unsigned_abs() as f64;
    if size == 0.0 {
        return "0 ms".to_owned();
    }
    if size < 59.95 * S {
        let units = [(1.0, "ns"), (US, "us"), (MS, "ms"), (S, "s")];
        return format!("{sign}{}", scaled(size, &units));
    }
    format!("{sign}{}", long((size / S).round() as i64))
}

/// A length of time that is a fraction: means, quantiles.
pub fn duration_ms(ms: f64) -> String {
    if ms.is_finite() { duration_ns((ms * MS).round() as i64) } else { NONE.to_owned() }
}

/// Two units of a length of a minute and more.
fn long(seconds: i64) -> String {
    let (big, big_unit, small, small_unit) = match seconds {
        s if s < HOUR => (s / MINUTE, "m", s % MINUTE, "s"),
        s if s < DAY => (s / HOUR, "h", s % HOUR / MINUTE, "m"),
        s => (s / DAY, "d", s % DAY / HOUR, "h"),
    };
    format!("{big}{big_unit} {small:02}{small_unit}")
}

/// How long ago, in one unit: `1 s`, `4 m`, `3 h`, `7 d`.
pub fn age_ns(ns: i64) -> String {
    match ns.max(0) / 1_000_000_000 {
        s if s < MINUTE => format!("{s} s"),
        s if s < HOUR => format!("{} m", s / MINUTE),
        s if s < DAY => format!("{} h", s / HOUR),
        s => format!("{} d", s / DAY),
    }
}

/// The label of a step of an axis of time: `0`, `480 ms`, `1.44 s`; never two units.
pub fn tick_ns(ns: i64) -> String {
    match ns.abs() {
        0 => "0".to_owned(),
        n if n < 60_000_000_000 => duration_ns(ns),
        n if n < 3_600_000_000_000 => format!("{} m", digits(ns as f64 / (60.0 * S))),
        n if n < 86_400_000_000_000 => format!("{} h", digits(ns as f64 / (3600.0 * S))),
        _ => format!("{} d", digits(ns as f64 / (86_400.0 * S))),
    }
}

/// A distance in time with its sign, in seconds: `+1.263`, `-0.310`.
pub fn offset_ns(ns: i64) -> String {
    format!("{:+.3}", ns as f64 / S)
}

/// A number of things: `940`, `4.2 k`, `191 k`, `1.2 M`.
pub fn count(n: u64) -> String {
    number(n as f64)
}

/// Any number with a unit of size: `0.31`, `4.2 k`, `-1.2 M`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    if value != 0.0 && value.abs() < 0.0005 {
        return format!("{value:.1e}");
    }
    scaled(value, &[(1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "B"), (1e12, "T")])
}

/// A number to its last digit, in groups: `1,204`.
pub fn exact(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things with their name: `1 path`, `3 paths`.
pub fn many(n: usize, of: &str) -> String {
    format!("{n} {of}{}", if n == 1 { "" } else { "s" })
}

/// Per second: `0.0`, `212.4`, `4.2 k`. Small rates keep one digit behind the point, so that columns
/// stand still while they change.
pub fn rate(per_second: f64) -> String {
    match per_second {
        r if !r.is_finite() => NONE.to_owned(),
        r if r > 0.0 && r < 0.05 => "<0.1".to_owned(),
        r if r.abs() < 999.95 => format!("{r:.1}"),
        r => number(r),
    }
}

/// A size: `4.1 MB`, `0 B`.
pub fn bytes(n: u64) -> String {
    scaled(n as f64, &[(1.0, "B"), (1e3, "KB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")])
}

/// A share as a percentage to three digits: `3.10%`, `98.2%`, `100%`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        p if !p.is_finite() => NONE.to_owned(),
        p if p > 0.0 && p < 0.005 => "<0.01%".to_owned(),
        p if p < 9.995 => format!("{percent:.2}%"),
        p if p < 99.95 => format!("{percent:.1}%"),
        _ => format!("{percent:.0}%"),
    }
}

/// A share in whole percent: `71%`; `<1%` and `>99%` where it would read as none or all.
pub fn share(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => NONE.to_owned(),
        p if p > 0.0 && p < 1.0 => "<1%".to_owned(),
        p if p > 99.0 && p < 100.0 => ">99%".to_owned(),
        p => format!("{p:.0}%"),
    }
}

/// The difference of two shares: `+2.1 pp`, `=`.
pub fn points(difference: f64) -> String {
    let points = difference * 100.0;
    match points.abs() {
        p if !p.is_finite() => NONE.to_owned(),
        p if p < 0.05 => "=".to_owned(),
        _ => {
            let text = digits(points);
            if points > 0.0 { format!("+{text} pp") } else { format!("{text} pp") }
        }
    }
}

/// A change within this of 1 is none.
const SAME: f64 = 0.1;

/// How many times as much as before: `x5.1`, `x0.4`, `=` for no change, `new`, `gone`.
pub fn factor(now: f64, before: f64) -> String {
    match now / before {
        _ if !now.is_finite() || !before.is_finite() => NONE.to_owned(),
        _ if now == before => "=".to_owned(),
        _ if before == 0.0 => "new".to_owned(),
        _ if now == 0.0 => "gone".to_owned(),
        f if (f - 1.0).abs() <= SAME => "=".to_owned(),
        f if f >= 9.95 => format!("x{}", number(f.round())),
        f if f >= 0.95 => format!("x{f:.1}"),
        f => format!("x{}", digits((f * 100.0).round() / 100.0)),
    }
}

/// The first 8 digits of an id.
pub fn short_id(id: &str) -> &str {
    id.char_indices().nth(8).map_or(id, |(end, _)| &id[..end])
}

/// How much of a moment is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// `15:54`
    Minute,
    /// `15:54:11`
    Second,
    /// `15:54:11.482`
    Milli,
    /// `2026-11-22 15:54:11`
    DateSecond,
    /// `2026-11-22 15:54:11.482`
    DateMilli,
    /// `11-22`
    Day,
    /// `2026-11-22`
    Date,
}

/// A moment as a clock of that zone shows it.
pub fn moment(unix_ns: i64, zone: &TimeZone, clock: Clock) -> String {
    let Ok(moment) = Timestamp::from_nanosecond(i128::from(unix_ns)) else {
        return NONE.to_owned();
    };
    let form = match clock {
        Clock::Minute => "%H:%M",
        Clock::Second => "%H:%M:%S",
        Clock::Milli => "%H:%M:%S%.3f",
        Clock::DateSecond => "%Y-%m-%d %H:%M:%S",
        Clock::DateMilli => "%Y-%m-%d %H:%M:%S%.3f",
        Clock::Day => "%m-%d",
        Clock::Date => "%Y-%m-%d",
    };
    moment.to_zoned(zone.clone()).strftime(form).to_string()
}
