//! The size of a syntax tree as the planner will see it: every reference to a CTE is the whole CTE.
//!
//! The walk itself is sqlparser's visitor. It recurses, but only over trees that the token check
//! has bounded.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, ObjectName, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Visit, Visitor,
};

use super::refused;
use crate::QueryError;
use crate::limits::GuardLimits;

pub(super) const DEPTH_HINT: &str =
    "use `x IN (…)` in place of a long OR chain, or split the statement";

/// What `*` counts as: about the columns of the widest table.
const WILDCARD_NODES: u64 = 64;

pub(super) fn check(statement: &Statement, limits: &GuardLimits) -> Result<(), QueryError> {
    let mut walk = Walk { limits, depth: 0, open: vec![Scope::default()] };
    match statement.visit(&mut walk) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Expanded size of a query.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    nodes: u64,
    joins: u64,
    set_operations: u64,
    windows: u64,
    /// Deepest point below the place where the query starts.
    depth: u64,
}

/// One query that is being walked.
#[derive(Debug, Default)]
struct Scope {
    size: Size,
    /// Depth at which the query starts.
    from_depth: u64,
    /// Names of its CTEs whose queries have not been walked yet, last one first. The visitor walks
    /// them, in order, before anything else of the query.
    pending: Vec<String>,
    /// CTEs that can be named from here on.
    known: Vec<(String, Size)>,
}

struct Walk<'a> {
    limits: &'a GuardLimits,
    /// Open expressions and queries.
    depth: u64,
    /// Open queries, outermost first; the first is the statement.
    open: Vec<Scope>,
}

type Step = ControlFlow<Box<QueryError>>;

fn stop(error: QueryError) -> Step {
    ControlFlow::Break(Box::new(error))
}

impl Walk<'_> {
    /// Adds to the innermost open query and checks the limits.
    fn add(&mut self, size: Size) -> Step {
        let deepest = self.depth.saturating_add(size.depth);
        let Some(scope) = self.open.last_mut() else { return Step::Continue(()) };
        scope.size.nodes = scope.size.nodes.saturating_add(size.nodes);
        scope.size.joins = scope.size.joins.saturating_add(size.joins);
        scope.size.set_operations = scope.size.set_operations.saturating_add(size.set_operations);
        scope.size.windows = scope.size.windows.saturating_add(size.windows);
        scope.size.depth = scope.size.depth.max(deepest.saturating_sub(scope.from_depth));
        let (now, limits) = (scope.size, self.limits);
        for (name, used, most, hint) in [
            ("depth", deepest, limits.depth, DEPTH_HINT),
            ("nodes", now.nodes, limits.nodes, "each use of a CTE counts as the whole CTE"),
            ("joins", now.joins, limits.joins, "each use of a CTE counts its joins again"),
            ("set_operations", now.set_operations, limits.set_operations, "use GROUP BY or IN (…)"),
            ("windows", now.windows, limits.windows, "split the statement"),
        ] {
            if used > most {
                return stop(QueryError::too_large(name, used, most).with_hint(hint));
            }
        }
        Step::Continue(())
    }

    fn cte(&self, name: &str) -> Option<Size> {
        let mut known = self.open.iter().rev().flat_map(|scope| scope.known.iter().rev());
        known.find(|(cte, _)| cte == name).map(|(_, size)| *size)
    }

    /// The parts of a query the visitor has no step for. Flat over set operations: their own tree
    /// is as deep as the chain is long.
    fn body(&mut self, query: &Query) -> Step {
        self.add(Size { set_operations: query.pipe_operators.len() as u64, ..Size::default() })?;
        let mut rest = vec![query.body.as_ref()];
        while let Some(part) = rest.pop() {
            match part {
                SetExpr::Select(_) | SetExpr::Query(_) => {}
                SetExpr::Values(values) => {
                    self.add(Size { nodes: values.rows.len() as u64, ..Size::default() })?;
                }
                SetExpr::SetOperation { left, right, .. } => {
                    self.add(Size { nodes: 1, set_operations: 1, ..Size::default() })?;
                    rest.extend([left.as_ref(), right.as_ref()]);
                }
                SetExpr::Table(table) => {
                    let name = table.table_name.as_deref().unwrap_or_default().to_lowercase();
                    self.relation(&name)?;
                }
                SetExpr::Insert(_)
                | SetExpr::Update(_)
                | SetExpr::Delete(_)
                | SetExpr::Merge(_) => {
                    return stop(refused("a statement that writes, inside a query,"));
                }
            }
        }
        Step::Continue(())
    }

    fn relation(&mut self, name: &str) -> Step {
        let inner = self.cte(name).unwrap_or_default();
        self.add(Size { nodes: inner.nodes.saturating_add(1), ..inner })
    }
}

impl Visitor for Walk<'_> {
    type Break = Box<QueryError>;

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        let mut scope = Scope { from_depth: self.depth, ..Scope::default() };
        if let Some(with) = &query.with {
            if with.recursive {
                return stop(refused("WITH RECURSIVE"));
            }
            let names = with.cte_tables.iter().rev();
            scope.pending = names.map(|cte| cte.alias.name.value.to_lowercase()).collect();
        }
        self.open.push(scope);
        self.depth += 1;
        self.add(Size { nodes: 1, ..Size::default() })?;
        self.body(query)
    }

    fn post_visit_query(&mut self, _: &Query) -> Step {
        self.depth -= 1;
        let Some(done) = self.open.pop() else { return Step::Continue(()) };
        let Some(outer) = self.open.last_mut() else { return Step::Continue(()) };
        match outer.pending.pop() {
            // Counted where it is named, and nowhere when it is not.
            Some(name) => outer.known.push((name, done.size)),
            None => self.add(done.size)?,
        }
        Step::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if select.into.is_some() {
            return stop(refused("SELECT INTO"));
        }
        let sets = grouping_sets(&select.group_by);
        if sets > self.limits.grouping_sets {
            return stop(QueryError::too_large("grouping_sets", sets, self.limits.grouping_sets));
        }
        let joins = select.from.len().saturating_sub(1) as u64
            + select.from.iter().map(joins).sum::<u64>()
            + select.lateral_views.len() as u64;
        let nodes = select.projection.iter().map(item_nodes).sum();
        self.add(Size { nodes, joins, ..Size::default() })
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.add(Size { joins: joins(table_with_joins), ..Size::default() })
            }
            _ => Step::Continue(()),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Step {
        match relation.0.as_slice() {
            [only] => match only.as_ident() {
                Some(name) => self.relation(&name.value.to_lowercase()),
                None => self.relation(""),
            },
            _ => self.relation(""),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        self.depth += 1;
        if let Expr::InList { list, .. } = expr
            && list.len() as u64 > self.limits.in_list
        {
            return stop(QueryError::too_large("in_list", list.len() as u64, self.limits.in_list));
        }
        self.add(own_size(expr))
    }

    fn post_visit_expr(&mut self, _: &Expr) -> Step {
        self.depth -= 1;
        Step::Continue(())
    }
}

/// What an expression adds to the plan besides what is inside it.
fn own_size(expr: &Expr) -> Size {
    let one = Size { nodes: 1, ..Size::default() };
    match expr {
        // A flat list in the syntax tree, a chain in the plan.
        Expr::CompoundFieldAccess { access_chain, .. } => {
            Size { depth: access_chain.len() as u64, ..one }
        }
        Expr::CompoundIdentifier(parts) => {
            Size { depth: (parts.len() as u64).saturating_sub(1), ..one }
        }
        // The optimizer makes a join of each.
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
            Size { joins: 1, ..one }
        }
        // Each window of its own is one more level of the plan.
        Expr::Function(function) if function.over.is_some() => Size { windows: 1, ..one },
        _ => one,
    }
}

fn joins(table: &TableWithJoins) -> u64 {
    table.joins.len() as u64
}

fn item_nodes(item: &SelectItem) -> u64 {
    match item {
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => WILDCARD_NODES,
        _ => 1,
    }
}

/// How many grouping sets a GROUP BY stands for: those of its parts multiply.
fn grouping_sets(group_by: &GroupByExpr) -> u64 {
    let (exprs, modifiers) = match group_by {
        GroupByExpr::Expressions(exprs, modifiers) => (exprs.as_slice(), modifiers),
        GroupByExpr::All(modifiers) => (&[][..], modifiers),
    };
    // `WITH CUBE` applies to all expressions; DataFusion has none of the modifiers.
    if !modifiers.is_empty() {
        return u64::MAX;
    }
    let sets = exprs.iter().map(|expr| match expr {
        Expr::Cube(columns) => 1_u64.checked_shl(columns.len() as u32).unwrap_or(u64::MAX),
        Expr::Rollup(columns) => columns.len() as u64 + 1,
        Expr::GroupingSets(sets) => sets.len() as u64,
        _ => 1,
    });
    sets.fold(1, u64::saturating_mul)
}
