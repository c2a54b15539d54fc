//! Retries: how often, after which pause, and how many of all calls at most.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::window::Window;

const REQUESTS: usize = 0;
const RETRIES: usize = 1;

/// How a caller tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included.
    pub attempts_max: u32,
    /// The n-th retry (from 0) comes after a random time below this · 2ⁿ.
    pub backoff_ms: u64,
    /// Retries as a share of the requests of the last ten seconds; none is no limit.
    pub budget_percent: Option<u64>,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy { attempts_max: 3, backoff_ms: 50, budget_percent: Some(10) }
    }
}

impl RetryPolicy {
    /// One attempt.
    pub const NEVER: RetryPolicy =
        RetryPolicy { attempts_max: 1, backoff_ms: 0, budget_percent: None };

    /// A random time before the n-th retry, from 0: full jitter.
    pub fn pause(&self, retry: u32, random: &mut impl Rng) -> Duration {
        let ceiling_ms = self.backoff_ms.saturating_mul(1 << retry.min(16));
        Duration::from_micros(random.random_range(0..=ceiling_ms * 1_000))
    }
}

/// Why no further attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Trying again would not help, or might do the thing twice.
    NotRetryable,
    /// All attempts are used up.
    Attempts,
    /// There were too many retries lately.
    Budget,
    /// The deadline comes before the next attempt.
    Deadline,
}

impl Stop {
    /// Its name in telemetry.
    pub fn name(self) -> &'static str {
        match self {
            Stop::NotRetryable => "not_retryable",
            Stop::Attempts => "attempts",
            Stop::Budget => "budget",
            Stop::Deadline => "deadline",
        }
    }
}

/// Counts requests and retries of one target.
#[derive(Debug)]
pub struct RetryBudget {
    window: Window,
}

impl RetryBudget {
    /// Nothing counted yet.
    pub fn new(now: Instant) -> RetryBudget {
        RetryBudget { window: Window::new(now) }
    }

    /// Counts a request, not its retries.
    pub fn request(&mut self, now: Instant) {
        self.window.add(now, REQUESTS);
    }

    /// Takes one retry out of the budget, if there is one.
    pub fn withdraw(&mut self, policy: &RetryPolicy, now: Instant) -> bool {
        let [requests, retries] = self.window.sums(now);
        let granted =
            policy.budget_percent.is_none_or(|percent| (retries + 1) * 100 <= requests * percent);
        if granted {
            self.window.add(now, RETRIES);
        }
        granted
    }
}
