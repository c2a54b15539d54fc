//! The tree of a trace as columns: what it takes to draw it, without attributes.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
}

/// One value a span each. On the wire, places are counted from their own row: so numbers are small, and a
/// trace of a million spans takes 60 MB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SkeletonColumns {
    /// Row of the parent; [`NO_PARENT`] for none.
    pub parent: Vec<u32>,
    /// Row behind the last descendant.
    pub subtree_end: Vec<u32>,
    /// Steps to the root.
    pub depth: Vec<u16>,
    /// From the start of the trace.
    pub start_ns: Vec<i64>,
    /// Duration.
    pub duration_ns: Vec<i64>,
    /// Time in which no child ran that the span waited for.
    pub self_ns: Vec<i64>,
    /// Of a client: its duration less that of the server.
    pub gap_ns: Vec<i64>,
    /// Time on the critical path.
    pub critical_ns: Vec<i64>,
    /// Bits of [`span_flags`].
    pub flags: Vec<u16>,
    /// Index into [`SPAN_KINDS`].
    pub kind: Vec<u8>,
    /// Index into `names`.
    pub name: Vec<u32>,
    /// Index into `services`.
    pub service: Vec<u32>,
    /// Index into `services` of the other side of a call; [`NO_PARENT`] for none.
    pub peer: Vec<u32>,
    /// 16 hex digits.
    pub span_id: Vec<String>,
    /// Names of spans, each once.
    pub names: Vec<String>,
    /// Names of services and peers, each once.
    pub services: Vec<String>,
}

/// The columns as they are sent.
#[derive(Serialize)]
struct Sent<'a> {
    /// Rows up to the parent, 0 for none.
    up: Vec<u32>,
    /// Rows of the subtree, the own one included.
    size: Vec<u32>,
    depth: &'a [u16],
    /// From the start of the parent, of the trace without one.
    after_ns: Vec<i64>,
    duration_ns: &'a [i64],
    self_ns: &'a [i64],
    gap_ns: &'a [i64],
    critical_ns: &'a [i64],
    flags: &'a [u16],
    kind: &'a [u8],
    name: &'a [u32],
    service: &'a [u32],
    /// Index into `services` plus 1; 0 for none.
    peer: Vec<u32>,
    /// All ids behind each other.
    span_id: String,
    names: &'a [String],
    services: &'a [String],
}

/// The same when it is read.
#[derive(Deserialize)]
struct Received {
    up: Vec<u32>,
    size: Vec<u32>,
    depth: Vec<u16>,
    after_ns: Vec<i64>,
    duration_ns: Vec<i64>,
    self_ns: Vec<i64>,
    gap_ns: Vec<i64>,
    critical_ns: Vec<i64>,
    flags: Vec<u16>,
    kind: Vec<u8>,
    name: Vec<u32>,
    service: Vec<u32>,
    peer: Vec<u32>,
    span_id: String,
    names: Vec<String>,
    services: Vec<String>,
}

/// Digits of a span id.
const ID_DIGITS: usize = 16;

impl Serialize for SkeletonColumns {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let rows = || self.parent.iter().enumerate();
        let start_of = |row: u32| self.start_ns.get(row as usize).copied().unwrap_or(0);
        let up = |(row, parent): (usize, &u32)| match *parent {
            NO_PARENT => 0,
            parent => (row as u32).wrapping_sub(parent),
        };
        let after_ns = |(row, parent): (usize, &u32)| match *parent {
            NO_PARENT => start_of(row as u32),
            parent => start_of(row as u32).wrapping_sub(start_of(parent)),
        };
        let sizes = self.subtree_end.iter().enumerate();
        Sent {
            up: rows().map(up).collect(),
            size: sizes.map(|(row, end)| end.wrapping_sub(row as u32)).collect(),
            depth: &self.depth,
            after_ns: rows().map(after_ns).collect(),
            duration_ns: &self.duration_ns,
            self_ns: &self.self_ns,
            gap_ns: &self.gap_ns,
            critical_ns: &self.critical_ns,
            flags: &self.flags,
            kind: &self.kind,
            name: &self.name,
            service: &self.service,
            peer: self.peer.iter().map(|peer| peer.wrapping_add(1)).collect(),
            span_id: self.span_id.concat(),
            names: &self.names,
            services: &self.services,
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for SkeletonColumns {
    /// Places may point anywhere afterwards; whoever draws checks them.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let received = Received::deserialize(from)?;
        if !received.span_id.is_ascii() {
            return Err(D::Error::custom("span_id has others than hex digits"));
        }
        let parent = |(row, up): (usize, &u32)| match *up {
            0 => NO_PARENT,
            up => (row as u32).wrapping_sub(up),
        };
        let parents: Vec<u32> = received.up.iter().enumerate().map(parent).collect();
        let mut start_ns: Vec<i64> = Vec::with_capacity(received.after_ns.len());
        for (row, after_ns) in received.after_ns.iter().enumerate() {
            // A parent comes before its children.
            let of_parent = parents.get(row).and_then(|parent| start_ns.get(*parent as usize));
            start_ns.push(of_parent.copied().unwrap_or(0).wrapping_add(*after_ns));
        }
        let ends = received.size.iter().enumerate();
        let id = |at: usize| received.span_id[at * ID_DIGITS..(at + 1) * ID_DIGITS].to_owned();
        Ok(SkeletonColumns {
            subtree_end: ends.map(|(row, size)| (row as u32).wrapping_add(*size)).collect(),
            depth: received.depth,
            start_ns,
            duration_ns: received.duration_ns,
            self_ns: received.self_ns,
            gap_ns: received.gap_ns,
            critical_ns: received.critical_ns,
            flags: received.flags,
            kind: received.kind,
            name: received.name,
            service: received.service,
            peer: received.peer.iter().map(|peer| peer.wrapping_sub(1)).collect(),
            span_id: (0..received.span_id.len() / ID_DIGITS).map(id).collect(),
            names: received.names,
            services: received.services,
            parent: parents,
        })
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
