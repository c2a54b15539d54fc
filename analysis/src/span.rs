//! A span as the kernel reads it.

use crate::symbols::Symbol;

/// Kind of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Not said; treated as internal.
    #[default]
    Unspecified,
    /// Work inside a service.
    Internal,
    /// A call received.
    Server,
    /// A call made.
    Client,
    /// A message sent.
    Producer,
    /// A message received.
    Consumer,
}

/// Status of a span as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not said: the protocol's codes decide.
    #[default]
    Unset,
    /// Declared good; never an error.
    Ok,
    /// Declared an error.
    Error,
}

/// One span. Texts are symbols of the kernel's own table ([`crate::Kernel::symbols`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// The 8 bytes of the id, big endian.
    pub span_id: u64,
    /// The parent's id, 0 for none.
    pub parent_id: u64,
    /// Start in nanoseconds since 1970, as sent.
    pub start_ns: i64,
    /// Duration in nanoseconds, 0 where the end lies before the start.
    pub duration_ns: i64,
    /// Kind.
    pub kind: Kind,
    /// Status.
    pub status: Status,
    /// `service.name`.
    pub service: Symbol,
    /// Name of the operation.
    pub name: Symbol,
    /// Which process: `service.instance.id`, else host and pid.
    pub instance: Symbol,
    /// Which clock: host id, host name, node or instance. Absent is unknown and never corrected.
    pub clock: Symbol,
    /// Tells rows with equal ids and times apart: the smaller one is kept.
    pub row_hash: u64,
    /// What the span says of the other side.
    pub target: Target,
    /// First of the span's links in the slice given with the spans.
    pub links_from: u32,
    /// How many links it has.
    pub links_len: u32,
}

/// What a span says of the other side and of its outcome. Absent texts are [`Symbol::NONE`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Target {
    /// `db.system.name`, `db.system`.
    pub db_system: Symbol,
    /// `db.namespace`, `db.name`.
    pub db_namespace: Symbol,
    /// `messaging.system`.
    pub messaging_system: Symbol,
    /// `messaging.destination.name`.
    pub messaging_destination: Symbol,
    /// `messaging.operation.type`: `create`, `send`, `publish`, `receive`, `process`, `settle`.
    pub messaging_operation: Symbol,
    /// `server.address` and its older names.
    pub server_address: Symbol,
    /// `server.port`, 0 for none.
    pub server_port: u32,
    /// `service.peer.name`, `peer.service`.
    pub peer_service: Symbol,
    /// `network.peer.address` and its older names.
    pub peer_address: Symbol,
    /// Host of `url.full`.
    pub url_host: Symbol,
    /// `error.type`.
    pub error_type: Symbol,
    /// gRPC status as its upper-case name (`DEADLINE_EXCEEDED`) or number.
    pub rpc_status: Symbol,
    /// HTTP status, 0 for none.
    pub http_status: u32,
    /// `http.request.resend_count`, 0 for none.
    pub resend_count: u32,
    /// What the call says: `db.query.summary`, else the query with literals replaced; absent: the name.
    pub statement: Symbol,
}

/// A link of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The linked trace, big endian.
    pub trace_id: u128,
    /// The linked span, big endian.
    pub span_id: u64,
}
