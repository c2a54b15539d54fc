//! A query that nobody waits for stops inside its joins too.
//!
//! Aborting a task works where the task yields. A join whose filter lets nothing through works on
//! for minutes without a batch to hand over, and one that hands batches to an aggregate finds each
//! of them ready. So a join's filter looks at a flag, and its batches count against the task's
//! budget.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

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

/// The flag of one query, raised once nobody waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends the joins of the query at their next look.
    pub(super) fn raise(&self) {
        self.0.store(true, Relaxed);
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

/// An expression that fails once the flag is raised.
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
        match self.stop.0.load(Relaxed) {
            true => Err(DataFusionError::Execution("nobody waits for the query".to_owned())),
            false => self.expr.evaluate(batch),
        }
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
