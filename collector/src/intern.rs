//! Resources and scopes of one request: each is read and written as text once, however often it
//! occurs and however many records it has.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};
use arrow_schema::{ArrowError, FieldRef};
use schemas::attributes::{Owner, promoted_keys};
use schemas::columns as c;
use schemas::json;
use schemas::{KeyFacts, KeySet, Keys};

use crate::decode::attributes::{KeyId, KeyTable, Split, Staged};
use crate::decode::columns::promoted_field;
use crate::decode::merge::merged;
use crate::decode::messages;
use crate::decode::text::{cut, repair, write_json};
use crate::decode::texts::{NULL, TextArray, TextBlock, TextId, Texts};
use crate::decode::value::Value;
use crate::decode::wire::{Field, Fields, Wire};
use crate::decode::{Bad, Limits};

/// `service_name` of records whose resource has none.
const UNKNOWN_SERVICE: &str = "unknown_service";
const SERVICE_NAME_KEY: &str = "service.name";

/// The resources and scopes of one request.
#[derive(Debug, Default)]
pub(crate) struct Contexts<'a> {
    resources: Vec<Resource>,
    resource_ids: HashMap<Cow<'a, [u8]>, u32>,
    contexts: Vec<Context>,
    context_ids: HashMap<ContextKey<'a>, u32>,
}

/// The raw bytes that make a context: resource, its schema URL, scope, its schema URL.
type ContextKey<'a> = (u32, &'a [u8], Cow<'a, [u8]>, &'a [u8]);

/// One resource, as its rows show it.
#[derive(Debug, Default)]
pub(crate) struct Resource {
    json: Option<String>,
    service: String,
    entity_refs: Option<String>,
    dropped: u32,
    promoted: Vec<(usize, String)>,
    facts: Vec<(KeyId, u8)>,
    quality: u32,
}

/// One scope within one resource.
#[derive(Debug)]
struct Context {
    resource: u32,
    resource_url: Option<String>,
    scope_url: Option<String>,
    scope: Scope,
    quality: u32,
}

#[derive(Debug, Default)]
struct Scope {
    name: Option<String>,
    version: Option<String>,
    json: Option<String>,
    dropped: u32,
    facts: Vec<(KeyId, u8)>,
}

/// Tables of the keys of resources and of scopes.
#[derive(Debug)]
pub(crate) struct ContextKeys {
    resource: KeyTable,
    scope: KeyTable,
}

impl ContextKeys {
    pub(crate) fn new() -> ContextKeys {
        ContextKeys { resource: KeyTable::new(Some(Owner::Resource)), scope: KeyTable::new(None) }
    }

    pub(crate) fn bound(&mut self) {
        self.resource.bound();
        self.scope.bound();
    }
}

impl<'a> Contexts<'a> {
    /// Position of the resource with these bytes.
    pub(crate) fn resource(
        &mut self,
        bytes: Cow<'a, [u8]>,
        keys: &mut ContextKeys,
        limits: &Limits,
    ) -> Result<u32, Bad> {
        if let Some(known) = self.resource_ids.get(&bytes) {
            return Ok(*known);
        }
        let resource = match Resource::read(&bytes, &mut keys.resource, limits) {
            Err(Bad::Wire(Wire::Merge)) => {
                let once = merged(&messages::RESOURCE, &bytes)?;
                Resource::read(&once, &mut keys.resource, limits)?
            }
            other => other?,
        };
        let id = self.resources.len() as u32;
        self.resources.push(resource);
        self.resource_ids.insert(bytes, id);
        Ok(id)
    }

    /// Position of the context made of these facts.
    pub(crate) fn context(
        &mut self,
        resource: u32,
        resource_url: &'a [u8],
        scope: Cow<'a, [u8]>,
        scope_url: &'a [u8],
        keys: &mut ContextKeys,
        limits: &Limits,
    ) -> Result<u32, Bad> {
        let key = (resource, resource_url, scope, scope_url);
        if let Some(known) = self.context_ids.get(&key) {
            return Ok(*known);
        }
        let mut quality = self.resources[resource as usize].quality;
        let read = match Scope::read(&key.2, &mut keys.scope, limits, &mut quality) {
            Err(Bad::Wire(Wire::Merge)) => {
                let once = merged(&messages::SCOPE, &key.2)?;
                Scope::read(&once, &mut keys.scope, limits, &mut quality)?
            }
            other => other?,
        };
        let id = self.contexts.len() as u32;
        self.contexts.push(Context {
            resource,
            resource_url: text(resource_url, &mut quality),
            scope_url: text(scope_url, &mut quality),
            scope: read,
            quality,
        });
        self.context_ids.insert(key, id);
        Ok(id)
    }

    /// Quality bits that every row of the context gets.
    pub(crate) fn quality(&self, context: u32) -> u32 {
        self.contexts[context as usize].quality
    }

    /// Adds what the context gives to the identity of its time series.
    pub(crate) fn hash_series(&self, context: u32, hasher: &mut blake3::Hasher) {
        let context = &self.contexts[context as usize];
        let resource = &self.resources[context.resource as usize];
        for part in [
            &resource.json,
            &context.scope.name,
            &context.scope.version,
            &context.scope.json,
            &context.scope_url,
        ] {
            hash_part(hasher, part.as_deref().unwrap_or_default().as_bytes());
        }
    }
}

/// Adds one length-prefixed part to the identity of a series.
pub(crate) fn hash_part(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_le_bytes());
    hasher.update(part);
}

fn text(bytes: &[u8], bits: &mut u32) -> Option<String> {
    (!bytes.is_empty()).then(|| repair(bytes, bits).into_owned())
}

/// Texts that our own JSON writers made.
fn json_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

impl Resource {
    /// The text of a promoted key.
    fn promoted(&self, index: usize) -> Option<&str> {
        let found = self.promoted.iter().find(|(promoted, _)| *promoted == index);
        found.map(|(_, text)| text.as_str())
    }

    fn read(message: &[u8], keys: &mut KeyTable, limits: &Limits) -> Result<Resource, Bad> {
        let mut resource = Resource::default();
        let mut staged = Staged::default();
        let mut refs = Vec::new();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(kv)) => staged.push(keys, kv, limits, &mut resource.quality)?,
                (2, Field::Varint(v)) => resource.dropped = v as u32,
                (3, Field::Bytes(entity)) => {
                    refs.push(if refs.is_empty() { b'[' } else { b',' });
                    write_entity_ref(&mut refs, entity, &mut resource.quality)?;
                }
                (1..=3, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        if !refs.is_empty() {
            refs.push(b']');
            resource.entity_refs = Some(json_text(refs));
        }
        resource.add_attributes(&staged, keys, limits)?;
        Ok(resource)
    }

    fn add_attributes(
        &mut self,
        staged: &Staged<'_>,
        keys: &mut KeyTable,
        limits: &Limits,
    ) -> Result<(), Bad> {
        let mut split = Split::default();
        keys.split(&mut Vec::new(), staged, &mut split, limits, &mut self.quality)?;
        for (index, value) in split.promoted {
            if let Value::String(text) = value {
                let text = cut(text, limits.value_bytes_max, &mut self.quality);
                self.promoted.push((index, repair(text, &mut self.quality).into_owned()));
            }
        }
        self.json = write_set(keys, staged, &mut self.facts, limits, &mut self.quality)?;
        let service = self.json.as_deref().and_then(|j| json::lookup(j, SERVICE_NAME_KEY));
        self.service = service
            .and_then(json::value)
            .map(|value| json::as_text(value).into_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| UNKNOWN_SERVICE.to_owned());
        Ok(())
    }
}

/// All attributes as canonical JSON, `None` when there are none.
fn write_set(
    keys: &mut KeyTable,
    staged: &Staged<'_>,
    facts: &mut Vec<(KeyId, u8)>,
    limits: &Limits,
    bits: &mut u32,
) -> Result<Option<String>, Bad> {
    let mut out = Vec::new();
    let fact = |key, type_bit| facts.push((key, type_bit));
    let any = keys.write_range(&mut out, staged, 0..staged.len(), limits, bits, fact)?;
    Ok(any.then(|| json_text(out)))
}

/// Appends one EntityRef as canonical JSON.
fn write_entity_ref(out: &mut Vec<u8>, message: &[u8], bits: &mut u32) -> Result<(), Wire> {
    let (mut url, mut kind) = (&[][..], &[][..]);
    let (mut ids, mut descriptions) = (Vec::new(), Vec::new());
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(text)) => url = text,
            (2, Field::Bytes(text)) => kind = text,
            (3, Field::Bytes(text)) => ids.push(text),
            (4, Field::Bytes(text)) => descriptions.push(text),
            (1..=4, _) => return Err(Wire::Type),
            _ => {}
        }
    }
    for (name, texts) in [("{\"description_keys\":[", descriptions), ("],\"id_keys\":[", ids)] {
        out.extend_from_slice(name.as_bytes());
        for (i, text) in texts.into_iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            write_json(out, &repair(text, bits));
        }
    }
    out.extend_from_slice(b"],\"schema_url\":");
    write_json(out, &repair(url, bits));
    out.extend_from_slice(b",\"type\":");
    write_json(out, &repair(kind, bits));
    out.push(b'}');
    Ok(())
}

impl Scope {
    fn read(
        message: &[u8],
        keys: &mut KeyTable,
        limits: &Limits,
        bits: &mut u32,
    ) -> Result<Scope, Bad> {
        let mut scope = Scope::default();
        let mut staged = Staged::default();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(name)) => scope.name = text(name, bits),
                (2, Field::Bytes(version)) => scope.version = text(version, bits),
                (3, Field::Bytes(kv)) => staged.push(keys, kv, limits, bits)?,
                (4, Field::Varint(v)) => scope.dropped = v as u32,
                (1..=4, _) => return Err(Wire::Type.into()),
                _ => {}
            }
        }
        scope.json = write_set(keys, &staged, &mut scope.facts, limits, bits)?;
        Ok(scope)
    }
}

/// The columns that rows have from their contexts. Each text stands in the table's block once.
#[derive(Debug)]
pub(crate) struct ContextColumns {
    /// Of each row.
    rows: Vec<u32>,
    /// Rows of each context.
    uses: Vec<u64>,
    /// Of each context.
    texts: Vec<(&'static str, Vec<TextId>)>,
    counts: Vec<(&'static str, Vec<u32>)>,
    /// By position in the fixed list, of each context.
    promoted: Vec<(usize, Vec<TextId>)>,
}

impl Contexts<'_> {
    /// The shared columns of rows that belong to these contexts; their text goes into `texts`.
    pub(crate) fn columns(&self, rows: Vec<u32>, texts: &mut TextBlock) -> ContextColumns {
        let mut uses = vec![0_u64; self.contexts.len()];
        rows.iter().for_each(|context| uses[*context as usize] += 1);
        let used = || self.contexts.iter().zip(&uses);
        let mut add = |get: &dyn for<'t> Fn(&'t Context, &'t Resource) -> Option<&'t str>| {
            let text = |x| get(x, &self.resources[x.resource as usize]);
            let ids = used().map(|(x, uses)| match text(x) {
                Some(text) if *uses > 0 => texts.add(text.as_bytes(), &mut 0),
                _ => NULL,
            });
            ids.collect::<Vec<_>>()
        };
        let columns = vec![
            (c::SERVICE_NAME, add(&|_, r| Some(&r.service))),
            (c::SCOPE_NAME, add(&|x, _| x.scope.name.as_deref())),
            (c::SCOPE_VERSION, add(&|x, _| x.scope.version.as_deref())),
            (c::SCOPE_ATTRIBUTES, add(&|x, _| x.scope.json.as_deref())),
            (c::SCOPE_SCHEMA_URL, add(&|x, _| x.scope_url.as_deref())),
            (c::RESOURCE, add(&|_, r| r.json.as_deref())),
            (c::RESOURCE_SCHEMA_URL, add(&|x, _| x.resource_url.as_deref())),
            (c::RESOURCE_ENTITY_REFS, add(&|_, r| r.entity_refs.as_deref())),
        ];
        let mut promoted = Vec::new();
        for index in 0..promoted_keys(Owner::Resource).len() {
            if self.resources.iter().any(|r| r.promoted(index).is_some()) {
                promoted.push((index, add(&|_, r| r.promoted(index))));
            }
        }
        let counts = vec![
            (c::SCOPE_DROPPED, used().map(|(x, _)| x.scope.dropped).collect()),
            (
                c::RESOURCE_DROPPED,
                used().map(|(x, _)| self.resources[x.resource as usize].dropped).collect(),
            ),
        ];
        ContextColumns { rows, uses, texts: columns, counts, promoted }
    }
}

impl ContextColumns {
    /// The shared column of that name.
    pub(crate) fn column(&self, name: &str, texts: &TextArray) -> Result<ArrayRef, ArrowError> {
        if let Some((_, ids)) = self.texts.iter().find(|(column, _)| *column == name) {
            return self.spread(ids, texts);
        }
        let found = self.counts.iter().find(|(column, _)| *column == name);
        let (_, counts) = found.ok_or_else(|| {
            ArrowError::SchemaError(format!("the decoder does not fill the column {name}"))
        })?;
        let rows = self.rows.iter().map(|context| counts[*context as usize]);
        Ok(Arc::new(UInt32Array::from_iter_values(rows)))
    }

    fn spread(&self, ids: &[TextId], texts: &TextArray) -> Result<ArrayRef, ArrowError> {
        if ids.iter().all(|id| *id == NULL) {
            return Texts::default().finish(self.rows.len(), texts);
        }
        let column: Texts = self.rows.iter().map(|context| ids[*context as usize]).collect();
        column.finish(self.rows.len(), texts)
    }

    /// Adds the promoted resource columns that at least one of the rows fills.
    pub(crate) fn promoted(
        &self,
        fields: &mut Vec<FieldRef>,
        columns: &mut Vec<ArrayRef>,
        texts: &TextArray,
    ) -> Result<(), ArrowError> {
        for (index, ids) in &self.promoted {
            if ids.iter().any(|id| *id != NULL) {
                fields.push(promoted_field(Owner::Resource, *index));
                columns.push(self.spread(ids, texts)?);
            }
        }
        Ok(())
    }

    /// Adds the resource and scope keys of the rows.
    pub(crate) fn add_keys(&self, contexts: &Contexts<'_>, known: &ContextKeys, keys: &mut Keys) {
        for (context, rows) in contexts.contexts.iter().zip(&self.uses).filter(|(_, n)| **n > 0) {
            let resource = &contexts.resources[context.resource as usize];
            add_facts(&mut keys.resource, &resource.facts, *rows, &known.resource);
            add_facts(&mut keys.scope, &context.scope.facts, *rows, &known.scope);
        }
    }
}

fn add_facts(set: &mut KeySet, facts: &[(KeyId, u8)], rows: u64, keys: &KeyTable) {
    for &(key, types) in facts {
        let text = keys.key(key);
        let facts = KeyFacts { types, rows };
        match set.get_mut(text) {
            Some(known) => known.merge(facts),
            None => drop(set.insert(text.to_owned(), facts)),
        }
    }
}
