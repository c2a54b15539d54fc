//! A trace as arrays in pre-order: the rows below row `i` are `i + 1..subtree_end[i]`.

use std::collections::HashMap;

use api::views::{SkeletonColumns, TraceAnswer, TraceSpan};

/// Stands for no row.
pub const NO_ROW: u32 = u32::MAX;

/// What is special about a row.
pub mod flags {
    pub use api::views::span_flags::*;

    /// No span: time in which a span waited for nothing that was measured.
    pub const WAITING: u16 = 1 << 10;
    /// No span: stands for a parent that did not arrive.
    pub const MISSING: u16 = 1 << 11;
    /// Its parents form a circle, which was cut here.
    pub const CUT: u16 = 1 << 12;
    /// It has not ended yet.
    pub const OPEN: u16 = 1 << 13;
}

/// Why columns are no trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the columns of the trace do not fit together ({0})")]
pub struct BadSkeleton(&'static str);

/// The spans of a trace, one value each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skeleton {
    /// Row of the parent, or [`NO_ROW`].
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
    /// Bits of [`flags`].
    pub flags: Vec<u16>,
    /// Index into `names`.
    pub name: Vec<u32>,
    /// Index into `services`.
    pub service: Vec<u32>,
    /// Id.
    pub span_id: Vec<[u8; 8]>,
    /// Names of spans, each once.
    pub names: Vec<String>,
    /// Names of services, each once.
    pub services: Vec<String>,
    /// Rows that were left out since another is the same span.
    pub duplicates: usize,
}

impl Skeleton {
    /// Rows.
    pub fn len(&self) -> usize {
        self.parent.len()
    }

    /// True for a trace without spans.
    pub fn is_empty(&self) -> bool {
        self.parent.is_empty()
    }

    /// Whether a row has one of these flags.
    pub fn has(&self, row: usize, flags: u16) -> bool {
        self.flags.get(row).is_some_and(|f| f & flags != 0)
    }

    /// Whether a row is a span, and not something that was put in.
    pub fn is_span(&self, row: usize) -> bool {
        !self.has(row, flags::WAITING | flags::MISSING)
    }

    /// Whether there are rows below.
    pub fn has_children(&self, row: usize) -> bool {
        self.subtree_end[row] as usize > row + 1
    }

    /// End of a row, from the start of the trace.
    pub fn end_ns(&self, row: usize) -> i64 {
        self.start_ns[row].saturating_add(self.duration_ns[row])
    }

    /// Name of a span.
    pub fn name(&self, row: usize) -> &str {
        self.names.get(self.name[row] as usize).map_or("", String::as_str)
    }

    /// Name of its service.
    pub fn service(&self, row: usize) -> &str {
        self.services.get(self.service[row] as usize).map_or("", String::as_str)
    }

    /// Id in hex.
    pub fn span_id_hex(&self, row: usize) -> String {
        format!("{:016x}", u64::from_be_bytes(self.span_id[row]))
    }

    /// The row of a span.
    pub fn row_of(&self, span_id_hex: &str) -> Option<u32> {
        let id = id_of(span_id_hex)?;
        let row = self.span_id.iter().position(|s| *s == id)?;
        Some(row as u32)
    }

    /// The rows right below a row.
    pub fn children(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        self.chain(row + 1, self.subtree_end[row] as usize)
    }

    /// The rows right below a row, or the roots for [`NO_ROW`].
    pub fn children_of(&self, row: u32) -> impl Iterator<Item = usize> + '_ {
        match row {
            NO_ROW => self.chain(0, self.len()),
            row => self.chain(row as usize + 1, self.subtree_end[row as usize] as usize),
        }
    }

    fn chain(&self, first: usize, end: usize) -> impl Iterator<Item = usize> + '_ {
        let step = move |row: &usize| Some(self.subtree_end[*row] as usize).filter(|r| *r < end);
        std::iter::successors(Some(first).filter(|r| *r < end), step)
    }

    /// Earliest start and latest end.
    pub fn window_ns(&self) -> (i64, i64) {
        let start = self.start_ns.iter().copied().min().unwrap_or(0);
        let end = (0..self.len()).map(|row| self.end_ns(row)).max().unwrap_or(0);
        (start, end.max(start))
    }

    /// A trace as a server sent it, once its columns are seen to fit together.
    pub fn of_columns(c: SkeletonColumns) -> Result<Self, BadSkeleton> {
        let len = c.parent.len();
        let lengths = [
            c.subtree_end.len(),
            c.depth.len(),
            c.start_ns.len(),
            c.duration_ns.len(),
            c.self_ns.len(),
            c.gap_ns.len(),
            c.critical_ns.len(),
            c.flags.len(),
            c.name.len(),
            c.service.len(),
            c.span_id.len(),
        ];
        if lengths.iter().any(|l| *l != len) || len > (NO_ROW / 2) as usize {
            return Err(BadSkeleton("columns of different length"));
        }
        let skeleton = Self {
            parent: c.parent,
            subtree_end: c.subtree_end,
            depth: c.depth,
            start_ns: c.start_ns,
            duration_ns: c.duration_ns,
            self_ns: c.self_ns,
            gap_ns: c.gap_ns,
            critical_ns: c.critical_ns,
            flags: c.flags,
            name: c.name,
            service: c.service,
            span_id: c.span_id.iter().map(|id| id_of(id).unwrap_or_default()).collect(),
            names: c.names,
            services: c.services,
            duplicates: 0,
        };
        skeleton.check()?;
        Ok(skeleton)
    }

    /// The laws of pre-order, on which everything else relies.
    pub(super) fn check(&self) -> Result<(), BadSkeleton> {
        // The ends of the rows that contain the current one, innermost last.
        let mut open: Vec<(u32, u32)> = Vec::new();
        for row in 0..self.len() {
            let at = row as u32;
            while open.last().is_some_and(|(_, end)| *end <= at) {
                open.pop();
            }
            let (parent, limit) =
                open.last().map_or((NO_ROW, self.len() as u32), |(p, e)| (*p, *e));
            let end = self.subtree_end[row];
            if self.parent[row] != parent || end <= at || end > limit {
                return Err(BadSkeleton("no tree in pre-order"));
            }
            if end > at + 1 {
                open.push((at, end));
            }
        }
        Ok(())
    }

    /// A trace from its spans, in any order, with rows for waits and for parents that did not arrive.
    pub fn of_trace(answer: &TraceAnswer) -> Self {
        let mut builder = Builder::default();
        let starts: Vec<i64> = answer.spans.iter().map(|s| unix_ns(&s.start_time)).collect();
        let first = starts.iter().copied().min().unwrap_or(0);
        let mut rows: HashMap<&str, u32> = HashMap::new();
        for (span, start) in answer.spans.iter().zip(&starts) {
            if rows.contains_key(span.span_id.as_str()) {
                builder.duplicates += 1;
                continue;
            }
            let row = builder.push(node_of(span, start - first), &span.name, &span.service_name);
            rows.insert(&span.span_id, row);
        }
        let mut missing: HashMap<&str, u32> = HashMap::new();
        for span in &answer.spans {
            let (Some(parent), Some(row)) = (&span.parent_span_id, rows.get(span.span_id.as_str()))
            else {
                continue;
            };
            let parent = match rows.get(parent.as_str()) {
                Some(parent) => *parent,
                None => {
                    *missing.entry(parent).or_insert_with(|| builder.push_missing(parent, *row))
                }
            };
            builder.set_parent(*row, parent);
        }
        add_waits(&mut builder, answer, &rows);
        builder.build()
    }
}

/// The share of a trace from which on a stretch without a child is a row of its own.
const WAIT_SHARE: f64 = 0.05;

/// Rows for stretches of a span's own time on the critical path while it had children.
fn add_waits(builder: &mut Builder, answer: &TraceAnswer, rows: &HashMap<&str, u32>) {
    let whole = builder.nodes.iter().map(|n| n.start_ns + n.duration_ns).max().unwrap_or(0);
    let parents: std::collections::HashSet<u32> =
        builder.nodes.iter().map(|n| n.parent).filter(|p| *p != NO_ROW).collect();
    for piece in answer.critical_path.iter().filter(|p| p.category == "self") {
        let length = piece.to_ns - piece.from_ns;
        let (Some(row), Some(segment)) =
            (rows.get(piece.span_id.as_str()), rows.get(piece.segment_id.as_str()))
        else {
            continue;
        };
        if !parents.contains(row) || (length as f64) < WAIT_SHARE * whole as f64 {
            continue;
        }
        let start = builder.nodes[*segment as usize].start_ns + piece.from_ns;
        let node = Node {
            parent: *row,
            start_ns: start,
            duration_ns: length,
            self_ns: length,
            critical_ns: length,
            flags: flags::WAITING,
            ..Node::default()
        };
        let service = builder.texts[*row as usize].1;
        builder.push_row(node, "waiting", service);
    }
}

fn node_of(span: &TraceSpan, start_ns: i64) -> Node {
    let yes = |flag: Option<bool>, bit: u16| if flag == Some(true) { bit } else { 0 };
    let is_origin = span.error_role.as_deref().is_some_and(|r| r.ends_with("origin"));
    let is_async = span.kind.as_deref() == Some("consumer") || span.is_main == Some(false);
    Node {
        start_ns,
        duration_ns: span.duration_ns,
        self_ns: span.self_ns.unwrap_or(0),
        gap_ns: span.gap_ns.unwrap_or(0),
        critical_ns: span.critical_ns.unwrap_or(0),
        flags: yes(span.is_error, flags::ERROR)
            | yes(Some(is_origin), flags::ORIGIN)
            | yes(Some(is_async), flags::ASYNC)
            | yes(span.is_orphan, flags::ORPHAN)
            | yes(span.skew_ns.map(|ns| ns != 0), flags::SKEWED)
            | yes(span.is_retry, flags::RETRY)
            | yes(span.is_fatal, flags::FATAL),
        span_id: id_of(&span.span_id).unwrap_or_default(),
        ..Node::default()
    }
}

fn id_of(hex: &str) -> Option<[u8; 8]> {
    let whole = hex.len() == 16 && hex.is_ascii();
    u64::from_str_radix(hex, 16).ok().filter(|_| whole).map(u64::to_be_bytes)
}

fn unix_ns(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>()
        .ok()
        .and_then(|t| i64::try_from(t.as_nanosecond()).ok())
        .unwrap_or(0)
}

/// A span before its place in the tree is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Place of its parent among those pushed, or [`NO_ROW`].
    pub parent: u32,
    /// From the start of the trace.
    pub start_ns: i64,
    /// Duration.
    pub duration_ns: i64,
    /// Time in which no child ran that the span waited for.
    pub self_ns: i64,
    /// Of a client: its duration less that of the server.
    pub gap_ns: i64,
    /// Time on the critical path.
    pub critical_ns: i64,
    /// Bits of [`flags`].
    pub flags: u16,
    /// Id.
    pub span_id: [u8; 8],
}

impl Default for Node {
    fn default() -> Self {
        Self {
            parent: NO_ROW,
            start_ns: 0,
            duration_ns: 0,
            self_ns: 0,
            gap_ns: 0,
            critical_ns: 0,
            flags: 0,
            span_id: [0; 8],
        }
    }
}

/// Texts, each kept once.
#[derive(Debug, Default)]
struct Texts {
    index: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Texts {
    fn index(&mut self, text: &str) -> u32 {
        if let Some(at) = self.index.get(text) {
            return *at;
        }
        let at = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.index.insert(text.to_owned(), at);
        at
    }
}

/// Puts spans that come in any order into pre-order.
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
    /// Name and service of each.
    texts: Vec<(u32, u32)>,
    names: Texts,
    services: Texts,
    duplicates: usize,
}

impl Builder {
    /// Adds a span and gives its place, which others name as their parent.
    pub fn push(&mut self, node: Node, name: &str, service: &str) -> u32 {
        let service = self.services.index(service);
        self.push_row(node, name, service)
    }

    fn push_row(&mut self, node: Node, name: &str, service: u32) -> u32 {
        let name = self.names.index(name);
        self.nodes.push(node);
        self.texts.push((name, service));
        self.nodes.len() as u32 - 1
    }

    /// Says whose child a span is.
    pub fn set_parent(&mut self, row: u32, parent: u32) {
        self.nodes[row as usize].parent = parent;
    }

    /// A row for a parent that did not arrive, where its child begins.
    fn push_missing(&mut self, id: &str, child: u32) -> u32 {
        let (child, (_, service)) = (self.nodes[child as usize], self.texts[child as usize]);
        let name = format!("parent {} not received", crate::format::short_id(id));
        let node = Node {
            start_ns: child.start_ns,
            flags: flags::MISSING | flags::ORPHAN,
            span_id: id_of(id).unwrap_or_default(),
            ..Node::default()
        };
        self.push_row(node, &name, service)
    }

    /// The trace. Circles are cut at their earliest span.
    pub fn build(mut self) -> Skeleton {
        let len = self.nodes.len();
        for node in &mut self.nodes {
            if node.parent as usize >= len {
                node.parent = NO_ROW;
            }
        }
        // Latest start first: what is pushed last onto the stack is taken first.
        let mut by_start: Vec<u32> = (0..len as u32).collect();
        by_start.sort_by_key(|at| {
            (std::cmp::Reverse(self.nodes[*at as usize].start_ns), std::cmp::Reverse(*at))
        });
        let children = Children::of(&self.nodes, &by_start);
        let mut out = Skeleton { duplicates: self.duplicates, ..Skeleton::default() };
        let mut seen = vec![false; len];
        let roots = by_start.iter().rev().filter(|at| self.nodes[**at as usize].parent == NO_ROW);
        for root in roots.copied() {
            self.walk(&children, root, &mut seen, &mut out);
        }
        for at in by_start.iter().rev().copied() {
            if !seen[at as usize] {
                self.nodes[at as usize].flags |= flags::CUT;
                self.walk(&children, at, &mut seen, &mut out);
            }
        }
        out.names = self.names.texts;
        out.services = self.services.texts;
        close(&mut out);
        out
    }

    /// Appends a node and all below it.
    fn walk(&self, children: &Children, root: u32, seen: &mut [bool], out: &mut Skeleton) {
        let mut stack = vec![(root, NO_ROW, 0u16)];
        while let Some((at, parent, depth)) = stack.pop() {
            if std::mem::replace(&mut seen[at as usize], true) {
                continue;
            }
            let (node, (name, service)) = (&self.nodes[at as usize], self.texts[at as usize]);
            let row = out.parent.len() as u32;
            out.parent.push(parent);
            out.depth.push(depth);
            out.start_ns.push(node.start_ns);
            out.duration_ns.push(node.duration_ns.max(0));
            out.self_ns.push(node.self_ns);
            out.gap_ns.push(node.gap_ns);
            out.critical_ns.push(node.critical_ns);
            out.flags.push(node.flags);
            out.name.push(name);
            out.service.push(service);
            out.span_id.push(node.span_id);
            let below = children.of_node(at).iter();
            stack.extend(below.map(|child| (*child, row, depth.saturating_add(1))));
        }
    }
}

/// The children of each node, latest first, in one array.
struct Children {
    first: Vec<u32>,
    all: Vec<u32>,
}

impl Children {
    fn of(nodes: &[Node], by_start: &[u32]) -> Self {
        let mut first = vec![0u32; nodes.len() + 1];
        for node in nodes.iter().filter(|n| n.parent != NO_ROW) {
            first[node.parent as usize + 1] += 1;
        }
        for at in 0..nodes.len() {
            first[at + 1] += first[at];
        }
        let mut next = first.clone();
        let mut all = vec![0u32; first[nodes.len()] as usize];
        for at in by_start {
            let parent = nodes[*at as usize].parent;
            if parent != NO_ROW {
                let place = &mut next[parent as usize];
                all[*place as usize] = *at;
                *place += 1;
            }
        }
        Self { first, all }
    }

    fn of_node(&self, node: u32) -> &[u32] {
        &self.all[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }
}

/// Fills in the ends of subtrees.
fn close(out: &mut Skeleton) {
    let len = out.len() as u32;
    out.subtree_end = (1..=len).collect();
    for row in (0..len as usize).rev() {
        let parent = out.parent[row];
        if parent != NO_ROW {
            let end = out.subtree_end[row].max(out.subtree_end[parent as usize]);
            out.subtree_end[parent as usize] = end;
        }
    }
}
