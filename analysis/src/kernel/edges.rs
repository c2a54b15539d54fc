//! The edge of the map that a span yields (section 11 of the definitions).

use super::lexicon::Operation;
use super::messages::{Messages, Received};
use super::peers::{Finder, Part, Peer};
use super::prepare::NONE;
use super::tree::{Node, children};
use crate::facts::{Category, Edge, EdgeKind, NodeKind};
use crate::span::{Kind, Span};
use crate::symbols::Symbol;

impl Finder<'_> {
    /// The edge of a span whose peer and gap are known. `received` is of a consumer.
    pub(super) fn edge(
        &mut self,
        place: u32,
        peer: &Peer,
        gap_ns: Option<i64>,
        messages: &Messages,
        received: Option<Received>,
    ) -> Option<Edge> {
        let node = &self.nodes[place as usize];
        match node.kind {
            Kind::Unspecified | Kind::Internal => None,
            Kind::Server => self.entry(node),
            Kind::Consumer => received.and_then(|received| self.receive(node, peer, received)),
            Kind::Producer => Some(self.outgoing(node, peer, EdgeKind::Send)),
            Kind::Client if peer.part != Part::Ordinary => None,
            Kind::Client => self.call(place, peer, gap_ns, messages),
        }
    }

    fn call(
        &mut self,
        place: u32,
        peer: &Peer,
        gap_ns: Option<i64>,
        messages: &Messages,
    ) -> Option<Edge> {
        let node = &self.nodes[place as usize];
        let span = &self.spans[node.index as usize];
        if self.takes(span) {
            return None;
        }
        if node.server != NONE {
            return self.answered(node, peer, gap_ns);
        }
        match peer.kind? {
            NodeKind::Topic => {
                let is_carried = messages.is_created(place) || self.has_created(place);
                (!is_carried).then(|| self.outgoing(node, peer, EdgeKind::Send))
            }
            NodeKind::Db => Some(self.outgoing(node, peer, EdgeKind::Db)),
            NodeKind::Service => Some(Edge {
                is_lost: peer.category == Category::Lost,
                ..self.outgoing(node, peer, EdgeKind::Call)
            }),
            NodeKind::External | NodeKind::User | NodeKind::Unknown => {
                Some(self.outgoing(node, peer, EdgeKind::External))
            }
        }
    }

    /// A call with its server; none within one process.
    fn answered(&self, node: &Node, peer: &Peer, gap_ns: Option<i64>) -> Option<Edge> {
        let server = &self.nodes[node.server as usize];
        let (caller, callee) =
            (&self.spans[node.index as usize], &self.spans[server.index as usize]);
        let is_self_call = caller.service == callee.service
            && caller.instance == callee.instance
            && !caller.instance.is_none();
        (!is_self_call).then(|| Edge {
            server_ns: Some(server.len()),
            gap_ns,
            server_error: server.is_error,
            via: self.via(caller, callee),
            ..self.outgoing(node, peer, EdgeKind::Call)
        })
    }

    /// The address asked for, where the server sits at another one and is never seen at this one.
    fn via(&self, caller: &Span, callee: &Span) -> Symbol {
        let (asked, sits) = (caller.target.server_address, callee.target.server_address);
        let is_direct = asked.is_none()
            || sits.is_none()
            || asked == sits
            || self.window.is_own_address(callee.service, asked);
        if is_direct { Symbol::NONE } else { asked }
    }

    fn outgoing(&self, node: &Node, peer: &Peer, kind: EdgeKind) -> Edge {
        Edge {
            source: self.spans[node.index as usize].service,
            source_kind: NodeKind::Service,
            target: peer.name,
            target_kind: peer.kind.unwrap_or(NodeKind::External),
            kind,
            is_inferred: false,
            is_lost: false,
            via: Symbol::NONE,
            calls: 1,
            client_ns: Some(node.len()),
            server_ns: None,
            gap_ns: None,
            client_error: node.is_error,
            server_error: false,
        }
    }

    /// A server without a client above it.
    fn entry(&self, node: &Node) -> Option<Edge> {
        let span = &self.spans[node.index as usize];
        let (source, source_kind, kind) = if node.parent == NONE {
            if span.parent_id == 0 {
                (self.lexicon.user, NodeKind::User, EdgeKind::Entry)
            } else {
                (self.lexicon.unknown, NodeKind::Unknown, EdgeKind::Entry)
            }
        } else {
            let parent = &self.nodes[node.parent as usize];
            let caller = self.spans[parent.index as usize].service;
            if parent.kind == Kind::Client || caller == span.service {
                return None;
            }
            (caller, NodeKind::Service, EdgeKind::Call)
        };
        Some(Edge {
            source,
            source_kind,
            kind,
            is_inferred: kind == EdgeKind::Call,
            ..self.incoming(node)
        })
    }

    fn incoming(&self, node: &Node) -> Edge {
        Edge {
            source: Symbol::NONE,
            source_kind: NodeKind::Unknown,
            target: self.spans[node.index as usize].service,
            target_kind: NodeKind::Service,
            kind: EdgeKind::Entry,
            is_inferred: false,
            is_lost: false,
            via: Symbol::NONE,
            calls: 1,
            client_ns: None,
            server_ns: Some(node.len()),
            gap_ns: None,
            client_error: false,
            server_error: node.is_error,
        }
    }

    fn receive(&self, node: &Node, peer: &Peer, received: Received) -> Option<Edge> {
        (received.count > 0).then(|| Edge {
            source: peer.name,
            source_kind: NodeKind::Topic,
            kind: EdgeKind::Receive,
            calls: received.count,
            gap_ns: received.lag_ns,
            ..self.incoming(node)
        })
    }

    /// Whether the span that sends has the span that made the message above or below it.
    fn has_created(&self, place: u32) -> bool {
        let creates = |place: u32| {
            let node = &self.nodes[place as usize];
            let target = &self.spans[node.index as usize].target;
            node.kind == Kind::Producer
                && self.lexicon.word(target.messaging_operation).operation == Operation::Create
        };
        let parent = self.nodes[place as usize].parent;
        (parent != NONE && creates(parent)) || children(self.nodes, place).any(creates)
    }
}
