//! Which part of the system explains a difference between two windows, ranked with its evidence
//! (analytics 16).
//!
//! The input is what a few group-bys give: for each component its calls, times and errors in the
//! fault window and in the base window. Candidates are made of components. The score only orders
//! them; the evidence is always there to be checked. Time between caller and callee is a candidate
//! of its own, charged to the callee, since inside the caller's self time a slow edge would always
//! be blamed on the caller.
//!
//! Beyond the letter of section 16:
//! * What sends no spans (database, topic, external) cannot be told apart from the edges into it:
//!   the node is the candidate, and the edges are listed with it.
//! * Many components are compared at once, so a difference counts if chance gives any of that size in
//!   less than 1 % of answers; for errors as for latency.
//! * A few calls that take very long are a difference as well as all calls that take a bit longer.
//! * Each statement of a database is a component of it, since one slow statement drowns in the mean of
//!   all.
//! * Work of a service that was never done in the base window took no time there, if the service
//!   itself was there; a new instance or version is compared with what its service did before.
//! * An instance or a version stands for its service where the service without it is as before; where
//!   the others show the same, it is the service.
//! * How often an operation calls others is decided by the operation (`e5`): more calls for each run
//!   of it, or calls one after another, are its doing even if each call takes as long as before.
//! * A look-up that misses is for its caller what an error is, and a cache that misses more is charged
//!   with the further calls of those who asked it.
//! * Who refuses (401, 403) works; what was shown to him is at fault. A refusal counts a quarter, so
//!   that anything else that changed stands before it.
//! * Several edges into a node become the node for errors as well, and not only for latency.
//! * `upstream-load` is also the answer when the request rate rose and nothing else stands out.

pub mod baselines;
mod calling;
mod candidate;
mod evidence;
mod load;
mod parts;
mod why;

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::NodeKind;
use candidate::{Candidate, candidates};
use evidence::floors;

/// What is known of the two windows.
#[derive(Clone, Debug, Default)]
pub struct CauseInput {
    /// When something was wrong.
    pub fault: Window,
    /// When nothing was.
    pub base: Window,
    /// Each once.
    pub components: Vec<Component>,
    /// How operations call others, each once.
    pub callings: Vec<Calling>,
    /// Saturation and concurrency rules that fired in the fault window.
    pub firings: Vec<Firing>,
    /// New versions, restarts, scale and configuration events.
    pub changes: Vec<Change>,
}

/// A range of time and what arrived in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Its start.
    pub from_ns: i64,
    /// Its end.
    pub to_ns: i64,
    /// Requests from outside.
    pub requests: u64,
}

/// Something that takes time and can fail, in both windows.
#[derive(Clone, Debug)]
pub struct Component {
    /// What it is.
    pub place: Place,
    /// In the fault window.
    pub fault: Measured,
    /// In the base window.
    pub base: Measured,
}

/// Where a component's time is spent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Self time of an operation.
    Own {
        /// The service.
        service: String,
        /// The name of its spans.
        operation: String,
    },
    /// Between a caller and the service it calls (the gap), or all the time it waits for a
    /// database, topic or external system.
    Edge {
        /// The calling node.
        caller: String,
        /// The called node.
        callee: String,
        /// What is called.
        callee_kind: NodeKind,
        /// The statement, where a database is called: one slow statement would drown in the mean of
        /// all. Empty where the whole edge is one component.
        operation: String,
    },
    /// Self time of an operation in some of the spans only: of an instance, a version, a value. It
    /// is measured twice, here and with its service, and so adds nothing to the whole.
    Part {
        /// The service of the spans.
        service: String,
        /// What they have in common.
        subject: Subject,
        /// The name of the spans.
        operation: String,
    },
}

/// What a component did in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// How often it was used.
    pub calls: u64,
    /// Σ time of the calls.
    pub sum_ns: i64,
    /// Σ of that time that lay on critical paths.
    pub path_ns: i64,
    /// Errors that began here, refusals left out.
    pub errors: u64,
    /// Calls that were refused because of what the caller showed: 401, 403.
    pub refusals: u64,
    /// Look-ups that found nothing.
    pub misses: u64,
    /// Times of single calls, at random; 1,000 are enough.
    pub sample_ns: Vec<i64>,
}

/// How an operation of a service calls others, in both windows.
#[derive(Clone, Debug)]
pub struct Calling {
    /// The service that calls.
    pub service: String,
    /// Its operation.
    pub operation: String,
    /// Which of its calls.
    pub manner: Manner,
    /// In the fault window.
    pub fault: Counted,
    /// In the base window.
    pub base: Counted,
}

/// A way of calling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// The same call, however often.
    Repeats {
        /// Who is called.
        callee: String,
        /// What that is.
        callee_kind: NodeKind,
        /// The statement, or the name of the call.
        call: String,
    },
    /// Calls one after another that could run side by side.
    InSeries {
        /// The rule that found them.
        rule: String,
    },
}

/// How often an operation ran and called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Runs of the operation.
    pub runs: u64,
    /// Calls that it made in this manner.
    pub calls: u64,
    /// Σ of what other manners would save at most.
    pub saving_ns: i64,
}

/// What can be a cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// Its name; of an edge `caller→callee`.
    pub name: String,
}

/// Kinds of causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    /// A service.
    Service,
    /// An instance of one.
    Instance,
    /// From a caller to a service.
    Edge,
    /// A database.
    Db,
    /// A topic or queue.
    Topic,
    /// Something that sends no spans.
    External,
    /// A version of a service.
    Version,
    /// A value of an attribute.
    Attribute,
    /// More requests.
    Load,
}

/// A saturation or concurrency rule that fired in the fault window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// On what.
    pub subject: Subject,
    /// Whether it fired in the base window too, and so is nothing new.
    pub in_base: bool,
    /// The numbers that made it fire.
    pub evidence: String,
}

/// Something that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of what.
    pub subject: Subject,
    /// When.
    pub at_ns: i64,
    /// What happened, as `version 1.4.1`.
    pub text: String,
}

/// A ranked candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// What it is.
    pub subject: Subject,
    /// Whom it is charged to: of an edge the callee, else the subject itself.
    pub charged_to: String,
    /// min(1, e1 ÷ ln 10) + min(1, e2 ÷ 0.5) + 0.5·e3 + 0.25·e4 + min(1, e5 ÷ ln 10).
    pub score: f64,
    /// The evidence behind the score.
    pub evidence: Evidence,
    /// Path time in the fault window, which decides between equal scores.
    pub path_ns: i64,
    /// Edges into the subject that speak for it.
    pub edges: Vec<String>,
    /// The largest terms in words.
    pub why: String,
}

/// What speaks for a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Latency: the largest growth of the mean of one of its components, as a logarithm. Of the
    /// load, that of the request rate.
    pub e1: f64,
    /// Errors: how much the rate of those that begin here rose; misses of look-ups likewise, and
    /// refusals by a quarter.
    pub e2: f64,
    /// Saturation: 1 if a rule fires that did not before.
    pub e3: f64,
    /// Change: 1 if there was one in the window or up to 5 min before.
    pub e4: f64,
    /// Calls: the largest growth, as a logarithm, of how often an operation makes a call or of what
    /// it loses to calls in series.
    pub e5: f64,
}

impl Subject {
    /// A subject of any kind.
    pub fn new(kind: SubjectKind, name: impl Into<String>) -> Subject {
        Subject { kind, name: name.into() }
    }

    /// The edge between two nodes.
    pub fn edge(caller: &str, callee: &str) -> Subject {
        Subject::new(SubjectKind::Edge, format!("{caller}→{callee}"))
    }
}

impl Evidence {
    /// The terms of the score, in the order of the fields.
    fn terms(&self) -> [f64; 5] {
        let growth = |e: f64| (e / std::f64::consts::LN_10).clamp(0.0, 1.0);
        let errors = (self.e2 / 0.5).clamp(0.0, 1.0);
        [growth(self.e1), errors, 0.5 * self.e3, 0.25 * self.e4, growth(self.e5)]
    }

    fn score(&self) -> f64 {
        self.terms().iter().sum()
    }

    /// Whether latency, errors or calls alone make it worth a look.
    fn stands_out(&self) -> bool {
        self.e1 > floors::LATENCY || self.e2 > floors::ERRORS || self.e5 > 0.0
    }
}

/// The candidates with evidence, best first; ties by path time, then by name. Empty when nothing
/// stands out.
pub fn rank_causes(input: &CauseInput) -> Vec<Cause> {
    let mut candidates = candidates(input);
    if let Some(load) = load::shared_slowdown(input, candidates.values()) {
        return vec![load];
    }
    let mut merged = merge_edges(&mut candidates);
    merged.extend(candidates.into_values());
    if !merged.iter().any(|candidate| candidate.evidence.stands_out()) {
        return load::alone(input).into_iter().collect();
    }
    let mut causes: Vec<Cause> = merged
        .into_iter()
        .filter(|c| c.evidence.stands_out() || c.evidence.e3 > 0.0 || c.evidence.e4 > 0.0)
        .map(Candidate::into_cause)
        .collect();
    causes.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| b.path_ns.cmp(&a.path_ns))
            .then_with(|| a.subject.name.cmp(&b.subject.name))
            .then_with(|| a.subject.cmp(&b.subject))
    });
    causes
}

/// Takes out the edges into one service that grew alike, and returns that service with them: when
/// callers that share nothing else see the same, it is the callee.
fn merge_edges(candidates: &mut BTreeMap<Subject, Candidate>) -> Vec<Candidate> {
    let mut into = BTreeMap::<String, Vec<&Candidate>>::new();
    for edge in candidates.values().filter(|c| c.subject.kind == SubjectKind::Edge) {
        into.entry(edge.charged_to.clone()).or_default().push(edge);
    }
    let alike: Vec<(String, BTreeSet<Subject>)> = into
        .into_iter()
        .map(|(node, edges)| {
            let mut alike = within_factor_2(&edges, |evidence| evidence.e1);
            alike.extend(within_factor_2(&edges, |evidence| evidence.e2));
            (node, alike)
        })
        .filter(|(_, alike)| !alike.is_empty())
        .collect();
    let mut merged = Vec::new();
    for (node, edges) in alike {
        let subject = Subject::new(SubjectKind::Service, node.clone());
        let own = candidates.remove(&subject);
        let mut candidate = own.unwrap_or_else(|| Candidate::new(subject, node));
        edges.iter().filter_map(|edge| candidates.remove(edge)).for_each(|e| candidate.absorb(e));
        merged.push(candidate);
    }
    merged
}

/// The edges of at least two callers whose evidence is at least half of the largest.
fn within_factor_2(edges: &[&Candidate], of: impl Fn(&Evidence) -> f64) -> BTreeSet<Subject> {
    let largest = edges.iter().map(|edge| of(&edge.evidence)).fold(0.0, f64::max);
    let is_alike = |edge: &&&Candidate| largest > 0.0 && of(&edge.evidence) >= largest / 2.0;
    let alike: Vec<&&Candidate> = edges.iter().filter(is_alike).collect();
    let callers: BTreeSet<_> = alike.iter().map(|edge| &edge.caller).collect();
    if callers.len() < 2 {
        return BTreeSet::new();
    }
    alike.into_iter().map(|edge| edge.subject.clone()).collect()
}

#[cfg(test)]
mod tests;
