//! Canonical JSON → OTLP values.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, KeyValue, KeyValueList,
};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::{columns as c, json};

use super::ExportError;

/// The collector keeps 64 levels and turns what is deeper into text.
const DEPTH_MAX: usize = 128;

/// The attributes of a stored object. Null and `{}` are none.
pub(super) fn attributes(column: &'static str, object: &str) -> Result<Vec<KeyValue>, ExportError> {
    if object.is_empty() {
        return Ok(Vec::new());
    }
    let read = key_values(object, 0, |key| key);
    read.ok_or_else(|| ExportError::value(column, object, "an object of canonical JSON"))
}

/// One stored value.
pub(super) fn value(column: &'static str, raw: &str) -> Result<AnyValue, ExportError> {
    any_value(raw, 0).ok_or_else(|| ExportError::value(column, raw, "canonical JSON"))
}

/// The entity references of a resource. Null is none.
pub(super) fn entity_refs(array: &str) -> Result<Vec<EntityRef>, ExportError> {
    if array.is_empty() {
        return Ok(Vec::new());
    }
    let refs = elements(array).and_then(|e| e.into_iter().map(entity_ref).collect());
    refs.ok_or_else(|| {
        ExportError::value(c::RESOURCE_ENTITY_REFS, array, "an array of entity references")
    })
}

fn entity_ref(object: &str) -> Option<EntityRef> {
    let mut entity = EntityRef::default();
    for (key, raw) in members(object)? {
        match key {
            "schema_url" => entity.schema_url = string(raw)?,
            "type" => entity.r#type = string(raw)?,
            "id_keys" => entity.id_keys = strings(raw)?,
            "description_keys" => entity.description_keys = strings(raw)?,
            _ => return None,
        }
    }
    Some(entity)
}

fn strings(array: &str) -> Option<Vec<String>> {
    elements(array)?.into_iter().map(string).collect()
}

fn string(raw: &str) -> Option<String> {
    match json::value(raw)? {
        json::Value::String(text) => Some(json::unescape(text).into_owned()),
        _ => None,
    }
}

fn any_value(raw: &str, depth: usize) -> Option<AnyValue> {
    if depth > DEPTH_MAX {
        return None;
    }
    let value = match json::value(raw)? {
        json::Value::Empty => return Some(AnyValue { value: None }),
        json::Value::String(text) => Any::StringValue(json::unescape(text).into_owned()),
        json::Value::Int(int) => Any::IntValue(int),
        json::Value::Double(double) => Any::DoubleValue(double),
        json::Value::Bool(bool) => Any::BoolValue(bool),
        json::Value::Bytes(base64) => Any::BytesValue(STANDARD.decode(base64).ok()?),
        json::Value::Array(array) => Any::ArrayValue(ArrayValue {
            values: elements(array)?
                .into_iter()
                .map(|e| any_value(e, depth + 1))
                .collect::<Option<_>>()?,
        }),
        json::Value::Map(map) => Any::KvlistValue(KeyValueList {
            // Every stored key with a leading `$` got one more, so that no map reads as a tag.
            values: key_values(map, depth + 1, |key| key.strip_prefix('$').unwrap_or(key))?,
        }),
    };
    Some(AnyValue { value: Some(value) })
}

fn key_values(object: &str, depth: usize, key_sent: fn(&str) -> &str) -> Option<Vec<KeyValue>> {
    let members = members(object)?;
    members
        .into_iter()
        .map(|(key, raw)| {
            let key = json::unescape(key_sent(key)).into_owned();
            Some(KeyValue { key, value: Some(any_value(raw, depth)?), key_strindex: 0 })
        })
        .collect()
}

/// The members of an object, `None` unless they are the whole of it: the readers stop silently at
/// text they cannot read.
fn members(object: &str) -> Option<Vec<(&str, &str)>> {
    let members: Vec<_> = json::members(object).collect();
    let bytes = members.iter().map(|(key, raw)| key.len() + raw.len() + r#""":"#.len());
    fills(object, bytes.sum(), members.len(), ('{', '}')).then_some(members)
}

/// The elements of an array, `None` unless they are the whole of it.
fn elements(array: &str) -> Option<Vec<&str>> {
    let elements: Vec<_> = json::elements(array).collect();
    let bytes = elements.iter().map(|raw| raw.len()).sum();
    fills(array, bytes, elements.len(), ('[', ']')).then_some(elements)
}

fn fills(text: &str, bytes: usize, count: usize, (open, close): (char, char)) -> bool {
    text.starts_with(open)
        && text.ends_with(close)
        && text.len() == bytes + count.saturating_sub(1) + 2
}
