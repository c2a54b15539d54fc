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
    let bucket = |(i, count): (usize, &u64)| {
        let high = bounds.get(i).copied();
        let low = match i.checked_sub(1).and_then(|i| bounds.get(i)) {
            Some(low) => *low,
            // Most things measured are not negative.
            None => min.unwrap_or(high.map_or(0.0, |high| high.min(0.0))),
        };
        let high = high.or(max).map_or(low, |high| high.max(low));
        Bucket { low: low.min(high), high, count: *count, by_ratio: false }
    };
    counts.iter().enumerate().map(bucket).collect()
}

/// The value of nearest rank among the buckets of one or more series; `None` without values.
pub(crate) fn quantile(buckets: &mut [Bucket], q: f64) -> Option<f64> {
    buckets.sort_by(|a, b| a.high.total_cmp(&b.high).then(a.low.total_cmp(&b.low)));
    let total: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    let rank = q * total as f64;
    let mut below = 0_u64;
    let mut found = None;
    for bucket in buckets.iter() {
        found = Some(bucket);
        if (below + bucket.count) as f64 >= rank {
            break;
        }
        below += bucket.count;
    }
    let Bucket { low, high, count, by_ratio } = *found?;
    let share = ((rank - below as f64) / count as f64).clamp(0.0, 1.0);
    Some(match by_ratio && low * high > 0.0 {
        true => low * (high / low).powf(share),
        false => low + (high - low) * share,
    })
}
