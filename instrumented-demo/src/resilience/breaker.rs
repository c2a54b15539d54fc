//! The circuit breaker: after many failures it refuses calls for a while, then lets one try.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::window::Window;

const OK: usize = 0;
const FAILED: usize = 1;

/// When a breaker opens and for how long. The window is the last ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Share of failed calls from which it opens.
    pub errors_percent: u64,
    /// Calls in the window below which it never opens.
    pub calls_min: u64,
    /// How long it refuses before one call may try.
    pub open_for: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> BreakerPolicy {
        BreakerPolicy { errors_percent: 50, calls_min: 20, open_for: Duration::from_secs(5) }
    }
}

/// What a breaker does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets all through.
    Closed,
    /// Refuses all.
    Open,
    /// Lets one through and refuses the others until that one has answered.
    HalfOpen,
}

impl BreakerState {
    /// Its name in telemetry.
    pub fn name(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: BreakerState,
    /// The state after.
    pub to: BreakerState,
}

/// Leave to make one call, to be given back with its result.
#[derive(Debug, PartialEq, Eq)]
pub struct Permit {
    /// Results of calls from before the last change say nothing about now.
    generation: u64,
}

/// A call may go.
#[derive(Debug, PartialEq, Eq)]
pub struct Admission {
    /// To be given back.
    pub permit: Permit,
    /// This call is the one that tries.
    pub change: Option<Change>,
}

/// A call may not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When the next one may try, as far as is known.
    pub retry_after: Duration,
}

/// The state machine of one target.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    window: Window,
    state: BreakerState,
    /// Since when the state holds.
    since: Instant,
    /// Whether the one call of the half-open state is under way.
    probing: bool,
    generation: u64,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy, now: Instant) -> Breaker {
        let window = Window::new(now);
        let state = BreakerState::Closed;
        Breaker { policy, window, state, since: now, probing: false, generation: 0 }
    }

    /// The state as the last call left it.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Asks for leave to call.
    pub fn admit(&mut self, now: Instant) -> Result<Admission, Refused> {
        let mut change = None;
        if self.state == BreakerState::Open {
            let retry_after = (self.since + self.policy.open_for).saturating_duration_since(now);
            if !retry_after.is_zero() {
                return Err(Refused { retry_after });
            }
            change = Some(self.change(BreakerState::HalfOpen, now));
        }
        if self.state == BreakerState::HalfOpen {
            if self.probing {
                return Err(Refused { retry_after: self.policy.open_for });
            }
            self.probing = true;
        }
        Ok(Admission { permit: Permit { generation: self.generation }, change })
    }

    /// Takes the result of a call.
    pub fn record(&mut self, permit: Permit, ok: bool, now: Instant) -> Option<Change> {
        if permit.generation != self.generation {
            return None;
        }
        match self.state {
            BreakerState::HalfOpen if ok => Some(self.change(BreakerState::Closed, now)),
            BreakerState::HalfOpen => Some(self.change(BreakerState::Open, now)),
            BreakerState::Open => None,
            BreakerState::Closed => {
                self.window.add(now, if ok { OK } else { FAILED });
                self.too_many(now).then(|| self.change(BreakerState::Open, now))
            }
        }
    }

    /// Takes back the permit of a call that nobody waited for: it proves nothing, but another
    /// may try.
    pub fn abandon(&mut self, permit: Permit) {
        if permit.generation == self.generation {
            self.probing = false;
        }
    }

    fn too_many(&mut self, now: Instant) -> bool {
        let [ok, failed] = self.window.sums(now);
        let calls = ok + failed;
        calls >= self.policy.calls_min && failed * 100 >= calls * self.policy.errors_percent
    }

    fn change(&mut self, to: BreakerState, now: Instant) -> Change {
        let from = std::mem::replace(&mut self.state, to);
        self.since = now;
        self.generation += 1;
        self.probing = false;
        self.window.clear();
        Change { from, to }
    }
}
