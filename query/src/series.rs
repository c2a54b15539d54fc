//! Histograms of clients as they come: growth between two points, and quantiles of what grew.
//! Plain numbers in and out.
//!
//! Values are spread evenly within a bucket, in an exponential one by ratio; so a quantile is as
//! exact as the buckets of the sender.

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// The counts of one point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Counts {
    /// Upper bounds, and one count more than bounds.
    Explicit { bounds: Vec<f64>, counts: Vec<u64> },
    /// Buckets of base 2^(2^-scale) by index.
    Exponential {
        scale: i32,
        zero: u64,
        positive: BTreeMap<i32, u64>,
        negative: BTreeMap<i32, u64>,
    },
}

/// Values between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) count: u64,
    /// Spread by ratio and not evenly.
    pub(crate) by_ratio: bool,
}

impl Counts {
    /// What came since an earlier point of the same series; everything where it began anew.
    pub(crate) fn since(&self, before: &Counts) -> Counts {
        self.minus(before).unwrap_or_else(|| self.clone())
    }

    fn minus(&self, before: &Counts) -> Option<Counts> {
        match (self, before) {
            (
                Counts::Explicit { bounds, counts },
                Counts::Explicit { bounds: old_bounds, counts: old },
            ) if bounds == old_bounds && counts.len() == old.len() => {
                let grown = counts.iter().zip(old).map(|(now, old)| now.checked_sub(*old));
                let counts = grown.collect::<Option<Vec<u64>>>()?;
                Some(Counts::Explicit { bounds: bounds.clone(), counts })
            }
            (
                Counts::Exponential { scale, zero, positive, negative },
                Counts::Exponential { scale: finer, zero: old_zero, positive: p, negative: n },
            ) => {
                // A sender may coarsen as it goes, never refine.
                let shift = u32::try_from(finer.checked_sub(*scale)?).ok()?;
                Some(Counts::Exponential {
                    scale: *scale,
                    zero: zero.checked_sub(*old_zero)?,
                    positive: grown(positive, p, shift)?,
                    negative: grown(negative, n, shift)?,
                })
            }
            _ => None,
        }
    }

    /// The buckets that hold something. The smallest and largest value close the open ends.
    pub(crate) fn buckets(&self, min: Option<f64>, max: Option<f64>) -> Vec<Bucket> {
        let all: Vec<Bucket> = match self {
            Counts::Explicit { bounds, counts } => explicit(bounds, counts, min, max),
            Counts::Exponential { scale, zero, positive, negative } => {
                let base = (-f64::from(*scale)).exp2().exp2();
                let bound = |index: i32| base.powi(index);
                let side = |sign: f64| {
                    move |(index, count): (&i32, &u64)| {
                        let ends = [sign * bound(*index), sign * bound(index.saturating_add(1))];
                        let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
                        Bucket { low, high, count: *count, by_ratio: true }
                    }
                };
                let zero = Bucket { low: 0.0, high: 0.0, count: *zero, by_ratio: false };
                let below = negative.iter().map(side(-1.0));
                below.chain([zero]).chain(positive.iter().map(side(1.0))).collect()
            }
        };
        all.into_iter().filter(|bucket| bucket.count > 0).collect()
    }
}

fn grown(
    now: &BTreeMap<i32, u64>,
    before: &BTreeMap<i32, u64>,
    shift: u32,
) -> Option<BTreeMap<i32, u64>> {
    let mut grown = now.clone();
    for (index, count) in before {
        let index = index.checked_shr(shift).unwrap_or(if *index < 0 { -1 } else { 0 });
        match grown.get_mut(&index) {
            Some(left) => *left = left.checked_sub(*count)?,
            None if *count == 0 => {}
            None => return None,
        }
    }
    Some(grown)
}

fn explicit(bounds: &[f64], counts: &[u64], min: Option<f64>, max: Option<f64>) -> Vec<Bucket> {
    // Some senders write the open end as a bound.
    let finite = |i: usize| bounds.get(i).copied().filter(|bound| bound.is_finite());
    let bucket = |(i, count): (usize, &u64)| {
        let high = finite(i);
        let low = match i.checked_sub(1).and_then(finite) {
            Some(low) => low,
            // Most things measured are not negative.
            None => min.unwrap_or(high.map_or(0.0, |high| high.min(0.0))),
        };
        let high = high.or(max).map_or(low, |high| high.max(low));
        Bucket { low: low.min(high), high, count: *count, by_ratio: false }
    };
    counts.iter().enumerate().map(bucket).collect()
}

/// The value below which a share of the values lies, among the buckets of one or more series, which may
/// overlap; `None` without values. A larger share never gives a smaller value.
pub(crate) fn quantile(buckets: &mut [Bucket], q: f64) -> Option<f64> {
    let buckets = merged(buckets);
    let total: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let rank = q * total as f64;
    let below = |value: f64| {
        let counts = buckets.iter().map(|b| b.count as f64 * b.share_up_to(value));
        counts.sum::<f64>()
    };
    let mut edges: Vec<f64> = buckets.iter().flat_map(|b| [b.low, b.high]).collect();
    edges.sort_by(f64::total_cmp);
    let at = edges.partition_point(|edge| below(*edge) < rank);
    let mut high = *edges.get(at).or(edges.last())?;
    let Some(before) = at.checked_sub(1).filter(|_| at < edges.len()) else { return Some(high) };
    let mut low = edges[before];
    for _ in 0..HALVINGS {
        let middle = low + (high - low) / 2.0;
        match below(middle) < rank {
            true => low = middle,
            false => high = middle,
        }
    }
    Some(high)
}

/// More do not change a double.
const HALVINGS: usize = 64;

/// Buckets of the same bounds as one: many points of many series have the same.
fn merged(buckets: &mut [Bucket]) -> Vec<Bucket> {
    buckets.sort_by(|a, b| {
        a.low.total_cmp(&b.low).then(a.high.total_cmp(&b.high)).then(a.by_ratio.cmp(&b.by_ratio))
    });
    let mut merged: Vec<Bucket> = Vec::new();
    for bucket in buckets.iter() {
        match merged.last_mut().filter(|last| last.has_bounds_of(bucket)) {
            Some(last) => last.count += bucket.count,
            None => merged.push(*bucket),
        }
    }
    merged
}

impl Bucket {
    fn has_bounds_of(&self, other: &Bucket) -> bool {
        (self.low, self.high, self.by_ratio) == (other.low, other.high, other.by_ratio)
    }

    /// The share of its values that are not above a value.
    fn share_up_to(&self, value: f64) -> f64 {
        if value >= self.high {
            return 1.0;
        }
        if value <= self.low {
            return 0.0;
        }
        match self.by_ratio && self.low * self.high > 0.0 {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }
}
