//! The rows of one file in the catalog, written and read back, and their checksum.

use schemas::attributes::ValueType;
use schemas::{Keys, Signal, type_bits};
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::WRITER;
use super::columns::{Columns, table, table_id};
use super::facts::{self, Bound, ColumnFacts, DataFile, NewFile};
use crate::Blooms;
use crate::keys::AttributeKey;
use crate::layout;
use crate::rejects::Rejects;
use crate::snapshot::DataLoss;

/// A file as its rows in `files`, `file_columns` and `file_keys` say it.
#[derive(Debug, Serialize)]
pub(super) struct FileRow {
    table_id: i64,
    pub(super) path: String,
    level: i64,
    window_start_ns: i64,
    window_end_ns: i64,
    min_time_ns: i64,
    max_time_ns: i64,
    rows: i64,
    bytes: i64,
    footer_bytes: i64,
    blake3: Vec<u8>,
    seq_lo: Option<i64>,
    seq_hi: Option<i64>,
    schema_version: i64,
    pub(super) columns: Vec<ColumnRow>,
    pub(super) keys: Vec<KeysRow>,
}

/// A row of `file_columns`. The checksum covers what the number stands for, too.
#[derive(Debug, Serialize)]
pub(super) struct ColumnRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) duck_type: String,
    pub(super) bytes: i64,
    pub(super) nulls: Option<i64>,
    pub(super) min: Option<String>,
    pub(super) max: Option<String>,
}

/// A row of `file_keys`.
#[derive(Debug, Serialize)]
pub(super) struct KeysRow {
    pub(super) scope: String,
    pub(super) promoted: String,
    pub(super) keys: Vec<u8>,
    pub(super) exact: i64,
}

/// Rows of `file_keys` that every file has.
const KEYS_ROWS: usize = 3;

impl KeysRow {
    pub(super) fn read(row: &SqliteRow) -> Result<KeysRow, sqlx::Error> {
        Ok(KeysRow {
            scope: row.try_get("scope")?,
            promoted: row.try_get("promoted")?,
            keys: row.try_get("keys")?,
            exact: row.try_get("exact")?,
        })
    }
}

impl FileRow {
    /// The file's own row, with its rows in the other tables.
    pub(super) fn read(
        row: &SqliteRow,
        columns: Vec<ColumnRow>,
        keys: Vec<KeysRow>,
    ) -> Result<FileRow, sqlx::Error> {
        Ok(FileRow {
            table_id: row.try_get("table_id")?,
            path: row.try_get("path")?,
            level: row.try_get("level")?,
            window_start_ns: row.try_get("window_start_ns")?,
            window_end_ns: row.try_get("window_end_ns")?,
            min_time_ns: row.try_get("min_time_ns")?,
            max_time_ns: row.try_get("max_time_ns")?,
            rows: row.try_get("rows")?,
            bytes: row.try_get("bytes")?,
            footer_bytes: row.try_get("footer_bytes")?,
            blake3: row.try_get("blake3")?,
            seq_lo: row.try_get("seq_lo")?,
            seq_hi: row.try_get("seq_hi")?,
            schema_version: row.try_get("schema_version")?,
            columns,
            keys,
        })
    }

    /// All columns of the file must be registered.
    pub(super) fn of(new: &NewFile, columns: &Columns) -> FileRow {
        let file = &new.file;
        let int = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let column = |(name, facts): (&String, &ColumnFacts)| {
            let registered = columns.get(file.table, name)?;
            Some(ColumnRow {
                id: registered.id,
                name: name.clone(),
                duck_type: registered.duck_type.clone(),
                bytes: int(facts.bytes),
                nulls: facts.nulls.map(int),
                min: facts.min.as_ref().map(|b| bound_text(b, &registered.duck_type)),
                max: facts.max.as_ref().map(|b| bound_text(b, &registered.duck_type)),
            })
        };
        let mut column_rows: Vec<ColumnRow> = file.columns.iter().filter_map(column).collect();
        column_rows.sort_by_key(|row| row.id);
        FileRow {
            table_id: table_id(file.table),
            path: file.name.clone(),
            level: file.level.into(),
            window_start_ns: file.window.0,
            window_end_ns: file.window.1,
            min_time_ns: file.min_time_ns,
            max_time_ns: file.max_time_ns,
            rows: int(file.rows),
            bytes: int(file.bytes),
            footer_bytes: int(file.footer_bytes),
            blake3: new.blake3.to_vec(),
            seq_lo: file.seq.map(|s| int(s.0)),
            seq_hi: file.seq.map(|s| int(s.1)),
            schema_version: schemas::version::SCHEMA_VERSION.into(),
            columns: column_rows,
            keys: keys_rows(file),
        }
    }

    /// CRC32C over everything but `removed`.
    pub(super) fn checksum(&self) -> u32 {
        // Plain numbers, texts and bytes cannot fail to serialize.
        crc32c::crc32c(&serde_json::to_vec(self).unwrap_or_default())
    }

    pub(super) fn blake3(&self) -> Option<[u8; 32]> {
        self.blake3.as_slice().try_into().ok()
    }

    /// The file that the rows describe; `None` where they cannot have been written by us.
    pub(super) fn to_file(&self, id: i64, dir: &std::path::Path) -> Option<DataFile> {
        let uint = |n: i64| u64::try_from(n).ok();
        let mut file = DataFile {
            id,
            table: table(self.table_id)?,
            path: dir.join(&self.path),
            name: self.path.clone(),
            level: self.level.try_into().ok()?,
            window: (self.window_start_ns, self.window_end_ns),
            min_time_ns: self.min_time_ns,
            max_time_ns: self.max_time_ns,
            rows: uint(self.rows)?,
            bytes: uint(self.bytes)?,
            footer_bytes: uint(self.footer_bytes)?,
            seq: self.seq_lo.and_then(uint).zip(self.seq_hi.and_then(uint)),
            columns: self.columns.iter().map(ColumnRow::facts).collect::<Option<_>>()?,
            promoted: Default::default(),
            keys: Keys::default(),
            keys_complete: self.keys.len() == KEYS_ROWS,
            blooms: Blooms::default(),
        };
        for row in &self.keys {
            let set = facts::key_set_from_json(serde_json::from_slice(&row.keys).ok()?)?;
            match row.scope.as_str() {
                "record" => file.keys.record = set,
                "resource" => file.keys.resource = set,
                _ => file.keys.scope = set,
            }
            file.promoted.extend(facts::promoted_from_json(&row.promoted)?);
            file.keys_complete &= row.exact == 1;
        }
        Some(file)
    }

    pub(super) async fn insert(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
        snapshot_id: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO files(file_id, table_id, path, level, window_start_ns, window_end_ns,
               min_time_ns, max_time_ns, rows, bytes, footer_bytes, blake3, writer, seq_lo, seq_hi,
               schema_version, added, crc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )
        .bind(id)
        .bind(self.table_id)
        .bind(&self.path)
        .bind(self.level)
        .bind(self.window_start_ns)
        .bind(self.window_end_ns)
        .bind(self.min_time_ns)
        .bind(self.max_time_ns)
        .bind(self.rows)
        .bind(self.bytes)
        .bind(self.footer_bytes)
        .bind(&self.blake3)
        .bind(WRITER)
        .bind(self.seq_lo)
        .bind(self.seq_hi)
        .bind(self.schema_version)
        .bind(snapshot_id)
        .bind(i64::from(self.checksum()))
        .execute(&mut *connection)
        .await?;
        self.insert_columns(connection, id).await?;
        for row in &self.keys {
            sqlx::query("INSERT INTO file_keys VALUES (?1, ?2, ?3, ?4, ?5)")
                .bind(id)
                .bind(&row.scope)
                .bind(&row.promoted)
                .bind(&row.keys)
                .bind(row.exact)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    /// One statement for all columns: a file has about sixty.
    async fn insert_columns(
        &self,
        connection: &mut SqliteConnection,
        id: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO file_columns SELECT ?1, value->>'id', value->>'bytes', value->>'nulls',
               value->>'min', value->>'max' FROM json_each(?2)",
        )
        .bind(id)
        .bind(serde_json::to_string(&self.columns).unwrap_or_default())
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl ColumnRow {
    fn facts(&self) -> Option<(String, ColumnFacts)> {
        let bound = |text: &Option<String>| match text {
            Some(text) => Some(Some(read_bound(text, &self.duck_type)?)),
            None => Some(None),
        };
        let facts = ColumnFacts {
            nulls: self.nulls.and_then(|n| u64::try_from(n).ok()),
            bytes: u64::try_from(self.bytes).ok()?,
            min: bound(&self.min)?,
            max: bound(&self.max)?,
        };
        Some((self.name.clone(), facts))
    }
}

/// A checksum with the removal folded in.
pub(super) fn with_removed(checksum: u32, removed: Option<i64>) -> u32 {
    removed.map_or(checksum, |snapshot| crc32c::crc32c_append(checksum, &snapshot.to_le_bytes()))
}

fn keys_rows(file: &DataFile) -> Vec<KeysRow> {
    use schemas::attributes::{ATTRIBUTE_PREFIX, RESOURCE_PREFIX};
    let of = |scope: &str, prefix: Option<&str>, set| {
        let own = |column: &&String| prefix.is_some_and(|p| column.starts_with(p));
        let promoted = file.promoted.iter().filter(|(column, _)| own(column));
        let promoted = promoted.map(|(column, p)| (column.clone(), *p)).collect();
        KeysRow {
            scope: scope.to_owned(),
            promoted: facts::promoted_json(&promoted).to_string(),
            keys: facts::key_set_json(set).to_string().into_bytes(),
            exact: file.keys_complete.into(),
        }
    };
    vec![
        of("record", Some(ATTRIBUTE_PREFIX), &file.keys.record),
        of("resource", Some(RESOURCE_PREFIX), &file.keys.resource),
        of("scope", None, &file.keys.scope),
    ]
}

fn bound_text(bound: &Bound, duck_type: &str) -> String {
    match bound {
        Bound::Int(ns) if duck_type == "timestamp_ns" => layout::timestamp(*ns),
        Bound::Int(n) => n.to_string(),
        Bound::UInt(n) => n.to_string(),
        Bound::Bool(b) => b.to_string(),
        Bound::Text(text) => text.clone(),
        Bound::Bytes(bytes) => schemas::ids::hex(bytes),
    }
}

fn read_bound(text: &str, duck_type: &str) -> Option<Bound> {
    Some(match duck_type {
        "timestamp_ns" => Bound::Int(layout::parse_timestamp(text)?),
        "int64" | "int32" => Bound::Int(text.parse().ok()?),
        "uint64" | "uint32" => Bound::UInt(text.parse().ok()?),
        "boolean" => Bound::Bool(text.parse().ok()?),
        "blob" => Bound::Bytes(unhex(text)?),
        _ => Bound::Text(text.to_owned()),
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes().chunks(2).map(|pair| Some(schemas::ids::parse_hex::<1>(pair)?[0])).collect()
}

/// Checksum of a row of `wal_marks`.
pub(super) fn mark_checksum(signal: Signal, through: u64) -> u32 {
    crc32c::crc32c(format!("{WRITER} {} {through}", signal.name()).as_bytes())
}

pub(super) async fn write_mark(
    connection: &mut SqliteConnection,
    signal: Signal,
    through: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT OR REPLACE INTO wal_marks VALUES (?1, ?2, ?3, ?4)")
        .bind(WRITER)
        .bind(signal.name())
        .bind(i64::try_from(through).unwrap_or(i64::MAX))
        .bind(i64::from(mark_checksum(signal, through)))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn write_losses(
    connection: &mut SqliteConnection,
    losses: &[DataLoss],
) -> Result<(), sqlx::Error> {
    let int = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    for loss in losses {
        sqlx::query("INSERT INTO data_loss VALUES (NULL, ?1, 0, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
            .bind(loss.time_ns)
            .bind(loss.table.map(|t| t.name()))
            .bind(&loss.file)
            .bind(loss.seq.map(|s| int(s.0)))
            .bind(loss.seq.map(|s| int(s.1)))
            .bind(loss.min_time_ns)
            .bind(loss.max_time_ns)
            .bind(loss.rows.map(int))
            .bind(&loss.cause)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

pub(super) async fn write_keys(
    connection: &mut SqliteConnection,
    keys: &[AttributeKey],
) -> Result<(), sqlx::Error> {
    let rows: Vec<_> = keys
        .iter()
        .map(|k| {
            let promoted = k.promoted_type.map(ValueType::letter);
            (k.scope, &k.key, type_names(k.types), k.rows, k.last_seen_ns, promoted)
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT OR REPLACE INTO attribute_keys SELECT value->>0, value->>1, value->>2, value->>3,
           value->>4, 0, value->>5 FROM json_each(?1)",
    )
    .bind(serde_json::to_string(&rows).unwrap_or_default())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn write_rejects(
    connection: &mut SqliteConnection,
    rejects: &Rejects,
) -> Result<(), sqlx::Error> {
    for ((day, signal, reason), count) in rejects {
        sqlx::query(
            "INSERT INTO rejects VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )
        .bind(day)
        .bind(signal.name())
        .bind(reason)
        .bind(i64::try_from(*count).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Type bits as words with commas.
fn type_names(bits: u8) -> String {
    let names: Vec<&str> =
        type_bits::NAMES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    names.join(",")
}

/// Reads [`type_names`] back.
pub(super) fn type_bits_of(names: &str) -> u8 {
    let bit = |name: &str| type_bits::NAMES.iter().find(|(_, n)| *n == name).map_or(0, |(b, _)| *b);
    names.split(',').map(bit).fold(0, |bits, bit| bits | bit)
}
