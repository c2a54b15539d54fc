//! Lists of traces, page by page.

use std::collections::HashMap;

use api::time;
use api::views::{List, TraceRow, Traces};
use schemas::columns as c;
use serde::Deserialize;

use super::logs::columns;
use super::questions::trace_id;
use super::ranges::{range, within};
use super::{Answers, Asking, NO_CONDITION, bracketed};
use crate::QueryError;
use crate::filter::Over;

/// Rows of a page where the question says nothing.
const ROWS_DEFAULT: u64 = 100;
/// Rows of a page of which more than the trace itself is shown.
const DETAILED_MAX: usize = 1_000;

impl Answers for Traces {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<TraceRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let order = Order::read(self.sort.as_deref())?;
        let guard = asking.engine.config().guard;
        let mut conditions = vec![within(&range, c::START_TIME)?];
        if let Some(filter) = &self.trace_filter {
            conditions.push(bracketed(filter, &guard)?);
        }
        let of_spans = asking.conditions(self.filter.as_deref(), &range)?;
        if of_spans != NO_CONDITION {
            conditions.push(format!(
                "trace_id IN (SELECT trace_id FROM spans WHERE {} AND {of_spans})",
                within(&range, crate::traces::root_start())?
            ));
        }
        if let Some(after) = &self.after {
            conditions.push(order.behind(after)?);
        }
        let sql = format!(
            "SELECT trace_id, root_service, root_name, start_time, duration_ns, span_count, \
             error_count, is_error, service_count, depth, orphan_count, trace_complete \
             FROM traces WHERE {} ORDER BY {}, trace_id",
            conditions.join(" AND "),
            order.sql()
        );
        let mut rows: Vec<TraceRow> = asking.rows(sql, Some(ROWS_DEFAULT)).await?;
        rows.iter_mut().for_each(|row| row.cursor = order.cursor(row));
        if self.top == Some(true) {
            add_top(asking, &mut rows).await?;
        }
        if let Some(keys) = &self.columns {
            add_columns(asking, &mut rows, keys).await?;
        }
        Ok(asking.list(rows, range))
    }
}

/// By what traces are sorted; equal ones by their id.
#[derive(Clone, Copy, Debug)]
struct Order {
    column: &'static str,
    descends: bool,
    value: fn(&TraceRow) -> Option<i64>,
}

impl Order {
    fn read(by: Option<&str>) -> Result<Order, QueryError> {
        let start: fn(&TraceRow) -> Option<i64> =
            |row| row.start_time.as_deref().and_then(|at| time::parse(at, 0).ok());
        let order = |column, descends, value| Order { column, descends, value };
        let sorts: [(&str, Order); 6] = [
            ("newest", order("epoch_ns(start_time)", true, start)),
            ("oldest", order("epoch_ns(start_time)", false, start)),
            ("slowest", order(c::DURATION_NS, true, |row| row.duration_ns)),
            ("fastest", order(c::DURATION_NS, false, |row| row.duration_ns)),
            ("errors", order("error_count", true, |row| i64::try_from(row.error_count?).ok())),
            ("spans", order("span_count", true, |row| i64::try_from(row.span_count).ok())),
        ];
        let by = by.unwrap_or("newest");
        let words = sorts.map(|(word, _)| word);
        sorts.into_iter().find(|(word, _)| *word == by).map(|(_, order)| order).ok_or_else(|| {
            QueryError::invalid(format!("sort: `{by}` is no order")).did_you_mean(by, &words)
        })
    }

    /// Traces without the value come last.
    fn sql(&self) -> String {
        let direction = if self.descends { " DESC" } else { "" };
        format!("{}{direction} NULLS LAST", self.column)
    }

    fn cursor(&self, row: &TraceRow) -> String {
        let value = (self.value)(row).map_or("-".to_owned(), |value| value.to_string());
        format!("{value}:{}", row.trace_id)
    }

    /// The condition that a trace comes behind the row of a cursor.
    fn behind(&self, cursor: &str) -> Result<String, QueryError> {
        let wrong = || {
            QueryError::invalid("after: this is the cursor of no row")
                .with_hint("take `cursor` of the last row, with the same sort")
        };
        let (value, id) = cursor.split_once(':').ok_or_else(wrong)?;
        let (id, column) = (trace_id(id.to_owned()).map_err(|_| wrong())?, self.column);
        if value == "-" {
            return Ok(format!("{column} IS NULL AND trace_id > '{id}'"));
        }
        let value: i64 = value.parse().map_err(|_| wrong())?;
        let op = if self.descends { "<" } else { ">" };
        Ok(format!(
            "({column} {op} {value} OR {column} = {value} AND trace_id > '{id}' OR {column} IS NULL)"
        ))
    }
}

/// Node that most of each trace's critical path is charged to.
async fn add_top(asking: &mut Asking, rows: &mut [TraceRow]) -> Result<(), QueryError> {
    #[derive(Deserialize)]
    struct Charged {
        trace_id: String,
        charged_to: Option<String>,
        share: Option<f64>,
    }
    let Some(near) = of_these(rows)? else { return Ok(()) };
    let sql = format!(
        "SELECT trace_id, charged_to, 1.0 * path_ns / nullif(sum(path_ns) \
         OVER (PARTITION BY trace_id), 0) AS share FROM (SELECT trace_id, charged_to, \
         sum(critical_ns) AS path_ns FROM spans WHERE {near} AND is_main AND NOT is_duplicate \
         GROUP BY 1, 2) ORDER BY trace_id, path_ns DESC, charged_to"
    );
    let charged: Vec<Charged> = asking.whole(sql).await?;
    let mut first: HashMap<String, Charged> = HashMap::new();
    for row in charged {
        first.entry(row.trace_id.clone()).or_insert(row);
    }
    for row in rows.iter_mut() {
        if let Some(top) = first.remove(&row.trace_id) {
            (row.top_node, row.top_share) = (top.charged_to, top.share);
        }
    }
    Ok(())
}

/// Attributes of the roots.
async fn add_columns(
    asking: &mut Asking,
    rows: &mut [TraceRow],
    keys: &str,
) -> Result<(), QueryError> {
    #[derive(Deserialize)]
    struct Values {
        trace_id: String,
        columns: Vec<Option<String>>,
    }
    let columns = columns(keys)?;
    let Some(near) = of_these(rows)? else { return Ok(()) };
    let sql = format!("SELECT trace_id, {columns} AS columns FROM spans WHERE {near} AND is_root");
    let values: Vec<Values> = asking.whole(sql).await?;
    for Values { trace_id, columns } in values {
        if let Some(row) = rows.iter_mut().find(|row| row.trace_id == trace_id) {
            row.columns = columns;
        }
    }
    Ok(())
}

/// The condition on spans of the rows' traces, with the time in which they lie.
fn of_these(rows: &[TraceRow]) -> Result<Option<String>, QueryError> {
    if rows.is_empty() {
        return Ok(None);
    }
    if rows.len() > DETAILED_MAX {
        let message = format!("top and columns are shown of {DETAILED_MAX} traces at most");
        return Err(QueryError::invalid(message).with_hint("ask with a smaller limit"));
    }
    let ids: Vec<String> = rows.iter().map(|row| format!("'{}'", row.trace_id)).collect();
    Ok(Some(format!("trace_id IN ({})", ids.join(", "))))
}
