//! The histogram itself: the bucket of a value, adding, merging, quantiles.

/// Buckets per power of two are 2^SCALE; finer histograms are folded down to this.
pub(super) const SCALE: i8 = 5;
/// The coarsest scale OTLP knows.
pub(super) const SCALE_MIN: i8 = -10;
/// The finest.
pub(super) const SCALE_MAX: i8 = 20;

/// Buckets are allocated in runs of one power of two.
const RUN: i32 = 1 << SCALE;

/// 2^(k/32) for k in 0..32: the bits of the mantissa, rounded down. A mantissa is above the exact
/// (irrational) threshold exactly when its bits are above the rounded ones.
const THRESHOLDS: [u64; 32] = [
    0x0000000000000,
    0x059b0d3158574,
    0x0b5586cf9890f,
    0x11301d0125b50,
    0x172b83c7d517a,
    0x1d4873168b9aa,
    0x2387a6e756238,
    0x29e9df51fdee1,
    0x306fe0a31b715,
    0x371a7373aa9ca,
    0x3dea64c123422,
    0x44e086061892d,
    0x4bfdad5362a27,
    0x5342b569d4f81,
    0x5ab07dd485429,
    0x6247eb03a5584,
    0x6a09e667f3bcc,
    0x71f75e8ec5f73,
    0x7a11473eb0186,
    0x82589994cce12,
    0x8ace5422aa0db,
    0x93737b0cdc5e4,
    0x9c49182a3f090,
    0xa5503b23e255c,
    0xae89f995ad3ad,
    0xb7f76f2fb5e46,
    0xc199bdd85529c,
    0xcb720dcef9069,
    0xd5818dcfba487,
    0xdfc97337b9b5e,
    0xea4afa2a490d9,
    0xf50765b6e4540,
];

const MANTISSA_BITS: u32 = 52;
const MANTISSA: u64 = (1 << MANTISSA_BITS) - 1;
const SLOT_BITS: u32 = 6;

/// How many thresholds lie at or below the start of each 64th of the mantissa's range. A 64th is
/// narrower than the narrowest bucket, so at most one more threshold lies within it.
const SLOTS: [u8; 1 << SLOT_BITS] = {
    let mut slots = [0; 1 << SLOT_BITS];
    let mut slot = 0;
    while slot < slots.len() {
        let start = (slot as u64) << (MANTISSA_BITS - SLOT_BITS);
        let mut below = 0;
        while below < THRESHOLDS.len() && THRESHOLDS[below] < start {
            below += 1;
        }
        slots[slot] = below as u8;
        slot += 1;
    }
    slots
};

/// The bucket at scale 5 of a positive, finite value: ceil(32·log2 v) − 1, exactly.
pub(super) fn index(value: f64) -> i32 {
    let mut bits = value.to_bits();
    let mut exponent = (bits >> MANTISSA_BITS) as i32 - 1_023;
    if exponent == -1_023 {
        // A subnormal: 2^54 times it is normal.
        bits = (value * 18_014_398_509_481_984.0).to_bits();
        exponent = (bits >> MANTISSA_BITS) as i32 - 1_023 - 54;
    }
    let mantissa = bits & MANTISSA;
    let slot = usize::from(SLOTS[(mantissa >> (MANTISSA_BITS - SLOT_BITS)) as usize]);
    let below = match THRESHOLDS.get(slot) {
        Some(threshold) if *threshold < mantissa => slot + 1,
        _ => slot,
    };
    exponent * RUN + below as i32 - 1
}

/// A histogram of any finite values; others are not counted.
#[derive(Clone, Debug)]
pub(super) struct Hist {
    pub(super) scale: i8,
    /// Values counted, in all buckets.
    pub(super) count: u64,
    pub(super) zero: u64,
    pub(super) positive: Buckets,
    /// Buckets of the negated values below zero.
    pub(super) negative: Buckets,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// Counts of consecutive buckets.
#[derive(Clone, Debug, Default)]
pub(super) struct Buckets {
    pub(super) offset: i32,
    pub(super) counts: Vec<u64>,
}

/// A histogram that lies in a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct HistRef<'a> {
    pub(super) scale: i8,
    pub(super) zero: i64,
    pub(super) positive: (i32, &'a [i64]),
    pub(super) negative: (i32, &'a [i64]),
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Default for Hist {
    fn default() -> Hist {
        Hist {
            scale: SCALE,
            count: 0,
            zero: 0,
            positive: Buckets::default(),
            negative: Buckets::default(),
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Hist {
    /// Counts a value. NaN and the infinities have no bucket and are left out.
    pub(super) fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let shift = SCALE - self.scale;
        if value > 0.0 {
            self.positive.add(index(value) >> shift, 1);
        } else if value < 0.0 {
            self.negative.add(index(-value) >> shift, 1);
        } else {
            self.zero += 1;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds another one. The coarser scale of both is kept.
    pub(super) fn merge(&mut self, other: HistRef<'_>) {
        if other.scale < self.scale {
            self.coarsen(other.scale);
        }
        let shift = other.scale - self.scale;
        let zero = u64::try_from(other.zero).unwrap_or(0);
        self.zero = self.zero.saturating_add(zero);
        let counted = self
            .positive
            .merge(other.positive, shift)
            .saturating_add(self.negative.merge(other.negative, shift))
            .saturating_add(zero);
        if counted > 0 {
            self.count = self.count.saturating_add(counted);
            self.sum += other.sum;
            self.min = self.min.min(other.min);
            self.max = self.max.max(other.max);
        }
    }

    fn coarsen(&mut self, scale: i8) {
        let shift = self.scale - scale;
        for buckets in [&mut self.positive, &mut self.negative] {
            let finer = std::mem::take(buckets);
            for (i, &count) in finer.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
                buckets.add((finer.offset + i as i32) >> shift, count);
            }
        }
        self.scale = scale;
    }

    /// The value of nearest rank: the smallest that at least a share `q` of the values does not
    /// exceed. The first and the last are exact. `None` when nothing was counted.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q * self.count as f64).ceil() as u64).clamp(1, self.count);
        if rank == 1 {
            return Some(self.min);
        }
        if rank == self.count {
            return Some(self.max);
        }
        Some(self.at_rank(rank).clamp(self.min, self.max))
    }

    fn at_rank(&self, rank: u64) -> f64 {
        let mut left = rank;
        for (i, &count) in self.negative.counts.iter().enumerate().rev() {
            if count >= left {
                return -self.middle(self.negative.offset + i as i32);
            }
            left -= count;
        }
        if self.zero >= left {
            return 0.0;
        }
        left -= self.zero;
        for (i, &count) in self.positive.counts.iter().enumerate() {
            if count >= left {
                return self.middle(self.positive.offset + i as i32);
            }
            left -= count;
        }
        self.max
    }

    /// The middle of a bucket, by ratio.
    fn middle(&self, index: i32) -> f64 {
        ((f64::from(index) + 0.5) * (-f64::from(self.scale)).exp2()).exp2()
    }

    /// How many values are at most `limit`, the whole bucket of `limit` included.
    pub(super) fn count_le(&self, limit: f64) -> u64 {
        if limit >= self.max {
            return self.count;
        }
        if limit < self.min || limit.is_nan() {
            return 0;
        }
        let shift = SCALE - self.scale;
        if limit < 0.0 {
            return self.negative.from(index(-limit) >> shift);
        }
        let below = self.negative.from(i32::MIN).saturating_add(self.zero);
        if limit == 0.0 {
            return below;
        }
        below.saturating_add(self.positive.up_to(index(limit) >> shift))
    }

    /// Bytes outside the struct itself.
    pub(super) fn heap_bytes(&self) -> usize {
        (self.positive.counts.capacity() + self.negative.counts.capacity()) * size_of::<u64>()
    }
}

impl Buckets {
    fn add(&mut self, index: i32, count: u64) {
        // As u32 an index below the offset is large, so one comparison does for both ends.
        let at = index.wrapping_sub(self.offset) as u32 as usize;
        if let Some(slot) = self.counts.get_mut(at) {
            *slot = slot.saturating_add(count);
            return;
        }
        self.cover(index, index);
        self.counts[(index - self.offset) as usize] += count;
    }

    /// Makes room for the buckets `from` to `to`, in whole runs.
    fn cover(&mut self, from: i32, to: i32) {
        let from = from.div_euclid(RUN) * RUN;
        let end = (to.div_euclid(RUN) + 1) * RUN;
        if self.counts.is_empty() {
            self.offset = from;
            self.counts.resize((end - from) as usize, 0);
            return;
        }
        if from < self.offset {
            let more = (self.offset - from) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.offset = from;
        }
        if end > self.offset + self.counts.len() as i32 {
            self.counts.resize((end - self.offset) as usize, 0);
        }
    }

    /// Adds counts of a scale finer by `shift`; returns how many.
    fn merge(&mut self, (offset, counts): (i32, &[i64]), shift: i8) -> u64 {
        let Some(first) = counts.iter().position(|c| *c > 0) else { return 0 };
        let last = counts.iter().rposition(|c| *c > 0).unwrap_or(first);
        self.cover((offset + first as i32) >> shift, (offset + last as i32) >> shift);
        let mut counted = 0_u64;
        for (i, &count) in counts.iter().enumerate() {
            if let Ok(count @ 1..) = u64::try_from(count) {
                self.add((offset + i as i32) >> shift, count);
                counted = counted.saturating_add(count);
            }
        }
        counted
    }

    /// Values in buckets up to and including `index`.
    fn up_to(&self, index: i32) -> u64 {
        let end = (index.saturating_sub(self.offset)).saturating_add(1).max(0) as usize;
        sum(&self.counts[..end.min(self.counts.len())])
    }

    /// Values in buckets from `index` on.
    fn from(&self, index: i32) -> u64 {
        let start = index.saturating_sub(self.offset).max(0) as usize;
        sum(self.counts.get(start..).unwrap_or_default())
    }

    /// The buckets without empty ones at either end: equal histograms are equal here.
    pub(super) fn trimmed(&self) -> (i32, &[u64]) {
        let Some(first) = self.counts.iter().position(|c| *c > 0) else { return (0, &[]) };
        let last = self.counts.iter().rposition(|c| *c > 0).unwrap_or(first);
        (self.offset + first as i32, &self.counts[first..=last])
    }
}

fn sum(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
}
