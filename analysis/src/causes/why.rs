//! The evidence in words.

use super::evidence::Slowdown;
use super::{Candidate, Place};
use crate::detectors::{duration_text, percent_text};

/// The terms of the score, the largest first; those that add nothing are left out.
pub(super) fn sentence(candidate: &Candidate) -> String {
    let texts = [
        candidate.slowdown.as_ref().map(latency),
        Some(format!(
            "errors {} → {} of calls",
            percent_text(candidate.errors.base.share()),
            percent_text(candidate.errors.fault.share())
        )),
        Some(format!("saturated: {}", list(&candidate.notes))),
        Some(format!("changed: {}", list(&candidate.changes))),
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

fn list(texts: &std::collections::BTreeSet<String>) -> String {
    texts.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
