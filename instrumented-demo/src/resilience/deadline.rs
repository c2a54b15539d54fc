//! One deadline per request, handed on as the time that is left.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

/// The header in which a caller says how many milliseconds it still waits.
pub const TIME_LEFT_HEADER: &str = "x-time-left-ms";

/// The moment after which nobody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `time` from now.
    pub fn within(now: Instant, time: Duration) -> Deadline {
        Deadline(now + time)
    }

    /// The deadline of a request that came in: what the caller says, but no more than `own`.
    /// A header that is no number is as good as none.
    pub fn received(now: Instant, header: Option<&str>, own: Duration) -> Deadline {
        let left_ms = header.and_then(|text| text.trim().parse().ok());
        Deadline::within(now, left_ms.map_or(own, |ms| own.min(Duration::from_millis(ms))))
    }

    /// The time left, if any.
    pub fn left(self, now: Instant) -> Option<Duration> {
        self.0.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// How long a call that may take `own` is waited for: the smaller of the two.
    pub fn limit(self, now: Instant, own: Duration) -> Option<Duration> {
        self.left(now).map(|left| left.min(own))
    }

    /// The value of [`TIME_LEFT_HEADER`] for a call that is waited for so long.
    pub fn header_value(limit: Duration) -> String {
        limit.as_millis().max(1).to_string()
    }
}
