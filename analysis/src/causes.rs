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
//! * An increase of the error rate counts if chance gives it in less than 1 % of cases, as for
//!   latency: otherwise one error among few calls would stand out.
//! * Each statement of a database is a component of it, since one slow statement drowns in the mean of
//!   all.
//! * Work of a service that was never done in the base window took no time there, if the service
//!   itself was there.
//! * Several edges into a node become the node for errors as well, and not only for latency.
//! * `upstream-load` is also the answer when the request rate rose and nothing else stands out.

pub mod baselines;
mod evidence;
mod load;
mod why;

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::NodeKind;
use evidence::{Errors, Slowdown, errors, floors, slowdown};

/// A change counts up to this long before the fault window.
const CHANGE_BEFORE_NS: i64 = 300_000_000_000;

/// What is known of the two windows.
#[derive(Clone, Debug, Default)]
pub struct CauseInput {
    /// When something was wrong.
    pub fault: Window,
    /// When nothing was.
    pub base: Window,
    /// Each once.
    pub components: Vec<Component>,
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
        /// What the spans have in common.
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
    /// Errors that began here.
    pub errors: u64,
    /// Times of single calls, at random; 1,000 are enough.
    pub sample_ns: Vec<i64>,
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
    /// min(1, e1 ÷ ln 10) + min(1, e2 ÷ 0.5) + 0.5·e3 + 0.25·e4.
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
    /// Errors: how much the rate of those that begin here rose.
    pub e2: f64,
    /// Saturation: 1 if a rule fires that did not before.
    pub e3: f64,
    /// Change: 1 if there was one in the window or up to 5 min before.
    pub e4: f64,
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
    fn terms(&self) -> [f64; 4] {
        let latency = (self.e1 / std::f64::consts::LN_10).clamp(0.0, 1.0);
        let errors = (self.e2 / 0.5).clamp(0.0, 1.0);
        [latency, errors, 0.5 * self.e3, 0.25 * self.e4]
    }

    fn score(&self) -> f64 {
        self.terms().iter().sum()
    }

    /// Whether latency or errors alone make it worth a look.
    fn stands_out(&self) -> bool {
        self.e1 > floors::LATENCY || self.e2 > floors::ERRORS
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

/// A subject while its evidence is gathered.
#[derive(Clone, Debug)]
struct Candidate {
    subject: Subject,
    charged_to: String,
    caller: Option<String>,
    evidence: Evidence,
    path_ns: i64,
    edges: BTreeSet<String>,
    /// The component with the largest growth that counts.
    slowdown: Option<Slowdown>,
    /// The largest growth of a component on the path, whether or not it could be chance.
    growth: Option<f64>,
    errors: Errors,
    notes: BTreeSet<String>,
    changes: BTreeSet<String>,
}

impl Candidate {
    fn new(subject: Subject, charged_to: String) -> Candidate {
        Candidate {
            subject,
            charged_to,
            caller: None,
            evidence: Evidence::default(),
            path_ns: 0,
            edges: BTreeSet::new(),
            slowdown: None,
            growth: None,
            errors: Errors::default(),
            notes: BTreeSet::new(),
            changes: BTreeSet::new(),
        }
    }

    /// Takes in what one of its components shows.
    fn add(&mut self, component: &Component, total_path_ns: i64, is_known: bool) {
        self.path_ns += component.fault.path_ns;
        self.errors.add(component);
        let Some(found) = slowdown(component, total_path_ns, is_known) else { return };
        self.growth = Some(self.growth.map_or(found.growth, |growth| growth.max(found.growth)));
        if found.counts && self.slowdown.as_ref().is_none_or(|best| found.is_larger(best)) {
            self.evidence.e1 = found.growth;
            self.slowdown = Some(found);
        }
    }

    /// Takes in what an edge into it shows.
    fn absorb(&mut self, edge: Candidate) {
        self.path_ns += edge.path_ns;
        self.edges.insert(edge.subject.name);
        if edge.evidence.e1 > self.evidence.e1 {
            self.evidence.e1 = edge.evidence.e1;
            self.slowdown = edge.slowdown;
        }
        if edge.evidence.e2 > self.evidence.e2 {
            self.evidence.e2 = edge.evidence.e2;
            self.errors = edge.errors;
        }
        self.notes.extend(edge.notes);
        self.changes.extend(edge.changes);
        self.evidence.e3 = self.evidence.e3.max(edge.evidence.e3);
        self.evidence.e4 = self.evidence.e4.max(edge.evidence.e4);
    }

    fn into_cause(self) -> Cause {
        Cause {
            why: why::sentence(&self),
            score: self.evidence.score(),
            subject: self.subject,
            charged_to: self.charged_to,
            evidence: self.evidence,
            path_ns: self.path_ns,
            edges: self.edges.into_iter().collect(),
        }
    }
}

/// All subjects of the input with their evidence, edges and nodes still apart.
fn candidates(input: &CauseInput) -> BTreeMap<Subject, Candidate> {
    let is_whole = |c: &&Component| !matches!(c.place, Place::Part { .. });
    let total_path_ns = input.components.iter().filter(is_whole).map(|c| c.fault.path_ns).sum();
    let in_base = input.components.iter().filter(|c| c.base.calls > 0);
    let known: BTreeSet<&str> = in_base.filter_map(own_service).collect();
    let mut candidates = BTreeMap::<Subject, Candidate>::new();
    // By place, so that the order of the input decides no tie.
    let mut components: Vec<&Component> = input.components.iter().collect();
    components.sort_by(|a, b| a.place.cmp(&b.place));
    for component in components {
        let empty = of_place(&component.place);
        let candidate = candidates.entry(empty.subject.clone()).or_insert(empty);
        candidate.add(
            component,
            total_path_ns,
            own_service(component).is_some_and(|s| known.contains(s)),
        );
        if let Place::Edge { caller, callee, .. } = &component.place
            && candidate.subject.kind != SubjectKind::Edge
        {
            candidate.edges.insert(Subject::edge(caller, callee).name);
        }
    }
    candidates.values_mut().for_each(|c| c.evidence.e2 = errors(&c.errors));
    let entry = |subject: &Subject| Candidate::new(subject.clone(), subject.name.clone());
    for firing in input.firings.iter().filter(|firing| !firing.in_base) {
        let candidate =
            candidates.entry(firing.subject.clone()).or_insert_with(|| entry(&firing.subject));
        candidate.evidence.e3 = 1.0;
        candidate.notes.insert(firing.evidence.clone());
    }
    let changed = input.fault.from_ns.saturating_sub(CHANGE_BEFORE_NS)..=input.fault.to_ns;
    for change in input.changes.iter().filter(|change| changed.contains(&change.at_ns)) {
        let candidate =
            candidates.entry(change.subject.clone()).or_insert_with(|| entry(&change.subject));
        candidate.evidence.e4 = 1.0;
        candidate.changes.insert(change.text.clone());
    }
    candidates
}

/// The service whose own work a component is.
fn own_service(component: &Component) -> Option<&str> {
    match &component.place {
        Place::Own { service, .. } => Some(service),
        Place::Edge { .. } | Place::Part { .. } => None,
    }
}

/// The candidate that a component belongs to.
fn of_place(place: &Place) -> Candidate {
    match place {
        Place::Own { service, .. } => {
            Candidate::new(Subject::new(SubjectKind::Service, service), service.clone())
        }
        Place::Part { subject, .. } => Candidate::new(subject.clone(), subject.name.clone()),
        Place::Edge { caller, callee, callee_kind, .. } => {
            let subject = match callee_kind {
                NodeKind::Db => Subject::new(SubjectKind::Db, callee),
                NodeKind::Topic => Subject::new(SubjectKind::Topic, callee),
                NodeKind::Service => Subject::edge(caller, callee),
                NodeKind::External | NodeKind::User | NodeKind::Unknown => {
                    Subject::new(SubjectKind::External, callee)
                }
            };
            Candidate { caller: Some(caller.clone()), ..Candidate::new(subject, callee.clone()) }
        }
    }
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
