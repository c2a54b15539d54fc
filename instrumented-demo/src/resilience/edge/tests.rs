//! Calls over an edge in stopped time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::{Cell, RefCell};
use std::sync::Mutex;
use std::time::Duration;

use super::{
    Attempt, Call, CallError, Deadline, Edge, EdgePolicy, Failure, Observer, RetryPolicy, Stop,
    TimedOut, Verdict, now,
};
use crate::resilience::{BreakerPolicy, Change, Occupancy};

/// What a callee can do in these tests.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Ok,
    Refuse,
    Break,
    Bounce,
    Hang,
}

#[derive(Debug, PartialEq)]
enum TestError {
    Refused,
    Broken,
    Bounced,
    TimedOut,
}

impl From<TimedOut> for TestError {
    fn from(_: TimedOut) -> TestError {
        TestError::TimedOut
    }
}

impl Failure for TestError {
    fn verdict(&self) -> Verdict {
        match self {
            TestError::Refused => Verdict::CallerFault,
            TestError::Broken => Verdict::Permanent,
            TestError::Bounced | TestError::TimedOut => Verdict::Transient,
        }
    }

    fn error_type(&self) -> &'static str {
        match self {
            TestError::Refused => "400",
            TestError::Broken => "500",
            TestError::Bounced => "503",
            TestError::TimedOut => "timeout",
        }
    }
}

/// Writes down what it hears.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn read(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(", ")
    }
}

impl Observer for Diary {
    fn breaker_changed(&self, target: &str, change: Change) {
        self.write(format!("{target} {}→{}", change.from.name(), change.to.name()));
    }
    fn bulkhead_changed(&self, _target: &str, now: Occupancy) {
        self.write(format!("{}+{}", now.in_use, now.pending));
    }
    fn refused(&self, _target: &str, error_type: &'static str) {
        self.write(format!("refused {error_type}"));
    }
    fn retrying(&self, _target: &str, next_attempt: u32, _pause: Duration) {
        self.write(format!("attempt {next_attempt}"));
    }
    fn gave_up(&self, _target: &str, why: Stop) {
        self.write(format!("gave up: {}", why.name()));
    }
}

fn edge(budget_percent: Option<u64>) -> Edge {
    let retry = RetryPolicy { budget_percent, ..RetryPolicy::default() };
    let policy = EdgePolicy { retry, concurrency_max: 2, ..EdgePolicy::default() };
    Edge::new("payment", policy, 1)
}

fn within_ms(ms: u64) -> Call {
    Call::new(Deadline::within(now(), Duration::from_millis(ms)), true)
}

async fn answer(answer: Answer, attempt: Attempt) -> Result<u32, TestError> {
    let work = async {
        match answer {
            Answer::Ok => Ok(attempt.number),
            Answer::Refuse => Err(TestError::Refused),
            Answer::Break => Err(TestError::Broken),
            Answer::Bounce => Err(TestError::Bounced),
            Answer::Hang => std::future::pending().await,
        }
    };
    attempt.limit(work).await
}

/// One call whose attempts are answered in turn.
async fn call(
    edge: &Edge,
    call: Call,
    answers: &[Answer],
    diary: &Diary,
) -> Result<u32, CallError<TestError>> {
    let operation = |attempt: Attempt| answer(answers[attempt.number as usize - 1], attempt);
    edge.call(call, diary, operation).await
}

async fn check(
    answers: &[Answer],
    idempotent: bool,
    expected: Result<u32, TestError>,
    heard: &str,
) {
    let diary = Diary::default();
    let mut one = within_ms(10_000);
    one.idempotent = idempotent;
    let result = call(&edge(None), one, answers, &diary).await;
    assert_eq!(result, expected.map_err(CallError::Failed), "{answers:?}");
    assert_eq!(diary.read(), heard, "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn unit_retries_what_may_be_retried() {
    use Answer::{Bounce, Break, Hang, Ok, Refuse};
    check(&[Ok], true, Result::Ok(1), "1+0, 0+0").await;
    check(&[Bounce, Ok], true, Result::Ok(2), "1+0, attempt 2, 0+0").await;
    check(&[Hang, Bounce, Ok], true, Result::Ok(3), "1+0, attempt 2, attempt 3, 0+0").await;
    let all = "1+0, attempt 2, attempt 3, gave up: attempts, 0+0";
    check(&[Bounce, Bounce, Hang], true, Err(TestError::TimedOut), all).await;
    let once = "1+0, gave up: not_retryable, 0+0";
    check(&[Refuse], true, Err(TestError::Refused), once).await;
    check(&[Break], true, Err(TestError::Broken), once).await;
    check(&[Bounce], false, Err(TestError::Bounced), once).await;
}

#[tokio::test(start_paused = true)]
async fn unit_without_budget_there_is_one_attempt() {
    let (edge, diary) = (edge(Some(10)), Diary::default());
    let result = call(&edge, within_ms(10_000), &[Answer::Bounce], &diary).await;
    assert_eq!(result, Err(CallError::Failed(TestError::Bounced)));
    assert_eq!(diary.read(), "1+0, gave up: budget, 0+0");
}

#[tokio::test(start_paused = true)]
async fn unit_no_attempt_outlives_the_deadline() {
    let (edge, diary) = (edge(None), Diary::default());
    let start = now();
    let result = call(&edge, within_ms(300), &[Answer::Hang; 3], &diary).await;
    assert_eq!(result, Err(CallError::Failed(TestError::TimedOut)));
    assert_eq!(now() - start, Duration::from_millis(300));
    assert_eq!(diary.read(), "1+0, gave up: deadline, 0+0");
    let late = Call::new(Deadline::within(start, Duration::from_millis(300)), true);
    assert_eq!(call(&edge, late, &[Answer::Ok], &diary).await, Err(CallError::OutOfTime));
    assert_eq!(diary.read(), "refused timeout");
}

#[tokio::test(start_paused = true)]
async fn unit_a_call_may_bring_its_own_timeout_and_retries() {
    let (edge, seen) = (edge(Some(0)), RefCell::new(Vec::new()));
    let storm = RetryPolicy { attempts_max: 3, backoff_ms: 0, budget_percent: None };
    let timeout = Some(Duration::from_millis(70));
    let own = Call { timeout, retry: Some(storm), ..within_ms(10_000) };
    let operation = |attempt: Attempt| {
        seen.borrow_mut().push((attempt.number, attempt.timeout.as_millis()));
        answer(Answer::Hang, attempt)
    };
    assert!(edge.call(own, &(), operation).await.is_err());
    assert_eq!(*seen.borrow(), [(1, 70), (2, 70), (3, 70)]);
}

#[tokio::test(start_paused = true)]
async fn unit_the_breaker_opens_probes_and_closes() {
    let (edge, diary) = (edge(Some(0)), Diary::default());
    for _ in 0..20 {
        let _ = call(&edge, within_ms(1_000), &[Answer::Break], &diary).await;
    }
    assert!(diary.read().ends_with("payment closed→open, gave up: not_retryable, 0+0"));
    let refused = call(&edge, within_ms(1_000), &[Answer::Ok], &diary).await;
    let retry_after = BreakerPolicy::default().open_for;
    assert_eq!(refused, Err(CallError::CircuitOpen { retry_after }));
    assert_eq!(diary.read(), "1+0, 0+0, refused circuit_open");
    tokio::time::advance(retry_after).await;
    assert_eq!(call(&edge, within_ms(1_000), &[Answer::Ok], &diary).await, Ok(1));
    assert_eq!(diary.read(), "1+0, payment open→half_open, payment half_open→closed, 0+0");
}

#[tokio::test(start_paused = true)]
async fn unit_wrong_requests_do_not_open_the_breaker() {
    let (edge, diary) = (edge(Some(0)), Diary::default());
    for _ in 0..40 {
        let _ = call(&edge, within_ms(1_000), &[Answer::Refuse], &diary).await;
    }
    assert_eq!(edge.breaker_state().name(), "closed");
}

#[tokio::test(start_paused = true)]
async fn unit_a_cancelled_probe_is_given_back() {
    let (edge, diary) = (edge(Some(0)), Diary::default());
    for _ in 0..20 {
        let _ = call(&edge, within_ms(1_000), &[Answer::Break], &diary).await;
    }
    tokio::time::advance(BreakerPolicy::default().open_for).await;
    let waited = Cell::new(false);
    let probe = edge.call(within_ms(9_000), &(), |attempt| {
        waited.set(true);
        answer(Answer::Hang, attempt)
    });
    assert!(tokio::time::timeout(Duration::from_millis(1), probe).await.is_err());
    assert!(waited.get());
    assert_eq!(edge.breaker_state().name(), "half_open");
    assert_eq!(edge.occupancy().in_use, 0);
    assert_eq!(call(&edge, within_ms(1_000), &[Answer::Ok], &diary).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn unit_the_seventh_call_at_two_slots_is_refused() {
    let (edge, diary) = (edge(Some(0)), Diary::default());
    let calls = (0..7).map(|_| call(&edge, within_ms(500), &[Answer::Hang], &diary));
    let results = futures::future::join_all(calls).await;
    let kinds: Vec<&str> = results.iter().map(|r| r.as_ref().unwrap_err().error_type()).collect();
    let full = results.iter().filter(|r| matches!(r, Err(CallError::BulkheadFull(_)))).count();
    assert_eq!(full, 1, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "timeout").count(), 6);
}
