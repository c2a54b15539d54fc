//! Protobuf's rule for an embedded message that occurs twice: the occurrences merge.
//!
//! No sender of telemetry does this, so the walkers only notice it (`Wire::Merge`) and are run again
//! on bytes in which each embedded message stands once.

use std::borrow::Cow;

use super::messages::{Kind, Member, Message};
use super::wire::{Field, Fields, Wire, begin_bytes, end_bytes, put_tag, put_varint};

/// The same message with every embedded message once. Fields keep the order of their first
/// occurrence; what the tables do not know is copied.
pub(crate) fn merged(message: &'static Message, bytes: &[u8]) -> Result<Vec<u8>, Wire> {
    let mut out = Vec::with_capacity(bytes.len());
    merge(message, bytes, DEPTH_MAX, &mut out)?;
    Ok(out)
}

/// Each level of an attribute value takes three messages here; 64 levels are kept of a value.
const DEPTH_MAX: usize = 3 * 64 + 16;

fn merge(
    message: &'static Message,
    bytes: &[u8],
    depth_left: usize,
    out: &mut Vec<u8>,
) -> Result<(), Wire> {
    if depth_left == 0 {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let fields = surviving(message, bytes)?;
    let mut done = Vec::new();
    for &(number, field) in &fields {
        let (Field::Bytes(payload), Some((member, inner))) = (field, embedded(message, number))
        else {
            put(out, number, field);
            continue;
        };
        if !member.repeated && done.contains(&number) {
            continue;
        }
        let start = begin_bytes(out, number);
        if member.repeated {
            merge(inner, payload, depth_left - 1, out)?;
        } else {
            // Concatenated payloads are the merged message; only its own insides may need more.
            done.push(number);
            merge(inner, &concatenated(&fields, number), depth_left - 1, out)?;
        }
        end_bytes(out, start);
    }
    Ok(())
}

fn concatenated<'a>(fields: &[(u32, Field<'a>)], number: u32) -> Cow<'a, [u8]> {
    let mut all = Cow::Borrowed(&[][..]);
    for (n, field) in fields {
        match field {
            Field::Bytes(payload) if *n == number && all.is_empty() => all = Cow::Borrowed(payload),
            Field::Bytes(payload) if *n == number => all.to_mut().extend_from_slice(payload),
            _ => {}
        }
    }
    all
}

fn embedded(message: &Message, number: u32) -> Option<(&'static Member, &'static Message)> {
    let member = message.member(number)?;
    match member.kind {
        Kind::Nested(inner) => Some((member, inner)),
        _ => None,
    }
}

/// All fields but those members of the oneof that a later, other member has unset.
fn surviving<'a>(message: &Message, bytes: &'a [u8]) -> Result<Vec<(u32, Field<'a>)>, Wire> {
    let mut all = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some(field) = fields.next()? {
        all.push(field);
    }
    let is_oneof = |number| message.member(number).is_some_and(|m| m.oneof);
    if let Some(winner) = all.iter().rev().map(|(n, _)| *n).find(|n| is_oneof(*n)) {
        let unset = all.iter().rposition(|(n, _)| is_oneof(*n) && *n != winner);
        let mut at = 0;
        all.retain(|(n, _)| {
            at += 1;
            !(is_oneof(*n) && unset.is_some_and(|last| at - 1 <= last))
        });
    }
    Ok(all)
}

fn put(out: &mut Vec<u8>, number: u32, field: Field<'_>) {
    match field {
        Field::Varint(value) => {
            put_tag(out, number, 0);
            put_varint(out, value);
        }
        Field::Fixed64(value) => {
            put_tag(out, number, 1);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Field::Bytes(bytes) => {
            put_tag(out, number, 2);
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Field::Fixed32(value) => {
            put_tag(out, number, 5);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}
