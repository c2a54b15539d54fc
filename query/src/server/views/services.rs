//! Services and operations: rate, errors, duration, now and in a period before.

use std::collections::HashMap;

use api::views::{
    Before, Change, List, OperationRow, Operations, ServiceRow, Services, TimeRange, Trend,
};
use schemas::columns as c;
use serde::Deserialize;

use super::ranges::{Grid, bounds_ns, compared, range, within};
use super::{Answers, Asking, INSTANCE};
use crate::QueryError;
use crate::change;
use crate::filter::Over;
use crate::views::quoted;

/// A span that is a request to its service.
const IS_REQUEST: &str = "(kind IN ('server', 'consumer') OR is_root)";
/// Versions of a service that are listed.
const VERSIONS_MAX: usize = 8;

/// What is counted of spans, and by what.
struct Counted {
    /// Columns that make a group.
    keys: &'static [(&'static str, &'static str)],
    /// Which spans count, how often, how long they took, whether they failed.
    counts: &'static str,
    calls: &'static str,
    took_ns: &'static str,
    failed: &'static str,
}

const REQUESTS: Counted = Counted {
    keys: &[(c::SERVICE_NAME, c::SERVICE_NAME)],
    counts: IS_REQUEST,
    calls: "1",
    took_ns: c::DURATION_NS,
    failed: "is_error",
};

/// Those that send no spans of their own, as their callers see them.
const PEERS: Counted = Counted {
    keys: &[("edge_target", c::SERVICE_NAME), ("edge_target_kind", c::KIND)],
    counts: "TRUE",
    calls: "edge_calls",
    took_ns: "coalesce(edge_client_ns, duration_ns)",
    failed: "edge_client_error",
};
const IS_PEER: &str = "edge_target_kind IN ('db', 'topic', 'external')";

const OPERATIONS: Counted = Counted {
    keys: &[(c::SERVICE_NAME, c::SERVICE_NAME), (c::NAME, c::NAME), (c::KIND, c::KIND)],
    counts: "TRUE",
    calls: "1",
    took_ns: c::DURATION_NS,
    failed: "is_error",
};

impl Counted {
    /// One row a group, and where there is a grid one more for each of its columns: those have their
    /// number as `bin`.
    fn sql(&self, period: &Period<'_>) -> Result<String, QueryError> {
        let keys = self.keys.iter().map(|(sql, name)| format!("{sql} AS {name}"));
        let keys = keys.collect::<Vec<_>>().join(", ");
        let names = self.keys.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ");
        let (bin, groups) = match period.grid {
            None => ("cast(NULL AS bigint)".to_owned(), format!("{names}, bin")),
            Some(grid) => (
                grid.column_of(c::START_TIME),
                format!("GROUPING SETS (({names}), ({names}, bin))"),
            ),
        };
        let Counted { counts, calls: weight, took_ns, failed, .. } = self;
        Ok(format!(
            "SELECT {names}, bin, {shown} FROM (SELECT {names}, bin, \
             coalesce(sum(calls) FILTER (WHERE counts), 0) AS calls, \
             count(*) FILTER (WHERE counts AND failed) AS errors, \
             hist(took_ns) FILTER (WHERE counts) AS durations, \
             count(*) AS spans, sum(self_ns) AS self_ns, \
             min(start_time) AS first_seen, max(start_time) AS last_seen, \
             exemplars(trace_id, took_ns, failed) FILTER (WHERE counts) AS example \
             FROM (SELECT {keys}, {bin} AS bin, {counts} AS counts, {weight} AS calls, \
             {took_ns} AS took_ns, {failed} AS failed, trace_id, start_time, self_ns \
             FROM spans WHERE {within} AND {conditions} AND NOT is_duplicate) GROUP BY {groups}) \
             ORDER BY calls DESC, {names}",
            shown = shown(period.range)?,
            within = within(period.range, c::START_TIME)?,
            conditions = period.conditions,
        ))
    }
}

/// Which spans of which time.
struct Period<'a> {
    range: &'a TimeRange,
    grid: Option<Grid>,
    conditions: &'a str,
}

/// The columns of an answer.
fn shown(range: &TimeRange) -> Result<String, QueryError> {
    let seconds = match bounds_ns(range)? {
        // With a point, so that the division is none of integers.
        (Some(from_ns), Some(to_ns)) => format!("{:?}", (to_ns - from_ns) as f64 / 1e9),
        _ => "greatest(1.0, (epoch_ns(last_seen) - epoch_ns(first_seen)) / 1e9)".to_owned(),
    };
    Ok(format!(
        "calls, calls / {seconds} AS per_second, errors, \
         1.0 * errors / nullif(calls, 0) AS error_share, \
         hist_quantile(durations, 0.5) / 1e6 AS p50_ms, \
         hist_quantile(durations, 0.9) / 1e6 AS p90_ms, \
         hist_quantile(durations, 0.95) / 1e6 AS p95_ms, \
         hist_quantile(durations, 0.99) / 1e6 AS p99_ms, \
         self_ns / 1e6 / nullif(calls, 0) AS self_ms, spans, first_seen, last_seen, \
         example[1] AS slowest_trace, example[2] AS error_trace, example[3] AS median_trace"
    ))
}

/// A group, or where `bin` is set one of its columns.
#[derive(Deserialize)]
struct Measured {
    service_name: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    bin: Option<i64>,
    calls: u64,
    per_second: f64,
    errors: u64,
    error_share: Option<f64>,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    self_ms: Option<f64>,
    spans: u64,
    first_seen: String,
    last_seen: String,
    slowest_trace: Option<String>,
    error_trace: Option<String>,
    median_trace: Option<String>,
}

/// Service, name and kind, as far as they make the group.
type Key = (String, String, String);

impl Measured {
    fn key(&self) -> Key {
        (self.service_name.clone(), self.name.clone(), self.kind.clone())
    }

    fn before(&self) -> Before {
        Before {
            calls: self.calls,
            per_second: self.per_second,
            errors: self.errors,
            error_share: self.error_share,
            p50_ms: self.p50_ms,
            p95_ms: self.p95_ms,
            p99_ms: self.p99_ms,
        }
    }
}

/// A group with what it was before and how it went.
struct Group {
    now: Measured,
    before: Option<Before>,
    trend: Option<Trend>,
}

impl Group {
    fn impact(&self) -> Option<f64> {
        change::impact(&self.now.before(), self.before.as_ref()?)
    }

    fn change(&self) -> Option<Change> {
        change::largest(&self.now.before(), self.before.as_ref()?)
    }

    fn service(self) -> ServiceRow {
        let (impact, change) = (self.impact(), self.change());
        let Group { now, before, trend } = self;
        let kind = if now.kind.is_empty() { "service".to_owned() } else { now.kind };
        ServiceRow {
            service_name: now.service_name,
            kind,
            requests: now.calls,
            per_second: now.per_second,
            errors: now.errors,
            error_share: now.error_share,
            p50_ms: now.p50_ms,
            p90_ms: now.p90_ms,
            p95_ms: now.p95_ms,
            p99_ms: now.p99_ms,
            self_ms: now.self_ms,
            spans: now.spans,
            instances: None,
            versions: Vec::new(),
            first_seen: now.first_seen,
            last_seen: now.last_seen,
            slowest_trace: now.slowest_trace,
            error_trace: now.error_trace,
            median_trace: now.median_trace,
            impact,
            before,
            change,
            trend,
        }
    }

    fn operation(self) -> OperationRow {
        let (impact, change) = (self.impact(), self.change());
        let Group { now, before, trend } = self;
        OperationRow {
            service_name: now.service_name,
            name: now.name,
            kind: now.kind,
            calls: now.calls,
            per_second: now.per_second,
            errors: now.errors,
            error_share: now.error_share,
            p50_ms: now.p50_ms,
            p90_ms: now.p90_ms,
            p95_ms: now.p95_ms,
            p99_ms: now.p99_ms,
            self_ms: now.self_ms,
            first_seen: now.first_seen,
            last_seen: now.last_seen,
            slowest_trace: now.slowest_trace,
            error_trace: now.error_trace,
            median_trace: now.median_trace,
            impact,
            before,
            change,
            trend,
        }
    }
}

/// Rows with their columns put together.
fn groups(found: Vec<Measured>, before: Option<Vec<Measured>>, grid: Option<Grid>) -> Vec<Group> {
    let mut columns: HashMap<Key, Vec<Measured>> = HashMap::new();
    let mut wholes = Vec::new();
    for row in found {
        match row.bin {
            None => wholes.push(row),
            Some(_) => columns.entry(row.key()).or_default().push(row),
        }
    }
    let is_compared = before.is_some();
    let mut earlier: HashMap<Key, Before> =
        before.into_iter().flatten().map(|row| (row.key(), row.before())).collect();
    let group = |now: Measured| {
        let own = columns.get(&now.key()).map(Vec::as_slice).unwrap_or_default();
        let trend = grid.map(|grid| trend(own, grid));
        let before = is_compared.then(|| earlier.remove(&now.key()).unwrap_or_default());
        Group { now, before, trend }
    };
    wholes.into_iter().map(group).collect()
}

fn trend(columns: &[Measured], grid: Grid) -> Trend {
    let numbers = |value: fn(&Measured) -> u64| {
        grid.fill(columns.iter().filter_map(|column| Some((column.bin?, value(column)))))
    };
    Trend {
        calls: numbers(|column| column.calls),
        errors: numbers(|column| column.errors),
        p99_ms: grid.fill(columns.iter().filter_map(|column| Some((column.bin?, column.p99_ms)))),
    }
}

/// What a question about groups names besides its groups.
struct Asked {
    range: TimeRange,
    before: Option<TimeRange>,
    grid: Option<Grid>,
    conditions: String,
}

impl Asked {
    async fn groups(
        &self,
        asking: &mut Asking,
        counted: &Counted,
        only: &str,
    ) -> Result<Vec<Group>, QueryError> {
        let conditions = format!("{} AND {only}", self.conditions);
        let now = Period { range: &self.range, grid: self.grid, conditions: &conditions };
        let found = asking.whole(counted.sql(&now)?).await?;
        let before = match &self.before {
            Some(range) => {
                let period = Period { range, grid: None, conditions: &conditions };
                Some(asking.whole(counted.sql(&period)?).await?)
            }
            None => None,
        };
        Ok(groups(found, before, self.grid))
    }

    /// The largest impact first where there is a period before.
    fn sort<T>(&self, rows: &mut [T], impact: fn(&T) -> Option<f64>) {
        if self.before.is_some() {
            let impact = |row: &T| impact(row).unwrap_or(0.0);
            rows.sort_by(|a, b| impact(b).total_cmp(&impact(a)));
        }
    }
}

impl Answers for Services {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<ServiceRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let asked = Asked {
            before: compared(&range, self.compare.as_deref())?,
            grid: self.bins.map(|bins| Grid::over(&range, bins)).transpose()?,
            conditions: asking.search(&range)?,
            range,
        };
        let mut found = asked.groups(asking, &REQUESTS, "TRUE").await?;
        if self.peers == Some(true) {
            found.extend(asked.groups(asking, &PEERS, IS_PEER).await?);
        }
        let mut rows: Vec<ServiceRow> = found.into_iter().map(Group::service).collect();
        add_fleet(asking, &asked, &mut rows).await?;
        asked.sort(&mut rows, |row| row.impact);
        asking.cut(&mut rows);
        let mut answer = asking.list(rows, asked.range);
        answer.bins = asked.grid.map(|grid| grid.bins());
        Ok(answer)
    }
}

/// Instances and versions of services.
async fn add_fleet(
    asking: &mut Asking,
    asked: &Asked,
    rows: &mut [ServiceRow],
) -> Result<(), QueryError> {
    #[derive(Deserialize)]
    struct Fleet {
        service_name: String,
        instances: u64,
        versions: Option<Vec<String>>,
    }
    let version = "resource['service.version']";
    let sql = format!(
        "SELECT service_name, count(DISTINCT {INSTANCE}) AS instances, array_slice(array_sort(\
         array_agg(DISTINCT {version}) FILTER (WHERE {version} IS NOT NULL)), 1, {VERSIONS_MAX}) \
         AS versions FROM spans WHERE {} GROUP BY 1",
        within(&asked.range, c::START_TIME)?
    );
    let fleets: Vec<Fleet> = asking.whole(sql).await?;
    let mut fleets: HashMap<String, Fleet> =
        fleets.into_iter().map(|fleet| (fleet.service_name.clone(), fleet)).collect();
    for row in rows.iter_mut().filter(|row| row.kind == "service") {
        if let Some(fleet) = fleets.remove(&row.service_name) {
            row.instances = Some(fleet.instances);
            row.versions = fleet.versions.unwrap_or_default();
        }
    }
    Ok(())
}

impl Answers for Operations {
    const OVER: Option<Over> = Some(Over::Spans);

    async fn answer(self, asking: &mut Asking) -> Result<List<OperationRow>, QueryError> {
        let range = range(self.from, self.to)?;
        let asked = Asked {
            before: compared(&range, self.compare.as_deref())?,
            grid: self.bins.map(|bins| Grid::over(&range, bins)).transpose()?,
            conditions: asking.search(&range)?,
            range,
        };
        let only = self
            .service
            .map_or("TRUE".to_owned(), |service| format!("service_name = {}", quoted(&service)));
        let found = asked.groups(asking, &OPERATIONS, &only).await?;
        let mut rows: Vec<OperationRow> = found.into_iter().map(Group::operation).collect();
        asked.sort(&mut rows, |row| row.impact);
        asking.cut(&mut rows);
        let mut answer = asking.list(rows, asked.range);
        answer.bins = asked.grid.map(|grid| grid.bins());
        Ok(answer)
    }
}
