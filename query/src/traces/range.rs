//! Which traces a statement means: bounds on times, read from its conditions.
//!
//! A trace must be read whole, so a condition on `start_time` is widened by [`TRACE_NS_MAX`] on both
//! sides before it reaches the files, and traces without a row inside are left out again. A condition
//! on `root_start` bounds the rows of its traces from below as well.

use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::catalog::Session;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, col, lit};
use schemas::columns as c;
use schemas::derived::{SPAN_FACTS, SpanFact};

/// Spans of one trace are looked for within this time of each other: 15 minutes.
pub(crate) const TRACE_NS_MAX: i64 = 15 * 60 * 1_000_000_000;
/// How much earlier than its root a span of a trace may start, by a clock that runs ahead.
pub(crate) const EARLY_NS_MAX: i64 = 60 * 1_000_000_000;

/// Inclusive bounds in nanoseconds; absent ones do not bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    from: Option<i64>,
    to: Option<i64>,
}

impl Bounds {
    pub(crate) fn contains(&self, time_ns: i64) -> bool {
        self.from.is_none_or(|from| time_ns >= from) && self.to.is_none_or(|to| time_ns <= to)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    fn narrow(&mut self, operator: Operator, value: i64) {
        let from = match operator {
            Operator::Gt => Some(value.saturating_add(1)),
            Operator::GtEq | Operator::Eq => Some(value),
            _ => None,
        };
        let to = match operator {
            Operator::Lt => Some(value.saturating_sub(1)),
            Operator::LtEq | Operator::Eq => Some(value),
            _ => None,
        };
        self.from = self.from.max(from);
        self.to = match (self.to, to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// The traces of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceRange {
    /// Some span of the trace starts here.
    pub(crate) rows: Bounds,
    /// The root of the trace starts here.
    pub(crate) roots: Bounds,
}

impl TraceRange {
    /// The bounds that a conjunction of filters implies.
    pub(crate) fn of(filters: &[Expr]) -> TraceRange {
        let mut range = TraceRange::default();
        for filter in filters {
            let Some((column, operator, value)) = time_comparison(filter) else { continue };
            if column == c::START_TIME {
                range.rows.narrow(operator, value);
            } else if column == root_start() {
                range.roots.narrow(operator, value);
            }
        }
        range
    }

    /// The filters that may reach the files: those on the trace id, and the widened times.
    pub(crate) fn pushed(&self, filters: &[Expr]) -> Vec<Expr> {
        let mut pushed: Vec<Expr> = filters.iter().filter(|f| is_of_trace(f)).cloned().collect();
        let (from, to) = self.widened();
        if let Some(from) = from {
            pushed.push(col(c::START_TIME).gt_eq(time(from)));
        }
        if let Some(to) = to {
            pushed.push(col(c::START_TIME).lt_eq(time(to)));
        }
        pushed
    }

    /// Inclusive bounds of the spans to read.
    fn widened(&self) -> (Option<i64>, Option<i64>) {
        let TraceRange { rows, roots } = self;
        let add = |bound: Option<i64>, by: i64| bound.map(|ns| ns.saturating_add(by));
        let from = add(rows.from, -TRACE_NS_MAX).max(add(roots.from, -EARLY_NS_MAX));
        let to = [add(rows.to, TRACE_NS_MAX), add(roots.to, TRACE_NS_MAX)];
        (from, to.into_iter().flatten().min())
    }
}

/// The start of the statement.
pub(crate) fn now_ns(state: &dyn Session) -> i64 {
    let started = state.execution_props().query_execution_start_time;
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).ok()
    };
    started.and_then(|t| t.timestamp_nanos_opt()).or_else(clock).unwrap_or(i64::MAX)
}

/// The expression with one column under another name.
pub(crate) fn renamed(expr: &Expr, from: &str, to: &str) -> Expr {
    let renamed = expr.clone().transform_up(|node| {
        Ok(match node {
            Expr::Column(column) if column.name == from => {
                Transformed::yes(Expr::Column(Column::from_name(to)))
            }
            other => Transformed::no(other),
        })
    });
    // Renaming cannot fail; the condition as it was is only not pushed down.
    renamed.map_or_else(|_| expr.clone(), |t| t.data)
}

/// Name of the derived column of the root's start.
pub(crate) fn root_start() -> &'static str {
    SPAN_FACTS.iter().find(|d| d.fact == SpanFact::RootStart).map_or("", |d| d.name)
}

fn time(ns: i64) -> Expr {
    lit(ScalarValue::TimestampNanosecond(Some(ns), None))
}

pub(crate) fn is_of_trace(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && columns.iter().all(|column| column.name == c::TRACE_ID)
}

/// `column op literal`, in either order.
fn time_comparison(filter: &Expr) -> Option<(&str, Operator, i64)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) => Some((&column.name, *op, ns(value)?)),
        (Expr::Literal(value, _), Expr::Column(column)) => {
            Some((&column.name, op.swap()?, ns(value)?))
        }
        _ => None,
    }
}

fn ns(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampNanosecond(value, _) => *value,
        _ => None,
    }
}
