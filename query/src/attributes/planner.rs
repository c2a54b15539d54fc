//! `attributes['k']` in SQL text becomes the function [`super::access::Attr`].

use datafusion::common::{DFSchema, ExprSchema, Result};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{Expr, GetFieldAccess};

use super::Source;
use super::access::access;

/// Must be asked before DataFusion's own planner, which always answers.
#[derive(Debug)]
pub(crate) struct AttributePlanner;

impl ExprPlanner for AttributePlanner {
    fn plan_field_access(
        &self,
        raw: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let GetFieldAccess::NamedStructField { name } = &raw.field_access else {
            return Ok(PlannerResult::Original(raw));
        };
        let Some(Some(key)) = name.try_as_str() else { return Ok(PlannerResult::Original(raw)) };
        let column = match &raw.expr {
            Expr::Column(column) => {
                let text = schema.data_type(column).is_ok_and(|t| t.is_string());
                text.then_some(&column.name)
            }
            Expr::OuterReferenceColumn(field, column) => {
                field.data_type().is_string().then_some(&column.name)
            }
            _ => None,
        };
        let Some(source) = column.and_then(|name| Source::of_column(name)) else {
            return Ok(PlannerResult::Original(raw));
        };
        let value_type = source.static_type(key);
        Ok(PlannerResult::Planned(access(source, key, value_type, raw.expr.clone())))
    }
}
