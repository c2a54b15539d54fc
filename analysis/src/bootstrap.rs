//! Intervals for the difference of two means, by resampling traces (analytics 9 and 15).
//!
//! 200 resamples of the traces of each side, drawn with replacement; the interval goes from the 5th
//! to the 95th percentile of the differences (Efron's percentile interval). Whole traces are drawn,
//! so that what belongs together in a trace stays together.

use std::ops::Range;

use crate::path_times::PathTimes;
use crate::random::SplitMix64;
use crate::stats::nearest_rank;

const RESAMPLES: usize = 200;

/// Above this many entries and draws per resample the interval comes from the standard error: the
/// percentiles of so many traces are those of a normal distribution, and the answer stays under a
/// second.
const STEPS_MAX: usize = 1_500_000;

/// The same for more keys, since each keeps the differences of all resamples: 32 MB.
const KEYS_MAX: usize = 20_000;

/// The 95th percentile of the standard normal distribution.
const NORMAL_95: f64 = 1.644_853_626_951_472_2;

/// Where the true difference lies in nine of ten cases.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interval {
    /// 5th percentile.
    pub lo_ns: f64,
    /// 95th percentile.
    pub hi_ns: f64,
}

/// How intervals were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalMethod {
    /// From 200 resamples.
    Bootstrap,
    /// From the standard error, because there were too many traces or keys to resample.
    Normal,
}

/// Some traces, with the numbers that their keys have in the comparison.
#[derive(Clone, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) paths: &'a PathTimes,
    pub(crate) traces: Range<usize>,
    pub(crate) key_of: Vec<u32>,
}

impl Side<'_> {
    fn steps(&self) -> usize {
        self.paths.entry_count(self.traces.clone()) + 4 * self.traces.len()
    }

    /// Weighted sums over traces that count `times` each, divided by the summed weight.
    fn means(&self, times: impl Fn(usize) -> u32, sums: &mut [f64]) {
        sums.fill(0.0);
        let mut weights = 0.0;
        for (index, trace) in self.traces.clone().enumerate() {
            let weight = f64::from(times(index)) * self.paths.traces()[trace].weight.as_f64();
            if weight > 0.0 {
                weights += weight;
                for entry in self.paths.entries(trace) {
                    let key = self.key_of[entry.key as usize] as usize;
                    sums[key] += weight * entry.path_ns as f64;
                }
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= weights);
    }

    /// Means of a random draw of as many traces as there are.
    fn resample(&self, random: &mut SplitMix64, times: &mut [u32], sums: &mut [f64]) {
        times.fill(0);
        for _ in 0..times.len() {
            times[random.below(times.len())] += 1;
        }
        self.means(|index| times[index], sums);
    }

    /// The mean of each key and its squared standard error: Σ w²(x − x̄)² ÷ (Σ w)².
    fn errors(&self, keys: usize) -> Vec<(f64, f64)> {
        let mut means = vec![0.0; keys];
        self.means(|_| 1, &mut means);
        let (mut weights, mut squares) = (0.0, 0.0);
        // Of the traces with the key: Σ w²(x − x̄)² and Σ w²; the others have x = 0.
        let mut own = vec![(0.0, 0.0); keys];
        for trace in self.traces.clone() {
            let weight = self.paths.traces()[trace].weight.as_f64();
            weights += weight;
            squares += weight * weight;
            for entry in self.paths.entries(trace) {
                let key = self.key_of[entry.key as usize] as usize;
                own[key].0 += (weight * (entry.path_ns as f64 - means[key])).powi(2);
                own[key].1 += weight * weight;
            }
        }
        let error = |(mean, (deviations, present)): (f64, (f64, f64))| {
            (mean, (deviations + (squares - present) * mean * mean) / (weights * weights))
        };
        means.into_iter().zip(own).map(error).collect()
    }
}

/// For each key the interval of mean(`a`) − mean(`b`). Both sides must have traces.
pub(crate) fn intervals(
    a: &Side<'_>,
    b: &Side<'_>,
    keys: usize,
    seed: u64,
) -> (IntervalMethod, Vec<Interval>) {
    if a.steps() + b.steps() > STEPS_MAX || keys > KEYS_MAX {
        return (IntervalMethod::Normal, normal(a, b, keys));
    }
    (IntervalMethod::Bootstrap, bootstrap(a, b, keys, seed))
}

fn bootstrap(a: &Side<'_>, b: &Side<'_>, keys: usize, seed: u64) -> Vec<Interval> {
    let mut random = SplitMix64::new(seed);
    let (mut times_a, mut times_b) = (vec![0; a.traces.len()], vec![0; b.traces.len()]);
    let (mut sums_a, mut sums_b) = (vec![0.0; keys], vec![0.0; keys]);
    let mut differences = vec![Vec::with_capacity(RESAMPLES); keys];
    for _ in 0..RESAMPLES {
        a.resample(&mut random, &mut times_a, &mut sums_a);
        b.resample(&mut random, &mut times_b, &mut sums_b);
        for (key, of_key) in differences.iter_mut().enumerate() {
            of_key.push(sums_a[key] - sums_b[key]);
        }
    }
    let percentiles = |mut of_key: Vec<f64>| {
        of_key.sort_unstable_by(f64::total_cmp);
        let at = |share| nearest_rank(&of_key, share).unwrap_or_default();
        Interval { lo_ns: at(0.05), hi_ns: at(0.95) }
    };
    differences.into_iter().map(percentiles).collect()
}

fn normal(a: &Side<'_>, b: &Side<'_>, keys: usize) -> Vec<Interval> {
    let pairs = a.errors(keys).into_iter().zip(b.errors(keys));
    pairs
        .map(|((mean_a, error_a), (mean_b, error_b))| {
            let reach = NORMAL_95 * (error_a + error_b).sqrt();
            Interval { lo_ns: mean_a - mean_b - reach, hi_ns: mean_a - mean_b + reach }
        })
        .collect()
}

#[cfg(test)]
mod tests;
