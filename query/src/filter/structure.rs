//! Conditions on other spans of the trace, and on the trace as a whole.

use api::time;
use schemas::columns as c;

use super::meaning::{Writer, is_of_traces};
use super::parse::{Name, Node, Relation};
use super::{Over, Wrong};
use crate::traces::TRACE_NS_MAX;

/// Before a key: asks the trace.
const OF_TRACE: &str = "trace.";

impl Writer<'_> {
    /// The condition on the trace where the key begins with `trace.`; `write` writes the rest.
    /// A key that traces do not have is one of their spans'.
    pub(super) fn of_trace(
        &mut self,
        key: &Name,
        write: impl FnOnce(&mut Self, &Name) -> Result<(String, &'static str), Wrong>,
    ) -> Result<Option<(String, &'static str)>, Wrong> {
        let rest = match key.text.strip_prefix(OF_TRACE) {
            Some(rest) if !rest.is_empty() => rest,
            _ if self.over == Over::Traces && !is_of_traces(&key.text) => &key.text,
            _ => return Ok(None),
        };
        if self.over == Over::Metrics {
            return Err(Wrong::new(key.at, "a data point belongs to no trace"));
        }
        // `trace.http.route`: some span of the trace has it.
        let (table, inner_over) =
            if is_of_traces(rest) { ("traces", Over::Traces) } else { ("spans", Over::Spans) };
        let key = Name { at: key.at, text: rest.to_owned() };
        let outer = std::mem::replace(&mut self.over, inner_over);
        let written = write(self, &key);
        self.over = outer;
        let (condition, meaning) = written?;
        let near = self.near();
        let sql =
            format!("{id} IN (SELECT {id} FROM {table} WHERE {condition}{near})", id = c::TRACE_ID);
        Ok(Some((sql, meaning)))
    }

    /// The condition that a span has such a relation to one that meets `inner`.
    pub(super) fn related(
        &mut self,
        relation: Relation,
        inner: &Node,
        at: usize,
    ) -> Result<String, Wrong> {
        if self.over != Over::Spans {
            return Err(Wrong::new(at, "only spans have children and parents"));
        }
        self.tables += 1;
        let other = format!("other{}", self.tables);
        let table = std::mem::replace(&mut self.table, other);
        let condition = self.node(inner);
        let other = std::mem::replace(&mut self.table, table);
        let (condition, near, table) = (condition?, self.near(), &self.table);
        let (span, parent) = (c::SPAN_ID, c::PARENT_SPAN_ID);
        Ok(match relation {
            Relation::Child => format!(
                "{span} IN (SELECT {parent} FROM spans AS {other} \
                 WHERE {condition} AND {parent} IS NOT NULL{near})"
            ),
            Relation::Parent => {
                format!("{parent} IN (SELECT {span} FROM spans AS {other} WHERE {condition}{near})")
            }
            Relation::Descendant => below(&condition, &near, table, &other, [table, &other]),
            Relation::Ancestor => below(&condition, &near, table, &other, [&other, table]),
        })
    }

    /// Bounds of the spans and traces that can belong to a row of the range.
    fn near(&self) -> String {
        let (from, to) = self.setting.range;
        let start = c::START_TIME;
        let bound = |ns: i64, op: &str| format!(" AND {start} {op} {}", time::sql_literal(ns));
        let from = from.map(|ns| bound(ns.saturating_sub(TRACE_NS_MAX), ">="));
        let to = to.map(|ns| bound(ns.saturating_add(TRACE_NS_MAX), "<"));
        from.into_iter().chain(to).collect()
    }
}

/// The condition that `lower` lies below `upper` in the tree of their trace.
fn below(
    condition: &str,
    near: &str,
    table: &str,
    other: &str,
    [upper, lower]: [&str; 2],
) -> String {
    format!(
        "EXISTS (SELECT 1 FROM spans AS {other} WHERE {other}.{id} = {table}.{id} \
         AND {lower}.tree_left > {upper}.tree_left AND {lower}.tree_left <= {upper}.tree_right \
         AND {condition}{near})",
        id = c::TRACE_ID
    )
}
