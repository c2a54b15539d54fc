//! Databases of the services: SQLite files with real pools, real waits for a connection and for the
//! one writer, and a span for each statement that runs inside of traced work.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, Sqlite, SqlitePool};

use crate::faults::{Knobs, LockHold};
use crate::say;
use crate::telemetry::names::{self, metrics, own};
use crate::telemetry::{Telemetry, Work, seconds_since};
use crate::wire::Fault;

/// `db.system.name`.
const SYSTEM: &str = "sqlite";
/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a statement waits for the writer before it says that the database is locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Waits from here on get a span of their own.
const SHOWN_WAIT: Duration = Duration::from_millis(1);
/// Connections that nobody needs are closed.
const IDLE: Duration = Duration::from_secs(30);

/// A statement with its arguments.
pub type Statement = Query<'static, Sqlite, SqliteArguments>;

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Somebody else writes for too long.
    #[error("database is locked")]
    Locked,
    /// No connection came free in time.
    #[error("no connection came free in time")]
    PoolTimeout,
    /// Anything else.
    #[error(transparent)]
    Other(sqlx::Error),
}

impl DbError {
    fn error_type(&self) -> &'static str {
        match self {
            DbError::Locked => "SQLITE_BUSY",
            DbError::PoolTimeout => "pool_timeout",
            DbError::Other(_) => "SQLITE_ERROR",
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> DbError {
        // SQLITE_BUSY is 5; its extended codes have 5 in the low byte.
        let code = error.as_database_error().and_then(|error| error.code());
        let code = code.and_then(|code| code.parse::<i32>().ok());
        match error {
            sqlx::Error::PoolTimedOut => DbError::PoolTimeout,
            _ if code.is_some_and(|code| code & 0xff == 5) => DbError::Locked,
            error => DbError::Other(error),
        }
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Fault {
        say!(error, "{error}");
        let status = match error {
            DbError::Locked | DbError::PoolTimeout => StatusCode::SERVICE_UNAVAILABLE,
            DbError::Other(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Fault::new(status, error.error_type(), error.to_string())
    }
}

/// Files of a database: one, or several that are attached under names of their own.
#[derive(Clone, Debug)]
pub struct Files {
    /// `db.namespace`.
    pub namespace: &'static str,
    /// `server.address`, for one of several databases of that name.
    pub address: Option<&'static str>,
    /// The file.
    pub main: PathBuf,
    /// Further files, by the name they are attached under.
    pub attached: Vec<(String, PathBuf)>,
    /// Most connections.
    pub connections_max: u32,
}

impl Files {
    /// One file in a folder.
    pub fn one(folder: &Path, namespace: &'static str, connections_max: u32) -> Files {
        let main = folder.join(format!("{namespace}.sqlite"));
        Files { namespace, address: None, main, attached: Vec::new(), connections_max }
    }
}

/// A database and its pool. Clones share it.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    pool: RwLock<SqlitePool>,
    size: AtomicI64,
    used: Arc<AtomicI64>,
    pending: Arc<AtomicI64>,
    telemetry: Arc<Telemetry>,
    knobs: Knobs,
}

impl Database {
    /// Opens the files, making them if need be, and runs the statements of `schema`.
    pub async fn open(
        files: Files,
        telemetry: &Arc<Telemetry>,
        knobs: &Knobs,
        schema: &str,
    ) -> Result<Database, DbError> {
        let pool = pool(&files, files.connections_max);
        let mut first = pool.acquire().await?;
        sqlx::raw_sql(AssertSqlSafe(schema)).execute(&mut *first).await?;
        drop(first);
        let inner = Inner {
            size: AtomicI64::new(i64::from(files.connections_max)),
            pool: RwLock::new(pool),
            files,
            used: Arc::default(),
            pending: Arc::default(),
            telemetry: telemetry.clone(),
            knobs: knobs.clone(),
        };
        let database = Database { inner: Arc::new(inner) };
        database.observe();
        Ok(database)
    }

    /// Gauges of the pool.
    fn observe(&self) {
        let instruments = self.inner.telemetry.instruments();
        let inner = self.inner.clone();
        instruments.gauge(metrics::POOL_COUNT, "{connection}", move |observe| {
            let used = inner.used.load(Ordering::Relaxed);
            let idle = i64::from(inner.pool().size()).saturating_sub(used).max(0);
            observe(used, inner.state("used"));
            observe(idle, inner.state("idle"));
        });
        let inner = self.inner.clone();
        instruments.gauge(metrics::POOL_MAX, "{connection}", move |observe| {
            observe(inner.size.load(Ordering::Relaxed), vec![inner.name()]);
        });
        let inner = self.inner.clone();
        instruments.gauge(metrics::POOL_PENDING, "{request}", move |observe| {
            observe(inner.pending.load(Ordering::Relaxed), vec![inner.name()]);
        });
    }

    /// Waits for a connection.
    pub async fn connect(&self) -> Result<Connection, DbError> {
        self.connect_at(self.inner.files.address).await
    }

    /// Waits for a connection, for statements to this one of several attached files.
    pub async fn connect_at(&self, address: Option<&'static str>) -> Result<Connection, DbError> {
        let inner = &self.inner;
        inner.resize_if_asked();
        let (since, started) = (SystemTime::now(), Instant::now());
        let waiting = Counted::new(&inner.pending);
        let acquired = inner.pool().acquire().await;
        drop(waiting);
        let instruments = inner.telemetry.instruments();
        instruments.pool_wait.record(seconds_since(started), &[inner.name()]);
        if started.elapsed() > SHOWN_WAIT && is_traced() {
            inner.telemetry.past_span("db.pool.acquire", since);
        }
        let connection = acquired.map_err(DbError::from).inspect_err(|error| {
            if matches!(error, DbError::PoolTimeout) {
                instruments.pool_timeouts.add(1, &[inner.name()]);
            }
        })?;
        let used = Counted::new(&inner.used);
        let since = Instant::now();
        Ok(Connection { connection, address, inner: inner.clone(), since, _used: used })
    }

    /// As long as the knob says so: a transaction that writes and then stays open.
    pub async fn hold_locks(&self, statement: &'static str) {
        loop {
            match self.inner.knobs.read().db_lock_hold {
                Some(hold) => self.hold_lock(hold, statement).await,
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn hold_lock(&self, hold: LockHold, statement: &'static str) {
        let rest = hold.every_ms.saturating_sub(hold.hold_ms);
        if let Ok(mut connection) = self.connect().await
            && let Ok(mut transaction) = connection.begin().await
        {
            // Whether it changes a row or not, the lock is taken.
            let _ = transaction.execute("UPDATE", sqlx::query(statement)).await;
            tokio::time::sleep(Duration::from_millis(hold.hold_ms)).await;
        }
        tokio::time::sleep(Duration::from_millis(rest)).await;
    }
}

impl Inner {
    fn pool(&self) -> SqlitePool {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn name(&self) -> KeyValue {
        self.telemetry.attribute(names::POOL_NAME, self.files.namespace)
    }

    fn state(&self, state: &'static str) -> Vec<KeyValue> {
        vec![self.name(), self.telemetry.attribute(names::POOL_STATE, state)]
    }

    /// A pool cannot change its size, so a new one takes its place; the connections of the old one
    /// close as they come back.
    fn resize_if_asked(&self) {
        let asked = self.knobs.read().db_pool_size.unwrap_or(self.files.connections_max);
        let before = self.size.swap(i64::from(asked), Ordering::AcqRel);
        if before != i64::from(asked) {
            let new = pool(&self.files, asked);
            *self.pool.write().unwrap_or_else(PoisonError::into_inner) = new;
        }
    }
}

fn pool(files: &Files, size: u32) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(&files.main)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(false);
    let attached = files.attached.clone();
    SqlitePoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let attached = attached.clone();
            Box::pin(async move { attach(connection, &attached).await })
        })
        .connect_lazy_with(options)
}

async fn attach(
    connection: &mut SqliteConnection,
    files: &[(String, PathBuf)],
) -> Result<(), sqlx::Error> {
    for (name, path) in files {
        let statement = format!(
            "ATTACH DATABASE '{}' AS {name}; PRAGMA {name}.journal_mode = WAL; \
             PRAGMA {name}.synchronous = NORMAL;",
            path.display().to_string().replace('\'', "''")
        );
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Counts itself while it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicI64>);

impl Counted {
    fn new(counter: &Arc<AtomicI64>) -> Counted {
        counter.fetch_add(1, Ordering::Relaxed);
        Counted(counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection in use; it goes back to its pool when dropped.
#[derive(Debug)]
pub struct Connection {
    connection: PoolConnection<Sqlite>,
    address: Option<&'static str>,
    inner: Arc<Inner>,
    since: Instant,
    _used: Counted,
}

impl Drop for Connection {
    fn drop(&mut self) {
        let instruments = self.inner.telemetry.instruments();
        instruments.pool_use.record(seconds_since(self.since), &[self.inner.name()]);
    }
}

impl Connection {
    /// Begins to write: waits until nobody else does.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, DbError> {
        let label = Label { inner: &self.inner, address: self.address };
        let begun = self.connection.begin_with("BEGIN IMMEDIATE");
        let inside = label.wait("BEGIN", begun).await?;
        Ok(Transaction { inside, inner: &self.inner, address: self.address })
    }

    /// All rows of a query.
    pub async fn fetch_all(
        &mut self,
        summary: &'static str,
        statement: Statement,
    ) -> Result<Vec<SqliteRow>, DbError> {
        let label = Label { inner: &self.inner, address: self.address };
        label.run(summary, statement.fetch_all(&mut *self.connection)).await
    }

    /// The first row of a query.
    pub async fn fetch_optional(
        &mut self,
        summary: &'static str,
        statement: Statement,
    ) -> Result<Option<SqliteRow>, DbError> {
        let label = Label { inner: &self.inner, address: self.address };
        label.run(summary, statement.fetch_optional(&mut *self.connection)).await
    }

    /// Runs a statement; says how many rows it changed.
    pub async fn execute(
        &mut self,
        summary: &'static str,
        statement: Statement,
    ) -> Result<u64, DbError> {
        let label = Label { inner: &self.inner, address: self.address };
        let done = label.run(summary, statement.execute(&mut *self.connection)).await?;
        Ok(done.rows_affected())
    }
}

/// A transaction that writes. Dropped before its commit it is rolled back.
#[derive(Debug)]
pub struct Transaction<'a> {
    inside: sqlx::Transaction<'a, Sqlite>,
    inner: &'a Arc<Inner>,
    address: Option<&'static str>,
}

impl Transaction<'_> {
    /// All rows of a query.
    pub async fn fetch_all(
        &mut self,
        summary: &'static str,
        statement: Statement,
    ) -> Result<Vec<SqliteRow>, DbError> {
        let label = Label { inner: self.inner, address: self.address };
        label.run(summary, statement.fetch_all(&mut *self.inside)).await
    }

    /// The first row of a query.
    pub async fn fetch_optional(
        &mut self,
        summary: &'static str,
        statement: Statement,
    ) -> Result<Option<SqliteRow>, DbError> {
        let label = Label { inner: self.inner, address: self.address };
        label.run(summary, statement.fetch_optional(&mut *self.inside)).await
    }

    /// Runs a statement; says how many rows it changed.
    pub async fn execute(
        &mut self,
        summary: &'static str,
        statement: Statement,
    ) -> Result<u64, DbError> {
        let label = Label { inner: self.inner, address: self.address };
        let done = label.run(summary, statement.execute(&mut *self.inside)).await?;
        Ok(done.rows_affected())
    }

    /// Makes it hold.
    pub async fn commit(self) -> Result<(), DbError> {
        let label = Label { inner: self.inner, address: self.address };
        label.wait("COMMIT", self.inside.commit()).await
    }
}

/// Which database a statement goes to.
struct Label<'a> {
    inner: &'a Arc<Inner>,
    address: Option<&'static str>,
}

impl Label<'_> {
    /// Runs a statement with a span around it, if there is work to belong to.
    async fn run<T>(
        &self,
        summary: &'static str,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DbError> {
        let work = is_traced().then(|| self.start(summary, SystemTime::now()));
        let started = Instant::now();
        let result = match &work {
            Some(work) => work.run(statement).await,
            None => statement.await,
        };
        let result = result.map_err(DbError::from);
        self.finish(summary, work, &result, seconds_since(started));
        result
    }

    /// Begins or ends a transaction: there is a span of it only where it took long.
    async fn wait<T>(
        &self,
        summary: &'static str,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DbError> {
        let (since, started) = (SystemTime::now(), Instant::now());
        let result = statement.await.map_err(DbError::from);
        let is_shown = started.elapsed() > SHOWN_WAIT && is_traced();
        let work = is_shown.then(|| self.start(summary, since));
        self.finish(summary, work, &result, seconds_since(started));
        result
    }

    fn start(&self, summary: &'static str, since: SystemTime) -> Work {
        let inner = &self.inner;
        let plan = inner.telemetry.span(SpanKind::Client, summary);
        let plan = plan
            .since(since)
            .with(names::DB_SYSTEM, SYSTEM)
            .with(names::DB_NAMESPACE, inner.files.namespace)
            .with(names::DB_SUMMARY, summary)
            .with_own(own::TIMEOUT_MS, BUSY_TIMEOUT.as_millis() as i64);
        match self.address {
            Some(address) => plan.with(names::SERVER_ADDRESS, address).start(),
            None => plan.start(),
        }
    }

    fn finish<T>(
        &self,
        summary: &'static str,
        work: Option<Work>,
        result: &Result<T, DbError>,
        seconds: f64,
    ) {
        let telemetry = &self.inner.telemetry;
        let mut attributes = vec![
            telemetry.attribute(names::DB_SYSTEM, SYSTEM),
            telemetry.attribute(names::DB_NAMESPACE, self.inner.files.namespace),
            telemetry.attribute(names::DB_SUMMARY, summary),
        ];
        if let Err(error) = result {
            attributes.push(telemetry.attribute(names::ERROR_TYPE, error.error_type()));
        }
        let seconds_of = &telemetry.instruments().database;
        match work {
            Some(work) => {
                if let Err(error) = result {
                    work.fail(error.error_type(), error.to_string());
                }
                seconds_of.record_in(work.context(), seconds, &attributes);
                work.end();
            }
            None => seconds_of.record(seconds, &attributes),
        }
    }
}

/// Whether there is work to belong to: polls in the background make no traces.
fn is_traced() -> bool {
    Context::map_current(|context| context.span().span_context().is_valid())
}
