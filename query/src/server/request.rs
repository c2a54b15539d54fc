//! What a request asks for: statement, format, options, from body, query string and headers.

use api::sql::SqlRequest;
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::QueryError;
use crate::encode::{Format, Options};

/// A question and how its answer is wanted.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) sql: SqlRequest,
    pub(super) format: Format,
    pub(super) options: Options,
}

/// The query string. Its values win over headers and over a body's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Query {
    q: Option<String>,
    format: Option<String>,
    int64: Option<String>,
    csv_raw: Option<bool>,
    limit: Option<u64>,
    #[serde(alias = "timeout")]
    timeout_s: Option<f64>,
}

/// `GET /api/v1/sql?q=…`.
pub(super) fn from_query(query: &str, headers: &HeaderMap) -> Result<Asked, QueryError> {
    let mut query = parse(query)?;
    let Some(sql) = query.q.take() else {
        return Err(QueryError::syntax("no statement")
            .with_hint("GET /api/v1/sql?q=SELECT… or POST the statement"));
    };
    asked(SqlRequest { sql, ..SqlRequest::default() }, query, headers)
}

/// `POST /api/v1/sql` with JSON or plain text.
pub(super) fn from_body(
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Asked, QueryError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let content_type = content_type.unwrap_or("text/plain").split(';').next().unwrap_or("").trim();
    let sql = match content_type {
        "application/json" => serde_json::from_slice(body).map_err(|e| {
            QueryError::syntax(format!("the JSON body is not understood: {e}"))
                .with_hint("{\"sql\": \"SELECT …\", \"params\": […], \"limit\": 100}")
        })?,
        "text/plain" | "application/sql" => match std::str::from_utf8(body) {
            Ok(sql) => SqlRequest { sql: sql.to_owned(), ..SqlRequest::default() },
            Err(_) => return Err(QueryError::syntax("the statement is not UTF-8")),
        },
        other => {
            return Err(QueryError::unsupported(format!("the content type {other} is not taken"))
                .with_hint(
                    "send application/json or text/plain: curl -H 'content-type: text/plain'",
                ));
        }
    };
    asked(sql, parse(query)?, headers)
}

fn parse(query: &str) -> Result<Query, QueryError> {
    let uri = format!("/?{query}").parse().map_err(|_| QueryError::syntax("bad query string"))?;
    match axum::extract::Query::<Query>::try_from_uri(&uri) {
        Ok(query) => Ok(query.0),
        Err(error) => Err(QueryError::syntax(format!("bad query string: {}", error.body_text()))
            .with_hint("known are q, format, int64, csv_raw, limit, timeout_s")),
    }
}

fn asked(mut sql: SqlRequest, query: Query, headers: &HeaderMap) -> Result<Asked, QueryError> {
    let format = match &query.format {
        Some(name) => Format::from_name(name).ok_or_else(|| {
            let known = Format::ALL.map(Format::name).join(", ");
            QueryError::unsupported(format!("no format {name}"))
                .with_hint(format!("known: {known}"))
        })?,
        None => Format::from_accept(
            headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or(""),
        ),
    };
    let int64_as_text = match query.int64.as_deref() {
        None | Some("number") => false,
        Some("string") => true,
        Some(_) => return Err(QueryError::syntax("int64 is number or string")),
    };
    sql.limit = query.limit.or(sql.limit);
    sql.timeout_s = query.timeout_s.or(sql.timeout_s);
    let options = Options { int64_as_text, csv_raw: query.csv_raw.unwrap_or(false) };
    Ok(Asked { sql, format, options })
}
