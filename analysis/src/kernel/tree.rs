//! The walk of a trace: its spans in an order in which parents come before children and siblings by
//! start, with what follows from place and time alone: blocking, segments, clipping, self time
//! (sections 3 and 5 of the definitions).

use super::prepare::{NONE, Rows};
use crate::span::{Kind, Span};

/// A span at its place in the walk. The descendants of a node are the nodes after it up to `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Start, clock corrected.
    pub(super) start: i64,
    /// End, clock corrected; never before the start.
    pub(super) end: i64,
    /// Where the interval of the path begins.
    pub(super) from: i64,
    /// Where it ends; equal to `from` where nothing of the span is inside its parents.
    pub(super) to: i64,
    /// Time within the span in which a blocking child ran.
    pub(super) covered: i64,
    /// End of the covered time so far.
    covered_to: i64,
    /// Index in the input.
    pub(super) index: u32,
    /// Compares as the ids do.
    pub(super) rank: u32,
    /// Place of the parent.
    pub(super) parent: u32,
    /// Place of the last descendant.
    pub(super) last: u32,
    /// Place of the first span of the segment.
    pub(super) segment: u32,
    /// Steps to the root of the tree.
    pub(super) depth: u32,
    /// Place of the server that answered the call: a blocking one before others, then the first.
    pub(super) server: u32,
    /// Blocking children of kind server.
    pub(super) blocking_servers: u32,
    /// Kind.
    pub(super) kind: Kind,
    /// Whether the parent may have waited for it; not so for the first span of a segment.
    pub(super) is_blocking: bool,
    /// Whether a blocking child is a client of the same service.
    pub(super) has_client: bool,
    /// In error.
    pub(super) is_error: bool,
    /// A blocking child is in error.
    pub(super) has_error: bool,
    /// A child is a client or producer in error.
    pub(super) has_failed_call: bool,
    /// In error, and every ancestor in the segment as well.
    pub(super) is_fatal: bool,
}

impl Node {
    /// Length of the span.
    pub(super) fn len(&self) -> i64 {
        self.end - self.start
    }

    /// Length of the interval of the path.
    pub(super) fn path_len(&self) -> i64 {
        self.to - self.from
    }
}

/// Children of a node by start.
pub(super) fn children(nodes: &[Node], parent: u32) -> impl Iterator<Item = u32> + '_ {
    let last = nodes[parent as usize].last;
    let mut next = parent + 1;
    std::iter::from_fn(move || {
        let child = next;
        (child <= last).then(|| {
            next = nodes[child as usize].last + 1;
            child
        })
    })
}

/// The walk and what it is made with.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// The spans in order of the walk.
    pub(super) nodes: Vec<Node>,
    /// Place in `nodes`, by index; [`NONE`] for a duplicate.
    pub(super) place: Vec<u32>,
    /// What is added to the start, by index; empty where no clock is corrected.
    pub(super) shift: Vec<i64>,
    offsets: Vec<u32>,
    children: Vec<u32>,
    open: Vec<(u32, u32)>,
}

impl Tree {
    /// Forgets the clock corrections of the last trace.
    pub(super) fn clear(&mut self) {
        self.shift.clear();
    }

    /// What is added to the start of a span.
    pub(super) fn shift(&self, index: u32) -> i64 {
        self.shift.get(index as usize).copied().unwrap_or(0)
    }

    fn start(&self, spans: &[Span], index: u32) -> i64 {
        spans[index as usize].start_ns.saturating_add(self.shift(index))
    }

    /// Walks from the roots. Spans in a cycle are not reached.
    pub(super) fn walk(&mut self, spans: &[Span], rows: &Rows) {
        self.gather_children(spans, rows);
        self.nodes.clear();
        self.nodes.reserve(rows.kept());
        self.place.clear();
        self.place.resize(spans.len(), NONE);
        self.open.clear();
        self.open.extend(rows.roots.iter().rev().map(|root| (*root, NONE)));
        while let Some((index, parent)) = self.open.pop() {
            let place = self.nodes.len() as u32;
            self.place[index as usize] = place;
            let node = self.node(spans, rows, index, parent, place);
            self.nodes.push(node);
            let (from, to) = (self.offsets[index as usize], self.offsets[index as usize + 1]);
            let below = &self.children[from as usize..to as usize];
            self.open.extend(below.iter().rev().map(|child| (*child, place)));
        }
        for place in (0..self.nodes.len()).rev() {
            let Node { parent, last, .. } = self.nodes[place];
            if parent != NONE {
                let parent = &mut self.nodes[parent as usize];
                parent.last = parent.last.max(last);
            }
        }
    }

    fn node(&self, spans: &[Span], rows: &Rows, index: u32, parent: u32, place: u32) -> Node {
        let span = &spans[index as usize];
        let start = self.start(spans, index);
        let end = start.saturating_add(span.duration_ns.max(0));
        let depth = if parent == NONE { 0 } else { self.nodes[parent as usize].depth + 1 };
        Node {
            start,
            end,
            from: start,
            to: end,
            covered: 0,
            covered_to: start,
            index,
            rank: rows.rank[index as usize],
            parent,
            last: place,
            segment: place,
            depth,
            server: NONE,
            blocking_servers: 0,
            kind: span.kind,
            is_blocking: false,
            has_client: false,
            is_error: false,
            has_error: false,
            has_failed_call: false,
            is_fatal: false,
        }
    }

    /// Lists of children by start, one after another.
    fn gather_children(&mut self, spans: &[Span], rows: &Rows) {
        self.offsets.clear();
        self.offsets.resize(spans.len() + 2, 0);
        // Shifted by two, so that filling the lists moves each offset to its place.
        for &parent in rows.parent.iter().filter(|p| **p != NONE) {
            self.offsets[parent as usize + 2] += 1;
        }
        for at in 1..self.offsets.len() {
            self.offsets[at] += self.offsets[at - 1];
        }
        self.children.clear();
        self.children.resize(self.offsets.last().map_or(0, |n| *n as usize), 0);
        for (index, &parent) in (0u32..).zip(&rows.parent) {
            if parent != NONE {
                let at = &mut self.offsets[parent as usize + 1];
                self.children[*at as usize] = index;
                *at += 1;
            }
        }
        let mut children = std::mem::take(&mut self.children);
        for bounds in self.offsets.windows(2) {
            let siblings = &mut children[bounds[0] as usize..bounds[1] as usize];
            if siblings.len() > 1 {
                siblings.sort_unstable_by_key(|i| (self.start(spans, *i), rows.rank[*i as usize]));
            }
        }
        self.children = children;
    }

    /// Blocking, segments, clipping, covered time and who answered whom.
    pub(super) fn settle(&mut self, spans: &[Span]) {
        for place in 0..self.nodes.len() {
            let mut node = self.nodes[place];
            if node.parent == NONE {
                continue;
            }
            let parent = &mut self.nodes[node.parent as usize];
            let is_same_service =
                spans[node.index as usize].service == spans[parent.index as usize].service;
            node.is_blocking = may_wait(parent, &node, is_same_service);
            if node.is_blocking {
                node.segment = parent.segment;
                node.from = node.start.max(parent.from);
                node.to = node.end.min(parent.to).max(node.from);
                parent.cover(&node);
                parent.has_client |= node.kind == Kind::Client && is_same_service;
            }
            if node.kind == Kind::Server {
                parent.answered_by(place as u32, node.is_blocking);
            }
            self.nodes[place] = node;
        }
    }
}

impl Node {
    /// Children come by start.
    fn cover(&mut self, child: &Node) {
        let from = child.start.max(self.covered_to);
        let to = child.end.min(self.end);
        if from < to {
            self.covered += to - from;
            self.covered_to = to;
        }
    }

    fn answered_by(&mut self, server: u32, is_blocking: bool) {
        let is_first_blocking = is_blocking && self.blocking_servers == 0;
        if self.server == NONE || is_first_blocking {
            self.server = server;
        }
        self.blocking_servers += u32::from(is_blocking);
    }
}

/// Whether the parent can have waited for the child.
fn may_wait(parent: &Node, child: &Node, is_same_service: bool) -> bool {
    let is_message =
        child.kind == Kind::Consumer && (parent.kind == Kind::Producer || !is_same_service);
    let is_later =
        child.start > parent.end || (child.start == parent.end && child.end > child.start);
    !is_message && !is_later
}
