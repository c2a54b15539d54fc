//! Metrics by how much they changed at a moment.

use std::collections::HashMap;

use api::time;
use api::views::{List, MetricsRanked, RankedMetricRow};
use schemas::{Table, columns as c};
use serde::Deserialize;

use super::metrics::{POINTS, Points, VALUE, shows};
use super::questions::needed;
use super::ranges::{COLUMNS_DEFAULT, Grid, MINUTE_NS, between, ends_ns, instant_ns, range};
use super::{Answers, Asking};
use crate::QueryError;
use crate::change::{median, robust_z};
use crate::filter::Over;
use crate::views::quoted;

/// What is looked at to both sides of the moment where the question names no range.
const AROUND_NS: i64 = 5 * MINUTE_NS;
const ROWS_DEFAULT: usize = 50;
/// Series that are compared; those beyond are left out, and the answer says that it was cut.
const SERIES_MAX: usize = 20_000;
/// Columns from the moment on in which a change is looked for.
const COLUMNS_AT: usize = 4;
const LABELS_MAX: usize = 4;

/// A series with its values by column.
#[derive(Deserialize)]
struct Series {
    metric: String,
    kind: String,
    series_id: String,
    service_name: String,
    unit: Option<String>,
    is_rate: bool,
    bins: Vec<i64>,
    values: Vec<Option<f64>>,
}

impl Answers for MetricsRanked {
    const OVER: Option<Over> = Some(Over::Metrics);

    async fn answer(self, asking: &mut Asking) -> Result<List<RankedMetricRow>, QueryError> {
        let at_ns = instant_ns(&needed("at", self.at)?)?;
        let around = |ns: i64| Some(time::format(at_ns.saturating_add(ns)));
        let range = range(self.from.or(around(-AROUND_NS)), self.to.or(around(AROUND_NS)))?;
        let ends = ends_ns(&range)?;
        let grid = Grid::over(&range, self.columns.unwrap_or(COLUMNS_DEFAULT))?;
        let conditions = asking.conditions(self.filter.as_deref(), &range)?;
        let label = "cast(NULL AS varchar)";
        let points = Points { ends, grid, conditions: &conditions, label };
        let tables = asking.holding(&POINTS, ends);
        let mut series: Vec<Series> = asking.whole(series_sql(&points, &tables)).await?;
        if series.len() > SERIES_MAX {
            series.truncate(SERIES_MAX);
            asking.basis.stats.truncated = true;
        }
        let moment = (at_ns - grid.from_ns).div_euclid(grid.width_ns);
        let moment = usize::try_from(moment).unwrap_or(0).min(grid.count.saturating_sub(1));
        let mut rows = best(series, &grid, moment);
        let limit = asking.options.limit.and_then(|limit| usize::try_from(limit).ok());
        rows.truncate(limit.unwrap_or(ROWS_DEFAULT));
        add_labels(asking, &mut rows, ends).await?;
        add_exemplars(asking, &mut rows, (at_ns - grid.width_ns, ends.1)).await?;
        let mut answer = asking.list(rows, range);
        answer.bins = Some(grid.bins());
        Ok(answer)
    }
}

/// One row a series with its values as lists.
fn series_sql(points: &Points<'_>, tables: &[Table]) -> String {
    format!(
        "SELECT metric, kind, series_id, max(service_name) AS service_name, max(unit) AS unit, \
         bool_or(is_rate) AS is_rate, array_agg(bin ORDER BY bin) AS bins, \
         array_agg(\"value\" ORDER BY bin) AS \"values\" \
         FROM (SELECT metric, kind, series_id, bin, max(service_name) AS service_name, \
         max(unit) AS unit, bool_or(is_rate) AS is_rate, {VALUE} AS \"value\" \
         FROM ({}) GROUP BY 1, 2, 3, 4) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT {}",
        points.by_series(tables),
        SERIES_MAX + 1
    )
}

/// Of each metric the series that changed most, the largest change first.
fn best(series: Vec<Series>, grid: &Grid, moment: usize) -> Vec<RankedMetricRow> {
    let mut metrics: HashMap<(String, String), RankedMetricRow> = HashMap::new();
    for one in series {
        let row = judged(one, grid, moment);
        let key = (row.metric.clone(), row.kind.clone());
        match metrics.get_mut(&key) {
            None => drop(metrics.insert(key, row)),
            Some(held) => {
                let series = held.series + 1;
                if row.score.abs() > held.score.abs() {
                    *held = row;
                }
                held.series = series;
            }
        }
    }
    let mut rows: Vec<RankedMetricRow> = metrics.into_values().collect();
    rows.sort_by(|a, b| {
        let by_score = b.score.abs().total_cmp(&a.score.abs());
        by_score.then_with(|| (&a.metric, &a.kind).cmp(&(&b.metric, &b.kind)))
    });
    rows
}

/// A series with its change at the moment.
fn judged(series: Series, grid: &Grid, moment: usize) -> RankedMetricRow {
    let trend: Vec<Option<f64>> = grid.fill(series.bins.into_iter().zip(series.values));
    let before: Vec<f64> = trend[..moment].iter().flatten().copied().collect();
    let behind = &trend[moment..];
    let candidates = behind.iter().take(COLUMNS_AT).flatten();
    let scored = candidates.map(|value| (robust_z(*value, &before), *value));
    let largest = scored.max_by(|(a, _), (b, _)| a.abs().total_cmp(&b.abs()));
    RankedMetricRow {
        metric: series.metric,
        unit: series.unit,
        kind: series.kind,
        shows: shows(series.is_rate),
        service_name: series.service_name,
        series_id: series.series_id,
        labels: Vec::new(),
        series: 1,
        score: largest.map_or(0.0, |(z, _)| z),
        before: median(before),
        at: largest.map(|(_, value)| value),
        flips: flips(behind),
        trend,
        exemplar_trace: None,
    }
}

/// How often the direction turns.
fn flips(values: &[Option<f64>]) -> u64 {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let steps = known.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step != 0.0);
    let steps: Vec<f64> = steps.collect();
    steps.windows(2).filter(|pair| pair[0].signum() != pair[1].signum()).count() as u64
}

fn ids(rows: &[RankedMetricRow]) -> String {
    let ids: Vec<String> = rows.iter().map(|row| quoted(&row.series_id)).collect();
    ids.join(", ")
}

/// Attributes that name the series.
async fn add_labels(
    asking: &mut Asking,
    rows: &mut [RankedMetricRow],
    ends: (i64, i64),
) -> Result<(), QueryError> {
    #[derive(Deserialize)]
    struct Labels {
        series_id: String,
        attributes: Option<String>,
    }
    if rows.is_empty() {
        return Ok(());
    }
    let of = |table: &Table| {
        format!(
            "SELECT series_id, max(attributes) AS attributes FROM {} WHERE {} \
             AND series_id IN ({}) GROUP BY 1",
            table.name(),
            between(ends, c::TIME),
            ids(rows)
        )
    };
    let selects: Vec<String> = asking.holding(&POINTS, ends).iter().map(of).collect();
    let labels: Vec<Labels> = asking.whole(selects.join(" UNION ALL ")).await?;
    for Labels { series_id, attributes } in labels {
        let members: serde_json::Map<String, serde_json::Value> =
            attributes.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let shown = members.into_iter().take(LABELS_MAX).map(|(key, value)| match value {
            serde_json::Value::String(text) => format!("{key}={text}"),
            other => format!("{key}={other}"),
        });
        if let Some(row) = rows.iter_mut().find(|row| row.series_id == series_id) {
            row.labels = shown.collect();
        }
    }
    Ok(())
}

/// The trace of the largest measurement behind the moment.
async fn add_exemplars(
    asking: &mut Asking,
    rows: &mut [RankedMetricRow],
    ends: (i64, i64),
) -> Result<(), QueryError> {
    #[derive(Deserialize)]
    struct Found {
        series_id: String,
        trace_id: String,
    }
    if rows.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT series_id, first_value(trace_id ORDER BY coalesce(value_double, \
         cast(value_int AS double)) DESC, trace_id) AS trace_id FROM metric_exemplars \
         WHERE {} AND trace_id IS NOT NULL AND series_id IN ({}) GROUP BY 1",
        between(ends, c::TIME),
        ids(rows)
    );
    for Found { series_id, trace_id } in asking.whole(sql).await? {
        if let Some(row) = rows.iter_mut().find(|row| row.series_id == series_id) {
            row.exemplar_trace = Some(trace_id);
        }
    }
    Ok(())
}
