//! What an operation decides itself: how often it calls others, and whether one after another (e5).

use std::collections::BTreeMap;

use super::evidence::{Levels, TAU_NS, floors, miss_rise};
use super::{Calling, Component, Counted, Manner, Place, Subject, SubjectKind};
use crate::facts::NodeKind;
use crate::stats::two_sided_p;

/// Added to calls for each run on both sides: from never to once in ten runs is no growth to speak of.
const CALLS_ADDED: f64 = 0.1;
/// From here on an operation makes a call more often: twice as often as before.
const REPEATS_GROWTH_MIN: f64 = std::f64::consts::LN_2;
/// From here on more calls are in series than before: ln 1.5. A pause that ends a series is one of 5 %
/// of the operation, so a few calls more take part only because something else takes longer.
const SERIES_CALLS_MIN: f64 = 0.405_465_108_108_164_4;
/// Runs of the operation that each window needs.
const RUNS_MIN: u64 = 20;

/// Calls that an operation makes more often than before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MoreCalls {
    pub(super) operation: String,
    pub(super) manner: Manner,
    /// ln of how many times as many calls, or as much time.
    pub(super) growth: f64,
    pub(super) base: Counted,
    pub(super) fault: Counted,
}

impl Counted {
    /// Calls for each run.
    pub(super) fn each(&self) -> f64 {
        self.calls as f64 / self.runs.max(1) as f64
    }

    /// Lost in each run.
    pub(super) fn lost_ns(&self) -> f64 {
        self.saving_ns as f64 / self.runs.max(1) as f64
    }
}

/// Whether an operation calls more than before, more than chance explains. Calls in series count by
/// the time that they lose, but only if more calls take part: slower ones are their callee's.
pub(super) fn more_calls(calling: &Calling, levels: &Levels) -> Option<MoreCalls> {
    let Calling { fault, base, .. } = *calling;
    if !is_comparable(calling) || p_value(&fault, &base) >= levels.calls_p_max {
        return None;
    }
    let more = ((fault.each() + CALLS_ADDED) / (base.each() + CALLS_ADDED)).ln();
    let growth = match calling.manner {
        Manner::Repeats { .. } => (more > REPEATS_GROWTH_MIN).then_some(more),
        Manner::InSeries { .. } => {
            let lost = ((fault.lost_ns() + TAU_NS) / (base.lost_ns() + TAU_NS)).ln();
            let is_felt = levels.is_shown(fault.saving_ns);
            let counts = more > SERIES_CALLS_MIN && lost > floors::LATENCY && is_felt;
            counts.then_some(lost)
        }
    }?;
    let (operation, manner) = (calling.operation.clone(), calling.manner.clone());
    Some(MoreCalls { operation, manner, growth, base, fault })
}

/// Whether the operation ran often enough in both windows.
pub(super) fn is_comparable(calling: &Calling) -> bool {
    calling.fault.runs >= RUNS_MIN && calling.base.runs >= RUNS_MIN
}

/// How likely chance puts so many of all calls into the fault window, by its share of the runs.
fn p_value(fault: &Counted, base: &Counted) -> f64 {
    let calls = (fault.calls + base.calls) as f64;
    let share = fault.runs as f64 / (fault.runs + base.runs) as f64;
    let deviation = (calls * share * (1.0 - share)).sqrt();
    if deviation > 0.0 {
        two_sided_p((fault.calls as f64 - calls * share) / deviation)
    } else {
        1.0
    }
}

/// Edges whose look-ups miss more than before, by their callers.
pub(super) fn missing_caches(
    components: &[&Component],
    levels: &Levels,
) -> BTreeMap<String, Subject> {
    let missing = |component: &&Component| match &component.place {
        Place::Edge { caller, callee, .. } if miss_rise(component, levels) > 0.0 => {
            Some((caller.clone(), edge_or_node(component, caller, callee)))
        }
        _ => None,
    };
    components.iter().filter_map(missing).collect()
}

fn edge_or_node(component: &Component, caller: &str, callee: &str) -> Subject {
    match component.place {
        Place::Edge { callee_kind: NodeKind::Db, .. } => Subject::new(SubjectKind::Db, callee),
        _ => Subject::edge(caller, callee),
    }
}

/// Who is charged with the calls.
pub(super) fn subject(calling: &Calling, caches: &BTreeMap<String, Subject>) -> Subject {
    let service = || Subject::new(SubjectKind::Service, &calling.service);
    match &calling.manner {
        Manner::InSeries { .. } => service(),
        Manner::Repeats { callee, callee_kind, .. } => match caches.get(&calling.service) {
            Some(cache) => cache.clone(),
            None if *callee_kind == NodeKind::Service => Subject::edge(&calling.service, callee),
            None => service(),
        },
    }
}
