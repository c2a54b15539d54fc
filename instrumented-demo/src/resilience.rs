//! What stands between a caller and a callee: deadlines, retries with a budget, circuit breakers,
//! bulkheads, and rate limits at the door.
//!
//! Each rule is a small state machine that is told the time, so its tests need no clock. Only
//! [`Edge`] and [`Bulkhead`] wait for anything. None of them knows telemetry: an [`Observer`]
//! hears what happens, in the task and so in the span in which it does.

mod breaker;
mod bulkhead;
mod deadline;
mod edge;
mod rate_limit;
mod retry;
mod window;

pub use breaker::{Admission, Breaker, BreakerPolicy, BreakerState, Change, Permit, Refused};
pub use bulkhead::{Bulkhead, BulkheadFull, Occupancy, Slot};
pub use deadline::{Deadline, TIME_LEFT_HEADER};
pub use edge::{Attempt, Call, CallError, Edge, EdgePolicy, Failure, TimedOut, Verdict};
pub use rate_limit::{Rate, RateLimiter, TokenBucket};
pub use retry::{RetryBudget, RetryPolicy, Stop};

/// Hears what the layers of an edge do. Every method is called in the task of the call.
pub trait Observer: Send + Sync {
    /// The breaker changed its state.
    fn breaker_changed(&self, _target: &str, _change: Change) {}
    /// A call came into the bulkhead or left it, or began to wait.
    fn bulkhead_changed(&self, _target: &str, _now: Occupancy) {}
    /// The call was refused before an attempt was made: by the breaker, the bulkhead, the deadline.
    fn refused(&self, _target: &str, _error_type: &'static str) {}
    /// An attempt failed and another will follow after the pause.
    fn retrying(&self, _target: &str, _next_attempt: u32, _pause: std::time::Duration) {}
    /// An attempt failed and no other follows.
    fn gave_up(&self, _target: &str, _why: Stop) {}
}

/// Hears nothing.
impl Observer for () {}
