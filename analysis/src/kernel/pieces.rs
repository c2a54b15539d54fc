//! The critical path as pieces, and the way back through messages (section 7 of the definitions).

use super::Options;
use super::messages::Messages;
use super::path::Sweep;
use super::prepare::NONE;
use super::tree::Node;

/// A stretch of time that has one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Index of the span that owns it: of a wait in a queue, the consumer.
    pub span: u32,
    /// Index of the first span of the segment that the owner belongs to.
    pub segment: u32,
    /// Where it begins, from the start of the segment; of a way through messages, from the start of
    /// the way, whose pieces follow one another without gaps.
    pub from_ns: i64,
    /// Where it ends.
    pub to_ns: i64,
    /// What it is.
    pub kind: PieceKind,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PieceKind {
    /// Time of a span on the path.
    Path,
    /// Time of a message between producer and consumer.
    Queue,
}

/// Pieces of all segments.
pub(super) fn critical_path(nodes: &[Node], options: &Options, sweep: &mut Sweep) -> Vec<Piece> {
    let mut found = Vec::new();
    for segment in segments(nodes) {
        let begin = found.len();
        let first = &nodes[segment as usize];
        sweep.segment(nodes, options, segment, |owner, from, to| {
            found.push(Piece {
                span: nodes[owner as usize].index,
                segment: first.index,
                from_ns: from - first.start,
                to_ns: to - first.start,
                kind: PieceKind::Path,
            });
        });
        found[begin..].reverse();
    }
    found
}

/// Where the segments begin, the main one first, the others by start.
fn segments(nodes: &[Node]) -> Vec<u32> {
    let mut found: Vec<u32> = (0u32..).zip(nodes).filter_map(first_of_segment).collect();
    found.sort_unstable_by_key(|place| {
        let node = &nodes[*place as usize];
        (*place != 0, node.start, node.rank)
    });
    found
}

fn first_of_segment((place, node): (u32, &Node)) -> Option<u32> {
    (!node.is_blocking).then_some(place)
}

/// The segment that ended last.
pub(super) fn last_segment(nodes: &[Node]) -> Option<u32> {
    (0u32..).zip(nodes).filter_map(first_of_segment).max_by_key(|place| {
        let node = &nodes[*place as usize];
        (node.end, std::cmp::Reverse(node.start), std::cmp::Reverse(node.rank))
    })
}

/// The way back from a segment: its pieces; if a message began it, the wait of the message and what
/// led to its sending; and so on. A segment is passed once.
pub(super) fn end_to_end(
    nodes: &[Node],
    options: &Options,
    sweep: &mut Sweep,
    messages: &Messages,
    segment: u32,
) -> Vec<Piece> {
    let mut way = Way { nodes, pieces: Vec::new() };
    let mut passed = vec![false; nodes.len()];
    passed[segment as usize] = true;
    sweep.segment(nodes, options, segment, |owner, from, to| way.add(owner, to - from));
    let mut consumer = segment;
    while let Some(producer) = messages.producer_of(consumer) {
        let segment = nodes[producer as usize].segment;
        if std::mem::replace(&mut passed[segment as usize], true) {
            break;
        }
        let wait = nodes[consumer as usize].start.saturating_sub(nodes[producer as usize].end);
        way.wait(consumer, wait);
        led_to(nodes, options, sweep, producer, |owner, from, to| way.add(owner, to - from));
        consumer = segment;
    }
    way.oldest_first()
}

/// The path that led to the end of a span: its own, then for each ancestor the sweep continued from
/// the start of the child just left.
fn led_to(
    nodes: &[Node],
    options: &Options,
    sweep: &mut Sweep,
    place: u32,
    mut emit: impl FnMut(u32, i64, i64),
) {
    let first = &nodes[place as usize];
    let mut time = first.from;
    if first.from < first.to {
        sweep.from(nodes, options, place, first.end, first.end, &mut emit);
    } else {
        // Nothing of it is inside its parents, and so nothing of its children.
        emit(place, first.start, first.end);
        time = first.start;
    }
    let mut child = place;
    while nodes[child as usize].is_blocking && nodes[child as usize].parent != NONE {
        child = nodes[child as usize].parent;
        let node = &nodes[child as usize];
        if node.from < node.to && node.from < time {
            sweep.from(nodes, options, child, node.to, time, &mut emit);
            time = node.from;
        }
    }
}

/// Pieces collected backwards, as lengths.
struct Way<'a> {
    nodes: &'a [Node],
    pieces: Vec<Piece>,
}

impl Way<'_> {
    fn add(&mut self, owner: u32, len: i64) {
        self.push(owner, len, PieceKind::Path);
    }

    fn wait(&mut self, consumer: u32, len: i64) {
        self.push(consumer, len, PieceKind::Queue);
    }

    fn push(&mut self, owner: u32, to_ns: i64, kind: PieceKind) {
        if to_ns <= 0 {
            return;
        }
        let node = &self.nodes[owner as usize];
        let segment = self.nodes[node.segment as usize].index;
        self.pieces.push(Piece { span: node.index, segment, from_ns: 0, to_ns, kind });
    }

    fn oldest_first(mut self) -> Vec<Piece> {
        self.pieces.reverse();
        let mut time = 0i64;
        for piece in &mut self.pieces {
            piece.from_ns = time;
            time = time.saturating_add(piece.to_ns);
            piece.to_ns = time;
        }
        self.pieces
    }
}
