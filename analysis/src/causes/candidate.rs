//! Candidates: what can be a cause, with the evidence of its components.

use std::collections::{BTreeMap, BTreeSet};

use super::calling::{self, MoreCalls};
use super::evidence::{Errors, Levels, Slowdown, errors, slowdown};
use super::parts::Parts;
use super::{Cause, CauseInput, Component, Evidence, Place, Subject, SubjectKind, why};
use crate::facts::NodeKind;

/// A change counts up to this long before the fault window.
const CHANGE_BEFORE_NS: i64 = 300_000_000_000;

/// A subject while its evidence is gathered.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) subject: Subject,
    pub(super) charged_to: String,
    pub(super) caller: Option<String>,
    pub(super) evidence: Evidence,
    pub(super) path_ns: i64,
    pub(super) edges: BTreeSet<String>,
    /// The component with the largest growth that counts.
    pub(super) slowdown: Option<Slowdown>,
    /// The largest growth of a component on the path, whether or not it could be chance.
    pub(super) growth: Option<f64>,
    pub(super) errors: Errors,
    pub(super) more_calls: Option<MoreCalls>,
    pub(super) notes: BTreeSet<String>,
    pub(super) changes: BTreeSet<String>,
}

impl Candidate {
    pub(super) fn new(subject: Subject, charged_to: String) -> Candidate {
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
            more_calls: None,
            notes: BTreeSet::new(),
            changes: BTreeSet::new(),
        }
    }

    /// A candidate for a subject that stands for itself.
    fn of(subject: &Subject) -> Candidate {
        Candidate::new(subject.clone(), subject.name.clone())
    }

    fn slower(&mut self, found: Option<Slowdown>, is_explained: bool) {
        let Some(found) = found else { return };
        self.growth = Some(self.growth.map_or(found.growth, |growth| growth.max(found.growth)));
        let is_best = || self.slowdown.as_ref().is_none_or(|best| found.is_larger(best));
        if found.counts && !is_explained && is_best() {
            self.evidence.e1 = found.growth;
            self.slowdown = Some(found);
        }
    }

    fn calls_more(&mut self, found: MoreCalls) {
        if self.more_calls.as_ref().is_none_or(|best| found.growth > best.growth) {
            self.evidence.e5 = found.growth;
            self.more_calls = Some(found);
        }
    }

    /// Takes in what an edge into it shows.
    pub(super) fn absorb(&mut self, edge: Candidate) {
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
        if let Some(found) = edge.more_calls {
            self.calls_more(found);
        }
        self.notes.extend(edge.notes);
        self.changes.extend(edge.changes);
        self.evidence.e3 = self.evidence.e3.max(edge.evidence.e3);
        self.evidence.e4 = self.evidence.e4.max(edge.evidence.e4);
    }

    pub(super) fn into_cause(self) -> Cause {
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

/// All subjects with the evidence gathered so far.
type Candidates = BTreeMap<Subject, Candidate>;

/// All subjects of the input with their evidence, edges and nodes still apart.
pub(super) fn candidates(input: &CauseInput) -> Candidates {
    let mut candidates = Candidates::new();
    // By place, so that the order of the input decides no tie.
    let mut components: Vec<&Component> = input.components.iter().collect();
    components.sort_by(|a, b| a.place.cmp(&b.place));
    let is_whole = |c: &&&Component| !matches!(c.place, Place::Part { .. });
    let total_path_ns = components.iter().filter(is_whole).map(|c| c.fault.path_ns).sum();
    let levels = Levels::of(input, total_path_ns);
    add_components(&components, &levels, &mut candidates);
    candidates.values_mut().for_each(|c| c.evidence.e2 = errors(&c.errors, &levels));
    add_callings(input, &components, &levels, &mut candidates);
    for firing in input.firings.iter().filter(|firing| !firing.in_base) {
        let candidate = entry(&mut candidates, &firing.subject);
        candidate.evidence.e3 = 1.0;
        candidate.notes.insert(firing.evidence.clone());
    }
    let changed = input.fault.from_ns.saturating_sub(CHANGE_BEFORE_NS)..=input.fault.to_ns;
    for change in input.changes.iter().filter(|change| changed.contains(&change.at_ns)) {
        let candidate = entry(&mut candidates, &change.subject);
        candidate.evidence.e4 = 1.0;
        candidate.changes.insert(change.text.clone());
    }
    candidates
}

fn entry<'a>(candidates: &'a mut Candidates, subject: &Subject) -> &'a mut Candidate {
    candidates.entry(subject.clone()).or_insert_with(|| Candidate::of(subject))
}

fn add_components(components: &[&Component], levels: &Levels, candidates: &mut Candidates) {
    let in_base = components.iter().filter(|c| c.base.calls > 0);
    let known: BTreeSet<&str> = in_base.filter_map(|c| own_service(c)).collect();
    let parts = Parts::of(components, levels);
    for component in components {
        let empty = of_place(&component.place);
        let candidate = candidates.entry(empty.subject.clone()).or_insert(empty);
        candidate.path_ns += component.fault.path_ns;
        if let Some(part) = parts.part(&component.place) {
            candidate.slower(part.slowdown.clone(), false);
            if part.has_errors {
                candidate.errors.add(component);
            }
            continue;
        }
        let is_known = own_service(component).is_some_and(|s| known.contains(s));
        let found = slowdown(component, is_known, levels);
        candidate.slower(found, parts.explain_latency(&component.place));
        if !parts.explain_errors(&component.place) {
            candidate.errors.add(component);
        }
        if let Place::Edge { caller, callee, .. } = &component.place
            && candidate.subject.kind != SubjectKind::Edge
        {
            candidate.edges.insert(Subject::edge(caller, callee).name);
        }
    }
}

/// Charges calls that are made more often. A cache that misses more is charged with those of its
/// callers; else an edge between services with its own, and a service with those to what sends no
/// spans.
fn add_callings(
    input: &CauseInput,
    components: &[&Component],
    levels: &Levels,
    candidates: &mut Candidates,
) {
    let caches = calling::missing_caches(components, levels);
    for calling in &input.callings {
        let Some(found) = calling::more_calls(calling, levels) else { continue };
        let subject = calling::subject(calling, &caches);
        entry(candidates, &subject).calls_more(found);
    }
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
        Place::Own { service, .. } => Candidate::of(&Subject::new(SubjectKind::Service, service)),
        Place::Part { subject, .. } => Candidate::of(subject),
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
