//! The two analyzer rules: ids written as hex, and attribute accesses as columns of the scan.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_schema::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue, plan_err};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr::{Cast, InList, Like, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Between, BinaryExpr, Expr, LogicalPlan, Operator, Projection, SubqueryAlias, TableScan,
    TableScanBuilder,
};
use datafusion::optimizer::AnalyzerRule;
use schemas::attributes::ValueType;
use schemas::ids;

use super::access::{Attr, access};
use super::{Source, VirtualColumn};
use crate::table::SnapshotTable;

/// Before type coercion: a hex literal beside an id column becomes the id's bytes, and an id that
/// is treated as text becomes its hex.
#[derive(Debug)]
pub(crate) struct HexIds {
    /// The function that shows bytes as hex.
    pub(crate) hex: Arc<datafusion::logical_expr::ScalarUDF>,
}

impl AnalyzerRule for HexIds {
    fn name(&self) -> &str {
        "hex_ids"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            let schema = input_schema(&plan)?;
            rewrite_expressions(plan, |expr| self.rewrite(expr, &schema))
        })?;
        Ok(plan.data)
    }
}

impl HexIds {
    fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let width = |e: &Expr| id_width(e, schema);
        Ok(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
                let (new_left, new_right) = (
                    id_literal(width(&right), *left.clone())?,
                    id_literal(width(&left), *right.clone())?,
                );
                let changed = new_left != *left || new_right != *right;
                let expr =
                    Expr::BinaryExpr(BinaryExpr::new(Box::new(new_left), op, Box::new(new_right)));
                Transformed::new_transformed(expr, changed)
            }
            Expr::InList(InList { expr, list, negated }) if width(&expr).is_some() => {
                let width = width(&expr);
                let list = list.into_iter().map(|e| id_literal(width, e)).collect::<Result<_>>()?;
                Transformed::yes(Expr::InList(InList { expr, list, negated }))
            }
            Expr::Between(Between { expr, negated, low, high }) if width(&expr).is_some() => {
                let width = width(&expr);
                let (low, high) = (id_literal(width, *low)?, id_literal(width, *high)?);
                Transformed::yes(Expr::Between(Between::new(
                    expr,
                    negated,
                    Box::new(low),
                    Box::new(high),
                )))
            }
            Expr::Like(like) if width(&like.expr).is_some() => {
                let text = self.hex.call(vec![*like.expr]);
                Transformed::yes(Expr::Like(Like { expr: Box::new(text), ..like }))
            }
            Expr::Cast(Cast { expr, field })
                if field.data_type().is_string() && width(&expr).is_some() =>
            {
                Transformed::yes(self.hex.call(vec![*expr]))
            }
            other => Transformed::no(other),
        })
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::*;
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Bytes of an id column; `None` for anything else.
fn id_width(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    let Expr::Column(column) = expr else { return None };
    match schema.data_type(column) {
        Ok(DataType::FixedSizeBinary(width)) => usize::try_from(*width).ok(),
        _ => None,
    }
}

/// A text literal as the bytes of an id of that width.
fn id_literal(width: Option<usize>, expr: Expr) -> Result<Expr> {
    let (Some(width), Expr::Literal(value, metadata)) = (width, &expr) else { return Ok(expr) };
    let Some(Some(text)) = value.try_as_str() else { return Ok(expr) };
    let bytes = match width {
        16 => ids::parse_hex::<16>(text.as_bytes()).map(|b| b.to_vec()),
        8 => ids::parse_hex::<8>(text.as_bytes()).map(|b| b.to_vec()),
        _ => None,
    };
    match (bytes, i32::try_from(width)) {
        (Some(bytes), Ok(size)) => {
            Ok(Expr::Literal(ScalarValue::FixedSizeBinary(size, Some(bytes)), metadata.clone()))
        }
        _ => plan_err!("'{text}' is not an id: {} hex digits are needed", 2 * width),
    }
}

/// After type coercion: folds casts into accesses and turns accesses into virtual columns.
#[derive(Debug)]
pub(crate) struct VirtualColumns;

impl AnalyzerRule for VirtualColumns {
    fn name(&self) -> &str {
        "virtual_attribute_columns"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan =
            plan.transform_up_with_subqueries(|plan| rewrite_expressions(plan, fold_cast))?.data;
        let wanted = accesses(&plan)?;
        if wanted.is_empty() {
            return Ok(plan);
        }
        let plan = plan.transform_up_with_subqueries(|plan| {
            let plan = match plan {
                LogicalPlan::TableScan(scan) => return extend_scan(scan, &wanted),
                LogicalPlan::SubqueryAlias(alias) => extend_alias(alias, &wanted)?,
                other => other,
            };
            let schema = input_schema(&plan)?;
            // Rebuilding recomputes the schema: below it may have gained virtual columns.
            let plan = rewrite_expressions(plan, |expr| to_column(expr, &schema))?.data;
            Ok(Transformed::yes(plan.recompute_schema()?))
        })?;
        Ok(plan.data)
    }
}

fn fold_cast(expr: Expr) -> Result<Transformed<Expr>> {
    let (inner, field) = match &expr {
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => (expr, field),
        _ => return Ok(Transformed::no(expr)),
    };
    let (Some((column, argument)), Some((to, exact))) =
        (Attr::of(inner), wide_type(field.data_type()))
    else {
        return Ok(Transformed::no(expr));
    };
    let folded = access(column.source, &column.key, to, argument.clone());
    if exact {
        return Ok(Transformed::yes(folded));
    }
    // Narrower types are the wide access and a cast that cannot fail the query.
    let field = Arc::clone(field);
    Ok(Transformed::yes(Expr::TryCast(TryCast { expr: Box::new(folded), field })))
}

/// The access type behind a cast's target, and whether it is that target.
fn wide_type(to: &DataType) -> Option<(ValueType, bool)> {
    use DataType::*;
    Some(match to {
        Utf8 | LargeUtf8 => (ValueType::Text, false),
        Utf8View => (ValueType::Text, true),
        Int64 => (ValueType::Int, true),
        Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32 | UInt64 => (ValueType::Int, false),
        Float64 => (ValueType::Double, true),
        Float16 | Float32 | Decimal128(..) | Decimal256(..) => (ValueType::Double, false),
        Boolean => (ValueType::Bool, true),
        _ => return None,
    })
}

/// Every access to a plain column in the plan.
fn accesses(plan: &LogicalPlan) -> Result<BTreeSet<VirtualColumn>> {
    let mut wanted = BTreeSet::new();
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Some((column, Expr::Column(_))) = Attr::of(expr) {
                    wanted.insert(column.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(wanted)
}

fn extend_scan(
    scan: TableScan,
    wanted: &BTreeSet<VirtualColumn>,
) -> Result<Transformed<LogicalPlan>> {
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<SnapshotTable>() else {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    };
    if scan.projection.is_some() {
        return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
    }
    let extended = provider_as_source(Arc::new(table.with_virtual(wanted)));
    let scan = TableScanBuilder::new(scan.table_name, extended)
        .with_filters(scan.filters)
        .with_fetch(scan.fetch)
        .with_statistics_requests(scan.statistics_requests)
        .build()?;
    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
}

/// Lets virtual columns pass a derived table or CTE that hands its attribute column through.
/// An alias is never the top of a query nor a side of a set operation, so more columns do no harm.
fn extend_alias(alias: SubqueryAlias, wanted: &BTreeSet<VirtualColumn>) -> Result<LogicalPlan> {
    let input = extend_projection(Arc::unwrap_or_clone(alias.input), wanted)?;
    Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias)?))
}

fn extend_projection(plan: LogicalPlan, wanted: &BTreeSet<VirtualColumn>) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let mut exprs = projection.expr.clone();
            for column in &projection.expr {
                let Expr::Column(column) = column else { continue };
                let Some(source) = Source::of_column(&column.name) else { continue };
                for wanted in wanted.iter().filter(|w| w.source == source) {
                    let passed = Column::new(column.relation.clone(), wanted.name());
                    if projection.input.schema().has_column(&passed)
                        && !exprs.contains(&Expr::Column(passed.clone()))
                    {
                        exprs.push(Expr::Column(passed));
                    }
                }
            }
            Ok(LogicalPlan::Projection(Projection::try_new(exprs, projection.input)?))
        }
        LogicalPlan::Sort(mut sort) => {
            sort.input = Arc::new(extend_projection(Arc::unwrap_or_clone(sort.input), wanted)?);
            Ok(LogicalPlan::Sort(sort))
        }
        LogicalPlan::Limit(mut limit) => {
            limit.input = Arc::new(extend_projection(Arc::unwrap_or_clone(limit.input), wanted)?);
            Ok(LogicalPlan::Limit(limit))
        }
        other => Ok(other),
    }
}

fn to_column(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some((virtual_column, Expr::Column(base))) = Attr::of(&expr) else {
        return Ok(Transformed::no(expr));
    };
    let column = Column::new(base.relation.clone(), virtual_column.name());
    if schema.has_column(&column) {
        return Ok(Transformed::yes(Expr::Column(column)));
    }
    Ok(Transformed::no(expr))
}

/// The columns that the expressions of a node can name.
fn input_schema(plan: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = DFSchema::empty();
    if let LogicalPlan::TableScan(scan) = plan {
        schema.merge(&DFSchema::try_from_qualified_schema(
            scan.table_name.clone(),
            &scan.source.schema(),
        )?);
    }
    for input in plan.inputs() {
        schema.merge(input.schema());
    }
    Ok(schema)
}

/// Rewrites every expression of a node from the leaves up, keeping the names of its outputs.
fn rewrite_expressions(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(&rewrite)?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}
