//! The scan of one table: its files and its live rows, each row once.
//!
//! The node is a leaf for the optimizer. It keeps the default answer to filters of its parents
//! (none is taken), so that a filter always stays above; what the files can do with a predicate
//! they got when the scan was planned. Dynamic filters of later phases (top-k, joins) are handed to
//! the files as a hint, and still reported as not taken.

use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation, PushedDown,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use schemas::{Batch, Table};

use crate::attributes::adapter::AttributeAdapterFactory;

/// Files and live rows of one table in one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotScanExec {
    table: Table,
    schema: SchemaRef,
    files: Option<Arc<dyn ExecutionPlan>>,
    /// Live batches by partition.
    live: Vec<Vec<Arc<Batch>>>,
    properties: Arc<PlanProperties>,
}

impl SnapshotScanExec {
    pub(crate) fn new(
        table: Table,
        schema: SchemaRef,
        files: Option<Arc<dyn ExecutionPlan>>,
        live: &[Arc<Batch>],
        partitions: usize,
    ) -> SnapshotScanExec {
        let wanted = if live.is_empty() { 1 } else { partitions.clamp(1, live.len()) };
        let mut spread = vec![Vec::new(); wanted.max(file_partitions(files.as_ref()))];
        let width = spread.len();
        for (i, batch) in live.iter().enumerate() {
            spread[i % width].push(Arc::clone(batch));
        }
        SnapshotScanExec::assemble(table, schema, files, spread)
    }

    fn assemble(
        table: Table,
        schema: SchemaRef,
        files: Option<Arc<dyn ExecutionPlan>>,
        live: Vec<Vec<Arc<Batch>>>,
    ) -> SnapshotScanExec {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(live.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        SnapshotScanExec { table, schema, files, live, properties }
    }

    fn with_files(&self, files: Arc<dyn ExecutionPlan>) -> SnapshotScanExec {
        let mut live = self.live.clone();
        live.resize(live.len().max(file_partitions(Some(&files))), Vec::new());
        SnapshotScanExec::assemble(self.table, Arc::clone(&self.schema), Some(files), live)
    }
}

fn file_partitions(files: Option<&Arc<dyn ExecutionPlan>>) -> usize {
    files.map_or(0, |f| f.properties().partitioning.partition_count())
}

impl DisplayAs for SnapshotScanExec {
    fn fmt_as(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: usize = self.live.iter().flatten().map(|b| b.rows.num_rows()).sum();
        write!(f, "SnapshotScanExec: table={}, live_rows={rows}", self.table.name())?;
        match &self.files {
            Some(files) => {
                write!(f, ", files=")?;
                files.fmt_as(t, f)
            }
            None => write!(f, ", files=none"),
        }
    }
}

impl ExecutionPlan for SnapshotScanExec {
    fn name(&self) -> &str {
        "SnapshotScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn repartitioned(
        &self,
        target: usize,
        config: &ConfigOptions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(files) = &self.files else { return Ok(None) };
        let repartitioned = files.repartitioned(target, config)?;
        Ok(repartitioned.map(|files| Arc::new(self.with_files(files)) as _))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let live = self.live.get(partition).cloned().unwrap_or_default();
        let live = live_stream(self.table, Arc::clone(&self.schema), live);
        let files = match &self.files {
            Some(files) if partition < file_partitions(Some(files)) => {
                Some(files.execute(partition, context)?)
            }
            _ => None,
        };
        let all = live.chain(futures::stream::iter(files).flatten());
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), all)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        self.files.as_ref().and_then(|f| f.metrics())
    }

    fn partition_statistics(&self, _: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.schema)))
    }

    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let filters = vec![PushedDown::No; result.parent_filters.len()];
        let mut updated_node: Option<Arc<dyn ExecutionPlan>> = None;
        if let (FilterPushdownPhase::Post, Some(files)) = (phase, &self.files) {
            let taken = files.handle_child_pushdown_result(phase, result, config)?;
            updated_node = taken.updated_node.map(|files| Arc::new(self.with_files(files)) as _);
        }
        Ok(FilterPushdownPropagation { filters, updated_node })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> Result<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        use SortOrderPushdownResult::{Exact, Inexact, Unsupported};
        let Some(files) = &self.files else { return Ok(Unsupported) };
        Ok(match files.try_pushdown_sort(order)? {
            // Live rows come in arrival order, so the whole is never exactly sorted.
            Exact { inner } | Inexact { inner } => {
                Inexact { inner: Arc::new(self.with_files(inner)) }
            }
            Unsupported => Unsupported,
        })
    }
}

fn live_stream(
    table: Table,
    schema: SchemaRef,
    batches: Vec<Arc<Batch>>,
) -> impl futures::Stream<Item = Result<RecordBatch>> {
    futures::stream::iter(batches).map(move |batch| adapt(table, &schema, &batch.rows))
}

/// A live batch as the scan's columns, resolved like a file's.
fn adapt(table: Table, schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch> {
    let adapter = AttributeAdapterFactory { table }.create(Arc::clone(schema), rows.schema())?;
    let column = |(index, field): (usize, &FieldRef)| {
        let resolved = adapter.rewrite(Arc::new(Column::new(field.name(), index)))?;
        resolved.evaluate(rows)?.into_array(rows.num_rows())
    };
    let columns = schema.fields().iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
