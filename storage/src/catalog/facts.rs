//! What is known of one sealed file without opening it: enough to prune and to plan.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow_schema::SchemaRef;
use parquet::basic::{ConvertedType, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use schemas::attributes::{ATTRIBUTE_PREFIX, RESOURCE_PREFIX, ValueType};
use schemas::version::{FILE_FORMAT, footer};
use schemas::{KeyFacts, KeySet, Keys, Table, type_bits};
use serde_json::{Map, Value, json};

use crate::Blooms;

/// Keys of one owner that a file lists; a file with more says so in [`DataFile::keys_complete`].
const KEYS_MAX: usize = 4096;

/// One sealed Parquet file with the facts that queries prune by.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// Number in the catalog; 0 until committed.
    pub id: i64,
    /// Whose rows it holds.
    pub table: Table,
    /// Absolute path.
    pub path: PathBuf,
    /// Path relative to the data directory.
    pub name: String,
    /// 0 for a flushed file, higher for merged ones.
    pub level: u8,
    /// Start (inclusive) and end (exclusive) of the window that owns the rows, ns.
    pub window: (i64, i64),
    /// Smallest value of the table's time column.
    pub min_time_ns: i64,
    /// Largest value of the table's time column.
    pub max_time_ns: i64,
    /// Number of rows.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Size of the footer's metadata, without the 8 bytes behind it.
    pub footer_bytes: u64,
    /// First and last WAL sequence number whose rows may be in the file.
    pub seq: Option<(u64, u64)>,
    /// Every leaf column of the file with its facts, by its path in the file.
    pub columns: BTreeMap<String, ColumnFacts>,
    /// Promoted columns: name to whether every value of the key lies in the column.
    pub promoted: BTreeMap<String, Promotion>,
    /// Keys that rows of the file may have. The counts of rows are upper bounds when one flush
    /// made several files.
    pub keys: Keys,
    /// false: the file has more keys than are listed, so a key's absence from `keys` proves nothing.
    pub keys_complete: bool,
    /// Where its bloom filters of trace ids lie.
    pub blooms: Blooms,
}

/// Whether a promoted column holds every value of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// All values of the key are in the column.
    Full,
    /// Values of other types are in the residual.
    Mixed,
}

/// What is known of one leaf column of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnFacts {
    /// Rows in which the column is null; `None` when unknown.
    pub nulls: Option<u64>,
    /// Compressed size.
    pub bytes: u64,
    /// Lower bound; `None` when unknown or when there is no value. Doubles have no bounds, because
    /// Parquet leaves NaN out of them and SQL does not.
    pub min: Option<Bound>,
    /// Upper bound.
    pub max: Option<Bound>,
}

/// A bound of a column's values. Text bounds may be cut: min rounds down, max rounds up.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Bound {
    /// Integers and times (ns).
    Int(i64),
    /// Unsigned integers.
    UInt(u64),
    /// Booleans.
    Bool(bool),
    /// Text.
    Text(String),
    /// Ids.
    Bytes(Vec<u8>),
}

/// A file written but not yet committed.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The file's facts.
    pub file: DataFile,
    /// Checksum of the whole file.
    pub(crate) blake3: [u8; 32],
    /// Its columns as Arrow has them, for the catalog.
    pub(crate) schema: SchemaRef,
}

/// What the writer puts into the footer and the facts, beside what it measures.
#[derive(Clone, Debug)]
pub(crate) struct Label<'a> {
    pub(crate) table: Table,
    pub(crate) level: u8,
    pub(crate) window: (i64, i64),
    pub(crate) seq: Option<(u64, u64)>,
    pub(crate) keys: &'a Keys,
    /// Names of the files that this one replaces.
    pub(crate) inputs: Vec<String>,
}

/// The facts of all leaf columns, read off a file's metadata.
pub(crate) fn column_facts(metadata: &ParquetMetaData) -> BTreeMap<String, ColumnFacts> {
    let mut chunks: BTreeMap<String, Vec<&ColumnChunkMetaData>> = BTreeMap::new();
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        chunks.entry(chunk.column_path().string()).or_default().push(chunk);
    }
    chunks.into_iter().map(|(name, chunks)| (name, facts_of(&chunks))).collect()
}

fn facts_of(chunks: &[&ColumnChunkMetaData]) -> ColumnFacts {
    let nulls = |chunk: &&ColumnChunkMetaData| chunk.statistics()?.null_count_opt();
    let values = |chunk: &ColumnChunkMetaData| u64::try_from(chunk.num_values()).ok();
    // A chunk of nulls has no bounds and needs none; any other without bounds makes them unknown.
    let filled: Vec<_> = chunks.iter().filter(|c| nulls(c) != values(c)).collect();
    let bounds = |of: fn(&Statistics) -> Option<&[u8]>| -> Option<Vec<Bound>> {
        filled.iter().map(|chunk| bound(chunk, of(chunk.statistics()?)?)).collect()
    };
    let pick = |bounds: Option<Vec<Bound>>, wanted| {
        bounds?.into_iter().reduce(|a, b| if b.partial_cmp(&a) == Some(wanted) { b } else { a })
    };
    ColumnFacts {
        nulls: chunks.iter().map(nulls).sum(),
        bytes: chunks.iter().filter_map(|c| u64::try_from(c.compressed_size()).ok()).sum(),
        min: pick(bounds(Statistics::min_bytes_opt), Ordering::Less),
        max: pick(bounds(Statistics::max_bytes_opt), Ordering::Greater),
    }
}

fn bound(chunk: &ColumnChunkMetaData, bytes: &[u8]) -> Option<Bound> {
    let unsigned = matches!(
        chunk.column_descr().converted_type(),
        ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    );
    Some(match (chunk.column_type(), unsigned) {
        (Type::INT32, true) => Bound::UInt(u32::from_le_bytes(bytes.try_into().ok()?).into()),
        (Type::INT32, false) => Bound::Int(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        (Type::INT64, true) => Bound::UInt(u64::from_le_bytes(bytes.try_into().ok()?)),
        (Type::INT64, false) => Bound::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
        (Type::BOOLEAN, _) => Bound::Bool(*bytes.first()? != 0),
        (Type::BYTE_ARRAY, _) => Bound::Text(String::from_utf8(bytes.to_vec()).ok()?),
        (Type::FIXED_LEN_BYTE_ARRAY, _) => Bound::Bytes(bytes.to_vec()),
        _ => return None,
    })
}

/// Which columns of a file are promoted ones, and whether their keys occur with other types too.
pub(crate) fn promotions<'a>(
    columns: impl Iterator<Item = (&'a str, ValueType)>,
    keys: &Keys,
) -> BTreeMap<String, Promotion> {
    let of_column = |(column, value_type): (&str, ValueType)| {
        let (set, key) = match column.strip_prefix(ATTRIBUTE_PREFIX) {
            Some(key) => (&keys.record, key),
            None => (&keys.resource, column.strip_prefix(RESOURCE_PREFIX)?),
        };
        // A key that no one has counted may have any type.
        let only = set.get(key).is_some_and(|facts| facts.types & !type_bit(value_type) == 0);
        Some((column.to_owned(), if only { Promotion::Full } else { Promotion::Mixed }))
    };
    columns.filter_map(of_column).collect()
}

fn type_bit(value_type: ValueType) -> u8 {
    match value_type {
        ValueType::Text => type_bits::STRING,
        ValueType::Int => type_bits::INT,
        ValueType::Double => type_bits::DOUBLE,
        ValueType::Bool => type_bits::BOOL,
    }
}

/// At most [`KEYS_MAX`] keys of each owner, and whether these are all.
pub(crate) fn bounded_keys(keys: &Keys) -> (Keys, bool) {
    let cut = |set: &KeySet| set.iter().take(KEYS_MAX).map(|(k, f)| (k.clone(), *f)).collect();
    let complete = [&keys.record, &keys.resource, &keys.scope].iter().all(|s| s.len() <= KEYS_MAX);
    let kept =
        Keys { record: cut(&keys.record), resource: cut(&keys.resource), scope: cut(&keys.scope) };
    (kept, complete)
}

/// The footer's key-value pairs for a file; [`from_footer`] reads them back.
pub(crate) fn to_footer(
    label: &Label<'_>,
    rows: u64,
    promoted: &BTreeMap<String, Promotion>,
) -> Vec<(String, String)> {
    let (keys, complete) = bounded_keys(label.keys);
    let mut pairs = vec![
        (footer::FORMAT, FILE_FORMAT.to_string()),
        (footer::TABLE, label.table.name().to_owned()),
        (footer::LEVEL, label.level.to_string()),
        (footer::WINDOW, format!("{}-{}", label.window.0, label.window.1)),
        (footer::ROWS, rows.to_string()),
        (footer::SCHEMA_VERSION, schemas::version::SCHEMA_VERSION.to_string()),
        (footer::PROMOTED, promoted_json(promoted).to_string()),
        (footer::KEYS, keys_json(&keys, complete).to_string()),
    ];
    if let Some((first, last)) = label.seq {
        pairs.push((footer::SEQ, format!("{first}-{last}")));
    }
    if let Some(width) = label.table.bucket_ns() {
        pairs.push((footer::BUCKET_NS, width.to_string()));
    }
    if !label.inputs.is_empty() {
        pairs.push((footer::INPUTS, label.inputs.join(",")));
    }
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A file's facts from its metadata alone, with the names of the files it replaces. `None` where
/// the footer is not one of ours.
pub(crate) fn from_footer(
    dir: &Path,
    name: &str,
    bytes: u64,
    footer_bytes: u64,
    metadata: &ParquetMetaData,
) -> Option<(DataFile, Vec<String>)> {
    let pairs: BTreeMap<&str, &str> = metadata
        .file_metadata()
        .key_value_metadata()?
        .iter()
        .filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?)))
        .collect();
    let get = |key: &str| pairs.get(key).copied();
    if get(footer::FORMAT)?.parse::<u32>().ok()? > FILE_FORMAT {
        return None;
    }
    let table = Table::from_name(get(footer::TABLE)?)?;
    let (keys, keys_complete) = keys_from_json(get(footer::KEYS)?)?;
    let file = DataFile {
        id: 0,
        table,
        path: dir.join(name),
        name: name.to_owned(),
        level: get(footer::LEVEL)?.parse().ok()?,
        window: range(get(footer::WINDOW)?)?,
        min_time_ns: 0,
        max_time_ns: 0,
        rows: u64::try_from(metadata.file_metadata().num_rows()).ok()?,
        bytes,
        footer_bytes,
        seq: get(footer::SEQ).and_then(range),
        columns: column_facts(metadata),
        promoted: promoted_from_json(get(footer::PROMOTED)?)?,
        keys,
        keys_complete,
        blooms: Blooms::of(metadata),
    };
    let inputs = get(footer::INPUTS).unwrap_or_default();
    let inputs = inputs.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some((with_times(file), inputs))
}

/// Fills the times of a file from the bounds of its time column, else from its window.
pub(crate) fn with_times(mut file: DataFile) -> DataFile {
    let facts = file.columns.get(file.table.time_column());
    let time = |bound: Option<&Bound>| match bound {
        Some(Bound::Int(ns)) => Some(*ns),
        _ => None,
    };
    file.min_time_ns = time(facts.and_then(|f| f.min.as_ref())).unwrap_or(file.window.0);
    file.max_time_ns = time(facts.and_then(|f| f.max.as_ref())).unwrap_or(file.window.1);
    file
}

/// Reads `a-b`, where either may be negative.
fn range<T: std::str::FromStr>(text: &str) -> Option<(T, T)> {
    let dash = text.char_indices().skip(1).find(|(_, c)| *c == '-')?.0;
    Some((text[..dash].parse().ok()?, text[dash + 1..].parse().ok()?))
}

/// Promoted columns as a JSON object: column to `full` or `mixed`.
pub(crate) fn promoted_json(promoted: &BTreeMap<String, Promotion>) -> Value {
    let word = |promotion: &Promotion| match promotion {
        Promotion::Full => "full",
        Promotion::Mixed => "mixed",
    };
    promoted
        .iter()
        .map(|(column, p)| (column.clone(), json!(word(p))))
        .collect::<Map<_, _>>()
        .into()
}

/// Reads [`promoted_json`] back.
pub(crate) fn promoted_from_json(text: &str) -> Option<BTreeMap<String, Promotion>> {
    let object: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    let read = |(column, word): (String, String)| match word.as_str() {
        "full" => Some((column, Promotion::Full)),
        "mixed" => Some((column, Promotion::Mixed)),
        _ => None,
    };
    object.into_iter().map(read).collect()
}

/// Attribute keys as a JSON object: owner to key to `[type bits, rows]`.
pub(crate) fn keys_json(keys: &Keys, complete: bool) -> Value {
    json!({
        "record": key_set_json(&keys.record),
        "resource": key_set_json(&keys.resource),
        "scope": key_set_json(&keys.scope),
        "complete": complete,
    })
}

/// Keys of one owner as a JSON object: key to `[type bits, rows]`.
pub(crate) fn key_set_json(set: &KeySet) -> Value {
    set.iter().map(|(key, f)| (key.clone(), json!([f.types, f.rows]))).collect::<Map<_, _>>().into()
}

/// Reads [`key_set_json`] back.
pub(crate) fn key_set_from_json(value: Value) -> Option<KeySet> {
    let object: BTreeMap<String, (u8, u64)> = serde_json::from_value(value).ok()?;
    Some(object.into_iter().map(|(key, (types, rows))| (key, KeyFacts { types, rows })).collect())
}

fn keys_from_json(text: &str) -> Option<(Keys, bool)> {
    let mut object: Map<String, Value> = serde_json::from_str(text).ok()?;
    let keys = Keys {
        record: key_set_from_json(object.remove("record")?)?,
        resource: key_set_from_json(object.remove("resource")?)?,
        scope: key_set_from_json(object.remove("scope")?)?,
    };
    Some((keys, object.get("complete")?.as_bool()?))
}
