//! A query that nobody waits for stops inside its joins too, and no join keeps others waiting.
//!
//! Aborting a task works where the task yields, and so does sharing a thread. A join whose filter
//! lets nothing through works on for minutes without a batch to hand over, and one that hands
//! batches to an aggregate finds each of them ready. So a join's filter looks at a flag and lets
//! another thread take over what else waits for this one; a join's batches count against the task's
//! budget.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};

/// How long a join may keep a thread for itself. A try to give it up costs some microseconds, and
/// works only if the other thread comes in time.
const TURN_NS: u64 = 10_000_000;

/// The flag of one query, raised once nobody waits for it.
#[derive(Clone, Debug)]
pub(super) struct Stop(Arc<State>);

#[derive(Debug)]
struct State {
    is_raised: AtomicBool,
    started: Instant,
    /// When a join last tried to give its thread up, since `started`.
    turn_ns: AtomicU64,
}

impl Default for Stop {
    fn default() -> Stop {
        let started = Instant::now();
        Stop(Arc::new(State { is_raised: false.into(), started, turn_ns: 0.into() }))
    }
}

impl Stop {
    /// Ends the joins of the query at their next look.
    pub(super) fn raise(&self) {
        self.0.is_raised.store(true, Relaxed);
    }

    /// Whether a turn is over; begins the next one.
    fn is_turn_over(&self) -> bool {
        let now_ns = u64::try_from(self.0.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let is_over = now_ns.saturating_sub(self.0.turn_ns.load(Relaxed)) >= TURN_NS;
        if is_over {
            self.0.turn_ns.store(now_ns, Relaxed);
        }
        is_over
    }

    /// The same plan with joins that stop.
    pub(super) fn within(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let joins = plan.transform_up(|node| {
            let Some(join) = self.join(&node)? else { return Ok(Transformed::no(node)) };
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as _))
        });
        joins.map(|transformed| transformed.data)
    }

    /// A join with a filter that looks at the flag; `None` for all else.
    fn join(&self, node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            let filter = join.filter().map(|filter| self.filter(filter));
            let join = NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?;
            return Ok(Some(Arc::new(join)));
        }
        if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            let filter = join.filter().map(|filter| self.filter(filter));
            return join.builder().with_filter(filter).build_exec().map(Some);
        }
        let is_join = node.is::<CrossJoinExec>() || node.is::<SortMergeJoinExec>();
        Ok(is_join.then(|| Arc::clone(node)))
    }

    fn filter(&self, filter: &JoinFilter) -> JoinFilter {
        let expr = Arc::clone(filter.expression());
        let expr = Arc::new(Stoppable { expr, stop: self.clone() });
        JoinFilter::new(expr, filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    }
}

/// An expression that fails once the flag is raised, and takes turns.
#[derive(Debug)]
struct Stoppable {
    expr: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl PartialEq for Stoppable {
    fn eq(&self, other: &Stoppable) -> bool {
        self.expr.eq(&other.expr)
    }
}

impl Eq for Stoppable {}

impl Hash for Stoppable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.hash(state);
    }
}

impl fmt::Display for Stoppable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl PhysicalExpr for Stoppable {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.expr.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.expr.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.expr.return_field(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.0.is_raised.load(Relaxed) {
            return Err(DataFusionError::Execution("nobody waits for the query".to_owned()));
        }
        if self.stop.is_turn_over() {
            return tokio::task::block_in_place(|| self.expr.evaluate(batch));
        }
        self.expr.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.expr]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let expr = children.pop().unwrap_or_else(|| Arc::clone(&self.expr));
        Ok(Arc::new(Stoppable { expr, stop: self.stop.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt_sql(f)
    }
}
