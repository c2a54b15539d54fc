//! A table as DataFusion sees it: the columns of `schemas`, answered from one snapshot.
//!
//! The provider's schema is what a user sees: stored columns, `attributes` whole in the place of
//! the residual, and the semantic or computed columns that the statement names. The file scan's
//! schema appends the hidden physical columns (residual, promoted), so that the reader decodes them
//! in the engine's types when the adapter refers to them.

mod prune;
mod scan;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, conjunction_opt};
use datafusion::physical_plan::ExecutionPlan;
use parking_lot::Mutex;
use schemas::Table;
use schemas::attributes::{Owner, promoted_keys};
use schemas::columns as c;
use schemas::derived::span_fact;
use schemas::semantic::semantic;
use storage::{DataFile, Snapshot};

use crate::attributes::VirtualColumn;
use crate::attributes::adapter::AttributeAdapterFactory;
use crate::traces;
pub(crate) use scan::SnapshotScanExec;

/// Columns computed from stored ones, present as soon as a statement names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Computed {
    /// `spans.end_time`: start plus duration.
    EndTime,
    /// `metric_points.value`: the double or the integer as a double.
    Value,
}

impl Computed {
    /// Every computed column with its table and name.
    pub(crate) const ALL: [(Table, &'static str, Computed); 2] = [
        (Table::Spans, "end_time", Computed::EndTime),
        (Table::MetricPoints, c::VALUE, Computed::Value),
    ];

    pub(crate) fn of(table: Table, name: &str) -> Option<Computed> {
        Computed::ALL.iter().find(|(t, n, _)| (*t, *n) == (table, name)).map(|(.., c)| *c)
    }

    fn data_type(self) -> DataType {
        match self {
            Computed::EndTime => schemas::Kind::Time.data_type(),
            Computed::Value => DataType::Float64,
        }
    }
}

/// What scans of a query looked at, for the statistics of the answer.
#[derive(Debug, Default)]
pub(crate) struct ScanTotals {
    files: Mutex<Vec<Arc<DataFile>>>,
    pub(crate) files_skipped: AtomicU64,
    pub(crate) live_rows: AtomicU64,
}

impl ScanTotals {
    /// The files that the query's scans read.
    pub(crate) fn files(&self) -> Vec<Arc<DataFile>> {
        self.files.lock().clone()
    }
}

/// What all scans of one query share.
#[derive(Debug)]
pub(crate) struct ScanContext {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) store_url: ObjectStoreUrl,
    pub(crate) reader: Arc<dyn ParquetFileReaderFactory>,
    pub(crate) totals: Arc<ScanTotals>,
    /// Evaluate predicates while decoding. The differential test runs with and without.
    pub(crate) pushdown: bool,
}

/// One table over one snapshot.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotTable {
    table: Table,
    context: Arc<ScanContext>,
    schema: SchemaRef,
    /// Two scans with the same filters give the same rows in the same order, partition by partition.
    repeatable: bool,
    /// Whether the statistics of the answer count its scans; another look at the same rows does not.
    counted: bool,
    /// What the files may test besides the filters of a scan; may become narrower until it runs.
    narrowed: Option<Arc<dyn PhysicalExpr>>,
}

impl SnapshotTable {
    /// `named` are the identifiers of the statement: they decide which semantic columns exist.
    pub(crate) fn new(table: Table, context: Arc<ScanContext>, named: &BTreeSet<String>) -> Self {
        let mut fields: Vec<Field> = visible_fields(table);
        fields.extend(named.iter().filter_map(|name| named_field(table, name)));
        SnapshotTable {
            table,
            context,
            schema: Arc::new(Schema::new(fields)),
            repeatable: false,
            counted: true,
            narrowed: None,
        }
    }

    /// The same table with virtual columns behind its own.
    pub(crate) fn with_virtual(&self, wanted: &BTreeSet<VirtualColumn>) -> SnapshotTable {
        let mut fields: Vec<Field> =
            self.schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        for column in wanted {
            let name = column.name();
            if self.schema.index_of(column.source.column()).is_ok()
                && self.schema.index_of(&name).is_err()
            {
                fields.push(Field::new(name, column.value_type.data_type(), true));
            }
        }
        SnapshotTable { schema: Arc::new(Schema::new(fields)), ..self.clone() }
    }

    /// The same table without derived columns, and with the given ones behind its own. Its scans can
    /// be repeated: no partition takes files from another.
    pub(crate) fn reading(&self, wanted: &[Field]) -> SnapshotTable {
        let own = self.schema.fields().iter().filter(|f| !traces::is_fact(f));
        let mut fields: Vec<Field> = own.map(|f| f.as_ref().clone()).collect();
        for field in wanted {
            if !fields.iter().any(|f| f.name() == field.name()) {
                fields.push(field.clone());
            }
        }
        let schema = Arc::new(Schema::new(fields));
        SnapshotTable { schema, repeatable: true, ..self.clone() }
    }

    /// The same table for another look at rows that a scan has counted.
    pub(crate) fn again(&self) -> SnapshotTable {
        SnapshotTable { counted: false, ..self.clone() }
    }

    /// The same table of which files may leave out rows that do not meet a predicate on its columns.
    /// Live rows are all there.
    pub(crate) fn narrowed(&self, predicate: Arc<dyn PhysicalExpr>) -> SnapshotTable {
        SnapshotTable { narrowed: Some(predicate), ..self.clone() }
    }

    /// The schema of the file scan: visible columns, then hidden physical ones.
    fn file_schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> =
            self.schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.extend(hidden_fields(self.table));
        Arc::new(Schema::new(fields))
    }

    fn file_scan(
        &self,
        state: &dyn Session,
        files: &[Arc<DataFile>],
        projection: Option<&Vec<usize>>,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let pushdown = self.context.pushdown && self.saves_reading(projection, predicate.as_ref());
        let mut source = ParquetSource::new(self.file_schema())
            .with_parquet_file_reader_factory(Arc::clone(&self.context.reader))
            .with_pushdown_filters(pushdown)
            .with_reorder_filters(pushdown)
            .with_enable_page_index(true)
            .with_bloom_filter_on_read(true);
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let visible = (0..self.schema.fields().len()).collect();
        let groups = file_groups(files, state.config().target_partitions())?;
        let config = FileScanConfigBuilder::new(self.context.store_url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(Some(projection.cloned().unwrap_or(visible)))?
            .with_limit(limit)
            .with_preserve_order(self.repeatable)
            .with_expr_adapter(Some(Arc::new(AttributeAdapterFactory { table: self.table })))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Whether rows that a predicate leaves out spare the decoding of other columns. Where it looks at
    /// all that is read, the filter above the scan does the same work in two thirds of the time.
    fn saves_reading(
        &self,
        projection: Option<&Vec<usize>>,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
    ) -> bool {
        let Some(predicate) = predicate else { return false };
        if self.repeatable {
            // Two looks at the same rows may read different columns.
            return true;
        }
        let tested = collect_columns(predicate);
        let is_tested = |name: &str| tested.iter().any(|column| column.name() == name);
        match projection {
            None => true,
            Some(read) => !read.iter().all(|at| is_tested(self.schema.field(*at).name())),
        }
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Inexact: the filter above the scan tests survivors again, whatever the files could do. Those on
    /// derived columns are applied where these are made.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let is_applied = |filter: &Expr| self.table == Table::Spans && traces::is_applied(filter);
        let support = |filter: &&Expr| match is_applied(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.table == Table::Spans
            && let Some(plan) = traces::scan_spans(self, state, projection, filters).await?
        {
            return Ok(plan);
        }
        let df_schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let predicate = conjunction(filters.to_vec())
            .map(|filter| state.create_physical_expr(filter, &df_schema))
            .transpose()?;
        let all = self.context.snapshot.files(self.table);
        let files = prune::prune(self.table, all, predicate.as_ref(), &self.schema).await?;
        let predicate = conjunction_opt([predicate, self.narrowed.clone()].into_iter().flatten());
        let totals = &self.context.totals;
        if self.counted {
            totals.files.lock().extend(files.iter().map(Arc::clone));
            totals.files_skipped.fetch_add((all.len() - files.len()) as u64, Relaxed);
        }
        let inner = match files.is_empty() {
            true => None,
            false => Some(self.file_scan(state, &files, projection, predicate, limit)?),
        };
        let live = self.context.snapshot.live(self.table);
        if self.counted {
            let rows = live.iter().map(|b| b.rows.num_rows() as u64).sum();
            totals.live_rows.fetch_add(rows, Relaxed);
        }
        let projected = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        let partitions = state.config().target_partitions();
        Ok(Arc::new(SnapshotScanExec::new(self.table, projected, inner, files, live, partitions)))
    }
}

fn visible_fields(table: Table) -> Vec<Field> {
    let visible = |column: &schemas::Column| {
        let mut field = column.field();
        if column.name == c::ATTRIBUTES_REST {
            field.set_name(c::ATTRIBUTES.to_owned());
        }
        field
    };
    table.columns().iter().map(visible).collect()
}

fn hidden_fields(table: Table) -> Vec<Field> {
    if !table.has_attributes() {
        return Vec::new();
    }
    let rest = Field::new(c::ATTRIBUTES_REST, DataType::Utf8View, true);
    let promoted = [Owner::Record, Owner::Resource].into_iter().flat_map(promoted_keys);
    std::iter::once(rest).chain(promoted.map(|p| p.field())).collect()
}

/// The field of a semantic or computed column, where the table offers it.
pub(crate) fn named_field(table: Table, name: &str) -> Option<Field> {
    if let Some(computed) = Computed::of(table, name) {
        return Some(Field::new(name, computed.data_type(), true));
    }
    if let Some(fact) = span_fact(name).filter(|_| table == Table::Spans) {
        return Some(fact.field());
    }
    let semantic = semantic(name).filter(|s| s.applies_to(table))?;
    Some(Field::new(name, semantic.value_type.data_type(), true))
}

/// Spreads files over partitions by size, largest first, each to the lightest partition, and there
/// newest first: most questions for a few rows are for the newest.
fn file_groups(files: &[Arc<DataFile>], partitions: usize) -> Result<Vec<FileGroup>> {
    let mut order: Vec<&Arc<DataFile>> = files.iter().collect();
    order.sort_by_key(|f| std::cmp::Reverse(f.bytes));
    let mut groups: Vec<(u64, Vec<&DataFile>)> =
        vec![(0, Vec::new()); partitions.clamp(1, files.len().max(1))];
    for file in order {
        let Some(lightest) = groups.iter_mut().min_by_key(|g| g.0) else { break };
        lightest.0 += file.bytes;
        lightest.1.push(file);
    }
    let entry = |file: &DataFile| {
        let hint = usize::try_from(file.footer_bytes).unwrap_or(0) + 8;
        PartitionedFile::new(file.name.clone(), file.bytes).with_metadata_size_hint(hint)
    };
    let group = |(_, mut files): (u64, Vec<&DataFile>)| {
        files.sort_by_key(|file| std::cmp::Reverse((file.max_time_ns, file.id)));
        FileGroup::new(files.into_iter().map(entry).collect())
    };
    Ok(groups.into_iter().map(group).collect())
}
