//! The HTTP client: asks a server, bounds what it answers, turns every failure into one of three kinds.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::BodyStream;
use serde::de::DeserializeOwned;

use crate::sql::{Problem, SqlAnswer, SqlRequest};
use crate::views::{Options, Question};

#[cfg(test)]
mod tests;

/// Bytes of one answer at most, so that a hostile server cannot fill the memory.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Bytes of an error answer that are looked at.
const PROBLEM_BYTES_MAX: usize = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence within an answer: above the server's own limit of a query.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there; starting a server or another address helps.
    #[error("no server answers at {url}: {cause}")]
    Unreachable {
        /// Where it was asked.
        url: String,
        /// What the system says.
        cause: String,
    },
    /// The server refused or failed, and says why.
    #[error("{}", .0.message)]
    Refused(Problem),
    /// What came back is not an answer of this program, or breaks a bound.
    #[error("{0}")]
    Garbled(String),
}

/// Header and trailer in which an answer that failed after its first byte carries its problem.
const QUERY_ERROR: &str = "x-query-error";

/// The bytes of an answer as they arrive; a failure told in the trailers is the last item.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, ClientError>> + Send>>;

/// The form in which `/api/v1/sql` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object with schema, rows and stats.
    Json,
    /// One object a row.
    Ndjson,
    /// Comma-separated, with a header.
    Csv,
    /// The Arrow IPC stream format.
    Arrow,
}

impl Format {
    /// The value of `?format=`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Arrow => "arrow",
        }
    }
}

/// A connection pool to one server. Cheap to clone; no proxy is used, no redirect followed.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    /// A client of the server at `url`, such as `http://127.0.0.1:4319`. Does not connect yet.
    pub fn new(url: &str) -> Result<Client, ClientError> {
        let base = url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            let text =
                format!("`{url}` is not an address this client can ask: write http://HOST:PORT");
            return Err(ClientError::Garbled(text));
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| ClientError::Garbled(error.to_string()))?;
        Ok(Client { http, base })
    }

    /// The server's address without a trailing slash.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// Runs a statement and returns the whole answer. Dropping the future cancels the query.
    pub async fn sql(&self, request: &SqlRequest) -> Result<SqlAnswer, ClientError> {
        self.sql_as(request, Format::Json).await?.sql().await
    }

    /// Runs a statement and streams the answer in a format. Dropping the answer cancels the query.
    pub async fn sql_as(
        &self,
        request: &SqlRequest,
        format: Format,
    ) -> Result<Answer, ClientError> {
        let body = sql_body(request)?;
        self.post(&sql_path(format), JSON, body).await?.checked().await
    }

    /// Asks one of the typed questions. Dropping the future cancels its queries.
    pub async fn view<Q: Question>(
        &self,
        question: &Q,
        options: &Options,
    ) -> Result<Q::Answer, ClientError> {
        self.get(&question.path(options)).await?.checked().await?.json().await
    }

    /// `GET` of a path; the answer's status is the caller's to judge.
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// `POST` of a body; the answer's status is the caller's to judge.
    pub async fn post(
        &self,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let request = self.http.post(format!("{}{path}", self.base)).header("te", "trailers");
        self.send(request.header("content-type", content_type).body(body)).await
    }

    /// `DELETE` of a path; the answer's status is the caller's to judge.
    pub async fn delete(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(self.http.delete(format!("{}{path}", self.base))).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, ClientError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        let status = response.status().as_u16();
        let retry_after_s = header("retry-after").and_then(|v| v.parse().ok());
        Ok(Answer::new(status, retry_after_s, body(reqwest::Body::from(response))))
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { url: self.base.clone(), cause: innermost(error) }
    }
}

/// Content type of a JSON body.
pub const JSON: &str = "application/json";

/// Path and query under which `/api/v1/sql` answers in a format.
pub fn sql_path(format: Format) -> String {
    format!("/api/v1/sql?format={}", format.name())
}

/// The JSON body that asks for a statement.
pub fn sql_body(request: &SqlRequest) -> Result<Bytes, ClientError> {
    serde_json::to_vec(request)
        .map(Bytes::from)
        .map_err(|error| ClientError::Garbled(error.to_string()))
}

/// The items of an HTTP body of any transport.
pub fn body<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error,
{
    let items = BodyStream::new(body).filter_map(|frame| {
        let item = match frame {
            Err(error) => Some(Err(ClientError::Garbled(format!(
                "the answer broke off: {}",
                innermost(&error)
            )))),
            Ok(frame) => match frame.into_data() {
                Ok(bytes) => Some(Ok(bytes)),
                Err(frame) => frame.trailers_ref().and_then(told_late).map(Err),
            },
        };
        std::future::ready(item)
    });
    Box::pin(items)
}

fn told_late(trailers: &http::HeaderMap) -> Option<ClientError> {
    let problem = trailers.get(QUERY_ERROR)?;
    Some(match serde_json::from_slice(problem.as_bytes()) {
        Ok(problem) => ClientError::Refused(problem),
        Err(_) => ClientError::Garbled("the query failed before its end".into()),
    })
}

/// An answer whose status is known and whose bytes are still coming.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Seconds to wait before the next try, when the server says so.
    pub retry_after_s: Option<u64>,
    body: Body,
    bytes_left: usize,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// An answer from any transport; the directory's in-process server makes them too.
    pub fn new(status: u16, retry_after_s: Option<u64>, body: Body) -> Answer {
        Answer { status, retry_after_s, body, bytes_left: ANSWER_BYTES_MAX }
    }

    /// This answer if it is a success, else the problem it carries.
    pub async fn checked(self) -> Result<Answer, ClientError> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.problem().await) }
    }

    /// The next bytes; `None` at the end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(chunk) = self.body.next().await.transpose()? else { return Ok(None) };
        self.bytes_left = self.bytes_left.checked_sub(chunk.len()).ok_or_else(|| {
            let mib = ANSWER_BYTES_MAX >> 20;
            ClientError::Garbled(format!("the answer is larger than {mib} MiB: ask for less"))
        })?;
        Ok(Some(chunk))
    }

    /// All bytes.
    pub async fn bytes(mut self) -> Result<Vec<u8>, ClientError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// All bytes read as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ClientError::Garbled(format!("not an answer of otlake: {error}")))
    }

    /// The whole JSON answer of `/api/v1/sql`; a query that failed half-way is an error.
    pub async fn sql(self) -> Result<SqlAnswer, ClientError> {
        let answer: SqlAnswer = self.json().await?;
        match answer.error {
            Some(problem) => Err(ClientError::Refused(problem)),
            None => Ok(answer),
        }
    }

    /// What an answer that is no success says, even if it is not ours.
    pub async fn problem(mut self) -> ClientError {
        let status = self.status;
        self.bytes_left = PROBLEM_BYTES_MAX;
        let Ok(bytes) = self.bytes().await else {
            return ClientError::Garbled(format!("HTTP status {status} without a readable reason"));
        };
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => ClientError::Refused(problem),
            Err(_) => {
                let text = String::from_utf8_lossy(&bytes);
                ClientError::Garbled(format!("HTTP status {status}: {}", text.trim()))
            }
        }
    }
}

/// The cause a person can act on: reqwest wraps it in several sentences of its own.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
