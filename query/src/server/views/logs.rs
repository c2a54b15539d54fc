//! Log records: pages, volume, patterns, what an instance wrote near a moment.

use api::time;
use api::views::{
    List, LogLine, LogPatternRow, LogPatterns, LogPatternsAnswer, LogRow, LogVolume, LogVolumeRow,
    Logs, LogsAnswer, NearbyLogs,
};
use schemas::{columns as c, ids};
use serde::Deserialize;

use super::questions::{LOG, needed, trace_id};
use super::ranges::{
    COLUMNS_DEFAULT, Grid, HOUR_NS, between, closed, ends_ns, instant_ns, of_ns, range, within,
};
use super::{Answers, Asking, INSTANCE};
use crate::QueryError;
use crate::filter::Over;
use crate::views::quoted;

/// Rows of a page where the question says nothing, and at most: a page carries whole resources.
const ROWS_DEFAULT: u64 = 100;
const ROWS_MAX: u64 = 5_000;
/// Columns of attributes that a list may have.
const COLUMNS_MAX: usize = 16;
/// Templates where the question says nothing.
const PATTERNS_DEFAULT: usize = 200;
/// Services that a template names.
const SERVICES_MAX: usize = 8;
const WITHIN_S_DEFAULT: f64 = 2.0;
const WITHIN_S_MAX: f64 = 600.0;

/// A page of records in time order. The order within one nanosecond is fixed, and a cursor counts
/// how many of its nanosecond have been shown: records have no id of their own.
impl Answers for Logs {
    const OVER: Option<Over> = Some(Over::Logs);

    async fn answer(self, asking: &mut Asking) -> Result<LogsAnswer, QueryError> {
        let range = range(self.from, self.to)?;
        let newest_first = match self.sort.as_deref() {
            None | Some("newest") => true,
            Some("oldest") => false,
            Some(other) => {
                let error = QueryError::invalid(format!("sort: `{other}` is no order"));
                return Err(error.did_you_mean(other, &["newest", "oldest"]));
            }
        };
        let limit = asking.options.limit.unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX);
        let mut conditions = vec![within(&range, c::TIME)?];
        conditions.push(asking.conditions(self.filter.as_deref(), &range)?);
        if let Some(id) = self.trace_id {
            conditions.push(format!("trace_id = '{}'", trace_id(id)?));
        }
        if let Some(id) = self.span_id {
            conditions.push(format!("span_id = '{}'", span_id(&id)?));
        }
        if let Some(pattern) = &self.pattern {
            conditions.push(format!("log_pattern(body) = {}", quoted(pattern)));
        }
        let cursor = self.after.as_deref().map(Cursor::read).transpose()?;
        let mut skip = 0;
        if let Some(cursor) = cursor {
            let op = if newest_first { "<=" } else { ">=" };
            conditions.push(format!("time {op} {}", time::sql_literal(cursor.time_ns)));
            skip = cursor.shown;
        }
        let columns = match &self.columns {
            Some(keys) => format!(", {} AS columns", columns(keys)?),
            None => String::new(),
        };
        let direction = if newest_first { " DESC" } else { "" };
        let sql = format!(
            "SELECT {LOG}, log_pattern(body) AS pattern, {INSTANCE} AS instance, scope_name, \
             resource{columns} FROM logs WHERE {} \
             ORDER BY time{direction}, service_name, trace_id, span_id, body LIMIT {} OFFSET {skip}",
            conditions.join(" AND "),
            limit + 1
        );
        let mut rows: Vec<LogLine> = asking.whole(sql).await?;
        let is_last = rows.len() as u64 <= limit;
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        asking.basis.stats.rows = rows.len() as u64;
        let next = if is_last { None } else { Cursor::behind(&rows, cursor)?.map(Cursor::write) };
        Ok(LogsAnswer { rows, range, next, basis: std::mem::take(&mut asking.basis) })
    }
}

/// Where a page ends: a time, and how many records of it have been shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    time_ns: i64,
    shown: u64,
}

impl Cursor {
    fn read(text: &str) -> Result<Cursor, QueryError> {
        let parts = text.split_once(':').and_then(|(time_ns, shown)| {
            Some(Cursor { time_ns: time_ns.parse().ok()?, shown: shown.parse().ok()? })
        });
        parts.ok_or_else(|| {
            QueryError::invalid("after: this is the cursor of no page")
                .with_hint("take `next` of the page before")
        })
    }

    fn write(self) -> String {
        format!("{}:{}", self.time_ns, self.shown)
    }

    /// The place behind the last row of a page that began at `before`.
    fn behind(rows: &[LogLine], before: Option<Cursor>) -> Result<Option<Cursor>, QueryError> {
        let Some(last) = rows.last() else { return Ok(before) };
        let time_ns = instant_ns(&last.log.time)?;
        let same = rows.iter().rev().take_while(|row| row.log.time == last.log.time).count();
        // A page of nothing but one nanosecond goes on where the page before ended.
        let carried = before.filter(|cursor| same == rows.len() && cursor.time_ns == time_ns);
        let shown = same as u64 + carried.map_or(0, |cursor| cursor.shown);
        Ok(Some(Cursor { time_ns, shown }))
    }
}

/// Values of attributes as a list of texts: `http.route,resource.k8s.pod.name`.
pub(super) fn columns(keys: &str) -> Result<String, QueryError> {
    let keys: Vec<&str> = keys.split(',').map(str::trim).filter(|key| !key.is_empty()).collect();
    if keys.is_empty() || keys.len() > COLUMNS_MAX {
        let message = format!("columns: {} are not from 1 to {COLUMNS_MAX}", keys.len());
        return Err(QueryError::invalid(message).with_hint("columns=http.route,resource.host.name"));
    }
    let values: Vec<String> = keys.into_iter().map(attribute).collect();
    Ok(format!("make_array({})", values.join(", ")))
}

/// The text of an attribute, of the resource where its key says so.
pub(super) fn attribute(key: &str) -> String {
    match key.strip_prefix("resource.").filter(|rest| !rest.is_empty()) {
        Some(rest) => format!("resource[{}]::text", quoted(rest)),
        None => {
            format!("attributes[{}]::text", quoted(key.strip_prefix("attributes.").unwrap_or(key)))
        }
    }
}

fn span_id(text: &str) -> Result<String, QueryError> {
    let id = ids::parse_hex::<8>(text.to_lowercase().as_bytes()).map(|id| ids::hex(&id));
    id.ok_or_else(|| {
        QueryError::invalid(format!("`{text}` is no span id")).with_hint("16 hex digits are needed")
    })
}

impl Answers for LogVolume {
    const OVER: Option<Over> = Some(Over::Logs);

    async fn answer(self, asking: &mut Asking) -> Result<List<LogVolumeRow>, QueryError> {
        #[derive(Deserialize)]
        struct Found {
            bin: i64,
            severities: Vec<u64>,
        }
        let range = closed(self.from, self.to, asking.now_ns, HOUR_NS)?;
        let grid = Grid::over(&range, self.bins.unwrap_or(COLUMNS_DEFAULT))?;
        let severity = |first: u32| {
            format!("count(*) FILTER (WHERE severity_number BETWEEN {first} AND {})", first + 3)
        };
        let severities: Vec<String> = (1..=21).step_by(4).map(severity).collect();
        let sql = format!(
            "SELECT {} AS bin, make_array({}, count(*) FILTER (WHERE severity_number NOT BETWEEN 1 \
             AND 24)) AS severities FROM logs WHERE {} AND {} GROUP BY 1 ORDER BY 1",
            grid.column_of(c::TIME),
            severities.join(", "),
            within(&range, c::TIME)?,
            asking.conditions(self.filter.as_deref(), &range)?
        );
        let found: Vec<Found> = asking.whole(sql).await?;
        let counts = grid.fill(found.into_iter().map(|found| (found.bin, found.severities)));
        let row = |(column, counts): (usize, Vec<u64>)| {
            let count = |severity: usize| counts.get(severity).copied().unwrap_or(0);
            LogVolumeRow {
                time: time::format(grid.start_ns(column)),
                trace: count(0),
                debug: count(1),
                info: count(2),
                warn: count(3),
                error: count(4),
                fatal: count(5),
                unspecified: count(6),
            }
        };
        let rows = counts.into_iter().enumerate().map(row).collect();
        let mut answer = asking.list(rows, range);
        answer.bins = Some(grid.bins());
        Ok(answer)
    }
}

/// A template with its records by column.
#[derive(Deserialize)]
struct Pattern {
    pattern: Option<String>,
    bin: Option<i64>,
    count: u64,
    before: u64,
    severity_number: Option<i64>,
    first_seen: Option<String>,
    last_seen: Option<String>,
    services: Option<Vec<String>>,
    example: Option<String>,
    exemplar_trace: Option<String>,
    exemplar_span: Option<String>,
}

impl Answers for LogPatterns {
    const OVER: Option<Over> = Some(Over::Logs);

    async fn answer(self, asking: &mut Asking) -> Result<LogPatternsAnswer, QueryError> {
        let range = closed(self.from, self.to, asking.now_ns, HOUR_NS)?;
        let grid = self.bins.map(|bins| Grid::over(&range, bins)).transpose()?;
        let conditions = asking.conditions(self.filter.as_deref(), &range)?;
        let (from_ns, to_ns) = ends_ns(&range)?;
        let both = (from_ns.saturating_sub(to_ns - from_ns), to_ns);
        let found: Vec<Pattern> =
            asking.whole(patterns_sql(from_ns, both, grid, &conditions)).await?;
        let mut answer = assembled(found, grid);
        answer.bins = grid.map(|grid| grid.bins());
        let limit = asking.options.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(PATTERNS_DEFAULT);
        asking.basis.stats.truncated |= answer.rows.len() > limit;
        answer.rows.truncate(limit);
        asking.basis.stats.rows = answer.rows.len() as u64;
        answer.range = range;
        answer.basis = std::mem::take(&mut asking.basis);
        Ok(answer)
    }
}

/// One row a template over the range and the period before, and one a template and column.
fn patterns_sql(from_ns: i64, both: (i64, i64), grid: Option<Grid>, conditions: &str) -> String {
    let inside = format!("time >= {}", time::sql_literal(from_ns));
    let (bin, groups) = match grid {
        None => ("cast(NULL AS bigint)".to_owned(), "pattern, bin"),
        Some(grid) => (
            format!("CASE WHEN {inside} THEN {} ELSE -1 END", grid.column_of(c::TIME)),
            "GROUPING SETS ((pattern), (pattern, bin))",
        ),
    };
    format!(
        "SELECT pattern, bin, count(*) FILTER (WHERE inside) AS \"count\", \
         count(*) FILTER (WHERE NOT inside) AS before, \
         max(severity_number) FILTER (WHERE inside) AS severity_number, \
         min(time) FILTER (WHERE inside) AS first_seen, \
         max(time) FILTER (WHERE inside) AS last_seen, \
         array_slice(array_sort(array_agg(DISTINCT service_name) FILTER (WHERE inside)), 1, \
         {SERVICES_MAX}) AS services, \
         first_value(body ORDER BY time DESC) FILTER (WHERE inside) AS example, \
         first_value(trace_id ORDER BY time DESC) \
         FILTER (WHERE inside AND trace_id IS NOT NULL) AS exemplar_trace, \
         first_value(span_id ORDER BY time DESC) \
         FILTER (WHERE inside AND trace_id IS NOT NULL) AS exemplar_span \
         FROM (SELECT log_pattern(body) AS pattern, {bin} AS bin, {inside} AS inside, time, \
         severity_number, service_name, body, trace_id, span_id \
         FROM logs WHERE {} AND {conditions}) GROUP BY {groups} \
         ORDER BY \"count\" DESC, pattern",
        between(both, c::TIME)
    )
}

/// Templates with their trends, new ones first.
fn assembled(found: Vec<Pattern>, grid: Option<Grid>) -> LogPatternsAnswer {
    let (wholes, columns): (Vec<Pattern>, Vec<Pattern>) =
        found.into_iter().partition(|row| row.bin.is_none());
    let mut trends: std::collections::HashMap<Option<String>, Vec<(i64, u64)>> =
        std::collections::HashMap::new();
    for column in columns {
        let bin = column.bin.unwrap_or(-1);
        trends.entry(column.pattern).or_default().push((bin, column.count));
    }
    let records = wholes.iter().map(|row| row.count).sum();
    let records_before = wholes.iter().map(|row| row.before).sum();
    let row = |whole: Pattern| LogPatternRow {
        trend: grid.map_or(Vec::new(), |grid| {
            grid.fill(trends.remove(&whole.pattern).unwrap_or_default())
        }),
        share: whole.count as f64 / f64::max(1.0, records as f64),
        is_new: whole.before == 0 && records_before > 0,
        pattern: whole.pattern.unwrap_or_default(),
        count: whole.count,
        before: whole.before,
        severity_number: whole.severity_number,
        first_seen: whole.first_seen.unwrap_or_default(),
        last_seen: whole.last_seen.unwrap_or_default(),
        services: whole.services.unwrap_or_default(),
        example: whole.example,
        exemplar_trace: whole.exemplar_trace,
        exemplar_span: whole.exemplar_span,
    };
    let mut rows: Vec<LogPatternRow> =
        wholes.into_iter().filter(|whole| whole.count > 0).map(row).collect();
    // Stable: within each the most frequent stay first.
    rows.sort_by_key(|row| !row.is_new);
    LogPatternsAnswer { rows, records, records_before, ..LogPatternsAnswer::default() }
}

impl Answers for NearbyLogs {
    async fn answer(self, asking: &mut Asking) -> Result<List<LogRow>, QueryError> {
        let at_ns = instant_ns(&needed("at", self.at)?)?;
        let service = needed("service", self.service)?;
        let within_s = self.within_s.unwrap_or(WITHIN_S_DEFAULT);
        if !(0.0..=WITHIN_S_MAX).contains(&within_s) {
            let message = format!("within_s: {within_s} is not from 0 to {WITHIN_S_MAX}");
            return Err(QueryError::invalid(message));
        }
        let around_ns = (within_s * 1e9) as i64;
        let range = of_ns((at_ns.saturating_sub(around_ns), at_ns.saturating_add(around_ns + 1)));
        let of_instance = match &self.instance {
            Some(instance) => format!(" AND {INSTANCE} = {}", quoted(instance)),
            None => String::new(),
        };
        let sql = format!(
            "SELECT {LOG} FROM logs WHERE {} AND service_name = {} AND trace_id IS NULL\
             {of_instance} ORDER BY time, body",
            within(&range, c::TIME)?,
            quoted(&service)
        );
        let rows = asking.rows(sql, Some(ROWS_DEFAULT)).await?;
        Ok(asking.list(rows, range))
    }
}
