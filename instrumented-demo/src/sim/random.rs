//! Randomness by counting: every draw is a function of seed, subject and how many draws came before.
//!
//! All is done in integers, so that the same seed makes the same bytes on every machine.

/// One more in every draw: the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads the bits of a number (the finish of splitmix64).
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number for a subject (a trace, a service) under a seed.
pub(super) fn hash(seed: u64, subject: u64) -> u64 {
    mix(mix(seed.wrapping_add(STEP)) ^ subject.wrapping_mul(STEP))
}

/// A stream of draws.
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// The stream of a subject under a seed.
    pub(super) fn new(seed: u64, subject: u64) -> Random {
        Random { state: hash(seed, subject) }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mix(self.state)
    }

    /// Less than `end`; 0 where that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// At least `from` and less than `to`.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// True so many times in a million.
    pub(super) fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// A duration around its median: log-normal with σ = 0.5, between a fifth and five times.
    pub(super) fn around(&mut self, median_ns: u64) -> u64 {
        median_ns * self.factor() / 1000
    }

    /// The same with σ = 1: now and then twenty times the median.
    pub(super) fn widely_around(&mut self, median_ns: u64) -> u64 {
        let factor = self.factor();
        median_ns * (factor * factor / 1000) / 1000
    }

    /// A factor in thousandths, between two quantiles of the table.
    fn factor(&mut self) -> u64 {
        let draw = self.next();
        let at = (draw >> 57) as usize;
        let part = (draw >> 47) & 0x3ff;
        let (low, high) = (u64::from(QUANTILES[at]), u64::from(QUANTILES[at + 1]));
        low + (high - low) * part / 1024
    }

    /// An element; the list must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// exp(z / 2) in thousandths at the quantiles 0/128 to 128/128 of the normal distribution; the two
/// ends are those of 0.0008 and 0.9992.
const QUANTILES: [u16; 129] = [
    206, 299, 341, 370, 394, 414, 433, 449, 464, 479, 492, 505, 517, 529, 541, 552, 563, 573, 583,
    594, 604, 613, 623, 632, 642, 651, 660, 669, 678, 687, 696, 705, 714, 722, 731, 740, 749, 757,
    766, 775, 783, 792, 800, 809, 818, 827, 835, 844, 853, 862, 870, 879, 888, 897, 906, 915, 924,
    934, 943, 952, 962, 971, 981, 990, 1000, 1010, 1020, 1030, 1040, 1050, 1061, 1071, 1082, 1093,
    1104, 1115, 1126, 1137, 1149, 1161, 1173, 1185, 1197, 1210, 1223, 1236, 1249, 1263, 1277, 1291,
    1306, 1321, 1336, 1352, 1368, 1384, 1401, 1419, 1437, 1455, 1474, 1494, 1515, 1536, 1558, 1581,
    1605, 1631, 1657, 1685, 1714, 1745, 1777, 1812, 1850, 1890, 1933, 1980, 2032, 2089, 2153, 2227,
    2312, 2413, 2538, 2701, 2936, 3349, 4845,
];

/// Places with weights.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// Sums of the weights up to and with each place.
    sums: Vec<u64>,
}

impl Weights {
    /// Weights of places, at least one of them above 0.
    pub(super) fn new(weights: impl IntoIterator<Item = u64>) -> Weights {
        let mut sum = 0;
        let sums = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Weights { sums: sums.collect() }
    }

    /// Zipf's law: the place `n` weighs 1 / (n + 1).
    pub(super) fn zipf(places: usize) -> Weights {
        Weights::new((1..=places as u64).map(|n| 1_000_000_000 / n))
    }

    pub(super) fn pick(&self, random: &mut Random) -> usize {
        let draw = random.below(self.sums.last().copied().unwrap_or_default());
        self.sums.partition_point(|sum| *sum <= draw)
    }
}
