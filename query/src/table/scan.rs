//! The scan of one table: its files and its live rows, each row once.
//!
//! The node is a leaf for the optimizer. It keeps the default answer to filters of its parents
//! (none is taken), so that a filter always stays above; what the files can do with a predicate
//! they got when the scan was planned. Dynamic filters of later phases (top-k, joins) are handed to
//! the files as a hint, and still reported as not taken.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
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
use storage::DataFile;

use super::prune;
use crate::attributes::adapter::AttributeAdapterFactory;

/// Files and live rows of one table in one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotScanExec {
    table: Table,
    schema: SchemaRef,
    files: Option<Arc<dyn ExecutionPlan>>,
    /// What the catalog knows of these files.
    known: Arc<[Arc<DataFile>]>,
    /// Live batches by partition.
    live: Vec<Vec<Arc<Batch>>>,
    properties: Arc<PlanProperties>,
}

impl SnapshotScanExec {
    pub(crate) fn new(
        table: Table,
        schema: SchemaRef,
        files: Option<Arc<dyn ExecutionPlan>>,
        known: Vec<Arc<DataFile>>,
        live: &[Arc<Batch>],
        partitions: usize,
    ) -> SnapshotScanExec {
        let wanted = if live.is_empty() { 1 } else { partitions.clamp(1, live.len()) };
        let mut spread = vec![Vec::new(); wanted.max(file_partitions(files.as_ref()))];
        let width = spread.len();
        for (i, batch) in live.iter().enumerate() {
            spread[i % width].push(Arc::clone(batch));
        }
        SnapshotScanExec::assemble(table, schema, files, known.into(), spread)
    }

    fn assemble(
        table: Table,
        schema: SchemaRef,
        files: Option<Arc<dyn ExecutionPlan>>,
        known: Arc<[Arc<DataFile>]>,
        live: Vec<Vec<Arc<Batch>>>,
    ) -> SnapshotScanExec {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(live.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        SnapshotScanExec { table, schema, files, known, live, properties }
    }

    fn with_files(&self, files: Arc<dyn ExecutionPlan>) -> SnapshotScanExec {
        let mut live = self.live.clone();
        live.resize(live.len().max(file_partitions(Some(&files))), Vec::new());
        let (schema, known) = (Arc::clone(&self.schema), Arc::clone(&self.known));
        SnapshotScanExec::assemble(self.table, schema, Some(files), known, live)
    }

    /// The file scan with the bounds of some columns: what is ordered by them reads the best files
    /// first, and files are left out while a query runs that its best rows so far, or the rows it
    /// joins, exclude. Bounds of all columns would cost memory a file.
    fn with_bounds(
        &self,
        files: &Arc<dyn ExecutionPlan>,
        columns: &BTreeSet<String>,
    ) -> Arc<dyn ExecutionPlan> {
        let source = files.downcast_ref::<DataSourceExec>();
        let config = source.and_then(|exec| exec.data_source().downcast_ref::<FileScanConfig>());
        let Some(config) = config else { return Arc::clone(files) };
        let by_name: HashMap<&str, &Arc<DataFile>> =
            self.known.iter().map(|file| (file.name.as_str(), file)).collect();
        let bounded = |entry: PartitionedFile| match by_name.get(entry.path().as_ref()) {
            Some(file) => {
                let schema = config.file_schema();
                let known = prune::statistics(self.table, file, schema, columns);
                entry.with_statistics(Arc::new(known))
            }
            None => entry,
        };
        let mut config = config.clone();
        config.file_groups = std::mem::take(&mut config.file_groups)
            .into_iter()
            .map(|group| FileGroup::new(group.into_inner().into_iter().map(bounded).collect()))
            .collect();
        DataSourceExec::from_data_source(config)
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
            let columns = named(result.parent_filters.iter().map(|parent| &parent.filter));
            let files = self.with_bounds(files, &columns);
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
        let columns = named(order.iter().map(|by| &by.expr));
        Ok(match self.with_bounds(files, &columns).try_pushdown_sort(order)? {
            // Live rows come in arrival order, so the whole is never exactly sorted.
            Exact { inner } | Inexact { inner } => {
                Inexact { inner: Arc::new(self.with_files(inner)) }
            }
            Unsupported => Unsupported,
        })
    }
}

/// The columns that expressions look at.
fn named<'a>(exprs: impl Iterator<Item = &'a Arc<dyn PhysicalExpr>>) -> BTreeSet<String> {
    exprs.flat_map(collect_columns).map(|column| column.name().to_owned()).collect()
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
