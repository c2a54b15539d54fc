//! Conditions that the node applies itself, so that columns are made only of rows that meet them:
//! those on the root once a trace, the others once a row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, exec_datafusion_err};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use schemas::derived::{SpanFact, span_fact};

use super::Column;

/// A condition on the rows of a shape.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// What it looks at, and as which fields.
    pub(super) columns: Vec<Column>,
    schema: SchemaRef,
    pub(super) expr: Arc<dyn PhysicalExpr>,
    /// It holds for all rows of a trace or for none.
    pub(super) is_of_trace: bool,
}

/// Whether the node applies a filter itself. Others are tested above it.
pub(crate) fn is_applied(filter: &Expr) -> bool {
    filter.column_refs().iter().any(|column| span_fact(&column.name).is_some())
        && !filter.is_volatile()
        && !holds_subquery(filter)
}

fn holds_subquery(filter: &Expr) -> bool {
    let is_subquery = |expr: &Expr| {
        matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        )
    };
    filter.exists(|expr| Ok(is_subquery(expr))).unwrap_or(true)
}

impl Condition {
    /// A filter over fields of `spans`, where `column_of` says what each is here.
    ///
    /// # Errors
    /// When the filter names a column that is not there.
    pub(super) fn new(
        filter: &Expr,
        fields: &[Arc<Field>],
        column_of: impl Fn(&Arc<Field>) -> Result<Column>,
        state: &dyn Session,
    ) -> Result<Condition> {
        let columns = fields.iter().map(column_of).collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let expr = state
            .create_physical_expr(filter.clone(), &DFSchema::try_from(Arc::clone(&schema))?)?;
        let is_of_trace = columns.iter().all(|column| match column {
            Column::Fact(fact) => is_of_trace(*fact),
            Column::Given(_) => false,
        });
        Ok(Condition { columns, schema, expr, is_of_trace })
    }

    /// Which of some rows meet it, given the columns of these rows.
    pub(super) fn met(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<BooleanArray> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let met = self.expr.evaluate(&batch)?.into_array(rows)?;
        let met = met.as_boolean_opt();
        met.cloned().ok_or_else(|| exec_datafusion_err!("a condition is neither true nor false"))
    }
}

/// The fields that a filter names.
pub(super) fn fields_of(filter: &Expr, schema: &Schema) -> Vec<Arc<Field>> {
    let names = filter.column_refs();
    let is_named = |field: &&Arc<Field>| names.iter().any(|column| column.name == *field.name());
    schema.fields().iter().filter(is_named).cloned().collect()
}

/// Whether every span of a trace has the same value.
fn is_of_trace(fact: SpanFact) -> bool {
    use SpanFact as F;
    matches!(fact, F::TraceComplete | F::RootService | F::RootName | F::RootStart | F::RootDuration)
}
