//! Runs the kernel over rows of whole traces and makes the columns of the answer.

use std::sync::Arc;

use analysis::kernel::Options;
use analysis::{Kernel, SpanFacts, TraceFacts};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take;
use datafusion::common::Result;
use datafusion::physical_plan::metrics::{Count, MetricBuilder};

use super::conditions::Condition;
use super::exec::{COUNTERS, TraceExec};
use super::findings::Findings;
use super::group::runs;
use super::input::{Decoded, Layout};
use super::output::{Chunk, Place, Rows, Run, Texts};
use super::range::TraceRange;
use super::window::Learned;
use super::{Column, Shape};

/// A trace is settled when nothing of it arrived for this long: 30 s.
const SETTLED_NS: i64 = 30 * 1_000_000_000;
/// The kernel's table of texts is begun anew beyond this.
const SYMBOLS_BYTES_MAX: usize = 32 << 20;

/// Some rows of a trace that does not fit into memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece {
    /// The first that is seen, of a trace of so many rows.
    First(u64),
    /// Another one: the trace has been told of.
    Later,
}

/// Runs the kernel over chunks of whole traces.
pub(super) struct Worker {
    layout: Arc<Layout>,
    shape: Shape,
    schema: SchemaRef,
    range: TraceRange,
    now_ns: i64,
    options: Options,
    learned: Arc<Learned>,
    kernel: Kernel,
    decoded: Decoded,
    facts: Vec<SpanFacts>,
    runs: Vec<Run>,
    found: Findings,
    texts: Texts,
    /// The rows are a piece of a trace that does not fit into memory.
    piece: Option<Piece>,
    /// In the order of [`COUNTERS`].
    counters: [Count; COUNTERS.len()],
}

impl Worker {
    pub(super) fn new(node: &TraceExec, partition: usize) -> Worker {
        let counter = |name| MetricBuilder::new(&node.metrics).counter(name, partition);
        Worker {
            layout: Arc::clone(&node.layout),
            shape: node.shape.clone(),
            schema: Arc::clone(&node.schema),
            range: node.range,
            now_ns: node.now_ns,
            options: node.options,
            learned: Arc::default(),
            kernel: Kernel::new(node.options),
            decoded: Decoded::default(),
            facts: Vec::new(),
            runs: Vec::new(),
            found: Findings::default(),
            texts: Texts::default(),
            piece: None,
            counters: COUNTERS.map(counter),
        }
    }

    /// Tells the kernel what was learned from other traces.
    pub(super) fn set_window(&mut self, learned: &Arc<Learned>) {
        self.learned = Arc::clone(learned);
        let window = learned.window(self.kernel.symbols_mut());
        self.kernel.set_window(window);
    }

    /// The output for rows of whole traces, ordered by trace, without those that are left out.
    pub(super) fn run(
        &mut self,
        rows: &RecordBatch,
        is_left_out: impl Fn(u128) -> bool,
    ) -> Result<RecordBatch> {
        if self.kernel.symbols().bytes() > SYMBOLS_BYTES_MAX {
            self.kernel = Kernel::new(self.options);
            let window = self.learned.window(self.kernel.symbols_mut());
            self.kernel.set_window(window);
            self.texts = Texts::default();
        }
        self.decoded.read(rows, &self.layout, self.kernel.symbols_mut())?;
        self.facts.clear();
        self.runs.clear();
        self.found.clear();
        for range in runs(&self.decoded.trace_ids).collect::<Vec<_>>() {
            if is_left_out(self.decoded.trace_ids[range.start]) {
                self.facts.resize(range.end, SpanFacts::default());
                continue;
            }
            let run = self.run_trace(range.start, range.len());
            self.runs.extend(run);
        }
        self.output(rows)
    }

    /// Runs the kernel over one trace of what was decoded; `None` when the range leaves it out.
    fn run_trace(&mut self, from: usize, len: usize) -> Option<Run> {
        let spans = &self.decoded.spans[from..from + len];
        let trace_id = self.decoded.trace_ids[from];
        let is_known = self.piece.is_none();
        // The root is one of the spans.
        let wanted = [self.range.rows, self.range.roots].iter().all(|bounds| {
            bounds.is_open() || spans.iter().any(|span| bounds.contains(span.start_ns))
        });
        let facts = match wanted && is_known {
            true => self.kernel.run(trace_id, spans, &self.decoded.links),
            false => TraceFacts::default(),
        };
        let root_start_ns =
            facts.root.and_then(|root| spans.get(root as usize)).map(|s| s.start_ns);
        let in_range = root_start_ns.is_none_or(|ns| self.range.roots.contains(ns));
        if wanted && is_known {
            self.facts.extend_from_slice(self.kernel.facts());
        } else {
            self.facts.resize(from + len, SpanFacts::default());
        }
        let [used, incomplete, arriving, too_large, left_out, span_count, duplicates] =
            &self.counters;
        if !wanted || !in_range {
            left_out.add(1);
            return None;
        }
        let arrived = self.decoded.ingested_ns[from..from + len].iter().max();
        let settled = arrived.is_some_and(|ns| ns.saturating_add(SETTLED_NS) <= self.now_ns);
        let run_of = |span_count| {
            let is_complete = settled && facts.is_whole;
            Run { from, len, trace_id, facts, is_complete, is_known, span_count }
        };
        let run = match self.piece {
            None => run_of(facts.spans.into()),
            Some(Piece::First(rows)) => run_of(i64::try_from(rows).unwrap_or(i64::MAX)),
            // A row a trace, and there is one.
            Some(Piece::Later) if matches!(self.shape, Shape::Traces(_)) => return None,
            Some(Piece::Later) => run_of(0),
        };
        if let (Shape::Found(finding), true) = (&self.shape, is_known) {
            self.found.add(*finding, trace_id, &facts, spans, &mut self.kernel);
        }
        if !matches!(self.piece, Some(Piece::Later)) {
            used.add(1);
            incomplete.add(usize::from(!run.is_complete));
            arriving.add(usize::from(!settled));
            too_large.add(usize::from(!is_known));
        }
        span_count.add(len);
        duplicates.add(facts.duplicates as usize);
        Some(run)
    }

    fn output(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        let chunk = Chunk {
            spans: &self.decoded.spans,
            facts: &self.facts,
            runs: &self.runs,
            symbols: self.kernel.symbols(),
        };
        let texts = &mut self.texts;
        let columns = match &self.shape {
            Shape::Traces(facts) => {
                facts.iter().map(|&fact| chunk.trace_column(fact, texts)).collect::<Result<_>>()?
            }
            Shape::Found(finding) => self.found.columns(*finding, chunk.symbols, texts)?,
            Shape::Spans { columns, conditions } => {
                let mut maker = Maker { rows, chunk, texts };
                let places = maker.places(conditions)?;
                let columns = maker.columns(columns, &places)?;
                let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
                let schema = Arc::clone(&self.schema);
                return Ok(RecordBatch::try_new_with_options(schema, columns, &options)?);
            }
        };
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// Rows of a trace that does not fit into memory: all derived columns are null.
    pub(super) fn run_piece(&mut self, rows: &RecordBatch, piece: Piece) -> Result<RecordBatch> {
        self.piece = Some(piece);
        let out = self.run(rows, |_| false);
        self.piece = None;
        out
    }
}

/// Makes columns of a row a span.
struct Maker<'a> {
    rows: &'a RecordBatch,
    chunk: Chunk<'a>,
    texts: &'a mut Texts,
}

impl Maker<'_> {
    /// The rows that meet the conditions.
    fn places(&mut self, conditions: &[Condition]) -> Result<Vec<Place>> {
        let runs = (0..).zip(self.chunk.runs);
        let mut places: Vec<Place> =
            runs.clone().map(|(run, range)| Place { row: range.from as u32, run }).collect();
        let (of_traces, of_spans): (Vec<_>, Vec<_>) =
            conditions.iter().partition(|condition| condition.is_of_trace);
        for condition in of_traces {
            places = self.meeting(condition, places)?;
        }
        let rows_of = |place: Place| {
            let run = &self.chunk.runs[place.run as usize];
            (run.from..run.from + run.len).map(move |row| Place { row: row as u32, run: place.run })
        };
        places = places.into_iter().flat_map(rows_of).collect();
        for condition in of_spans {
            places = self.meeting(condition, places)?;
        }
        Ok(places)
    }

    fn meeting(&mut self, condition: &Condition, mut places: Vec<Place>) -> Result<Vec<Place>> {
        let columns = self.columns(&condition.columns, &places)?;
        let met = condition.met(columns, places.len())?;
        let mut row = 0..;
        places.retain(|_| row.next().is_some_and(|row| met.is_valid(row) && met.value(row)));
        Ok(places)
    }

    fn columns(&mut self, columns: &[Column], places: &[Place]) -> Result<Vec<ArrayRef>> {
        let rows = Rows { chunk: self.chunk, places };
        // Places are in order and distinct: as many as there are rows means all of them.
        let is_all = places.len() == self.rows.num_rows();
        let taken = UInt32Array::from_iter_values(places.iter().map(|place| place.row));
        let column = |column: &Column| match *column {
            Column::Given(index) if is_all => Ok(Arc::clone(self.rows.column(index))),
            Column::Given(index) => Ok(take(self.rows.column(index), &taken, None)?),
            Column::Fact(fact) => rows.span_column(fact, self.texts),
        };
        columns.iter().map(column).collect()
    }
}
