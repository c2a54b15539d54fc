//! The plan node that runs the kernel: a row a span, a trace, or a finding.
//!
//! Its inputs are two scans of the same rows ([`super::split`] says why), which it reads partition
//! by partition in the same order; so nothing may be put between it and them.

use std::fmt;
use std::sync::Arc;

use analysis::kernel::Options;
use api::sql::TraceStats;
use arrow_schema::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};

use super::Shape;
use super::driver::{Partition, Shared};
use super::input::Layout;
use super::range::TraceRange;
use super::window::Lesson;

/// Counters of the node, in the order of [`TraceStats`].
pub(super) const COUNTERS: [&str; 7] = [
    "traces",
    "traces_incomplete",
    "traces_arriving",
    "traces_truncated",
    "traces_skipped",
    "trace_spans",
    "trace_duplicates",
];

/// Runs the kernel over its input.
#[derive(Clone, Debug)]
pub(crate) struct TraceExec {
    /// All columns.
    pub(super) input: Arc<dyn ExecutionPlan>,
    /// The trace ids of the same rows.
    pub(super) ids: Arc<dyn ExecutionPlan>,
    /// What is to be learned first, where the statement means more than single traces.
    pub(super) lesson: Option<Lesson>,
    pub(super) layout: Arc<Layout>,
    pub(super) shape: Shape,
    pub(super) schema: SchemaRef,
    pub(super) options: Options,
    pub(super) range: TraceRange,
    pub(super) now_ns: i64,
    pub(super) shared: Arc<Shared>,
    properties: Arc<PlanProperties>,
    pub(super) metrics: ExecutionPlanMetricsSet,
}

impl TraceExec {
    /// # Errors
    /// When the input lacks a column of the kernel.
    pub(super) fn new(
        [input, ids]: [Arc<dyn ExecutionPlan>; 2],
        lesson: Option<Lesson>,
        shape: Shape,
        schema: SchemaRef,
        options: Options,
        range: TraceRange,
        now_ns: i64,
    ) -> Result<TraceExec> {
        let layout = Arc::new(Layout::new(&input.schema())?);
        let partitions = input.properties().partitioning.partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let metrics = ExecutionPlanMetricsSet::new();
        let shared = Arc::new(Shared::new(partitions));
        Ok(TraceExec {
            input,
            ids,
            lesson,
            layout,
            shape,
            schema,
            options,
            range,
            now_ns,
            shared,
            properties,
            metrics,
        })
    }

    /// What the node has run over so far; `None` for any other node.
    pub(crate) fn stats(plan: &dyn ExecutionPlan) -> Option<TraceStats> {
        let node = plan.downcast_ref::<TraceExec>()?;
        let metrics = node.metrics.clone_inner();
        let sum = |name: &str| metrics.sum_by_name(name).map_or(0, |v| v.as_usize() as u64);
        let [used, incomplete, arriving, truncated, skipped, spans, duplicates] = COUNTERS.map(sum);
        Some(TraceStats { used, incomplete, arriving, truncated, skipped, spans, duplicates })
    }

    pub(super) fn partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }
}

impl DisplayAs for TraceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = match &self.shape {
            Shape::Spans { columns, conditions } => {
                let conditions: Vec<String> =
                    conditions.iter().map(|condition| condition.expr.to_string()).collect();
                let conditions = conditions.join(" AND ");
                format!("spans, columns={}, conditions=[{conditions}]", columns.len())
            }
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
        let lesson = self.lesson.as_ref().map(|lesson| &lesson.input);
        [&self.input, &self.ids].into_iter().chain(lesson).collect()
    }

    /// The inputs are to be read as they are.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children().len()]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let Shape::Spans { conditions, .. } = &self.shape else {
            return Ok(TreeNodeRecursion::Continue);
        };
        for condition in conditions {
            if visit(&condition.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut inputs = children.into_iter();
        let (Some(input), Some(ids)) = (inputs.next(), inputs.next()) else {
            return internal_err!("a TraceExec has two inputs or three");
        };
        let sample = self.lesson.as_ref().map(|lesson| lesson.sample.clone());
        let lesson = inputs.next().zip(sample).map(|(input, sample)| Lesson { input, sample });
        let (shape, schema) = (self.shape.clone(), Arc::clone(&self.schema));
        let (options, range) = (self.options, self.range);
        let node =
            TraceExec::new([input, ids], lesson, shape, schema, options, range, self.now_ns)?;
        Ok(Arc::new(node))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = Arc::clone(&self.schema);
        let mut stream = RecordBatchReceiverStreamBuilder::new(schema, 1);
        stream.spawn(Partition::new(self, partition, context, stream.tx()).run());
        Ok(stream.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
