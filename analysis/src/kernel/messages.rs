//! Which messages a consumer took, and from whom: by parent and by link (section 11 of the
//! definitions).

use std::iter::Peekable;
use std::slice::Iter;

use super::lexicon::{Lexicon, Operation};
use super::prepare::{NONE, Rows};
use super::tree::{Node, Tree, children};
use crate::span::{Kind, Link, Span};
use crate::symbols::Symbol;

/// What a consumer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Received {
    /// Messages that count as its own.
    pub(super) count: u32,
    /// Place of the producer in the trace that ended last, or the one above; [`NONE`] without one.
    pub(super) producer: u32,
    /// How long the message waited.
    pub(super) lag_ns: Option<i64>,
    /// It came before it was sent, by the clocks.
    pub(super) is_negative: bool,
}

/// A message of a service: service, trace and span of the producer.
type Message = (Symbol, u128, u64);

/// The messages of a trace.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// Messages with a `process` span, sorted; only kept where there is a `receive` span as well.
    processed: Vec<Message>,
    /// Places of clients that send what another span made, in order.
    created: Vec<u32>,
    /// What the consumer at a place took, in order.
    received: Vec<(u32, Received)>,
}

/// What messages are found out with.
#[derive(Clone, Copy)]
pub(super) struct Mailroom<'a> {
    pub(super) trace_id: u128,
    pub(super) spans: &'a [Span],
    pub(super) links: &'a [Link],
    pub(super) rows: &'a Rows,
    pub(super) tree: &'a Tree,
    pub(super) lexicon: &'a Lexicon,
}

impl Messages {
    /// Reads what all spans of a trace sent and took.
    pub(super) fn read(&mut self, room: Mailroom<'_>) {
        self.processed.clear();
        self.created.clear();
        self.received.clear();
        let mut fetches = false;
        for (place, node) in (0u32..).zip(&room.tree.nodes) {
            let span = &room.spans[node.index as usize];
            match node.kind {
                Kind::Consumer => {
                    self.received.push((place, Received::default()));
                    fetches |= room.operation(span) == Operation::Receive;
                }
                Kind::Client if span.links_len > 0 && room.sends_linked(span) => {
                    self.created.push(place);
                }
                _ => {}
            }
        }
        if fetches {
            self.read_processed(room);
        }
        let mut received = std::mem::take(&mut self.received);
        for (place, received) in &mut received {
            *received = self.take(room, *place);
        }
        self.received = received;
    }

    fn read_processed(&mut self, room: Mailroom<'_>) {
        for &(place, _) in &self.received {
            let span = &room.spans[room.tree.nodes[place as usize].index as usize];
            if room.operation(span) == Operation::Process {
                room.each(place, |message, _| self.processed.push(message));
            }
        }
        self.processed.sort_unstable();
        self.processed.dedup();
    }

    /// Whether another span made what this client sends.
    pub(super) fn is_created(&self, place: u32) -> bool {
        self.created.binary_search(&place).is_ok()
    }

    /// What the consumers took, in order of the walk.
    pub(super) fn received(&self) -> Peekable<Iter<'_, (u32, Received)>> {
        self.received.iter().peekable()
    }

    /// Place of the producer that the span at a place got its message from.
    pub(super) fn producer_of(&self, place: u32) -> Option<u32> {
        let at = self.received.binary_search_by_key(&place, |(at, _)| *at).ok()?;
        Some(self.received[at].1.producer).filter(|producer| *producer != NONE)
    }

    /// What a consumer took. One that only fetches leaves to the `process` spans what they name.
    fn take(&self, room: Mailroom<'_>, place: u32) -> Received {
        let node = &room.tree.nodes[place as usize];
        let operation = room.operation(&room.spans[node.index as usize]);
        let fetches = operation == Operation::Receive;
        let mut received = Received { producer: NONE, ..Received::default() };
        let mut named = 0u32;
        room.each(place, |message, producer| {
            named += 1;
            let is_processed = fetches && self.processed.binary_search(&message).is_ok();
            received.count += u32::from(!is_processed);
            received.producer = later(&room.tree.nodes, node.parent, received.producer, producer);
        });
        if named == 0 && !(fetches && is_processed_below(room, place)) {
            received.count = 1;
        }
        if operation == Operation::Settle {
            received.count = 0;
        }
        if received.producer != NONE {
            let producer = &room.tree.nodes[received.producer as usize];
            let lag = node.start.saturating_sub(producer.end);
            received.lag_ns = Some(lag.max(0));
            received.is_negative = lag < 0;
        }
        received
    }
}

/// Whether a child works on what its parent fetched.
fn is_processed_below(room: Mailroom<'_>, place: u32) -> bool {
    let nodes = &room.tree.nodes;
    let service = room.spans[nodes[place as usize].index as usize].service;
    children(nodes, place).any(|child| {
        let node = &nodes[child as usize];
        let span = &room.spans[node.index as usize];
        node.kind == Kind::Consumer
            && span.service == service
            && room.operation(span) == Operation::Process
    })
}

impl Mailroom<'_> {
    fn operation(&self, span: &Span) -> Operation {
        self.lexicon.word(span.target.messaging_operation).operation
    }

    /// Whether a span hands over messages.
    fn is_sender(&self, span: &Span) -> bool {
        let operation = self.operation(span);
        let sends = matches!(operation, Operation::Send | Operation::Create | Operation::Other);
        span.kind == Kind::Producer
            || (span.kind == Kind::Client && sends && !span.target.messaging_system.is_none())
    }

    fn links(&self, span: &Span) -> &[Link] {
        let from = span.links_from as usize;
        self.links.get(from..from.saturating_add(span.links_len as usize)).unwrap_or_default()
    }

    /// Whether the links of a sender lead to the spans that made its messages.
    fn sends_linked(&self, span: &Span) -> bool {
        self.is_sender(span)
            && self.links(span).iter().any(|link| {
                link.trace_id != self.trace_id
                    || self
                        .rows
                        .with_id(link.span_id)
                        .iter()
                        .any(|(_, index)| self.spans[*index as usize].kind == Kind::Producer)
            })
    }

    /// Place of the sender with an id, and whether any span has this id.
    fn sender(&self, id: u64) -> (u32, bool) {
        let rows = self.rows.with_id(id);
        let sender = rows.iter().find(|(_, index)| self.is_sender(&self.spans[*index as usize]));
        (sender.map_or(NONE, |(_, index)| self.tree.place[*index as usize]), !rows.is_empty())
    }

    /// Hands over each message of a consumer with the place of its sender: one for each link, and
    /// one for a sender above that no link names. A link to another span of the trace is no message.
    fn each(&self, place: u32, mut take: impl FnMut(Message, u32)) {
        let nodes = &self.tree.nodes;
        let node = &nodes[place as usize];
        let span = &self.spans[node.index as usize];
        let above = (node.parent != NONE)
            .then(|| &self.spans[nodes[node.parent as usize].index as usize])
            .filter(|parent| self.is_sender(parent));
        let mut is_named = false;
        for link in self.links(span).iter().filter(|link| link.span_id != 0) {
            let message = (span.service, link.trace_id, link.span_id);
            if link.trace_id != self.trace_id {
                take(message, NONE);
                continue;
            }
            let (sender, is_here) = self.sender(link.span_id);
            if sender != NONE || !is_here {
                is_named |= above.is_some_and(|above| above.span_id == link.span_id);
                take(message, sender);
            }
        }
        if let Some(above) = above.filter(|_| !is_named) {
            take((span.service, self.trace_id, above.span_id), node.parent);
        }
    }
}

/// Of two producers the one above, else the one that ended later, else the one with the smaller id.
fn later(nodes: &[Node], above: u32, a: u32, b: u32) -> u32 {
    if a == NONE || b == NONE {
        return a.min(b);
    }
    let key = |place: u32| {
        let node = &nodes[place as usize];
        (place == above, node.end, std::cmp::Reverse(node.rank))
    };
    if key(a) >= key(b) { a } else { b }
}
