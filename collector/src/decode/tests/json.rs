//! OTLP/JSON: what is legal, what is not, and what real senders write.

use std::fmt::Write as _;

use super::super::messages::{Kind, Message};
use super::super::wire::{Field, Fields, varint, zigzag32};

/// Writes a message of protobuf as OTLP/JSON.
pub(super) fn write(message: &'static Message, bytes: &[u8], out: &mut String) {
    let mut groups: Vec<(u32, Vec<Field<'_>>)> = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some((number, field)) = fields.next().unwrap() {
        match groups.iter_mut().find(|(known, _)| *known == number) {
            Some((_, group)) => group.push(field),
            None => groups.push((number, vec![field])),
        }
    }
    out.push('{');
    for (i, (number, group)) in groups.into_iter().enumerate() {
        let member = message.member(number).unwrap();
        write!(out, "{}\"{}\":", if i == 0 { "" } else { ", " }, member.name).unwrap();
        let values: Vec<String> = group.into_iter().flat_map(|f| values(member.kind, f)).collect();
        if member.repeated {
            write!(out, "[{}]", values.join(",")).unwrap();
        } else {
            out.push_str(values.last().unwrap());
        }
    }
    out.push('}');
}

/// One value, or those of a packed field.
fn values(kind: Kind, field: Field<'_>) -> Vec<String> {
    match (kind, field) {
        (Kind::Fixed64 | Kind::Double, Field::Bytes(packed)) => {
            let chunks = packed.as_chunks::<8>().0;
            chunks.iter().map(|c| scalar(kind, Field::Fixed64(u64::from_le_bytes(*c)))).collect()
        }
        (Kind::Uint64, Field::Bytes(mut packed)) => {
            let mut all = Vec::new();
            while !packed.is_empty() {
                all.push(varint(&mut packed).unwrap().to_string());
            }
            all
        }
        _ => vec![scalar(kind, field)],
    }
}

fn scalar(kind: Kind, field: Field<'_>) -> String {
    match (kind, field) {
        (Kind::Nested(inner), Field::Bytes(bytes)) => {
            let mut out = String::new();
            write(inner, bytes, &mut out);
            out
        }
        (Kind::String, Field::Bytes(bytes)) => {
            let mut out = Vec::new();
            schemas::json::write_string(&mut out, std::str::from_utf8(bytes).unwrap());
            String::from_utf8(out).unwrap()
        }
        (Kind::Id(_), Field::Bytes(bytes)) => format!("\"{}\"", schemas::ids::hex(bytes)),
        (Kind::Bytes, Field::Bytes(bytes)) => {
            use base64::Engine;
            format!("\"{}\"", base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        (Kind::Bool, Field::Varint(v)) => (v != 0).to_string(),
        (Kind::Enum, Field::Varint(v)) => (v as i32).to_string(),
        (Kind::Sint32, Field::Varint(v)) => zigzag32(v).to_string(),
        (Kind::Int64, Field::Varint(v)) => format!("\"{}\"", v as i64),
        (Kind::Sfixed64, Field::Fixed64(v)) => (v as i64).to_string(),
        (Kind::Double, Field::Fixed64(v)) => match f64::from_bits(v) {
            v if v.is_nan() => "\"NaN\"".to_owned(),
            v if v.is_infinite() => format!("\"{}Infinity\"", if v < 0.0 { "-" } else { "" }),
            v => format!("{v:?}"),
        },
        (_, Field::Varint(v) | Field::Fixed64(v)) => format!("\"{v}\""),
        (_, Field::Fixed32(v)) => v.to_string(),
        (_, Field::Bytes(_)) => String::new(),
    }
}
