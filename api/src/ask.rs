//! The transport of the API as an object: a screen asks without knowing who answers.
//!
//! A server over HTTP ([`Client`]) answers, the same router in this process, or a test's canned list.

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::client::{self, Answer, Client, ClientError, Format};
use crate::sql::{SqlAnswer, SqlRequest};
use crate::views::{Options, Question};

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Asks.
    Get,
    /// Asks with a body.
    Post,
    /// Takes back, such as a running query.
    Delete,
}

/// One call of the HTTP API, independent of the transport.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// How.
    pub method: Method,
    /// Path and query string, from `/` on.
    pub path: String,
    /// JSON; empty unless posted.
    pub body: Bytes,
}

impl Call {
    /// A `GET` of a path.
    pub fn get(path: impl Into<String>) -> Call {
        Call { method: Method::Get, path: path.into(), body: Bytes::new() }
    }

    /// The call of a typed question.
    pub fn view<Q: Question>(question: &Q, options: &Options) -> Call {
        Call::get(question.path(options))
    }

    /// The call of a statement, answered in a format.
    pub fn sql(request: &SqlRequest, format: Format) -> Result<Call, ClientError> {
        let body = client::sql_body(request)?;
        Ok(Call { method: Method::Post, path: client::sql_path(format), body })
    }
}

/// Something that answers the HTTP API.
pub trait Ask: Send + Sync {
    /// Makes one call; the answer's status is the caller's to judge. Dropping the future, or the
    /// answer before its end, cancels what runs behind it.
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Answer, ClientError>>;
}

impl Ask for Client {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Answer, ClientError>> {
        let client = self.clone();
        Box::pin(async move {
            match call.method {
                Method::Get => client.get(&call.path).await,
                Method::Post => client.post(&call.path, client::JSON, call.body).await,
                Method::Delete => client.delete(&call.path).await,
            }
        })
    }
}

/// Asks a typed question and reads the whole answer.
pub async fn view<Q: Question>(
    ask: &dyn Ask,
    question: &Q,
    options: &Options,
) -> Result<Q::Answer, ClientError> {
    ask.call(Call::view(question, options)).await?.checked().await?.json().await
}

/// Runs a statement and reads the whole answer.
pub async fn sql(ask: &dyn Ask, request: &SqlRequest) -> Result<SqlAnswer, ClientError> {
    ask.call(Call::sql(request, Format::Json)?).await?.checked().await?.sql().await
}
