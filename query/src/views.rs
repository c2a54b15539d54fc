//! Views with arguments: `latency_breakdown(from, to, root, by)`, `service_map(…)` and the others.
//!
//! Each is a statement over the tables, written from its arguments, and where SQL does not reach a
//! formula of `analysis` over what the statement gave. [`VIEWS`] is the one list: it registers the
//! functions, checks their arguments, and shows their SQL (`view_sql('name', …)`), so that every
//! number can be asked for by hand.

mod args;
mod bottlenecks;
mod breakdown;
mod causes;
mod compare;
mod diff;
mod edges;
mod errors;
mod exec;
mod map;
mod pairs;
mod path;
mod paths;
mod rows;
mod show;
mod tail;
mod trace;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{
    Session, TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider,
};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use schemas::Kind;

use crate::engine::{SnapshotCatalog, identifiers};
use crate::guard::guard;
use crate::limits::GuardLimits;
use crate::traces::project;
use args::Args;
pub(crate) use args::quoted;
pub(crate) use edges::{SERVICE_EDGES_NAME, service_edges};
use exec::ViewExec;

/// One view with arguments.
pub(crate) struct View {
    /// Name in SQL.
    pub(crate) name: &'static str,
    /// Arguments as an error shows them; those in brackets may be left out.
    pub(crate) usage: &'static str,
    /// Columns of the answer.
    columns: fn() -> Vec<(&'static str, Kind)>,
    /// The statement and what is made of its rows.
    build: fn(&mut Args<'_>) -> Result<Built>,
}

/// A view for given arguments.
pub(crate) struct Built {
    /// The statement behind it.
    pub(crate) sql: String,
    /// What is made of its rows; `None` shows them as they are.
    pub(crate) fold: Option<NewFold>,
}

impl Built {
    /// The rows of a statement as they are.
    fn plain(sql: String) -> Built {
        Built { sql, fold: None }
    }

    /// A formula over the rows of a statement.
    fn folded<F: Fold + 'static>(
        sql: String,
        new: impl Fn() -> F + Send + Sync + 'static,
    ) -> Built {
        Built { sql, fold: Some(Arc::new(move || Box::new(new()))) }
    }
}

/// Makes the state of a formula, anew each time the plan runs.
pub(crate) type NewFold = Arc<dyn Fn() -> Box<dyn Fold> + Send + Sync>;

/// A formula that takes the rows of a statement batch by batch.
pub(crate) trait Fold: Send {
    /// Takes some rows.
    fn add(&mut self, batch: &RecordBatch) -> Result<()>;
    /// The columns of the view, in order.
    fn finish(self: Box<Self>) -> Result<Vec<ArrayRef>>;
    /// Memory held, estimated.
    fn bytes(&self) -> usize;
}

/// Every view with arguments.
pub(crate) const VIEWS: &[View] = &[
    trace::TRACE,
    path::CRITICAL_PATH,
    breakdown::BREAKDOWN,
    tail::TAIL,
    map::MAP,
    errors::ERRORS,
    bottlenecks::BOTTLENECKS,
    compare::COMPARE,
    diff::TRACE_DIFF,
    diff::COHORT_DIFF,
    causes::CAUSES,
    pairs::PAIRS,
];

/// The functions of one statement.
pub(crate) fn functions(
    catalog: &SnapshotCatalog,
    limits: &GuardLimits,
) -> HashMap<String, Arc<TableFunction>> {
    let views = VIEWS.iter().map(|view| {
        let function = ViewFunction { view, catalog: catalog.clone(), limits: *limits };
        (view.name, Arc::new(function) as Arc<dyn TableFunctionImpl>)
    });
    let paths = Arc::new(path::AllPaths(Arc::clone(catalog.context())));
    let others: [(&str, Arc<dyn TableFunctionImpl>); 2] =
        [(show::NAME, Arc::new(show::ShowSql)), (path::ALL_PATHS, paths)];
    let named = |(name, function): (&str, _)| {
        (name.to_owned(), Arc::new(TableFunction::new(name.to_owned(), function)))
    };
    views.chain(others).map(named).collect()
}

/// The view of a name, with the statement for these arguments.
pub(crate) fn build(view: &View, exprs: &[Expr], session: &dyn Session) -> Result<Built> {
    let mut args = Args::of(view.name, view.usage, exprs, session);
    let built = (view.build)(&mut args)?;
    args.end()?;
    Ok(built)
}

struct ViewFunction {
    view: &'static View,
    catalog: SnapshotCatalog,
    limits: GuardLimits,
}

impl fmt::Debug for ViewFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.view.name)
    }
}

impl TableFunctionImpl for ViewFunction {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let built = build(self.view, args.exprs(), args.session())?;
        let fields = (self.view.columns)().into_iter();
        let fields = fields.map(|(name, kind)| Field::new(name, kind.data_type(), true));
        Ok(Arc::new(ViewTable {
            name: self.view.name,
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            built,
            catalog: self.catalog.clone(),
            limits: self.limits,
        }))
    }
}

/// A view with its arguments, as a table.
struct ViewTable {
    name: &'static str,
    schema: SchemaRef,
    built: Built,
    catalog: SnapshotCatalog,
    limits: GuardLimits,
}

impl fmt::Debug for ViewTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.built.sql)
    }
}

impl ViewTable {
    /// The plan of the statement behind the view, in a session whose tables have the columns that
    /// this statement names.
    async fn inner(&self, state: &SessionState) -> Result<Arc<dyn ExecutionPlan>> {
        let sql = &self.built.sql;
        let statement = guard(sql, &self.limits)
            .map_err(|e| datafusion::error::DataFusionError::External(Box::new(e)))?;
        let names: BTreeSet<String> = identifiers(&statement);
        let catalog = self.catalog.naming(names);
        let mut own = state.table_functions().clone();
        own.extend(functions(&catalog, &self.limits));
        let state = SessionStateBuilder::new_from_existing(state.clone())
            .with_table_functions(own)
            .with_catalog_list(Arc::new(catalog))
            .build();
        let plan = state.statement_to_plan(statement).await?;
        state.create_physical_plan(&plan).await
    }
}

#[async_trait]
impl TableProvider for ViewTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let state = state
            .as_any()
            .downcast_ref::<SessionState>()
            .ok_or_else(|| exec_datafusion_err!("{} needs a session of the engine", self.name))?;
        let inner = self.inner(state).await?;
        let view =
            ViewExec::new(self.name, inner, Arc::clone(&self.schema), self.built.fold.clone());
        let whole: Arc<dyn ExecutionPlan> = Arc::new(view);
        match projection {
            Some(indices) => project(whole, &Arc::new(self.schema.project(indices)?)),
            None => Ok(whole),
        }
    }
}
