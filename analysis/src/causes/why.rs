//! The evidence in words.

use super::calling::MoreCalls;
use super::evidence::{Errors, Rates, Slowdown};
use super::{Candidate, Manner, Place};
use crate::detectors::{duration_text, percent_text};

/// The terms of the score, the largest first; those that add nothing are left out.
pub(super) fn sentence(candidate: &Candidate) -> String {
    let texts = [
        candidate.slowdown.as_ref().map(latency),
        Some(errors(&candidate.errors)),
        Some(format!("saturated: {}", list(&candidate.notes))),
        Some(format!("changed: {}", list(&candidate.changes))),
        candidate.more_calls.as_ref().map(calls),
    ];
    let mut terms: Vec<(f64, String)> = candidate
        .evidence
        .terms()
        .into_iter()
        .zip(texts)
        .filter_map(|(term, text)| Some((term, text?)))
        .filter(|(term, _)| *term > 0.0)
        .collect();
    // Stable: equal terms stay in the order of the evidence.
    terms.sort_by(|a, b| b.0.total_cmp(&a.0));
    terms.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("; ")
}

fn latency(slowdown: &Slowdown) -> String {
    let place = match &slowdown.place {
        Place::Own { operation, .. } => format!("own time of {operation}"),
        Place::Part { operation, .. } => format!("own time of {operation} there"),
        Place::Edge { caller, callee, operation, .. } if operation.is_empty() => {
            format!("time between {caller} and {callee}")
        }
        Place::Edge { caller, callee, operation, .. } => {
            format!("{operation} of {caller} in {callee}")
        }
    };
    format!(
        "{place} {} → {} per call (×{:.1})",
        duration_text(slowdown.base_ns),
        duration_text(slowdown.fault_ns),
        slowdown.growth.exp()
    )
}

/// What rose, in words.
fn errors(errors: &Errors) -> String {
    let text = |(what, of, rates): (&str, &str, &Rates)| {
        let Rates { base, fault } = rates;
        let is_shown = fault.share() > base.share();
        is_shown.then(|| {
            format!(
                "{what} {} → {} of {of}",
                percent_text(base.share()),
                percent_text(fault.share())
            )
        })
    };
    let kinds = [
        ("errors", "calls", &errors.failed),
        ("refused", "calls", &errors.refused),
        ("missed", "look-ups", &errors.missed),
    ];
    kinds.into_iter().filter_map(text).collect::<Vec<_>>().join(", ")
}

fn calls(found: &MoreCalls) -> String {
    let MoreCalls { operation, manner, base, fault, growth } = found;
    let times = growth.exp();
    let (before, now) = (base.each(), fault.each());
    match manner {
        Manner::Repeats { callee, call, .. } => format!(
            "{call} in {callee} {before:.1} → {now:.1} times for each {operation} (×{times:.1})"
        ),
        Manner::InSeries { .. } => format!(
            "{before:.1} → {now:.1} calls one after another in each {operation}, which costs {} → {} \
             (×{times:.1})",
            duration_text(base.lost_ns()),
            duration_text(fault.lost_ns())
        ),
    }
}

fn list(texts: &std::collections::BTreeSet<String>) -> String {
    texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
