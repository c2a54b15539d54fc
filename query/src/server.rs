//! The HTTP API on 4319: SQL, the typed questions of screens, the running queries, health, own metrics.
//!
//! `POST /api/v1/sql` takes JSON (`{"sql": …, "params": …, "limit": …, "timeout_s": …}`) or plain
//! SQL as `text/plain`; `GET /api/v1/sql?q=…` is for browsers. Dropping the answer cancels the
//! query, so a client that goes away costs nothing. Errors are RFC 9457 problem details.

mod answer;
mod door;
mod request;
#[cfg(test)]
mod tests;
mod views;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::limits::BODY_BYTES_MAX;
use crate::{Engine, QueryError};

/// What the server cannot know by itself; the command line wires it.
#[derive(Clone)]
pub struct ServerInfo {
    /// Whether the process can take and answer; the reason when not.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// Own metrics in Prometheus text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Names clients may use for this server besides the loopback ones, without ports. On other
    /// listeners an empty list means any.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may ask. None by default.
    pub allowed_origins: Vec<String>,
    /// The listener is on a loopback address, which every browser on the machine can reach: `Host`
    /// must be a loopback name or an allowed one.
    pub loopback: bool,
}

impl std::fmt::Debug for ServerInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerInfo")
            .field("allowed_hosts", &self.allowed_hosts)
            .field("allowed_origins", &self.allowed_origins)
            .field("loopback", &self.loopback)
            .finish_non_exhaustive()
    }
}

/// The routes of the HTTP API.
pub fn router(engine: Arc<Engine>, info: ServerInfo) -> Router {
    let sql = get(get_sql).post(post_sql);
    let api = Router::new()
        .route("/api/v1/sql", sql)
        .route("/api/v1/queries", get(queries))
        .route("/api/v1/queries/{id}", delete(cancel))
        .merge(views::routes())
        .with_state(engine)
        .layer(CompressionLayer::new());
    guarded(api.merge(health(&info)), info)
}

/// Routes that need no engine.
fn health(info: &ServerInfo) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/health", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/-/ready", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(info.clone())
}

/// What every route gets: limits, the check of who asks, an answer to wrong paths.
fn guarded(routes: Router, info: ServerInfo) -> Router {
    routes
        .fallback(unknown_path)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::new(info), door::check))
}

async fn get_sql(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let asked = request::from_query(request.uri().query().unwrap_or(""), request.headers());
    run(&engine, asked).await
}

async fn post_sql(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or("").to_owned();
    let headers = request.headers().clone();
    let asked = match bytes::Bytes::from_request(request, &()).await {
        Ok(body) => request::from_body(&query, &headers, &body),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(QueryError::body_too_large(BODY_BYTES_MAX))
        }
        Err(_) => Err(QueryError::syntax("the body could not be read")),
    };
    run(&engine, asked).await
}

async fn run(engine: &Arc<Engine>, asked: Result<request::Asked, QueryError>) -> Response {
    let started = async {
        let asked = asked?;
        let running = engine.sql(asked.sql).await?;
        let (id, schema) = (running.id.clone(), Arc::clone(&running.schema));
        answer::answer(running, &id, &schema, asked.format, asked.options).await
    };
    started.await.unwrap_or_else(|error| problem(&error))
}

async fn queries(State(engine): State<Arc<Engine>>) -> Response {
    let running = engine.running();
    let rows = running
        .into_iter()
        .map(|(id, sql, seconds)| json!({ "query_id": id, "sql": sql, "seconds": seconds }));
    json_body(StatusCode::OK, "application/json", &json!({ "queries": rows.collect::<Vec<_>>() }))
}

async fn cancel(State(engine): State<Arc<Engine>>, Path(id): Path<String>) -> Response {
    if engine.cancel(&id) {
        return StatusCode::NO_CONTENT.into_response();
    }
    problem(
        &QueryError::unknown_query("no running query has this id")
            .with_hint("GET /api/v1/queries lists those that run"),
    )
}

async fn readyz(State(info): State<ServerInfo>, request: Request) -> Response {
    let ready = (info.ready)();
    let status = if ready.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let verbose = request.uri().query().is_some_and(|q| q.starts_with("verbose"));
    let reason = ready.err();
    if verbose {
        let body = json!({ "ready": reason.is_none(), "reason": reason });
        return json_body(status, "application/json", &body);
    }
    (status, format!("{}\n", reason.as_deref().unwrap_or("ok"))).into_response()
}

async fn metrics(State(info): State<ServerInfo>) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, (info.metrics)()).into_response()
}

async fn unknown_path() -> Response {
    problem(&QueryError::unknown_path("no such path").with_hint(
        "SQL is POST /api/v1/sql; docs/api.md lists the others; also /livez, /readyz, /metrics",
    ))
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has logged message and place; neither is for the client.
    problem(&QueryError::internal("the server failed on this request"))
}

/// An error as `application/problem+json`.
fn problem(error: &QueryError) -> Response {
    let status = StatusCode::from_u16(error.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_body(status, "application/problem+json", &error.0);
    if let Some(seconds) = error.0.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json_body(status: StatusCode, content_type: &'static str, value: &impl Serialize) -> Response {
    let mut body = Vec::new();
    crate::encode::write_json(value, &mut body);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}
