//! A query while it runs: its batches, its statistics, its end.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use api::sql::{Stats, TraceStats};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, Stream, StreamExt};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::stop::Stop;
use super::{Planned, damage};
use crate::QueryError;
use crate::traces::TraceExec;

/// A running query: a stream of batches. Ids are `FixedSizeBinary`, times `Timestamp(ns)` without
/// zone, text `Utf8View` or `Utf8`; names may repeat. Dropping it stops the work.
#[derive(Debug)]
pub struct Running {
    /// Name of the query, for cancelling and the log.
    pub id: String,
    /// Columns of the batches.
    pub schema: SchemaRef,
    batches: mpsc::Receiver<Handed>,
    /// Held so that dropping the answer stops the work.
    work: tokio::task::AbortHandle,
    /// What stops the work where it does not yield.
    stop: Stop,
    deadline: Pin<Box<Sleep>>,
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    terms: Terms,
    planned: Arc<PlannedFacts>,
    rows: u64,
    truncated: bool,
    done: bool,
}

/// What a query was granted.
pub(super) struct Terms {
    pub(super) limit: u64,
    pub(super) started: Instant,
    pub(super) timeout: Duration,
    pub(super) place: OwnedSemaphorePermit,
    pub(super) entry: Entry,
    pub(super) cancelled: CancellationToken,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms")
            .field("limit", &self.limit)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What the statistics are read from while and after the work runs.
#[derive(Debug)]
struct PlannedFacts {
    plan: Arc<dyn ExecutionPlan>,
    totals: Arc<crate::table::ScanTotals>,
    snapshot: Arc<storage::Snapshot>,
}

impl Running {
    pub(super) fn start(runtime: &Handle, planned: Planned, terms: Terms) -> Running {
        let (send, batches) = mpsc::channel(1);
        let schema = planned.plan.schema();
        let stop = planned.stop.clone();
        let facts = Arc::new(PlannedFacts {
            plan: Arc::clone(&planned.plan),
            totals: Arc::clone(&planned.totals),
            snapshot: Arc::clone(&planned.snapshot),
        });
        let work = runtime.spawn(pump(planned, send)).abort_handle();
        let deadline = Box::pin(tokio::time::sleep_until((terms.started + terms.timeout).into()));
        Running {
            id: terms.entry.id.clone(),
            schema,
            batches,
            work,
            stop,
            deadline,
            cancelled: Box::pin(terms.cancelled.clone().cancelled_owned()),
            planned: facts,
            terms,
            rows: 0,
            truncated: false,
            done: false,
        }
    }

    /// Statistics so far; final once the stream has ended.
    pub fn stats(&self) -> Stats {
        let totals = &self.planned.totals;
        let gaps = self.planned.snapshot.gaps();
        let recovering_bytes = self.planned.snapshot.recovering_bytes();
        let mut warnings = Vec::new();
        if self.truncated {
            warnings.push(format!(
                "cut at {} rows; add a LIMIT, a time range, or ask for more",
                self.terms.limit
            ));
        }
        if !gaps.is_empty() {
            warnings.push(format!(
                "{} known gaps in the stored data, see system.data_loss",
                gaps.len()
            ));
        }
        if let Some(bytes) = recovering_bytes {
            warnings.push(format!(
                "{bytes} bytes of the log are still being replayed; their rows are missing"
            ));
        }
        let traces = trace_stats(&self.planned.plan);
        if let Some(traces) = traces.filter(|traces| traces.missing() > 0) {
            warnings.push(format!(
                "{} of {} traces are incomplete: a root or parent is missing",
                traces.missing(),
                traces.used
            ));
        }
        if let Some(traces) = traces.filter(|traces| traces.arriving > 0) {
            warnings.push(format!(
                "{} of {} traces still arrive: something of them came within 30 seconds",
                traces.arriving, traces.used
            ));
        }
        if let Some(traces) = traces.filter(|traces| traces.truncated > 0) {
            warnings.push(format!(
                "{} traces are too large for the memory of a query; their derived columns are null",
                traces.truncated
            ));
        }
        Stats {
            query_id: self.id.clone(),
            rows: self.rows,
            elapsed_ms: self.terms.started.elapsed().as_secs_f64() * 1e3,
            files_scanned: totals.files().len() as u64,
            files_skipped: totals.files_skipped.load(Relaxed),
            bytes_scanned: metric(&self.planned.plan, "bytes_scanned"),
            live_rows: totals.live_rows.load(Relaxed),
            truncated: self.truncated,
            partial: !gaps.is_empty(),
            recovering_bytes,
            traces,
            warnings,
        }
    }

    fn end(&mut self) {
        self.done = true;
        self.stop.raise();
        self.work.abort();
    }

    /// Cuts the batch at what the limit leaves.
    fn cut(&mut self, batch: RecordBatch) -> RecordBatch {
        let left = usize::try_from(self.terms.limit - self.rows).unwrap_or(usize::MAX);
        let batch = if batch.num_rows() > left {
            self.truncated = true;
            self.end();
            batch.slice(0, left)
        } else {
            batch
        };
        self.rows += batch.num_rows() as u64;
        batch
    }
}

impl Stream for Running {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        if let Poll::Ready(next) = self.batches.poll_recv(cx) {
            return Poll::Ready(match next {
                Some(Ok(Some(batch))) => Some(Ok(self.cut(batch))),
                Some(Ok(None)) => {
                    self.done = true;
                    None
                }
                Some(Err(error)) => {
                    self.end();
                    Some(Err(error))
                }
                None => {
                    self.done = true;
                    Some(Err(cancelled()))
                }
            });
        }
        // The limit ends the wait even where an operator does not yield.
        let timeout = self.terms.timeout;
        if self.deadline.poll_unpin(cx).is_ready() {
            self.end();
            return Poll::Ready(Some(Err(timed_out(timeout))));
        }
        if self.cancelled.poll_unpin(cx).is_ready() {
            self.end();
            return Poll::Ready(Some(Err(cancelled())));
        }
        Poll::Pending
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.raise();
        self.work.abort();
    }
}

/// The query took longer than it may.
pub(super) fn timed_out(limit: Duration) -> QueryError {
    QueryError::timeout(format!("the query took longer than {} s", limit.as_secs_f64()))
        .with_hint("add a time range, such as start_time > now() - interval '15 minutes'")
}

/// Somebody ended the query.
pub(super) fn cancelled() -> QueryError {
    QueryError::cancelled("the query was cancelled")
}

/// What the work hands over: a batch, or `None` for the end. A channel that closes without an end
/// means that the work was cut off, so that an answer is never short in silence.
type Handed = Result<Option<RecordBatch>, QueryError>;

/// Runs the plan to its end, and says how it ended.
async fn pump(planned: Planned, send: mpsc::Sender<Handed>) {
    let end = match AssertUnwindSafe(drive(&planned, &send)).catch_unwind().await {
        Ok(Ok(())) => Ok(None),
        Ok(Err(error)) => Err(failed(&planned, Some(error)).await),
        Err(_panic) => Err(failed(&planned, None).await),
    };
    // Nobody listens any more when the answer was dropped.
    drop(send.send(end).await);
}

/// Hands batches over, one ahead at most, until the end or until nobody listens.
async fn drive(planned: &Planned, send: &mpsc::Sender<Handed>) -> Result<(), DataFusionError> {
    let mut stream = execute_stream(Arc::clone(&planned.plan), planned.state.task_ctx())?;
    while let Some(batch) = stream.next().await {
        if send.send(Ok(Some(batch?))).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The error of the statement, or of a damaged file; `None` stands for a panic.
async fn failed(planned: &Planned, error: Option<DataFusionError>) -> QueryError {
    if error.as_ref().is_none_or(damage::is_suspicious) {
        let files = planned.totals.files();
        // A task of its own: a file is set aside whole even if the asker goes away.
        let search = tokio::spawn(damage::set_aside(Arc::clone(&planned.store), files));
        if let Ok(Some(damaged)) = search.await {
            return damaged;
        }
    }
    match error {
        Some(error) => QueryError::from_datafusion(error, &planned.sql),
        None => QueryError::internal("the query panicked; the log of the server has the place"),
    }
}

/// What the kernel ran over, of the node that saw most: several nodes of a plan mostly see the same
/// traces.
fn trace_stats(plan: &Arc<dyn ExecutionPlan>) -> Option<TraceStats> {
    let own = TraceExec::stats(plan.as_ref());
    let below = plan.children().into_iter().filter_map(trace_stats);
    own.into_iter().chain(below).max_by_key(|stats| (stats.used, stats.spans))
}

/// Sum of a metric over all scans of a plan.
fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> u64 {
    let own = plan.metrics().and_then(|m| m.sum_by_name(name)).map_or(0, |v| v.as_usize() as u64);
    own + plan.children().into_iter().map(|child| metric(child, name)).sum::<u64>()
}

/// The queries that run now.
#[derive(Debug, Default)]
pub(super) struct Registry {
    next: AtomicU64,
    waiting: AtomicUsize,
    queries: Mutex<BTreeMap<String, Query>>,
}

#[derive(Debug)]
struct Query {
    sql: String,
    started: Instant,
    cancel: CancellationToken,
}

/// A query's row in the registry, taken out when dropped.
pub(super) struct Entry {
    id: String,
    registry: Arc<Registry>,
}

/// A query's place in the queue, given back when dropped.
pub(super) struct Waiting<'a>(&'a Registry);

impl Registry {
    pub(super) fn enter(self: &Arc<Self>, sql: &str) -> (Entry, CancellationToken) {
        let id = format!("q{}", self.next.fetch_add(1, Relaxed) + 1);
        let cancel = CancellationToken::new();
        let query = Query { sql: sql.to_owned(), started: Instant::now(), cancel: cancel.clone() };
        self.queries.lock().insert(id.clone(), query);
        (Entry { id, registry: Arc::clone(self) }, cancel)
    }

    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Waiting(self)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Running and waiting queries.
    pub(super) fn len(&self) -> usize {
        self.queries.lock().len() + self.waiting()
    }

    pub(super) fn list(&self) -> Vec<(String, String, f64)> {
        let queries = self.queries.lock();
        queries
            .iter()
            .map(|(id, q)| (id.clone(), q.sql.clone(), q.started.elapsed().as_secs_f64()))
            .collect()
    }

    pub(super) fn cancel(&self, id: &str) -> bool {
        let queries = self.queries.lock();
        queries.get(id).map(|q| q.cancel.cancel()).is_some()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.queries.lock().remove(&self.id);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Relaxed);
    }
}
