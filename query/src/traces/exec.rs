//! The plan node that runs the kernel: input by trace, output a row a span, a trace, or a finding.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use analysis::kernel::Options;
use analysis::{Kernel, SpanFacts, TraceFacts};
use api::sql::TraceStats;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column as PhysicalColumn;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr,
    PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{Stream, StreamExt};

use super::findings::Findings;
use super::group::{Pending, runs};
use super::input::{Decoded, Layout};
use super::output::{Chunk, Run, Texts};
use super::range::TraceRange;
use super::{Column, Shape};

/// A trace is settled when nothing of it arrived for this long: 30 s.
const SETTLED_NS: i64 = 30 * 1_000_000_000;
/// The kernel's table of texts is begun anew beyond this.
const SYMBOLS_BYTES_MAX: usize = 32 << 20;
/// Counters of the node, in the order of [`TraceStats`].
const COUNTERS: [&str; 6] = [
    "traces",
    "traces_incomplete",
    "traces_truncated",
    "traces_skipped",
    "trace_spans",
    "trace_duplicates",
];
/// Memory of the kernel for one span: its struct, its facts, its place in the tree.
const SPAN_BYTES: usize = 640;

/// Runs the kernel over its input.
#[derive(Clone, Debug)]
pub(crate) struct TraceExec {
    input: Arc<dyn ExecutionPlan>,
    layout: Arc<Layout>,
    shape: Shape,
    schema: SchemaRef,
    options: Options,
    range: TraceRange,
    now_ns: i64,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl TraceExec {
    /// # Errors
    /// When the input lacks a column of the kernel.
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        shape: Shape,
        schema: SchemaRef,
        options: Options,
        range: TraceRange,
        now_ns: i64,
    ) -> Result<TraceExec> {
        let layout = Arc::new(Layout::new(&input.schema())?);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(input.properties().partitioning.partition_count()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(TraceExec { input, layout, shape, schema, options, range, now_ns, properties, metrics })
    }

    /// What the node has run over so far; `None` for any other node.
    pub(crate) fn stats(plan: &dyn ExecutionPlan) -> Option<TraceStats> {
        let node = plan.downcast_ref::<TraceExec>()?;
        let metrics = node.metrics.clone_inner();
        let sum = |name: &str| metrics.sum_by_name(name).map_or(0, |v| v.as_usize() as u64);
        let [used, incomplete, truncated, skipped, spans, duplicates] = COUNTERS.map(sum);
        Some(TraceStats { used, incomplete, truncated, skipped, spans, duplicates })
    }

    fn trace_id(&self) -> Arc<dyn PhysicalExpr> {
        let index = self.layout.trace_id();
        Arc::new(PhysicalColumn::new(self.input.schema().field(index).name(), index))
    }
}

impl DisplayAs for TraceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = match &self.shape {
            Shape::Spans(columns) => format!("spans, columns={}", columns.len()),
            Shape::Traces(_) => "traces".to_owned(),
            Shape::Found(finding) => format!("{finding:?}"),
        };
        write!(f, "TraceExec: a row of {shape}")
    }
}

impl ExecutionPlan for TraceExec {
    fn name(&self) -> &str {
        "TraceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::KeyPartitioned(vec![self.trace_id()])]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let by_trace = PhysicalSortExpr::new_default(self.trace_id());
        vec![LexOrdering::new([by_trace]).map(OrderingRequirements::from)]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] =
            <[_; 1]>::try_from(children).or_else(|_| internal_err!("a TraceExec has one input"))?;
        let (shape, schema) = (self.shape.clone(), Arc::clone(&self.schema));
        Ok(Arc::new(TraceExec::new(input, shape, schema, self.options, self.range, self.now_ns)?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let consumer = MemoryConsumer::new(format!("TraceExec[{partition}]"));
        let reservation = consumer.register(context.memory_pool());
        let input = self.input.execute(partition, context)?;
        let counter =
            |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        Ok(Box::pin(TraceStream {
            input_schema: self.input.schema(),
            input,
            pending: Pending::default(),
            reservation,
            worker: Worker {
                layout: Arc::clone(&self.layout),
                shape: self.shape.clone(),
                schema: Arc::clone(&self.schema),
                range: self.range,
                now_ns: self.now_ns,
                options: self.options,
                kernel: Kernel::new(self.options),
                decoded: Decoded::default(),
                facts: Vec::new(),
                runs: Vec::new(),
                found: Findings::default(),
                texts: Texts::default(),
                too_large: None,
                counters: COUNTERS.map(counter),
            },
            done: false,
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

struct TraceStream {
    input: SendableRecordBatchStream,
    input_schema: SchemaRef,
    pending: Pending,
    reservation: MemoryReservation,
    worker: Worker,
    done: bool,
}

impl TraceStream {
    /// Takes a batch of input, or the end; gives what can be said now.
    fn advance(&mut self, batch: Option<RecordBatch>) -> Result<Option<RecordBatch>> {
        let trace_id = self.worker.layout.trace_id();
        let chunk = match batch {
            Some(batch) => self.pending.push(batch, trace_id, &self.input_schema)?,
            None => {
                self.done = true;
                self.pending.take(&self.input_schema)?
            }
        };
        let needed = self.pending.rows() * SPAN_BYTES;
        if self.reservation.try_resize(needed).is_err() {
            // One trace does not fit: its rows go on without facts, and the query goes on.
            let rows = self.pending.take(&self.input_schema)?;
            self.reservation.free();
            return self.worker.too_large(chunk, rows);
        }
        chunk.map(|chunk| self.worker.run(&chunk)).transpose()
    }
}

impl Stream for TraceStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.done {
            let batch = ready!(self.input.poll_next_unpin(cx)).transpose()?;
            if let Some(rows) = self.advance(batch)?.filter(|rows| rows.num_rows() > 0) {
                return Poll::Ready(Some(Ok(rows)));
            }
        }
        Poll::Ready(None)
    }
}

impl RecordBatchStream for TraceStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.worker.schema)
    }
}

/// Runs the kernel over chunks of whole traces.
struct Worker {
    layout: Arc<Layout>,
    shape: Shape,
    schema: SchemaRef,
    range: TraceRange,
    now_ns: i64,
    options: Options,
    kernel: Kernel,
    decoded: Decoded,
    facts: Vec<SpanFacts>,
    runs: Vec<Run>,
    found: Findings,
    texts: Texts,
    /// The trace that did not fit into memory; more of its rows may come.
    too_large: Option<u128>,
    /// In the order of [`COUNTERS`].
    counters: [Count; COUNTERS.len()],
}

impl Worker {
    fn run(&mut self, rows: &RecordBatch) -> Result<RecordBatch> {
        if self.kernel.symbols().bytes() > SYMBOLS_BYTES_MAX {
            self.kernel = Kernel::new(self.options);
            self.texts = Texts::default();
        }
        self.decoded.read(rows, &self.layout, self.kernel.symbols_mut())?;
        self.facts.clear();
        self.runs.clear();
        self.found.clear();
        let mut skipped = false;
        for range in runs(&self.decoded.trace_ids).collect::<Vec<_>>() {
            let run = self.run_trace(range.start, range.len());
            skipped |= run.is_none();
            self.runs.extend(run);
        }
        let columns = self.columns(rows, skipped)?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// Runs the kernel over one trace of what was decoded; `None` when the range leaves it out.
    fn run_trace(&mut self, from: usize, len: usize) -> Option<Run> {
        let spans = &self.decoded.spans[from..from + len];
        let trace_id = self.decoded.trace_ids[from];
        let is_known = self.too_large != Some(trace_id);
        let wanted = self.range.rows.is_open()
            || spans.iter().any(|span| self.range.rows.contains(span.start_ns));
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
        let [used, incomplete, _, left_out, span_count, duplicates] = &self.counters;
        if !wanted || !in_range {
            left_out.add(1);
            return None;
        }
        let arrived = self.decoded.ingested_ns[from..from + len].iter().max();
        let settled = arrived.is_some_and(|ns| ns.saturating_add(SETTLED_NS) <= self.now_ns);
        let run =
            Run { from, len, trace_id, facts, is_complete: settled && facts.is_whole, is_known };
        if let (Shape::Found(finding), true) = (&self.shape, is_known) {
            self.found.add(*finding, trace_id, &facts, spans, &mut self.kernel);
        }
        used.add(1);
        incomplete.add(usize::from(!run.is_complete));
        span_count.add(len);
        duplicates.add(facts.duplicates as usize);
        Some(run)
    }

    fn columns(&mut self, rows: &RecordBatch, skipped: bool) -> Result<Vec<arrow_array::ArrayRef>> {
        let chunk = Chunk {
            spans: &self.decoded.spans,
            facts: &self.facts,
            runs: &self.runs,
            symbols: self.kernel.symbols(),
        };
        let texts = &mut self.texts;
        match &self.shape {
            Shape::Traces(facts) => {
                facts.iter().map(|&fact| chunk.trace_column(fact, texts)).collect()
            }
            Shape::Found(finding) => self.found.columns(*finding, chunk.symbols, texts),
            Shape::Spans(columns) => {
                let kept = if skipped { kept(rows, &self.runs)? } else { rows.clone() };
                let column = |column: &Column| match *column {
                    Column::Given(index) => Ok(Arc::clone(kept.column(index))),
                    Column::Fact(fact) => chunk.span_column(fact, texts),
                };
                columns.iter().map(column).collect()
            }
        }
    }

    /// Rows of ended traces, then rows of a trace that is too large for facts.
    fn too_large(
        &mut self,
        ended: Option<RecordBatch>,
        rows: Option<RecordBatch>,
    ) -> Result<Option<RecordBatch>> {
        let mut out = Vec::new();
        if let Some(ended) = ended {
            out.push(self.run(&ended)?);
        }
        if let Some(rows) = rows {
            let mut one = Decoded::default();
            one.read(&rows.slice(0, 1), &self.layout, self.kernel.symbols_mut())?;
            if self.too_large != one.trace_ids.first().copied() {
                self.too_large = one.trace_ids.first().copied();
                self.counters[2].add(1);
            }
            out.push(self.run(&rows)?);
        }
        Ok(Some(arrow_select::concat::concat_batches(&self.schema, &out)?))
    }
}

/// The rows of the runs that are left.
fn kept(rows: &RecordBatch, runs: &[Run]) -> Result<RecordBatch> {
    let mut mask = vec![false; rows.num_rows()];
    for run in runs {
        mask[run.from..run.from + run.len].fill(true);
    }
    Ok(filter_record_batch(rows, &BooleanArray::from(mask))?)
}
