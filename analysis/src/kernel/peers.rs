//! Whom a span called, what its own time on the path is, and who is charged with it (section 6 of
//! the definitions).

use super::lexicon::{Lexicon, Operation};
use super::messages::Received;
use super::prepare::NONE;
use super::tree::{Node, children};
use super::window::Window;
use crate::facts::{Category, NodeKind};
use crate::span::{Kind, Span, Target};
use crate::symbols::{Symbol, Symbols};

/// What a span is to its caller and to those it called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Part {
    /// No call, or an ordinary one.
    #[default]
    Ordinary,
    /// A wrapper around attempts; these are the calls.
    Logical,
    /// Carries the call of its parent.
    Transport,
}

/// The other side of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) part: Part,
    pub(super) category: Category,
    pub(super) name: Symbol,
    pub(super) kind: Option<NodeKind>,
}

impl Peer {
    fn of(category: Category, name: Symbol, kind: NodeKind) -> Peer {
        Peer { part: Part::Ordinary, category, name, kind: Some(kind) }
    }
}

/// What peers are found out with.
pub(super) struct Finder<'a> {
    pub(super) spans: &'a [Span],
    pub(super) nodes: &'a [Node],
    pub(super) window: &'a Window,
    pub(super) symbols: &'a mut Symbols,
    pub(super) lexicon: &'a mut Lexicon,
}

impl Finder<'_> {
    /// The peer of a span, after that of its parent. `received` is of a consumer.
    pub(super) fn peer(&mut self, place: u32, of_parent: Peer, received: Option<Received>) -> Peer {
        let node = &self.nodes[place as usize];
        let span = &self.spans[node.index as usize];
        match node.kind {
            Kind::Client | Kind::Producer => {}
            Kind::Consumer => {
                let topic = self.topic_of(span, received);
                return Peer::of(Category::Own, topic, NodeKind::Topic);
            }
            Kind::Unspecified | Kind::Internal | Kind::Server => return Peer::default(),
        }
        if self.is_transport(node, span, of_parent) {
            return Peer { part: Part::Transport, ..of_parent };
        }
        // A call with an answer of its own is a call, whatever it did on the way (a DNS look-up).
        if node.has_client && node.server == NONE && !carries(span) {
            return Peer { part: Part::Logical, ..Peer::default() };
        }
        if node.kind == Kind::Producer || self.takes(span) {
            let category = category(node, Category::Queue);
            return Peer::of(category, self.topic(&span.target), NodeKind::Topic);
        }
        self.callee(node, span)
    }

    /// An inner client without an answer of its own, below a call that keeps its edge.
    fn is_transport(&self, node: &Node, span: &Span, of_parent: Peer) -> bool {
        if node.kind != Kind::Client || node.server != NONE || !node.is_blocking {
            return false;
        }
        let parent = &self.nodes[node.parent as usize];
        let outer = &self.spans[parent.index as usize];
        matches!(parent.kind, Kind::Client | Kind::Producer)
            && outer.service == span.service
            && (carries(outer) || of_parent.part == Part::Transport)
    }

    /// Whether a client asks for messages or settles them: no call to the outside.
    pub(super) fn takes(&self, span: &Span) -> bool {
        let operation = self.lexicon.word(span.target.messaging_operation).operation;
        span.kind == Kind::Client && matches!(operation, Operation::Receive | Operation::Settle)
    }

    fn callee(&mut self, node: &Node, span: &Span) -> Peer {
        let target = &span.target;
        let (kind, unanswered, name) = if !target.messaging_system.is_none() {
            (NodeKind::Topic, Category::Queue, self.topic(target))
        } else if !target.db_system.is_none() {
            (NodeKind::Db, Category::Db, self.database(target))
        } else if let Some(service) = self.known_service(target) {
            (NodeKind::Service, Category::Lost, service)
        } else {
            (NodeKind::External, Category::External, self.external(target))
        };
        let category = category(node, unanswered);
        if node.server == NONE {
            return Peer::of(category, name, kind);
        }
        let server = self.nodes[node.server as usize].index;
        Peer::of(category, self.spans[server as usize].service, NodeKind::Service)
    }

    /// The topic of a consumer, or of its producer where it names none.
    fn topic_of(&mut self, span: &Span, received: Option<Received>) -> Symbol {
        let producer = received.map_or(NONE, |received| received.producer);
        if producer == NONE || !span.target.messaging_destination.is_none() {
            return self.topic(&span.target);
        }
        self.topic(&self.spans[self.nodes[producer as usize].index as usize].target)
    }

    /// The topic that a span names.
    fn topic(&mut self, target: &Target) -> Symbol {
        let (system, destination) = (target.messaging_system, target.messaging_destination);
        self.lexicon.topic(self.symbols, system, destination)
    }

    fn database(&mut self, target: &Target) -> Symbol {
        let parts =
            (target.db_system, target.db_namespace, target.server_address, target.server_port);
        self.lexicon.database(self.symbols, parts)
    }

    /// The service known to answer where the span asked.
    fn known_service(&self, target: &Target) -> Option<Symbol> {
        [target.server_address, target.peer_address, target.url_host]
            .into_iter()
            .find(|address| !address.is_none())
            .and_then(|address| self.window.service_at(address, target.server_port))
    }

    /// The first name that is present.
    fn external(&mut self, target: &Target) -> Symbol {
        if let Some(name) = target.peer_service.some() {
            return name;
        }
        if !target.server_address.is_none() {
            let (address, port) = (target.server_address, target.server_port);
            return self.lexicon.external(self.symbols, address, port);
        }
        let address = target.peer_address.some().unwrap_or(target.url_host);
        self.lexicon.external(self.symbols, address, 0)
    }
}

/// Whether a span keeps its edge above inner clients.
fn carries(span: &Span) -> bool {
    let target = &span.target;
    span.kind == Kind::Producer || !target.db_system.is_none() || !target.messaging_system.is_none()
}

fn category(node: &Node, unanswered: Category) -> Category {
    if node.blocking_servers > 0 { Category::Gap } else { unanswered }
}

/// Time between a client or producer and the server it called; the second value says that it came
/// out negative. Durations only where there is one server, so that no clock can spoil it.
pub(super) fn gap(nodes: &[Node], place: u32) -> (Option<i64>, bool) {
    let node = &nodes[place as usize];
    if !matches!(node.kind, Kind::Client | Kind::Producer) {
        return (None, false);
    }
    match node.blocking_servers {
        0 => (None, false),
        1 => {
            let gap = node.len() - nodes[node.server as usize].len();
            (Some(gap.max(0)), gap < 0)
        }
        _ => {
            // A server that was not waited for began after the end, and covers nothing.
            let (mut covered, mut covered_to) = (0, node.start);
            for child in children(nodes, place).map(|child| &nodes[child as usize]) {
                let (from, to) = (child.start.max(covered_to), child.end.min(node.end));
                if child.kind == Kind::Server && from < to {
                    covered += to - from;
                    covered_to = to;
                }
            }
            (Some(node.len() - covered), false)
        }
    }
}
