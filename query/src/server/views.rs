//! The typed questions of `api::views`: parameters in, SQL to the engine, typed rows out.
//!
//! Nothing is computed here: every question is SQL text over tables and views with arguments, in
//! [`questions`]. Answers are whole, so that a failure is a status and never half an answer.

mod questions;
mod request;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

use api::sql::{SqlRequest, Stats};
use api::time;
use api::views::{self, Basis, List, Options, Question, TimeRange};
use axum::Router;
use axum::extract::{RawPathParams, RawQuery, State};
use axum::response::Response;
use axum::routing::get;
use futures::StreamExt;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{json_body, problem};
use crate::encode::{Encoder, Format, Options as Encoding};
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
    with::<views::Correlation>(routes)
}

fn with<Q: Answers>(routes: Router<Arc<Engine>>) -> Router<Arc<Engine>> {
    routes.route(Q::ENDPOINT.path, get(handle::<Q>))
}

/// How a question is answered.
trait Answers: Question {
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
        let basis = Basis::default();
        question.answer(&mut Asking { engine, options, now_ns, basis }).await
    };
    match asked.await {
        Ok(answer) => json_body(StatusCode::OK, "application/json", &answer),
        Err(error) => problem(&error),
    }
}

/// What it takes to answer one question, and what the answer is built on so far.
struct Asking {
    engine: Arc<Engine>,
    options: Options,
    /// The start of the question.
    now_ns: i64,
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
        *to = more;
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
