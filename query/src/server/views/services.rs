//! Services and operations: rate, errors, duration, now and in a period before.

use std::collections::HashMap;

use api::time;
use api::views::{
    Before, Change, List, OperationRow, Operations, ServiceRow, Services, TimeRange, Trend,
};
use schemas::columns as c;
use serde::Deserialize;

use super::ranges::{Grid, bounds_ns, compared, ends_ns, instant_ns, range, within};
use super::{Answers, Asking, INSTANCE};
use crate::QueryError;
use crate::change;
use crate::filter::Over;
use crate::views::quoted;

/// A span that is a request to its service.
const IS_REQUEST: &str = "(kind IN ('server', 'consumer') OR is_root)";
/// Versions of a service that are listed.
const VERSIONS_MAX: usize = 8;

/// What is counted of spans to measure groups of one kind.
struct Counted {
    /// Stands before the columns of this kind.
    prefix: &'static str,
    /// Columns that make a group.
    keys: &'static [(&'static str, &'static str)],
    /// Which spans count, how often, how long they took, whether they failed.
    counts: &'static str,
    calls: &'static str,
    took_ns: &'static str,
    failed: &'static str,
}

const REQUESTS: Counted = Counted {
    prefix: "",
    keys: &[(c::SERVICE_NAME, c::SERVICE_NAME)],
    counts: IS_REQUEST,
    calls: "1",
    took_ns: c::DURATION_NS,
    failed: "is_error",
};

/// Those that send no spans of their own, as their callers see them.
const PEERS: Counted = Counted {
    prefix: "peer_",
    keys: &[("edge_target", "node"), ("edge_target_kind", "node_kind")],
    counts: "edge_target_kind IN ('db', 'topic', 'external')",
    calls: "edge_calls",
    took_ns: "coalesce(edge_client_ns, duration_ns)",
    failed: "edge_client_error",
};

const OPERATIONS: Counted = Counted {
    prefix: "",
    keys: &[(c::SERVICE_NAME, c::SERVICE_NAME), (c::NAME, c::NAME), (c::KIND, c::KIND)],
    counts: "TRUE",
    calls: "1",
    took_ns: c::DURATION_NS,
    failed: "is_error",
};

impl Counted {
    fn names(&self) -> String {
        let names = self.keys.iter().map(|(_, name)| format!("{}{name}", self.prefix));
        names.collect::<Vec<_>>().join(", ")
    }

    /// What is taken of each span.
    fn taken(&self) -> String {
        let Counted { prefix: p, counts, calls, took_ns, failed, .. } = self;
        let keys = self.keys.iter().map(|(sql, name)| format!("{sql} AS {p}{name}"));
        let keys = keys.collect::<Vec<_>>().join(", ");
        format!(
            "{keys}, {counts} AS {p}counts, {calls} AS {p}calls, {took_ns} AS {p}took_ns, \
             {failed} AS {p}failed"
        )
    }

    /// What is made of the spans of a group.
    fn made(&self) -> String {
        let p = self.prefix;
        format!(
            "coalesce(sum({p}calls) FILTER (WHERE {p}counts), 0) AS {p}calls, \
             count(*) FILTER (WHERE {p}counts AND {p}failed) AS {p}errors, \
             hist({p}took_ns) FILTER (WHERE {p}counts) AS {p}durations, \
             exemplars(trace_id, {p}took_ns, {p}failed) FILTER (WHERE {p}counts) AS {p}example"
        )
    }
}

/// Groups that are measured in one reading of the spans.
struct Kinds {
    /// One or two.
    kinds: &'static [Counted],
    /// Tells the second kind from the first.
    is_second: &'static str,
    /// Which groups are shown, and what names them.
    holds: &'static str,
    keys: &'static str,
}

const OF_SERVICES: Kinds =
    Kinds { kinds: &[REQUESTS], is_second: "FALSE", holds: "TRUE", keys: c::SERVICE_NAME };
const OF_SERVICES_AND_PEERS: Kinds = Kinds {
    kinds: &[REQUESTS, PEERS],
    is_second: "service_name IS NULL",
    holds: "(service_name IS NOT NULL OR peer_node_kind IN ('db', 'topic', 'external'))",
    keys: "coalesce(service_name, peer_node) AS service_name, \
           coalesce(peer_node_kind, '') AS kind",
};
const OF_OPERATIONS: Kinds = Kinds {
    kinds: &[OPERATIONS],
    is_second: "FALSE",
    holds: "TRUE",
    keys: "service_name, name, kind",
};

/// The measures of a group; `@` is the prefix of its kind, `%` the seconds of the range.
const MEASURES: [(&str, &str); 12] = [
    ("calls", "@calls"),
    ("per_second", "@calls / %"),
    ("errors", "@errors"),
    ("error_share", "1.0 * @errors / nullif(@calls, 0)"),
    ("p50_ms", "hist_quantile(@durations, 0.5) / 1e6"),
    ("p90_ms", "hist_quantile(@durations, 0.9) / 1e6"),
    ("p95_ms", "hist_quantile(@durations, 0.95) / 1e6"),
    ("p99_ms", "hist_quantile(@durations, 0.99) / 1e6"),
    ("self_ms", "self_ns / 1e6 / nullif(@calls, 0)"),
    ("slowest_trace", "@example[1]"),
    ("error_trace", "@example[2]"),
    ("median_trace", "@example[3]"),
];

impl Kinds {
    fn list(&self, of: fn(&Counted) -> String) -> String {
        self.kinds.iter().map(of).collect::<Vec<_>>().join(", ")
    }

    /// The columns of an answer.
    fn shown(&self, range: &TimeRange) -> Result<String, QueryError> {
        let seconds = match bounds_ns(range)? {
            // With a point, so that the division is none of integers.
            (Some(from_ns), Some(to_ns)) => format!("{:?}", (to_ns - from_ns) as f64 / 1e9),
            _ => "greatest(1.0, (epoch_ns(last_seen) - epoch_ns(first_seen)) / 1e9)".to_owned(),
        };
        let measure = |(name, template): &(&str, &str)| {
            let of = |kind: &Counted| template.replace('@', kind.prefix).replace('%', &seconds);
            match self.kinds {
                [first, second] => format!(
                    "CASE WHEN {} THEN {} ELSE {} END AS {name}",
                    self.is_second,
                    of(second),
                    of(first)
                ),
                kinds => format!("{} AS {name}", kinds.first().map(of).unwrap_or_default()),
            }
        };
        Ok(MEASURES.iter().map(measure).collect::<Vec<_>>().join(", "))
    }

    /// One row a group and period, and where there is a grid one more for each of its columns: those
    /// have their number as `bin`.
    fn sql(&self, spans: &Spans<'_>) -> Result<String, QueryError> {
        let is_now = spans.is_now()?;
        let (bin, columns) = match spans.grid {
            None => ("cast(NULL AS bigint)".to_owned(), ", bin"),
            Some(grid) => {
                let column = grid.column_of(c::START_TIME);
                (format!("CASE WHEN {is_now} THEN {column} ELSE -1 END"), "")
            }
        };
        let sets = self.kinds.iter().flat_map(|kind| {
            let names = kind.names();
            let whole = format!("({names}, is_now{columns})");
            let binned = spans.grid.map(|_| format!("({names}, is_now, bin)"));
            std::iter::once(whole).chain(binned)
        });
        Ok(format!(
            "SELECT {keys}, is_now, bin, {shown}, spans, first_seen, last_seen FROM \
             (SELECT {names}, is_now, bin, {made}, count(*) AS spans, sum(self_ns) AS self_ns, \
             min(start_time) AS first_seen, max(start_time) AS last_seen \
             FROM (SELECT {taken}, {is_now} AS is_now, {bin} AS bin, trace_id, start_time, self_ns \
             FROM spans WHERE {within} AND {conditions} AND is_duplicate IS NOT TRUE) \
             GROUP BY GROUPING SETS ({sets})) WHERE {holds} AND (bin IS NULL OR bin >= 0) \
             ORDER BY calls DESC, 1, 2, 3",
            keys = self.keys,
            shown = self.shown(spans.range)?,
            names = self.list(Counted::names),
            made = self.list(Counted::made),
            taken = self.list(Counted::taken),
            within = within(&spans.read(), c::START_TIME)?,
            conditions = spans.conditions,
            sets = sets.collect::<Vec<_>>().join(", "),
            holds = self.holds,
        ))
    }
}

/// Which spans are counted.
struct Spans<'a> {
    range: &'a TimeRange,
    /// A period before that ends where the range begins.
    before: Option<&'a TimeRange>,
    grid: Option<Grid>,
    conditions: &'a str,
}

impl Spans<'_> {
    /// From the beginning of the period before to the end of the range.
    fn read(&self) -> TimeRange {
        let from = self.before.unwrap_or(self.range).from.clone();
        TimeRange { from, to: self.range.to.clone() }
    }

    /// The condition that a span is of the range.
    fn is_now(&self) -> Result<String, QueryError> {
        Ok(match (self.before, bounds_ns(self.range)?.0) {
            (Some(_), Some(from_ns)) => format!("start_time >= {}", time::sql_literal(from_ns)),
            _ => "TRUE".to_owned(),
        })
    }
}

/// A group, or where `bin` is set one of its columns.
#[derive(Deserialize)]
struct Measured {
    service_name: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    kind: String,
    is_now: bool,
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
    /// The data do not begin within the period before.
    is_whole: bool,
    trend: Option<Trend>,
}

impl Group {
    /// The largest change with its impact: against the period before, or where that tells of none,
    /// being empty or having it already, against the rest of the range.
    fn changed(&self, grid: Option<Grid>) -> (Option<Change>, Option<f64>) {
        let Some(before) = &self.before else { return (None, None) };
        let now = self.now.before();
        let change = change::largest(&now, before, self.is_whole);
        if change.is_some() {
            return (change, change::impact(&now, before));
        }
        let risen = self.trend.as_ref().zip(grid).and_then(|(trend, grid)| {
            let risen = change::risen(trend, grid.width_ns as f64 / 1e9)?;
            let since = Some(time::format(grid.start_ns(risen.column)));
            Some((Change { since, ..risen.change }, risen.impact))
        });
        risen.map_or((None, change::impact(&now, before)), |(change, impact)| {
            (Some(change), Some(impact))
        })
    }

    fn service(self, grid: Option<Grid>) -> ServiceRow {
        let (change, impact) = self.changed(grid);
        let Group { now, before, trend, .. } = self;
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

    fn operation(self, grid: Option<Grid>) -> OperationRow {
        let (change, impact) = self.changed(grid);
        let Group { now, before, trend, .. } = self;
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

/// Rows with their columns put together, compared with those of a period before.
fn groups(found: Vec<Measured>, before: Option<Earlier>, grid: Option<Grid>) -> Vec<Group> {
    let mut columns: HashMap<Key, Vec<Measured>> = HashMap::new();
    let mut wholes = Vec::new();
    for row in found {
        match row.bin {
            None => wholes.push(row),
            Some(_) => columns.entry(row.key()).or_default().push(row),
        }
    }
    let is_compared = before.is_some();
    let is_whole = before.as_ref().is_none_or(Earlier::is_whole);
    let mut earlier: HashMap<Key, Before> = before
        .into_iter()
        .flat_map(|before| before.rows)
        .map(|row| (row.key(), row.before()))
        .collect();
    let group = |now: Measured| {
        let own = columns.get(&now.key()).map(Vec::as_slice).unwrap_or_default();
        let trend = grid.map(|grid| trend(own, grid));
        let before = is_compared.then(|| earlier.remove(&now.key()).unwrap_or_default());
        Group { now, before, is_whole, trend }
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

/// What was measured in a period before.
struct Earlier {
    from_ns: i64,
    to_ns: i64,
    rows: Vec<Measured>,
}

impl Earlier {
    fn new(range: &TimeRange) -> Result<Earlier, QueryError> {
        let (from_ns, to_ns) = ends_ns(range)?;
        Ok(Earlier { from_ns, to_ns, rows: Vec::new() })
    }

    /// Something was there in its first tenth: the data do not begin within it.
    fn is_whole(&self) -> bool {
        let begun_ns = self.from_ns.saturating_add(self.to_ns.saturating_sub(self.from_ns) / 10);
        let first = self.rows.iter().filter_map(|row| instant_ns(&row.first_seen).ok()).min();
        first.is_none_or(|first_ns| first_ns <= begun_ns)
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
    /// The statements that measure groups, each with whether it is about the period before. One where
    /// the periods touch, so that spans are read once; else one each.
    fn statements(&self, kinds: &Kinds, only: &str) -> Result<Vec<(String, bool)>, QueryError> {
        let conditions = format!("{} AND {only}", self.conditions);
        let touching = self.before.as_ref().filter(|before| before.to == self.range.from);
        let spans = Spans {
            range: &self.range,
            before: touching,
            grid: self.grid,
            conditions: &conditions,
        };
        let mut statements = vec![(kinds.sql(&spans)?, false)];
        if let Some(before) = self.before.as_ref().filter(|_| touching.is_none()) {
            let spans = Spans { range: before, before: None, grid: None, conditions: &conditions };
            statements.push((kinds.sql(&spans)?, true));
        }
        Ok(statements)
    }

    async fn groups(
        &self,
        asking: &mut Asking,
        kinds: &Kinds,
        only: &str,
    ) -> Result<Vec<Group>, QueryError> {
        let mut measured = Vec::new();
        for (sql, is_before) in self.statements(kinds, only)? {
            measured.push((asking.whole(sql).await?, is_before));
        }
        self.put_together(measured)
    }

    /// Groups from the rows of statements, each with whether it was about the period before.
    fn put_together(&self, measured: Vec<(Vec<Measured>, bool)>) -> Result<Vec<Group>, QueryError> {
        let mut now = Vec::new();
        let mut before = self.before.as_ref().map(Earlier::new).transpose()?;
        for (rows, is_before) in measured {
            for row in rows {
                match &mut before {
                    Some(before) if is_before || !row.is_now => before.rows.push(row),
                    _ => now.push(row),
                }
            }
        }
        Ok(groups(now, before, self.grid))
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
        let kinds = if self.peers == Some(true) { &OF_SERVICES_AND_PEERS } else { &OF_SERVICES };
        let mut statements = asked.statements(kinds, "TRUE")?;
        let (now, _) = statements.remove(0);
        let (measured, fleets) = asking.both(now, fleet_sql(&asked.range)?).await?;
        let mut measured = vec![(measured, false)];
        for (sql, is_before) in statements {
            measured.push((asking.whole(sql).await?, is_before));
        }
        let found = asked.put_together(measured)?;
        let mut rows: Vec<ServiceRow> =
            found.into_iter().map(|group| group.service(asked.grid)).collect();
        add_fleet(fleets, &mut rows);
        asked.sort(&mut rows, |row| row.impact);
        asking.cut(&mut rows);
        let mut answer = asking.list(rows, asked.range);
        answer.bins = asked.grid.map(|grid| grid.bins());
        Ok(answer)
    }
}

/// Instances and versions of a service.
#[derive(Deserialize)]
struct Fleet {
    service_name: String,
    instances: u64,
    versions: Option<Vec<String>>,
}

fn fleet_sql(range: &TimeRange) -> Result<String, QueryError> {
    Ok(format!(
        "SELECT service_name, count(DISTINCT instance) AS instances, array_slice(array_sort(\
         array_agg(DISTINCT version) FILTER (WHERE version IS NOT NULL)), 1, {VERSIONS_MAX}) \
         AS versions FROM (SELECT DISTINCT service_name, {INSTANCE} AS instance, \
         resource['service.version'] AS version FROM spans WHERE {}) GROUP BY 1",
        within(range, c::START_TIME)?
    ))
}

fn add_fleet(fleets: Vec<Fleet>, rows: &mut [ServiceRow]) {
    let mut fleets: HashMap<String, Fleet> =
        fleets.into_iter().map(|fleet| (fleet.service_name.clone(), fleet)).collect();
    for row in rows.iter_mut().filter(|row| row.kind == "service") {
        if let Some(fleet) = fleets.remove(&row.service_name) {
            row.instances = Some(fleet.instances);
            row.versions = fleet.versions.unwrap_or_default();
        }
    }
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
        let found = asked.groups(asking, &OF_OPERATIONS, &only).await?;
        let mut rows: Vec<OperationRow> =
            found.into_iter().map(|group| group.operation(asked.grid)).collect();
        asked.sort(&mut rows, |row| row.impact);
        asking.cut(&mut rows);
        let mut answer = asking.list(rows, asked.range);
        answer.bins = asked.grid.map(|grid| grid.bins());
        Ok(answer)
    }
}
