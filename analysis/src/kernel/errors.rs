//! Which spans are in error, and what part they have in it (section 12 of the definitions).

use super::lexicon::{Lexicon, Rpc};
use super::patterns::Known;
use super::peers::Part;
use super::prepare::NONE;
use super::tree::{Node, children};
use crate::facts::{ErrorRole, SpanFacts};
use crate::hash;
use crate::span::{Kind, Span, Status};
use crate::symbols::Symbol;

/// From this HTTP status on the server is at fault.
const HTTP_SERVER_ERRORS: u32 = 500;

/// Errors of gRPC that a server answers for.
const RPC_SERVER_ERRORS: [u32; 6] = [2, 4, 12, 13, 14, 15];

/// Cancelled, and deadline exceeded.
const RPC_TIMEOUTS: [u32; 2] = [1, 4];

/// One way down to where an error began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPath {
    /// From the first span of the segment to the origin.
    pub spans: Vec<u32>,
    /// Hash of service, name and `error.type` along the path; stable between runs and versions.
    pub signature: u64,
    /// The last of `spans`.
    pub origin: u32,
    /// Whether every span of the path is in error.
    pub is_fatal: bool,
    /// Where the walk to the origin began: the first span in error, or where a span above went on
    /// with another child because that one ended later.
    pub top: u32,
    /// Path time of `top` and all below it in the segment.
    pub cost_ns: i64,
}

/// Whether a span is in error.
fn is_error(span: &Span, lexicon: &Lexicon) -> bool {
    match span.status {
        Status::Ok => false,
        Status::Error => true,
        Status::Unset => {
            let code = lexicon.word(span.target.rpc_status).status;
            let by_rpc = match span.kind {
                Kind::Client => !matches!(code, Rpc::Absent | Rpc::Code(0)),
                Kind::Server => matches!(code, Rpc::Code(c) if RPC_SERVER_ERRORS.contains(&c)),
                _ => false,
            };
            by_rpc || span.target.http_status >= HTTP_SERVER_ERRORS
        }
    }
}

/// Marks who is in error, who has a child in error, and who is so with all ancestors. Returns how
/// many are in error.
pub(super) fn mark(spans: &[Span], nodes: &mut [Node], lexicon: &Lexicon) -> u32 {
    let mut errors = 0;
    for place in 0..nodes.len() {
        let node = &nodes[place];
        if !is_error(&spans[node.index as usize], lexicon) {
            continue;
        }
        errors += 1;
        let Node { kind, is_blocking, parent, .. } = *node;
        let mut is_fatal = !is_blocking;
        if parent != NONE {
            let parent = &mut nodes[parent as usize];
            is_fatal |= parent.is_fatal;
            parent.has_error |= is_blocking;
            parent.has_failed_call |= matches!(kind, Kind::Client | Kind::Producer);
        }
        let node = &mut nodes[place];
        node.is_error = true;
        node.is_fatal = is_fatal;
    }
    errors
}

/// The part of a span in an error. A logical call is no call of its own: its attempts are.
pub(super) fn role(
    spans: &[Span],
    nodes: &[Node],
    lexicon: &Lexicon,
    place: u32,
    is_logical: bool,
) -> Option<ErrorRole> {
    let node = &nodes[place as usize];
    if !node.is_error {
        return node.has_error.then_some(ErrorRole::Absorbed);
    }
    let gave_up = || {
        gives_up(&spans[node.index as usize], lexicon)
            && children(nodes, place).map(|child| &nodes[child as usize]).any(|child| {
                child.kind == Kind::Server && (!child.is_error || child.end > node.end)
            })
    };
    let is_client = node.kind == Kind::Client;
    Some(if is_client && node.server != NONE && gave_up() {
        ErrorRole::TimeoutOrigin
    } else if is_client && node.server == NONE && !is_logical {
        ErrorRole::PeerOrigin
    } else if node.has_error {
        ErrorRole::Propagated
    } else {
        ErrorRole::Origin
    })
}

/// Whether the error is of a caller that stopped waiting.
fn gives_up(span: &Span, lexicon: &Lexicon) -> bool {
    let code = lexicon.word(span.target.rpc_status).status;
    lexicon.word(span.target.error_type).is_timeout
        || matches!(code, Rpc::Code(c) if RPC_TIMEOUTS.contains(&c))
}

/// Hash of a path with one span more.
fn signature(lexicon: &Lexicon, path: u64, span: &Span) -> u64 {
    [span.service, span.name, span.target.error_type]
        .into_iter()
        .map(|text: Symbol| lexicon.word(text).hash)
        .fold(path, hash::step)
}

/// Spans of all paths together are bounded by this, or by the spans of the trace if they are more.
/// The first path is always whole.
const PATHS_SPANS_MAX: usize = 1 << 20;

/// Where an error led: the walk from `top` to `origin`.
#[derive(Clone, Copy, Debug)]
struct Walk {
    top: u32,
    origin: u32,
    cost_ns: i64,
}

/// The paths of all errors, costliest first: one for each origin. The transport of a call has none
/// beside that of the call.
pub(super) fn paths(
    known: Known<'_>,
    facts: &[SpanFacts],
    critical: &[i64],
    lexicon: &Lexicon,
) -> Vec<ErrorPath> {
    let Known { spans, nodes, .. } = known;
    let sums = sums_below(nodes, critical);
    let mut walks = walks(known, facts, &sums);
    walks.sort_unstable_by_key(|walk| {
        (std::cmp::Reverse(walk.cost_ns), nodes[walk.top as usize].depth, walk.top)
    });
    let signatures = signatures(spans, nodes, lexicon);
    let mut left = PATHS_SPANS_MAX.max(nodes.len());
    let mut found = Vec::new();
    for walk in walks {
        let origin = &nodes[walk.origin as usize];
        let len = (origin.depth - nodes[origin.segment as usize].depth) as usize + 1;
        if len > left {
            continue;
        }
        left -= len;
        found.push(ErrorPath {
            spans: path(nodes, walk.origin, len),
            signature: signatures[walk.origin as usize],
            origin: origin.index,
            is_fatal: origin.is_fatal,
            top: nodes[walk.top as usize].index,
            cost_ns: walk.cost_ns,
        });
    }
    found
}

/// Path time of each span and all below it in its segment.
fn sums_below(nodes: &[Node], critical: &[i64]) -> Vec<i64> {
    let mut sums = critical.to_vec();
    for (place, node) in nodes.iter().enumerate().rev() {
        if node.is_blocking {
            sums[node.parent as usize] += sums[place];
        }
    }
    sums
}

/// Leads every span in error on to its child in error that ended last, until one has none or is to
/// blame by itself. Parents come before children, so one pass is enough.
fn walks(known: Known<'_>, facts: &[SpanFacts], sums: &[i64]) -> Vec<Walk> {
    let Known { nodes, peers, .. } = known;
    let mut tops = vec![NONE; nodes.len()];
    let mut walks = Vec::new();
    for (place, node) in (0u32..).zip(nodes) {
        if !node.is_error || peers[place as usize].part == Part::Transport {
            continue;
        }
        if tops[place as usize] == NONE {
            tops[place as usize] = place;
        }
        let top = tops[place as usize];
        let role = facts[node.index as usize].error_role;
        let stops = matches!(role, Some(ErrorRole::TimeoutOrigin | ErrorRole::PeerOrigin));
        match last_in_error(nodes, place).filter(|_| !stops) {
            Some(next) => tops[next as usize] = top,
            None => walks.push(Walk { top, origin: place, cost_ns: sums[top as usize] }),
        }
    }
    walks
}

/// The blocking child in error that ended last.
fn last_in_error(nodes: &[Node], place: u32) -> Option<u32> {
    if !nodes[place as usize].has_error {
        return None;
    }
    children(nodes, place)
        .filter(|child| {
            let child = &nodes[*child as usize];
            child.is_error && child.is_blocking
        })
        .max_by_key(|child| {
            let node = &nodes[*child as usize];
            (node.end, node.start, std::cmp::Reverse(node.rank))
        })
}

/// Indices from the first span of the segment down to the one at `place`.
fn path(nodes: &[Node], place: u32, len: usize) -> Vec<u32> {
    let mut path = Vec::with_capacity(len);
    let mut at = place;
    for _ in 0..len {
        path.push(nodes[at as usize].index);
        at = nodes[at as usize].parent;
    }
    path.reverse();
    path
}

/// Signatures of the paths to all spans.
fn signatures(spans: &[Span], nodes: &[Node], lexicon: &Lexicon) -> Vec<u64> {
    let mut found: Vec<u64> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let above = if node.is_blocking { found[node.parent as usize] } else { 0 };
        found.push(signature(lexicon, above, &spans[node.index as usize]));
    }
    found
}
