//! All layers of one caller's way to one callee, in their order: bulkhead, retries, breaker,
//! deadline.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{
    Breaker, BreakerPolicy, BreakerState, Bulkhead, Deadline, Observer, Occupancy, Permit,
    RetryBudget, RetryPolicy, Slot, Stop,
};

/// The rules of an edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EdgePolicy {
    /// How long one attempt is waited for, if the deadline leaves so much.
    pub timeout: Duration,
    /// How idempotent calls are tried again.
    pub retry: RetryPolicy,
    /// When to stop calling.
    pub breaker: BreakerPolicy,
    /// Calls at once.
    pub concurrency_max: usize,
}

impl Default for EdgePolicy {
    fn default() -> EdgePolicy {
        EdgePolicy {
            timeout: Duration::from_secs(2),
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            concurrency_max: 64,
        }
    }
}

/// The way from one caller to one callee. Shared by all calls of the caller.
#[derive(Debug)]
pub struct Edge {
    target: String,
    policy: EdgePolicy,
    bulkhead: Bulkhead,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    budget: RetryBudget,
    random: StdRng,
}

/// What is particular to one call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// When its own caller stops waiting.
    pub deadline: Deadline,
    /// Whether it may be made twice. If not, it is never tried again.
    pub idempotent: bool,
    /// Instead of the edge's timeout.
    pub timeout: Option<Duration>,
    /// Instead of the edge's retries.
    pub retry: Option<RetryPolicy>,
}

impl Call {
    /// A call by the rules of its edge.
    pub fn new(deadline: Deadline, idempotent: bool) -> Call {
        Call { deadline, idempotent, timeout: None, retry: None }
    }
}

/// One attempt of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first; one less is `http.request.resend_count`.
    pub number: u32,
    /// How long to wait: `call.timeout_ms`, and the time left of the callee.
    pub timeout: Duration,
}

impl Attempt {
    /// Waits for the answer as long as this attempt may take. It is called inside the attempt and
    /// not around it, so that the client span is still there to say that the time was up.
    pub async fn limit<T, E: From<TimedOut>>(
        self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(result) => result,
            Err(_) => Err(TimedOut { after: self.timeout }.into()),
        }
    }
}

/// No answer within the time of the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} ms", .after.as_millis())]
pub struct TimedOut {
    /// How long it was waited for.
    pub after: Duration,
}

/// What a failed attempt says about the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The callee works; the request was wrong. Does not count against it.
    CallerFault,
    /// The callee failed, and would fail again.
    Permanent,
    /// The callee failed, and another attempt may succeed: timeouts, refused connections, 503.
    Transient,
}

/// An error of an attempt.
pub trait Failure {
    /// What it says about the callee.
    fn verdict(&self) -> Verdict;
    /// The value of `error.type`.
    fn error_type(&self) -> &'static str;
}

impl Failure for TimedOut {
    fn verdict(&self) -> Verdict {
        Verdict::Transient
    }

    fn error_type(&self) -> &'static str {
        "timeout"
    }
}

/// Why a call did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// The deadline had passed before an attempt could be made.
    #[error("no time left for the call")]
    OutOfTime,
    /// The breaker refused.
    #[error("calls are refused for another {} ms, after too many failures", .retry_after.as_millis())]
    CircuitOpen {
        /// When the next call may try.
        retry_after: Duration,
    },
    /// Too many calls run and wait.
    #[error(transparent)]
    BulkheadFull(#[from] super::BulkheadFull),
    /// The last attempt failed.
    #[error("{0}")]
    Failed(E),
}

impl<E: Failure> CallError<E> {
    /// The value of `error.type`.
    pub fn error_type(&self) -> &'static str {
        match self {
            CallError::OutOfTime => "timeout",
            CallError::CircuitOpen { .. } => "circuit_open",
            CallError::BulkheadFull(_) => "bulkhead_full",
            CallError::Failed(error) => error.error_type(),
        }
    }
}

impl Edge {
    /// An edge over which no call has gone. The seed decides the pauses between attempts.
    pub fn new(target: impl Into<String>, policy: EdgePolicy, seed: u64) -> Edge {
        let now = now();
        let state = State {
            breaker: Breaker::new(policy.breaker, now),
            budget: RetryBudget::new(now),
            random: StdRng::seed_from_u64(seed),
        };
        let bulkhead = Bulkhead::new(policy.concurrency_max);
        Edge { target: target.into(), policy, bulkhead, state: Mutex::new(state) }
    }

    /// Whom it leads to.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Calls that run and wait, for a gauge.
    pub fn occupancy(&self) -> Occupancy {
        self.bulkhead.occupancy()
    }

    /// The breaker's state as the last call left it, for a gauge.
    pub fn breaker_state(&self) -> BreakerState {
        self.lock().breaker.state()
    }

    /// Changes how many calls may run at once.
    pub fn resize(&self, concurrency_max: usize) {
        self.bulkhead.resize(concurrency_max);
    }

    /// Makes a call: asks for a place, then attempts until one succeeds or the rules say stop.
    /// The operation should put [`Attempt::limit`] around its waiting. Dropping the future cancels
    /// the attempt and gives everything back.
    pub async fn call<T, E, F>(
        &self,
        call: Call,
        observer: &dyn Observer,
        operation: impl Fn(Attempt) -> F,
    ) -> Result<T, CallError<E>>
    where
        E: Failure,
        F: Future<Output = Result<T, E>>,
    {
        let result = self.enter_and_try(call, observer, operation).await;
        if let Err(error) = &result
            && !matches!(error, CallError::Failed(_))
        {
            observer.refused(&self.target, error.error_type());
        }
        result
    }

    async fn enter_and_try<T, E, F>(
        &self,
        call: Call,
        observer: &dyn Observer,
        operation: impl Fn(Attempt) -> F,
    ) -> Result<T, CallError<E>>
    where
        E: Failure,
        F: Future<Output = Result<T, E>>,
    {
        let _slot = self.enter(call, observer).await?;
        self.lock().budget.request(now());
        let mut number = 1;
        loop {
            let error = match self.attempt(call, number, observer, &operation).await? {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match self.next_pause(call, number, &error) {
                Err(why) => {
                    observer.gave_up(&self.target, why);
                    return Err(CallError::Failed(error));
                }
                Ok(pause) => {
                    number += 1;
                    observer.retrying(&self.target, number, pause);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Waits for a slot no longer than the deadline allows.
    async fn enter<'a, E>(
        &'a self,
        call: Call,
        observer: &'a dyn Observer,
    ) -> Result<Seat<'a>, CallError<E>> {
        let left = call.deadline.left(now()).ok_or(CallError::OutOfTime)?;
        let entering = tokio::time::timeout(left, self.bulkhead.enter());
        let slot = entering.await.map_err(|_| CallError::OutOfTime)??;
        observer.bulkhead_changed(&self.target, self.occupancy());
        Ok(Seat { slot: Some(slot), edge: self, observer })
    }

    /// One attempt. The outer error ends the call: there is no leave or no time for an attempt.
    async fn attempt<T, E, F>(
        &self,
        call: Call,
        number: u32,
        observer: &dyn Observer,
        operation: impl Fn(Attempt) -> F,
    ) -> Result<Result<T, E>, CallError<E>>
    where
        E: Failure,
        F: Future<Output = Result<T, E>>,
    {
        let own = call.timeout.unwrap_or(self.policy.timeout);
        let timeout = call.deadline.limit(now(), own).ok_or(CallError::OutOfTime)?;
        let leave = self.ask_leave(observer)?;
        let result = operation(Attempt { number, timeout }).await;
        let blameless = match &result {
            Ok(_) => true,
            Err(error) => error.verdict() == Verdict::CallerFault,
        };
        leave.record(blameless);
        Ok(result)
    }

    fn ask_leave<'a, E>(&'a self, observer: &'a dyn Observer) -> Result<Leave<'a>, CallError<E>> {
        let admitted = self.lock().breaker.admit(now());
        let admission = admitted
            .map_err(|refused| CallError::CircuitOpen { retry_after: refused.retry_after })?;
        if let Some(change) = admission.change {
            observer.breaker_changed(&self.target, change);
        }
        Ok(Leave { permit: Some(admission.permit), edge: self, observer })
    }

    /// The pause before the next attempt, or why there is none.
    fn next_pause<E: Failure>(&self, call: Call, number: u32, error: &E) -> Result<Duration, Stop> {
        let policy = call.retry.unwrap_or(self.policy.retry);
        if !call.idempotent || error.verdict() != Verdict::Transient {
            return Err(Stop::NotRetryable);
        }
        if number >= policy.attempts_max {
            return Err(Stop::Attempts);
        }
        let now = now();
        let mut state = self.lock();
        let pause = policy.pause(number - 1, &mut state.random);
        if call.deadline.left(now).is_none_or(|left| left <= pause) {
            return Err(Stop::Deadline);
        }
        if !state.budget.withdraw(&policy, now) {
            return Err(Stop::Budget);
        }
        Ok(pause)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot whose return the observer hears of.
struct Seat<'a> {
    slot: Option<Slot>,
    edge: &'a Edge,
    observer: &'a dyn Observer,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.slot = None;
        self.observer.bulkhead_changed(&self.edge.target, self.edge.occupancy());
    }
}

/// A breaker's permit that goes back even when the attempt is cancelled.
struct Leave<'a> {
    permit: Option<Permit>,
    edge: &'a Edge,
    observer: &'a dyn Observer,
}

impl Leave<'_> {
    fn record(mut self, ok: bool) {
        let Some(permit) = self.permit.take() else { return };
        let change = self.edge.lock().breaker.record(permit, ok, now());
        if let Some(change) = change {
            self.observer.breaker_changed(&self.edge.target, change);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.edge.lock().breaker.abandon(permit);
        }
    }
}

/// The runtime's time, which a test may stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
