//! Columns of spans that no sender wrote: what the trace kernel says of a span and of its trace.
//!
//! They are columns of `spans` as soon as a statement names one, and the table `traces` has one row
//! a trace of them. `docs/sql/tables.md` is generated from here.

use arrow_schema::Field;

use crate::columns::{self as c, Kind};

/// One derived column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived<F: 'static> {
    /// Which fact it shows.
    pub fact: F,
    /// Name in SQL.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it means.
    pub doc: &'static str,
}

impl<F> Derived<F> {
    /// The nullable Arrow field of the column.
    pub fn field(&self) -> Field {
        Field::new(self.name, self.kind.data_type(), true)
    }
}

macro_rules! derived {
    ($(#[$doc:meta])* $all:ident: $fact:ident { $($variant:ident $name:literal $kind:ident $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "the table below says what each is")]
        pub enum $fact { $($variant),* }

        $(#[$doc])*
        pub const $all: &[Derived<$fact>] = &[
            $(Derived { fact: $fact::$variant, name: $name, kind: Kind::$kind, doc: $text }),*
        ];
    };
}

derived! {
    /// What the kernel says of a span.
    SPAN_FACTS: SpanFact {
        TraceComplete "trace_complete" Bool "the trace has its root, every parent is there, and nothing arrived for 30 s",
        RootService "root_service" Text "service of the trace's root",
        RootName "root_name" Text "name of the trace's root: the root operation",
        RootStart "root_start" Time "start of the trace's root",
        RootDuration "root_duration_ns" Int64 "duration of the trace's root",
        IsRoot "is_root" Bool "the span is the root of its trace",
        ParentService "parent_service" Text "service of the parent",
        ParentName "parent_name" Text "name of the parent",
        Depth "depth" Int64 "steps to the root",
        TreeLeft "tree_left" Int64 "place in a walk of the trace, parents first, siblings by start",
        TreeRight "tree_right" Int64 "last place below the span: its descendants have tree_left above its own and up to this",
        SegmentId "segment_id" Id8 "span id of the first span of the piece of the trace that waits as one; messages begin a new one",
        IsMain "is_main" Bool "the span belongs to the segment of the trace's root",
        SelfNs "self_ns" Int64 "time in which no child ran that the span waited for",
        GapNs "gap_ns" Int64 "of a client: its duration less that of the server it called; network, proxies and queues",
        CriticalNs "critical_ns" Int64 "time on the critical path of its segment; the sum over a segment is its duration",
        Category "category" Text "what the span's time on the path is: `self`, `gap`, `db`, `queue`, `external`, `lost`",
        ChargedTo "charged_to" Text "node that the time on the path is charged to: the own service or the peer",
        Peer "peer" Text "the other side: a service, database, topic or external address",
        PeerKind "peer_kind" Text "`service`, `db`, `topic`, `external`",
        ErrorRole "error_role" Text "`origin`, `peer_origin`, `timeout_origin`, `propagated`, `absorbed`; null without an error",
        IsError "is_error" Bool "the span is in error, by its status or else by its protocol",
        IsFatal "is_fatal" Bool "in error, and every ancestor in its segment as well",
        IsRetry "is_retry" Bool "the same call as an earlier sibling that failed, or marked as sent again",
        IsOrphan "is_orphan" Bool "its parent did not arrive",
        IsDuplicate "is_duplicate" Bool "another row is the same span; left out of every count",
        PathId "path_id" Id8 "hash of the call path (service, name, kind) from the root",
        OverflowNs "overflow_ns" Int64 "how much of the span lies outside its parent",
        SkewNs "skew_ns" Int64 "what the kernel added to the start to correct the clock",
        EdgeKind "edge_kind" Text "edge of the map that the span yields: `call`, `db`, `send`, `receive`, `external`, `entry`; null for none",
        EdgeSource "edge_source" Text "calling node",
        EdgeSourceKind "edge_source_kind" Text "`service`, `topic`, `user`, `unknown`",
        EdgeTarget "edge_target" Text "called node",
        EdgeTargetKind "edge_target_kind" Text "`service`, `db`, `topic`, `external`",
        EdgeCalls "edge_calls" Int64 "calls or messages that the edge stands for",
        EdgeInferred "edge_inferred" Bool "the caller's span is missing; the edge follows from the callee's",
        EdgeLost "edge_lost" Bool "the callee is known by its address only: its span lost the context",
        EdgeVia "edge_via" Text "address that was asked for where another service answered",
        EdgeClientNs "edge_client_ns" Int64 "duration on the caller's side",
        EdgeServerNs "edge_server_ns" Int64 "duration on the callee's side",
        EdgeGapNs "edge_gap_ns" Int64 "between the two; of a received message: how long it waited",
        EdgeClientError "edge_client_error" Bool "the caller's side failed",
        EdgeServerError "edge_server_error" Bool "the callee's side failed",
    }
}

derived! {
    /// Columns of the table `traces`: one row a trace.
    TRACE_FACTS: TraceFact {
        TraceId "trace_id" Id16 "16-byte trace id",
        RootService "root_service" Text "service of the root",
        RootName "root_name" Text "name of the root: the root operation",
        StartTime "start_time" Time "start of the root",
        Duration "duration_ns" Int64 "duration of the root",
        SpanCount "span_count" Int64 "spans, duplicates left out",
        ErrorCount "error_count" Int64 "spans in error",
        IsError "is_error" Bool "the root is in error",
        ServiceCount "service_count" Int64 "distinct services",
        Depth "depth" Int64 "longest way from a root to a leaf",
        SegmentCount "segment_count" Int64 "pieces that wait as one; messages begin a new one",
        OrphanCount "orphan_count" Int64 "spans whose parent did not arrive",
        DuplicateCount "duplicate_count" Int64 "rows left out as the same span",
        TraceComplete "trace_complete" Bool "the root is there, every parent is there, and nothing arrived for 30 s",
    }
}

derived! {
    /// Columns of `critical_paths()`: one row a piece of the critical path of a segment.
    PATH_FACTS: PathFact {
        TraceId "trace_id" Id16 "16-byte trace id",
        RootService "root_service" Text "service of the trace's root",
        RootName "root_name" Text "name of the trace's root",
        RootStart "root_start" Time "start of the trace's root",
        Seq "seq" Int64 "place of the piece in the trace: the main segment first, each in order of time",
        SegmentId "segment_id" Id8 "span id of the first span of the segment",
        SpanId "span_id" Id8 "span that owns the piece",
        ServiceName "service_name" Text "its service",
        Name "name" Text "its name",
        FromNs "from_ns" Int64 "where the piece begins, from the start of the segment",
        ToNs "to_ns" Int64 "where it ends",
        Category "category" Text "what the time is: `self`, `gap`, `db`, `queue`, `external`, `lost`",
        ChargedTo "charged_to" Text "node that it is charged to",
        IsMain "is_main" Bool "the segment is that of the trace's root",
    }
}

derived! {
    /// Columns of the table `error_origins`: one row a place in a trace where an error began.
    ERROR_FACTS: ErrorFact {
        TraceId "trace_id" Id16 "16-byte trace id",
        SpanId "span_id" Id8 "span in which the error began",
        RootService "root_service" Text "service of the trace's root",
        RootName "root_name" Text "name of the trace's root",
        RootStart "root_start" Time "start of the trace's root",
        Signature "signature" Id8 "hash of service, name and `error.type` along the path; stable",
        Path "path" Text "services and names from the first span of the segment to the origin",
        Origin "origin" Text "service, or `caller → callee` where the call itself failed",
        OriginKind "origin_kind" Text "`service` or `edge`",
        ErrorRole "error_role" Text "`origin`, `peer_origin`, `timeout_origin`",
        ErrorType "error_type" Text "`error.type` of the span, else its protocol's status",
        IsFatal "is_fatal" Bool "every span of the path is in error: the request failed of it",
        CostNs "cost_ns" Int64 "path time of what failed",
    }
}

derived! {
    /// Columns of the table `call_patterns`: one row a group of sibling calls that wait for each other.
    PATTERN_FACTS: PatternFact {
        TraceId "trace_id" Id16 "16-byte trace id",
        SpanId "span_id" Id8 "the span that makes the calls",
        RootService "root_service" Text "service of the trace's root",
        RootName "root_name" Text "name of the trace's root",
        RootStart "root_start" Time "start of the trace's root",
        Rule "rule" Text "`n_plus_one`: the same call five times or more; `serial_fanout`: calls to several peers",
        ServiceName "service_name" Text "service that makes the calls",
        Name "name" Text "its operation",
        Peer "peer" Text "whom all calls go to; null when to several",
        CallName "call_name" Text "name of the first call",
        Calls "calls" Int64 "how many",
        SavingNs "saving_ns" Int64 "what would be saved at most if they ran side by side",
    }
}

/// The view `service_edges`: a row a call or message, on which `service_map` counts. Each column is
/// one of `spans`, by a shorter name.
pub const SERVICE_EDGES: &[(&str, &str)] = &[
    ("src", "edge_source"),
    ("src_kind", "edge_source_kind"),
    ("dst", "edge_target"),
    ("dst_kind", "edge_target_kind"),
    ("edge_kind", "edge_kind"),
    ("start_time", c::START_TIME),
    ("trace_id", c::TRACE_ID),
    ("span_id", c::SPAN_ID),
    ("name", c::NAME),
    ("calls", "edge_calls"),
    ("client_ns", "edge_client_ns"),
    ("server_ns", "edge_server_ns"),
    ("gap_ns", "edge_gap_ns"),
    ("client_error", "edge_client_error"),
    ("server_error", "edge_server_error"),
    ("is_retry", "is_retry"),
    ("inferred", "edge_inferred"),
    ("lost_context", "edge_lost"),
    ("via", "edge_via"),
    ("root_service", "root_service"),
    ("root_name", "root_name"),
    ("root_start", "root_start"),
    ("trace_complete", "trace_complete"),
];

/// The derived column of `spans` of that name.
pub fn span_fact(name: &str) -> Option<&'static Derived<SpanFact>> {
    SPAN_FACTS.iter().find(|d| d.name == name)
}
