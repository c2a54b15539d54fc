//! The statistics that the views share: ranks, tests, distances. Each says its source and its error.
//!
//! All functions are symmetric in their input's order, and return `None` where the figure is not
//! defined (no values, no variance), never a NaN.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI};

use crate::sampling::Weight;

/// Where a quantile of `total` lies, counted from 1: ⌈share · total⌉, at least 1. The product is
/// taken down by a trillionth first, since 0.07 · 100 is a little above 7 in binary.
fn rank(share: f64, total: f64) -> f64 {
    let product = share.clamp(0.0, 1.0) * total;
    (product - product * 1e-12).ceil().max(1.0)
}

/// The nearest-rank quantile of sorted values: the smallest value that at least `share` of them do
/// not exceed. It is always one of the values.
pub fn nearest_rank<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let index = rank(share, sorted.len() as f64) as usize - 1;
    sorted.get(index.min(sorted.len().checked_sub(1)?)).copied()
}

/// The same where each value stands for several: the smallest value at which the summed weight
/// reaches `share` of the whole. With equal weights it is [`nearest_rank`].
pub fn weighted_rank<T: Copy>(sorted: &[(T, Weight)], share: f64) -> Option<T> {
    let units: u128 = sorted.iter().map(|(_, weight)| u128::from(weight.units())).sum();
    let wanted = rank(share, units as f64);
    let mut reached = 0_u128;
    for (value, weight) in sorted {
        reached += u128::from(weight.units());
        if reached as f64 >= wanted {
            return Some(*value);
        }
    }
    sorted.last().map(|(value, _)| *value)
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(lower + (upper - lower) / 2.0)
}

/// How far each value lies from its peers, in standard deviations of a normal distribution with the
/// same median absolute deviation: (x − median) ÷ (1.4826 · max(MAD, 1 % of the median, floor))
/// (analytics 13). The floor keeps peers that agree to the microsecond from making outliers of all.
pub fn robust_z(values: &[f64], floor: f64) -> Vec<f64> {
    let Some(middle) = median(values) else { return Vec::new() };
    let deviations: Vec<f64> = values.iter().map(|x| (x - middle).abs()).collect();
    let spread = median(&deviations).unwrap_or(0.0).max(0.01 * middle.abs()).max(floor);
    if spread <= 0.0 {
        return vec![0.0; values.len()];
    }
    values.iter().map(|x| (x - middle) / (1.4826 * spread)).collect()
}

/// The complementary error function, relative error below 10⁻¹² wherever the result is a normal
/// number (|x| < 26.5); beyond it goes to 0.
///
/// Below 2 by the series erf(x) = 2/√π · e^(−x²) · Σ 2ⁿx²ⁿ⁺¹ ÷ (1·3·…·(2n+1)), all of whose terms
/// are positive; above by Laplace's continued fraction (Abramowitz and Stegun 7.1.6 and 7.1.14).
pub fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let scale = (-x * x).exp() / PI.sqrt();
    if x < 2.0 {
        let mut term = x;
        let mut sum = x;
        for n in 1..60 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        return 1.0 - 2.0 * scale * sum;
    }
    scale / (1..=60).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below)
}

/// The chance that a standard normal number is at least this far from 0, on either side.
pub fn two_sided_p(z: f64) -> f64 {
    erfc(z.abs() * FRAC_1_SQRT_2).min(1.0)
}

/// A part of a whole: `hits` of `rows`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proportion {
    /// How many had it.
    pub hits: u64,
    /// Out of how many.
    pub rows: u64,
}

impl Proportion {
    /// Hits ÷ rows, 0 without rows.
    pub fn share(self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.hits as f64 / self.rows as f64 }
    }
}

/// How many standard errors two proportions lie apart, with the variance of both taken together.
/// None where all or none were hits, or a side has no rows.
pub fn two_proportion_z(a: Proportion, b: Proportion) -> Option<f64> {
    if a.rows == 0 || b.rows == 0 {
        return None;
    }
    let pooled = (a.hits + b.hits) as f64 / (a.rows + b.rows) as f64;
    let inverse_rows = 1.0 / a.rows as f64 + 1.0 / b.rows as f64;
    let deviation = (pooled * (1.0 - pooled) * inverse_rows).sqrt();
    (deviation > 0.0).then(|| (a.share() - b.share()) / deviation)
}

/// The two-sided chance that two proportions differ this much when they are the same.
///
/// From z where at least five hits and misses are expected on both sides; below that the normal
/// approximation claims far too much (5 of 40 against 0 of 360 is p = 10⁻¹¹ by z and 10⁻⁵ in
/// truth), and Fisher's exact test takes its place.
pub fn two_proportion_p(a: Proportion, b: Proportion) -> f64 {
    let Some(z) = two_proportion_z(a, b) else { return 1.0 };
    let rows = (a.rows + b.rows) as f64;
    let hits = (a.hits + b.hits) as f64;
    let expected = a.rows.min(b.rows) as f64 * hits.min(rows - hits) / rows;
    if expected >= 5.0 { two_sided_p(z) } else { fisher_p(a, b) }
}

/// Fisher's exact test: the summed chance of all tables with the same margins that are no likelier
/// than this one. Chances are kept relative to this table's, by the ratio of neighbours, so that no
/// factorial is needed.
fn fisher_p(a: Proportion, b: Proportion) -> f64 {
    let hits = a.hits + b.hits;
    let (least, most) = (hits.saturating_sub(b.rows), hits.min(a.rows));
    let (hits, rows_a, rows_b) = (hits as f64, a.rows as f64, b.rows as f64);
    // The chance of k + 1 hits on side a divided by that of k.
    let ratio = |k: f64| (hits - k) * (rows_a - k) / ((k + 1.0) * (rows_b - hits + k + 1.0));
    let (mut all, mut extreme) = (1.0, 1.0);
    let mut count = |chance: f64| {
        all += chance;
        // Equal chances differ by rounding.
        extreme += if chance <= 1.0 + 1e-7 { chance } else { 0.0 };
    };
    let mut chance = 1.0;
    for k in a.hits..most {
        chance *= ratio(k as f64);
        count(chance);
    }
    chance = 1.0;
    for k in (least..a.hits).rev() {
        chance /= ratio(k as f64);
        count(chance);
    }
    extreme / all
}

/// The false discovery rate at which each test would be called significant (Benjamini and Hochberg
/// 1995): the smallest p · m ÷ rank over all tests with a p at least as large.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let mut q_values = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (index, &test) in order.iter().enumerate().rev() {
        least = least.min(p_values[test] * p_values.len() as f64 / (index + 1) as f64);
        q_values[test] = least;
    }
    q_values
}

/// The Mann–Whitney test of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the first sample's value is the larger, ties counted half.
    pub u: f64,
    /// Standard errors between `u` and what equal distributions give.
    pub z: f64,
    /// Two-sided.
    pub p: f64,
}

/// Whether two samples come from one distribution, by ranks (Mann and Whitney 1947): the normal
/// approximation with tie and continuity correction. Below about 8 values a side it is rough, and
/// exact tables would say more; the callers ask with hundreds. None where a sample is empty.
pub fn mann_whitney(a: &[i64], b: &[i64]) -> Option<MannWhitney> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut all: Vec<(i64, bool)> = a.iter().map(|x| (*x, true)).collect();
    all.extend(b.iter().map(|x| (*x, false)));
    all.sort_unstable();
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for equal in all.chunk_by(|x, y| x.0 == y.0) {
        let size = equal.len() as f64;
        let of_a = equal.iter().filter(|(_, is_a)| *is_a).count() as f64;
        rank_sum += of_a * (before + (size + 1.0) / 2.0);
        ties += size * size * size - size;
        before += size;
    }
    let (n_a, n_b, n) = (a.len() as f64, b.len() as f64, all.len() as f64);
    let u = rank_sum - n_a * (n_a + 1.0) / 2.0;
    let variance = n_a * n_b / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0)));
    let distance = u - n_a * n_b / 2.0;
    let z = if variance > 0.0 {
        distance.signum() * (distance.abs() - 0.5).max(0.0) / variance.sqrt()
    } else {
        0.0
    };
    Some(MannWhitney { u, z, p: two_sided_p(z) })
}

/// The Jensen–Shannon divergence in bits between two distributions given as counts by category,
/// both sides weighing the same: 0 for equal shares, 1 for nothing in common. None where a side is
/// empty.
pub fn jensen_shannon_bits(counts: &[[u64; 2]]) -> Option<f64> {
    let [rows_a, rows_b] = side_totals(counts);
    if rows_a == 0 || rows_b == 0 {
        return None;
    }
    let part = |share: f64, mean: f64| {
        if share > 0.0 { 0.5 * share * (share / mean).log2() } else { 0.0 }
    };
    let bits = counts.iter().map(|[a, b]| {
        let (a, b) = (*a as f64 / rows_a as f64, *b as f64 / rows_b as f64);
        part(a, (a + b) / 2.0) + part(b, (a + b) / 2.0)
    });
    Some(bits.sum::<f64>().clamp(0.0, 1.0))
}

/// The divergence that two random samples of one distribution with `categories` values show on
/// average: (k − 1) ÷ (8 ln 2) · (1/n₁ + 1/n₂).
pub fn jensen_shannon_by_chance(categories: usize, rows_a: u64, rows_b: u64) -> f64 {
    let inverse_rows = 1.0 / rows_a as f64 + 1.0 / rows_b as f64;
    categories.saturating_sub(1) as f64 / (8.0 * LN_2) * inverse_rows
}

/// The Kolmogorov–Smirnov distance: the largest difference of the two cumulated shares, for counts
/// in the order of their values. None where a side is empty.
pub fn kolmogorov_smirnov(counts: &[[u64; 2]]) -> Option<f64> {
    let [rows_a, rows_b] = side_totals(counts);
    if rows_a == 0 || rows_b == 0 {
        return None;
    }
    let (mut below_a, mut below_b, mut largest) = (0, 0, 0.0_f64);
    for [a, b] in counts {
        below_a += a;
        below_b += b;
        let distance = below_a as f64 / rows_a as f64 - below_b as f64 / rows_b as f64;
        largest = largest.max(distance.abs());
    }
    Some(largest)
}

fn side_totals(counts: &[[u64; 2]]) -> [u64; 2] {
    counts.iter().fold([0, 0], |[a, b], [x, y]| [a + x, b + y])
}

#[cfg(test)]
mod tests;
