//! The SQL of each question.

use api::time;
use api::views::{
    BottleneckRow, Bottlenecks, Breakdown, BreakdownRow, CORRELATION_KEYS, Causes, CausesAnswer,
    CohortDiff, Compare, CompareRow, Correlation, CorrelationAnswer, DiffRow, EdgeRow, ErrorRow,
    Errors, Heatmap, HeatmapAnswer, List, Map, OperationRow, Operations, ServiceRow, Services,
    Tail, TailRow, TimeRange, Trace, TraceAnswer, TraceDiff, TraceRow, Traces,
};
use schemas::{Table, columns as c, ids};

use super::{Answers, Asking, bracketed};
use crate::QueryError;
use crate::views::quoted;

/// Rows of a list of traces where the question says nothing.
const TRACES_DEFAULT: u64 = 100;
/// Spans and logs of one trace, and records of one correlation id, where the question says nothing.
const RECORDS_DEFAULT: u64 = 50_000;
const COLUMNS_DEFAULT: u64 = 60;
const COLUMNS_MAX: u64 = 1_000;
const KEYS_MAX: usize = 32;

const MINUTE_NS: i64 = 60_000_000_000;
const HOUR_NS: i64 = 60 * MINUTE_NS;

/// A span that is a request to its service.
const IS_REQUEST: &str = "(kind IN ('server', 'consumer') OR is_root)";

/// Rate, errors and duration of the spans that meet a condition, as columns of one GROUP BY.
fn red(is_counted: &str) -> String {
    format!(
        "count(*) FILTER (WHERE {is_counted}) AS calls, \
         count(*) FILTER (WHERE {is_counted} AND is_error) AS errors, \
         hist(duration_ns) FILTER (WHERE {is_counted}) AS durations, count(*) AS spans, \
         min(start_time) AS first_seen, max(start_time) AS last_seen, \
         exemplars(trace_id, duration_ns, is_error) FILTER (WHERE {is_counted}) AS example"
    )
}

/// The columns of an answer over those of [`red`].
fn red_shown(calls: &str, range: &TimeRange) -> Result<String, QueryError> {
    let seconds = match bounds_ns(range)? {
        // With a point, so that the division is none of integers.
        (Some(from_ns), Some(to_ns)) => format!("{:?}", (to_ns - from_ns) as f64 / 1e9),
        _ => "greatest(1.0, (epoch_ns(last_seen) - epoch_ns(first_seen)) / 1e9)".to_owned(),
    };
    Ok(format!(
        "calls AS {calls}, calls / {seconds} AS per_second, errors, \
         1.0 * errors / nullif(calls, 0) AS error_share, \
         hist_quantile(durations, 0.5) / 1e6 AS p50_ms, \
         hist_quantile(durations, 0.9) / 1e6 AS p90_ms, \
         hist_quantile(durations, 0.99) / 1e6 AS p99_ms, spans, first_seen, last_seen, \
         example[1] AS slowest_trace, example[2] AS error_trace, example[3] AS median_trace"
    ))
}

/// The range of a question, refused when it is empty.
fn range(from: Option<String>, to: Option<String>) -> Result<TimeRange, QueryError> {
    let range = TimeRange { from, to };
    match bounds_ns(&range)? {
        (Some(from_ns), Some(to_ns)) if from_ns >= to_ns => Err(QueryError::invalid(format!(
            "the range is empty: it begins at {} and ends at {}",
            time::format(from_ns),
            time::format(to_ns)
        ))),
        _ => Ok(range),
    }
}

/// Both ends in nanoseconds. The texts were written by [`super::request`].
fn bounds_ns(range: &TimeRange) -> Result<(Option<i64>, Option<i64>), QueryError> {
    let ns = |text: &Option<String>| {
        let read = |text: &String| time::parse(text, 0);
        text.as_ref().map(read).transpose().map_err(|e| QueryError::invalid(e.to_string()))
    };
    Ok((ns(&range.from)?, ns(&range.to)?))
}

/// The condition that a time column lies in the range; `TRUE` where it is open.
fn within(range: &TimeRange, column: &str) -> Result<String, QueryError> {
    let (from, to) = bounds_ns(range)?;
    let from = from.map(|ns| format!("{column} >= {}", time::sql_literal(ns)));
    let to = to.map(|ns| format!("{column} < {}", time::sql_literal(ns)));
    let ends: Vec<String> = from.into_iter().chain(to).collect();
    Ok(if ends.is_empty() { "TRUE".to_owned() } else { ends.join(" AND ") })
}

impl Answers for Services {
    async fn answer(self, asking: &mut Asking) -> Result<List<ServiceRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let sql = format!(
            "SELECT service_name, {} FROM (SELECT service_name, {} FROM spans \
             WHERE {} AND NOT is_duplicate GROUP BY 1) ORDER BY calls DESC, service_name",
            red_shown("requests", &range)?,
            red(IS_REQUEST),
            within(&range, c::START_TIME)?
        );
        let rows = asking.rows(sql, None).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Operations {
    async fn answer(self, asking: &mut Asking) -> Result<List<OperationRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let only = self
            .service
            .map_or("TRUE".to_owned(), |service| format!("service_name = {}", quoted(&service)));
        let sql = format!(
            "SELECT service_name, name, kind, {} FROM (SELECT service_name, name, kind, {} \
             FROM spans WHERE {} AND {only} AND NOT is_duplicate GROUP BY 1, 2, 3) \
             ORDER BY calls DESC, service_name, name, kind",
            red_shown("calls", &range)?,
            red("TRUE"),
            within(&range, c::START_TIME)?
        );
        let rows = asking.rows(sql, None).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Breakdown {
    async fn answer(self, asking: &mut Asking) -> Result<List<BreakdownRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let arguments = [&range.from, &range.to, &self.root, &self.by, &self.filter];
        let rows = asking.view("latency_breakdown", &arguments.map(Option::as_deref)).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Tail {
    async fn answer(self, asking: &mut Asking) -> Result<List<TailRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let texts = [&range.from, &range.to, &self.root, &self.by].map(literal);
        let quantile = self.quantile.map_or("NULL".to_owned(), |quantile| quantile.to_string());
        let arguments = format!("{}, {quantile}", texts.join(", "));
        let rows = asking.call("tail_attribution", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Map {
    async fn answer(self, asking: &mut Asking) -> Result<List<EdgeRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let arguments = [&range.from, &range.to, &self.level].map(Option::as_deref);
        let rows = asking.view("service_map", &arguments).await?;
        Ok(asking.list(rows, range))
    }
}

impl Answers for Traces {
    async fn answer(self, asking: &mut Asking) -> Result<List<TraceRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let limits = asking.engine.config().guard;
        let mut conditions = vec![within(&range, c::START_TIME)?];
        if let Some(filter) = &self.trace_filter {
            conditions.push(bracketed(filter, &limits)?);
        }
        if let Some(filter) = &self.filter {
            conditions.push(format!(
                "trace_id IN (SELECT trace_id FROM spans WHERE {} AND {})",
                within(&range, crate::traces::root_start())?,
                bracketed(filter, &limits)?
            ));
        }
        let sql = format!(
            "SELECT trace_id, root_service, root_name, start_time, duration_ns, span_count, \
             error_count, is_error, service_count, depth, orphan_count, trace_complete \
             FROM traces WHERE {} ORDER BY {}, trace_id",
            conditions.join(" AND "),
            sorted(self.sort.as_deref())?
        );
        let rows = asking.rows(sql, Some(TRACES_DEFAULT)).await?;
        Ok(asking.list(rows, range))
    }
}

fn sorted(by: Option<&str>) -> Result<&'static str, QueryError> {
    const SORTS: [(&str, &str); 6] = [
        ("newest", "start_time DESC"),
        ("oldest", "start_time"),
        ("slowest", "duration_ns DESC NULLS LAST"),
        ("fastest", c::DURATION_NS),
        ("errors", "error_count DESC"),
        ("spans", "span_count DESC"),
    ];
    let by = by.unwrap_or(SORTS[0].0);
    SORTS.iter().find(|(word, _)| *word == by).map(|(_, sql)| *sql).ok_or_else(|| {
        QueryError::invalid(format!("sort: `{by}` is no order"))
            .did_you_mean(by, &SORTS.map(|(word, _)| word))
    })
}

/// The columns of a log record in an answer.
const LOG: &str = "time, service_name, severity_number, severity_text, body, event_name, \
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
    async fn answer(self, asking: &mut Asking) -> Result<List<ErrorRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let arguments = [&range.from, &range.to, &self.root].map(Option::as_deref);
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
    async fn answer(self, asking: &mut Asking) -> Result<List<CompareRow>, QueryError> {
        let selection = needed("selection", self.selection)?;
        let range = range(self.from, self.to)?;
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

impl Answers for Heatmap {
    async fn answer(self, asking: &mut Asking) -> Result<HeatmapAnswer, QueryError> {
        let to = self.to.unwrap_or_else(|| time::format(asking.now_ns));
        let to_ns = time::parse(&to, 0).map_err(|e| QueryError::invalid(e.to_string()))?;
        let from = self.from.unwrap_or_else(|| time::format(to_ns.saturating_sub(HOUR_NS)));
        let range = range(Some(from), Some(to))?;
        let columns = self.columns.unwrap_or(COLUMNS_DEFAULT);
        if !(1..=COLUMNS_MAX).contains(&columns) {
            let message = format!("columns: {columns} is not from 1 to {COLUMNS_MAX}");
            return Err(QueryError::invalid(message));
        }
        let column_ns = match bounds_ns(&range)? {
            (Some(from_ns), Some(to_ns)) => column_ns(to_ns - from_ns, columns),
            _ => HOUR_NS,
        };
        let filter = match &self.filter {
            Some(filter) => bracketed(filter, &asking.engine.config().guard)?,
            None => "is_root".to_owned(),
        };
        let sql = format!(
            "SELECT time, bin, cast(ceil(power(2, bin / 2.0)) AS bigint) AS from_ns, \
             cast(ceil(power(2, (bin + 1) / 2.0)) AS bigint) AS to_ns, \"count\", errors, \
             example[1] AS slowest_trace, example[2] AS error_trace, example[3] AS median_trace \
             FROM (SELECT time_bucket('{}s', start_time) AS time, \
             cast(floor(2 * log2(greatest(duration_ns, 1))) AS bigint) AS bin, \
             count(*) AS \"count\", count(*) FILTER (WHERE is_error) AS errors, \
             exemplars(trace_id, duration_ns, is_error) AS example \
             FROM spans WHERE {} AND {filter} AND NOT is_duplicate GROUP BY 1, 2) \
             ORDER BY time, bin",
            column_ns / 1_000_000_000,
            within(&range, c::START_TIME)?
        );
        let cells = asking.rows(sql, None).await?;
        let basis = std::mem::take(&mut asking.basis);
        Ok(HeatmapAnswer { range, column_ns, cells, columns: Vec::new(), change: None, basis })
    }
}

/// The narrowest of the usual widths with which the columns suffice; one more may be begun.
pub(super) fn column_ns(length_ns: i64, columns: u64) -> i64 {
    const SECONDS: [i64; 19] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400,
        172_800, 604_800,
    ];
    let columns = i64::try_from(columns).unwrap_or(i64::MAX);
    let widths = SECONDS.iter().map(|seconds| seconds * 1_000_000_000);
    let last = 604_800 * 1_000_000_000;
    let enough = |width: &i64| length_ns <= width.saturating_mul(columns);
    // Beyond: whole weeks, as many as it takes.
    widths.clone().find(enough).unwrap_or_else(|| {
        let weeks = length_ns / columns / last + 1;
        weeks * last
    })
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
fn trace_id(text: String) -> Result<String, QueryError> {
    let id = ids::parse_hex::<16>(text.to_lowercase().as_bytes()).map(|id| ids::hex(&id));
    id.ok_or_else(|| {
        QueryError::invalid(format!("`{text}` is no trace id"))
            .with_hint("32 hex digits are needed")
    })
}

/// A parameter that must be there.
fn needed(name: &str, value: Option<String>) -> Result<String, QueryError> {
    value.ok_or_else(|| QueryError::invalid(format!("{name} is needed")))
}

fn literal(text: &Option<String>) -> String {
    text.as_deref().map_or("NULL".to_owned(), quoted)
}
