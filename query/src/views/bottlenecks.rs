//! `bottlenecks(from, to, rule)`: patterns that cost time or will, each found by a rule with its
//! exact condition (`analysis::detectors`), and the statement that shows the same rows.

use std::collections::BTreeMap;

use analysis::detectors::{
    Attempts, ChattyPair, Finding, Instance, RetryAmplification, Timeouts, chatty_pair,
    instance_outliers, retry_amplification, shared_database, timeout_mismatch,
};
use arrow_array::{ArrayRef, RecordBatch};
use datafusion::common::Result;
use schemas::Kind;

use super::args::Range;
use super::rows::{Rows, numbers, texts, trace_ids};
use super::{Built, Fold, View};

pub(super) const BOTTLENECKS: View = View {
    name: "bottlenecks",
    usage: "[from [, to [, rule]]]",
    columns: || {
        use Kind::{Float64, Id16, Text};
        vec![
            ("rule", Text),
            ("subject", Text),
            ("score", Float64),
            ("saving_ms", Float64),
            ("evidence", Text),
            ("exemplar_trace", Id16),
            ("sql", Text),
        ]
    },
    build: |args| {
        let range = args.range()?;
        let rule = args.text()?;
        if let Some(rule) = rule.as_deref().filter(|rule| !NAMES.contains(rule)) {
            return Err(args.wrong(&format!("`{rule}` is none of {}", NAMES.join(", "))));
        }
        let wanted =
            |family: &&Family| rule.as_deref().is_none_or(|rule| family.rules.contains(&rule));
        let parts: Vec<String> =
            FAMILIES.iter().filter(wanted).map(|family| (family.sql)(&range)).collect();
        let sql = parts.join(" UNION ALL ");
        Ok(Built::folded(sql, move || Found { range, rule: rule.clone(), ..Found::default() }))
    },
};

/// Every rule.
const NAMES: [&str; 8] = [
    "n_plus_one",
    "serial_fanout",
    "retry_amplification",
    "chatty_pair",
    "shared_database",
    "timeout_mismatch",
    "instance_outlier",
    "saturation",
];

/// Rules that read the same rows.
struct Family {
    rules: &'static [&'static str],
    sql: fn(&Range) -> String,
}

/// The rows of all families have the same columns: family, subject, peer, kind, six numbers, a
/// sample, a trace.
const FAMILIES: [Family; 4] = [
    Family { rules: &["n_plus_one", "serial_fanout"], sql: patterns },
    Family {
        rules: &["retry_amplification", "chatty_pair", "shared_database", "timeout_mismatch"],
        sql: edges,
    },
    Family { rules: &["instance_outlier"], sql: instances },
    Family { rules: &["saturation"], sql: pools },
];

/// Subject: service and operation with whom it calls. Numbers: groups, calls, Σ saving, traces.
fn patterns(range: &Range) -> String {
    format!(
        "SELECT rule AS family, concat(service_name, ' ', name) AS subject, \
         CASE rule WHEN 'n_plus_one' THEN concat(coalesce(peer, ''), ' ', call_name) ELSE '' END AS peer, \
         '' AS kind, count(*) AS n1, sum(calls) AS n2, sum(saving_ns) AS n3, \
         count(DISTINCT id_hash(trace_id)) AS n4, 0 AS n5, 0 AS n6, sample(trace_id, saving_ns) AS sample, \
         exemplars(trace_id, saving_ns, FALSE)[1] AS trace \
         FROM call_patterns WHERE {} GROUP BY 1, 2, 3",
        range.of_roots()
    )
}

/// Subject and peer: the two ends. Numbers: attempts, retries, failed, Σ duration, Σ gap, requests.
/// The sample: durations of calls that timed out.
fn edges(range: &Range) -> String {
    format!(
        "SELECT 'edge' AS family, edge_source AS subject, edge_target AS peer, edge_target_kind AS kind, \
         count(*) AS n1, count(*) FILTER (WHERE is_retry) AS n2, \
         count(*) FILTER (WHERE edge_client_error) AS n3, sum(coalesce(edge_client_ns, 0)) AS n4, \
         sum(coalesce(edge_gap_ns, 0)) AS n5, count(DISTINCT id_hash(trace_id)) AS n6, \
         sample(trace_id, CASE WHEN error_role = 'timeout_origin' THEN duration_ns END) AS sample, \
         exemplars(trace_id, edge_client_ns, edge_client_error)[1] AS trace \
         FROM spans WHERE edge_kind IN ('call', 'db', 'external') AND {roots} GROUP BY 2, 3, 4 \
         UNION ALL \
         SELECT 'edge_times', edge_source, edge_target, edge_target_kind, \
         CAST(p95(edge_server_ns) AS bigint), sum(root_duration_ns), 0, 0, 0, 0, \
         sample(trace_id, attributes['call.timeout_ms']::bigint), NULL \
         FROM spans WHERE edge_kind IN ('call', 'db', 'external') AND {roots} GROUP BY 2, 3, 4",
        roots = range.of_roots()
    )
}

/// Subject: service and operation; peer: the instance. Numbers: median self time, spans.
fn instances(range: &Range) -> String {
    format!(
        "SELECT 'instance' AS family, concat(service_name, ' ', name) AS subject, \
         coalesce(resource['service.instance.id'], '') AS peer, '' AS kind, \
         CAST(p50(self_ns) AS bigint) AS n1, count(*) AS n2, 0 AS n3, 0 AS n4, 0 AS n5, 0 AS n6, \
         sample(trace_id, self_ns) AS sample, exemplars(trace_id, self_ns, FALSE)[1] AS trace \
         FROM spans WHERE kind IN ('server', 'consumer') AND is_duplicate IS NOT TRUE AND {} GROUP BY 2, 3",
        range.of_roots()
    )
}

/// Subject: service; peer: the pool. Numbers: points, full points. A point is full when the used
/// connections reach 95 % of the most, or some request waits.
pub(super) fn pools(range: &Range) -> String {
    format!(
        "SELECT 'pool' AS family, service_name AS subject, pool AS peer, '' AS kind, \
         count(*) AS n1, count(*) FILTER (WHERE pending > 0 OR (most > 0 AND used >= 0.95 * most)) AS n2, \
         CAST(max(used) AS bigint) AS n3, CAST(max(most) AS bigint) AS n4, CAST(max(pending) AS bigint) AS n5, \
         0 AS n6, NULL AS sample, NULL AS trace FROM (\
         SELECT service_name, time, \
         coalesce(attributes['db.client.connection.pool.name']::text, attributes['pool.name']::text, '') AS pool, \
         sum(value) FILTER (WHERE metric = 'db.client.connection.count' AND attributes['db.client.connection.state']::text = 'used') AS used, \
         max(value) FILTER (WHERE metric = 'db.client.connection.max') AS most, \
         coalesce(max(value) FILTER (WHERE metric = 'db.client.connection.pending_requests'), 0.0) AS pending \
         FROM metric_points WHERE metric IN ('db.client.connection.count', 'db.client.connection.max', \
         'db.client.connection.pending_requests') AND {} GROUP BY 1, 2, 3) GROUP BY 2, 3",
        range.of("time")
    )
}

/// What is known of a pool over a range of time.
pub(super) struct Pool {
    pub(super) points: i64,
    pub(super) full: i64,
    pub(super) used_max: i64,
    pub(super) size: i64,
    pub(super) pending_max: i64,
}

impl Pool {
    /// Whether it was full in a fifth of the points or more.
    pub(super) fn saturation(&self) -> Option<Finding> {
        let Pool { points, full, used_max, size, pending_max } = self;
        let score = *full as f64 / (*points).max(1) as f64;
        let evidence = format!(
            "full in {full} of {points} points: at most {used_max} of {size} in use, {pending_max} waiting"
        );
        (score >= FULL_SHARE_MIN).then_some(Finding { score, saving_ns: None, evidence })
    }
}

/// A pool is saturated when it is full in so many of the points.
const FULL_SHARE_MIN: f64 = 0.2;

/// A row of the answer.
struct Line {
    rule: &'static str,
    subject: String,
    finding: Finding,
    trace: u128,
}

/// What is known of an edge.
#[derive(Default)]
struct Edge {
    kind: String,
    numbers: [i64; 6],
    timed_out_ns: Vec<i64>,
    server_p95_ns: i64,
    requests_ns: i64,
    deadline_ms: Option<i64>,
    trace: u128,
}

#[derive(Default)]
struct Found {
    range: Range,
    rule: Option<String>,
    lines: Vec<Line>,
    edges: BTreeMap<(String, String), Edge>,
    /// By operation: the instances.
    instances: BTreeMap<String, Vec<(String, Instance, u128)>>,
}

impl Found {
    fn row(&mut self, rows: &Rows, row: usize) {
        let (subject, peer) = (rows.text(1, row).to_owned(), rows.text(2, row).to_owned());
        let number = |place: usize| rows.int(4 + place, row).unwrap_or(0);
        let trace = rows.trace_id(11, row);
        match rows.text(0, row) {
            "n_plus_one" | "serial_fanout" => {
                let rule = if rows.text(0, row) == "n_plus_one" { NAMES[0] } else { NAMES[1] };
                let finding = pattern(number(0), number(1), number(2), number(3));
                let subject =
                    if peer.is_empty() { subject } else { format!("{subject} → {peer}") };
                self.lines.push(Line { rule, subject, finding, trace });
            }
            "edge" => {
                let edge = self.edges.entry((subject, peer)).or_default();
                edge.kind = rows.text(3, row).to_owned();
                edge.numbers = std::array::from_fn(number);
                edge.timed_out_ns = rows.list(10, row);
                edge.trace = trace;
            }
            "edge_times" => {
                let edge = self.edges.entry((subject, peer)).or_default();
                edge.server_p95_ns = number(0);
                edge.requests_ns = number(1);
                edge.deadline_ms = rows.list(10, row).first().copied();
            }
            "instance" => {
                let spans = u64::try_from(number(1)).unwrap_or(0);
                let instance = Instance { median_self_ns: number(0), spans };
                self.instances.entry(subject).or_default().push((peer, instance, trace));
            }
            _ => self.pool(&subject, &peer, std::array::from_fn(number)),
        }
    }

    fn pool(&mut self, service: &str, name: &str, numbers: [i64; 6]) {
        let [points, full, used_max, size, pending_max, _] = numbers;
        let pool = Pool { points, full, used_max, size, pending_max };
        let Some(finding) = pool.saturation() else { return };
        let subject = format!("{service} {name}").trim_end().to_owned();
        self.lines.push(Line { rule: "saturation", subject, finding, trace: 0 });
    }

    /// The rules over edges.
    fn edges(&mut self) {
        let mut databases: BTreeMap<String, (Vec<String>, u128)> = BTreeMap::new();
        for ((source, target), edge) in &self.edges {
            let subject = format!("{source} → {target}");
            for (rule, finding) in edge_findings(edge) {
                let trace = edge.trace;
                self.lines.push(Line { rule, subject: subject.clone(), finding, trace });
            }
            if edge.kind == "db" {
                let clients = databases.entry(target.clone()).or_insert((Vec::new(), edge.trace));
                clients.0.push(source.clone());
            }
        }
        for (subject, (clients, trace)) in databases {
            let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
            if let Some(finding) = shared_database(&clients) {
                self.lines.push(Line { rule: "shared_database", subject, finding, trace });
            }
        }
    }

    fn outliers(&mut self) {
        for (operation, instances) in &self.instances {
            let measured: Vec<Instance> = instances.iter().map(|(_, i, _)| *i).collect();
            for (place, finding) in instance_outliers(&measured) {
                let (name, _, trace) = &instances[place];
                let subject = format!("{operation} on {name}");
                self.lines.push(Line { rule: "instance_outlier", subject, finding, trace: *trace });
            }
        }
    }
}

fn pattern(groups: i64, calls: i64, saving_ns: i64, traces: i64) -> Finding {
    let mean = |sum: i64| sum as f64 / groups.max(1) as f64;
    Finding {
        score: saving_ns as f64 / 1e6,
        saving_ns: Some(mean(saving_ns) as i64),
        evidence: format!(
            "{groups} times in {traces} traces, {:.1} calls one after another each time",
            mean(calls)
        ),
    }
}

fn edge_findings(edge: &Edge) -> Vec<(&'static str, Finding)> {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let [attempts, retries, failed, client_ns, gap_ns, requests] = edge.numbers;
    let retry = RetryAmplification {
        window: Attempts { attempts: count(attempts), calls: count(attempts - retries) },
        error_rate: failed as f64 / attempts.max(1) as f64,
        base_error_rate: 0.0,
        attempt_ns: client_ns / attempts.max(1),
        after: None,
    };
    // The sum of root durations counts a request once for each call of the edge.
    let request_ns = edge.requests_ns / attempts.max(1) * requests;
    let chatty =
        ChattyPair { calls: count(attempts), requests: count(requests), gap_ns, request_ns };
    let timeouts = Timeouts {
        deadline_ns: edge.deadline_ms.map(|ms| ms.saturating_mul(1_000_000)),
        timed_out_ns: &edge.timed_out_ns,
        callee_p95_ns: edge.server_p95_ns,
    };
    [
        ("retry_amplification", retry_amplification(&retry)),
        ("chatty_pair", chatty_pair(&chatty)),
        ("timeout_mismatch", timeout_mismatch(&timeouts)),
    ]
    .into_iter()
    .filter_map(|(rule, finding)| Some((rule, finding?)))
    .collect()
}

impl Fold for Found {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::new(batch)?;
        (0..rows.len()).for_each(|row| self.row(&rows, row));
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<ArrayRef>> {
        self.edges();
        self.outliers();
        let wanted = self.rule.take();
        self.lines.retain(|line| wanted.as_deref().is_none_or(|rule| rule == line.rule));
        let place = |rule: &str| NAMES.iter().position(|name| *name == rule);
        self.lines.sort_by(|a, b| {
            let saving = |line: &Line| line.finding.saving_ns.unwrap_or(0);
            saving(b)
                .cmp(&saving(a))
                .then_with(|| place(a.rule).cmp(&place(b.rule)))
                .then_with(|| b.finding.score.total_cmp(&a.finding.score))
                .then_with(|| a.subject.cmp(&b.subject))
        });
        let lines = &self.lines;
        let statements: BTreeMap<&str, String> = FAMILIES
            .iter()
            .flat_map(|family| family.rules.iter().map(|rule| (*rule, (family.sql)(&self.range))))
            .collect();
        Ok(vec![
            texts(lines.iter().map(|line| line.rule)),
            texts(lines.iter().map(|line| line.subject.as_str())),
            numbers(lines.iter().map(|line| Some(line.finding.score))),
            numbers(lines.iter().map(|line| line.finding.saving_ns.map(|ns| ns as f64 / 1e6))),
            texts(lines.iter().map(|line| line.finding.evidence.as_str())),
            trace_ids(lines.iter().map(|line| line.trace))?,
            texts(lines.iter().map(|line| statements.get(line.rule).map_or("", String::as_str))),
        ])
    }

    fn bytes(&self) -> usize {
        (self.lines.len() + self.edges.len()) * 4_096 + self.instances.len() * 512
    }
}
