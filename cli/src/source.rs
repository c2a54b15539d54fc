//! Where answers come from: a server over HTTP, or the same HTTP API in this process over a directory.
//!
//! The directory is read by the very router that serves port 4319, called without a socket. So both
//! ways take the same requests and give the same bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::ask::{Ask, Call, Method};
use api::client::{self, Answer, Client, ClientError, Format};
use api::sql::{SqlAnswer, SqlRequest};
use api::views::{Options, Question};
use axum::Router;
use axum::body::Body;
use futures::future::BoxFuture;
use http::Request;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use query::Engine;
use storage::Store;
use tower::ServiceExt;

use crate::args::ReadFrom;
use crate::failure::Failure;
use crate::server_file::Addresses;
use crate::wiring;

/// Something that answers the HTTP API.
#[derive(Debug)]
pub(crate) enum Source {
    /// A running server.
    Server(Client),
    /// A directory opened for reading by this process.
    Directory(Directory),
}

impl Source {
    /// Finds the source. A directory that a server holds is asked through that server, since only it
    /// knows the rows that are not yet in files.
    pub(crate) async fn open(from: &ReadFrom) -> Result<Source, Failure> {
        match from {
            ReadFrom::Server(url) => Ok(Source::Server(Client::new(url)?)),
            ReadFrom::Directory(dir) => match holder(dir).await {
                Some(client) => Ok(Source::Server(client)),
                None => Ok(Source::Directory(Directory::open(dir).await?)),
            },
        }
    }

    /// Runs a statement and returns the whole answer.
    pub(crate) async fn sql(&self, request: &SqlRequest) -> Result<SqlAnswer, Failure> {
        Ok(self.sql_as(request, Format::Json).await?.sql().await?)
    }

    /// Runs plain text, all defaults.
    pub(crate) async fn ask(&self, sql: impl Into<String>) -> Result<SqlAnswer, Failure> {
        self.sql(&SqlRequest { sql: sql.into(), ..SqlRequest::default() }).await
    }

    /// Runs a statement and streams the answer in a format.
    pub(crate) async fn sql_as(
        &self,
        request: &SqlRequest,
        format: Format,
    ) -> Result<Answer, Failure> {
        Ok(self.call(Call::sql(request, format)?).await?.checked().await?)
    }

    /// Asks one of the typed questions; the answer's bytes are still coming.
    pub(crate) async fn view<Q: Question>(
        &self,
        question: &Q,
        options: &Options,
    ) -> Result<Answer, Failure> {
        Ok(self.call(Call::view(question, options)).await?.checked().await?)
    }

    /// The server asked, if there is one.
    pub(crate) fn server(&self) -> Option<&Client> {
        match self {
            Source::Server(client) => Some(client),
            Source::Directory(_) => None,
        }
    }
}

impl Ask for Source {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Answer, ClientError>> {
        match self {
            Source::Server(client) => client.call(call),
            Source::Directory(directory) => Box::pin(routed(directory.router.clone(), call)),
        }
    }
}

/// The server whose address stands in the directory, if it still answers.
pub(crate) async fn holder(dir: &Path) -> Option<Client> {
    let client = Client::new(&Addresses::read(dir)?.url()).ok()?;
    let alive = client.get("/livez").await.is_ok_and(|answer| answer.status == 200);
    alive.then_some(client)
}

/// A data directory opened without lock or writes, with an engine on top.
#[derive(Debug)]
pub(crate) struct Directory {
    router: Router,
    /// Wiped when the command ends.
    _spill: SpillDir,
}

impl Directory {
    async fn open(dir: &Path) -> Result<Directory, Failure> {
        if !dir.is_dir() {
            return Err(Failure::failed(format!("there is no data directory {}", dir.display()))
                .hint("name one with --data DIR, or ask a server with --url URL"));
        }
        let store = wiring::open_to_read(dir).await?;
        Directory::over(store)
    }

    /// Serves a store that is already open.
    pub(crate) fn over(store: Arc<Store>) -> Result<Directory, Failure> {
        let spill = SpillDir::create()?;
        let engine: Arc<Engine> = wiring::engine_to_read(store, spill.0.clone())?;
        Ok(Directory { router: wiring::router_to_read(engine), _spill: spill })
    }
}

/// A call without a socket.
async fn routed(router: Router, call: Call) -> Result<Answer, ClientError> {
    let method = match call.method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Delete => http::Method::DELETE,
    };
    let request = Request::builder()
        .method(method)
        .uri(call.path)
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, client::JSON)
        .body(Body::from(call.body))
        .map_err(|error| ClientError::Garbled(error.to_string()))?;
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let retry_after_s =
        response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
    let status = response.status().as_u16();
    Ok(Answer::new(status, retry_after_s, client::body(response.into_body())))
}

/// A directory of our own for sorts that do not fit into memory.
#[derive(Debug)]
struct SpillDir(PathBuf);

impl SpillDir {
    fn create() -> Result<SpillDir, Failure> {
        let name = format!("otlake-spill-{}-{}", std::process::id(), api::time::now_ns());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path)?;
        Ok(SpillDir(path))
    }
}

impl Drop for SpillDir {
    fn drop(&mut self) {
        // What is left over lies in the system's temporary directory and is swept there.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
