//! Where the time of many traces went, by group key (analytics 8).
//!
//! contrib(γ) = Σ w·cp(t, γ) ÷ Σ w. Sums are kept as integers until the division, so that the
//! contributions add up exactly to the mean root duration, for every choice of keys: every
//! nanosecond of a path has one owner.

use crate::path_times::PathTimes;

/// Whether shares are given when several root operations are mixed. A change of the mix then looks
/// like a change of every key (Simpson's paradox).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixedShares {
    /// No shares.
    Refuse,
    /// Shares, because they were asked for.
    Show,
}

/// The mean trace, taken apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breakdown {
    /// The largest contribution first, then by name.
    pub rows: Vec<Contribution>,
    /// How many traces there were.
    pub traces: usize,
    /// Sum of the weights in units of [`crate::sampling::Weight`]: the divisor of all sums here.
    pub weight_units: i128,
    /// Σ w·root duration.
    pub weighted_root_ns: i128,
    /// Mean root duration.
    pub mean_root_ns: f64,
    /// Whether the traces have more than one root operation.
    pub is_mixed: bool,
}

/// What one key contributes to the mean trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The group key.
    pub key: String,
    /// Σ w·path time, exact; divided by [`Breakdown::weight_units`] it is the contribution.
    pub weighted_ns: i128,
    /// Mean path time per trace.
    pub contrib_ns: f64,
    /// Contribution ÷ mean root duration; none where it is refused or the root has no duration.
    pub share: Option<f64>,
    /// Weighted share of the traces in which the key has path time.
    pub presence: f64,
    /// Weighted mean number of spans of the key with path time.
    pub calls: f64,
}

impl Breakdown {
    /// What no key owns: Σ w·root − Σ w·path. It is 0 for whole traces, and else says how much was
    /// filtered away or lost.
    pub fn unowned_ns(&self) -> i128 {
        self.weighted_root_ns - self.rows.iter().map(|row| row.weighted_ns).sum::<i128>()
    }
}

/// Contributions of all keys that occur.
pub fn breakdown(paths: &PathTimes, mixed: MixedShares) -> Breakdown {
    let mut totals = vec![KeyTotals::default(); paths.keys().len()];
    let mut result = Breakdown {
        traces: paths.traces().len(),
        is_mixed: paths.is_mixed(),
        ..Breakdown::default()
    };
    for (index, trace) in paths.traces().iter().enumerate() {
        let weight = i128::from(trace.weight.units());
        result.weight_units += weight;
        result.weighted_root_ns += weight * i128::from(trace.root_ns);
        for entry in paths.entries(index) {
            let total = &mut totals[entry.key as usize];
            total.path_ns += weight * i128::from(entry.path_ns);
            total.presence += if entry.path_ns > 0 { weight } else { 0 };
            total.calls += weight * i128::from(entry.spans);
        }
    }
    let mean = |sum: i128| sum as f64 / result.weight_units.max(1) as f64;
    result.mean_root_ns = mean(result.weighted_root_ns);
    let has_shares =
        result.weighted_root_ns > 0 && (!result.is_mixed || mixed == MixedShares::Show);
    let present = totals.iter().zip(paths.keys()).filter(|(t, _)| t.path_ns != 0 || t.calls != 0);
    result.rows = present
        .map(|(total, key)| Contribution {
            key: key.clone(),
            weighted_ns: total.path_ns,
            contrib_ns: mean(total.path_ns),
            share: has_shares.then(|| total.path_ns as f64 / result.weighted_root_ns as f64),
            presence: mean(total.presence),
            calls: mean(total.calls),
        })
        .collect();
    // Stable: equal contributions stay in the order of their names.
    result.rows.sort_by_key(|row| std::cmp::Reverse(row.weighted_ns));
    result
}

/// Weighted sums of one key.
#[derive(Clone, Copy, Debug, Default)]
struct KeyTotals {
    path_ns: i128,
    presence: i128,
    calls: i128,
}

#[cfg(test)]
mod tests;
