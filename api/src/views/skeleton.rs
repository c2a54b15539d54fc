//! The tree of a trace as columns: what it takes to draw it, without attributes.

use serde::{Deserialize, Serialize};

use super::Basis;

rows! {
    /// A trace as columns, in pre-order: the spans below row `i` are rows `i + 1..subtree_end[i]`.
    SkeletonAnswer {
        /// Start of the trace; the starts of rows count from it.
        start: Option<String>,
        /// The columns.
        columns: SkeletonColumns,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// One value a span each.
    SkeletonColumns {
        /// Row of the parent; [`NO_PARENT`] for none.
        parent: Vec<u32>,
        /// Row behind the last descendant.
        subtree_end: Vec<u32>,
        /// Steps to the root.
        depth: Vec<u16>,
        /// From the start of the trace.
        start_ns: Vec<i64>,
        /// Duration.
        duration_ns: Vec<i64>,
        /// Time in which no child ran that the span waited for.
        self_ns: Vec<i64>,
        /// Of a client: its duration less that of the server.
        gap_ns: Vec<i64>,
        /// Time on the critical path.
        critical_ns: Vec<i64>,
        /// Bits of [`span_flags`].
        flags: Vec<u16>,
        /// Index into [`SPAN_KINDS`].
        kind: Vec<u8>,
        /// Index into `names`.
        name: Vec<u32>,
        /// Index into `services`.
        service: Vec<u32>,
        /// Index into `services` of the other side of a call; [`NO_PARENT`] for none.
        peer: Vec<u32>,
        /// 16 hex digits.
        span_id: Vec<String>,
        /// Names of spans, each once.
        names: Vec<String>,
        /// Names of services and peers, each once.
        services: Vec<String>,
    }
}

/// Stands for no row and no entry.
pub const NO_PARENT: u32 = u32::MAX;

/// What [`SkeletonColumns::kind`] counts.
pub const SPAN_KINDS: [&str; 6] =
    ["unspecified", "internal", "server", "client", "producer", "consumer"];

/// Bits of [`SkeletonColumns::flags`].
pub mod span_flags {
    /// In error.
    pub const ERROR: u16 = 1;
    /// The error began here.
    pub const ORIGIN: u16 = 2;
    /// First span of a piece of the trace that nobody waits for: reached by a message or a link.
    pub const ASYNC: u16 = 4;
    /// Its parent did not arrive.
    pub const ORPHAN: u16 = 8;
    /// The other side is known by this span only.
    pub const INFERRED: u16 = 16;
    /// Its clock was corrected.
    pub const SKEWED: u16 = 32;
    /// The same call as one that failed before.
    pub const RETRY: u16 = 64;
    /// In error with all above it.
    pub const FATAL: u16 = 128;
}
