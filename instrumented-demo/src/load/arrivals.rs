//! When requests come: a Poisson process whose rate follows the day and bursts, by thinning.

#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DAY_S: f64 = 600.0;
const DAY_SWING: f64 = 0.6;
/// Where the sine is cut: noon is a plateau of about 40 % of the day.
const NOON_SINE: f64 = 0.8;
const BURST_FACTOR: f64 = 4.0;
const BURST_MEAN_S: f64 = 8.0;
const CALM_MEAN_S: f64 = 90.0;

/// How the rate changes over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Traffic {
    /// A day of ten minutes, and bursts of four times the traffic for some seconds.
    #[default]
    Lively,
    /// The same rate all the time.
    Steady,
}

/// More traffic for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surge {
    /// When it begins.
    pub from: Duration,
    /// When it is over.
    pub to: Duration,
    /// How many times the traffic.
    pub factor: f64,
}

/// Times of arrivals, in order and without end.
#[derive(Debug)]
pub(super) struct Arrivals {
    rate_per_s: f64,
    traffic: Traffic,
    surge: Option<Surge>,
    bursts: Bursts,
    random: StdRng,
    now_s: f64,
}

impl Arrivals {
    /// Arrivals of `rate_per_s` before the day, bursts and the surge.
    pub(super) fn new(seed: u64, rate_per_s: f64, traffic: Traffic, surge: Option<Surge>) -> Self {
        let random = StdRng::seed_from_u64(seed);
        // Bursts have randomness of their own: other rates and surges leave them where they are.
        let bursts = Bursts::new(StdRng::seed_from_u64(seed ^ 0x5eed_b425));
        Arrivals { rate_per_s, traffic, surge, bursts, random, now_s: 0.0 }
    }

    fn factor(&mut self, at_s: f64) -> f64 {
        let surge = self
            .surge
            .filter(|surge| (surge.from.as_secs_f64()..surge.to.as_secs_f64()).contains(&at_s));
        surge.map_or(1.0, |surge| surge.factor) * self.shape(at_s)
    }

    fn shape(&mut self, at_s: f64) -> f64 {
        match self.traffic {
            Traffic::Steady => 1.0,
            Traffic::Lively if self.bursts.is_on(at_s) => BURST_FACTOR * day(at_s),
            Traffic::Lively => day(at_s),
        }
    }

    /// No factor is above this.
    fn factor_max(&self) -> f64 {
        let shape = match self.traffic {
            Traffic::Steady => 1.0,
            Traffic::Lively => BURST_FACTOR * (1.0 + DAY_SWING * NOON_SINE),
        };
        shape * self.surge.map_or(1.0, |surge| surge.factor.max(1.0))
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.rate_per_s <= 0.0 {
            return None;
        }
        let factor_max = self.factor_max();
        loop {
            self.now_s += exponential(&mut self.random, 1.0 / (self.rate_per_s * factor_max));
            let kept = self.random.random::<f64>() * factor_max < self.factor(self.now_s);
            if kept {
                // Whole microseconds: the last bits of a logarithm may differ between machines.
                return Some(Duration::from_micros((self.now_s * 1e6) as u64));
            }
        }
    }
}

/// The rate of the time of day: up and down around 1, with a flat noon. A run begins in the morning.
fn day(at_s: f64) -> f64 {
    1.0 + DAY_SWING * (std::f64::consts::TAU * at_s / DAY_S).sin().min(NOON_SINE)
}

/// A chain of two states, calm and burst, whose times are exponential.
#[derive(Debug)]
struct Bursts {
    random: StdRng,
    is_on: bool,
    until_s: f64,
}

impl Bursts {
    fn new(mut random: StdRng) -> Bursts {
        let until_s = exponential(&mut random, CALM_MEAN_S);
        Bursts { random, is_on: false, until_s }
    }

    /// The state at a time, which never goes back.
    fn is_on(&mut self, at_s: f64) -> bool {
        while at_s >= self.until_s {
            self.is_on = !self.is_on;
            let mean_s = if self.is_on { BURST_MEAN_S } else { CALM_MEAN_S };
            self.until_s += exponential(&mut self.random, mean_s);
        }
        self.is_on
    }
}

fn exponential(random: &mut impl Rng, mean: f64) -> f64 {
    -mean * (1.0 - random.random::<f64>()).ln()
}
