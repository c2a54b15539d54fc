//! One table's sorted rows as a Parquet file, and a file's facts read back.
//!
//! Encodings and statistics are those of `schemas`, column by column. The Arrow schema is left out
//! of the file, so that other readers see plain strings. The file appears under its name whole and
//! synced, or not at all.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding as ParquetEncoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use schemas::attributes::ValueType;
use schemas::columns::{self as c, Column, Encoding, Statistics};

use crate::catalog::facts::{
    self, DataFile, Label, NewFile, bounded_keys, column_facts, promotions, with_times,
};
use crate::{Blooms, StorageError, durable, layout};

/// Rows of a row group in files that are soon rewritten, and in those that stay.
const ROW_GROUP_ROWS: usize = 131_072;
const ROW_GROUP_ROWS_SEALED: usize = 262_144;
const PAGE_BYTES: usize = 64 << 10;
const PAGE_ROWS: usize = 20_000;
/// Bounds of text are cut to this.
const BOUND_BYTES: usize = 64;
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Length of the footer's length and magic.
const TAIL_BYTES: u64 = 8;

/// Writes rows that are already sorted, under a fresh name. All batches have the schema of the first;
/// `row_count` is how many rows they have.
pub(crate) fn write<E: From<StorageError>>(
    dir: &Path,
    label: &Label<'_>,
    row_count: u64,
    rows: impl Iterator<Item = Result<RecordBatch, E>>,
) -> Result<NewFile, E> {
    let mut rows = Rows { rows, failure: None };
    let Some(first) = rows.next() else {
        let empty = || StorageError::of("write a file", "it would have no rows").into();
        return Err(rows.failure.unwrap_or_else(empty));
    };
    let written = write_batches(dir, label, row_count, first, &mut rows);
    match rows.failure {
        // What was written before it is discarded.
        Some(failure) => Err(failure),
        None => Ok(written?),
    }
}

/// Batches up to the first failure, which is kept.
struct Rows<I, E> {
    rows: I,
    failure: Option<E>,
}

impl<E, I: Iterator<Item = Result<RecordBatch, E>>> Iterator for Rows<I, E> {
    type Item = RecordBatch;

    fn next(&mut self) -> Option<RecordBatch> {
        match self.rows.next()? {
            Ok(batch) => Some(batch),
            Err(failure) => {
                self.failure = Some(failure);
                None
            }
        }
    }
}

fn write_batches(
    dir: &Path,
    label: &Label<'_>,
    row_count: u64,
    first: RecordBatch,
    rest: &mut dyn Iterator<Item = RecordBatch>,
) -> Result<NewFile, StorageError> {
    let schema = first.schema();
    let promoted = promotions(promoted_columns(&schema), label.keys);
    let footer = facts::to_footer(label, row_count, &promoted);
    let name = layout::new_file(label.table, label.level, label.window.0);
    let path = dir.join(&name);
    let failed = |why: io::Error| StorageError::at("write", &path, why);
    if let Some(folder) = path.parent() {
        durable::create_dir_all_synced(folder).map_err(failed)?;
    }
    let options = ArrowWriterOptions::new()
        .with_properties(properties(label, &schema, footer)?)
        .with_skip_arrow_metadata(true);
    let mut nulls = Nulls(vec![0; schema.fields().len()]);
    let encoded = durable::write_file_durably(&path, |file| {
        let mut sink = Hashed { file, hash: blake3::Hasher::new(), bytes: 0 };
        let rows = std::iter::once(first).chain(rest).inspect(|rows| nulls.count(rows));
        let metadata = encode(&mut sink, &schema, rows, options).map_err(io::Error::other)?;
        if metadata.file_metadata().num_rows() != i64::try_from(row_count).unwrap_or(i64::MAX) {
            return Err(io::Error::other("it would not have all rows"));
        }
        let (hash, bytes) = (sink.hash.finalize(), sink.bytes);
        Ok((metadata, hash, bytes, footer_bytes(file, bytes)?))
    });
    let (metadata, hash, bytes, footer_bytes) = encoded.map_err(failed)?;
    let (keys, keys_complete) = bounded_keys(label.keys);
    let mut file = with_times(DataFile {
        id: 0,
        table: label.table,
        path,
        name,
        level: label.level,
        window: label.window,
        min_time_ns: 0,
        max_time_ns: 0,
        rows: row_count,
        bytes,
        footer_bytes,
        seq: label.seq,
        columns: column_facts(&metadata),
        promoted,
        keys,
        keys_complete,
        blooms: Blooms::of(&metadata),
    });
    nulls.tell(&mut file, &schema);
    Ok(NewFile { file, blake3: hash.into(), schema })
}

/// Reads a file's facts from its footer. Decoding runs in a panic boundary: damaged bytes can make
/// the Parquet reader panic.
pub(crate) fn read(dir: &Path, name: &str) -> Result<(NewFile, Vec<String>), StorageError> {
    let path = dir.join(name);
    let failed = |why: String| StorageError::at("read", &path, why);
    let mut file = File::open(&path).map_err(|e| failed(e.to_string()))?;
    let bytes = file.metadata().map_err(|e| failed(e.to_string()))?.len();
    let footer_bytes = footer_bytes(&mut file, bytes).map_err(|e| failed(e.to_string()))?;
    let metadata = guarded(|| ParquetMetaDataReader::new().parse_and_finish(&file).map_err(text))
        .map_err(failed)?;
    let schema = guarded(|| {
        let of_file = metadata.file_metadata();
        parquet::arrow::parquet_to_arrow_schema(of_file.schema_descr(), None).map_err(text)
    })
    .map_err(failed)?;
    let Some((facts, inputs)) = facts::from_footer(dir, name, bytes, footer_bytes, &metadata)
    else {
        return Err(failed("its footer is not one of otlake's, or a newer one".to_owned()));
    };
    let blake3 = hash(&path)?;
    Ok((NewFile { file: facts, blake3, schema: schema.into() }, inputs))
}

/// BLAKE3 of a file's bytes.
pub(crate) fn hash(path: &Path) -> Result<[u8; 32], StorageError> {
    let mut hasher = blake3::Hasher::new();
    File::open(path)
        .and_then(|file| hasher.update_reader(file).map(|h| h.finalize().into()))
        .map_err(|why| StorageError::at("read", path, why))
}

/// Runs a decoder; a panic is an error like any other.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("decoding panicked on damaged bytes".to_owned()))
}

fn text(why: impl std::fmt::Display) -> String {
    why.to_string()
}

fn encode(
    sink: &mut Hashed<'_>,
    schema: &SchemaRef,
    rows: impl Iterator<Item = RecordBatch>,
    options: ArrowWriterOptions,
) -> parquet::errors::Result<ParquetMetaData> {
    let mut writer = ArrowWriter::try_new_with_options(sink, Arc::clone(schema), options)?;
    for batch in rows {
        writer.write(&batch)?;
    }
    writer.close()
}

fn properties(
    label: &Label<'_>,
    schema: &Schema,
    footer: Vec<(String, String)>,
) -> Result<WriterProperties, StorageError> {
    let sealed = label.level >= 2;
    let level = ZstdLevel::try_new(if sealed { 3 } else { 1 });
    let level = level.map_err(|why| StorageError::of("set up the Parquet writer", why))?;
    let groups = if sealed { ROW_GROUP_ROWS_SEALED } else { ROW_GROUP_ROWS };
    let pairs = footer.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("otlake ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(groups))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_truncate_length(Some(BOUND_BYTES))
        .set_column_index_truncate_length(Some(BOUND_BYTES))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(pairs));
    for column in label.table.columns() {
        builder = column_properties(builder, column);
    }
    for (name, _) in promoted_columns(schema) {
        let path = ColumnPath::new(vec![name.to_owned()]);
        builder = builder.set_column_statistics_enabled(path, EnabledStatistics::Page);
    }
    if label.table.column(c::TRACE_ID).is_some() {
        let path = || ColumnPath::new(vec![c::TRACE_ID.to_owned()]);
        builder = builder
            .set_column_bloom_filter_enabled(path(), true)
            .set_column_bloom_filter_fpp(path(), BLOOM_FALSE_POSITIVES);
    }
    Ok(builder.build())
}

fn column_properties(builder: WriterPropertiesBuilder, column: &Column) -> WriterPropertiesBuilder {
    let path = || ColumnPath::new(vec![column.name.to_owned()]);
    if !column.kind.is_primitive() {
        return builder;
    }
    let statistics = match column.statistics {
        Statistics::Page => EnabledStatistics::Page,
        Statistics::Chunk => EnabledStatistics::Chunk,
        Statistics::None => EnabledStatistics::None,
    };
    let builder = builder.set_column_statistics_enabled(path(), statistics);
    match column.encoding {
        Encoding::Dictionary => builder,
        Encoding::Plain => builder
            .set_column_dictionary_enabled(path(), false)
            .set_column_encoding(path(), ParquetEncoding::PLAIN),
        Encoding::Delta => builder
            .set_column_dictionary_enabled(path(), false)
            .set_column_encoding(path(), ParquetEncoding::DELTA_BINARY_PACKED),
    }
}

/// The promoted columns of a schema with their types.
pub(crate) fn promoted_columns(schema: &Schema) -> impl Iterator<Item = (&str, ValueType)> {
    use schemas::attributes::{ATTRIBUTE_PREFIX, RESOURCE_PREFIX};
    schema.fields().iter().filter_map(|field| {
        let name = field.name().as_str();
        let promoted = name.starts_with(ATTRIBUTE_PREFIX) || name.starts_with(RESOURCE_PREFIX);
        let value_type = match field.data_type() {
            DataType::Int64 => ValueType::Int,
            DataType::Float64 => ValueType::Double,
            DataType::Boolean => ValueType::Bool,
            _ => ValueType::Text,
        };
        promoted.then_some((name, value_type))
    })
}

/// Nulls of each column. Files keep no statistics of some; how many they have is known from the rows.
struct Nulls(Vec<u64>);

impl Nulls {
    fn count(&mut self, rows: &RecordBatch) {
        for (nulls, column) in self.0.iter_mut().zip(rows.columns()) {
            *nulls += column.null_count() as u64;
        }
    }

    fn tell(self, file: &mut DataFile, schema: &Schema) {
        for (field, nulls) in schema.fields().iter().zip(self.0) {
            if let Some(facts) = file.columns.get_mut(field.name()) {
                facts.nulls = Some(nulls);
            }
        }
    }
}

/// Size of the metadata, as the last 8 bytes of the file say.
fn footer_bytes(file: &mut File, bytes: u64) -> io::Result<u64> {
    let mut tail = [0; TAIL_BYTES as usize];
    let at = bytes.checked_sub(TAIL_BYTES).ok_or(io::ErrorKind::UnexpectedEof)?;
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    match &magic == b"PAR1" && length <= at {
        true => Ok(length),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "no Parquet footer at its end")),
    }
}

/// A file that is hashed and counted while it is written.
struct Hashed<'a> {
    file: &'a mut File,
    hash: blake3::Hasher,
    bytes: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buf)?;
        self.hash.update(&buf[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
