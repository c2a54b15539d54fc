//! Answers as bytes, batch by batch: JSON, NDJSON, CSV, an Arrow stream, a text table.
//!
//! An encoder appends to a buffer the caller hands in, so that nothing is held longer than one
//! batch (the text table keeps its first batch to measure the columns). Whatever goes wrong after
//! the first byte is told in the way of the format: see [`Encoder::fail`].

mod arrow;
mod csv;
mod json;
mod ndjson;
#[cfg(test)]
mod tests;
mod text;
mod value;

use std::collections::HashSet;

use api::sql::{Field, Stats};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema, SchemaRef};
use serde::Serialize;

use crate::QueryError;

/// A format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object: `schema`, `rows`, and `stats` or `error`.
    Json,
    /// One object a line.
    Ndjson,
    /// RFC 4180 with a header; NULL is an empty cell, the empty text is `""`.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// A table for people.
    Text,
}

impl Format {
    /// Every format, the default first.
    pub const ALL: [Format; 5] =
        [Format::Json, Format::Ndjson, Format::Csv, Format::Arrow, Format::Text];

    /// The word of `?format=`.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Csv => "csv",
            Format::Arrow => "arrow",
            Format::Text => "text",
        }
    }

    /// Reads [`Format::name`] back.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|f| f.name() == name)
    }

    /// The content type of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8; header=present",
            Format::Arrow => "application/vnd.apache.arrow.stream",
            Format::Text => "text/plain; charset=utf-8",
        }
    }

    /// The first format an `Accept` header names, weights left aside; JSON for all else, so that
    /// every client that says nothing particular gets the same.
    pub fn from_accept(accept: &str) -> Format {
        let names = accept.split(',').map(|part| part.split(';').next().unwrap_or("").trim());
        let known = |name: &str| match name {
            "application/json" => Some(Format::Json),
            "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Some(Format::Ndjson)
            }
            "text/csv" => Some(Format::Csv),
            "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
            "text/plain" => Some(Format::Text),
            _ => None,
        };
        names.filter_map(known).next().unwrap_or(Format::Json)
    }
}

/// What a client may choose within a format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// 64-bit integers as JSON strings, for readers that lose digits above 2^53.
    pub int64_as_text: bool,
    /// CSV cells as they are, without the `'` before what a spreadsheet would run as a formula.
    pub csv_raw: bool,
}

/// Writes one answer.
#[derive(Debug)]
pub struct Encoder(Inner);

#[derive(Debug)]
enum Inner {
    Json(json::Json),
    Ndjson(ndjson::Ndjson),
    Csv(csv::Csv),
    Arrow(Box<arrow::Arrow>),
    Text(text::Text),
}

impl Encoder {
    /// An encoder for rows of `schema`.
    ///
    /// # Errors
    /// When the schema cannot be written as an Arrow stream.
    pub fn new(
        format: Format,
        schema: &SchemaRef,
        options: Options,
    ) -> Result<Encoder, QueryError> {
        let fields = fields(schema);
        Ok(Encoder(match format {
            Format::Json => Inner::Json(json::Json::new(fields, options)),
            Format::Ndjson => Inner::Ndjson(ndjson::Ndjson::new(&fields, options)),
            Format::Csv => Inner::Csv(csv::Csv::new(fields, options)),
            Format::Arrow => Inner::Arrow(Box::new(arrow::Arrow::new(schema, &fields)?)),
            Format::Text => Inner::Text(text::Text::new(fields)),
        }))
    }

    /// Appends what stands before the rows.
    pub fn start(&mut self, out: &mut Vec<u8>) {
        match &mut self.0 {
            Inner::Json(json) => json.start(out),
            Inner::Csv(csv) => csv.start(out),
            Inner::Ndjson(_) | Inner::Arrow(_) | Inner::Text(_) => {}
        }
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When the batch does not have the schema of the answer.
    pub fn rows(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        match &mut self.0 {
            Inner::Json(json) => json.rows(batch, out),
            Inner::Ndjson(ndjson) => ndjson.rows(batch, out),
            Inner::Csv(csv) => csv.rows(batch, out),
            Inner::Arrow(arrow) => arrow.rows(batch, out),
            Inner::Text(text) => text.rows(batch, out),
        }
    }

    /// Appends what stands behind the last row.
    ///
    /// # Errors
    /// When the Arrow stream cannot be closed.
    pub fn finish(&mut self, stats: &Stats, out: &mut Vec<u8>) -> Result<(), QueryError> {
        match &mut self.0 {
            Inner::Json(json) => json.finish(stats, out),
            Inner::Arrow(arrow) => return arrow.finish(out),
            Inner::Text(text) => text.finish(stats, out),
            Inner::Ndjson(_) | Inner::Csv(_) => {}
        }
        Ok(())
    }

    /// Ends an answer that failed after its first byte: JSON with `error` in place of `stats`,
    /// NDJSON with one `{"error":…}` line, text with a line. CSV and Arrow just end (CSV has no
    /// place for it, an Arrow stream then lacks its end marker); the HTTP trailer tells.
    pub fn fail(&mut self, error: &QueryError, out: &mut Vec<u8>) {
        match &mut self.0 {
            Inner::Json(json) => json.fail(error, out),
            Inner::Ndjson(_) => ndjson::fail(error, out),
            Inner::Text(text) => text.fail(error, out),
            Inner::Csv(_) | Inner::Arrow(_) => {}
        }
    }
}

/// Appends a plain struct as JSON, with hidden characters escaped.
pub(crate) fn write_json(value: &impl Serialize, out: &mut Vec<u8>) {
    json::write(value, out);
}

/// The columns of an answer: names made unique (`_2`, `_3` …), types in SQL's words.
pub fn fields(schema: &Schema) -> Vec<Field> {
    let given: HashSet<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let mut taken: HashSet<String> = HashSet::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut number = 2_usize;
        // A made name must not be one that another column has from the start.
        while taken.contains(&name) || (number > 2 && given.contains(name.as_str())) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        taken.insert(name.clone());
        fields.push(Field { name, kind: kind(field.data_type()) });
    }
    fields
}

/// A type in SQL's words.
pub fn kind(data_type: &DataType) -> String {
    use DataType::*;
    match data_type {
        Null => "null".into(),
        Boolean => "boolean".into(),
        Int8 | Int16 | Int32 => "integer".into(),
        Int64 => "bigint".into(),
        UInt8 | UInt16 | UInt32 => "uinteger".into(),
        UInt64 => "ubigint".into(),
        Float16 | Float32 => "real".into(),
        Float64 => "double".into(),
        Utf8 | LargeUtf8 | Utf8View => "text".into(),
        FixedSizeBinary(8 | 16) => "id".into(),
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => "bytes".into(),
        Timestamp(..) => "timestamp".into(),
        Date32 | Date64 => "date".into(),
        Time32(_) | Time64(_) => "time".into(),
        Interval(_) | Duration(_) => "interval".into(),
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => "decimal".into(),
        List(f) | LargeList(f) | ListView(f) | LargeListView(f) | FixedSizeList(f, _) => {
            format!("{}[]", kind(f.data_type()))
        }
        Struct(_) => "struct".into(),
        Map(..) => "map".into(),
        Dictionary(_, value) => kind(value),
        other => other.to_string().to_lowercase(),
    }
}
