//! One value of an Arrow array as text: JSON, or plain for CSV and tables. The array's type is
//! looked at once a batch; writing a value allocates nothing.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch};
use arrow_buffer::ArrowNativeType;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, TimeUnit};

use super::Options;
use crate::QueryError;

/// A column, ready to be written value by value.
pub(super) struct Values<'a> {
    array: &'a dyn Array,
    kind: Kind<'a>,
}

/// Appends the integer of a row.
type WriteInt<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

enum Kind<'a> {
    Null,
    Bool,
    Int(WriteInt<'a>),
    /// 64-bit integers, which JSON may quote.
    BigInt(WriteInt<'a>),
    Double(Box<dyn Fn(usize) -> f64 + 'a>),
    Text(Box<dyn Fn(usize) -> &'a str + 'a>),
    Bytes(Box<dyn Fn(usize) -> &'a [u8] + 'a>),
    /// Seconds and nanoseconds since the epoch.
    Time(Box<dyn Fn(usize) -> (i64, u32) + 'a>),
    List(Box<Values<'a>>, Box<dyn Fn(usize) -> (usize, usize) + 'a>),
    Struct(Vec<(Vec<u8>, Values<'a>)>),
    Map(Box<Values<'a>>, Box<Values<'a>>, &'a [i32]),
    Dictionary(Box<Values<'a>>, Vec<usize>),
    Decimal(ArrayFormatter<'a>),
    Other(ArrayFormatter<'a>),
}

/// What plain text a value is, for those who quote and align it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Null,
    Number,
    Text,
}

/// How the columns of `batch` are written.
pub(super) fn columns<'a>(
    batch: &'a RecordBatch,
    expected: usize,
) -> Result<Vec<Values<'a>>, QueryError> {
    if batch.num_columns() != expected {
        return Err(QueryError::internal("a batch has other columns than the answer"));
    }
    batch.columns().iter().map(Values::new).collect()
}

impl<'a> Values<'a> {
    fn new(array: &'a ArrayRef) -> Result<Values<'a>, QueryError> {
        Ok(Values { array: array.as_ref(), kind: look(array)? })
    }

    /// Appends the value as JSON.
    pub(super) fn json(&self, row: usize, options: Options, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.kind {
            Kind::Double(value) => match value(row) {
                v if v.is_finite() => write_double(v, out),
                _ => out.extend_from_slice(b"null"),
            },
            Kind::Text(value) => write_string(value(row), out),
            Kind::BigInt(_) | Kind::Decimal(_) if options.int64_as_text => {
                self.quoted(row, options, out);
            }
            Kind::Bytes(_) | Kind::Time(_) => self.quoted(row, options, out),
            Kind::Other(format) => {
                let mut text = Ascii(out);
                text.0.push(b'"');
                // The words of intervals, dates and times hold nothing to escape.
                let _ = write!(text, "{}", format.value(row));
                out.push(b'"');
            }
            _ => self.bare(row, options, out),
        }
    }

    /// Appends the value as plain text and says what it is. Nothing is appended for NULL.
    pub(super) fn plain(&self, row: usize, out: &mut Vec<u8>) -> Plain {
        if self.is_null(row) {
            return Plain::Null;
        }
        match &self.kind {
            Kind::Text(value) => out.extend_from_slice(value(row).as_bytes()),
            Kind::Dictionary(values, keys) => return values.plain(keys[row], out),
            Kind::Other(format) => {
                let _ = write!(Ascii(out), "{}", format.value(row));
            }
            _ => self.bare(row, Options::default(), out),
        }
        match self.kind {
            Kind::Int(_) | Kind::BigInt(_) | Kind::Double(_) | Kind::Decimal(_) => Plain::Number,
            _ => Plain::Text,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Dictionary(values, keys) => self.array.is_null(row) || values.is_null(keys[row]),
            _ => self.array.is_null(row),
        }
    }

    fn quoted(&self, row: usize, options: Options, out: &mut Vec<u8>) {
        out.push(b'"');
        self.bare(row, options, out);
        out.push(b'"');
    }

    /// Numbers, ids and times without quotes, nested values as JSON.
    fn bare(&self, row: usize, options: Options, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Null | Kind::Text(_) | Kind::Other(_) => {}
            Kind::Bool => {
                let value = self.array.as_boolean().value(row);
                out.extend_from_slice(if value { b"true" } else { b"false" });
            }
            Kind::Int(write) | Kind::BigInt(write) => write(row, out),
            Kind::Double(value) => write_any_double(value(row), out),
            Kind::Bytes(value) => write_hex(value(row), out),
            Kind::Time(value) => write_time(value(row), out),
            Kind::List(values, range) => {
                let (from, to) = range(row);
                write_all(b"[]", from..to, out, |i, out| values.json(i, options, out));
            }
            Kind::Struct(fields) => write_all(b"{}", fields, out, |(name, values), out| {
                out.extend_from_slice(name);
                values.json(row, options, out);
            }),
            Kind::Map(keys, values, offsets) => {
                let range = offsets[row].as_usize()..offsets[row + 1].as_usize();
                write_all(b"{}", range, out, |i, out| {
                    keys.key(i, out);
                    out.push(b':');
                    values.json(i, options, out);
                });
            }
            Kind::Dictionary(values, keys) => values.json(keys[row], options, out),
            Kind::Decimal(format) => {
                let _ = write!(Ascii(out), "{}", format.value(row));
            }
        }
    }

    /// A value as the key of an object: always a string.
    fn key(&self, row: usize, out: &mut Vec<u8>) {
        match &self.kind {
            Kind::Text(value) => write_string(value(row), out),
            Kind::Dictionary(values, keys) => values.key(keys[row], out),
            _ => {
                out.push(b'"');
                self.plain(row, out);
                out.push(b'"');
            }
        }
    }
}

/// Appends items between brackets, with commas.
fn write_all<T>(
    brackets: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(brackets[0]);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(brackets[1]);
}

fn look(array: &ArrayRef) -> Result<Kind<'_>, QueryError> {
    use DataType as D;
    Ok(match array.data_type() {
        D::Null => Kind::Null,
        D::Boolean => Kind::Bool,
        D::Int8 => Kind::Int(int::<Int8Type>(array)),
        D::Int16 => Kind::Int(int::<Int16Type>(array)),
        D::Int32 => Kind::Int(int::<Int32Type>(array)),
        D::UInt8 => Kind::Int(int::<UInt8Type>(array)),
        D::UInt16 => Kind::Int(int::<UInt16Type>(array)),
        D::UInt32 => Kind::Int(int::<UInt32Type>(array)),
        D::Int64 => Kind::BigInt(int::<Int64Type>(array)),
        D::UInt64 => Kind::BigInt(int::<UInt64Type>(array)),
        D::Float32 => double::<Float32Type>(array, f64::from),
        D::Float64 => double::<Float64Type>(array, |v| v),
        D::Utf8 => text(array.as_string::<i32>(), |a, i| a.value(i)),
        D::LargeUtf8 => text(array.as_string::<i64>(), |a, i| a.value(i)),
        D::Utf8View => text(array.as_string_view(), |a, i| a.value(i)),
        D::Binary => bytes(array.as_binary::<i32>(), |a, i| a.value(i)),
        D::LargeBinary => bytes(array.as_binary::<i64>(), |a, i| a.value(i)),
        D::BinaryView => bytes(array.as_binary_view(), |a, i| a.value(i)),
        D::FixedSizeBinary(_) => bytes(array.as_fixed_size_binary(), |a, i| a.value(i)),
        D::Timestamp(unit, _) => time(array, *unit),
        D::List(_) | D::LargeList(_) | D::FixedSizeList(..) => list(array)?,
        D::Struct(_) => structure(array)?,
        D::Map(..) => {
            let map = array.as_map();
            Kind::Map(
                Box::new(Values::new(map.keys())?),
                Box::new(Values::new(map.values())?),
                map.value_offsets(),
            )
        }
        D::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = Box::new(Values::new(dictionary.values())?);
            // An empty dictionary has only NULL keys, and those are never looked up.
            let keys = match dictionary.values().is_empty() {
                true => vec![0; array.len()],
                false => dictionary.normalized_keys(),
            };
            Kind::Dictionary(values, keys)
        }
        D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..) => {
            Kind::Decimal(formatter(array)?)
        }
        _ => Kind::Other(formatter(array)?),
    })
}

fn formatter(array: &ArrayRef) -> Result<ArrayFormatter<'_>, QueryError> {
    const OPTIONS: FormatOptions<'static> = FormatOptions::new();
    ArrayFormatter::try_new(array.as_ref(), &OPTIONS).map_err(|_| {
        QueryError::invalid(format!("a column of type {} has no text form", array.data_type()))
            .with_hint("cast it, or ask for the Arrow format")
    })
}

fn int<'a, T>(array: &'a ArrayRef) -> WriteInt<'a>
where
    T: ArrowPrimitiveType,
    T::Native: itoa::Integer,
{
    let array: &PrimitiveArray<T> = array.as_primitive();
    Box::new(|row, out| {
        out.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes());
    })
}

fn double<'a, T: ArrowPrimitiveType>(array: &'a ArrayRef, widen: fn(T::Native) -> f64) -> Kind<'a> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    Kind::Double(Box::new(move |row| widen(array.value(row))))
}

fn text<'a, A>(array: &'a A, value: fn(&'a A, usize) -> &'a str) -> Kind<'a> {
    Kind::Text(Box::new(move |row| value(array, row)))
}

fn bytes<'a, A>(array: &'a A, value: fn(&'a A, usize) -> &'a [u8]) -> Kind<'a> {
    Kind::Bytes(Box::new(move |row| value(array, row)))
}

fn time(array: &ArrayRef, unit: TimeUnit) -> Kind<'_> {
    match unit {
        TimeUnit::Second => instant::<TimestampSecondType>(array, 1),
        TimeUnit::Millisecond => instant::<TimestampMillisecondType>(array, 1_000),
        TimeUnit::Microsecond => instant::<TimestampMicrosecondType>(array, 1_000_000),
        TimeUnit::Nanosecond => instant::<TimestampNanosecondType>(array, 1_000_000_000),
    }
}

fn instant<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef, per_second: i64) -> Kind<'_> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    Kind::Time(Box::new(move |row| {
        let value = array.value(row);
        let rest = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
        (value.div_euclid(per_second), rest as u32)
    }))
}

fn list(array: &ArrayRef) -> Result<Kind<'_>, QueryError> {
    if let Some(list) = array.as_list_opt::<i32>() {
        let offsets = list.value_offsets();
        let range = move |i: usize| (offsets[i].as_usize(), offsets[i + 1].as_usize());
        return Ok(Kind::List(Box::new(Values::new(list.values())?), Box::new(range)));
    }
    if let Some(list) = array.as_list_opt::<i64>() {
        let offsets = list.value_offsets();
        let range = move |i: usize| (offsets[i].as_usize(), offsets[i + 1].as_usize());
        return Ok(Kind::List(Box::new(Values::new(list.values())?), Box::new(range)));
    }
    let list = array.as_fixed_size_list();
    let length = list.value_length() as usize;
    let range = move |i: usize| (i * length, (i + 1) * length);
    Ok(Kind::List(Box::new(Values::new(list.values())?), Box::new(range)))
}

fn structure(array: &ArrayRef) -> Result<Kind<'_>, QueryError> {
    let array = array.as_struct();
    let named = |(field, column)| {
        let field: &arrow_schema::FieldRef = field;
        Ok((key(field.name()), Values::new(column)?))
    };
    Ok(Kind::Struct(
        array.fields().iter().zip(array.columns()).map(named).collect::<Result<_, _>>()?,
    ))
}

/// A name as it stands before a value: `"name":`.
pub(super) fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 3);
    write_string(name, &mut key);
    key.push(b':');
    key
}

/// `fmt::Write` on bytes.
struct Ascii<'a>(&'a mut Vec<u8>);

impl std::fmt::Write for Ascii<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn write_double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
}

fn write_any_double(value: f64, out: &mut Vec<u8>) {
    match value {
        v if v.is_finite() => write_double(v, out),
        v if v.is_nan() => out.extend_from_slice(b"NaN"),
        v if v > 0.0 => out.extend_from_slice(b"Infinity"),
        _ => out.extend_from_slice(b"-Infinity"),
    }
}

fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// RFC 3339 with nine digits. The columns are UTC without a zone; the `Z` is added here.
fn write_time((seconds, nanos): (i64, u32), out: &mut Vec<u8>) {
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    match u64::try_from(year) {
        Ok(year) if year <= 9_999 => write_digits(year, 4, out),
        // Coarser units than ours reach years that RFC 3339 has no form for.
        _ => out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes()),
    }
    for (before, value) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3_600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(before);
        write_digits(value as u64, 2, out);
    }
    out.push(b'.');
    write_digits(u64::from(nanos), 9, out);
    out.push(b'Z');
}

fn write_digits(mut value: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    // From 0000-03-01, so that a leap day is the last day of its year. Times in seconds reach
    // beyond the years that fit, so the year only has to be right where it has four digits.
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Appends a JSON string. Besides what JSON asks for it escapes DEL, C1 controls and U+2028/2029:
/// telemetry is written by strangers, and answers end in terminals and scripts.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, escaped_length, out);
    out.push(b'"');
}

/// Appends `text` with the characters escaped whose length `picks` gives; 0 leaves them.
pub(super) fn escape(text: &str, picks: fn(&[u8]) -> usize, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let (mut from, mut at) = (0, 0);
    while at < bytes.len() {
        let length = picks(&bytes[at..]);
        if length > 0 {
            out.extend_from_slice(&bytes[from..at]);
            write_escape(&text[at..at + length], out);
            from = at + length;
        }
        at += length.max(1);
    }
    out.extend_from_slice(&bytes[from..]);
}

fn escaped_length(bytes: &[u8]) -> usize {
    match bytes {
        [0..0x20 | b'"' | b'\\', ..] => 1,
        _ => hidden_length(bytes),
    }
}

/// Bytes of the character at the front if terminals and scripts would obey it though JSON lets it
/// pass, else 0.
pub(super) fn hidden_length(bytes: &[u8]) -> usize {
    match bytes {
        [0x7f, ..] => 1,
        [0xc2, 0x80..=0x9f, ..] => 2,
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => 3,
        _ => 0,
    }
}

fn write_escape(character: &str, out: &mut Vec<u8>) {
    match character {
        "\"" => out.extend_from_slice(b"\\\""),
        "\\" => out.extend_from_slice(b"\\\\"),
        "\n" => out.extend_from_slice(b"\\n"),
        "\r" => out.extend_from_slice(b"\\r"),
        "\t" => out.extend_from_slice(b"\\t"),
        other => {
            for code in other.chars() {
                let _ = write!(Ascii(out), "\\u{:04x}", u32::from(code));
            }
        }
    }
}
