//! `latency_breakdown(from, to, root, by, where)`: where the time of the mean trace goes.

use analysis::breakdown::{Breakdown, MixedShares, breakdown};
use arrow_array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use schemas::Kind;

use super::paths::{Gathered, Subject};
use super::rows::{ints, ms, numbers, texts, trace_ids};
use super::{Built, Fold, View};

pub(super) const BREAKDOWN: View = View {
    name: "latency_breakdown",
    usage: "[from [, to [, root [, by [, where]]]]]",
    columns: || {
        use Kind::{Float64, Id16, Int64, Text};
        vec![
            ("key", Text),
            ("contrib_ms", Float64),
            ("share", Float64),
            ("presence", Float64),
            ("calls", Float64),
            ("sum_ns", Float64),
            ("mean_ms", Float64),
            ("traces", Int64),
            ("roots", Text),
            ("exemplar_trace", Id16),
        ]
    },
    build: |args| {
        let subject = Subject::read(args)?;
        let subject = subject.with_condition(args.condition()?);
        // Shares of a mix are shown when it was asked for by `*`.
        let mixed = match subject.root.as_deref() {
            Some("*") => MixedShares::Show,
            _ => MixedShares::Refuse,
        };
        Ok(Built::folded(subject.sql(), move || Folded { gathered: Gathered::default(), mixed }))
    },
};

struct Folded {
    gathered: Gathered,
    mixed: MixedShares,
}

impl Fold for Folded {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.gathered.add(batch)
    }

    fn finish(self: Box<Self>) -> Result<Vec<ArrayRef>> {
        rows(&breakdown(&self.gathered.paths()?, self.mixed), &self.gathered)
    }

    fn bytes(&self) -> usize {
        self.gathered.bytes()
    }
}

fn rows(found: &Breakdown, gathered: &Gathered) -> Result<Vec<ArrayRef>> {
    let rows = &found.rows;
    let roots = if found.is_mixed { "mixed" } else { "one" };
    let unit = analysis::sampling::Weight::ONE.units() as f64;
    Ok(vec![
        texts(rows.iter().map(|r| r.key.as_str())),
        numbers(rows.iter().map(|r| Some(ms(r.contrib_ns)))),
        numbers(rows.iter().map(|r| r.share)),
        numbers(rows.iter().map(|r| Some(r.presence))),
        numbers(rows.iter().map(|r| Some(r.calls))),
        numbers(rows.iter().map(|r| Some(r.weighted_ns as f64 / unit))),
        numbers(rows.iter().map(|_| Some(ms(found.mean_root_ns)))),
        ints(rows.iter().map(|_| i64::try_from(found.traces).ok())),
        texts(rows.iter().map(|_| roots)),
        trace_ids(rows.iter().map(|r| gathered.exemplar(&r.key)))?,
    ])
}
