//! What a right analysis must find in the traces of the shop.
//!
//! Every number here comes from the plans that the traces were made of: durations are sums of their
//! steps, the path is where a step is waited for. Nothing is computed back from spans. Names of
//! nodes and the rules for edges, categories and roles of errors are those of the trace kernel.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::{Delivery, Plan, Role, Step};
use super::topology::TOPIC;

/// Name of the node that callers from outside are. The shop has a service of this name too: a node is
/// its kind and its name.
pub const USER: &str = "user";

/// The known answers, over all traces of a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Sums by root operation.
    pub roots: BTreeMap<Operation, RootTruth>,
    /// The map: who calls whom.
    pub edges: BTreeMap<Edge, EdgeTruth>,
    /// Where errors begin.
    pub errors: BTreeMap<ErrorOrigin, ErrorTruth>,
    /// Spans that did well though a child that they waited for failed, by service.
    pub absorbed: BTreeMap<&'static str, u64>,
    /// One for each trace, by start of the request that led to it.
    pub traces: Vec<TraceTruth>,
    /// Spans in all.
    pub spans: u64,
    /// Spans in error.
    pub error_spans: u64,
    /// What is wrong; none when nothing is.
    pub culprit: Option<Culprit>,
}

/// A span name of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    /// Name of the service.
    pub service: &'static str,
    /// Name of the span.
    pub name: &'static str,
}

/// Two nodes of which the first calls the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edge {
    /// The caller, or the topic that a message comes from.
    pub from: &'static str,
    /// The callee, or the topic that a message goes to.
    pub to: &'static str,
}

/// What the own time of a span on the path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// Work of the service, called `self` in tables.
    Own,
    /// Between a client and its server.
    Gap,
    /// Waiting for a database.
    Db,
    /// Waiting for something that sends no spans.
    External,
    /// Handing over a message.
    Queue,
}

/// Sums over the traces of one root operation, segment of the root alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootTruth {
    /// How many traces.
    pub traces: u64,
    /// Sum of the durations of the roots.
    pub duration_ns: u64,
    /// Time on the critical path by the node that it is charged to; adds up to the durations.
    pub path_ns_by_node: BTreeMap<&'static str, u64>,
    /// The same by category.
    pub path_ns_by_category: BTreeMap<Category, u64>,
}

impl RootTruth {
    /// Mean duration of the roots, rounded down.
    pub fn mean_ns(&self) -> u64 {
        self.duration_ns / self.traces.max(1)
    }
}

/// Sums over the calls of one edge, whether on a path or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeTruth {
    /// Calls, or messages.
    pub calls: u64,
    /// Durations seen by the caller; 0 on edges from [`USER`] and from a topic.
    pub client_ns: u64,
    /// Durations seen by the callee; 0 where it sends no spans.
    pub server_ns: u64,
    /// What the caller sees and the callee does not; from a topic: how long messages lay there.
    pub gap_ns: u64,
    /// Calls that failed for the caller.
    pub client_errors: u64,
    /// Calls that failed in the callee.
    pub server_errors: u64,
    /// Calls that repeat one that had failed under the same span.
    pub retries: u64,
}

/// Where an error begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorOrigin {
    /// In a service itself.
    Service(&'static str),
    /// In a call whose callee tells nothing.
    Peer(Edge),
}

/// How often errors begin at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorTruth {
    /// Spans.
    pub count: u64,
    /// Spans whose error reached the first span of the segment.
    pub fatal: u64,
}

/// One trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceTruth {
    /// Its id.
    pub trace_id: [u8; 16],
    /// Operation of its root.
    pub root: Operation,
    /// Start of its root, nanoseconds since the epoch.
    pub start_ns: u64,
    /// Duration of its root.
    pub duration_ns: u64,
    /// Whether its root is in error.
    pub is_error: bool,
    /// Whether the fault acted on it.
    pub is_affected: bool,
}

/// What is wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// Where.
    pub subject: Subject,
    /// In which way.
    pub harm: Harm,
    /// The attribute that tells the bad part of the subject from the good one, when one does.
    pub attribute: Option<(&'static str, &'static str)>,
    /// When it acts, by start of the request: nanoseconds since the epoch.
    pub window_ns: Range<u64>,
    /// Traces that it acted on.
    pub affected_traces: u64,
}

/// A place that is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A service.
    Service(&'static str),
    /// The way to, or the answer of, a callee.
    Edge(Edge),
}

/// What a user notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Requests take longer.
    Latency,
    /// Requests fail.
    Error,
}

/// Where in its trace a span stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    parent: Option<&'a Plan>,
    /// Whether the root waits for every moment of it.
    is_on_path: bool,
    /// Whether the segment is that of the root.
    is_main: bool,
    /// Whether all spans above it in its segment are in error.
    are_all_failed: bool,
}

const ROOT: Place<'_> =
    Place { parent: None, is_on_path: true, is_main: true, are_all_failed: true };

impl Truth {
    /// Counts a trace in.
    pub(super) fn add(&mut self, root: &Plan, trace: TraceTruth) {
        let operation = self.roots.entry(trace.root).or_default();
        operation.traces += 1;
        operation.duration_ns += trace.duration_ns;
        self.traces.push(trace);
        self.walk(root, ROOT, trace.root);
    }

    fn walk(&mut self, plan: &Plan, place: Place<'_>, root: Operation) {
        self.spans += 1;
        self.error_spans += u64::from(plan.failure.is_some());
        if place.is_main && place.is_on_path {
            let (category, node) = plan.charge();
            let sums = self.roots.entry(root).or_default();
            *sums.path_ns_by_node.entry(node).or_default() += plan.own_ns();
            *sums.path_ns_by_category.entry(category).or_default() += plan.own_ns();
        }
        self.count_call(plan, place.parent);
        self.count_retries(plan);
        self.count_error(plan, place.are_all_failed);
        let are_all_failed = place.are_all_failed && plan.failure.is_some();
        for step in &plan.steps {
            for (nth, child) in step.children().iter().enumerate() {
                let is_on_path = place.is_on_path && nth == 0;
                let child_place = Place { parent: Some(plan), is_on_path, are_all_failed, ..place };
                self.walk(child, child_place, root);
            }
            if let Step::Message { lag_ns, consumer, delivery } = step {
                self.count_message(*lag_ns, consumer);
                if *delivery == Delivery::SameTrace {
                    let segment = Place { parent: Some(plan), is_main: false, ..ROOT };
                    self.walk(consumer, segment, root);
                }
            }
        }
    }

    /// The edge of a span that calls, or that is called from outside.
    fn count_call(&mut self, plan: &Plan, parent: Option<&Plan>) {
        let duration_ns = plan.duration_ns();
        if let (Role::Server(_), None) = (plan.role, parent) {
            let edge = self.edge(USER, plan.service.name());
            edge.calls += 1;
            edge.server_ns += duration_ns;
            edge.server_errors += u64::from(plan.failure.is_some());
        }
        let Some(callee) = plan.callee() else { return };
        let edge = self.edge(plan.service.name(), callee);
        edge.calls += 1;
        edge.client_ns += duration_ns;
        edge.client_errors += u64::from(plan.failure.is_some());
        for server in plan.children() {
            edge.server_ns += server.duration_ns();
            edge.gap_ns += plan.own_ns();
            edge.server_errors += u64::from(server.failure.is_some());
        }
    }

    fn count_message(&mut self, lag_ns: u64, consumer: &Plan) {
        let edge = self.edge(TOPIC, consumer.service.name());
        edge.calls += 1;
        edge.server_ns += consumer.duration_ns();
        edge.gap_ns += lag_ns;
        edge.server_errors += u64::from(consumer.failure.is_some());
    }

    /// Calls below a span that repeat one which failed.
    fn count_retries(&mut self, plan: &Plan) {
        let mut failed = Vec::new();
        for call in plan.children() {
            let Some(callee) = call.callee() else { continue };
            let key = (callee, call.name());
            if failed.contains(&key) {
                self.edge(plan.service.name(), callee).retries += 1;
            }
            if call.failure.is_some() {
                failed.push(key);
            }
        }
    }

    fn count_error(&mut self, plan: &Plan, are_all_failed: bool) {
        let is_child_failed = plan.children().any(|child| child.failure.is_some());
        let service = plan.service.name();
        match (plan.failure.is_some(), is_child_failed) {
            (true, false) => {
                let origin = match plan.callee() {
                    Some(to) => ErrorOrigin::Peer(Edge { from: service, to }),
                    None => ErrorOrigin::Service(service),
                };
                let error = self.errors.entry(origin).or_default();
                error.count += 1;
                error.fatal += u64::from(are_all_failed);
            }
            (false, true) => *self.absorbed.entry(service).or_default() += 1,
            (true, true) | (false, false) => {}
        }
    }

    fn edge(&mut self, from: &'static str, to: &'static str) -> &mut EdgeTruth {
        self.edges.entry(Edge { from, to }).or_default()
    }
}
