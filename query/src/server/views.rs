//! The typed questions of `api::views`: parameters in, SQL to the engine, typed rows out.
//!
//! Every question is SQL text over tables and views with arguments, in the file of its subject. What
//! is done to the rows afterwards is putting them together, and a formula where SQL does not reach.
//! Answers are whole, so that a failure is a status and never half an answer.

mod editor;
mod heatmap;
mod ingest;
mod logs;
mod metrics;
mod questions;
mod ranges;
mod ranked;
mod request;
mod services;
mod skeleton;
#[cfg(test)]
mod tests;
mod traces;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use api::sql::{SqlRequest, Stats};
use api::time;
use api::views::{self, Basis, List, Options, Question, TimeRange};
use axum::Router;
use axum::extract::{RawPathParams, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use futures::StreamExt;
use http::StatusCode;
use schemas::Table;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{json_body, problem};
use crate::encode::{Encoder, Format, Options as Encoding};
use crate::filter::{self, Filter, Over, Setting, SnapshotKeys};
use crate::guard::guard_condition;
use crate::views::quoted;
use crate::{Engine, QueryError};

/// Bytes of the rows of one answer at most: those a client takes.
const ANSWER_BYTES_MAX: usize = api::client::ANSWER_BYTES_MAX;

/// The routes of all questions.
pub(super) fn routes() -> Router<Arc<Engine>> {
    let routes = Router::new();
    let routes = with::<views::Services>(with::<views::Operations>(routes));
    let routes = with::<views::Breakdown>(with::<views::Tail>(routes));
    let routes = with::<views::Map>(with::<views::Traces>(routes));
    let routes = with::<views::Trace>(with::<views::Errors>(routes));
    let routes = with::<views::Bottlenecks>(with::<views::Compare>(routes));
    let routes = with::<views::TraceDiff>(with::<views::CohortDiff>(routes));
    let routes = with::<views::Causes>(with::<views::Heatmap>(routes));
    let routes = with::<views::Skeleton>(with::<views::SpanDetails>(routes));
    let routes = with::<views::Logs>(with::<views::LogVolume>(routes));
    let routes = with::<views::LogPatterns>(with::<views::NearbyLogs>(routes));
    let routes = with::<views::Metrics>(with::<views::MetricSeries>(routes));
    let routes = with::<views::MetricsRanked>(with::<views::FilterLine>(routes));
    let routes = with::<views::Complete>(with::<views::Ingest>(routes));
    with::<views::Watermark>(with::<views::Correlation>(routes))
}

fn with<Q: Answers>(routes: Router<Arc<Engine>>) -> Router<Arc<Engine>> {
    routes.route(Q::ENDPOINT.path, get(handle::<Q>))
}

/// How a question is answered.
trait Answers: Question {
    /// What the filter line is over; without it the question takes none.
    const OVER: Option<Over> = None;

    /// Asks the engine what it takes.
    fn answer(
        self,
        asking: &mut Asking,
    ) -> impl Future<Output = Result<Self::Answer, QueryError>> + Send;
}

async fn handle<Q: Answers>(
    State(engine): State<Arc<Engine>>,
    path: RawPathParams,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = async {
        let now_ns = time::now_ns();
        let (question, options): (Q, Options) =
            request::read(&Q::ENDPOINT, path.iter(), query.as_deref().unwrap_or(""), now_ns)?;
        let is_searched = options.search.as_deref().is_some_and(|line| !line.trim().is_empty());
        if is_searched && Q::OVER.is_none() {
            let message = format!("{} takes no filter line", Q::ENDPOINT.path);
            return Err(QueryError::unknown_parameter(message));
        }
        if options.prefetch == Some(true) {
            spare_place(&engine)?;
        }
        let basis = Basis::default();
        let over = Q::OVER.unwrap_or(Over::Spans);
        question.answer(&mut Asking { engine, options, now_ns, over, basis }).await
    };
    match asked.await {
        Ok(answer) => json_body(StatusCode::OK, "application/json", &answer),
        Err(error) => problem(&error),
    }
}

/// Questions asked ahead of need have half of the places at most.
fn spare_place(engine: &Engine) -> Result<(), QueryError> {
    if engine.running().len() < engine.config().concurrent.div_ceil(2) {
        return Ok(());
    }
    let message = "other questions keep the engine busy";
    Err(QueryError::overloaded(message, Duration::from_secs(1)).with_hint("ask without prefetch"))
}

/// What an empty filter line is.
const NO_CONDITION: &str = "(TRUE)";

/// The instance of a resource, by the first attribute that names one.
const INSTANCE: &str = "coalesce(resource['service.instance.id'], resource['k8s.pod.name'], \
                        resource['host.name'])";

/// What it takes to answer one question, and what the answer is built on so far.
struct Asking {
    engine: Arc<Engine>,
    options: Options,
    /// The start of the question.
    now_ns: i64,
    /// What the filter line is over.
    over: Over,
    basis: Basis,
}

impl Asking {
    /// The rows of a statement; `limit` holds where the question names none.
    async fn rows<T: DeserializeOwned>(
        &mut self,
        sql: String,
        limit: Option<u64>,
    ) -> Result<Vec<T>, QueryError> {
        if self.options.sql == Some(true) {
            self.basis.sql.push(sql.clone());
        }
        let request = SqlRequest {
            sql,
            limit: self.options.limit.or(limit),
            timeout_s: self.options.timeout_s,
            ..SqlRequest::default()
        };
        let (rows, stats) = run(&self.engine, request).await?;
        add(&mut self.basis.stats, stats);
        Ok(rows)
    }

    /// The rows of a statement, however few are wanted of the answer.
    async fn whole<T: DeserializeOwned>(&mut self, sql: String) -> Result<Vec<T>, QueryError> {
        let limit = self.options.limit.take();
        let rows = self.rows(sql, None).await;
        self.options.limit = limit;
        rows
    }

    /// The rows of two statements that run beside each other, all of them.
    async fn both<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        first: String,
        second: String,
    ) -> Result<(Vec<A>, Vec<B>), QueryError> {
        if self.options.sql == Some(true) {
            self.basis.sql.extend([first.clone(), second.clone()]);
        }
        let timeout_s = self.options.timeout_s;
        let request = |sql| SqlRequest { sql, timeout_s, ..SqlRequest::default() };
        let (first, second) = futures::try_join!(
            run(&self.engine, request(first)),
            run(&self.engine, request(second)),
        )?;
        let elapsed_ms = first.1.elapsed_ms.max(second.1.elapsed_ms);
        let before_ms = self.basis.stats.elapsed_ms;
        add(&mut self.basis.stats, first.1);
        add(&mut self.basis.stats, second.1);
        self.basis.stats.elapsed_ms = before_ms + elapsed_ms;
        Ok((first.0, second.0))
    }

    /// Those of the tables that may have rows within the range; the first if none has.
    fn holding(&self, tables: &[Table], (from_ns, to_ns): (i64, i64)) -> Vec<Table> {
        let snapshot = self.engine.store().snapshot();
        let has_rows = |table: &Table| {
            let mut files = snapshot.files(*table).iter();
            let mut live = snapshot.live(*table).iter();
            files.any(|file| file.min_time_ns < to_ns && file.max_time_ns >= from_ns)
                || live.any(|batch| batch.rows.num_rows() > 0)
        };
        let holding: Vec<Table> = tables.iter().copied().filter(has_rows).collect();
        if holding.is_empty() { tables[..1].to_vec() } else { holding }
    }

    /// Cuts rows to those that are wanted.
    fn cut<T>(&mut self, rows: &mut Vec<T>) {
        let limit = self.options.limit.and_then(|limit| usize::try_from(limit).ok());
        if let Some(limit) = limit.filter(|limit| *limit < rows.len()) {
            rows.truncate(limit);
            self.basis.stats.truncated = true;
        }
    }

    /// The condition of the filter line; `TRUE` without one.
    fn search(&mut self, range: &TimeRange) -> Result<String, QueryError> {
        let line = self.options.search.clone().unwrap_or_default();
        let filter = self.filter(&line, self.over, range)?;
        for warning in filter.warnings {
            let near = match warning.near.as_slice() {
                [] => String::new(),
                near => format!("; did you mean {}?", near.join(", ")),
            };
            self.basis.stats.warnings.push(format!("{}{near}", warning.message));
        }
        Ok(format!("({})", filter.sql))
    }

    /// A filter line as SQL.
    fn filter(&self, line: &str, over: Over, range: &TimeRange) -> Result<Filter, QueryError> {
        let snapshot = self.engine.store().snapshot();
        let keys = SnapshotKeys { snapshot: &snapshot, tables: over.tables() };
        let range = ranges::bounds_ns(range)?;
        let setting = Setting { over, range, now_ns: self.now_ns, keys: &keys };
        filter::filter(line, &setting).map_err(filter::Wrong::refused)
    }

    /// The condition of a question: its raw one and the filter line.
    fn conditions(
        &mut self,
        filter: Option<&str>,
        range: &TimeRange,
    ) -> Result<String, QueryError> {
        let search = self.search(range)?;
        match filter {
            None => Ok(search),
            Some(filter) => {
                Ok(format!("{} AND {search}", bracketed(filter, &self.engine.config().guard)?))
            }
        }
    }

    /// The same for the argument of a view, which is absent where neither is given.
    fn selection(
        &mut self,
        filter: Option<&str>,
        range: &TimeRange,
    ) -> Result<Option<String>, QueryError> {
        let search = Some(self.search(range)?).filter(|search| search != NO_CONDITION);
        Ok(match (filter, search) {
            (Some(filter), Some(search)) => {
                Some(format!("{} AND {search}", bracketed(filter, &self.engine.config().guard)?))
            }
            (filter, search) => filter.map(str::to_owned).or(search),
        })
    }

    /// The rows of a view with arguments.
    async fn view<T: DeserializeOwned>(
        &mut self,
        name: &str,
        arguments: &[Option<&str>],
    ) -> Result<Vec<T>, QueryError> {
        let arguments: Vec<String> =
            arguments.iter().map(|a| a.map_or("NULL".to_owned(), quoted)).collect();
        self.call(name, &arguments.join(", ")).await
    }

    /// The rows of a view, its arguments as SQL.
    async fn call<T: DeserializeOwned>(
        &mut self,
        name: &str,
        arguments: &str,
    ) -> Result<Vec<T>, QueryError> {
        let rows = self.rows(format!("SELECT * FROM {name}({arguments})"), None).await?;
        if self.options.sql == Some(true) {
            let sql = format!("SELECT sql FROM view_sql({}, {arguments})", quoted(name));
            let request = SqlRequest { sql, ..SqlRequest::default() };
            let (shown, _): (Vec<Shown>, _) = run(&self.engine, request).await?;
            self.basis.sql.extend(shown.into_iter().map(|shown| shown.sql));
        }
        Ok(rows)
    }

    /// The answer that is one list.
    fn list<T>(&mut self, rows: Vec<T>, range: TimeRange) -> List<T> {
        self.basis.stats.rows = rows.len() as u64;
        List { rows, range, bins: None, basis: std::mem::take(&mut self.basis) }
    }
}

#[derive(Deserialize)]
struct Shown {
    sql: String,
}

#[derive(Deserialize)]
struct Answered<T> {
    rows: Vec<T>,
}

/// Runs a statement to its end.
async fn run<T: DeserializeOwned>(
    engine: &Arc<Engine>,
    request: SqlRequest,
) -> Result<(Vec<T>, Stats), QueryError> {
    let mut running = engine.sql(request).await?;
    let mut encoder = Encoder::new(Format::Json, &running.schema, Encoding::default())?;
    let mut bytes = Vec::new();
    encoder.start(&mut bytes);
    while let Some(batch) = running.next().await {
        encoder.rows(&batch?, &mut bytes)?;
        if bytes.len() > ANSWER_BYTES_MAX {
            let mib = ANSWER_BYTES_MAX >> 20;
            return Err(QueryError::limit(format!("the answer is larger than {mib} MiB"))
                .with_hint("narrow the time range, or ask for fewer rows with limit"));
        }
    }
    let stats = running.stats();
    encoder.finish(&stats, &mut bytes)?;
    let answered: Answered<T> = serde_json::from_slice(&bytes).map_err(|error| {
        tracing::error!(error = %error, "rows are not those of the question");
        QueryError::internal("the engine answered other columns than the question has")
    })?;
    Ok((answered.rows, stats))
}

/// Adds what a further statement was built on.
fn add(to: &mut Stats, more: Stats) {
    if to.query_id.is_empty() {
        let warnings = std::mem::take(&mut to.warnings);
        *to = more;
        to.warnings.splice(0..0, warnings);
        return;
    }
    to.query_id = format!("{},{}", to.query_id, more.query_id);
    to.rows += more.rows;
    to.elapsed_ms += more.elapsed_ms;
    to.files_scanned += more.files_scanned;
    to.files_skipped += more.files_skipped;
    to.bytes_scanned += more.bytes_scanned;
    to.live_rows += more.live_rows;
    to.truncated |= more.truncated;
    to.partial |= more.partial;
    to.recovering_bytes = to.recovering_bytes.max(more.recovering_bytes);
    to.traces = to.traces.or(more.traces);
    for warning in more.warnings {
        if !to.warnings.contains(&warning) {
            to.warnings.push(warning);
        }
    }
}

/// A condition of the user in brackets of its own.
fn bracketed(condition: &str, limits: &crate::GuardLimits) -> Result<String, QueryError> {
    guard_condition(condition, limits)?;
    Ok(format!("({condition})"))
}
