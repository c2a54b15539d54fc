//! Canonical JSON: the one text form of OTLP values that keeps every type.
//!
//! Equal values are equal bytes, so texts can be compared, hashed and form dictionaries. Rules:
//! no spaces; keys sorted by bytes, each once; strings escape only `"`, `\` and bytes below 0x20;
//! ints are digits; doubles are the shortest text that reads back equal and always hold `.` or `e`;
//! bytes are `{"$b64":"…"}`, non-finite doubles `{"$f":"NaN"}`, a value sent empty
//! `{"$empty":true}`; inside a map value each key that starts with `$` gets one more `$` (the
//! outermost object of attributes is never a tag, so its keys are not escaped).
//!
//! The readers here assume text that these writers made. On other text they return `None` or a
//! wrong slice, but never panic.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::attributes::ValueType;

/// A value that was sent empty.
pub const EMPTY: &str = r#"{"$empty":true}"#;

/// Appends a string in quotes. `text` may be any UTF-8.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut from = 0;
    let bytes = text.as_bytes();
    for (i, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(DIGITS[usize::from(byte >> 4)]);
                out.push(DIGITS[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// Appends a key of a map *value*: like a string, with one more `$` where it starts with one.
pub fn write_map_key(out: &mut Vec<u8>, key: &str) {
    write_string(out, key);
    if key.starts_with('$') {
        let quote = out.len() - 1 - escaped_len(key);
        out.insert(quote, b'$');
    }
}

fn escaped_len(text: &str) -> usize {
    text.bytes()
        .map(|b| match b {
            b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0c | b'\r' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

/// Appends an integer.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a double; NaN and the infinities as tags.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if let Some(thousandths) = thousandths(value) {
        write_thousandths(out, thousandths);
    } else if value.is_finite() {
        out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"{\"$f\":\"");
        out.extend_from_slice(non_finite_name(value).as_bytes());
        out.extend_from_slice(b"\"}");
    }
}

/// A double with at most three decimals and twelve digits before them, times 1000: what most
/// doubles of telemetry are. The division is exact to the last bit, so the decimals read back equal,
/// and no shorter text does, as 15 digits tell all doubles apart.
fn thousandths(value: f64) -> Option<i64> {
    const LIMIT: f64 = 1e12;
    let thousandths = value * 1000.0;
    let is_exact = value.abs() < LIMIT
        && thousandths.trunc() == thousandths
        && thousandths / 1000.0 == value
        && (value != 0.0 || value.is_sign_positive());
    is_exact.then_some(thousandths as i64)
}

fn write_thousandths(out: &mut Vec<u8>, thousandths: i64) {
    if thousandths < 0 {
        out.push(b'-');
    }
    write_int(out, (thousandths / 1000).abs());
    let decimals = (thousandths % 1000).unsigned_abs() as u16;
    let digit = |unit| b'0' + (decimals / unit % 10) as u8;
    out.extend_from_slice(&[b'.', digit(100)]);
    if !decimals.is_multiple_of(100) {
        out.push(digit(10));
    }
    if !decimals.is_multiple_of(10) {
        out.push(digit(1));
    }
}

/// Appends `true` or `false`.
pub fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends bytes as a tag.
pub fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(b"{\"$b64\":\"");
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
    out.extend_from_slice(b"\"}");
}

fn non_finite_name(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// One value of canonical JSON, seen through its text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The text between the quotes, escapes as they stand; see [`unescape`].
    String(&'a str),
    /// An integer.
    Int(i64),
    /// A double, non-finite ones included.
    Double(f64),
    /// A boolean.
    Bool(bool),
    /// The base64 text of bytes.
    Bytes(&'a str),
    /// Sent empty.
    Empty,
    /// An array, its whole text.
    Array(&'a str),
    /// A map, its whole text.
    Map(&'a str),
}

/// Reads one complete value. `None` when the text is not canonical JSON.
pub fn value(raw: &str) -> Option<Value<'_>> {
    Some(match raw.as_bytes().first()? {
        b'"' => Value::String(raw.get(1..raw.len().checked_sub(1)?)?),
        b't' => Value::Bool(true),
        b'f' => Value::Bool(false),
        b'[' => Value::Array(raw),
        b'{' => tagged(raw).unwrap_or(Value::Map(raw)),
        _ if raw.contains(['.', 'e']) => Value::Double(raw.parse().ok()?),
        _ => Value::Int(raw.parse().ok()?),
    })
}

fn tagged(raw: &str) -> Option<Value<'_>> {
    if raw == EMPTY {
        return Some(Value::Empty);
    }
    if let Some(rest) = raw.strip_prefix("{\"$b64\":\"") {
        return Some(Value::Bytes(rest.strip_suffix("\"}")?));
    }
    match raw.strip_prefix("{\"$f\":\"")?.strip_suffix("\"}")? {
        "NaN" => Some(Value::Double(f64::NAN)),
        "Infinity" => Some(Value::Double(f64::INFINITY)),
        "-Infinity" => Some(Value::Double(f64::NEG_INFINITY)),
        _ => None,
    }
}

/// The characters that an escaped string stands for.
pub fn unescape(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let Some(escape) = rest[at + 1..].chars().next() else { break };
        rest = &rest[at + 1 + escape.len_utf8()..];
        match escape {
            'b' => text.push('\u{8}'),
            't' => text.push('\t'),
            'n' => text.push('\n'),
            'f' => text.push('\u{c}'),
            'r' => text.push('\r'),
            'u' => {
                let code = rest.get(..4).and_then(|h| u32::from_str_radix(h, 16).ok());
                text.push(code.and_then(char::from_u32).unwrap_or('\u{fffd}'));
                rest = rest.get(4..).unwrap_or("");
            }
            other => text.push(other),
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// Members of an object as (escaped key, raw value), in text order.
pub fn members(object: &str) -> Members<'_> {
    Members { rest: object.get(1..).unwrap_or("") }
}

/// Iterator of [`members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let quoted = self.rest.strip_prefix(',').unwrap_or(self.rest);
        let key_end = string_end(quoted)?;
        let key = quoted.get(1..key_end - 1)?;
        let after = quoted.get(key_end..)?.strip_prefix(':')?;
        let end = value_end(after)?;
        self.rest = after.get(end..)?;
        Some((key, after.get(..end)?))
    }
}

/// Elements of an array as raw values.
pub fn elements(array: &str) -> Elements<'_> {
    Elements { rest: array.get(1..).unwrap_or("") }
}

/// Iterator of [`elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let element = self.rest.strip_prefix(',').unwrap_or(self.rest);
        let end = value_end(element)?;
        self.rest = element.get(end..)?;
        element.get(..end)
    }
}

/// The raw value of a top-level member. `escaped_key` is the key as it stands between the quotes
/// (see [`escape_key`]).
pub fn lookup<'a>(object: &'a str, escaped_key: &str) -> Option<&'a str> {
    // A hit in the bytes is only a hint: the key may stand in a nested map or inside a string.
    if !object.contains(escaped_key) {
        return None;
    }
    members(object).find(|(key, _)| *key == escaped_key).map(|(_, value)| value)
}

/// A key as [`lookup`] wants it.
pub fn escape_key(key: &str) -> String {
    let mut out = Vec::with_capacity(key.len() + 2);
    write_string(&mut out, key);
    String::from_utf8_lossy(&out[1..out.len() - 1]).into_owned()
}

/// End of the string that starts at byte 0, behind its closing quote.
fn string_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut i = 1;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    None
}

/// End of the value that starts at byte 0.
fn value_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.first()? {
        b'"' => string_end(text),
        b'{' | b'[' => {
            let (mut depth, mut i) = (0_usize, 0);
            loop {
                match bytes.get(i)? {
                    b'"' => i += string_end(text.get(i..)?)?,
                    b'{' | b'[' => {
                        depth += 1;
                        i += 1;
                    }
                    b'}' | b']' => {
                        depth -= 1;
                        i += 1;
                        if depth == 0 {
                            return Some(i);
                        }
                    }
                    _ => i += 1,
                }
            }
        }
        b'}' | b']' | b',' => None,
        _ => Some(bytes.iter().position(|b| b",}]".contains(b)).unwrap_or(bytes.len())),
    }
}

/// A value after a typed access.
#[derive(Clone, Debug, PartialEq)]
pub enum Typed<'a> {
    /// As text.
    Text(Cow<'a, str>),
    /// As an integer.
    Int(i64),
    /// As a double.
    Double(f64),
    /// As a boolean.
    Bool(bool),
}

/// The one conversion behind every typed access: `attributes['k']::T` is this function of the
/// stored value, whether it lies in a column or in JSON. `None` is SQL's NULL; no value ever fails.
pub fn convert<'a>(value: Value<'a>, to: ValueType) -> Option<Typed<'a>> {
    match to {
        ValueType::Text => Some(Typed::Text(as_text(value))),
        ValueType::Int => as_int(value).map(Typed::Int),
        ValueType::Double => as_double(value).map(Typed::Double),
        ValueType::Bool => as_bool(value).map(Typed::Bool),
    }
}

/// A value as text: strings as they are, the rest canonical, empty as the empty string.
pub fn as_text(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::String(raw) => unescape(raw),
        Value::Int(i) => itoa::Buffer::new().format(i).to_owned().into(),
        Value::Double(d) if d.is_finite() => ryu::Buffer::new().format_finite(d).to_owned().into(),
        Value::Double(d) => non_finite_name(d).into(),
        Value::Bool(b) => if b { "true" } else { "false" }.into(),
        Value::Bytes(base64) => base64.into(),
        Value::Empty => "".into(),
        Value::Array(raw) | Value::Map(raw) => raw.into(),
    }
}

/// A value as an integer, where it is one.
pub fn as_int(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Int(i) => Some(i),
        // 2^63 is exact as a double and the first value out of range.
        Value::Double(d)
            if d.fract() == 0.0
                && (-9.223_372_036_854_776e18..9.223_372_036_854_776e18).contains(&d) =>
        {
            Some(d as i64)
        }
        Value::String(raw) => unescape(raw).parse().ok(),
        _ => None,
    }
}

/// A value as a double, where it is a number.
pub fn as_double(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Double(d) => Some(d),
        Value::Int(i) => Some(i as f64),
        Value::String(raw) => unescape(raw).parse().ok(),
        _ => None,
    }
}

/// A value as a boolean, where it is one.
pub fn as_bool(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(b),
        Value::String("true") => Some(true),
        Value::String("false") => Some(false),
        _ => None,
    }
}
