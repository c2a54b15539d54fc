//! Records by resource and scope again.

use std::collections::HashMap;

use arrow_array::{StringViewArray, UInt32Array};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use schemas::columns as c;

use super::ExportError;
use super::columns::{Columns, text};
use super::values;

/// The columns of a batch that say where its records come from.
pub(super) struct Envelope {
    resource: StringViewArray,
    resource_schema_url: StringViewArray,
    resource_entity_refs: StringViewArray,
    resource_dropped: UInt32Array,
    scope_name: StringViewArray,
    scope_version: StringViewArray,
    scope_attributes: StringViewArray,
    scope_schema_url: StringViewArray,
    scope_dropped: UInt32Array,
}

impl Envelope {
    pub(super) fn new(columns: &Columns<'_>) -> Result<Envelope, ExportError> {
        Ok(Envelope {
            resource: columns.get(c::RESOURCE)?,
            resource_schema_url: columns.get(c::RESOURCE_SCHEMA_URL)?,
            resource_entity_refs: columns.get(c::RESOURCE_ENTITY_REFS)?,
            resource_dropped: columns.get(c::RESOURCE_DROPPED)?,
            scope_name: columns.get(c::SCOPE_NAME)?,
            scope_version: columns.get(c::SCOPE_VERSION)?,
            scope_attributes: columns.get(c::SCOPE_ATTRIBUTES)?,
            scope_schema_url: columns.get(c::SCOPE_SCHEMA_URL)?,
            scope_dropped: columns.get(c::SCOPE_DROPPED)?,
        })
    }

    fn resource(&self, row: usize) -> ResourceKey<'_> {
        ResourceKey {
            attributes: text(&self.resource, row),
            schema_url: text(&self.resource_schema_url, row),
            entity_refs: text(&self.resource_entity_refs, row),
            dropped: self.resource_dropped.value(row),
        }
    }

    fn scope(&self, row: usize) -> ScopeKey<'_> {
        ScopeKey {
            name: text(&self.scope_name, row),
            version: text(&self.scope_version, row),
            attributes: text(&self.scope_attributes, row),
            schema_url: text(&self.scope_schema_url, row),
            dropped: self.scope_dropped.value(row),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ResourceKey<'a> {
    attributes: &'a str,
    schema_url: &'a str,
    entity_refs: &'a str,
    dropped: u32,
}

impl ResourceKey<'_> {
    fn message(&self) -> Result<Resource, ExportError> {
        Ok(Resource {
            attributes: values::attributes(c::RESOURCE, self.attributes)?,
            dropped_attributes_count: self.dropped,
            entity_refs: values::entity_refs(self.entity_refs)?,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct ScopeKey<'a> {
    name: &'a str,
    version: &'a str,
    attributes: &'a str,
    schema_url: &'a str,
    dropped: u32,
}

impl ScopeKey<'_> {
    fn message(&self) -> Result<InstrumentationScope, ExportError> {
        Ok(InstrumentationScope {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            attributes: values::attributes(c::SCOPE_ATTRIBUTES, self.attributes)?,
            dropped_attributes_count: self.dropped,
        })
    }
}

/// Records under their scopes, scopes under their resources, in the order first seen.
pub(super) struct Groups<'a, R> {
    resources: Vec<ResourceKey<'a>>,
    resource_index: HashMap<ResourceKey<'a>, usize>,
    scopes: Vec<Scope<'a, R>>,
    scope_index: HashMap<(usize, ScopeKey<'a>), usize>,
}

struct Scope<'a, R> {
    resource: usize,
    key: ScopeKey<'a>,
    records: Vec<R>,
}

impl<'a, R> Groups<'a, R> {
    pub(super) fn new() -> Groups<'a, R> {
        Groups {
            resources: Vec::new(),
            resource_index: HashMap::new(),
            scopes: Vec::new(),
            scope_index: HashMap::new(),
        }
    }

    /// The index of the scope that a row belongs to.
    pub(super) fn scope(&mut self, envelope: &'a Envelope, row: usize) -> usize {
        let key = envelope.resource(row);
        let resource = *self.resource_index.entry(key).or_insert_with(|| {
            self.resources.push(key);
            self.resources.len() - 1
        });
        let key = envelope.scope(row);
        *self.scope_index.entry((resource, key)).or_insert_with(|| {
            self.scopes.push(Scope { resource, key, records: Vec::new() });
            self.scopes.len() - 1
        })
    }

    /// The records of a scope.
    pub(super) fn records(&mut self, scope: usize) -> &mut Vec<R> {
        &mut self.scopes[scope].records
    }

    /// Wraps the records into the two levels of messages around them.
    pub(super) fn wrap<X, Y>(
        self,
        wrap_scope: impl Fn(Option<InstrumentationScope>, String, Vec<R>) -> Y,
        wrap_resource: impl Fn(Option<Resource>, String, Vec<Y>) -> X,
    ) -> Result<Vec<X>, ExportError> {
        let mut scopes: Vec<Vec<Y>> = self.resources.iter().map(|_| Vec::new()).collect();
        for Scope { resource, key, records } in self.scopes {
            let schema_url = key.schema_url.to_owned();
            scopes[resource].push(wrap_scope(Some(key.message()?), schema_url, records));
        }
        let wrap = |(key, scopes): (&ResourceKey<'_>, _)| {
            Ok(wrap_resource(Some(key.message()?), key.schema_url.to_owned(), scopes))
        };
        self.resources.iter().zip(scopes).map(wrap).collect()
    }
}
