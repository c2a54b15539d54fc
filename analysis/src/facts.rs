//! What the kernel says of a span and of its trace.

use crate::symbols::Symbol;

/// What the kernel found out about one span. Index of spans are those of the input slice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpanFacts {
    /// Index of the effective parent; none for roots, orphans and cut cycles.
    pub parent: Option<u32>,
    /// Index of the first span of this span's segment; its own index for a duplicate.
    pub segment: u32,
    /// Steps to the root of its tree, 0 for a root.
    pub depth: u32,
    /// Place in a walk of the trace, parents before children, siblings by start: 0, 1, 2 …
    /// A span's descendants are those with `tree_left` < theirs ≤ `tree_right`.
    pub tree_left: u32,
    /// The largest `tree_left` below the span, its own for a leaf.
    pub tree_right: u32,
    /// Time in which no blocking child ran.
    pub self_ns: i64,
    /// Time between a client or producer and the server it called; none without a blocking server
    /// child.
    pub gap_ns: Option<i64>,
    /// Time on the critical path of its segment.
    pub critical_ns: i64,
    /// How much of the span lies outside its parent.
    pub overflow_ns: i64,
    /// What was added to the start to correct the clock.
    pub skew_ns: i64,
    /// What the span's own time on the path is.
    pub category: Category,
    /// The other side: service or virtual node; absent when there is none.
    pub peer: Symbol,
    /// What the peer is.
    pub peer_kind: Option<NodeKind>,
    /// Whom its path time is charged to: the own service, or the peer.
    pub charged_to: Symbol,
    /// The one edge of the map that this span yields.
    pub edge: Option<Edge>,
    /// Its part in an error; none when it has no part.
    pub error_role: Option<ErrorRole>,
    /// Whether the span is in error.
    pub is_error: bool,
    /// In error, and every ancestor in its segment as well.
    pub is_fatal: bool,
    /// Its parent is named and not there, or was cut from a cycle.
    pub is_orphan: bool,
    /// Left out: another row is the same span.
    pub is_duplicate: bool,
    /// Same peer and name as a sibling that had failed before it began, or marked as sent again.
    pub is_retry: bool,
    /// Whether the span belongs to the segment of the trace's root.
    pub is_main: bool,
    /// Hash of the call path (service, name, kind) from the root; stable between versions.
    pub path_id: u64,
}

/// What a span's own pieces of the path are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Work of the service.
    #[default]
    Own,
    /// Between a client and its server.
    Gap,
    /// Waiting for a database.
    Db,
    /// Waiting for something that sends no spans.
    External,
    /// Waiting for a known service whose half did not arrive.
    Lost,
    /// Handing over a message.
    Queue,
}

/// What a node of the map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKind {
    /// A service that sends spans.
    Service,
    /// A database.
    Db,
    /// A topic or queue.
    Topic,
    /// Something that sends no spans.
    External,
    /// Callers outside.
    User,
    /// A caller whose span never arrived.
    Unknown,
}

/// What an edge of the map is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EdgeKind {
    /// A call from a client span to a service.
    Call,
    /// To a database.
    Db,
    /// A message to a topic.
    Send,
    /// A message from a topic.
    Receive,
    /// To something that sends no spans.
    External,
    /// From `user` or `unknown` into a service.
    Entry,
}

/// The edge a span yields.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edge {
    /// Name of the calling node.
    pub source: Symbol,
    /// What it is.
    pub source_kind: NodeKind,
    /// Name of the called node.
    pub target: Symbol,
    /// What it is.
    pub target_kind: NodeKind,
    /// Kind of the edge.
    pub kind: EdgeKind,
    /// The client's span is missing; the edge is concluded from the server's.
    pub is_inferred: bool,
    /// The target is known by its address; its own span did not arrive.
    pub is_lost: bool,
    /// The address asked for, where another service answered.
    pub via: Symbol,
    /// Calls or messages, 1 but for batches.
    pub calls: u32,
    /// Duration seen by the caller.
    pub client_ns: Option<i64>,
    /// Duration seen by the callee.
    pub server_ns: Option<i64>,
    /// Between the two; for a received message, how long it waited.
    pub gap_ns: Option<i64>,
    /// Whether the caller's side failed.
    pub client_error: bool,
    /// Whether the callee's side failed.
    pub server_error: bool,
}

/// The part of a span in an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorRole {
    /// The caller gave up while the callee was well.
    TimeoutOrigin,
    /// The call failed and no server span tells why.
    PeerOrigin,
    /// In error because a child is.
    Propagated,
    /// In error by itself.
    Origin,
    /// A child failed, the span did not.
    Absorbed,
}

/// What the kernel says of a whole trace.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TraceFacts {
    /// Index of the root; an orphan when no true root arrived.
    pub root: Option<u32>,
    /// Whether the root is a true one, nothing is an orphan, and no row was left out that differs
    /// from the one kept.
    pub is_whole: bool,
    /// Start of the root, as sent.
    pub start_ns: i64,
    /// Duration of the root.
    pub duration_ns: i64,
    /// Spans without duplicates.
    pub spans: u32,
    /// Spans in error.
    pub errors: u32,
    /// Distinct services.
    pub services: u32,
    /// Largest depth.
    pub depth: u32,
    /// Spans whose parent is not there.
    pub orphans: u32,
    /// Rows left out as the same span.
    pub duplicates: u32,
    /// Cycles cut.
    pub cycles: u32,
    /// Segments besides the main one.
    pub segments: u32,
    /// Clock corrections refused as too large.
    pub skew_refused: u32,
    /// Gaps and lags that came out negative and were floored.
    pub gaps_floored: u32,
}
