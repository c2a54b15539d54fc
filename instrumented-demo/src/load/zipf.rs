//! Draws by Zipf's law: the n-th most popular thing is asked for in proportion to 1 ÷ nˢ.

#[cfg(test)]
mod tests;

use rand::Rng;

/// A table of cumulated shares.
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    cumulated: Vec<f64>,
}

impl Zipf {
    /// The law over `1..=things`, at least one.
    pub(super) fn new(things: u32, exponent: f64) -> Zipf {
        let weights = (1..=things.max(1)).map(|n| f64::from(n).powf(-exponent));
        let cumulated = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Zipf { cumulated: cumulated.collect() }
    }

    /// A rank, from 1.
    pub(super) fn draw(&self, random: &mut impl Rng) -> u32 {
        let total = self.cumulated.last().copied().unwrap_or(1.0);
        let at = random.random::<f64>() * total;
        let below = self.cumulated.partition_point(|sum| *sum <= at);
        below.min(self.cumulated.len() - 1) as u32 + 1
    }
}
