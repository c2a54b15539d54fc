//! Which files exist, which WAL range they cover, and what is known to be lost: one SQLite file.
//!
//! Every change is one transaction of [`Catalog::commit`]; it removes files only if all of them are
//! still live. Planning never comes here: a store reads everything once at its start ([`Loaded`])
//! and keeps it in memory. SQLite has no page checksums, so the rows that decide about data carry
//! their own, checked at loading. DuckDB reads the same file through the views of `schema.sql`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemas::{Signal, Table};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::Mutex;

use crate::catalog::columns::Columns;
use crate::catalog::facts::{DataFile, NewFile};
use crate::catalog::rows::FileRow;
use crate::keys::AttributeKey;
use crate::rejects::Rejects;
use crate::snapshot::DataLoss;
use crate::{StorageError, layout};

mod columns;
pub(crate) mod facts;
mod load;
pub(crate) mod rebuild;
mod rows;

/// Version of the tables in `schema.sql`. A higher one in the file is refused.
const FORMAT: i64 = 1;
/// Below this SQLite can corrupt a database in WAL mode (the WAL-reset bug).
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
/// The one writer of a directory; more come with shared storage.
const WRITER: i64 = 0;
/// How long the history of commits and of unlinked files is kept.
const HISTORY_NS: i64 = 7 * layout::DAY_NS;

/// The open catalog. One connection, one transaction at a time.
#[derive(Debug)]
pub(crate) struct Catalog {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None after [`Catalog::close`], or when it could not be opened again after a failed commit.
    connection: Option<SqliteConnection>,
    /// Snapshot of a commit of which it is not known whether it happened. Committing its rows once
    /// more would store them twice.
    unsure: Option<i64>,
    columns: Columns,
    /// Checksum of each live file's row without `removed`.
    checksums: HashMap<i64, u32>,
    snapshot_id: i64,
    schema_version: i64,
    next_file_id: i64,
    /// The connection keeps others out: it was made on a full disk.
    alone: bool,
}

/// What a catalog knew when it was opened.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) files: Vec<DataFile>,
    /// BLAKE3 of the live files.
    pub(crate) hashes: HashMap<i64, [u8; 32]>,
    /// Removed but not yet unlinked.
    pub(crate) removed: Vec<DataFile>,
    /// Highest sequence of each signal whose rows are in files.
    pub(crate) covered: [u64; 3],
    pub(crate) gaps: Vec<DataLoss>,
    pub(crate) keys: Vec<AttributeKey>,
    pub(crate) rejects: Rejects,
}

/// One transaction.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) add: Vec<NewFile>,
    /// Files that must still be live; else nothing happens.
    pub(crate) remove: Vec<i64>,
    pub(crate) covered: Vec<(Signal, u64)>,
    pub(crate) losses: Vec<DataLoss>,
    /// Whole new state of keys that changed.
    pub(crate) keys: Vec<AttributeKey>,
    /// Counts to add.
    pub(crate) rejects: Rejects,
    pub(crate) note: &'static str,
}

impl Change {
    fn is_empty(&self) -> bool {
        let Change { add, remove, covered, losses, keys, rejects, note: _ } = self;
        add.is_empty()
            && remove.is_empty()
            && covered.is_empty()
            && losses.is_empty()
            && keys.is_empty()
            && rejects.is_empty()
    }
}

/// Why a catalog could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// It does not say what it said when it was written; the rest of the directory may be whole.
    Damaged(String),
    /// Anything else.
    Other(StorageError),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> OpenError {
        /// SQLITE_CORRUPT, SQLITE_NOTADB, and SQLITE_ERROR: a table of ours is not there.
        const DAMAGE: [i64; 3] = [11, 26, 1];
        let code = error.as_database_error().and_then(|e| e.code()?.parse::<i64>().ok());
        let decoding = matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::RowNotFound);
        match code {
            // The low byte is the primary code.
            Some(code) if DAMAGE.contains(&(code & 255)) => OpenError::Damaged(error.to_string()),
            _ if decoding => OpenError::Damaged(error.to_string()),
            _ => OpenError::Other(StorageError::of("read the catalog", error)),
        }
    }
}

impl Catalog {
    /// Opens the directory's catalog, made when missing.
    pub(crate) async fn open(dir: &Path, now_ns: i64) -> Result<(Catalog, Loaded), OpenError> {
        let path = layout::catalog(dir);
        let (mut connection, alone) = match options(&path).create_if_missing(true).connect().await {
            Ok(connection) => (connection, false),
            Err(why) if lacks_space(&why) => (alone(&path).connect().await?, true),
            Err(why) => return Err(why.into()),
        };
        check_version(&mut connection).await?;
        if is_empty(&mut connection).await? {
            create(&mut connection, now_ns).await?;
        }
        check_format(&mut connection, &path).await?;
        private(&path);
        match name_data_path(&mut connection, dir).await {
            // DuckDB cannot attach it now anyway, and the next start does it.
            Err(why) if alone => tracing::warn!(%why, "naming the directory in the catalog failed"),
            named => named?,
        }
        let (catalog, loaded) = load::catalog(connection, path, dir).await?;
        catalog.state.lock().await.alone = alone;
        Ok((catalog, loaded))
    }

    /// Lets other processes read the catalog again, where a full disk had made us take it alone. To be
    /// called once there is space.
    pub(crate) async fn share(&self) {
        let mut state = self.state.lock().await;
        if std::mem::take(&mut state.alone)
            && let Some(connection) = state.connection.take()
            && let Err(why) = connection.close().await
        {
            tracing::warn!(%why, "closing the catalog failed");
        }
    }

    /// Reads a catalog, the directory's own or a copy, and changes nothing. `None` when there is
    /// none.
    pub(crate) async fn read(path: PathBuf, dir: &Path) -> Result<Option<Loaded>, OpenError> {
        if !path.exists() {
            return Ok(None);
        }
        // Without a log beside it the file is all there is, and SQLite need not make one.
        let log = path.with_extension("sqlite-wal");
        let whole = std::fs::metadata(log).map_or(true, |m| m.len() == 0);
        let mut connection = read_options(&path).immutable(whole).connect().await?;
        if is_empty(&mut connection).await? {
            return Ok(None);
        }
        check_format(&mut connection, &path).await?;
        let (catalog, loaded) = load::catalog(connection, path, dir).await?;
        catalog.close().await;
        Ok(Some(loaded))
    }

    /// Does all of the change or nothing. `None` when a file to be removed is no longer live.
    pub(crate) async fn commit(
        &self,
        change: Change,
        now_ns: i64,
    ) -> Result<Option<Vec<Arc<DataFile>>>, StorageError> {
        if change.is_empty() {
            return Ok(Some(vec![]));
        }
        let mut state = self.state.lock().await;
        let failed = |why: sqlx::Error| StorageError::of("commit to the catalog", why);
        let state = &mut *state;
        let connection = connected(&mut state.connection, &self.path).await.map_err(failed)?;
        if let Some(unsure) = state.unsure {
            if last_snapshot(connection).await.map_err(failed)? == unsure {
                let why = "an earlier commit that seemed to fail was kept; restart to load it";
                return Err(StorageError::of("commit to the catalog", why));
            }
            state.unsure = None;
        }
        let mut draft = Draft {
            snapshot_id: state.snapshot_id + 1,
            next_file_id: state.next_file_id,
            columns: state.columns.clone(),
            checksums: vec![],
            files: vec![],
        };
        let mut transaction = connection.begin().await.map_err(failed)?;
        let whole = draft
            .write(&mut transaction, &state.checksums, &change, state.schema_version, now_ns)
            .await
            .map_err(failed)?;
        if !whole {
            transaction.rollback().await.map_err(failed)?;
            return Ok(None);
        }
        if let Err(why) = transaction.commit().await {
            // The outcome is open until another connection has looked.
            state.connection = None;
            state.unsure = Some(draft.snapshot_id);
            let reopened = connected(&mut state.connection, &self.path).await.map_err(failed)?;
            let last = last_snapshot(reopened).await.map_err(failed)?;
            state.unsure = None;
            if last != draft.snapshot_id {
                return Err(failed(why));
            }
        }
        Ok(Some(state.apply(draft, &change.remove)))
    }

    /// Whether the last failed commit may have happened all the same: then its files must stay.
    pub(crate) async fn is_unsure(&self) -> bool {
        self.state.lock().await.unsure.is_some()
    }

    /// Records that removed files are about to be unlinked.
    pub(crate) async fn mark_unlinked(&self, ids: &[i64], now_ns: i64) -> Result<(), StorageError> {
        let failed = |why: sqlx::Error| StorageError::of("mark files as unlinked", why);
        let mut state = self.state.lock().await;
        let connection = connected(&mut state.connection, &self.path).await.map_err(failed)?;
        sqlx::query(
            "UPDATE files SET unlinked_ns = ?1 WHERE file_id IN (SELECT value FROM json_each(?2))",
        )
        .bind(now_ns)
        .bind(serde_json::json!(ids).to_string())
        .execute(connection)
        .await
        .map_err(failed)?;
        Ok(())
    }

    /// Forgets history that nothing refers to any more, and saves a copy of the catalog. Two
    /// copies take turns.
    pub(crate) async fn save_copy(&self, now_ns: i64) -> Result<(), StorageError> {
        let failed = |why: sqlx::Error| StorageError::of("save a copy of the catalog", why);
        let mut state = self.state.lock().await;
        let connection = connected(&mut state.connection, &self.path).await.map_err(failed)?;
        prune(connection, now_ns - HISTORY_NS).await.map_err(failed)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let oldest = copies(dir).into_iter().min_by_key(|path| modified(path));
        let Some(target) = oldest else { return Ok(()) };
        let temporary = crate::durable::temporary_name(&target);
        let io = |why| StorageError::at("save", &target, why);
        crate::durable::remove_durably(&temporary).map_err(io)?;
        sqlx::query("VACUUM INTO ?1")
            .bind(temporary.to_string_lossy().into_owned())
            .execute(connection)
            .await
            .map_err(failed)?;
        private(&temporary);
        std::fs::File::open(&temporary).and_then(|f| f.sync_all()).map_err(io)?;
        crate::durable::rename_durably(&temporary, &target).map_err(io)
    }

    /// Closes the connection; SQLite folds its log into the file.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.state.lock().await.connection.take()
            && let Err(why) = connection.close().await
        {
            tracing::warn!(%why, "closing the catalog failed");
        }
    }
}

impl State {
    fn apply(&mut self, draft: Draft, removed: &[i64]) -> Vec<Arc<DataFile>> {
        self.schema_version += i64::from(draft.columns.len() > self.columns.len());
        self.snapshot_id = draft.snapshot_id;
        self.next_file_id = draft.next_file_id;
        self.columns = draft.columns;
        self.checksums.extend(draft.checksums);
        removed.iter().for_each(|id| {
            self.checksums.remove(id);
        });
        draft.files
    }
}

/// What a transaction would make of the state.
struct Draft {
    snapshot_id: i64,
    next_file_id: i64,
    columns: Columns,
    checksums: Vec<(i64, u32)>,
    files: Vec<Arc<DataFile>>,
}

impl Draft {
    /// false when a file to be removed is not live.
    async fn write(
        &mut self,
        connection: &mut SqliteConnection,
        checksums: &HashMap<i64, u32>,
        change: &Change,
        schema_version: i64,
        now_ns: i64,
    ) -> Result<bool, sqlx::Error> {
        for id in &change.remove {
            let Some(checksum) = checksums.get(id) else { return Ok(false) };
            if !remove(connection, *id, *checksum, self.snapshot_id, now_ns).await? {
                return Ok(false);
            }
        }
        let known = self.columns.len();
        for new in &change.add {
            self.columns.ensure(connection, new.file.table, &new.schema, self.snapshot_id).await?;
            self.add(connection, new).await?;
        }
        let version = schema_version + i64::from(self.columns.len() > known);
        write_commit(connection, self.snapshot_id, now_ns, &changes(change), version, change.note)
            .await?;
        for (signal, through) in &change.covered {
            rows::write_mark(connection, *signal, *through).await?;
        }
        rows::write_losses(connection, &change.losses).await?;
        rows::write_keys(connection, &change.keys).await?;
        rows::write_rejects(connection, &change.rejects).await?;
        Ok(true)
    }

    async fn add(
        &mut self,
        connection: &mut SqliteConnection,
        new: &NewFile,
    ) -> Result<(), sqlx::Error> {
        let id = self.next_file_id;
        let row = FileRow::of(new, &self.columns);
        row.insert(connection, id, self.snapshot_id).await?;
        self.next_file_id += 1;
        self.checksums.push((id, row.checksum()));
        self.files.push(Arc::new(DataFile { id, ..new.file.clone() }));
        Ok(())
    }
}

/// The saved copies, whether they exist or not.
pub(crate) fn copies(dir: &Path) -> [PathBuf; 2] {
    ["catalog.copy-0.sqlite", "catalog.copy-1.sqlite"].map(|name| dir.join(name))
}

/// When a file was last written; the epoch for one that is not there.
pub(crate) fn modified(path: &Path) -> std::time::SystemTime {
    std::fs::metadata(path).and_then(|m| m.modified()).unwrap_or(std::time::UNIX_EPOCH)
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging()
}

/// Without the file of shared memory that other processes would need, for which there is no space.
fn alone(path: &Path) -> SqliteConnectOptions {
    options(path).locking_mode(SqliteLockingMode::Exclusive)
}

/// Whether SQLite could not make or fill its file of shared memory.
fn lacks_space(error: &sqlx::Error) -> bool {
    /// SQLITE_FULL, and SQLITE_IOERR with _SHMOPEN, _SHMSIZE, _SHMMAP.
    const CODES: [&str; 4] = ["13", "4618", "4874", "5386"];
    let code = error.as_database_error().and_then(|e| e.code());
    code.is_some_and(|code| CODES.contains(&code.as_ref()))
}

/// Setting the journal mode, as [`options`] does, would write.
fn read_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging()
}

async fn connected<'a>(
    connection: &'a mut Option<SqliteConnection>,
    path: &Path,
) -> Result<&'a mut SqliteConnection, sqlx::Error> {
    let open = match connection.take() {
        Some(open) => open,
        None => options(path).connect().await?,
    };
    Ok(connection.insert(open))
}

async fn check_version(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let text: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?;
    let mut parts = text.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    if (next(), next(), next()) >= SQLITE_MIN {
        return Ok(());
    }
    let why = format!("SQLite {text} can corrupt a catalog; build with 3.51.3 or newer");
    Err(OpenError::Other(StorageError::Io(why)))
}

async fn is_empty(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(connection).await?;
    Ok(tables == 0)
}

async fn check_format(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let format: String = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'format'")
        .fetch_one(connection)
        .await?;
    match format.parse::<i64>() {
        Ok(format) if format > FORMAT => {
            let why = format!(
                "{} has format {format}, this version knows {FORMAT}; use the newer version",
                path.display()
            );
            Err(OpenError::Other(StorageError::NewerFormat(why)))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(OpenError::Damaged(format!("format is {format:?}"))),
    }
}

/// All tables in one transaction: a crash leaves an empty file, which is made again.
async fn create(connection: &mut SqliteConnection, now_ns: i64) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(include_str!("catalog/schema.sql")).execute(&mut *transaction).await?;
    sqlx::query("INSERT INTO meta VALUES ('format', ?1), ('data_uuid', ?2), ('epoch', '0')")
        .bind(FORMAT.to_string())
        .bind(uuid::Uuid::now_v7().to_string())
        .execute(&mut *transaction)
        .await?;
    write_commit(&mut transaction, 0, now_ns, "created_schema:\"main\"", 0, "created").await?;
    let mut columns = Columns::default();
    let mut names = vec![];
    for table in Table::ALL {
        let id = columns::table_id(table);
        sqlx::query("INSERT INTO tables VALUES (?1, ?2, ?3, 1)")
            .bind(id)
            .bind(uuid::Uuid::now_v7().to_string())
            .bind(table.name())
            .execute(&mut *transaction)
            .await?;
        columns.ensure(&mut transaction, table, &table.schema(), 1).await?;
        names.push(format!("created_table:\"main\".\"{}\"", table.name()));
    }
    write_commit(&mut transaction, 1, now_ns, &names.join(","), 1, "created").await?;
    transaction.commit().await
}

async fn name_data_path(connection: &mut SqliteConnection, dir: &Path) -> Result<(), sqlx::Error> {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let values = [
        ("version", "1.0".to_owned()),
        ("created_by", concat!("otlake ", env!("CARGO_PKG_VERSION")).to_owned()),
        ("encrypted", "false".to_owned()),
        ("data_path", format!("{}/", absolute.display())),
    ];
    let known: Vec<(String, String)> =
        sqlx::query_as("SELECT \"key\", \"value\" FROM ducklake_metadata ORDER BY rowid")
            .fetch_all(&mut *connection)
            .await?;
    if known
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .eq(values.iter().map(|(k, v)| (*k, v)))
    {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("DELETE FROM ducklake_metadata").execute(&mut *transaction).await?;
    for (key, value) in values {
        sqlx::query("INSERT INTO ducklake_metadata(\"key\", \"value\") VALUES (?1, ?2)")
            .bind(key)
            .bind(value)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

async fn write_commit(
    connection: &mut SqliteConnection,
    snapshot_id: i64,
    now_ns: i64,
    changes: &str,
    schema_version: i64,
    note: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5)")
        .bind(snapshot_id)
        .bind(now_ns)
        .bind(changes)
        .bind(schema_version)
        .bind(note)
        .execute(connection)
        .await?;
    Ok(())
}

/// The change in DuckLake's words.
fn changes(change: &Change) -> String {
    let mut tables: Vec<i64> =
        change.add.iter().map(|new| columns::table_id(new.file.table)).collect();
    tables.sort_unstable();
    tables.dedup();
    let words: Vec<String> = tables.iter().map(|id| format!("inserted_into_table:{id}")).collect();
    words.join(",")
}

async fn remove(
    connection: &mut SqliteConnection,
    id: i64,
    checksum: u32,
    snapshot_id: i64,
    now_ns: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE files SET removed = ?1, removed_ns = ?2, crc = ?3
         WHERE file_id = ?4 AND removed IS NULL",
    )
    .bind(snapshot_id)
    .bind(now_ns)
    .bind(i64::from(rows::with_removed(checksum, Some(snapshot_id))))
    .bind(id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn last_snapshot(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT max(snapshot_id) FROM commits").fetch_one(connection).await?.try_get(0)
}

async fn prune(connection: &mut SqliteConnection, before_ns: i64) -> Result<(), sqlx::Error> {
    const STATEMENTS: [&str; 4] = [
        "DELETE FROM file_columns WHERE file_id IN (SELECT file_id FROM files WHERE unlinked_ns < ?1)",
        "DELETE FROM file_keys WHERE file_id IN (SELECT file_id FROM files WHERE unlinked_ns < ?1)",
        // The newest one stays: it tells DuckLake's views which snapshots lack files.
        "DELETE FROM files WHERE unlinked_ns < ?1
           AND removed < (SELECT max(removed) FROM files WHERE unlinked_ns IS NOT NULL)",
        "DELETE FROM commits WHERE time_ns < ?1
           AND snapshot_id NOT IN (SELECT min(snapshot_id) FROM commits GROUP BY schema_version)
           AND snapshot_id <> (SELECT max(snapshot_id) FROM commits)",
    ];
    let mut transaction = connection.begin().await?;
    for statement in STATEMENTS {
        sqlx::query(statement).bind(before_ns).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// SQLite makes its files readable for all that the umask lets.
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    for path in
        [path.to_owned(), path.with_extension("sqlite-wal"), path.with_extension("sqlite-shm")]
    {
        if path.exists()
            && let Err(why) = std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600))
        {
            tracing::warn!(path = %path.display(), %why, "setting permissions failed");
        }
    }
}
