//! Start time against duration, with percentiles and where they change.

use api::time;
use api::views::{ChangePoint, Heatmap, HeatmapAnswer, HeatmapCell, HeatmapColumn};
use schemas::columns as c;
use serde::Deserialize;

use super::ranges::{COLUMNS_DEFAULT, Grid, HOUR_NS, closed, ends_ns, within};
use super::{Answers, Asking, NO_CONDITION};
use crate::QueryError;
use crate::change::{Stretch, stretch};
use crate::filter::Over;

/// A step of p95 by this factor is told, and noise below this one is taken for it.
const P95_FACTOR: f64 = 1.5;
const P95_NOISE: f64 = 1.05;
/// The same for shares of errors.
const ERRORS_STEP: f64 = 0.02;
const ERRORS_NOISE: f64 = 0.005;

impl Answers for Heatmap {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<HeatmapAnswer, QueryError> {
        let range = closed(self.from, self.to, asking.now_ns, HOUR_NS)?;
        let grid = Grid::over(&range, self.columns.unwrap_or(COLUMNS_DEFAULT))?;
        let conditions = asking.conditions(self.filter.as_deref(), &range)?;
        let conditions = if conditions == NO_CONDITION { "is_root" } else { &conditions };
        let sql = format!(
            "SELECT \"column\", bin, cast(ceil(power(2, bin / 2.0)) AS bigint) AS from_ns, \
             cast(ceil(power(2, (bin + 1) / 2.0)) AS bigint) AS to_ns, \"count\", errors, \
             hist_quantile(durations, 0.5) / 1e6 AS p50_ms, \
             hist_quantile(durations, 0.95) / 1e6 AS p95_ms, \
             hist_quantile(durations, 0.99) / 1e6 AS p99_ms, \
             example[1] AS slowest_trace, example[2] AS error_trace, example[3] AS median_trace \
             FROM (SELECT \"column\", bin, count(*) AS \"count\", \
             count(*) FILTER (WHERE is_error) AS errors, hist(duration_ns) AS durations, \
             exemplars(trace_id, duration_ns, is_error) AS example \
             FROM (SELECT {column} AS \"column\", \
             cast(floor(2 * log2(greatest(duration_ns, 1))) AS bigint) AS bin, \
             duration_ns, is_error, trace_id \
             FROM spans WHERE {within} AND {conditions} AND is_duplicate IS NOT TRUE) \
             GROUP BY GROUPING SETS ((\"column\", bin), (\"column\"))) \
             ORDER BY \"column\", bin",
            column = grid.column_of(c::START_TIME),
            within = within(&range, c::START_TIME)?
        );
        let mut answer = HeatmapAnswer { column_ns: grid.width_ns, ..HeatmapAnswer::default() };
        for found in asking.whole::<Found>(sql).await? {
            found.put(&grid, &mut answer);
        }
        answer.change = change(&answer.columns, &grid, ends_ns(&range)?.1);
        answer.range = range;
        answer.basis = std::mem::take(&mut asking.basis);
        Ok(answer)
    }
}

/// A cell; without a bin a whole column.
#[derive(Deserialize)]
struct Found {
    column: i64,
    bin: Option<i64>,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    count: u64,
    errors: u64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    slowest_trace: Option<String>,
    error_trace: Option<String>,
    median_trace: Option<String>,
}

impl Found {
    fn put(self, grid: &Grid, answer: &mut HeatmapAnswer) {
        let start_ns = grid.from_ns.saturating_add(grid.width_ns.saturating_mul(self.column));
        let (time, count, errors) = (time::format(start_ns), self.count, self.errors);
        match self.bin {
            Some(bin) => answer.cells.push(HeatmapCell {
                time,
                bin,
                from_ns: self.from_ns.unwrap_or(0),
                to_ns: self.to_ns.unwrap_or(0),
                count,
                errors,
                slowest_trace: self.slowest_trace,
                error_trace: self.error_trace,
                median_trace: self.median_trace,
            }),
            None => answer.columns.push(HeatmapColumn {
                time,
                count,
                errors,
                p50_ms: self.p50_ms,
                p95_ms: self.p95_ms,
                p99_ms: self.p99_ms,
            }),
        }
    }
}

/// Where p95 or, if it does not, the share of errors rises.
fn change(columns: &[HeatmapColumn], grid: &Grid, end_ns: i64) -> Option<ChangePoint> {
    let number = |column: &HeatmapColumn| {
        let at_ns = time::parse(&column.time, 0).unwrap_or(grid.from_ns);
        (at_ns - grid.from_ns) / grid.width_ns
    };
    let over = |value: fn(&HeatmapColumn) -> Option<f64>| {
        grid.fill(columns.iter().map(|column| (number(column), value(column))))
    };
    let point = |of: &str, found: Stretch, shown: fn(f64) -> f64| ChangePoint {
        from: time::format(grid.start_ns(found.columns.0)),
        to: time::format(grid.start_ns(found.columns.1).min(end_ns)),
        of: of.to_owned(),
        before: shown(found.outside),
        inside: shown(found.inside),
        over_ns: None,
    };
    // Durations by their logarithm: their noise is a factor.
    let p95 = over(|column| Some(column.p95_ms?.max(1e-6).ln()));
    if let Some(found) = stretch(&p95, P95_FACTOR.ln(), P95_NOISE.ln()) {
        let middle = ((found.outside + found.inside) / 2.0).exp() * 1e6;
        return Some(ChangePoint { over_ns: Some(middle as i64), ..point("p95", found, f64::exp) });
    }
    let errors = over(|column| Some(column.errors as f64 / column.count as f64));
    let found = stretch(&errors, ERRORS_STEP, ERRORS_NOISE)?;
    Some(point("errors", found, |share| share))
}
