//! Mutation that keeps protobuf whole: a change deep inside mends the lengths around it.
//!
//! Without it nearly every mutation breaks the envelope, and nothing behind is ever reached.

use libfuzzer_sys::fuzzer_mutate;

/// Room that one mutation may take.
const GROWTH_BYTES: usize = 64;
const DEPTH_MAX: usize = 100;

/// Changes the message in `data[..size]`; returns its new size.
pub fn protobuf(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed));
    let mutated = message(&data[..size], &mut random, 0);
    if random.below(8) == 0 || mutated.len() > max_size {
        return fuzzer_mutate(data, size, max_size);
    }
    data[..mutated.len()].copy_from_slice(&mutated);
    mutated.len()
}

/// The message with one of its fields changed, moved, repeated or dropped.
fn message(bytes: &[u8], random: &mut Random, depth: usize) -> Vec<u8> {
    let fields = fields(bytes).filter(|fields| !fields.is_empty() && depth < DEPTH_MAX);
    let Some(mut fields) = fields else { return plain(bytes) };
    let at = random.below(fields.len());
    let other = fields[random.below(fields.len())].clone();
    match random.below(16) {
        0 => drop(fields.remove(at)),
        1 => fields.insert(at, other),
        2 => fields.insert(at, fields[at].clone()),
        3 => fields[at] = other,
        4 => fields[at].tag = plain(&fields[at].tag),
        5 => return plain(bytes),
        _ => {
            let field = &mut fields[at];
            field.content = match field.is_bytes {
                true if random.below(8) > 0 => message(&field.content, random, depth + 1),
                _ => plain(&field.content),
            };
        }
    }
    let mut out = Vec::with_capacity(bytes.len() + GROWTH_BYTES);
    fields.iter().for_each(|field| field.write(&mut out));
    out
}

/// libFuzzer's own mutation.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let max = bytes.len() + GROWTH_BYTES;
    out.resize(max, 0);
    let size = fuzzer_mutate(&mut out, bytes.len(), max);
    out.truncate(size);
    out
}

/// One field: its tag, and what stands behind that (without a length).
#[derive(Clone)]
struct Field {
    tag: Vec<u8>,
    content: Vec<u8>,
    is_bytes: bool,
}

impl Field {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag);
        if self.is_bytes {
            put_varint(out, self.content.len());
        }
        out.extend_from_slice(&self.content);
    }
}

/// The fields of a message, `None` where the bytes are none.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (tag, number) = varint(&mut bytes)?;
        let content = match number & 7 {
            0 => varint(&mut bytes)?.0,
            1 => take(&mut bytes, 8)?,
            2 => {
                let (_, len) = varint(&mut bytes)?;
                take(&mut bytes, usize::try_from(len).ok()?)?
            }
            5 => take(&mut bytes, 4)?,
            _ => return None,
        };
        let is_bytes = number & 7 == 2;
        fields.push(Field { tag: tag.to_vec(), content: content.to_vec(), is_bytes });
    }
    Some(fields)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

/// A varint's bytes and its value.
fn varint<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], u64)> {
    let len = bytes.iter().take(10).position(|byte| *byte < 0x80)? + 1;
    let raw = take(bytes, len)?;
    let value = raw.iter().rev().fold(0, |value: u64, byte| value << 7 | u64::from(byte & 0x7F));
    Some((raw, value))
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// SplitMix64: the same seed must give the same mutation.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}
