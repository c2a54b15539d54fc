//! Sizes and lengths as people write and read them: `512MiB`, `1.5 s`, `3 m ago`.

use std::time::Duration;

#[cfg(test)]
mod tests;

const UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Reads `50GiB`, `1.5 GB`, `4096`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim().to_ascii_lowercase();
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    match (number.parse::<f64>(), factor) {
        (Ok(number), Some(factor)) => Ok((number * factor as f64) as u64),
        _ => Err("write a number and a unit, such as `512MiB`, `50GiB` or `1GB`".into()),
    }
}

/// Reads `15m`, `7d`; the error is what clap prints behind the value.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    api::time::duration(text).map_err(|error| error.to_string())
}

/// `1.5 GiB`, three digits at most.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let steps = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match steps.into_iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / size as f64),
        None => format!("{bytes} B"),
    }
}

/// `1.53 ms`: a length of time in the unit that fits.
pub(crate) fn show_ns(ns: i64) -> String {
    match ns.unsigned_abs() {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.2} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

/// `3 s ago`: how long something lies back, coarse on purpose.
pub(crate) fn show_ago(then_ns: i64, now_ns: i64) -> String {
    let seconds = now_ns.saturating_sub(then_ns).max(0) / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} m ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}
