//! What two traces, or two sets of traces, do differently, node by node (analytics 15).
//!
//! A node is a call path with an ordinal among equal siblings: the second call of pricing by order
//! by gateway. Paths are kept as a tree of numbered nodes, so that a chain of 10,000
//! spans costs no more than its spans.

mod cohorts;
mod nodes;

pub use cohorts::{CohortDiff, CohortRow, Cohorts, EmptyCohort};
pub use nodes::PATH_STEPS_MAX;

use std::collections::BTreeMap;

use nodes::{NodeId, Nodes};

/// A span of a trace that is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiffSpan<'a> {
    /// Index of the parent in the same slice; none for a root.
    pub parent: Option<u32>,
    /// What the step is called: service, name and kind, as the views show it.
    pub step: &'a str,
    /// Start, corrected.
    pub start_ns: i64,
    /// Decides between equal starts.
    pub span_id: u64,
    /// Time in which no blocking child ran.
    pub self_ns: i64,
    /// Time on the critical path of the main segment.
    pub critical_ns: i64,
}

/// Where a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// It is in both.
    Both,
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
}

impl Presence {
    fn of(seen: [bool; 2]) -> Presence {
        match seen {
            [true, true] => Presence::Both,
            [false, _] => Presence::Added,
            [true, false] => Presence::Removed,
        }
    }
}

/// Two traces, node by node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceDiff {
    /// Nodes in start order: a tree walk, siblings by their start within the trace.
    pub rows: Vec<NodeDiff>,
    /// Σ Δself.
    pub self_ns: i64,
    /// Σ Δcritical: the difference of the root durations, if the spans are those of whole traces.
    pub critical_ns: i64,
}

/// What one node did differently in the second trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDiff {
    /// The path, at most its last [`PATH_STEPS_MAX`] steps.
    pub path: String,
    /// Steps above it.
    pub depth: u32,
    /// In which of the traces it is.
    pub presence: Presence,
    /// Spans more.
    pub count: i64,
    /// Self time more.
    pub self_ns: i64,
    /// Path time more.
    pub critical_ns: i64,
}

/// Compares trace `b` with trace `a`.
pub fn trace_diff(a: &[DiffSpan<'_>], b: &[DiffSpan<'_>]) -> TraceDiff {
    let mut nodes = Nodes::default();
    let mut changes = BTreeMap::<NodeId, Change>::new();
    for (sign, spans) in [(-1, a), (1, b)] {
        let from_ns = spans.iter().map(|span| span.start_ns).min().unwrap_or(0);
        for (span, node) in spans.iter().zip(nodes.of_trace(spans)) {
            let change = changes.entry(node).or_default();
            change.seen[usize::from(sign > 0)] = true;
            change.count += sign;
            change.self_ns += sign * span.self_ns;
            change.critical_ns += sign * span.critical_ns;
            // Of the first trace, where it is in both.
            change.start_ns.get_or_insert(span.start_ns - from_ns);
        }
    }
    let start = |node: NodeId| changes.get(&node).and_then(|change| change.start_ns);
    let walk = nodes.walk(start).into_iter();
    let rows: Vec<NodeDiff> = walk
        .filter_map(|(node, depth)| {
            let change = changes.get(&node)?;
            Some(NodeDiff {
                path: nodes.path(node),
                depth,
                presence: Presence::of(change.seen),
                count: change.count,
                self_ns: change.self_ns,
                critical_ns: change.critical_ns,
            })
        })
        .collect();
    TraceDiff {
        self_ns: rows.iter().map(|row| row.self_ns).sum(),
        critical_ns: rows.iter().map(|row| row.critical_ns).sum(),
        rows,
    }
}

/// Sums of a node, the second trace minus the first.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    seen: [bool; 2],
    count: i64,
    self_ns: i64,
    critical_ns: i64,
    start_ns: Option<i64>,
}

#[cfg(test)]
mod tests;
