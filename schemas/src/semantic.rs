//! Semantic columns: one name for a fact that semantic conventions have spelled in several ways.
//!
//! A semantic column is a rule over attribute keys, newest first. It costs nothing in files that
//! lack the old names, and nothing stored is ever rewritten. The type of a semantic column never
//! changes; the key lists may grow.

use crate::Table;
use crate::attributes::{Owner, ValueType};

/// A name of SQL that stands for attribute keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Semantic {
    /// Name of the column.
    pub name: &'static str,
    /// Its type.
    pub value_type: ValueType,
    /// Whose attributes it reads.
    pub owner: Owner,
    /// Alternatives in order; the first one that is not null wins, row by row.
    pub sources: &'static [Source],
}

impl Semantic {
    /// Whether a table offers the column: it must not hide a stored column of the same name.
    pub fn applies_to(&self, table: Table) -> bool {
        table.has_attributes() && table.column(self.name).is_none()
    }
}

/// Where one alternative of a semantic column comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The value of a key.
    Key(&'static str),
    /// The text of a key up to its first `?`.
    BeforeQuery(&'static str),
    /// The text of a key up to its first `:`, the host of `host:port` (not of a bracketed IPv6 address).
    BeforePort(&'static str),
    /// The value of a key, on spans of kind client or producer only.
    ClientKey(&'static str),
    /// The value of a key, on spans of any other kind.
    ServerKey(&'static str),
    /// The key, when its text holds a `/` (a fully qualified RPC method).
    Qualified(&'static str),
    /// Two keys joined by a separator; null when the first is absent, the second alone then counts.
    Joined(&'static str, &'static str, &'static str),
    /// A gRPC status number as its name.
    GrpcStatus(&'static str),
}

use Source::*;
use ValueType::{Int, Text};

macro_rules! semantic {
    ($($name:literal $t:ident [$($source:expr),* $(,)?]),* $(,)?) => {
        &[$(Semantic { name: $name, value_type: $t, owner: Owner::Record, sources: &[$($source),*] }),*]
    };
}

/// Semantic columns over record attributes.
pub const RECORD: &[Semantic] = semantic![
    "http_method" Text [Key("http.request.method"), Key("http.method")],
    "http_status_code" Int [Key("http.response.status_code"), Key("http.status_code")],
    "http_route" Text [Key("http.route")],
    "url_path" Text [Key("url.path"), BeforeQuery("http.target")],
    "url_full" Text [Key("url.full"), Key("http.url")],
    "url_scheme" Text [Key("url.scheme"), Key("http.scheme")],
    "server_address" Text [Key("server.address"), ClientKey("net.peer.name"), ServerKey("net.host.name"), BeforePort("http.host")],
    "server_port" Int [Key("server.port"), ClientKey("net.peer.port"), ServerKey("net.host.port")],
    "client_address" Text [Key("client.address"), Key("http.client_ip")],
    "peer_address" Text [Key("network.peer.address"), Key("net.sock.peer.addr"), Key("net.peer.ip")],
    "user_agent" Text [Key("user_agent.original"), Key("http.user_agent")],
    "error_type" Text [Key("error.type")],
    "rpc_system" Text [Key("rpc.system.name"), Key("rpc.system")],
    "rpc_method" Text [Qualified("rpc.method"), Joined("rpc.service", "/", "rpc.method")],
    "rpc_status" Text [Key("rpc.status_code"), Key("rpc.response.status_code"), Key("rpc.connect_rpc.error_code"), GrpcStatus("rpc.grpc.status_code")],
    "db_system" Text [Key("db.system.name"), Key("db.system")],
    "db_namespace" Text [Key("db.namespace"), Key("db.name")],
    "db_collection" Text [Key("db.collection.name"), Key("db.sql.table"), Key("db.mongodb.collection"), Key("db.cassandra.table"), Key("db.cosmosdb.container")],
    "db_operation" Text [Key("db.operation.name"), Key("db.operation")],
    "db_summary" Text [Key("db.query.summary")],
    "db_query" Text [Key("db.query.text"), Key("db.statement")],
    "messaging_system" Text [Key("messaging.system")],
    "messaging_destination" Text [Key("messaging.destination.name"), Key("messaging.destination")],
    "messaging_operation" Text [Key("messaging.operation.type"), Key("messaging.operation")],
    "messaging_group" Text [Key("messaging.consumer.group.name"), Key("messaging.kafka.consumer.group")],
    "messaging_offset" Int [Key("messaging.kafka.offset"), Key("messaging.kafka.message.offset")],
    "peer_service" Text [Key("service.peer.name"), Key("peer.service")],
    "exception_type" Text [Key("exception.type")],
    "exception_message" Text [Key("exception.message")],
    "code_function" Text [Key("code.function.name"), Joined("code.namespace", ".", "code.function")],
    "code_file" Text [Key("code.file.path"), Key("code.filepath")],
    "code_line" Int [Key("code.line.number"), Key("code.lineno")],
    "gen_ai_provider" Text [Key("gen_ai.provider.name"), Key("gen_ai.system")],
    "gen_ai_model" Text [Key("gen_ai.request.model")],
    "gen_ai_input_tokens" Int [Key("gen_ai.usage.input_tokens"), Key("gen_ai.usage.prompt_tokens")],
    "gen_ai_output_tokens" Int [Key("gen_ai.usage.output_tokens"), Key("gen_ai.usage.completion_tokens")],
];

/// Semantic columns over resource attributes.
pub const RESOURCE: &[Semantic] = &[Semantic {
    name: "environment",
    value_type: Text,
    owner: Owner::Resource,
    sources: &[Key("deployment.environment.name"), Key("deployment.environment")],
}];

/// The semantic column of that name.
pub fn semantic(name: &str) -> Option<&'static Semantic> {
    RECORD.iter().chain(RESOURCE).find(|s| s.name == name)
}

/// Names of the gRPC status codes by number, as `rpc_status` shows them.
pub const GRPC_STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
