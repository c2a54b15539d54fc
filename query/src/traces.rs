//! The trace kernel as a part of a plan: from spans as stored to what each says of its trace.
//!
//! A scan of `spans` that is asked for a derived column (`critical_ns`, `peer`, `root_name` …) reads
//! the columns of [`input`] beside those asked for, and [`exec::TraceExec`] on top runs the kernel of
//! `analysis` once a trace: as the rows come where a trace lies in one place, and at the end where it
//! is scattered ([`split`]). A trace must be seen
//! whole: conditions on the trace id go down to the files, conditions on times go down widened
//! ([`range`]), all others stay above.

mod conditions;
mod driver;
mod exec;
mod findings;
mod group;
mod input;
mod output;
mod range;
mod sample;
mod split;
mod window;
mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;

use analysis::Options;
use arrow_schema::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use schemas::Table;
use schemas::columns as c;
use schemas::derived::{
    ERROR_FACTS, PATH_FACTS, PATTERN_FACTS, SpanFact, TRACE_FACTS, TraceFact, span_fact,
};

use crate::table::{ScanContext, SnapshotTable};
use conditions::Condition;
pub(crate) use conditions::is_applied;
pub(crate) use exec::TraceExec;
pub(crate) use findings::Finding;
pub(crate) use range::{EARLY_NS_MAX, TRACE_NS_MAX, TraceRange, now_ns, root_start};
use sample::SampleFilter;
pub(crate) use split::mixed;
use window::Lesson;

/// What a plan node gives for each trace.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A row a span that meets the conditions.
    Spans { columns: Vec<Column>, conditions: Vec<Condition> },
    /// A row a trace.
    Traces(Vec<TraceFact>),
    /// A row a finding.
    Found(Finding),
}

/// A column of [`Shape::Spans`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// The input's column of that index.
    Given(usize),
    /// What the kernel says.
    Fact(SpanFact),
}

/// Whether a field of the table `spans` is one that the kernel fills.
pub(crate) fn is_fact(field: &Field) -> bool {
    span_fact(field.name()).is_some()
}

/// The scan of `spans` where the projection or a filter names derived columns; `None` where none does.
/// Filters for which [`is_applied`] holds are met by all its rows.
pub(crate) async fn scan_spans(
    table: &SnapshotTable,
    state: &dyn Session,
    projection: Option<&Vec<usize>>,
    filters: &[Expr],
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let schema = table.schema();
    let projected = match projection {
        Some(indices) => Arc::new(schema.project(indices)?),
        None => Arc::clone(&schema),
    };
    let applied: Vec<(&Expr, Vec<Arc<Field>>)> = filters
        .iter()
        .filter(|filter| is_applied(filter))
        .map(|filter| (filter, conditions::fields_of(filter, &schema)))
        .collect();
    if applied.is_empty() && !projected.fields().iter().any(|f| is_fact(f)) {
        return Ok(None);
    }
    let looked_at = applied.iter().flat_map(|(_, fields)| fields);
    let given: Vec<&Arc<Field>> =
        projected.fields().iter().chain(looked_at).filter(|f| !is_fact(f)).collect();
    let base = Input::new(table, &given);
    let column = |field: &Arc<Field>| match span_fact(field.name()) {
        Some(derived) => Ok(Column::Fact(derived.fact)),
        None => base.index_of(field.name()).map(Column::Given),
    };
    let columns = projected.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let conditions = applied
        .iter()
        .map(|(filter, fields)| Condition::new(filter, fields, column, state))
        .collect::<Result<Vec<_>>>()?;
    let shape = Shape::Spans { columns, conditions };
    base.plan(state, filters, shape, projected, Options::default()).await.map(Some)
}

/// What the kernel reads: a scan of `spans` with the columns of [`input`] and some others.
struct Input {
    table: SnapshotTable,
    projection: Vec<usize>,
    schema: SchemaRef,
}

impl Input {
    fn new(table: &SnapshotTable, given: &[&Arc<Field>]) -> Input {
        let table = table.reading(&input::fields());
        let whole = table.schema();
        let names: BTreeSet<&str> = input::fields()
            .iter()
            .filter_map(|f| whole.index_of(f.name()).ok())
            .map(|i| whole.field(i).name().as_str())
            .chain(given.iter().map(|f| f.name().as_str()))
            .collect();
        let projection: Vec<usize> = (0..whole.fields().len())
            .filter(|&i| names.contains(whole.field(i).name().as_str()))
            .collect();
        let fields: Vec<Arc<Field>> =
            projection.iter().map(|&i| Arc::clone(&whole.fields()[i])).collect();
        Input { projection, schema: Arc::new(Schema::new(fields)), table }
    }

    fn index_of(&self, name: &str) -> Result<usize> {
        Ok(self.schema.index_of(name)?)
    }

    /// A scan in as many partitions as there are threads.
    async fn scan(
        table: &SnapshotTable,
        state: &dyn Session,
        projection: &Vec<usize>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = table.scan(state, Some(projection), filters, None).await?;
        let options = state.config_options();
        let spread = scan.repartitioned(options.execution.target_partitions, options)?;
        Ok(spread.unwrap_or(scan))
    }

    /// Other traces to learn from: those of the statement, unless it asks for single ones.
    async fn lesson(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        pushed: &[Expr],
    ) -> Result<Option<Lesson>> {
        if filters.iter().any(range::is_of_trace) {
            return Ok(None);
        }
        let schema = self.table.schema();
        let columns = input::fields()
            .iter()
            .map(|f| Ok(schema.index_of(f.name())?))
            .collect::<Result<Vec<_>>>()?;
        let sample = SampleFilter::new(&schema)?;
        let table = self.table.again().narrowed(sample.predicate());
        let input = Input::scan(&table, state, &columns, pushed).await?;
        Ok(Some(Lesson { input, sample }))
    }

    async fn plan(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        shape: Shape,
        schema: SchemaRef,
        options: Options,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let range = TraceRange::of(filters);
        let pushed = range.pushed(filters);
        let trace_id = vec![self.table.schema().index_of(c::TRACE_ID)?];
        let scan = Input::scan(&self.table, state, &self.projection, &pushed).await?;
        let ids = Input::scan(&self.table.again(), state, &trace_id, &pushed).await?;
        let lesson = self.lesson(state, filters, &pushed).await?;
        let now_ns = now_ns(state);
        Ok(Arc::new(TraceExec::new([scan, ids], lesson, shape, schema, options, range, now_ns)?))
    }
}

/// A table of which the kernel makes the rows.
#[derive(Debug)]
pub(crate) struct TracesTable {
    spans: SnapshotTable,
    shape: Shape,
    schema: SchemaRef,
    options: Options,
}

impl TracesTable {
    /// A table without arguments, by name.
    pub(crate) fn named(name: &str, context: &Arc<ScanContext>) -> Option<TracesTable> {
        let (shape, fields) = match name {
            "traces" => {
                let facts = TRACE_FACTS.iter().map(|d| d.fact).collect();
                (Shape::Traces(facts), TRACE_FACTS.iter().map(|d| d.field()).collect())
            }
            "error_origins" => {
                (Shape::Found(Finding::Errors), ERROR_FACTS.iter().map(|d| d.field()).collect())
            }
            "call_patterns" => {
                (Shape::Found(Finding::Patterns), PATTERN_FACTS.iter().map(|d| d.field()).collect())
            }
            _ => return None,
        };
        Some(TracesTable::new(context, shape, fields, Options::default()))
    }

    /// The pieces of critical paths, with siblings that overlap by less than a share of their parent
    /// taken as one after the other.
    pub(crate) fn paths(
        context: &Arc<ScanContext>,
        tolerance_share: f64,
        end_to_end: bool,
    ) -> TracesTable {
        let fields = PATH_FACTS.iter().map(|d| d.field()).collect();
        let options = Options { tolerance_share, ..Options::default() };
        TracesTable::new(context, Shape::Found(Finding::Paths { end_to_end }), fields, options)
    }

    fn new(
        context: &Arc<ScanContext>,
        shape: Shape,
        fields: Vec<Field>,
        options: Options,
    ) -> TracesTable {
        let spans = SnapshotTable::new(Table::Spans, Arc::clone(context), &BTreeSet::new());
        TracesTable { spans, shape, schema: Arc::new(Schema::new(fields)), options }
    }
}

/// Tables of which the kernel makes the rows.
pub(crate) const TRACE_TABLES: [&str; 3] = ["traces", "error_origins", "call_patterns"];

#[async_trait]
impl TableProvider for TracesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    /// Inexact: the range only limits what is read; the filter stays above.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projected = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        let narrowed = match (&self.shape, projection) {
            (Shape::Traces(facts), Some(indices)) => {
                Some(Shape::Traces(indices.iter().map(|&i| facts[i]).collect()))
            }
            (_, None) => Some(self.shape.clone()),
            (_, Some(_)) => None,
        };
        let base = Input::new(&self.spans, &[]);
        // A trace starts with its root: a condition on `start_time` is one on the root here.
        let filters: Vec<Expr> =
            filters.iter().map(|f| range::renamed(f, c::START_TIME, root_start())).collect();
        if let Some(shape) = narrowed {
            return base.plan(state, &filters, shape, projected, self.options).await;
        }
        let (shape, schema) = (self.shape.clone(), Arc::clone(&self.schema));
        let whole = base.plan(state, &filters, shape, schema, self.options).await?;
        project(whole, &projected)
    }
}

/// Some columns of a plan, by name.
pub(crate) fn project(
    plan: Arc<dyn ExecutionPlan>,
    schema: &SchemaRef,
) -> Result<Arc<dyn ExecutionPlan>> {
    let column = |field: &Arc<Field>| {
        let index = plan.schema().index_of(field.name())?;
        let column = datafusion::physical_expr::expressions::Column::new(field.name(), index);
        Ok((Arc::new(column) as Arc<dyn PhysicalExpr>, field.name().clone()))
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
}
