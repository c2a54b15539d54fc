//! The exact answers to what can be asked of the data: counted while it is told, in integers.
//!
//! The rules are those of any trace analysis that charges every nanosecond once: a call's own time
//! is charged to the one called, an error begins where nothing below has failed. Numbers are by
//! place in the catalog until they are printed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::catalog::{Catalog, Kind, NOTHING, Op};
use super::failure;
use super::trace::{Span, Trace};

/// Sums over all requests told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    traces: u64,
    spans: u64,
    error_spans: u64,
    /// By edge.
    edges: Vec<EdgeSums>,
    /// By service.
    self_ns: Vec<u64>,
    /// By node.
    critical_ns: Vec<u64>,
    /// By operation of the root.
    roots: BTreeMap<u32, RootSums>,
    /// By service, or by edge.
    origins: BTreeMap<Origin, OriginSums>,
    /// What was done to the data, by kind.
    pub(super) dirt: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct EdgeSums {
    calls: u64,
    client_ns: u64,
    server_ns: u64,
    gap_ns: u64,
    client_errors: u64,
    server_errors: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct RootSums {
    traces: u64,
    duration_ns: u64,
    errors: u64,
}

/// Where an error begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Service(u32),
    Edge(u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct OriginSums {
    count: u64,
    fatal: u64,
}

impl Tally {
    pub(super) fn new(catalog: &Catalog) -> Tally {
        Tally {
            edges: vec![EdgeSums::default(); catalog.edges.len()],
            self_ns: vec![0; catalog.services.len()],
            critical_ns: vec![0; catalog.nodes.len()],
            ..Tally::default()
        }
    }

    /// Counts a request that is settled.
    pub(super) fn count(&mut self, catalog: &Catalog, trace: &Trace) {
        self.traces += trace.ids.len() as u64;
        self.spans += trace.spans.len() as u64;
        for span in &trace.spans {
            let op = &catalog.ops[span.op as usize];
            self.self_ns[op.service as usize] += span.own_ns;
            self.critical_ns[op.charged as usize] += span.critical_ns();
            self.count_edge(catalog, trace, span, op);
            if span.is_error {
                self.count_error(trace, span, op);
            }
            if span.parent == NOTHING {
                let root = self.roots.entry(span.op).or_default();
                root.traces += 1;
                root.duration_ns += span.duration_ns();
                root.errors += u64::from(span.is_error);
            }
        }
    }

    fn count_edge(&mut self, catalog: &Catalog, trace: &Trace, span: &Span, op: &Op) {
        let Some(edge) = self.edges.get_mut(op.edge as usize) else { return };
        let parent = trace.spans.get(span.parent as usize);
        let is_called = parent.is_some_and(|p| catalog.ops[p.op as usize].kind == Kind::Client);
        match op.kind {
            Kind::Client | Kind::Producer => {
                edge.calls += 1;
                edge.client_ns += span.duration_ns();
                edge.client_errors += u64::from(span.is_error);
                if let Some(server) = trace.spans.get(span.server as usize) {
                    edge.server_ns += server.duration_ns();
                    edge.gap_ns += span.duration_ns().saturating_sub(server.duration_ns());
                    edge.server_errors += u64::from(server.is_error);
                }
            }
            Kind::Consumer => {
                edge.calls += 1;
                edge.server_ns += span.duration_ns();
                edge.server_errors += u64::from(span.is_error);
                let producer = trace.spans.get(span.link as usize);
                edge.gap_ns += producer.map_or(0, |p| span.start_ns.saturating_sub(p.end_ns));
            }
            Kind::Server if !is_called => {
                edge.calls += 1;
                edge.server_ns += span.duration_ns();
                edge.server_errors += u64::from(span.is_error);
            }
            Kind::Server | Kind::Internal => {}
        }
    }

    fn count_error(&mut self, trace: &Trace, span: &Span, op: &Op) {
        self.error_spans += 1;
        let origin = match trace.spans.get(span.server as usize) {
            None if op.kind == Kind::Client => Some(Origin::Edge(op.edge)),
            Some(server) if gave_up(span, server) => Some(Origin::Edge(op.edge)),
            _ => (!span.has_error).then_some(Origin::Service(op.service)),
        };
        if let Some(origin) = origin {
            let sums = self.origins.entry(origin).or_default();
            sums.count += 1;
            sums.fatal += u64::from(span.is_fatal);
        }
    }

    /// Adds what was counted elsewhere.
    pub(super) fn merge(&mut self, other: &Tally) {
        self.traces += other.traces;
        self.spans += other.spans;
        self.error_spans += other.error_spans;
        self.edges.iter_mut().zip(&other.edges).for_each(|(sums, more)| sums.merge(more));
        add_all(&mut self.self_ns, &other.self_ns);
        add_all(&mut self.critical_ns, &other.critical_ns);
        for (op, more) in &other.roots {
            let root = self.roots.entry(*op).or_default();
            root.traces += more.traces;
            root.duration_ns += more.duration_ns;
            root.errors += more.errors;
        }
        for (origin, more) in &other.origins {
            let sums = self.origins.entry(*origin).or_default();
            sums.count += more.count;
            sums.fatal += more.fatal;
        }
        for (kind, more) in &other.dirt {
            *self.dirt.entry(kind).or_default() += more;
        }
    }
}

impl EdgeSums {
    fn merge(&mut self, more: &EdgeSums) {
        self.calls += more.calls;
        self.client_ns += more.client_ns;
        self.server_ns += more.server_ns;
        self.gap_ns += more.gap_ns;
        self.client_errors += more.client_errors;
        self.server_errors += more.server_errors;
    }
}

fn add_all(sums: &mut [u64], more: &[u64]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// Whether a caller stopped waiting for an answer that came all the same.
fn gave_up(client: &Span, server: &Span) -> bool {
    client.failure == failure::TIMEOUT && (!server.is_error || server.end_ns > client.end_ns)
}

/// The answers, with names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Preset that made the data.
    pub preset: String,
    /// Its seed.
    pub seed: u64,
    /// Whether the numbers below are to be found in the data as they are: not so where spans are
    /// damaged or lost, or clocks are wrong.
    pub exact: bool,
    /// Traces; a message that is handled begins one of its own.
    pub traces: u64,
    /// Spans.
    pub spans: u64,
    /// Spans that were sent: without those that are lost, and with those that are sent again.
    pub spans_sent: u64,
    /// Spans in error.
    pub error_spans: u64,
    /// Who calls whom.
    pub edges: Vec<Edge>,
    /// Time in which no child ran, by service.
    pub self_ns: BTreeMap<String, u64>,
    /// Time on the critical path of its segment, by the node that it is charged to.
    pub critical_ns: BTreeMap<String, u64>,
    /// Root operations.
    pub roots: Vec<Root>,
    /// Where errors begin.
    pub error_origins: Vec<ErrorOrigin>,
    /// Who is to blame, where a fault was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culprit: Option<crate::truth::Culprit>,
    /// What was done to the data, and how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dirt: BTreeMap<String, u64>,
}

/// Calls of one node by another. Sums are of durations in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Caller.
    pub source: String,
    /// What it is.
    pub source_kind: &'static str,
    /// Callee.
    pub target: String,
    /// What it is.
    pub target_kind: &'static str,
    /// Calls, or messages.
    pub calls: u64,
    /// As the caller sees them.
    pub client_ns: u64,
    /// As the callee sees them.
    pub server_ns: u64,
    /// Between the two; of messages, how long they lay.
    pub gap_ns: u64,
    /// Failed for the caller.
    pub client_errors: u64,
    /// Failed in the callee.
    pub server_errors: u64,
}

/// Traces of one root operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Root {
    /// Service of the root.
    pub service: String,
    /// Name of the root.
    pub name: String,
    /// Traces.
    pub traces: u64,
    /// Sum of the roots' durations.
    pub duration_ns: u64,
    /// Roots in error.
    pub errors: u64,
}

/// A place where errors begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorOrigin {
    /// `service` or `edge`.
    pub kind: &'static str,
    /// The service, or `caller → callee`.
    pub origin: String,
    /// How many.
    pub count: u64,
    /// Of these, how many failed the whole request.
    pub fatal: u64,
}

impl Tally {
    /// The answers by name; what never happened is left out.
    pub(super) fn answers(&self, catalog: &Catalog, preset: &str, seed: u64) -> Answers {
        let node = |place: u32| &catalog.nodes[place as usize];
        let service = |place: u32| catalog.services[place as usize].name.clone();
        let edges = catalog.edges.iter().zip(&self.edges).filter(|(_, sums)| sums.calls > 0);
        let edges = edges.map(|(&(from, to), sums)| Edge {
            source: node(from).name.clone(),
            source_kind: node(from).kind.word(),
            target: node(to).name.clone(),
            target_kind: node(to).kind.word(),
            calls: sums.calls,
            client_ns: sums.client_ns,
            server_ns: sums.server_ns,
            gap_ns: sums.gap_ns,
            client_errors: sums.client_errors,
            server_errors: sums.server_errors,
        });
        let roots = self.roots.iter().map(|(op, sums)| Root {
            service: service(catalog.ops[*op as usize].service),
            name: catalog.ops[*op as usize].name.clone(),
            traces: sums.traces,
            duration_ns: sums.duration_ns,
            errors: sums.errors,
        });
        let self_ns = catalog.services.iter().map(|service| service.name.clone());
        let critical_ns = catalog.nodes.iter().map(|node| node.name.clone());
        Answers {
            preset: preset.to_owned(),
            seed,
            exact: true,
            traces: self.traces,
            spans: self.spans,
            spans_sent: self.spans,
            error_spans: self.error_spans,
            edges: edges.collect(),
            self_ns: positive(self_ns.zip(&self.self_ns)),
            critical_ns: positive(critical_ns.zip(&self.critical_ns)),
            roots: merged(roots),
            error_origins: self.origins.iter().map(|(o, sums)| o.named(catalog, *sums)).collect(),
            culprit: None,
            dirt: self.dirt.iter().map(|(kind, n)| ((*kind).to_owned(), *n)).collect(),
        }
    }
}

impl Origin {
    fn named(self, catalog: &Catalog, sums: OriginSums) -> ErrorOrigin {
        let (kind, origin) = match self {
            Origin::Service(place) => ("service", catalog.services[place as usize].name.clone()),
            Origin::Edge(place) => {
                let (from, to) = catalog.edges[place as usize];
                let name = |place: u32| &catalog.nodes[place as usize].name;
                ("edge", format!("{} → {}", name(from), name(to)))
            }
        };
        ErrorOrigin { kind, origin, count: sums.count, fatal: sums.fatal }
    }
}

fn positive<'a>(sums: impl Iterator<Item = (String, &'a u64)>) -> BTreeMap<String, u64> {
    sums.filter(|(_, sum)| **sum > 0).map(|(name, sum)| (name, *sum)).collect()
}

/// Operations of one name may be several in the catalog.
fn merged(roots: impl Iterator<Item = Root>) -> Vec<Root> {
    let mut by_name: BTreeMap<(String, String), Root> = BTreeMap::new();
    for root in roots {
        let key = (root.service.clone(), root.name.clone());
        match by_name.get_mut(&key) {
            Some(sums) => {
                sums.traces += root.traces;
                sums.duration_ns += root.duration_ns;
                sums.errors += root.errors;
            }
            None => {
                by_name.insert(key, root);
            }
        }
    }
    by_name.into_values().collect()
}
