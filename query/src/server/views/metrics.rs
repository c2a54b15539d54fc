//! Metrics: the catalogue, one metric over time.

use std::collections::{BTreeMap, HashMap};

use api::views::{
    List, MetricExemplar, MetricGroup, MetricRow, MetricSeries, MetricSeriesAnswer, Metrics,
    QuantileLine,
};
use schemas::{Table, columns as c};
use serde::Deserialize;

use super::logs::attribute;
use super::questions::needed;
use super::ranges::{COLUMNS_DEFAULT, Grid, HOUR_NS, MINUTE_NS, between, closed, ends_ns};
use super::{Answers, Asking};
use crate::QueryError;
use crate::filter::Over;
use crate::series::{Bucket, Counts, quantile};
use crate::views::quoted;

const TREND_DEFAULT: u64 = 20;
/// Groups that are shown by themselves.
const GROUPS_MAX: usize = 8;
const EXEMPLARS_MAX: u64 = 500;
const EXEMPLARS_A_COLUMN: u64 = 3;
const QUANTILES_MAX: usize = 10;
/// Columns of a trend, by number.
type Trend = Vec<(i64, Option<f64>)>;

/// How far before the range the point is looked for from which the first one has grown.
const BEFORE_NS: i64 = 5 * MINUTE_NS;

/// The tables of points.
pub(super) const POINTS: [Table; 3] =
    [Table::MetricPoints, Table::MetricHistograms, Table::MetricSummaries];

/// Which points are looked at.
pub(super) struct Points<'a> {
    pub(super) ends: (i64, i64),
    pub(super) grid: Grid,
    /// The condition of the question, over columns that all three tables have.
    pub(super) conditions: &'a str,
    /// What tells groups apart.
    pub(super) label: &'a str,
}

impl Points<'_> {
    /// One row a metric, kind, label, series and column over all three tables: `total` and `weight`
    /// for a mean, `rate` for what only grows, `least`, `most`, `observed`, `resets`.
    pub(super) fn by_series(&self, tables: &[Table]) -> String {
        let selects: Vec<String> = tables.iter().map(|table| self.of_table(*table)).collect();
        selects.join(" UNION ALL ")
    }

    fn of_table(&self, table: Table) -> String {
        let Points { ends: (from_ns, to_ns), grid, conditions, label } = self;
        let scanned = (from_ns.saturating_sub(BEFORE_NS), *to_ns);
        let (values, sums) = match table {
            Table::MetricPoints => (NUMBERS, NUMBER_SUMS),
            Table::MetricHistograms => (HISTOGRAMS, OBSERVED_SUMS),
            _ => (SUMMARIES, OBSERVED_SUMS),
        };
        format!(
            "SELECT metric, kind, label, series_id, bin, max(service_name) AS service_name, \
             max(unit) AS unit, bool_or(is_rate) AS is_rate, {sums}, \
             count(*) FILTER (WHERE is_reset) AS resets FROM (SELECT *, {bin} AS bin, \
             CASE WHEN is_delta THEN v WHEN is_reset THEN v \
             WHEN before IS NULL THEN CASE WHEN began THEN v END ELSE v - before END AS grown, \
             CASE WHEN is_delta THEN s WHEN is_reset THEN s \
             WHEN before IS NULL THEN CASE WHEN began THEN s END ELSE s - s_before END AS s_grown, \
             (epoch_ns(time) - CASE WHEN is_delta OR before IS NULL \
             THEN coalesce(epoch_ns(start_time), epoch_ns(time_before)) \
             ELSE epoch_ns(time_before) END) / 1e9 AS seconds \
             FROM (SELECT *, v < before AND NOT is_delta AND grows AS is_reset, \
             start_time >= {began} AS began FROM (SELECT metric, kind, {label} AS label, series_id, \
             service_name, unit, time, start_time, coalesce(temporality = 'delta', FALSE) AS is_delta, \
             {values}, lag({v}) OVER (PARTITION BY series_id ORDER BY time) AS before, \
             lag({s}) OVER (PARTITION BY series_id ORDER BY time) AS s_before, \
             lag(time) OVER (PARTITION BY series_id ORDER BY time) AS time_before \
             FROM {table} WHERE {scanned} AND {conditions} AND flags % 2 = 0)) WHERE {inside}) \
             GROUP BY 1, 2, 3, 4, 5",
            bin = grid.column_of(c::TIME),
            began = api::time::sql_literal(scanned.0),
            v = if table == Table::MetricPoints {
                "\"value\""
            } else {
                "cast(\"count\" AS double)"
            },
            s = if table == Table::MetricPoints { "\"value\"" } else { "\"sum\"" },
            table = table.name(),
            scanned = between(scanned, c::TIME),
            inside = between((*from_ns, *to_ns), c::TIME),
        )
    }
}

/// What a point holds: its value and sum, whether it only grows, whether its rate is shown.
const NUMBERS: &str = "\"value\" AS v, \"value\" AS s, cast(NULL AS double) AS low, \
                       cast(NULL AS double) AS high, \
                       coalesce(kind = 'sum' AND is_monotonic, FALSE) AS grows, \
                       coalesce(kind = 'sum' AND (is_monotonic OR temporality = 'delta'), FALSE) AS is_rate";
const HISTOGRAMS: &str = "cast(\"count\" AS double) AS v, \"sum\" AS s, \
                          CASE WHEN temporality = 'delta' THEN \"min\" END AS low, \
                          CASE WHEN temporality = 'delta' THEN \"max\" END AS high, \
                          TRUE AS grows, FALSE AS is_rate";
const SUMMARIES: &str = "cast(\"count\" AS double) AS v, \"sum\" AS s, \
                         cast(NULL AS double) AS low, cast(NULL AS double) AS high, \
                         TRUE AS grows, FALSE AS is_rate";

const NUMBER_SUMS: &str = "sum(v) AS total, cast(count(v) AS double) AS weight, \
                           sum(grown) / nullif(sum(seconds) FILTER (WHERE grown IS NOT NULL), 0) \
                           AS rate, min(v) AS least, max(v) AS most, \
                           cast(count(v) AS double) AS observed";
const OBSERVED_SUMS: &str = "sum(s_grown) AS total, sum(grown) AS weight, \
                             cast(NULL AS double) AS rate, min(low) AS least, max(high) AS most, \
                             sum(grown) AS observed";

/// The value of a group from the rows of its series.
pub(super) const VALUE: &str =
    "CASE WHEN bool_or(is_rate) THEN sum(rate) ELSE sum(total) / nullif(sum(weight), 0) END";

pub(super) fn shows(is_rate: bool) -> String {
    if is_rate { "rate" } else { "mean" }.to_owned()
}

impl Answers for Metrics {
    const OVER: Option<Over> = Some(Over::Metrics);

    async fn answer(self, asking: &mut Asking) -> Result<List<MetricRow>, QueryError> {
        #[derive(Deserialize)]
        struct Column {
            metric: String,
            kind: String,
            bin: i64,
            value: Option<f64>,
        }
        let range = closed(self.from, self.to, asking.now_ns, HOUR_NS)?;
        let grid = Grid::over(&range, self.bins.unwrap_or(TREND_DEFAULT))?;
        let conditions = asking.conditions(self.filter.as_deref(), &range)?;
        let ends = ends_ns(&range)?;
        let tables = asking.holding(&POINTS, ends);
        let label = "cast(NULL AS varchar)";
        let points = Points { ends, grid, conditions: &conditions, label };
        let sql = format!(
            "SELECT metric, kind, bin, {VALUE} AS \"value\" FROM ({}) GROUP BY 1, 2, 3",
            points.by_series(&tables)
        );
        let (mut rows, columns): (Vec<MetricRow>, Vec<Column>) =
            asking.both(catalogue(&tables, ends, &conditions), sql).await?;
        asking.cut(&mut rows);
        let mut trends: HashMap<(String, String), Trend> = HashMap::new();
        for Column { metric, kind, bin, value } in columns {
            trends.entry((metric, kind)).or_default().push((bin, value));
        }
        for row in &mut rows {
            let own = trends.remove(&(row.metric.clone(), row.kind.clone()));
            row.trend = grid.fill(own.unwrap_or_default());
            row.last_value = row.trend.iter().rev().flatten().next().copied();
        }
        let mut answer = asking.list(rows, range);
        answer.bins = Some(grid.bins());
        Ok(answer)
    }
}

/// One row a metric and kind.
fn catalogue(tables: &[Table], ends: (i64, i64), conditions: &str) -> String {
    let of = |table: &Table| {
        format!(
            "SELECT metric, kind, unit, description, temporality, is_monotonic, series_id, \
             service_name, time FROM {} WHERE {} AND {conditions}",
            table.name(),
            between(ends, c::TIME)
        )
    };
    format!(
        "SELECT metric, kind, max(unit) AS unit, max(description) AS description, \
         max(temporality) AS temporality, bool_or(is_monotonic) AS is_monotonic, \
         CASE WHEN kind = 'sum' AND (bool_or(is_monotonic) OR max(temporality) = 'delta') \
         THEN 'rate' ELSE 'mean' END AS shows, count(DISTINCT series_id) AS series, \
         count(*) AS points, count(DISTINCT service_name) AS services, max(time) AS last_time, \
         cast(NULL AS double) AS last_value, make_array() AS trend \
         FROM ({}) GROUP BY 1, 2 ORDER BY 1, 2",
        tables.iter().map(of).collect::<Vec<_>>().join(" UNION ALL ")
    )
}

/// What is known of a metric before its columns are chosen.
#[derive(Deserialize)]
struct Facts {
    kind: String,
    unit: Option<String>,
    temporality: Option<String>,
    interval_ns: Option<f64>,
}

fn facts_sql(tables: &[Table], ends: (i64, i64), conditions: &str) -> String {
    let of = |table: &Table| {
        format!(
            "SELECT kind, max(unit) AS unit, max(temporality) AS temporality, count(*) AS points, \
             (epoch_ns(max(time)) - epoch_ns(min(time))) / nullif(count(DISTINCT time) - 1, 0) AS interval_ns \
             FROM {} WHERE {} AND {conditions} GROUP BY kind, series_id",
            table.name(),
            between(ends, c::TIME)
        )
    };
    format!(
        "SELECT kind, max(unit) AS unit, max(temporality) AS temporality, \
         p50(interval_ns) AS interval_ns FROM ({}) GROUP BY kind ORDER BY sum(points) DESC",
        tables.iter().map(of).collect::<Vec<_>>().join(" UNION ALL ")
    )
}

fn table_of(kind: &str) -> Table {
    match kind {
        "histogram" | "exponential_histogram" => Table::MetricHistograms,
        "summary" => Table::MetricSummaries,
        _ => Table::MetricPoints,
    }
}

impl Answers for MetricSeries {
    const OVER: Option<Over> = Some(Over::Metrics);

    async fn answer(self, asking: &mut Asking) -> Result<MetricSeriesAnswer, QueryError> {
        let metric = needed(c::METRIC, self.metric)?;
        let quantiles = read_quantiles(self.quantiles.as_deref())?;
        let range = closed(self.from, self.to, asking.now_ns, HOUR_NS)?;
        let asked = asking.conditions(self.filter.as_deref(), &range)?;
        let conditions = format!("metric = {} AND {asked}", quoted(&metric));
        let ends = ends_ns(&range)?;
        let tables = asking.holding(&POINTS, ends);
        let facts: Vec<Facts> = asking.whole(facts_sql(&tables, ends, &conditions)).await?;
        let interval_ns = facts.first().and_then(|facts| facts.interval_ns).map(|ns| ns as i64);
        let columns = self.columns.unwrap_or(COLUMNS_DEFAULT);
        let grid = Grid::wider(&range, columns, interval_ns.unwrap_or(0))?;
        let mut answer = MetricSeriesAnswer {
            metric,
            shows: shows(false),
            bins: grid.bins(),
            interval_ns,
            ..MetricSeriesAnswer::default()
        };
        if let Some(facts) = facts.into_iter().next() {
            let of_kind = format!("{conditions} AND kind = {}", quoted(&facts.kind));
            let by = self.by.as_deref().map_or("cast(NULL AS varchar)".to_owned(), label);
            let points = Points { ends, grid, conditions: &of_kind, label: &by };
            let table = table_of(&facts.kind);
            let slots = slots(asking, &points, table, self.by.is_some()).await?;
            lines(asking, &points, table, &slots, &mut answer).await?;
            match table {
                Table::MetricHistograms => {
                    add_quantiles(asking, &points, &slots, &quantiles, &mut answer).await?;
                }
                Table::MetricSummaries => {
                    add_own_quantiles(asking, &points, &slots, &mut answer).await?;
                }
                _ => {}
            }
            answer.exemplars = exemplars(asking, &answer.metric, &points, table).await?;
            (answer.kind, answer.unit) = (Some(facts.kind), facts.unit);
            answer.temporality = facts.temporality;
        }
        answer.range = range;
        answer.basis = std::mem::take(&mut asking.basis);
        Ok(answer)
    }
}

fn label(by: &str) -> String {
    if by == "service" { c::SERVICE_NAME.to_owned() } else { attribute(by) }
}

fn read_quantiles(text: Option<&str>) -> Result<Vec<f64>, QueryError> {
    let Some(text) = text else { return Ok(vec![0.5, 0.95, 0.99]) };
    let read: Option<Vec<f64>> = text
        .split(',')
        .map(|part| part.trim().parse::<f64>().ok().filter(|q| (0.0..=1.0).contains(q)))
        .collect();
    read.filter(|quantiles| (1..=QUANTILES_MAX).contains(&quantiles.len())).ok_or_else(|| {
        QueryError::invalid(format!(
            "quantiles: `{text}` are not 1 to {QUANTILES_MAX} numbers from 0 to 1"
        ))
        .with_hint("quantiles=0.5,0.99")
    })
}

/// The labels that are shown by themselves, in order; the others share the slot behind them.
struct Slots {
    labels: Vec<Option<String>>,
    /// Number of a label's slot, as SQL over the column `label`.
    sql: String,
}

async fn slots(
    asking: &mut Asking,
    points: &Points<'_>,
    table: Table,
    is_grouped: bool,
) -> Result<Slots, QueryError> {
    #[derive(Deserialize)]
    struct Label {
        label: Option<String>,
    }
    if !is_grouped {
        return Ok(Slots { labels: vec![None], sql: "0".to_owned() });
    }
    let sql = format!(
        "SELECT label FROM (SELECT label, bin, {VALUE} AS \"value\" FROM ({}) GROUP BY 1, 2) \
         GROUP BY 1 ORDER BY sum(abs(\"value\")) DESC NULLS LAST, 1 LIMIT {GROUPS_MAX}",
        points.by_series(&[table])
    );
    let labels: Vec<Label> = asking.whole(sql).await?;
    let labels: Vec<Option<String>> = labels.into_iter().map(|row| row.label).collect();
    let when = |(slot, label): (usize, &Option<String>)| match label {
        Some(label) => format!("WHEN label = {} THEN {slot}", quoted(label)),
        None => format!("WHEN label IS NULL THEN {slot}"),
    };
    let whens: Vec<String> = labels.iter().enumerate().map(when).collect();
    let sql = match whens.is_empty() {
        true => "0".to_owned(),
        false => format!("CASE {} ELSE {} END", whens.join(" "), labels.len()),
    };
    Ok(Slots { labels, sql })
}

/// The lines of all groups.
async fn lines(
    asking: &mut Asking,
    points: &Points<'_>,
    table: Table,
    slots: &Slots,
    answer: &mut MetricSeriesAnswer,
) -> Result<(), QueryError> {
    #[derive(Default, Deserialize)]
    struct Line {
        slot: usize,
        bin: Option<i64>,
        is_rate: bool,
        series: u64,
        value: Option<f64>,
        least: Option<f64>,
        most: Option<f64>,
        observed: Option<f64>,
        resets: u64,
    }
    let sql = format!(
        "SELECT slot, bin, bool_or(is_rate) AS is_rate, count(DISTINCT series_id) AS series, \
         {VALUE} AS \"value\", min(least) AS least, max(most) AS most, sum(observed) AS observed, \
         sum(resets) AS resets FROM (SELECT *, {} AS slot FROM ({})) \
         GROUP BY GROUPING SETS ((slot), (slot, bin)) ORDER BY slot, bin",
        slots.sql,
        points.by_series(&[table])
    );
    let grid = &points.grid;
    let mut by_slot: BTreeMap<usize, Vec<Line>> = BTreeMap::new();
    for line in asking.whole::<Line>(sql).await? {
        by_slot.entry(line.slot).or_default().push(line);
    }
    for (slot, lines) in by_slot {
        let (wholes, lines): (Vec<Line>, Vec<Line>) =
            lines.into_iter().partition(|line| line.bin.is_none());
        let whole = wholes.into_iter().next().unwrap_or_default();
        answer.shows = shows(whole.is_rate);
        let numbers = |value: fn(&Line) -> Option<f64>| {
            grid.fill(lines.iter().filter_map(|line| Some((line.bin?, value(line)))))
        };
        let resets = lines.iter().filter(|line| line.resets > 0);
        answer.groups.push(MetricGroup {
            label: slots.labels.get(slot).cloned().flatten(),
            is_other: slot >= slots.labels.len(),
            series: whole.series,
            value: numbers(|line| line.value),
            min: numbers(|line| line.least),
            max: numbers(|line| line.most),
            count: numbers(|line| line.observed)
                .into_iter()
                .map(|count| count.unwrap_or(0.0) as u64)
                .collect(),
            resets: resets.filter_map(|line| usize::try_from(line.bin?).ok()).collect(),
            quantiles: Vec::new(),
        });
    }
    Ok(())
}

/// A histogram point with what it takes to tell its growth.
#[derive(Deserialize)]
struct HistogramPoint {
    slot: usize,
    bin: i64,
    series_id: String,
    is_delta: bool,
    began: bool,
    low: Option<f64>,
    high: Option<f64>,
    /// JSON has no infinities; a bound that is none of them is absent.
    bounds: Option<Vec<Option<f64>>>,
    bucket_counts: Option<Vec<u64>>,
    scale: Option<i32>,
    zero_count: Option<u64>,
    pos_offset: Option<i32>,
    pos_counts: Option<Vec<u64>>,
    neg_offset: Option<i32>,
    neg_counts: Option<Vec<u64>>,
}

impl HistogramPoint {
    fn counts(&self) -> Option<Counts> {
        if let Some(scale) = self.scale {
            let side = |offset: Option<i32>, counts: &Option<Vec<u64>>| {
                let counts = counts.iter().flatten().enumerate();
                counts
                    .map(|(i, count)| (offset.unwrap_or(0).saturating_add(i as i32), *count))
                    .collect()
            };
            return Some(Counts::Exponential {
                scale,
                zero: self.zero_count.unwrap_or(0),
                positive: side(self.pos_offset, &self.pos_counts),
                negative: side(self.neg_offset, &self.neg_counts),
            });
        }
        let bounds = self.bounds.iter().flatten().map(|bound| bound.unwrap_or(f64::INFINITY));
        let (bounds, counts) = (bounds.collect(), self.bucket_counts.clone()?);
        Some(Counts::Explicit { bounds, counts })
    }
}

/// Quantiles by column. Growth between lists of counts is none that SQL could tell, so the points
/// come here, as many as an answer may have rows.
async fn add_quantiles(
    asking: &mut Asking,
    points: &Points<'_>,
    slots: &Slots,
    quantiles: &[f64],
    answer: &mut MetricSeriesAnswer,
) -> Result<(), QueryError> {
    let scanned = (points.ends.0.saturating_sub(BEFORE_NS), points.ends.1);
    let sql = format!(
        "SELECT {slot} AS slot, {bin} AS bin, series_id, \
         coalesce(temporality = 'delta', FALSE) AS is_delta, \
         coalesce(start_time >= {began}, FALSE) AS began, \"min\" AS low, \"max\" AS high, bounds, \
         bucket_counts, scale, zero_count, pos_offset, pos_counts, neg_offset, neg_counts \
         FROM (SELECT *, {label} AS label FROM {table} WHERE {scanned} AND {conditions} \
         AND flags % 2 = 0) ORDER BY series_id, time",
        slot = slots.sql,
        bin = points.grid.column_of(c::TIME),
        began = api::time::sql_literal(scanned.0),
        label = points.label,
        table = Table::MetricHistograms.name(),
        scanned = between(scanned, c::TIME),
        conditions = points.conditions,
    );
    let mut buckets: HashMap<(usize, i64), Vec<Bucket>> = HashMap::new();
    let mut before: Option<(String, Counts)> = None;
    for point in asking.whole::<HistogramPoint>(sql).await? {
        let Some(counts) = point.counts() else { continue };
        let same = before.take().filter(|(series, _)| *series == point.series_id);
        let grown = match same {
            _ if point.is_delta => Some(counts.clone()),
            Some((_, before)) => Some(counts.since(&before)),
            None => point.began.then(|| counts.clone()),
        };
        if let Some(grown) = grown {
            // The extremes of a cumulative point are those since its start: only the upper one closes
            // an open end.
            let low = point.low.filter(|_| point.is_delta);
            let into = buckets.entry((point.slot, point.bin)).or_default();
            into.extend(grown.buckets(low, point.high));
        }
        before = Some((point.series_id, counts));
    }
    for (slot, group) in answer.groups.iter_mut().enumerate() {
        let line = |&q: &f64| {
            let values = (0..points.grid.count as i64)
                .map(|bin| (bin, buckets.get_mut(&(slot, bin)).and_then(|b| quantile(b, q))));
            QuantileLine { quantile: q, values: points.grid.fill(values) }
        };
        group.quantiles = quantiles.iter().map(line).collect();
    }
    Ok(())
}

/// The quantiles of summaries, of groups of one series: those of several cannot be merged.
async fn add_own_quantiles(
    asking: &mut Asking,
    points: &Points<'_>,
    slots: &Slots,
    answer: &mut MetricSeriesAnswer,
) -> Result<(), QueryError> {
    #[derive(Deserialize)]
    struct Own {
        slot: usize,
        bin: i64,
        quantile: Option<f64>,
        value: Option<f64>,
    }
    let sql = format!(
        "SELECT slot, bin, q['quantile'] AS quantile, \
         last_value(q['value'] ORDER BY time) AS \"value\" \
         FROM (SELECT {} AS slot, {} AS bin, time, unnest(quantiles) AS q \
         FROM (SELECT *, {} AS label FROM {} WHERE {} AND {})) GROUP BY 1, 2, 3 ORDER BY 1, 3, 2",
        slots.sql,
        points.grid.column_of(c::TIME),
        points.label,
        Table::MetricSummaries.name(),
        between(points.ends, c::TIME),
        points.conditions
    );
    let own: Vec<Own> = asking.whole(sql).await?;
    for (slot, group) in answer.groups.iter_mut().enumerate().filter(|(_, group)| group.series == 1)
    {
        let mut quantiles: Vec<f64> =
            own.iter().filter(|row| row.slot == slot).filter_map(|row| row.quantile).collect();
        quantiles.sort_by(f64::total_cmp);
        quantiles.dedup();
        let line = |quantile: f64| {
            let of = |row: &&Own| row.slot == slot && row.quantile == Some(quantile);
            let values = own.iter().filter(of).map(|row| (row.bin, row.value));
            QuantileLine { quantile, values: points.grid.fill(values) }
        };
        group.quantiles = quantiles.into_iter().take(QUANTILES_MAX).map(line).collect();
    }
    Ok(())
}

/// The largest measurements of each column that name a trace.
async fn exemplars(
    asking: &mut Asking,
    metric: &str,
    points: &Points<'_>,
    table: Table,
) -> Result<Vec<MetricExemplar>, QueryError> {
    let scanned = (points.ends.0.saturating_sub(BEFORE_NS), points.ends.1);
    let sql = format!(
        "SELECT time, \"value\", service_name, trace_id, span_id FROM (SELECT *, \
         row_number() OVER (PARTITION BY bin ORDER BY \"value\" DESC, trace_id) AS place \
         FROM (SELECT time, coalesce(value_double, cast(value_int AS double)) AS \"value\", \
         service_name, trace_id, span_id, {} AS bin FROM metric_exemplars \
         WHERE metric = {} AND {} AND trace_id IS NOT NULL AND series_id IN \
         (SELECT series_id FROM {} WHERE {} AND {}))) WHERE place <= {EXEMPLARS_A_COLUMN} \
         ORDER BY time, trace_id LIMIT {EXEMPLARS_MAX}",
        points.grid.column_of(c::TIME),
        quoted(metric),
        between(points.ends, c::TIME),
        table.name(),
        between(scanned, c::TIME),
        points.conditions
    );
    asking.whole(sql).await
}
