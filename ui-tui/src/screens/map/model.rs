//! Nodes and edges with what is known of them now and before.

use std::collections::{BTreeMap, BTreeSet};

use api::views::{EdgeRow, ServiceRow};

use crate::format;

/// A service and a database may have the same name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId {
    pub(super) name: String,
    /// `service`, `db`, `topic`, `external`, `unknown`.
    pub(super) kind: String,
}

impl NodeId {
    pub(super) fn is_service(&self) -> bool {
        self.kind == "service"
    }

    /// With the sign of what is known by its callers only.
    pub(super) fn shown(&self) -> String {
        match self.kind.as_str() {
            "service" => self.name.clone(),
            "external" => format!("{} ext", self.name),
            _ => format!("{}*", self.name),
        }
    }
}

/// A node.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    /// Calls to it per second.
    pub(super) per_second: f64,
    pub(super) error_share: Option<f64>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) before_p99_ms: Option<f64>,
    pub(super) before_error_share: Option<f64>,
    pub(super) self_ms: Option<f64>,
    pub(super) versions: Vec<String>,
    pub(super) trend: Vec<Option<f64>>,
    /// On the path of the largest change.
    pub(super) on_path: bool,
    /// Neighbours that are not shown.
    pub(super) hidden: usize,
}

/// An edge: all calls from one node to another, however they are made.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) kinds: Vec<String>,
    pub(super) is_message: bool,
    pub(super) per_second: f64,
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) attempts: f64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) gap_p99_ms: Option<f64>,
    pub(super) before_p99_ms: Option<f64>,
    pub(super) before_error_share: Option<f64>,
    pub(super) on_path: bool,
    pub(super) first_seen: String,
    error_trace: Option<String>,
    slowest_trace: Option<String>,
    median_trace: Option<String>,
}

impl Edge {
    fn of(row: &EdgeRow) -> Edge {
        let id = |name: &str, kind: &str| NodeId { name: name.to_owned(), kind: kind.to_owned() };
        Edge {
            from: id(&row.src, &row.src_kind),
            to: id(&row.dst, &row.dst_kind),
            kinds: vec![row.edge_kind.clone()],
            is_message: matches!(row.edge_kind.as_str(), "send" | "receive"),
            per_second: row.per_second,
            calls: row.calls,
            errors: row.client_errors.max(row.server_errors),
            attempts: row.attempts,
            p50_ms: row.client_p50_ms.or(row.server_p50_ms),
            p99_ms: row.client_p99_ms.or(row.server_p99_ms),
            gap_p99_ms: row.gap_p99_ms,
            before_p99_ms: None,
            before_error_share: None,
            on_path: false,
            first_seen: row.first_seen.clone(),
            error_trace: row.error_trace.clone(),
            slowest_trace: row.slowest_trace.clone(),
            median_trace: row.median_trace.clone(),
        }
    }

    /// Takes in another row of the same pair. Quantiles do not add: the larger stands for both.
    fn add(&mut self, other: Edge) {
        let larger = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        self.kinds.extend(other.kinds);
        self.is_message &= other.is_message;
        self.per_second += other.per_second;
        self.calls += other.calls;
        self.errors += other.errors;
        self.attempts = self.attempts.max(other.attempts);
        self.p50_ms = larger(self.p50_ms, other.p50_ms);
        self.p99_ms = larger(self.p99_ms, other.p99_ms);
        self.gap_p99_ms = larger(self.gap_p99_ms, other.gap_p99_ms);
        self.error_trace = self.error_trace.take().or(other.error_trace);
        self.slowest_trace = self.slowest_trace.take().or(other.slowest_trace);
    }

    pub(super) fn error_share(&self) -> f64 {
        self.errors as f64 / (self.calls as f64).max(1.0)
    }

    /// How much time a second is lost against before, by its rate: larger is worse.
    pub(super) fn impact(&self) -> f64 {
        let slower = match (self.p99_ms, self.before_p99_ms) {
            (Some(now), Some(before)) => now - before,
            _ => 0.0,
        };
        let failing = (self.error_share() - self.before_error_share.unwrap_or(0.0)).max(0.0);
        // A failed call weighs as a second.
        self.per_second * (slower + failing * 1_000.0)
    }

    /// A trace that shows it: a failed one where calls fail, else the slowest.
    pub(super) fn exemplar(&self) -> Option<&str> {
        let failed = self.error_trace.as_deref().filter(|_| self.error_share() >= 0.01);
        failed.or(self.slowest_trace.as_deref()).or(self.median_trace.as_deref())
    }

    pub(super) fn shown(&self) -> String {
        format!("{} -> {}", self.from.shown(), self.to.shown())
    }

    pub(super) fn fields(&self) -> Vec<String> {
        let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
        vec![
            self.from.shown(),
            self.to.shown(),
            self.per_second.to_string(),
            self.error_share().to_string(),
            number(self.p50_ms),
            number(self.p99_ms),
            number(self.before_p99_ms),
        ]
    }

    /// How it changed, in words.
    pub(super) fn change(&self) -> String {
        match (self.p99_ms, self.before_p99_ms) {
            (Some(now), Some(before)) => format::factor(now, before),
            _ => format::NONE.to_owned(),
        }
    }
}

/// The graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// By name.
    pub(super) nodes: Vec<Node>,
    /// The worst first.
    pub(super) edges: Vec<Edge>,
}

impl Model {
    pub(super) fn of(
        now: &[EdgeRow],
        before: Option<&[EdgeRow]>,
        services: &[ServiceRow],
    ) -> Model {
        let mut edges = merged(now);
        let old = before.map(merged).unwrap_or_default();
        for (key, edge) in &mut edges {
            let before = old.get(key);
            edge.before_p99_ms = before.and_then(|e| e.p99_ms);
            edge.before_error_share = before.map(Edge::error_share);
        }
        let mut edges: Vec<Edge> = edges.into_values().collect();
        edges.sort_by(|a, b| b.impact().total_cmp(&a.impact()).then_with(|| b.calls.cmp(&a.calls)));
        mark_path(&mut edges);
        let nodes = nodes_of(&edges, now, services);
        Model { nodes, edges }
    }

    pub(super) fn place(&self, id: &NodeId) -> Option<usize> {
        self.nodes.binary_search_by(|n| n.id.cmp(id)).ok()
    }

    /// The node of that name, a service before others.
    pub(super) fn named(&self, name: &str) -> Option<NodeId> {
        let named = self.nodes.iter().filter(|n| n.id.name == name);
        named.max_by_key(|n| n.id.is_service()).map(|n| n.id.clone())
    }

    /// What is within so many steps of a node, in whichever direction.
    pub(super) fn near(&self, focus: &NodeId, depth: usize) -> Model {
        let mut kept: BTreeSet<&NodeId> = BTreeSet::from([focus]);
        for _ in 0..depth {
            let touched =
                self.edges.iter().filter(|e| kept.contains(&e.from) || kept.contains(&e.to));
            let ends: Vec<&NodeId> = touched.flat_map(|e| [&e.from, &e.to]).collect();
            kept.extend(ends);
        }
        let inside = |e: &&Edge| kept.contains(&e.from) && kept.contains(&e.to);
        let edges: Vec<Edge> = self.edges.iter().filter(inside).cloned().collect();
        let mut nodes: Vec<Node> =
            self.nodes.iter().filter(|n| kept.contains(&n.id)).cloned().collect();
        for node in &mut nodes {
            let all = self.edges.iter().filter(|e| e.from == node.id || e.to == node.id).count();
            let shown = edges.iter().filter(|e| e.from == node.id || e.to == node.id).count();
            node.hidden = all - shown;
        }
        Model { nodes, edges }
    }
}

/// One edge a pair of nodes. Calls of users are no edges: they are the rate of a node.
fn merged(rows: &[EdgeRow]) -> BTreeMap<(NodeId, NodeId), Edge> {
    let mut edges: BTreeMap<(NodeId, NodeId), Edge> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.src_kind != "user") {
        let edge = Edge::of(row);
        let key = (edge.from.clone(), edge.to.clone());
        match edges.get_mut(&key) {
            Some(known) => known.add(edge),
            None => drop(edges.insert(key, edge)),
        }
    }
    edges
}

/// Marks the path of the largest change: from the worst edge on to the worst below, and back to the
/// worst above.
fn mark_path(edges: &mut [Edge]) {
    let Some(worst) = edges.first().filter(|e| e.impact() > 0.0) else { return };
    let (mut head, mut tail) = (worst.from.clone(), worst.to.clone());
    edges[0].on_path = true;
    let mut seen = BTreeSet::from([head.clone(), tail.clone()]);
    let worse = |e: &Edge| e.impact() > 0.0;
    while let Some(at) =
        edges.iter().position(|e| e.from == tail && worse(e) && !seen.contains(&e.to))
    {
        edges[at].on_path = true;
        tail = edges[at].to.clone();
        seen.insert(tail.clone());
    }
    while let Some(at) =
        edges.iter().position(|e| e.to == head && worse(e) && !seen.contains(&e.from))
    {
        edges[at].on_path = true;
        head = edges[at].from.clone();
        seen.insert(head.clone());
    }
}

fn nodes_of(edges: &[Edge], rows: &[EdgeRow], services: &[ServiceRow]) -> Vec<Node> {
    let mut ids: BTreeSet<NodeId> =
        edges.iter().flat_map(|e| [e.from.clone(), e.to.clone()]).collect();
    // A service that nobody calls and that calls nobody is a node too.
    for row in rows.iter().filter(|row| row.src_kind == "user") {
        ids.insert(NodeId { name: row.dst.clone(), kind: row.dst_kind.clone() });
    }
    ids.into_iter().map(|id| node_of(id, edges, rows, services)).collect()
}

fn node_of(id: NodeId, edges: &[Edge], rows: &[EdgeRow], services: &[ServiceRow]) -> Node {
    let is_same = |row: &&ServiceRow| {
        let kind = if row.kind.is_empty() { "service" } else { row.kind.as_str() };
        row.service_name == id.name && kind == id.kind
    };
    let known = services.iter().find(is_same);
    let incoming = || rows.iter().filter(|r| r.dst == id.name && r.dst_kind == id.kind);
    let calls: u64 = incoming().map(|r| r.calls).sum();
    let errors: u64 = incoming().map(|r| r.client_errors.max(r.server_errors)).sum();
    let slowest = |of: fn(&EdgeRow) -> Option<f64>| incoming().filter_map(of).reduce(f64::max);
    let before = known.and_then(|row| row.before.as_ref());
    let trend = known.and_then(|row| row.trend.as_ref());
    Node {
        per_second: known.map_or_else(|| incoming().map(|r| r.per_second).sum(), |r| r.per_second),
        error_share: known
            .and_then(|row| row.error_share)
            .or((calls > 0).then(|| errors as f64 / calls as f64)),
        p50_ms: known
            .and_then(|row| row.p50_ms)
            .or_else(|| slowest(|r| r.server_p50_ms.or(r.client_p50_ms))),
        p99_ms: known
            .and_then(|row| row.p99_ms)
            .or_else(|| slowest(|r| r.server_p99_ms.or(r.client_p99_ms))),
        before_p99_ms: before.and_then(|b| b.p99_ms),
        before_error_share: before.and_then(|b| b.error_share),
        self_ms: known.and_then(|row| row.self_ms),
        versions: known.map(|row| row.versions.clone()).unwrap_or_default(),
        trend: trend.map(|t| t.p99_ms.clone()).unwrap_or_default(),
        on_path: edges.iter().any(|e| e.on_path && (e.from == id || e.to == id)),
        hidden: 0,
        id,
    }
}
