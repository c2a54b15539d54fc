//! Two sets of traces, node by node: means per trace, and intervals.

use std::fmt;

use super::nodes::{NodeId, Nodes};
use super::{DiffSpan, Presence};
use crate::bootstrap::{Interval, IntervalMethod, Side, intervals};
use crate::path_times::{PathTime, PathTimes, TraceTotal};

/// The traces of two sets, taken in one by one.
#[derive(Debug, Default)]
pub struct Cohorts {
    nodes: Nodes,
    sets: [TraceSet; 2],
}

/// The traces of one set.
#[derive(Debug, Default)]
struct TraceSet {
    totals: Vec<TraceTotal>,
    critical: Vec<PathTime>,
    sums: Vec<NodeSums>,
}

/// Weighted sums of one node.
#[derive(Clone, Copy, Debug, Default)]
struct NodeSums {
    count: i128,
    self_ns: i128,
    critical_ns: i128,
}

/// Two sets of traces, node by node.
#[derive(Clone, Debug, PartialEq)]
pub struct CohortDiff {
    /// The largest |Δcritical| first, then in the order of the tree.
    pub rows: Vec<CohortRow>,
    /// Traces of either set.
    pub traces: [usize; 2],
    /// Mean root duration of either set.
    pub mean_root_ns: [f64; 2],
    /// Of either set: Σ w·root − Σ w·path, in units of weight. It is 0 for whole traces; then the
    /// differences sum to that of the mean root durations.
    pub unowned_ns: [i128; 2],
    /// How the intervals were found.
    pub method: IntervalMethod,
}

/// What one node does differently in the second set, per trace.
#[derive(Clone, Debug, PartialEq)]
pub struct CohortRow {
    /// The path, at most its last [`super::PATH_STEPS_MAX`] steps.
    pub path: String,
    /// Steps above it.
    pub depth: u32,
    /// In which of the sets it is.
    pub presence: Presence,
    /// Spans more.
    pub count: f64,
    /// Self time more.
    pub self_ns: f64,
    /// Path time more.
    pub critical_ns: f64,
    /// Where `critical_ns` lies in nine of ten resamples.
    pub interval: Interval,
}

/// One of the sets has no traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyCohort {
    /// Traces of either set.
    pub traces: [usize; 2],
}

impl fmt::Display for EmptyCohort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.traces;
        write!(
            f,
            "the first set has {first} traces and the second {second}: nothing to compare; widen \
             the condition of the empty one or the time range"
        )
    }
}

impl std::error::Error for EmptyCohort {}

impl Cohorts {
    /// Nothing compared yet.
    pub fn new() -> Cohorts {
        Cohorts::default()
    }

    /// Takes in a trace of the first set.
    pub fn add_first(&mut self, total: TraceTotal, spans: &[DiffSpan<'_>]) {
        let nodes = self.nodes.of_trace(spans);
        self.sets[0].add(total, spans, &nodes);
    }

    /// Takes in a trace of the second set.
    pub fn add_second(&mut self, total: TraceTotal, spans: &[DiffSpan<'_>]) {
        let nodes = self.nodes.of_trace(spans);
        self.sets[1].add(total, spans, &nodes);
    }

    /// Memory held, estimated.
    pub fn bytes(&self) -> usize {
        let set = |set: &TraceSet| {
            set.totals.len() * size_of::<TraceTotal>()
                + set.critical.len() * size_of::<PathTime>()
                + set.sums.len() * (size_of::<NodeSums>() + 64)
        };
        self.sets.iter().map(set).sum()
    }

    /// Compares the second set with the first. The seed comes from [`crate::random::seed_of`] the
    /// arguments of the question.
    pub fn finish(mut self, seed: u64) -> Result<CohortDiff, EmptyCohort> {
        let traces = [0, 1].map(|set| self.sets[set].totals.len());
        if traces.contains(&0) {
            return Err(EmptyCohort { traces });
        }
        // By step and ordinal, so that the order in which the traces came means nothing.
        let walk = self.nodes.walk(|_| ());
        let mut names = vec![String::new(); walk.len()];
        for (rank, (node, _)) in walk.iter().enumerate() {
            names[*node as usize] = format!("{rank:010}");
        }
        let [first, second] = &mut self.sets;
        let (first_times, second_times) = (first.path_times(&names), second.path_times(&names));
        let side = |paths| {
            let key_of = (0..walk.len() as u32).collect();
            Side { paths, traces: 0..paths.traces().len(), key_of }
        };
        let (method, intervals) =
            intervals(&side(&second_times), &side(&first_times), walk.len(), seed);
        let means = [first.weights(), second.weights()];
        let mut rows: Vec<CohortRow> = walk
            .into_iter()
            .zip(intervals)
            .map(|((node, depth), interval)| {
                let sums = [first.sums(node), second.sums(node)];
                let change = |of: fn(&NodeSums) -> i128| {
                    of(&sums[1]) as f64 / means[1] - of(&sums[0]) as f64 / means[0]
                };
                CohortRow {
                    path: self.nodes.path(node),
                    depth,
                    presence: Presence::of([sums[0].count > 0, sums[1].count > 0]),
                    count: change(|s| s.count),
                    self_ns: change(|s| s.self_ns),
                    critical_ns: change(|s| s.critical_ns),
                    interval,
                }
            })
            .collect();
        rows.sort_by(|a, b| b.critical_ns.abs().total_cmp(&a.critical_ns.abs()));
        Ok(CohortDiff {
            rows,
            traces,
            mean_root_ns: [first.mean_root_ns(), second.mean_root_ns()],
            unowned_ns: [first.unowned_ns(), second.unowned_ns()],
            method,
        })
    }
}

impl TraceSet {
    fn add(&mut self, total: TraceTotal, spans: &[DiffSpan<'_>], nodes: &[NodeId]) {
        let trace = self.totals.len() as u32;
        self.totals.push(total);
        let weight = i128::from(total.weight.units());
        for (span, node) in spans.iter().zip(nodes) {
            let place = *node as usize;
            if self.sums.len() <= place {
                self.sums.resize(place + 1, NodeSums::default());
            }
            let sums = &mut self.sums[place];
            sums.count += weight;
            sums.self_ns += weight * i128::from(span.self_ns);
            sums.critical_ns += weight * i128::from(span.critical_ns);
            if span.critical_ns != 0 {
                let path_ns = span.critical_ns;
                self.critical.push(PathTime { trace, key: *node, path_ns, spans: 1 });
            }
        }
    }

    /// Path times under the names of the nodes; nodes and traces have just been numbered here.
    fn path_times(&mut self, names: &[String]) -> PathTimes {
        let critical = std::mem::take(&mut self.critical);
        PathTimes::new(names, &self.totals, &critical).unwrap_or_default()
    }

    fn sums(&self, node: NodeId) -> NodeSums {
        self.sums.get(node as usize).copied().unwrap_or_default()
    }

    fn weights(&self) -> f64 {
        self.totals.iter().map(|total| i128::from(total.weight.units())).sum::<i128>() as f64
    }

    fn weighted_root_ns(&self) -> i128 {
        let weighted = |t: &TraceTotal| i128::from(t.weight.units()) * i128::from(t.root_ns);
        self.totals.iter().map(weighted).sum()
    }

    fn mean_root_ns(&self) -> f64 {
        self.weighted_root_ns() as f64 / self.weights()
    }

    fn unowned_ns(&self) -> i128 {
        self.weighted_root_ns() - self.sums.iter().map(|sums| sums.critical_ns).sum::<i128>()
    }
}
