//! The bottleneck rules that look at more than one trace (analytics 13).
//!
//! Each takes plain numbers that a query has counted and says whether the rule fires. A saving is
//! potential: the most that undoing this one pattern can give, never a promise.

mod contention;
mod shape;

pub use contention::{
    AtMaximum, ConcurrencyLimit, LagPoint, PoolPoint, Saturation, at_maximum, concurrency_limit,
    saturation,
};
pub use shape::{
    Attempts, ChattyPair, Coupling, Instance, RetryAmplification, Timeouts, chatty_pair, coupling,
    instance_outliers, retry_amplification, shared_database, timeout_mismatch,
};

/// A rule that fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How strongly; comparable within one rule only.
    pub score: f64,
    /// What undoing it can save of each request at most; none where that is not known.
    pub saving_ns: Option<i64>,
    /// The numbers that made it fire, as a phrase.
    pub evidence: String,
}

/// A duration as people read it.
pub(crate) fn duration_text(ns: f64) -> String {
    match ns.abs() {
        below if below < 1e3 => format!("{ns:.0} ns"),
        below if below < 1e6 => format!("{:.1} µs", ns / 1e3),
        below if below < 1e9 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

/// A share as percent.
pub(crate) fn percent_text(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests;
