//! `tail_attribution(from, to, root, by, q, traces)`: what makes the slow traces slower than the middle.

use analysis::random::seed_of;
use analysis::tail::{TailAttribution, TailStart, tail_attribution};
use arrow_array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use schemas::Kind;

use super::paths::{Gathered, Subject};
use super::rows::{ints, ms, numbers, texts, trace_ids};
use super::{Built, Fold, View};
use crate::QueryError;

pub(super) const TAIL: View = View {
    name: "tail_attribution",
    usage: "[from [, to [, root [, by [, 0.99 | 0.95 | 0.9 [, traces]]]]]]",
    columns: || {
        use Kind::{Float64, Id16, Int64, Text};
        vec![
            ("key", Text),
            ("delta_ms", Float64),
            ("share", Float64),
            ("more_calls_ms", Float64),
            ("slower_ms", Float64),
            ("lo_ms", Float64),
            ("hi_ms", Float64),
            ("band_mid", Text),
            ("band_tail", Text),
            ("mean_mid_ms", Float64),
            ("mean_tail_ms", Float64),
            ("n_mid", Int64),
            ("n_tail", Int64),
            ("exemplar_trace", Id16),
        ]
    },
    build: |args| {
        let subject = Subject::read(args)?;
        let start = match args.number()? {
            None | Some(0.99) => TailStart::P99,
            Some(0.95) => TailStart::P95,
            Some(0.9) => TailStart::P90,
            Some(other) => return Err(args.wrong(&format!("{other} is none of 0.99, 0.95, 0.9"))),
        };
        let sql = subject.of_traces_with(args.condition()?).sql();
        let seed = seed_of(&[&sql]);
        Ok(Built::folded(sql, move || Folded { gathered: Gathered::default(), start, seed }))
    },
};

struct Folded {
    gathered: Gathered,
    start: TailStart,
    seed: u64,
}

impl Fold for Folded {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.gathered.add(batch)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ArrayRef>> {
        match tail_attribution(&self.gathered.paths()?, self.start, self.seed) {
            Ok(found) => rows(&found, &self.gathered),
            Err(few) => {
                Err(DataFusionError::External(Box::new(QueryError::invalid(few.to_string()))))
            }
        }
    }

    fn bytes(&self) -> usize {
        self.gathered.bytes()
    }
}

fn rows(found: &TailAttribution, gathered: &Gathered) -> Result<Vec<ArrayRef>> {
    let rows = &found.rows;
    let each = |value: f64| numbers(rows.iter().map(move |_| Some(ms(value))));
    let count = |n: usize| ints(rows.iter().map(move |_| i64::try_from(n).ok()));
    Ok(vec![
        texts(rows.iter().map(|r| r.key.as_str())),
        numbers(rows.iter().map(|r| Some(ms(r.delta_ns)))),
        numbers(rows.iter().map(|r| r.share)),
        numbers(rows.iter().map(|r| Some(ms(r.more_calls_ns)))),
        numbers(rows.iter().map(|r| Some(ms(r.slower_ns)))),
        numbers(rows.iter().map(|r| Some(ms(r.interval.lo_ns)))),
        numbers(rows.iter().map(|r| Some(ms(r.interval.hi_ns)))),
        texts(rows.iter().map(|_| found.middle.name)),
        texts(rows.iter().map(|_| found.tail.name)),
        each(found.middle.mean_root_ns()),
        each(found.tail.mean_root_ns()),
        count(found.middle.traces),
        count(found.tail.traces),
        trace_ids(rows.iter().map(|r| gathered.exemplar(&r.key)))?,
    ])
}
