//! The kernel: from the spans of one trace to what is not written in them. Each station is a file:
//! rows become a tree ([`prepare`], [`tree`]), clocks are corrected ([`skew`]), the path is swept
//! ([`path`]), errors, peers, messages and edges are told, each once and parents first.
//!
//! Nothing is recursive, nothing is allocated for a span, and no step is slower than n log n.

mod edges;
mod errors;
mod lexicon;
mod messages;
mod path;
mod patterns;
mod peers;
mod pieces;
mod prepare;
mod skew;
mod tree;
mod window;

use crate::facts::{Category, SpanFacts, TraceFacts};
use crate::hash;
use crate::span::{Kind, Link, Span};
use crate::symbols::Symbols;
pub use errors::ErrorPath;
use lexicon::Lexicon;
use messages::{Mailroom, Messages};
use path::Sweep;
use patterns::{Finds, Known};
pub use patterns::{Pattern, PatternRule};
use peers::{Finder, Part, Peer};
pub use pieces::{Piece, PieceKind};
use prepare::{NONE, Rows};
use skew::{Clocks, Pairs};
use tree::Tree;
pub use window::{HostPair, Shift, Window, WindowBuilder};

/// How the kernel reads a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Overlap of siblings on the path that is forgiven, in nanoseconds.
    pub tolerance_ns: i64,
    /// The same as a share of the parent; the larger one counts.
    pub tolerance_share: f64,
    /// How clocks are corrected.
    pub skew: SkewMode,
    /// A larger correction than this is refused.
    pub skew_max_ns: i64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tolerance_ns: 0,
            tolerance_share: 0.01,
            skew: SkewMode::Window,
            skew_max_ns: 10_000_000_000,
        }
    }
}

impl Options {
    /// Overlap forgiven within a span whose interval of the path has this length.
    fn tolerance(&self, len: i64) -> i64 {
        let share = (len as f64 * self.tolerance_share) as i64;
        self.tolerance_ns.max(share).max(0)
    }
}

/// How clocks are corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkewMode {
    /// Not at all.
    Off,
    /// From the trace alone.
    Trace,
    /// From all calls of the minute between the same hosts, else from the trace.
    Window,
}

/// One run after another; buffers are kept between runs, so a run allocates only for its largest
/// trace. The texts grow with the distinct texts: an owner who wants to bound them starts a new
/// kernel when [`Symbols::bytes`] passes a limit.
#[derive(Debug)]
pub struct Kernel {
    options: Options,
    window: Window,
    symbols: Symbols,
    lexicon: Lexicon,
    facts: Vec<SpanFacts>,
    scratch: Scratch,
}

/// What a run works on. By place in the walk, unless said otherwise.
#[derive(Debug, Default)]
struct Scratch {
    rows: Rows,
    tree: Tree,
    clocks: Clocks,
    pairs: Pairs,
    sweep: Sweep,
    messages: Messages,
    finds: Finds,
    critical: Vec<i64>,
    peers: Vec<Peer>,
    /// By symbol: the last run that saw the service.
    services: Vec<u32>,
    run: u32,
}

/// Buffers for more spans than this are given back when the next trace is much smaller.
const SPANS_KEPT: usize = 1 << 16;

impl Default for Kernel {
    fn default() -> Kernel {
        Kernel::new(Options::default())
    }
}

impl Kernel {
    /// A kernel with empty tables.
    pub fn new(options: Options) -> Kernel {
        let mut symbols = Symbols::default();
        let lexicon = Lexicon::new(&mut symbols);
        Kernel {
            options,
            window: Window::default(),
            symbols,
            lexicon,
            facts: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Replaces the tables of the window. Symbols are this kernel's own.
    pub fn set_window(&mut self, window: Window) {
        self.window = window;
    }

    /// The tables of the window.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// The texts that spans refer to.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The same, to add texts.
    pub fn symbols_mut(&mut self) -> &mut Symbols {
        &mut self.symbols
    }

    /// Of the last run, one for each input span.
    pub fn facts(&self) -> &[SpanFacts] {
        &self.facts
    }

    /// Learns from the calls of a trace, in any order.
    pub fn observe(&mut self, trace_id: u128, spans: &[Span], into: &mut WindowBuilder) {
        let Scratch { rows, pairs, .. } = &mut self.scratch;
        rows.prepare(spans);
        pairs.each(spans, rows, |client, server| into.learn(trace_id, client, server));
    }

    /// Runs over the spans of one trace, in any order.
    pub fn run(&mut self, trace_id: u128, spans: &[Span], links: &[Link]) -> TraceFacts {
        self.lexicon.read(&self.symbols);
        self.give_back(spans.len());
        let skew_refused = self.grow(spans);
        let Kernel { options, lexicon, scratch, .. } = self;
        let Scratch { rows, tree, sweep, critical, messages, .. } = scratch;
        tree.settle(spans);
        path::critical(&tree.nodes, options, sweep, critical);
        let errors = errors::mark(spans, &mut tree.nodes, lexicon);
        messages.read(Mailroom { trace_id, spans, links, rows, tree, lexicon });
        let gaps_floored = self.describe(spans);
        let Scratch { tree, finds, peers, .. } = &mut self.scratch;
        finds.mark_retries(Known { spans, nodes: &tree.nodes, peers }, &mut self.facts);
        TraceFacts { errors, skew_refused, gaps_floored, ..self.summary(spans) }
    }

    /// Pieces of the critical path of the last run, main segment first, then the others by start;
    /// each in order of time.
    pub fn critical_path(&mut self, spans: &[Span]) -> Vec<Piece> {
        let Kernel { options, scratch, .. } = self;
        debug_assert_eq!(spans.len(), self.facts.len());
        pieces::critical_path(&scratch.tree.nodes, options, &mut scratch.sweep)
    }

    /// The way that led to the end of the trace: from the segment that ended last back through the
    /// messages that began it, oldest piece first.
    pub fn end_to_end(&mut self, spans: &[Span]) -> Vec<Piece> {
        let nodes = &self.scratch.tree.nodes;
        let last = pieces::last_segment(nodes).map(|place| nodes[place as usize].index);
        last.map_or_else(Vec::new, |segment| self.end_to_end_from(segment, spans))
    }

    /// The same from the segment that begins with the span of this index, which may be any span of
    /// the segment.
    pub fn end_to_end_from(&mut self, segment: u32, spans: &[Span]) -> Vec<Piece> {
        debug_assert_eq!(spans.len(), self.facts.len());
        let Kernel { options, scratch, .. } = self;
        let place = scratch.tree.place.get(segment as usize).copied().unwrap_or(NONE);
        if place == NONE {
            return Vec::new();
        }
        let nodes = &scratch.tree.nodes;
        let segment = nodes[place as usize].segment;
        pieces::end_to_end(nodes, options, &mut scratch.sweep, &scratch.messages, segment)
    }

    /// Paths of errors of the last run, costliest first: one for each origin. Of a trace with very
    /// many deep ones those whose spans together pass a million, or the trace's spans, are left out.
    pub fn error_paths(&self, spans: &[Span]) -> Vec<ErrorPath> {
        let Scratch { tree, peers, critical, .. } = &self.scratch;
        let known = Known { spans, nodes: &tree.nodes, peers };
        errors::paths(known, &self.facts, critical, &self.lexicon)
    }

    /// Patterns among the calls of the last run, by parent in order of the walk.
    pub fn patterns(&mut self, spans: &[Span]) -> Vec<Pattern> {
        let Scratch { tree, finds, peers, .. } = &mut self.scratch;
        finds.patterns(Known { spans, nodes: &tree.nodes, peers }, &self.facts)
    }

    /// Gives buffers back after a huge trace.
    fn give_back(&mut self, spans: usize) {
        let held = self.facts.capacity();
        if held > SPANS_KEPT && spans < held / 8 {
            self.facts = Vec::new();
            self.scratch = Scratch::default();
        }
    }

    /// Makes the tree with corrected clocks. Returns how many corrections were refused.
    fn grow(&mut self, spans: &[Span]) -> u32 {
        let Kernel { options, window, scratch, .. } = self;
        let Scratch { rows, tree, clocks, .. } = scratch;
        rows.prepare(spans);
        rows.find_roots(spans);
        tree.clear();
        tree.walk(spans, rows);
        if tree.nodes.len() < rows.kept() {
            rows.cut_cycles(spans);
            rows.find_roots(spans);
            tree.walk(spans, rows);
        }
        let (has_moved, refused) = clocks.correct(spans, tree, options, window);
        if has_moved {
            tree.walk(spans, rows);
        }
        refused
    }

    /// Writes the facts of every span, parents first. Returns how many gaps came out negative.
    fn describe(&mut self, spans: &[Span]) -> u32 {
        let Kernel { window, symbols, lexicon, facts, scratch, .. } = self;
        let Scratch { rows, tree, messages, peers, critical, .. } = scratch;
        facts.resize(spans.len(), SpanFacts::default());
        if rows.duplicates > 0 {
            for (index, facts) in (0u32..).zip(facts.iter_mut()) {
                *facts = SpanFacts { segment: index, is_duplicate: true, ..SpanFacts::default() };
            }
        }
        peers.clear();
        let mut gaps_floored = 0;
        let mut finder = Finder { spans, nodes: &tree.nodes, window, symbols, lexicon };
        let mut received = messages.received();
        for (place, node) in (0u32..).zip(&tree.nodes) {
            let span = &spans[node.index as usize];
            let received = received.next_if(|(at, _)| *at == place).map(|(_, received)| *received);
            let above = (node.parent != NONE).then_some(node.parent as usize);
            let of_parent = above.map_or_else(Peer::default, |parent| peers[parent]);
            let peer = finder.peer(place, of_parent, received);
            let (gap_ns, is_floored) = peers::gap(&tree.nodes, place);
            let is_early = received.is_some_and(|received| received.is_negative);
            gaps_floored += u32::from(is_floored) + u32::from(is_early);
            let edge = finder.edge(place, &peer, gap_ns, messages, received);
            let is_logical = peer.part == Part::Logical;
            let above = above.map(|parent| tree.nodes[parent].index);
            facts[node.index as usize] = SpanFacts {
                parent: above,
                segment: tree.nodes[node.segment as usize].index,
                depth: node.depth,
                tree_left: place,
                tree_right: node.last,
                self_ns: node.len() - node.covered,
                gap_ns,
                critical_ns: critical[place as usize],
                overflow_ns: node.len() - node.path_len(),
                skew_ns: tree.shift(node.index),
                category: peer.category,
                peer: peer.name,
                peer_kind: peer.kind,
                charged_to: if peer.category == Category::Own { span.service } else { peer.name },
                edge,
                error_role: errors::role(spans, &tree.nodes, finder.lexicon, place, is_logical),
                is_error: node.is_error,
                is_fatal: node.is_fatal,
                is_orphan: rows.is_orphan[node.index as usize],
                is_duplicate: false,
                is_retry: false,
                is_main: node.segment == 0,
                path_id: path_id(
                    finder.lexicon,
                    above.map_or(0, |parent| facts[parent as usize].path_id),
                    span,
                ),
            };
            peers.push(peer);
        }
        gaps_floored
    }

    /// What is said of the whole trace, but for errors and clocks.
    fn summary(&mut self, spans: &[Span]) -> TraceFacts {
        let Scratch { rows, tree, services, run, .. } = &mut self.scratch;
        *run = run.wrapping_add(1);
        if *run == 0 {
            services.clear();
            *run = 1;
        }
        services.resize(services.len().max(self.symbols.len()), 0);
        let root = tree.nodes.first().map(|node| node.index);
        let first = root.map_or_else(Span::default, |root| spans[root as usize]);
        let mut facts = TraceFacts {
            root,
            start_ns: first.start_ns,
            duration_ns: first.duration_ns.max(0),
            spans: tree.nodes.len() as u32,
            duplicates: rows.duplicates,
            cycles: rows.cycles,
            ..TraceFacts::default()
        };
        for node in &tree.nodes {
            let service = spans[node.index as usize].service;
            if let Some(seen) = services.get_mut(service.index())
                && !service.is_none()
                && *seen != *run
            {
                *seen = *run;
                facts.services += 1;
            }
            facts.depth = facts.depth.max(node.depth);
            facts.orphans += u32::from(rows.is_orphan[node.index as usize]);
            facts.segments += u32::from(!node.is_blocking);
        }
        facts.segments = facts.segments.saturating_sub(1);
        facts.is_whole = rows.has_true_root && facts.orphans == 0 && rows.conflicts == 0;
        facts
    }
}

/// The parent's path and the span's own step.
fn path_id(lexicon: &Lexicon, parent: u64, span: &Span) -> u64 {
    let kind = match span.kind {
        Kind::Unspecified => 0,
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    };
    [lexicon.word(span.service).hash, lexicon.word(span.name).hash, kind]
        .into_iter()
        .fold(parent, hash::step)
}
