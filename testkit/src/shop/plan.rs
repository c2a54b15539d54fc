//! What will happen in one trace, before it has times: a tree of spans and of the work between.
//!
//! The own time of a span is the sum of its [`Step::Work`], and what runs in parallel is decided by
//! its first branch, so the path through a trace is read off the tree and never searched for.

use super::topology::{Endpoint, Failure, PROVIDER, Service, Statement, TOPIC};
use super::truth::Category;

/// By how much the first branch of a fan-out outlasts the others. More than 1 % of any span that
/// the shop makes, so that no tolerance for overlaps decides the path.
pub(super) const MARGIN_NS: u64 = 15_000_000;
/// Between the starts of two branches of a fan-out.
pub(super) const STAGGER_NS: u64 = 40_000;

/// A span to be.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) service: Service,
    /// Index of the instance in the fleet.
    pub(super) instance: usize,
    pub(super) role: Role,
    pub(super) failure: Option<&'static Failure>,
    pub(super) steps: Vec<Step>,
}

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server(&'static Endpoint),
    /// A call of an endpoint; the server's span is its child.
    Client(&'static Endpoint),
    /// A call of the payment provider, which sends no spans.
    Provider,
    Database(&'static Statement),
    Internal(&'static str),
    /// Hands a message to the topic.
    Send,
    /// Handles a message of the topic.
    Process,
}

/// What a span does, one after the other.
#[derive(Debug)]
pub(super) enum Step {
    /// Time of the span itself, nanoseconds.
    Work(u64),
    Child(Plan),
    /// Children at the same time; the first one ends last.
    FanOut(Vec<Plan>),
    /// Handled some nanoseconds after the span has ended; nobody waits for it.
    Message {
        lag_ns: u64,
        consumer: Plan,
        delivery: Delivery,
    },
}

/// Where the consumer of a message leaves its span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// As a child of the producer, with a link to it.
    SameTrace,
    /// In a trace of its own, with a link alone.
    OwnTrace,
}

impl Step {
    /// Children at the same time. The longest becomes the first and is stretched if it does not
    /// outlast the others clearly.
    pub(super) fn fan_out(mut branches: Vec<Plan>) -> Step {
        branches.sort_by_key(|branch| std::cmp::Reverse(branch.duration_ns()));
        let stagger_ns = STAGGER_NS * branches.len() as u64;
        if let [first, second, ..] = branches.as_mut_slice() {
            let least_ns = second.duration_ns() + stagger_ns + MARGIN_NS;
            let missing_ns = least_ns.saturating_sub(first.duration_ns());
            first.stretch(missing_ns);
        }
        Step::FanOut(branches)
    }

    /// How long it holds its span up.
    pub(super) fn duration_ns(&self) -> u64 {
        match self {
            Step::Work(ns) => *ns,
            Step::Child(child) => child.duration_ns(),
            Step::FanOut(branches) => branches.first().map_or(0, Plan::duration_ns),
            Step::Message { .. } => 0,
        }
    }

    /// The children that the span waits for.
    pub(super) fn children(&self) -> &[Plan] {
        match self {
            Step::Child(child) => std::slice::from_ref(child),
            Step::FanOut(branches) => branches,
            Step::Work(_) | Step::Message { .. } => &[],
        }
    }
}

impl Plan {
    pub(super) fn name(&self) -> &'static str {
        match self.role {
            Role::Server(endpoint) | Role::Client(endpoint) => endpoint.name,
            Role::Provider => "POST",
            Role::Database(statement) => statement.summary,
            Role::Internal(name) => name,
            Role::Send => "send orders",
            Role::Process => "process orders",
        }
    }

    pub(super) fn duration_ns(&self) -> u64 {
        self.steps.iter().map(Step::duration_ns).sum()
    }

    /// Time in which no child runs that the span waits for.
    pub(super) fn own_ns(&self) -> u64 {
        let own = |step: &Step| if let Step::Work(ns) = step { *ns } else { 0 };
        self.steps.iter().map(own).sum()
    }

    /// All children that the span waits for.
    pub(super) fn children(&self) -> impl Iterator<Item = &Plan> {
        self.steps.iter().flat_map(Step::children)
    }

    /// What the span's own time is, and to which node it is charged.
    pub(super) fn charge(&self) -> (Category, &'static str) {
        let category = match self.role {
            Role::Server(_) | Role::Internal(_) | Role::Process => Category::Own,
            Role::Client(_) => Category::Gap,
            Role::Provider => Category::External,
            Role::Database(_) => Category::Db,
            Role::Send => Category::Queue,
        };
        (category, self.callee().unwrap_or(self.service.name()))
    }

    /// The node that the span calls.
    pub(super) fn callee(&self) -> Option<&'static str> {
        match self.role {
            Role::Server(_) | Role::Internal(_) | Role::Process => None,
            Role::Client(endpoint) => Some(endpoint.service.name()),
            Role::Provider => Some(PROVIDER),
            Role::Database(statement) => Some(statement.node),
            Role::Send => Some(TOPIC),
        }
    }

    /// Adds work where a call is worked on: in the server called, else in the span itself.
    fn stretch(&mut self, ns: u64) {
        let is_call = matches!(self.role, Role::Client(_));
        let server = self.steps.iter_mut().find_map(|step| match step {
            Step::Child(server) if is_call => Some(server),
            _ => None,
        });
        match server {
            Some(server) => server.steps.push(Step::Work(ns)),
            None => self.steps.push(Step::Work(ns)),
        }
    }
}
