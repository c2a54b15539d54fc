//! Calls of one parent that follow a pattern: sent again, one by one for each row, one after another
//! to several peers (section 13 of the definitions).

use super::peers::{Part, Peer};
use super::tree::{Node, children};
use crate::facts::SpanFacts;
use crate::span::{Kind, Span};
use crate::symbols::Symbol;

/// So many equal calls one after another are a loop.
const LOOP_MIN: usize = 5;

/// A pause up to this long, or up to a twentieth of the parent, does not part two calls.
const PAUSE_NS: i64 = 1_000_000;
const PAUSE_SHARE: i64 = 20;

/// A pattern among the calls of one parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Which one.
    pub rule: PatternRule,
    /// Index of the parent.
    pub parent: u32,
    /// Whom all calls went to; absent where they went to several.
    pub peer: Symbol,
    /// Index of the first call.
    pub first: u32,
    /// How many calls.
    pub calls: u32,
    /// What would be saved at most if they ran side by side.
    pub saving_ns: i64,
}

/// Which pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatternRule {
    /// The same call at least five times, one after another.
    NPlusOne,
    /// Calls to at least two peers one after another, almost without a pause.
    SerialFanout,
}

/// A call of the parent at hand.
#[derive(Clone, Copy, Debug)]
struct Call {
    start: i64,
    end: i64,
    rank: u32,
    index: u32,
    kind: Kind,
    peer: Symbol,
    what: Symbol,
    is_error: bool,
}

/// A trace whose facts are known. Peers are by place.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) spans: &'a [Span],
    pub(super) nodes: &'a [Node],
    pub(super) peers: &'a [Peer],
}

impl Known<'_> {
    /// The call that a span is, if it is one and its peer is known. A wrapper stands for its
    /// attempts; its peer is that of the first.
    fn call(self, place: u32, what: impl Fn(&Span) -> Symbol) -> Option<Call> {
        let node = &self.nodes[place as usize];
        if !matches!(node.kind, Kind::Client | Kind::Producer) {
            return None;
        }
        let peer = self.peer(place).some()?;
        Some(Call {
            start: node.start,
            end: node.end,
            rank: node.rank,
            index: node.index,
            kind: node.kind,
            peer,
            what: what(&self.spans[node.index as usize]),
            is_error: node.is_error,
        })
    }

    fn peer(self, place: u32) -> Symbol {
        let own = self.peers[place as usize];
        if own.part != Part::Logical {
            return own.name;
        }
        children(self.nodes, place)
            .filter(|child| self.nodes[*child as usize].kind == Kind::Client)
            .map(|child| self.peers[child as usize].name)
            .find(|peer| !peer.is_none())
            .unwrap_or_default()
    }
}

/// Finds patterns; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Finds {
    calls: Vec<Call>,
    taken: Vec<Call>,
}

impl Finds {
    /// Marks the calls that repeat a failed one: same parent, peer and name, begun after it ended.
    pub(super) fn mark_retries(&mut self, known: Known<'_>, facts: &mut [SpanFacts]) {
        for (place, node) in (0u32..).zip(known.nodes) {
            if known.spans[node.index as usize].target.resend_count > 0 {
                facts[node.index as usize].is_retry = true;
            }
            if node.has_failed_call {
                self.mark_siblings(known, facts, place);
            }
        }
    }

    fn mark_siblings(&mut self, known: Known<'_>, facts: &mut [SpanFacts], parent: u32) {
        self.calls.clear();
        let calls = children(known.nodes, parent);
        self.calls.extend(calls.filter_map(|place| known.call(place, |span| span.name)));
        self.calls.sort_unstable_by_key(|call| (call.peer, call.what, call.start, call.rank));
        for group in self.calls.chunk_by(is_same) {
            let mut failed: Option<i64> = None;
            for call in group {
                if failed.is_some_and(|end| call.start >= end) {
                    facts[call.index as usize].is_retry = true;
                }
                if call.is_error {
                    failed = Some(failed.map_or(call.end, |end| end.min(call.end)));
                }
            }
        }
    }

    /// All patterns of a trace, parents in order of the walk.
    pub(super) fn patterns(&mut self, known: Known<'_>, facts: &[SpanFacts]) -> Vec<Pattern> {
        let mut found = Vec::new();
        for (place, node) in (0u32..).zip(known.nodes) {
            if node.last == place {
                continue;
            }
            self.gather(known, facts, place);
            let begin = found.len();
            self.find_loops(node, &mut found);
            self.find_fanouts(node, &mut found);
            let start = |pattern: &Pattern| {
                let first = known.spans[pattern.first as usize];
                (first.start_ns, first.span_id)
            };
            found[begin..].sort_by_key(|pattern| (pattern.rule, start(pattern)));
        }
        found
    }

    /// The calls that a parent may have waited for: those with an edge, and wrappers.
    fn gather(&mut self, known: Known<'_>, facts: &[SpanFacts], parent: u32) {
        self.calls.clear();
        let said = |span: &Span| span.target.statement.some().unwrap_or(span.name);
        let counts = |place: &u32| {
            let node = &known.nodes[*place as usize];
            node.is_blocking
                && (facts[node.index as usize].edge.is_some()
                    || known.peers[*place as usize].part == Part::Logical)
        };
        let calls = children(known.nodes, parent).filter(counts);
        self.calls.extend(calls.filter_map(|place| known.call(place, said)));
    }

    fn find_loops(&mut self, parent: &Node, found: &mut Vec<Pattern>) {
        self.taken.clear();
        self.taken.extend(self.calls.iter().filter(|call| call.kind == Kind::Client));
        self.taken.sort_unstable_by_key(|c| (c.peer, c.what, c.end, c.start, c.rank));
        for group in self.taken.chunk_by(is_same) {
            // Always the one that ends next gives the most calls that do not overlap.
            let mut end = i64::MIN;
            let serial = group.iter().filter(|call| {
                let fits = call.start >= end;
                if fits {
                    end = call.end;
                }
                fits
            });
            let run = Run::of(serial);
            if run.calls as usize >= LOOP_MIN {
                found.extend(run.pattern(PatternRule::NPlusOne, parent, group[0].peer));
            }
        }
    }

    /// Calls that overlap another run side by side already: they end a series.
    fn find_fanouts(&mut self, parent: &Node, found: &mut Vec<Pattern>) {
        let pause = PAUSE_NS.max(parent.len() / PAUSE_SHARE);
        self.calls.sort_unstable_by_key(|call| (call.start, call.end, call.rank));
        self.taken.clear();
        let mut end = i64::MIN;
        for at in 0..self.calls.len() {
            let call = self.calls[at];
            let is_free = call.start >= end;
            let next_is_free = self.calls.get(at + 1).is_none_or(|next| next.start >= call.end);
            let follows =
                self.taken.last().is_none_or(|last| call.start.saturating_sub(last.end) < pause);
            if !(is_free && next_is_free && follows) {
                self.close_series(parent, found);
            }
            if is_free && next_is_free {
                self.taken.push(call);
            }
            end = end.max(call.end);
        }
        self.close_series(parent, found);
    }

    fn close_series(&mut self, parent: &Node, found: &mut Vec<Pattern>) {
        let first = self.taken.first().map(|call| call.peer);
        if self.taken.iter().any(|call| Some(call.peer) != first) {
            let run = Run::of(self.taken.iter());
            found.extend(run.pattern(PatternRule::SerialFanout, parent, Symbol::NONE));
        }
        self.taken.clear();
    }
}

/// Whether two calls ask the same of the same peer.
fn is_same(a: &Call, b: &Call) -> bool {
    (a.peer, a.what) == (b.peer, b.what)
}

/// Calls one after another.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    first: Option<u32>,
    calls: u32,
    sum_ns: i64,
    longest_ns: i64,
}

impl Run {
    fn of<'a>(calls: impl Iterator<Item = &'a Call>) -> Run {
        calls.fold(Run::default(), |run, call| {
            let len = call.end - call.start;
            Run {
                first: run.first.or(Some(call.index)),
                calls: run.calls + 1,
                sum_ns: run.sum_ns.saturating_add(len),
                longest_ns: run.longest_ns.max(len),
            }
        })
    }

    fn pattern(self, rule: PatternRule, parent: &Node, peer: Symbol) -> Option<Pattern> {
        Some(Pattern {
            rule,
            parent: parent.index,
            peer,
            first: self.first?,
            calls: self.calls,
            saving_ns: self.sum_ns - self.longest_ns,
        })
    }
}
