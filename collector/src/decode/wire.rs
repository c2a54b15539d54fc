//! The protobuf wire format: fields of a message, one after the other, without copying.
//!
//! Groups are skipped inside and never returned. Nothing here recurses or allocates.

/// Why bytes are no protobuf message of the expected type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wire {
    #[error("the bytes end inside a field")]
    Truncated,
    #[error("a varint is longer than 64 bits")]
    Varint,
    #[error("a field number is 0 or too large")]
    Number,
    #[error("a field has the wrong wire type; is this the right kind of message?")]
    Type,
    #[error("a group is not closed")]
    Group,
    #[error("a list of packed numbers has a broken length")]
    Packed,
    /// An embedded message occurs twice and must be merged: the caller retries on the merged bytes
    /// (see [`super::merge`]). An error only when it outlives that.
    #[error("embedded messages are repeated too deep")]
    Merge,
}

/// One field's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of one message, in the order of the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    /// The bytes not yet read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, Wire> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let (number, wire_type) = self.tag()?;
            let field = match wire_type {
                0 => Field::Varint(varint(&mut self.rest)?),
                1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
                2 => Field::Bytes(self.bytes()?),
                5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
                3 => {
                    self.skip_group(number)?;
                    continue;
                }
                4 => return Err(Wire::Group),
                _ => return Err(Wire::Type),
            };
            return Ok(Some((number, field)));
        }
    }

    /// The next field if it is this number's again, as the members of a list are, and its message
    /// short.
    #[inline(always)]
    pub(crate) fn next_short<const NUMBER: u8>(&mut self) -> Option<&'a [u8]> {
        let [tag, len @ 0..0x80, rest @ ..] = self.rest else { return None };
        if *tag != NUMBER << 3 | 2 {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline(always)]
    fn tag(&mut self) -> Result<(u32, u64), Wire> {
        // Numbers up to 15 in one byte, what nearly all fields have.
        if let [tag @ 8..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok((u32::from(tag >> 3), u64::from(tag & 7)));
        }
        self.long_tag()
    }

    #[inline(never)]
    fn long_tag(&mut self) -> Result<(u32, u64), Wire> {
        let tag = varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).map_err(|_| Wire::Number)?;
        if number == 0 || number > NUMBER_MAX {
            return Err(Wire::Number);
        }
        Ok((number, tag & 7))
    }

    #[inline(always)]
    fn bytes(&mut self) -> Result<&'a [u8], Wire> {
        let len = usize::try_from(varint(&mut self.rest)?).map_err(|_| Wire::Truncated)?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(Wire::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wire> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Wire::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Skips to behind the end tag of group `number`. Open groups are counted by their numbers.
    #[cold]
    fn skip_group(&mut self, number: u32) -> Result<(), Wire> {
        let mut open = [0_u32; GROUP_DEPTH_MAX];
        open[0] = number;
        let mut depth = 1;
        while depth > 0 {
            if self.rest.is_empty() {
                return Err(Wire::Group);
            }
            let (number, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(varint(&mut self.rest)?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.bytes()?),
                5 => drop(self.array::<4>()?),
                3 => {
                    *open.get_mut(depth).ok_or(Wire::Group)? = number;
                    depth += 1;
                }
                4 if open[depth - 1] == number => depth -= 1,
                4 => return Err(Wire::Group),
                _ => return Err(Wire::Type),
            }
        }
        Ok(())
    }
}

const NUMBER_MAX: u32 = 0x1FFF_FFFF;
/// As deep as prost follows.
const GROUP_DEPTH_MAX: usize = 100;

/// Reads one varint off the front. Over-long forms of small values are legal.
#[inline(always)]
pub(crate) fn varint(bytes: &mut &[u8]) -> Result<u64, Wire> {
    match bytes.split_first() {
        Some((&byte, rest)) if byte < 0x80 => {
            *bytes = rest;
            Ok(u64::from(byte))
        }
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &mut &[u8]) -> Result<u64, Wire> {
    let mut value = 0_u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return Err(Wire::Varint);
        }
        value |= u64::from(byte & 0x7F) << (7 * i);
        if byte < 0x80 {
            *bytes = &bytes[i + 1..];
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { Wire::Truncated } else { Wire::Varint })
}

/// Keeps an embedded message that may occur once; a second occurrence must be merged.
#[inline]
pub(crate) fn set_once<'a>(slot: &mut Option<&'a [u8]>, message: &'a [u8]) -> Result<(), Wire> {
    match slot.replace(message) {
        None => Ok(()),
        Some(_) => Err(Wire::Merge),
    }
}

/// A signed number of `sint32`.
pub(crate) fn zigzag32(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Appends fixed64 numbers of one occurrence, packed or not.
pub(crate) fn push_fixed64s<T>(
    out: &mut Vec<T>,
    field: Field<'_>,
    convert: impl Fn(u64) -> T,
) -> Result<(), Wire> {
    match field {
        Field::Fixed64(value) => out.push(convert(value)),
        Field::Bytes(packed) => {
            let (chunks, []) = packed.as_chunks::<8>() else { return Err(Wire::Packed) };
            out.extend(chunks.iter().map(|c| convert(u64::from_le_bytes(*c))));
        }
        _ => return Err(Wire::Type),
    }
    Ok(())
}

/// Appends varints of one occurrence, packed or not.
pub(crate) fn push_varints(out: &mut Vec<u64>, field: Field<'_>) -> Result<(), Wire> {
    match field {
        Field::Varint(value) => out.push(value),
        Field::Bytes(mut packed) => {
            while !packed.is_empty() {
                out.push(varint(&mut packed)?);
            }
        }
        _ => return Err(Wire::Type),
    }
    Ok(())
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a tag.
pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// Begins a length-delimited field whose length is not known yet; [`end_bytes`] fills it in.
pub(crate) fn begin_bytes(out: &mut Vec<u8>, number: u32) -> usize {
    put_tag(out, number, 2);
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.len()
}

/// Ends the field that [`begin_bytes`] returned `start` for.
pub(crate) fn end_bytes(out: &mut [u8], start: usize) {
    let mut len = out.len() - start;
    for (i, byte) in out[start - LENGTH_BYTES..start].iter_mut().enumerate() {
        let more = if i + 1 < LENGTH_BYTES { 0x80 } else { 0 };
        *byte = (len & 0x7F) as u8 | more;
        len >>= 7;
    }
}

/// A length always takes this many bytes, so that it can be filled in afterwards: 35 bits.
const LENGTH_BYTES: usize = 5;
