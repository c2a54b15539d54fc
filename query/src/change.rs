//! What has changed: the measure of a group that moved most, and the stretch of a range that stands
//! out. Plain numbers in and out.

use api::views::{Before, Change, Trend};

#[cfg(test)]
mod tests;

/// Calls in both periods below which nothing is said: percentiles of a few calls jump about.
const CALLS_MIN: u64 = 20;
/// Factors of p99 and of the rate, and the difference of error shares, that are no change.
const SAME_P99: f64 = 1.25;
const SAME_RATE: f64 = 1.5;
const SAME_ERRORS: f64 = 0.01;
/// Added to shares of errors, so that a first error in a thousand calls is not infinitely many more.
const ERRORS_FLOOR: f64 = 0.001;

/// Rate by what p99 has grown, in milliseconds a second.
pub(crate) fn impact(now: &Before, before: &Before) -> Option<f64> {
    if now.calls.min(before.calls) < CALLS_MIN {
        return None;
    }
    Some(now.per_second * (now.p99_ms? - before.p99_ms?))
}

/// The measure that changed most, by the logarithm of its factor; `None` when all are about as before.
/// Where the data begin within the period before, `is_whole` is false and rates are not compared.
pub(crate) fn largest(now: &Before, before: &Before, is_whole: bool) -> Option<Change> {
    if now.calls.min(before.calls) < CALLS_MIN {
        return None;
    }
    let rate = rate(now, before).filter(|_| is_whole);
    let candidates = [p99(now, before), errors(now, before), rate];
    let candidates = candidates.into_iter().flatten();
    candidates.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(change, _)| change)
}

/// A change with its weight.
type Weighed = Option<(Change, f64)>;

fn p99(now: &Before, before: &Before) -> Weighed {
    let factor = now.p99_ms? / before.p99_ms?.max(1e-6);
    let change = changed("p99", before.p99_ms?, now.p99_ms?);
    (factor >= SAME_P99 || factor <= 1.0 / SAME_P99).then(|| (change, factor.ln().abs()))
}

fn errors(now: &Before, before: &Before) -> Weighed {
    let (now, before) = (now.error_share?, before.error_share?);
    let factor = (now + ERRORS_FLOOR) / (before + ERRORS_FLOOR);
    let change = changed("errors", before, now);
    ((now - before).abs() >= SAME_ERRORS).then(|| (change, factor.ln().abs()))
}

fn rate(now: &Before, before: &Before) -> Weighed {
    let factor = now.per_second / before.per_second.max(1e-9);
    let change = changed("rate", before.per_second, now.per_second);
    (factor >= SAME_RATE || factor <= 1.0 / SAME_RATE).then(|| (change, factor.ln().abs()))
}

fn changed(of: &str, before: f64, now: f64) -> Change {
    let factor = (before > 0.0).then(|| now / before);
    Change { of: of.to_owned(), before, now, factor, since: None }
}

/// A stretch of columns that stands out from the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stretch {
    /// First column, and the one behind the last.
    pub(crate) columns: (usize, usize),
    /// Median outside and inside.
    pub(crate) outside: f64,
    pub(crate) inside: f64,
}

/// Columns that a stretch has, and that are left outside, at least.
const COLUMNS_MIN: usize = 3;
/// By how much the means must differ, in standard errors of the noise.
const Z_MIN: f64 = 6.0;

/// The stretch whose values lie furthest above the others, by the difference of the means in standard
/// errors; the noise is taken from differences of neighbours, which a step hardly moves. Columns
/// without a value do not count. `least` is the smallest step that is told, `noise_min` the least noise.
pub(crate) fn stretch(values: &[Option<f64>], least: f64, noise_min: f64) -> Option<Stretch> {
    let known: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(i, value)| Some((i, (*value)?))).collect();
    let n = known.len();
    if n < 2 * COLUMNS_MIN {
        return None;
    }
    let sums: Vec<f64> = std::iter::once(0.0)
        .chain(known.iter().scan(0.0, |sum, (_, value)| {
            *sum += value;
            Some(*sum)
        }))
        .collect();
    let noise = neighbour_noise(&known).max(noise_min);
    let mut best: Option<(f64, usize, usize)> = None;
    for from in 0..n {
        for to in from + COLUMNS_MIN..=n {
            let (inside, outside) = ((to - from) as f64, (n - to + from) as f64);
            // It must begin in the range: what was always so is no change.
            if from < COLUMNS_MIN || outside < COLUMNS_MIN as f64 {
                continue;
            }
            let sum = sums[to] - sums[from];
            let step = sum / inside - (sums[n] - sum) / outside;
            let z = step / (noise * (1.0 / inside + 1.0 / outside).sqrt());
            if step >= least && z >= Z_MIN && best.is_none_or(|(most, ..)| z > most) {
                best = Some((z, from, to));
            }
        }
    }
    let (_, from, to) = best?;
    let outside: Vec<f64> =
        known[..from].iter().chain(&known[to..]).map(|(_, value)| *value).collect();
    let outside = median(outside)?;
    let inside = median(known[from..to].iter().map(|(_, value)| *value).collect())?;
    // One low column is no time when things were better.
    let columns = (known[from].0, known[to - 1].0 + 1);
    (inside - outside >= least).then_some(Stretch { columns, outside, inside })
}

/// Standard deviation of the noise: the median step between neighbours, scaled.
fn neighbour_noise(known: &[(usize, f64)]) -> f64 {
    let steps = known.windows(2).map(|pair| (pair[1].1 - pair[0].1).abs());
    // 1.4826 makes a median of deviations a standard deviation; a difference has two of them.
    median(steps.collect()).unwrap_or(0.0) * 1.4826 / 2_f64.sqrt()
}

/// A rise within a range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Risen {
    /// Column in which it begins.
    pub(crate) column: usize,
    pub(crate) change: Change,
    /// Rate by what p99 has grown, as that of [`impact`]; 0 for errors.
    pub(crate) impact: f64,
}

/// Where p99, or if it does not the share of errors, rises above the rest of a range.
pub(crate) fn risen(trend: &Trend, column_s: f64) -> Option<Risen> {
    const NOISE: f64 = 1.05;
    let calls = |columns: std::ops::Range<usize>| trend.calls.get(columns).map(|c| c.iter().sum());
    let total: u64 = trend.calls.iter().sum();
    let has_calls = |found: &Stretch| {
        let inside: u64 = calls(found.columns.0..found.columns.1).unwrap_or(0);
        inside >= CALLS_MIN && total - inside >= CALLS_MIN
    };
    // Durations by their logarithm: their noise is a factor.
    let p99: Vec<Option<f64>> =
        trend.p99_ms.iter().map(|p99| Some(p99.as_ref()?.max(1e-6).ln())).collect();
    if let Some(found) = stretch(&p99, SAME_P99.ln(), NOISE.ln()).filter(has_calls) {
        let (before, now) = (found.outside.exp(), found.inside.exp());
        let (from, to) = found.columns;
        let inside: u64 = calls(from..to).unwrap_or(0);
        let per_second = inside as f64 / ((to - from) as f64 * column_s);
        let impact = per_second * (now - before);
        return Some(Risen { column: from, change: changed("p99", before, now), impact });
    }
    let share =
        |(errors, calls): (&u64, &u64)| (*calls > 0).then(|| *errors as f64 / *calls as f64);
    let shares: Vec<Option<f64>> = trend.errors.iter().zip(&trend.calls).map(share).collect();
    let found = stretch(&shares, SAME_ERRORS, SAME_ERRORS / 2.0).filter(has_calls)?;
    let change = changed("errors", found.outside, found.inside);
    Some(Risen { column: found.columns.0, change, impact: 0.0 })
}

/// The value in the middle, the mean of both where there are two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

/// By how many standard deviations a value lies from the median of others, with the floor of analysis
/// for those that hardly vary; 0 where they are fewer than three.
pub(crate) fn robust_z(value: f64, others: &[f64]) -> f64 {
    if others.len() < COLUMNS_MIN {
        return 0.0;
    }
    let Some(middle) = median(others.to_vec()) else { return 0.0 };
    let deviations = others.iter().map(|other| (other - middle).abs()).collect();
    let spread = 1.4826 * median(deviations).unwrap_or(0.0);
    // Never less than a hundredth of the value, else counters that stand still would lead every list.
    let floor = (middle.abs() * 0.01).max(value.abs() * 0.01).max(1e-12);
    (value - middle) / spread.max(floor)
}
