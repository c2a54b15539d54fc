//! Reads a whole catalog at the start, checking what can be checked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use schemas::attributes::ValueType;
use schemas::{Signal, Table};
use sqlx::{Row, SqliteConnection};
use tokio::sync::Mutex;

use super::columns::Columns;
use super::rows::{self, ColumnRow, FileRow, KeysRow};
use super::{Catalog, Loaded, OpenError, State, WRITER, last_snapshot};
use crate::keys::{self, AttributeKey};
use crate::rejects::Rejects;
use crate::snapshot::DataLoss;

/// Entries of data loss that are kept in memory, newest first.
const GAPS_MAX: i64 = 10_000;
/// Days of reject counts that are kept in memory.
const REJECT_DAYS_MAX: i64 = 400;

/// Checks and reads everything.
pub(super) async fn catalog(
    mut connection: SqliteConnection,
    path: PathBuf,
    dir: &Path,
) -> Result<(Catalog, Loaded), OpenError> {
    quick_check(&mut connection).await?;
    let columns = Columns::load(&mut connection).await?;
    let mut loaded = Loaded {
        covered: marks(&mut connection).await?,
        gaps: gaps(&mut connection).await?,
        keys: attribute_keys(&mut connection).await?,
        rejects: rejects(&mut connection).await?,
        ..Loaded::default()
    };
    let checksums = files(&mut connection, dir, &columns, &mut loaded).await?;
    let snapshot_id = last_snapshot(&mut connection).await?;
    let schema_version: i64 = sqlx::query("SELECT max(schema_version) FROM commits")
        .fetch_one(&mut connection)
        .await?
        .try_get(0)?;
    let next_file_id: i64 = sqlx::query("SELECT coalesce(max(file_id), 0) + 1 FROM files")
        .fetch_one(&mut connection)
        .await?
        .try_get(0)?;
    let state = State {
        connection: Some(connection),
        unsure: None,
        columns,
        checksums,
        snapshot_id,
        schema_version,
        next_file_id,
        alone: false,
    };
    Ok((Catalog { path, state: Mutex::new(state) }, loaded))
}

async fn quick_check(connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check").fetch_one(connection).await?;
    if verdict == "ok" { Ok(()) } else { Err(OpenError::Damaged(verdict)) }
}

/// Files into `loaded`; their checksums, those of live ones, as the answer.
async fn files(
    connection: &mut SqliteConnection,
    dir: &Path,
    columns: &Columns,
    loaded: &mut Loaded,
) -> Result<HashMap<i64, u32>, OpenError> {
    let mut of_columns = file_columns(connection, columns).await?;
    let mut of_keys: HashMap<i64, Vec<KeysRow>> = HashMap::new();
    for row in sqlx::query("SELECT * FROM file_keys ORDER BY file_id, scope")
        .fetch_all(&mut *connection)
        .await?
    {
        of_keys.entry(row.try_get("file_id")?).or_default().push(KeysRow::read(&row)?);
    }
    let mut checksums = HashMap::new();
    for row in sqlx::query("SELECT * FROM files WHERE unlinked_ns IS NULL ORDER BY file_id")
        .fetch_all(connection)
        .await?
    {
        let id: i64 = row.try_get("file_id")?;
        let removed: Option<i64> = row.try_get("removed")?;
        let crc: i64 = row.try_get("crc")?;
        let columns = of_columns.remove(&id).unwrap_or_default();
        let file = FileRow::read(&row, columns, of_keys.remove(&id).unwrap_or_default())?;
        let checksum = file.checksum();
        if i64::from(rows::with_removed(checksum, removed)) != crc {
            let why = format!("the entry of file {id} ({}) has a wrong checksum", file.path);
            return Err(OpenError::Damaged(why));
        }
        let hash = file.blake3();
        let unreadable = || OpenError::Damaged(format!("the entry of file {id} is unreadable"));
        let file = file.to_file(id, dir).ok_or_else(unreadable)?;
        match removed {
            Some(_) => loaded.removed.push(file),
            None => {
                checksums.insert(id, checksum);
                loaded.hashes.extend(hash.map(|hash| (id, hash)));
                loaded.files.push(file);
            }
        }
    }
    Ok(checksums)
}

async fn file_columns(
    connection: &mut SqliteConnection,
    columns: &Columns,
) -> Result<HashMap<i64, Vec<ColumnRow>>, OpenError> {
    let mut by_file: HashMap<i64, Vec<ColumnRow>> = HashMap::new();
    let rows = sqlx::query(
        "SELECT c.file_id, f.table_id, c.column_id, c.bytes, c.nulls, c.min_value, c.max_value
         FROM file_columns c JOIN files f USING(file_id) WHERE f.unlinked_ns IS NULL
         ORDER BY c.file_id, c.column_id",
    )
    .fetch_all(connection)
    .await?;
    for row in rows {
        let (file, table, id): (i64, i64, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let named = super::columns::table(table).and_then(|t| columns.named(t, id));
        let Some((name, duck_type)) = named else {
            return Err(OpenError::Damaged(format!("column {id} of file {file} is unknown")));
        };
        by_file.entry(file).or_default().push(ColumnRow {
            id,
            name: name.to_owned(),
            duck_type: duck_type.to_owned(),
            bytes: row.try_get(3)?,
            nulls: row.try_get(4)?,
            min: row.try_get(5)?,
            max: row.try_get(6)?,
        });
    }
    Ok(by_file)
}

async fn marks(connection: &mut SqliteConnection) -> Result<[u64; 3], OpenError> {
    let mut covered = [0; 3];
    let rows = sqlx::query("SELECT signal, covered_through, crc FROM wal_marks WHERE writer = ?1")
        .bind(WRITER)
        .fetch_all(connection)
        .await?;
    for row in rows {
        let (name, through, crc): (String, i64, i64) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let read = Signal::from_name(&name).zip(u64::try_from(through).ok());
        match read {
            Some((signal, through)) if i64::from(rows::mark_checksum(signal, through)) == crc => {
                covered[signal.index()] = through;
            }
            _ => return Err(OpenError::Damaged(format!("the WAL mark of {name:?} is damaged"))),
        }
    }
    Ok(covered)
}

async fn gaps(connection: &mut SqliteConnection) -> Result<Vec<DataLoss>, OpenError> {
    let rows = sqlx::query(
        "SELECT time_ns, table_name, file, seq_lo, seq_hi, min_time_ns, max_time_ns, rows, cause
         FROM data_loss ORDER BY id DESC LIMIT ?1",
    )
    .bind(GAPS_MAX)
    .fetch_all(connection)
    .await?;
    let uint = |n: Option<i64>| n.and_then(|n| u64::try_from(n).ok());
    let read = |row: &sqlx::sqlite::SqliteRow| -> Result<DataLoss, sqlx::Error> {
        let table: Option<String> = row.try_get(1)?;
        Ok(DataLoss {
            time_ns: row.try_get(0)?,
            table: table.as_deref().and_then(Table::from_name),
            file: row.try_get(2)?,
            seq: uint(row.try_get(3)?).zip(uint(row.try_get(4)?)),
            min_time_ns: row.try_get(5)?,
            max_time_ns: row.try_get(6)?,
            rows: uint(row.try_get(7)?),
            cause: row.try_get(8)?,
        })
    };
    Ok(rows.iter().rev().map(read).collect::<Result<_, _>>()?)
}

async fn attribute_keys(connection: &mut SqliteConnection) -> Result<Vec<AttributeKey>, OpenError> {
    let rows = sqlx::query(
        "SELECT scope, key, types, rows, last_seen_ns, promoted_type FROM attribute_keys",
    )
    .fetch_all(connection)
    .await?;
    let mut known = vec![];
    for row in rows {
        let (scope, types): (String, String) = (row.try_get(0)?, row.try_get(2)?);
        let (rows, promoted): (i64, Option<String>) = (row.try_get(3)?, row.try_get(5)?);
        let Some(scope) = keys::scope(&scope) else { continue };
        known.push(AttributeKey {
            scope,
            key: row.try_get(1)?,
            types: rows::type_bits_of(&types),
            rows: u64::try_from(rows).unwrap_or(0),
            last_seen_ns: row.try_get(4)?,
            promoted_type: promoted.as_deref().and_then(ValueType::from_letter),
        });
    }
    Ok(known)
}

async fn rejects(connection: &mut SqliteConnection) -> Result<Rejects, OpenError> {
    let rows = sqlx::query(
        "SELECT day, signal, reason, count FROM rejects
         WHERE day IN (SELECT DISTINCT day FROM rejects ORDER BY day DESC LIMIT ?1)",
    )
    .bind(REJECT_DAYS_MAX)
    .fetch_all(connection)
    .await?;
    let mut counts = Rejects::new();
    for row in rows {
        let (signal, count): (String, i64) = (row.try_get(1)?, row.try_get(3)?);
        if let Some((signal, count)) = Signal::from_name(&signal).zip(u64::try_from(count).ok()) {
            counts.insert((row.try_get(0)?, signal, row.try_get(2)?), count);
        }
    }
    Ok(counts)
}
