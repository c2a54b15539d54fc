//! The one place where a DataFusion context is built, and the life of a query.
//!
//! A statement is guarded and planned on a thread of its own with a large stack (planning recurses
//! and cannot be cancelled), against *one* snapshot, so that all its tables agree. It runs on the
//! engine's runtime, so that ingest is not starved, and hands its batches over one ahead at most.
//! Dropping the answer stops the work.

mod catalog;
mod damage;
mod memory;
mod running;
mod stop;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::sql::SqlRequest;
use datafusion::common::{DataFusionError, ParamValues, ScalarValue};
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::context::{SQLOptions, SessionState};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::Analyzer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, visit_expressions};
use object_store::local::LocalFileSystem;
use storage::Store;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::attributes::planner::AttributePlanner;
use crate::attributes::rewrite::{HexIds, VirtualColumns};
use crate::functions;
use crate::guard::guard;
use crate::limits::GuardLimits;
use crate::table::{ScanContext, ScanTotals};
use crate::{QueryError, system, views};

pub(crate) use catalog::JailedStore;
pub(crate) use catalog::SnapshotCatalog;
use memory::QueryPool;
use running::Registry;
pub use running::Running;
use stop::Stop;

/// Limits of the engine. Every one is listed in `system.limits`.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Memory of all queries together.
    pub memory_bytes: usize,
    /// Memory of one query.
    pub query_memory_bytes: usize,
    /// Time of one query, planning included.
    pub timeout: Duration,
    /// Rows of one answer; a request may ask for fewer.
    pub rows_max: u64,
    /// Queries that run at the same time.
    pub concurrent: usize,
    /// Queries that wait for a place; one more is refused.
    pub waiting_max: usize,
    /// How long a query waits for a place.
    pub wait: Duration,
    /// Where sorts and aggregates spill to. Emptied at start.
    pub spill_dir: PathBuf,
    /// Spilled bytes of all queries together.
    pub spill_bytes: u64,
    /// Parquet footers kept in memory.
    pub metadata_cache_bytes: usize,
    /// What the guard lets through to the planner.
    pub guard: GuardLimits,
    /// Threads, and partitions of a scan.
    pub threads: usize,
    /// Evaluate predicates inside the Parquet decoder.
    pub pushdown: bool,
}

impl EngineConfig {
    /// The defaults, spilling to a directory.
    pub fn new(spill_dir: PathBuf) -> EngineConfig {
        EngineConfig {
            memory_bytes: 768 << 20,
            query_memory_bytes: 512 << 20,
            timeout: Duration::from_secs(30),
            rows_max: 100_000,
            concurrent: 8,
            waiting_max: 64,
            wait: Duration::from_secs(5),
            spill_dir,
            spill_bytes: 4 << 30,
            metadata_cache_bytes: 128 << 20,
            guard: GuardLimits::default(),
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            pushdown: true,
        }
    }
}

/// Planning recurses over expressions; the guard bounds the depth to what fits here.
const PLANNING_STACK_BYTES: usize = 32 << 20;
/// How many statements are planned at the same time.
const PLANNING_MAX: usize = 2;

/// One engine a process. Every answer is built on one snapshot.
#[derive(Debug)]
pub struct Engine {
    store: Arc<Store>,
    config: EngineConfig,
    /// Taken at drop, since a runtime must not be dropped inside another one.
    runtime: Option<Runtime>,
    template: SessionState,
    runtime_env: Arc<RuntimeEnv>,
    pool: Arc<dyn MemoryPool>,
    places: Arc<Semaphore>,
    planning: Arc<Semaphore>,
    registry: Arc<Registry>,
}

impl Engine {
    /// # Errors
    /// When the spill directory cannot be made or the runtime not be started.
    pub fn new(store: Arc<Store>, config: EngineConfig) -> Result<Arc<Engine>, QueryError> {
        let internal =
            |e: std::io::Error| QueryError::internal(format!("starting the query engine: {e}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(config.threads)
            .thread_name("query")
            .enable_all()
            .build()
            .map_err(internal)?;
        let pool: Arc<dyn MemoryPool> = Arc::new(TrackConsumersPool::new(
            FairSpillPool::new(config.memory_bytes),
            std::num::NonZeroUsize::MIN,
        ));
        let runtime_env =
            runtime_env(&store, &config).map_err(|e| QueryError::from_datafusion(e, ""))?;
        Ok(Arc::new(Engine {
            template: template(&config),
            runtime: Some(runtime),
            runtime_env,
            pool,
            places: Arc::new(Semaphore::new(config.concurrent)),
            planning: Arc::new(Semaphore::new(PLANNING_MAX)),
            registry: Arc::new(Registry::default()),
            store,
            config,
        }))
    }

    /// Guards, plans and starts a statement. Dropping the answer cancels the work.
    ///
    /// # Errors
    /// Everything that is known before the first row: syntax, unknown names, limits, overload.
    pub async fn sql(self: &Arc<Self>, request: SqlRequest) -> Result<Running, QueryError> {
        let started = Instant::now();
        let timeout = self.timeout(&request)?;
        let deadline = started + timeout;
        let place = self.place().await?;
        let (entry, cancelled) = self.registry.enter(&request.sql);
        let limit = request.limit.unwrap_or(u64::MAX).min(self.config.rows_max);
        let planned = tokio::time::timeout_at(deadline.into(), self.plan(request, limit));
        let planned = tokio::select! {
            planned = planned => planned.map_err(|_| running::timed_out(timeout))??,
            () = cancelled.cancelled() => return Err(running::cancelled()),
        };
        let runtime = self.runtime.as_ref().ok_or_else(running::cancelled)?;
        Ok(Running::start(
            runtime.handle(),
            planned,
            running::Terms { limit, started, timeout, place, entry, cancelled },
        ))
    }

    /// Queries that run now: id, statement, seconds.
    pub fn running(&self) -> Vec<(String, String, f64)> {
        self.registry.list()
    }

    /// Cancels a query by its id; false when there is none.
    pub fn cancel(&self, id: &str) -> bool {
        self.registry.cancel(id)
    }

    /// The store that is asked.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The limits in force.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    fn timeout(&self, request: &SqlRequest) -> Result<Duration, QueryError> {
        let Some(seconds) = request.timeout_s else { return Ok(self.config.timeout) };
        let asked = Duration::try_from_secs_f64(seconds).map_err(|_| {
            QueryError::invalid(format!(
                "timeout_s is {seconds}; a positive number of seconds is needed"
            ))
        })?;
        Ok(asked.min(self.config.timeout))
    }

    /// A place among the running queries.
    async fn place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, QueryError> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        if self.registry.len() >= self.config.concurrent + self.config.waiting_max {
            return Err(self.overloaded());
        }
        let waiting = self.registry.wait();
        let place =
            tokio::time::timeout(self.config.wait, Arc::clone(&self.places).acquire_owned()).await;
        drop(waiting);
        match place {
            Ok(Ok(place)) => Ok(place),
            _ => Err(self.overloaded()),
        }
    }

    fn overloaded(&self) -> QueryError {
        let message =
            format!("{} queries run and {} wait", self.config.concurrent, self.registry.waiting());
        QueryError::overloaded(message, Duration::from_secs(1)).with_hint("try again in a second")
    }

    async fn plan(
        self: &Arc<Self>,
        request: SqlRequest,
        limit: u64,
    ) -> Result<Planned, QueryError> {
        let permit =
            Arc::clone(&self.planning).acquire_owned().await.map_err(|_| running::cancelled())?;
        let (answer, planned) = tokio::sync::oneshot::channel();
        let engine = Arc::clone(self);
        let work = move || {
            let planned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                futures::executor::block_on(engine.plan_here(&request, limit))
            }));
            let planned =
                planned.unwrap_or_else(|_| Err(QueryError::internal("the planner panicked")));
            // The asker may have given up; then nobody wants the plan.
            drop(answer.send(planned));
            drop(permit);
        };
        std::thread::Builder::new()
            .name("planner".into())
            .stack_size(PLANNING_STACK_BYTES)
            .spawn(work)
            .map_err(|e| QueryError::internal(format!("starting a planning thread: {e}")))?;
        planned.await.map_err(|_| QueryError::internal("the planner ended without an answer"))?
    }

    async fn plan_here(
        self: &Arc<Self>,
        request: &SqlRequest,
        limit: u64,
    ) -> Result<Planned, QueryError> {
        let runtime = self.runtime.as_ref().ok_or_else(running::cancelled)?;
        let _inside = runtime.enter();
        let statement = guard(&request.sql, &self.config.guard)?;
        let totals = Arc::new(ScanTotals::default());
        let snapshot = self.store.snapshot();
        let context = Arc::new(ScanContext {
            snapshot: Arc::clone(&snapshot),
            store_url: store_url()?,
            reader: self.reader()?,
            totals: Arc::clone(&totals),
            pushdown: self.config.pushdown,
        });
        let catalog =
            SnapshotCatalog::new(context, identifiers(&statement), system::Info::new(self));
        let state = self.state(catalog)?;
        let fail = |e: DataFusionError| QueryError::from_datafusion(e, &request.sql);
        let plan = state.statement_to_plan(statement).await.map_err(fail)?;
        let plan = with_params(plan, request.params.as_ref())?;
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        read_only.verify_plan(&plan).map_err(fail)?;
        let plan = with_limit(plan, limit).map_err(fail)?;
        let physical = state.create_physical_plan(&plan).await.map_err(fail)?;
        let stop = Stop::default();
        let plan = stop.within(physical).map_err(fail)?;
        let store = Arc::clone(&self.store);
        Ok(Planned { plan, stop, state, totals, snapshot, store, sql: request.sql.clone() })
    }

    fn reader(&self) -> Result<Arc<CachedParquetFileReaderFactory>, QueryError> {
        let store = self
            .runtime_env
            .object_store(store_url()?)
            .map_err(|e| QueryError::from_datafusion(e, ""))?;
        let cache = self.runtime_env.cache_manager.get_file_metadata_cache();
        Ok(Arc::new(CachedParquetFileReaderFactory::new(store, cache)))
    }

    /// A session of its own for one statement: its tables, its share of the memory.
    fn state(&self, catalog: SnapshotCatalog) -> Result<SessionState, QueryError> {
        let pool = QueryPool::new(Arc::clone(&self.pool), self.config.query_memory_bytes);
        let env = RuntimeEnvBuilder::from_runtime_env(&self.runtime_env)
            .with_memory_pool(Arc::new(pool))
            .build_arc()
            .map_err(|e| QueryError::from_datafusion(e, ""))?;
        let mut functions = self.template.table_functions().clone();
        functions.extend(views::functions(&catalog, &self.config.guard));
        let mut state = SessionStateBuilder::new_from_existing(self.template.clone())
            .with_runtime_env(env)
            .with_table_functions(functions)
            .with_catalog_list(Arc::new(catalog))
            .build();
        // `now()` is the start of the statement.
        state.mark_start_execution();
        Ok(state)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A statement that is ready to run.
#[derive(Debug)]
pub(crate) struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    stop: Stop,
    state: SessionState,
    totals: Arc<ScanTotals>,
    snapshot: Arc<storage::Snapshot>,
    store: Arc<Store>,
    sql: String,
}

fn store_url() -> Result<ObjectStoreUrl, QueryError> {
    ObjectStoreUrl::parse("otlake://data").map_err(|e| QueryError::from_datafusion(e, ""))
}

fn runtime_env(store: &Store, config: &EngineConfig) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    std::fs::create_dir_all(&config.spill_dir)?;
    let files = LocalFileSystem::new_with_prefix(store.dir())?;
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![config.spill_dir.clone()]))
        .with_max_temp_directory_size(config.spill_bytes);
    RuntimeEnvBuilder::new()
        .with_object_store_registry(Arc::new(JailedStore::new(Arc::new(files))))
        .with_disk_manager_builder(disk)
        .with_metadata_cache_limit(config.metadata_cache_bytes)
        .build_arc()
}

/// What every session starts from: our planner before DataFusion's, our rules around its analyzer,
/// our functions instead of those that could read files or swallow the process.
pub(crate) fn template(config: &EngineConfig) -> SessionState {
    let mut session = SessionConfig::new()
        .with_target_partitions(config.threads)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(catalog::CATALOG, catalog::MAIN);
    let options = session.options_mut();
    options.execution.enable_recursive_ctes = false;
    options.execution.parquet.pushdown_filters = false;
    options.execution.parquet.max_in_list_size = 200;
    options.sql_parser.collect_spans = true;
    options.explain.show_statistics = false;
    let mut rules: Vec<Arc<dyn datafusion::optimizer::AnalyzerRule + Send + Sync>> =
        vec![Arc::new(HexIds { hex: functions::hex() })];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(VirtualColumns));
    let mut builder = SessionStateBuilder::new()
        .with_config(session)
        .with_expr_planners(vec![Arc::new(AttributePlanner)])
        .with_default_features()
        .with_analyzer_rules(rules);
    if let Some(factories) = builder.table_factories() {
        factories.clear();
    }
    if let Some(formats) = builder.file_formats() {
        formats.clear();
    }
    functions::install(&mut builder);
    builder.build()
}

/// Every identifier the statement uses as an expression: they decide which semantic columns exist.
pub(crate) fn identifiers(statement: &Statement) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut statement = statement;
    while let Statement::Explain(explain) = statement {
        statement = &explain.statement;
    }
    if let Statement::Statement(sql) = statement {
        let _: ControlFlow<()> = visit_expressions(sql.as_ref(), |expr| {
            let last = match expr {
                SqlExpr::Identifier(ident) => Some(ident),
                SqlExpr::CompoundIdentifier(parts) => parts.last(),
                _ => None,
            };
            if let Some(ident) = last {
                let folded = ident.quote_style.is_none().then(|| ident.value.to_ascii_lowercase());
                names.insert(folded.unwrap_or_else(|| ident.value.clone()));
            }
            ControlFlow::Continue(())
        });
    }
    names
}

fn with_params(
    plan: LogicalPlan,
    params: Option<&serde_json::Value>,
) -> Result<LogicalPlan, QueryError> {
    let values = match params {
        None | Some(serde_json::Value::Null) => return Ok(plan),
        Some(serde_json::Value::Array(values)) => {
            let values = values.iter().map(param).collect::<Result<Vec<_>, _>>()?;
            ParamValues::from(values)
        }
        Some(serde_json::Value::Object(values)) => {
            let named = values.iter().map(|(name, value)| Ok((name.as_str(), param(value)?)));
            ParamValues::from(named.collect::<Result<Vec<_>, QueryError>>()?)
        }
        Some(other) => {
            return Err(QueryError::invalid(format!(
                "params is {other}; an array for $1, $2 … or an object for $name is needed"
            )));
        }
    };
    plan.with_param_values(values).map_err(|e| QueryError::from_datafusion(e, ""))
}

fn param(value: &serde_json::Value) -> Result<ScalarValue, QueryError> {
    use serde_json::Value;
    Ok(match value {
        Value::Null => ScalarValue::Null,
        Value::Bool(b) => ScalarValue::Boolean(Some(*b)),
        Value::String(text) => ScalarValue::Utf8(Some(text.clone())),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => ScalarValue::Int64(Some(int)),
            (None, Some(double)) => ScalarValue::Float64(Some(double)),
            (None, None) => {
                return Err(QueryError::invalid(format!("the parameter {number} is no number")));
            }
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(QueryError::invalid(format!(
                "the parameter {value} is not a text, number, boolean or null"
            )));
        }
    })
}

/// One row more than the limit is asked for, so that a cut is known.
fn with_limit(plan: LogicalPlan, limit: u64) -> Result<LogicalPlan, DataFusionError> {
    if matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    ) {
        return Ok(plan);
    }
    let fetch = usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX);
    LogicalPlanBuilder::from(plan).limit(0, Some(fetch))?.build()
}
