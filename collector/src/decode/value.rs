//! OTLP's AnyValue: reading one, and writing it as canonical JSON without recursion.

use std::borrow::Cow;

use schemas::columns::quality;
use schemas::{json, type_bits};

use super::Limits;
use super::text::{cut, repair, write_json, write_text};
use super::wire::{Field, Fields, Wire, set_once};

/// Set beside the quality bits while a request is decoded: it refers to a string table that only
/// profiles have. Never stored.
pub(crate) const STRING_INDEX: u32 = 1 << 31;

/// One value, its inside still in wire form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Empty,
    String(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// An ArrayValue message.
    Array(&'a [u8]),
    /// A KeyValueList message.
    Map(&'a [u8]),
}

impl<'a> Value<'a> {
    /// Reads an AnyValue message. Of several members the last one counts.
    pub(crate) fn read(message: &'a [u8], bits: &mut u32) -> Result<Value<'a>, Wire> {
        match Value::read_short(message) {
            Some(value) => Ok(value),
            None => Value::read_any(message, bits),
        }
    }

    /// Reads a short string, a small int or a double alone: what nearly all values are.
    #[inline(always)]
    pub(crate) fn read_short(message: &'a [u8]) -> Option<Value<'a>> {
        match *message {
            [0x0A, len @ 0..0x80, ref text @ ..] if text.len() == usize::from(len) => {
                Some(Value::String(text))
            }
            [0x18, value @ 0..0x80] => Some(Value::Int(i64::from(value))),
            [0x18, low @ 0x80..=0xFF, high @ 0..0x80] => {
                Some(Value::Int(i64::from(low & 0x7F) | i64::from(high) << 7))
            }
            [0x21, ref double @ ..] => {
                Some(Value::Double(f64::from_le_bytes(double.try_into().ok()?)))
            }
            _ => None,
        }
    }

    fn read_any(message: &'a [u8], bits: &mut u32) -> Result<Value<'a>, Wire> {
        let mut value = Value::Empty;
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            value = match (field, value) {
                ((1, Field::Bytes(text)), _) => Value::String(text),
                ((2, Field::Varint(v)), _) => Value::Bool(v != 0),
                ((3, Field::Varint(v)), _) => Value::Int(v as i64),
                ((4, Field::Fixed64(v)), _) => Value::Double(f64::from_bits(v)),
                ((5, Field::Bytes(_)), Value::Array(_)) | ((6, Field::Bytes(_)), Value::Map(_)) => {
                    return Err(Wire::Merge);
                }
                ((5, Field::Bytes(array)), _) => Value::Array(array),
                ((6, Field::Bytes(map)), _) => Value::Map(map),
                ((7, Field::Bytes(bytes)), _) => Value::Bytes(bytes),
                ((8, Field::Varint(_)), _) => {
                    *bits |= STRING_INDEX;
                    Value::Empty
                }
                ((1..=8, _), _) => return Err(Wire::Type),
                (_, kept) => kept,
            };
        }
        Ok(value)
    }

    /// The bit of [`type_bits`].
    pub(crate) fn type_bit(self) -> u8 {
        match self {
            Value::Empty => type_bits::EMPTY,
            Value::String(_) => type_bits::STRING,
            Value::Bool(_) => type_bits::BOOL,
            Value::Int(_) => type_bits::INT,
            Value::Double(_) => type_bits::DOUBLE,
            Value::Bytes(_) => type_bits::BYTES,
            Value::Array(_) => type_bits::ARRAY,
            Value::Map(_) => type_bits::MAP,
        }
    }
}

/// Reads a KeyValue message.
pub(crate) fn read_key_value<'a>(
    message: &'a [u8],
    bits: &mut u32,
) -> Result<(&'a [u8], Value<'a>), Wire> {
    let (mut key, mut value) = (&[][..], None);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(text)) => key = text,
            (2, Field::Bytes(any)) => set_once(&mut value, any)?,
            (3, Field::Varint(_)) => *bits |= STRING_INDEX,
            (1..=3, _) => return Err(Wire::Type),
            _ => {}
        }
    }
    Ok((key, Value::read(value.unwrap_or_default(), bits)?))
}

/// Appends the value as canonical JSON and returns the type it has there: a container that is
/// longer or deeper than the limits is stored as the beginning of its text.
#[inline]
pub(crate) fn write(
    out: &mut Vec<u8>,
    value: Value<'_>,
    limits: &Limits,
    bits: &mut u32,
) -> Result<u8, Wire> {
    match value {
        Value::Array(_) | Value::Map(_) => write_limited(out, value, limits, bits),
        scalar => {
            write_scalar(out, scalar, limits.value_bytes_max, bits);
            Ok(scalar.type_bit())
        }
    }
}

fn write_scalar(out: &mut Vec<u8>, value: Value<'_>, bytes_max: usize, bits: &mut u32) {
    match value {
        Value::String(text) => {
            write_text(out, cut(text, bytes_max, bits), bits);
        }
        Value::Bool(v) => json::write_bool(out, v),
        Value::Int(v) => json::write_int(out, v),
        Value::Double(v) => json::write_double(out, v),
        Value::Bytes(bytes) => {
            if bytes.len() > bytes_max {
                *bits |= quality::VALUE_TRUNCATED;
            }
            json::write_bytes(out, &bytes[..bytes.len().min(bytes_max)]);
        }
        Value::Empty | Value::Array(_) | Value::Map(_) => {
            out.extend_from_slice(json::EMPTY.as_bytes());
        }
    }
}

fn write_limited(
    out: &mut Vec<u8>,
    value: Value<'_>,
    limits: &Limits,
    bits: &mut u32,
) -> Result<u8, Wire> {
    let start = out.len();
    if write_container(out, value, limits.depth_max, limits, bits)? {
        return Ok(value.type_bit());
    }
    let whole = out.split_off(start);
    write_text_of(out, &whole, limits, bits);
    Ok(type_bits::STRING)
}

/// Appends canonical JSON as a JSON string, cut to the limit.
fn write_text_of(out: &mut Vec<u8>, json: &[u8], limits: &Limits, bits: &mut u32) {
    *bits |= quality::VALUE_TRUNCATED;
    write_json(out, &String::from_utf8_lossy(cut(json, limits.value_bytes_max, bits)));
}

/// Appends a list or map; `false` when it stopped because the text grew beyond the limit.
fn write_container(
    out: &mut Vec<u8>,
    root: Value<'_>,
    depth_max: usize,
    limits: &Limits,
    bits: &mut u32,
) -> Result<bool, Wire> {
    let start = out.len();
    let mut parents = Vec::new();
    let mut current = Container::open(out, root, bits)?;
    loop {
        if out.len() - start > limits.value_bytes_max {
            return Ok(false);
        }
        match current.next(out, bits)? {
            None => {
                out.push(current.end());
                match parents.pop() {
                    Some(parent) => current = parent,
                    None => return Ok(true),
                }
            }
            Some(inner @ (Value::Array(_) | Value::Map(_))) => {
                if parents.len() + 1 < depth_max {
                    let child = Container::open(out, inner, bits)?;
                    parents.push(std::mem::replace(&mut current, child));
                } else {
                    let mut text = Vec::new();
                    write_container(&mut text, inner, usize::MAX, limits, bits)?;
                    write_text_of(out, &text, limits, bits);
                }
            }
            Some(scalar) => write_scalar(out, scalar, limits.value_bytes_max, bits),
        }
    }
}

/// A list or map that is being written.
enum Container<'a> {
    Array { fields: Fields<'a>, first: bool },
    Map { entries: std::vec::IntoIter<(Cow<'a, str>, Value<'a>)>, first: bool },
}

impl<'a> Container<'a> {
    fn open(out: &mut Vec<u8>, value: Value<'a>, bits: &mut u32) -> Result<Container<'a>, Wire> {
        if let Value::Map(message) = value {
            out.push(b'{');
            return Ok(Container::Map { entries: sorted(message, bits)?.into_iter(), first: true });
        }
        out.push(b'[');
        let Value::Array(message) = value else { return Err(Wire::Type) };
        Ok(Container::Array { fields: Fields::new(message), first: true })
    }

    /// The next element; its separator and key are written already.
    fn next(&mut self, out: &mut Vec<u8>, bits: &mut u32) -> Result<Option<Value<'a>>, Wire> {
        let (value, first) = match self {
            Container::Array { fields, first } => (next_message(fields)?, first),
            Container::Map { entries, first } => {
                let Some((key, value)) = entries.next() else { return Ok(None) };
                separate(out, first);
                json::write_map_key(out, &key);
                out.push(b':');
                return Ok(Some(value));
            }
        };
        let Some(message) = value else { return Ok(None) };
        separate(out, first);
        Value::read(message, bits).map(Some)
    }

    fn end(&self) -> u8 {
        match self {
            Container::Array { .. } => b']',
            Container::Map { .. } => b'}',
        }
    }
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
}

/// The next field 1, the only one that lists and maps have.
fn next_message<'a>(fields: &mut Fields<'a>) -> Result<Option<&'a [u8]>, Wire> {
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(message)) => return Ok(Some(message)),
            (1, _) => return Err(Wire::Type),
            _ => {}
        }
    }
    Ok(None)
}

/// Entries of a map by key, the last one of equal keys.
fn sorted<'a>(message: &'a [u8], bits: &mut u32) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, Wire> {
    let mut entries = Vec::new();
    let mut fields = Fields::new(message);
    while let Some(entry) = next_message(&mut fields)? {
        let (key, value) = read_key_value(entry, bits)?;
        entries.push((repair(key, bits), value));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let all = entries.len();
    // The sort is stable: the last of equal keys moves to the front of the reversed list.
    entries.reverse();
    entries.dedup_by(|later, kept| later.0 == kept.0);
    entries.reverse();
    if entries.len() < all {
        *bits |= quality::DUPLICATE_KEY;
    }
    Ok(entries)
}
