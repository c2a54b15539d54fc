//! What is asked through `api`, and what comes back: a call with the function that reads its answer.
//!
//! Any question of `api::views` is a request at once, so a new endpoint needs no line here. Reading,
//! and what a screen wants computed once from an answer, happens in the task that asks, never in the
//! loop.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use api::ask::{Ask, Call};
use api::client::{ClientError, Format};
use api::sql::{SqlAnswer, SqlRequest};
use api::views::{Based, Basis, Options, Question};
use serde::de::DeserializeOwned;

/// Rows of an SQL result that are held at most; the answer says that it was cut.
pub(crate) const SQL_ROWS_MAX: u64 = 10_000;

type Read = fn(Vec<u8>) -> Result<Told, ClientError>;

/// A call and how its answer is read. Equal when the call is.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) call: Call,
    read: Read,
}

impl PartialEq for Request {
    fn eq(&self, other: &Request) -> bool {
        self.call == other.call
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.call.body);
        write!(f, "{} {body}", self.call.path)
    }
}

/// How a request ended.
pub(crate) type Outcome = Result<Told, ClientError>;

/// An answer, shared and immutable.
#[derive(Clone)]
pub(crate) struct Told {
    value: Arc<dyn Any + Send + Sync>,
    /// Statistics and statements behind it.
    pub(crate) basis: Arc<Basis>,
    /// Size as it came.
    pub(crate) bytes: usize,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes)
    }
}

impl Told {
    /// An answer made of a value, its basis and its size.
    pub(crate) fn new<T: Any + Send + Sync>(value: T, basis: Basis, bytes: usize) -> Told {
        Told { value: Arc::new(value), basis: Arc::new(basis), bytes }
    }

    /// The answer as what was asked for, held on to.
    pub(crate) fn share<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.value).downcast().ok()
    }

    /// The answer as what was asked for.
    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }
}

impl Request {
    /// One of the typed questions; its answer is a `Q::Answer`.
    pub(crate) fn view<Q: Question>(question: &Q, options: &Options) -> Request
    where
        Q::Answer: Sync,
    {
        Request { call: Call::view(question, options), read: read_view::<Q::Answer> }
    }

    /// A typed question whose answer is turned into something else where it is read.
    pub(crate) fn view_into<Q, T>(question: &Q, options: &Options) -> Request
    where
        Q: Question,
        T: From<Q::Answer> + Any + Send + Sync,
    {
        Request { call: Call::view(question, options), read: read_view_into::<Q::Answer, T> }
    }

    /// A statement; its answer is an [`SqlAnswer`].
    pub(crate) fn sql(sql: &str) -> Request {
        Request::statement(sql, Format::Json, Some(SQL_ROWS_MAX))
    }

    /// A statement whose answer is kept in the format it comes in.
    pub(crate) fn encoded(sql: &str, format: Format) -> Request {
        Request::statement(sql, format, None)
    }

    fn statement(sql: &str, format: Format, limit: Option<u64>) -> Request {
        let request = SqlRequest { sql: sql.to_owned(), limit, ..SqlRequest::default() };
        // A struct of texts and numbers always has a JSON form; an empty path would be refused.
        let call = Call::sql(&request, format).unwrap_or_else(|_| Call::get("/"));
        Request { call, read: read_sql }
    }

    /// Reads the bytes of an answer, as they would come over the wire.
    #[cfg(test)]
    pub(crate) fn read(&self, bytes: Vec<u8>) -> Outcome {
        (self.read)(bytes)
    }

    /// Makes the call and reads the answer. Dropping the future cancels the query.
    pub(crate) async fn ask(self, ask: Arc<dyn Ask>) -> Outcome {
        let bytes = ask.call(self.call).await?.checked().await?.bytes().await?;
        (self.read)(bytes)
    }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ClientError::Garbled(format!("not an answer of otlake: {error}")))
}

fn read_view<A>(bytes: Vec<u8>) -> Outcome
where
    A: Based + DeserializeOwned + Any + Send + Sync,
{
    let answer: A = json(&bytes)?;
    let basis = answer.basis().clone();
    Ok(Told::new(answer, basis, bytes.len()))
}

fn read_view_into<A, T>(bytes: Vec<u8>) -> Outcome
where
    A: Based + DeserializeOwned,
    T: From<A> + Any + Send + Sync,
{
    let answer: A = json(&bytes)?;
    let basis = answer.basis().clone();
    Ok(Told::new(T::from(answer), basis, bytes.len()))
}

fn read_sql(bytes: Vec<u8>) -> Outcome {
    let mut answer: SqlAnswer = json(&bytes)?;
    if let Some(problem) = answer.error.take() {
        return Err(ClientError::Refused(problem));
    }
    let basis = Basis { stats: answer.stats.clone(), sql: Vec::new() };
    Ok(Told::new(answer, basis, bytes.len()))
}
