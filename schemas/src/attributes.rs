//! Which attribute keys become columns of their own, and how those columns are called.
//!
//! A key of the fixed list is a column `a.<key>` (record attributes) or `r.<key>` (resource) of
//! every batch and file in which at least one row has it with the listed type. A value of another
//! type stays in the residual. A promoted record attribute is *removed* from `attributes_rest`; the
//! resource column stays complete, its `r.` columns are copies.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow_schema::{DataType, Field};

/// Prefix of promoted record attributes.
pub const ATTRIBUTE_PREFIX: &str = "a.";
/// Prefix of promoted resource attributes.
pub const RESOURCE_PREFIX: &str = "r.";

/// The static type of a promoted key and of a typed attribute access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueType {
    /// Text.
    Text,
    /// 64-bit integer.
    Int,
    /// Double.
    Double,
    /// Boolean.
    Bool,
}

impl ValueType {
    /// The one-letter name in virtual columns and file footers: `s`, `i`, `f`, `b`.
    pub fn letter(self) -> char {
        match self {
            ValueType::Text => 's',
            ValueType::Int => 'i',
            ValueType::Double => 'f',
            ValueType::Bool => 'b',
        }
    }

    /// Reads [`ValueType::letter`] back.
    pub fn from_letter(letter: &str) -> Option<ValueType> {
        [ValueType::Text, ValueType::Int, ValueType::Double, ValueType::Bool]
            .into_iter()
            .find(|t| letter.len() == 1 && letter.starts_with(t.letter()))
    }

    /// The Arrow type of a column of this type.
    pub fn data_type(self) -> DataType {
        match self {
            ValueType::Text => DataType::Utf8View,
            ValueType::Int => DataType::Int64,
            ValueType::Double => DataType::Float64,
            ValueType::Bool => DataType::Boolean,
        }
    }
}

/// Whose attributes: the record's or the resource's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// Span, log record or data point.
    Record,
    /// The resource.
    Resource,
}

impl Owner {
    /// Prefix of promoted columns of this owner.
    pub fn prefix(self) -> &'static str {
        match self {
            Owner::Record => ATTRIBUTE_PREFIX,
            Owner::Resource => RESOURCE_PREFIX,
        }
    }
}

/// One key of the fixed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// Whose key it is.
    pub owner: Owner,
    /// The attribute key as senders write it.
    pub key: &'static str,
    /// The one type the column has for the life of the table.
    pub value_type: ValueType,
    /// Name of the column: prefix and key.
    pub column: &'static str,
}

impl Promoted {
    /// The nullable Arrow field of the column.
    pub fn field(&self) -> Field {
        Field::new(self.column, self.value_type.data_type(), true)
    }
}

macro_rules! record {
    ($($key:literal $t:ident),* $(,)?) => { &[$(Promoted { owner: Owner::Record, key: $key, value_type: ValueType::$t, column: concat!("a.", $key) }),*] };
}
macro_rules! resource {
    ($($key:literal),* $(,)?) => { &[$(Promoted { owner: Owner::Resource, key: $key, value_type: ValueType::Text, column: concat!("r.", $key) }),*] };
}

/// Record attributes that are always promoted when present, old names beside new ones.
pub const RECORD_KEYS: &[Promoted] = record![
    "http.request.method" Text,
    "http.method" Text,
    "http.response.status_code" Int,
    "http.status_code" Int,
    "http.route" Text,
    "url.path" Text,
    "http.target" Text,
    "server.address" Text,
    "net.peer.name" Text,
    "net.host.name" Text,
    "http.host" Text,
    "server.port" Int,
    "net.peer.port" Int,
    "net.host.port" Int,
    "error.type" Text,
    "rpc.system.name" Text,
    "rpc.system" Text,
    "rpc.method" Text,
    "rpc.service" Text,
    "rpc.status_code" Text,
    "rpc.response.status_code" Text,
    "rpc.connect_rpc.error_code" Text,
    "rpc.grpc.status_code" Int,
    "db.system.name" Text,
    "db.system" Text,
    "db.namespace" Text,
    "db.name" Text,
    "db.collection.name" Text,
    "db.sql.table" Text,
    "db.mongodb.collection" Text,
    "db.cassandra.table" Text,
    "db.cosmosdb.container" Text,
    "db.operation.name" Text,
    "db.operation" Text,
    "db.query.summary" Text,
    "messaging.system" Text,
    "messaging.destination.name" Text,
    "messaging.destination" Text,
    "messaging.operation.type" Text,
    "messaging.operation" Text,
    "messaging.consumer.group.name" Text,
    "messaging.kafka.consumer.group" Text,
    "service.peer.name" Text,
    "peer.service" Text,
    "exception.type" Text,
    "code.function.name" Text,
    "gen_ai.provider.name" Text,
    "gen_ai.system" Text,
    "gen_ai.request.model" Text,
];

/// Resource attributes that are always promoted when present.
pub const RESOURCE_KEYS: &[Promoted] = resource![
    "service.namespace",
    "service.instance.id",
    "service.version",
    "deployment.environment.name",
    "deployment.environment",
    "host.id",
    "host.name",
    "k8s.cluster.name",
    "k8s.namespace.name",
    "k8s.node.name",
    "k8s.pod.name",
    "k8s.deployment.name",
    "k8s.container.name",
    "container.id",
    "cloud.region",
    "telemetry.sdk.language",
];

/// Position of a key in its owner's fixed list.
pub fn promoted_index(owner: Owner, key: &str) -> Option<usize> {
    static INDEX: LazyLock<HashMap<(Owner, &'static str), usize>> = LazyLock::new(|| {
        [RECORD_KEYS, RESOURCE_KEYS]
            .iter()
            .flat_map(|list| list.iter().enumerate().map(|(i, p)| ((p.owner, p.key), i)))
            .collect()
    });
    INDEX.get(&(owner, key)).copied()
}

/// The fixed list of an owner.
pub fn promoted_keys(owner: Owner) -> &'static [Promoted] {
    match owner {
        Owner::Record => RECORD_KEYS,
        Owner::Resource => RESOURCE_KEYS,
    }
}

/// The entry of the fixed list for a key, if it has one.
pub fn promoted(owner: Owner, key: &str) -> Option<&'static Promoted> {
    promoted_index(owner, key).map(|i| &promoted_keys(owner)[i])
}

/// The entry whose column has this name.
pub fn promoted_column(column: &str) -> Option<&'static Promoted> {
    if let Some(key) = column.strip_prefix(ATTRIBUTE_PREFIX) {
        return promoted(Owner::Record, key);
    }
    promoted(Owner::Resource, column.strip_prefix(RESOURCE_PREFIX)?)
}
