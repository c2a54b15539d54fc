//! Protobuf, written straight into bytes.
//!
//! A message is written behind a guess of its length's length; only where the guess is wrong its
//! bytes are moved. So there are no message structs and no second pass.

#[cfg(test)]
mod tests;

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LEN: u32 = 2;
const FIXED32: u32 = 5;

#[inline]
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes that a varint takes.
pub(super) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(out, u64::from(field << 3 | wire_type));
}

pub(super) fn uint(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

#[inline]
pub(super) fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

#[inline]
pub(super) fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    tag(out, field, LEN);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// A field of bytes whose length is known when this is compiled, `N` with its tag and its length, both
/// of one byte: written at once.
#[inline]
pub(super) fn short_field<const N: usize>(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    let mut bytes = [0; N];
    bytes[0] = field << 3 | LEN as u8;
    bytes[1] = value.len() as u8;
    bytes[2..].copy_from_slice(value);
    out.extend_from_slice(&bytes);
}

/// A text, left out where it is empty.
pub(super) fn text(out: &mut Vec<u8>, field: u32, value: &str) {
    if !value.is_empty() {
        bytes(out, field, value.as_bytes());
    }
}

/// A message of less than 128 bytes, as most are; any other is right as well.
pub(super) fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, LEN);
    behind_len(out, 1, write);
}

/// A message of at least 128 bytes; any other is right as well.
pub(super) fn long_message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, LEN);
    behind_len(out, 2, write);
}

fn behind_len(out: &mut Vec<u8>, guess: usize, write: impl FnOnce(&mut Vec<u8>)) {
    const PLACE: [u8; 10] = [0; 10];
    let at = out.len();
    out.extend_from_slice(&PLACE[..guess]);
    write(out);
    let from = at + guess;
    let len = (out.len() - from) as u64;
    let needed = varint_len(len);
    if needed > guess {
        out.extend_from_slice(&PLACE[..needed - guess]);
        let end = out.len() - (needed - guess);
        out.copy_within(from..end, at + needed);
    } else if needed < guess {
        out.copy_within(from.., at + needed);
        out.truncate(out.len() - (guess - needed));
    }
    put_varint(&mut out[at..at + needed], len);
}

/// Fills exactly the bytes that the value takes.
fn put_varint(place: &mut [u8], mut value: u64) {
    let Some((last, first)) = place.split_last_mut() else { return };
    for byte in first {
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    *last = value as u8;
}

/// Bytes of a field that holds so many bytes.
pub(super) fn field_len(field: u32, len: usize) -> usize {
    varint_len(u64::from(field << 3)) + varint_len(len as u64) + len
}

/// Opens a message whose length is known.
pub(super) fn open(out: &mut Vec<u8>, field: u32, len: usize) {
    tag(out, field, LEN);
    varint(out, len as u64);
}

/// An attribute with a text of two parts.
pub(super) fn text_attribute(out: &mut Vec<u8>, field: u32, key: &str, parts: [&str; 2]) {
    message(out, field, |out| {
        bytes(out, 1, key.as_bytes());
        message(out, 2, |out| {
            open(out, 1, parts[0].len() + parts[1].len());
            out.extend_from_slice(parts[0].as_bytes());
            out.extend_from_slice(parts[1].as_bytes());
        });
    });
}

pub(super) fn int_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: i64) {
    message(out, field, |out| {
        bytes(out, 1, key.as_bytes());
        message(out, 2, |out| uint(out, 3, value as u64));
    });
}

pub(super) fn bool_attribute(out: &mut Vec<u8>, field: u32, key: &str, value: bool) {
    message(out, field, |out| {
        bytes(out, 1, key.as_bytes());
        message(out, 2, |out| uint(out, 2, u64::from(value)));
    });
}

/// Decimal digits without an allocation.
#[derive(Debug)]
pub(super) struct Digits {
    bytes: [u8; 20],
    from: usize,
}

impl Digits {
    pub(super) fn new(mut value: u64) -> Digits {
        let mut digits = Digits { bytes: [b'0'; 20], from: 20 };
        loop {
            digits.from -= 1;
            digits.bytes[digits.from] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return digits;
            }
        }
    }

    pub(super) fn as_str(&self) -> &str {
        // ASCII always.
        std::str::from_utf8(&self.bytes[self.from..]).unwrap_or_default()
    }
}
