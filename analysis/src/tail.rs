//! What makes the slow traces slow: the mean of the tail against the mean of the middle
//! (analytics 9).
//!
//! A difference of means inside bands, on purpose: means add, quantiles do not, and "p99 of the
//! parts" never sums to the p99 of the whole.

use std::fmt;
use std::ops::Range;

use crate::bootstrap::{Interval, IntervalMethod, Side, intervals};
use crate::path_times::PathTimes;
use crate::stats::weighted_rank;

/// Traces that a band needs before anything is said of it.
const TRACES_MIN: usize = 30;

/// Quantiles above which the tail is looked for, the asked one first, and how each is named.
const TAILS: [(f64, &str); 3] = [(0.99, "> p99"), (0.95, "> p95"), (0.90, "> p90")];

/// Quantiles between which the middle lies.
const MIDDLES: [(f64, f64, &str); 2] = [(0.40, 0.60, "p40–p60"), (0.30, 0.70, "p30–p70")];

/// Where the tail begins, unless it must be widened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TailStart {
    /// Above the 99th percentile.
    #[default]
    P99,
    /// Above the 95th.
    P95,
    /// Above the 90th.
    P90,
}

/// The tail against the middle.
#[derive(Clone, Debug, PartialEq)]
pub struct TailAttribution {
    /// Traces of ordinary duration.
    pub middle: Band,
    /// Slow traces.
    pub tail: Band,
    /// The largest difference of either sign first, then by name.
    pub rows: Vec<TailRow>,
    /// How the intervals were found.
    pub method: IntervalMethod,
}

/// The traces of a range of root durations.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// The quantiles used.
    pub name: &'static str,
    /// How many traces.
    pub traces: usize,
    /// Sum of their weights in units of [`crate::sampling::Weight`].
    pub weight_units: i128,
    /// Σ w·root duration.
    pub weighted_root_ns: i128,
    /// Shortest root duration in it.
    pub shortest_ns: i64,
    /// Longest root duration in it.
    pub longest_ns: i64,
}

/// What one key adds to the tail.
#[derive(Clone, Debug, PartialEq)]
pub struct TailRow {
    /// The group key.
    pub key: String,
    /// Σ w·path time over the middle, exact.
    pub middle_weighted_ns: i128,
    /// Σ w·path time over the tail, exact.
    pub tail_weighted_ns: i128,
    /// Mean path time in the tail minus that in the middle. Over all keys it sums to the
    /// difference of the mean root durations.
    pub delta_ns: f64,
    /// Of that difference; none where the bands are equally long.
    pub share: Option<f64>,
    /// How much comes from more spans of the key.
    pub more_calls_ns: f64,
    /// How much comes from longer ones.
    pub slower_ns: f64,
    /// Where `delta_ns` lies in nine of ten resamples.
    pub interval: Interval,
}

/// A band has too few traces, even after widening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewTraces {
    /// Traces in the widest middle.
    pub middle: usize,
    /// Traces in the widest tail.
    pub tail: usize,
    /// Traces in all.
    pub traces: usize,
}

impl fmt::Display for TooFewTraces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooFewTraces { middle, tail, traces } = self;
        write!(
            f,
            "of {traces} traces {middle} lie between p30 and p70 and {tail} above p90, but each \
             band needs {TRACES_MIN}: take a longer time range or a root operation with more traces"
        )
    }
}

impl std::error::Error for TooFewTraces {}

impl Band {
    /// Mean root duration.
    pub fn mean_root_ns(&self) -> f64 {
        self.weighted_root_ns as f64 / self.weight_units as f64
    }

    fn new(paths: &PathTimes, traces: Range<usize>, name: &'static str) -> Band {
        let roots = &paths.traces()[traces];
        Band {
            name,
            traces: roots.len(),
            weight_units: roots.iter().map(|t| i128::from(t.weight.units())).sum(),
            weighted_root_ns: roots
                .iter()
                .map(|t| i128::from(t.weight.units()) * i128::from(t.root_ns))
                .sum(),
            shortest_ns: roots.first().map_or(0, |t| t.root_ns),
            longest_ns: roots.last().map_or(0, |t| t.root_ns),
        }
    }
}

/// Compares the bands key by key. The seed comes from [`crate::random::seed_of`] the arguments of
/// the question, so that asking again gives the same intervals.
pub fn tail_attribution(
    paths: &PathTimes,
    start: TailStart,
    seed: u64,
) -> Result<TailAttribution, TooFewTraces> {
    let ((middle, middle_name), (tail, tail_name)) = bands(paths, start)?;
    let middle_band = Band::new(paths, middle.clone(), middle_name);
    let tail_band = Band::new(paths, tail.clone(), tail_name);
    let side = |traces| {
        let key_of = (0..paths.keys().len() as u32).collect();
        Side { paths, traces, key_of }
    };
    let (middle_sums, tail_sums) = (sums(paths, middle.clone()), sums(paths, tail.clone()));
    let (method, intervals) = intervals(&side(tail), &side(middle), paths.keys().len(), seed);
    let root_delta_ns = tail_band.mean_root_ns() - middle_band.mean_root_ns();
    let mut rows = Vec::new();
    for (key, name) in paths.keys().iter().enumerate() {
        let (m, t) = (middle_sums[key], tail_sums[key]);
        if m == KeySums::default() && t == KeySums::default() {
            continue;
        }
        let change = split(m.means(&middle_band), t.means(&tail_band));
        rows.push(TailRow {
            key: name.clone(),
            middle_weighted_ns: m.path_ns,
            tail_weighted_ns: t.path_ns,
            delta_ns: change.delta_ns,
            share: (root_delta_ns > 0.0).then(|| change.delta_ns / root_delta_ns),
            more_calls_ns: change.more_calls_ns,
            slower_ns: change.slower_ns,
            interval: intervals[key],
        });
    }
    rows.sort_by(|a, b| b.delta_ns.abs().total_cmp(&a.delta_ns.abs()));
    Ok(TailAttribution { middle: middle_band, tail: tail_band, rows, method })
}

/// Traces of a band, and its name.
type Named = (Range<usize>, &'static str);

/// Middle and tail, each widened until it has enough traces. The traces are sorted by duration, so
/// that a band is a range of them.
fn bands(paths: &PathTimes, start: TailStart) -> Result<(Named, Named), TooFewTraces> {
    let traces = paths.traces();
    let durations: Vec<_> = traces.iter().map(|t| (t.root_ns, t.weight)).collect();
    let at = |share| weighted_rank(&durations, share).unwrap_or_default();
    let below = |ns: i64| traces.partition_point(|t| t.root_ns < ns);
    let up_to = |ns: i64| traces.partition_point(|t| t.root_ns <= ns);
    let tails = TAILS.iter().skip(start as usize);
    let tails: Vec<Named> = tails.map(|(q, name)| (up_to(at(*q))..traces.len(), *name)).collect();
    let middles = MIDDLES.iter().map(|(from, to, name)| (below(at(*from))..up_to(at(*to)), *name));
    let middles: Vec<Named> = middles.collect();
    let enough = |(range, _): &&Named| range.len() >= TRACES_MIN;
    match (middles.iter().find(enough), tails.iter().find(enough)) {
        (Some(middle), Some(tail)) => Ok((middle.clone(), tail.clone())),
        _ => Err(TooFewTraces {
            middle: middles.last().map_or(0, |(range, _)| range.len()),
            tail: tails.last().map_or(0, |(range, _)| range.len()),
            traces: traces.len(),
        }),
    }
}

/// Weighted sums of one key over a band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KeySums {
    path_ns: i128,
    spans: i128,
}

/// Mean path time and mean number of spans per trace.
#[derive(Clone, Copy, Debug)]
struct Means {
    path_ns: f64,
    spans: f64,
}

impl KeySums {
    fn means(self, band: &Band) -> Means {
        let mean = |sum: i128| sum as f64 / band.weight_units as f64;
        Means { path_ns: mean(self.path_ns), spans: mean(self.spans) }
    }
}

fn sums(paths: &PathTimes, traces: Range<usize>) -> Vec<KeySums> {
    let mut sums = vec![KeySums::default(); paths.keys().len()];
    for trace in traces {
        let weight = i128::from(paths.traces()[trace].weight.units());
        for entry in paths.entries(trace) {
            let sum = &mut sums[entry.key as usize];
            sum.path_ns += weight * i128::from(entry.path_ns);
            sum.spans += weight * i128::from(entry.spans);
        }
    }
    sums
}

/// A difference and its two parts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    delta_ns: f64,
    more_calls_ns: f64,
    slower_ns: f64,
}

/// With n spans of mean length x: more calls = (n_t − n_m)·x_m, slower = n_t·(x_t − x_m). Without
/// spans in the middle x_m is not defined, and all of it is more calls.
fn split(middle: Means, tail: Means) -> Change {
    let delta_ns = tail.path_ns - middle.path_ns;
    let more_calls_ns = if middle.spans > 0.0 {
        (tail.spans - middle.spans) * (middle.path_ns / middle.spans)
    } else {
        delta_ns
    };
    Change { delta_ns, more_calls_ns, slower_ns: delta_ns - more_calls_ns }
}

#[cfg(test)]
mod tests;
