//! Simpler rankings to stand beside ours in honest tables (analytics 16).
//!
//! They rank nodes by name. Equal scores are put in a random order that follows from the seed, since
//! the order of columns would favour whichever culprit happens to come first.

use std::collections::BTreeMap;

use super::{CauseInput, Component, Measured, Place};
use crate::random::SplitMix64;

/// A ranked node.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The node.
    pub node: String,
    /// By which it is ranked, highest first.
    pub score: f64,
}

/// Chance: all nodes in a random order, all scores 0.
pub fn random_order(input: &CauseInput, seed: u64) -> Vec<Scored> {
    let nodes = whole(input).map(|c| (node_of(&c.place).to_string(), 0.0));
    ranked(nodes.collect(), seed)
}

/// What most dashboards do: how much a service's self time per request grew, in nanoseconds, with
/// all that its clients wait counted as its own.
pub fn naive_self_growth(input: &CauseInput, seed: u64) -> Vec<Scored> {
    let mut growth = BTreeMap::<String, f64>::new();
    for component in whole(input) {
        let service = match &component.place {
            Place::Own { service, .. } => service,
            Place::Edge { caller, .. } => caller,
            Place::Part { .. } => continue,
        };
        *growth.entry(service.clone()).or_default() +=
            per_request(&component.fault, input.fault.requests)
                - per_request(&component.base, input.base.requests);
    }
    ranked(growth, seed)
}

/// The formula of TraceRCA (Li and others, IWQoS 2021): with the calls of a node that lie beyond
/// three standard deviations of the base window, support s is their share of all such calls,
/// confidence c their share of the node's calls, and the score 2sc ÷ (s + c). Shares are taken from
/// the samples.
pub fn trace_rca(input: &CauseInput, seed: u64) -> Vec<Scored> {
    let mut counts = BTreeMap::<String, (f64, f64)>::new();
    for component in whole(input) {
        let (anomalous, calls) = counts.entry(node_of(&component.place).to_string()).or_default();
        *anomalous += component.fault.calls as f64 * anomalous_share(component);
        *calls += component.fault.calls as f64;
    }
    let all: f64 = counts.values().map(|(anomalous, _)| anomalous).sum();
    let score = |(anomalous, calls): (f64, f64)| {
        let (support, confidence) = (anomalous / all.max(1.0), anomalous / calls.max(1.0));
        if anomalous > 0.0 { 2.0 * support * confidence / (support + confidence) } else { 0.0 }
    };
    ranked(counts.into_iter().map(|(node, counts)| (node, score(counts))).collect(), seed)
}

/// Components in the order of their places, without those that are measured a second time.
fn whole(input: &CauseInput) -> impl Iterator<Item = &Component> {
    let is_whole = |c: &&Component| !matches!(c.place, Place::Part { .. });
    let mut components: Vec<&Component> = input.components.iter().filter(is_whole).collect();
    components.sort_by(|a, b| a.place.cmp(&b.place));
    components.into_iter()
}

/// The node that is blamed for a component.
fn node_of(place: &Place) -> &str {
    match place {
        Place::Own { service, .. } => service,
        Place::Edge { callee, .. } => callee,
        Place::Part { subject, .. } => &subject.name,
    }
}

fn per_request(measured: &Measured, requests: u64) -> f64 {
    measured.sum_ns as f64 / requests.max(1) as f64
}

/// The share of the fault's sample above mean + 3σ of the base's.
fn anomalous_share(component: &Component) -> f64 {
    let (fault, base) = (&component.fault.sample_ns, &component.base.sample_ns);
    if fault.is_empty() || base.is_empty() {
        return 0.0;
    }
    let count = base.len() as f64;
    // Integers first: the order of the sample must not decide the last digit.
    let mean = base.iter().map(|ns| i128::from(*ns)).sum::<i128>() as f64 / count;
    let squares = base.iter().map(|ns| i128::from(*ns).pow(2)).sum::<i128>() as f64 / count;
    let limit = mean + 3.0 * (squares - mean * mean).max(0.0).sqrt();
    fault.iter().filter(|ns| **ns as f64 > limit).count() as f64 / fault.len() as f64
}

fn ranked(scores: BTreeMap<String, f64>, seed: u64) -> Vec<Scored> {
    let scored = scores.into_iter().map(|(node, score)| Scored { node, score });
    let mut scored: Vec<Scored> = scored.collect();
    SplitMix64::new(seed).shuffle(&mut scored);
    scored.sort_by(|a, b| b.score.total_cmp(&a.score));
    scored
}
