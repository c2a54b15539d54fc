//! The SQL of the questions that a view answers, and of correlation.

use api::time;
use api::views::{
    BottleneckRow, Bottlenecks, Breakdown, BreakdownRow, CORRELATION_KEYS, Causes, CausesAnswer,
    CohortDiff, Compare, CompareRow, Correlation, CorrelationAnswer, DiffRow, EdgeRow, ErrorRow,
    Errors, List, Map, Tail, TailRow, TimeRange, Trace, TraceAnswer, TraceDiff,
};
use schemas::{Table, columns as c, ids};

use super::ranges::{MINUTE_NS, range, within};
use super::{Answers, Asking};
use crate::QueryError;
use crate::filter::Over;
use crate::views::quoted;

/// Spans and logs of one trace, and records of one correlation id, where the question says nothing.
const RECORDS_DEFAULT: u64 = 50_000;
const KEYS_MAX: usize = 32;

impl Answers for Breakdown {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<BreakdownRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let filter = asking.selection(self.filter.as_deref(), &range)?;
        let arguments = [&range.from, &range.to, &self.root, &self.by, &filter];
        let rows = asking.view("latency_breakdown", &arguments.map(Option::as_deref)).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Tail {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<TailRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let texts = [&range.from, &range.to, &self.root, &self.by].map(literal);
        let quantile = self.quantile.map_or("NULL".to_owned(), |quantile| quantile.to_string());
        let traces = literal(&asking.selection(self.filter.as_deref(), &range)?);
        let arguments = format!("{}, {quantile}, {traces}", texts.join(", "));
        let rows = asking.call("tail_attribution", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Map {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<EdgeRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let traces = asking.selection(self.filter.as_deref(), &range)?;
        let arguments = [&range.from, &range.to, &self.level, &traces].map(Option::as_deref);
        let rows = asking.view("service_map", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

/// The columns of a log record in an answer.
pub(super) const LOG: &str = "time, service_name, severity_number, severity_text, body, event_name, \
                   trace_id, span_id, attributes";

impl Answers for Trace {
    async fn answer(self, asking: &mut Asking) -> Result<TraceAnswer, QueryError> {
        let id = trace_id(needed(c::TRACE_ID, self.trace_id)?)?;
        let spans = asking.view("trace", &[Some(&id)]).await?;
        let sql = format!(
            "SELECT {LOG} FROM {} WHERE trace_id = '{id}' ORDER BY time, span_id",
            Table::Logs.name()
        );
        let logs = asking.rows(sql, Some(RECORDS_DEFAULT)).await?;
        let critical_path = asking.view("critical_path", &[Some(&id)]).await?;
        Ok(TraceAnswer { spans, logs, critical_path, basis: std::mem::take(&mut asking.basis) })
    }
}

impl Answers for Errors {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<ErrorRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let traces = asking.selection(self.filter.as_deref(), &range)?;
        let arguments = [&range.from, &range.to, &self.root, &traces].map(Option::as_deref);
        let rows = asking.view("error_paths", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Bottlenecks {
    async fn answer(self, asking: &mut Asking) -> Result<List<BottleneckRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let arguments = [&range.from, &range.to, &self.rule].map(Option::as_deref);
        let rows = asking.view("bottlenecks", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Compare {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<CompareRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let selection = asking.selection(self.selection.as_deref(), &range)?;
        let selection = needed("selection", selection)?;
        let arguments = [
            Some(&*selection),
            self.baseline.as_deref(),
            range.from.as_deref(),
            range.to.as_deref(),
        ];
        let rows = asking.view("compare_spans", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for TraceDiff {
    async fn answer(self, asking: &mut Asking) -> Result<List<DiffRow>, QueryError> {
        let before = trace_id(needed(c::TRACE_ID, self.trace_id)?)?;
        let after = trace_id(needed("other", self.other)?)?;
        let rows = asking.view("trace_diff", &[Some(&before), Some(&after)]).await?;
        Ok(asking.list(rows, TimeRange::default()))
    }
}

impl Answers for CohortDiff {
    async fn answer(self, asking: &mut Asking) -> Result<List<DiffRow>, QueryError> {
        let first = needed("selection_a", self.selection_a)?;
        let second = needed("selection_b", self.selection_b)?;
        let range = range(self.from, self.to)?;
        let arguments = [Some(&*first), Some(&*second), range.from.as_deref(), range.to.as_deref()];
        let rows = asking.view("cohort_diff", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Causes {
    async fn answer(self, asking: &mut Asking) -> Result<CausesAnswer, QueryError> {
        let ago = |text: &str, ns: i64| {
            let end_ns = time::parse(text, 0).map_err(|e| QueryError::invalid(e.to_string()))?;
            Ok::<String, QueryError>(time::format(end_ns.saturating_sub(ns)))
        };
        let fault_to = self.fault_to.unwrap_or_else(|| time::format(asking.now_ns));
        let fault_from = self.fault_from.map_or_else(|| ago(&fault_to, 5 * MINUTE_NS), Ok)?;
        let base_to = self.base_to.unwrap_or_else(|| fault_from.clone());
        let base_from = self.base_from.map_or_else(|| ago(&base_to, 15 * MINUTE_NS), Ok)?;
        let fault = range(Some(fault_from), Some(fault_to))?;
        let base = range(Some(base_from), Some(base_to))?;
        let arguments = [&fault.from, &fault.to, &base.from, &base.to].map(Option::as_deref);
        let rows = asking.view("rank_causes", &arguments).await?;
        Ok(CausesAnswer { fault, base, rows, basis: std::mem::take(&mut asking.basis) })
    }
}

impl Answers for Correlation {
    async fn answer(self, asking: &mut Asking) -> Result<CorrelationAnswer, QueryError> {
        let value = needed("value", self.value)?;
        let range = range(self.from, self.to)?;
        let keys = keys(self.keys.as_deref())?;
        let carrying = |column: &str| carrying(column, &keys, &value);
        let (spans_carry, exemplars_carry) =
            (carrying(c::ATTRIBUTES), carrying(c::FILTERED_ATTRIBUTES));
        let of_spans = format!(
            "span_id IN (SELECT span_id FROM spans WHERE {} AND {spans_carry})",
            within(&range, c::START_TIME)?
        );
        let spans = format!(
            "SELECT start_time, duration_ns, service_name, name, kind, status_code, trace_id, \
             span_id, parent_span_id FROM spans WHERE {} AND {spans_carry} \
             ORDER BY start_time, span_id",
            within(&range, c::START_TIME)?
        );
        let logs = format!(
            "SELECT CASE WHEN {spans_carry} THEN TRUE ELSE FALSE END AS carries, {LOG} FROM logs \
             WHERE {} AND ({spans_carry} OR {of_spans}) ORDER BY time, span_id",
            within(&range, c::TIME)?
        );
        let exemplars = format!(
            "SELECT CASE WHEN {exemplars_carry} THEN TRUE ELSE FALSE END AS carries, time, metric, service_name, \
             coalesce(value_double, cast(value_int AS double)) AS \"value\", trace_id, span_id \
             FROM metric_exemplars WHERE {} AND ({exemplars_carry} OR {of_spans}) \
             ORDER BY time, metric, span_id",
            within(&range, c::TIME)?
        );
        let spans = asking.rows(spans, Some(RECORDS_DEFAULT)).await?;
        let logs = asking.rows(logs, Some(RECORDS_DEFAULT)).await?;
        let exemplars = asking.rows(exemplars, Some(RECORDS_DEFAULT)).await?;
        let basis = std::mem::take(&mut asking.basis);
        Ok(CorrelationAnswer { keys, spans, logs, exemplars, basis })
    }
}

fn keys(asked: Option<&str>) -> Result<Vec<String>, QueryError> {
    let Some(asked) = asked else { return Ok(CORRELATION_KEYS.map(str::to_owned).to_vec()) };
    let keys: Vec<String> =
        asked.split(',').map(str::trim).filter(|k| !k.is_empty()).map(str::to_owned).collect();
    if keys.is_empty() || keys.len() > KEYS_MAX {
        let message = format!("keys: {} are not from 1 to {KEYS_MAX}", keys.len());
        return Err(QueryError::invalid(message).with_hint("keys=correlation.id,session.id"));
    }
    Ok(keys)
}

/// The condition that a record carries the value under one of the keys; a trace id also as such.
fn carrying(column: &str, keys: &[String], value: &str) -> String {
    let value = quoted(value);
    let by_key = keys.iter().map(|key| format!("{column}[{}]::text = {value}", quoted(key)));
    let hex = value.trim_matches('\'').to_lowercase();
    let by_trace = ids::parse_hex::<16>(hex.as_bytes()).map(|_| format!("trace_id = '{hex}'"));
    let conditions: Vec<String> = by_key.chain(by_trace).collect();
    format!("({})", conditions.join(" OR "))
}

/// The hex digits of a trace id.
pub(super) fn trace_id(text: String) -> Result<String, QueryError> {
    let id = ids::parse_hex::<16>(text.to_lowercase().as_bytes()).map(|id| ids::hex(&id));
    id.ok_or_else(|| {
        QueryError::invalid(format!("`{text}` is no trace id"))
            .with_hint("32 hex digits are needed")
    })
}

/// A parameter that must be there.
pub(super) fn needed(name: &str, value: Option<String>) -> Result<String, QueryError> {
    value.ok_or_else(|| QueryError::invalid(format!("{name} is needed")))
}

fn literal(text: &Option<String>) -> String {
    text.as_deref().map_or("NULL".to_owned(), quoted)
}
