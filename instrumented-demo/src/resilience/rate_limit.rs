//! Rate limits at the door: a token bucket per key, for a bounded number of keys.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How fast a bucket fills and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come in a second, more than zero.
    pub per_second: f64,
    /// Tokens a full bucket holds, at least one.
    pub burst: f64,
}

/// One bucket, full at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    tokens: f64,
    as_of: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(rate: Rate, now: Instant) -> TokenBucket {
        TokenBucket { tokens: rate.burst, as_of: now }
    }

    /// Takes a token, or says how long it takes until there is one.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.fill(rate, now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / rate.per_second))
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.as_of);
        self.tokens = (self.tokens + passed.as_secs_f64() * rate.per_second).min(rate.burst);
        self.as_of = self.as_of.max(now);
    }

    fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        self.tokens >= rate.burst
    }
}

/// A bucket per key. At `keys_max` keys, full buckets are forgotten, as a new one would be full
/// too; if there are none, further keys share one bucket.
#[derive(Debug)]
pub struct RateLimiter {
    rate: Rate,
    keys_max: usize,
    buckets: HashMap<String, TokenBucket>,
    shared: TokenBucket,
}

impl RateLimiter {
    /// A limiter that knows no key yet.
    pub fn new(rate: Rate, keys_max: usize, now: Instant) -> RateLimiter {
        let shared = TokenBucket::full(rate, now);
        RateLimiter { rate, keys_max, buckets: HashMap::new(), shared }
    }

    /// Takes a token of this key, or says after how long to come back.
    pub fn take(&mut self, key: &str, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        if let Some(bucket) = self.buckets.get_mut(key) {
            return bucket.take(rate, now);
        }
        if self.buckets.len() >= self.keys_max {
            self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        if self.buckets.len() >= self.keys_max {
            return self.shared.take(rate, now);
        }
        let bucket = self.buckets.entry(key.to_owned()).or_insert(TokenBucket::full(rate, now));
        bucket.take(rate, now)
    }

    /// The value of `Retry-After`: whole seconds, rounded up.
    pub fn retry_after_s(wait: Duration) -> u64 {
        wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
    }
}
