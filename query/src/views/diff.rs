//! `trace_diff('a', 'b')` and `cohort_diff('condition a', 'condition b', from, to)`: what one trace,
//! or one set of traces, does differently from another, call path by call path.

use analysis::diff::{CohortDiff, Cohorts, DiffSpan, Presence, trace_diff};
use analysis::path_times::TraceTotal;
use analysis::random::seed_of;
use arrow_array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use schemas::Kind;

use super::rows::{Rows, ints, numbers, texts};
use super::{Built, Fold, View};
use crate::QueryError;

pub(super) const TRACE_DIFF: View = View {
    name: "trace_diff",
    usage: "'trace a', 'trace b'",
    columns: || {
        use Kind::{Float64, Int64, Text};
        vec![
            ("path", Text),
            ("depth", Int64),
            ("status", Text),
            ("dcount", Float64),
            ("dself_ms", Float64),
            ("dcritical_ms", Float64),
        ]
    },
    build: |args| {
        let (a, b) = (args.trace_id()?, args.trace_id()?);
        let sql = format!(
            "SELECT hex(trace_id) = '{a}' AS in_a, hex(trace_id) = '{b}' AS in_b, {STEPS} FROM spans \
             WHERE trace_id IN ('{a}', '{b}') AND NOT is_duplicate ORDER BY trace_id, tree_left"
        );
        Ok(Built::folded(sql, move || Two {
            a: a.clone(),
            b: b.clone(),
            spans: Default::default(),
        }))
    },
};

pub(super) const COHORT_DIFF: View = View {
    name: "cohort_diff",
    usage: "'condition a', 'condition b' [, from [, to]]",
    columns: || {
        use Kind::{Float64, Int64, Text};
        vec![
            ("path", Text),
            ("depth", Int64),
            ("status", Text),
            ("dcount", Float64),
            ("dself_ms", Float64),
            ("dcritical_ms", Float64),
            ("lo_ms", Float64),
            ("hi_ms", Float64),
            ("traces_a", Int64),
            ("traces_b", Int64),
            ("mean_a_ms", Float64),
            ("mean_b_ms", Float64),
        ]
    },
    build: |args| {
        let (a, b) = (args.condition()?, args.condition()?);
        let (Some(a), Some(b)) = (a, b) else {
            return Err(args.wrong("two conditions over spans are needed"));
        };
        let roots = args.range()?.of_roots();
        let sql = format!(
            "SELECT in_a, in_b, {STEPS} FROM spans s JOIN (SELECT trace_id AS id, bool_or({a}) AS in_a, \
             bool_or({b}) AS in_b FROM spans WHERE {roots} GROUP BY 1) c ON s.trace_id = c.id \
             WHERE (in_a OR in_b) AND {roots} AND NOT is_duplicate ORDER BY trace_id, tree_left"
        );
        let seed = seed_of(&[&sql]);
        Ok(Built::folded(sql, move || Sets {
            cohorts: Cohorts::new(),
            trace: Trace::default(),
            seed,
        }))
    },
};

/// What a step of a trace is made of, after the two flags.
const STEPS: &str = "trace_id, depth, concat(service_name, ' ', name, ' (', kind, ')') AS step, \
                     epoch_ns(start_time) + skew_ns AS start_ns, tree_left, self_ns, \
                     CASE WHEN is_main THEN critical_ns ELSE 0 END AS critical_ns, root_duration_ns";

/// A span of a trace, kept until its trace is whole.
#[derive(Debug)]
struct Step {
    step: String,
    parent: Option<u32>,
    start_ns: i64,
    place: u64,
    self_ns: i64,
    critical_ns: i64,
}

/// The spans of one trace in the order of its tree.
#[derive(Debug, Default)]
struct Trace {
    id: u128,
    sets: [bool; 2],
    root_ns: i64,
    steps: Vec<Step>,
    /// By depth: the last span there, which is the parent of the next deeper one.
    open: Vec<u32>,
}

impl Trace {
    fn add(&mut self, rows: &Rows, row: usize) {
        self.sets = [rows.bool(0, row), rows.bool(1, row)];
        self.id = rows.trace_id(2, row);
        self.root_ns = rows.int(9, row).unwrap_or(0);
        let depth = rows.int(3, row).and_then(|d| usize::try_from(d).ok()).unwrap_or(0);
        let depth = depth.min(self.open.len());
        self.open.truncate(depth);
        let parent = self.open.last().copied();
        self.open.push(self.steps.len() as u32);
        self.steps.push(Step {
            step: rows.text(4, row).to_owned(),
            parent,
            start_ns: rows.int(5, row).unwrap_or(0),
            place: rows.int(6, row).and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            self_ns: rows.int(7, row).unwrap_or(0),
            critical_ns: rows.int(8, row).unwrap_or(0),
        });
    }

    fn spans(&self) -> Vec<DiffSpan<'_>> {
        let span = |step: &'_ Step| DiffSpan {
            parent: step.parent,
            step: "",
            start_ns: step.start_ns,
            span_id: step.place,
            self_ns: step.self_ns,
            critical_ns: step.critical_ns,
        };
        self.steps.iter().map(|step| DiffSpan { step: &step.step, ..span(step) }).collect()
    }

    fn bytes(&self) -> usize {
        self.steps.len() * (size_of::<Step>() + 64)
    }
}

/// Two traces.
struct Two {
    a: String,
    b: String,
    spans: [Trace; 2],
}

impl Fold for Two {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::new(batch)?;
        for row in 0..rows.len() {
            for (set, trace) in self.spans.iter_mut().enumerate() {
                if rows.bool(set, row) {
                    trace.add(&rows, row);
                }
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ArrayRef>> {
        for (trace, id) in self.spans.iter().zip([&self.a, &self.b]) {
            if trace.steps.is_empty() {
                return Err(refused(format!("no span of the trace {id} is stored")));
            }
        }
        let found = trace_diff(&self.spans[0].spans(), &self.spans[1].spans());
        let rows = &found.rows;
        Ok(vec![
            texts(rows.iter().map(|row| row.path.as_str())),
            ints(rows.iter().map(|row| Some(row.depth.into()))),
            texts(rows.iter().map(|row| status(row.presence))),
            numbers(rows.iter().map(|row| Some(row.count as f64))),
            numbers(rows.iter().map(|row| Some(row.self_ns as f64 / 1e6))),
            numbers(rows.iter().map(|row| Some(row.critical_ns as f64 / 1e6))),
        ])
    }

    fn bytes(&self) -> usize {
        self.spans.iter().map(Trace::bytes).sum()
    }
}

/// Two sets of traces, which come one after the other.
struct Sets {
    cohorts: Cohorts,
    trace: Trace,
    seed: u64,
}

impl Sets {
    fn end_trace(&mut self) {
        let trace = std::mem::take(&mut self.trace);
        let total = TraceTotal { root_ns: trace.root_ns, ..TraceTotal::default() };
        let spans = trace.spans();
        if trace.sets[0] && !spans.is_empty() {
            self.cohorts.add_first(total, &spans);
        }
        if trace.sets[1] && !spans.is_empty() {
            self.cohorts.add_second(total, &spans);
        }
    }
}

impl Fold for Sets {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::new(batch)?;
        for row in 0..rows.len() {
            if rows.trace_id(2, row) != self.trace.id {
                self.end_trace();
            }
            self.trace.add(&rows, row);
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ArrayRef>> {
        self.end_trace();
        match self.cohorts.finish(self.seed) {
            Ok(found) => Ok(shown(&found)),
            Err(empty) => Err(refused(empty.to_string())),
        }
    }

    fn bytes(&self) -> usize {
        self.cohorts.bytes() + self.trace.bytes()
    }
}

fn shown(found: &CohortDiff) -> Vec<ArrayRef> {
    let rows = &found.rows;
    let count = |n: usize| ints(rows.iter().map(move |_| i64::try_from(n).ok()));
    let mean = |ns: f64| numbers(rows.iter().map(move |_| Some(ns / 1e6)));
    vec![
        texts(rows.iter().map(|row| row.path.as_str())),
        ints(rows.iter().map(|row| Some(row.depth.into()))),
        texts(rows.iter().map(|row| status(row.presence))),
        numbers(rows.iter().map(|row| Some(row.count))),
        numbers(rows.iter().map(|row| Some(row.self_ns / 1e6))),
        numbers(rows.iter().map(|row| Some(row.critical_ns / 1e6))),
        numbers(rows.iter().map(|row| Some(row.interval.lo_ns / 1e6))),
        numbers(rows.iter().map(|row| Some(row.interval.hi_ns / 1e6))),
        count(found.traces[0]),
        count(found.traces[1]),
        mean(found.mean_root_ns[0]),
        mean(found.mean_root_ns[1]),
    ]
}

fn status(presence: Presence) -> &'static str {
    match presence {
        Presence::Both => "both",
        Presence::Added => "added",
        Presence::Removed => "removed",
    }
}

fn refused(why: String) -> DataFusionError {
    DataFusionError::External(Box::new(QueryError::invalid(why)))
}
