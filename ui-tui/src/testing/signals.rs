//! The incident in logs, metrics, map, error paths and ingest: what the screens of these ask.

use api::views::{
    Basis, Bins, DiffRow, EdgeRow, ErrorRow, IngestAnswer, IngestSignal, List, LogLine,
    LogPatternRow, LogPatternsAnswer, LogRow, LogVolumeRow, LogsAnswer, MetricExemplar,
    MetricGroup, MetricRow, MetricSeriesAnswer, QuantileLine, RankedMetricRow, RejectRow, Sender,
    StoreRow, TableRow, TimeRange,
};
use api::{sql, time};
use serde::Serialize;
use serde_json::{Value, json};

use super::incident::{self, TRACE};
use super::{Canned, SIZES, Session};
use crate::action::Place;
use crate::request::{Outcome, Request};

const MINUTE_NS: i64 = 60_000_000_000;
/// 15:45, where the range of the test begins.
const FROM_NS: i64 = 1_795_362_300_000_000_000;
/// The payment span of the trace.
pub(crate) const SPAN: &str = "00f067aa0ba902b7";
/// Start of that span.
const SPAN_NS: i64 = FROM_NS + 9 * MINUTE_NS + 11_482_000_000 + 762_000_000;

/// Answers the questions of these screens, and those of the incident.
pub(crate) fn answer(request: &Request) -> Option<Outcome> {
    Some(request.read(bytes_of(request)?))
}

fn bytes_of(request: &Request) -> Option<Vec<u8>> {
    let path = request.call.path.split('?').next()?;
    Some(match path.strip_prefix("/api/v1/")? {
        "logs" => bytes(&logs()),
        "log_volume" => bytes(&volume()),
        "log_patterns" => bytes(&patterns()),
        "nearby_logs" => bytes(&nearby()),
        "metrics" => bytes(&metrics()),
        "metrics_ranked" => bytes(&ranked()),
        "metric_series" => bytes(&series()),
        "map" => bytes(&edges(request.call.path.contains("15%3A30"))),
        "errors" => bytes(&errors()),
        "diff" => bytes(&differences()),
        "ingest" => bytes(&ingest()),
        path if path.contains("/diff/") => bytes(&differences()),
        _ => incident::bytes_of(&request.call)?,
    })
}

/// Text that tries to leave its place, in every field that a sender fills.
pub(crate) fn hostile(request: &Request) -> Option<Outcome> {
    let evil =
        "\u{1b}]52;c;AAAA\u{7}\u{1b}[2J\u{202e}evil\u{200b}\n".to_owned() + &"w".repeat(3_000);
    let path = request.call.path.split('?').next()?;
    let bytes = match path.strip_prefix("/api/v1/")? {
        "logs" => {
            let mut answer = logs();
            for line in &mut answer.rows {
                line.log.body = Some(evil.clone());
                line.log.service_name = evil.clone();
                line.log.attributes = Some(json!({ evil.clone(): evil.clone() }));
                line.log.time = "never".into();
            }
            bytes(&answer)
        }
        "map" => {
            let mut answer = edges(false);
            for row in &mut answer.rows {
                row.src = format!("{evil}{}", row.src);
                row.client_p99_ms = Some(f64::MAX);
            }
            bytes(&answer)
        }
        "errors" => {
            let mut answer = errors();
            for row in &mut answer.rows {
                row.path = evil.clone();
                row.error_type = Some(evil.clone());
            }
            bytes(&answer)
        }
        "metric_series" => {
            let mut answer = series();
            answer.unit = Some(evil.clone());
            answer.bins.count = 0;
            answer.groups[0].value = vec![Some(f64::MAX), Some(f64::MIN), None];
            bytes(&answer)
        }
        "ingest" => {
            let mut answer = ingest();
            answer.senders[0].service_name = evil.clone();
            answer.rejects[0].reason = evil;
            bytes(&answer)
        }
        path if path == "services" || path.starts_with("traces/") && !path.contains("/diff/") => {
            return incident::hostile(request);
        }
        _ => {
            let mut answer = serde_json::from_slice(&bytes_of(request)?).ok()?;
            replace_texts(&mut answer, &evil);
            bytes(&answer)
        }
    };
    Some(request.read(bytes))
}

/// Puts a text in the place of all that a sender could have filled; ids and times stay.
fn replace_texts(answer: &mut Value, text: &str) {
    match answer {
        Value::Array(items) => items.iter_mut().for_each(|item| replace_texts(item, text)),
        Value::Object(fields) => {
            let senders = fields.iter_mut().filter(|(key, _)| !key.ends_with("_id"));
            senders.for_each(|(_, value)| replace_texts(value, text));
        }
        Value::String(old) if !old.starts_with("2026-") => text.clone_into(old),
        _ => {}
    }
}

/// The same questions over a directory without a row.
pub(crate) fn nothing(request: &Request) -> Option<Outcome> {
    let path = request.call.path.split('?').next()?;
    let bytes = match path.strip_prefix("/api/v1/")? {
        "logs" => bytes(&LogsAnswer::default()),
        "log_patterns" => bytes(&LogPatternsAnswer::default()),
        "metric_series" => bytes(&MetricSeriesAnswer::default()),
        "ingest" => bytes(&IngestAnswer::default()),
        _ => return incident::nothing(request),
    };
    Some(request.read(bytes))
}

fn bytes(of: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(of).expect("plain structs have a JSON form")
}

fn basis(rows: usize) -> Basis {
    let stats = sql::Stats {
        query_id: "q1".into(),
        rows: rows as u64,
        elapsed_ms: 40.0,
        files_scanned: 3,
        bytes_scanned: 1_200_000,
        ..sql::Stats::default()
    };
    Basis { stats, sql: vec!["SELECT 1".into()] }
}

fn list<T>(rows: Vec<T>) -> List<T> {
    List { basis: basis(rows.len()), range: range(), rows, bins: None }
}

fn range() -> TimeRange {
    let to_ns = FROM_NS + 15 * MINUTE_NS;
    TimeRange { from: Some(time::format(FROM_NS)), to: Some(time::format(to_ns)) }
}

/// Milliseconds behind the span's start, severity, body.
const LINES: [(i64, i64, &str); 7] = [
    (0, 5, "acquiring connection from pool acme (in use 32/32)"),
    (661, 13, "pool wait 661 ms exceeded warn threshold 100 ms"),
    (662, 5, "POST https://acme-eu-1/v1/charge attempt=1"),
    (1_263, 17, "upstream timeout after 600ms provider=acme"),
    (1_263, 9, "circuit breaker acme: half-open -> open"),
    (1_264, 17, "charge failed order=918233 amount=42.10"),
    (1_264, 9, "span end status=ERROR"),
];

fn log(ms: i64, severity: i64, body: &str) -> LogRow {
    LogRow {
        time: time::format(SPAN_NS + ms * 1_000_000),
        service_name: "payment".into(),
        severity_number: Some(severity),
        body: Some(body.into()),
        trace_id: Some(TRACE.into()),
        span_id: Some(SPAN.into()),
        attributes: Some(json!({"provider": "acme", "attempt": 1, "timeout_ms": 600})),
        ..LogRow::default()
    }
}

fn logs() -> LogsAnswer {
    let line = |(ms, severity, body): &(i64, i64, &str)| LogLine {
        log: log(*ms, *severity, body),
        pattern: body.contains("timeout").then(|| TIMEOUT.into()),
        instance: Some("payment-7c9-xk2".into()),
        scope_name: Some("acme.client".into()),
        resource: Some(json!({"service.version": "1.42.0", "k8s.node.name": "n-7"})),
        columns: Vec::new(),
    };
    let rows: Vec<LogLine> = LINES.iter().map(line).collect();
    LogsAnswer { basis: basis(rows.len()), rows, range: range(), next: None }
}

fn nearby() -> List<LogRow> {
    let row = |(ms, waiters): (i64, i64)| LogRow {
        trace_id: None,
        span_id: None,
        attributes: None,
        ..log(ms, 13, &format!("pool acme: 0 idle, {waiters} waiters"))
    };
    list([(-310, 412), (940, 430), (1_701, 447)].map(row).to_vec())
}

fn volume() -> List<LogVolumeRow> {
    let row = |column: i64| {
        let bad = (32..48).contains(&column);
        LogVolumeRow {
            time: time::format(FROM_NS + column * 15_000_000_000),
            debug: 200,
            info: 400 + (column as u64 * 37) % 90,
            warn: if bad { 120 } else { 8 },
            error: if bad { 90 } else { 1 },
            ..LogVolumeRow::default()
        }
    };
    list((0..60).map(row).collect())
}

const TIMEOUT: &str = "upstream timeout after <n>ms provider=<w>";

fn patterns() -> LogPatternsAnswer {
    let row = |pattern: &str, count: u64, before: u64, severity: i64| LogPatternRow {
        pattern: pattern.into(),
        count,
        share: count as f64 / 48_000.0,
        before,
        is_new: before == 0,
        severity_number: Some(severity),
        first_seen: time::format(FROM_NS + 8 * MINUTE_NS + 2_000_000_000),
        last_seen: time::format(FROM_NS + 14 * MINUTE_NS),
        services: vec!["payment".into()],
        example: Some(pattern.replace("<n>", "600").replace("<w>", "acme")),
        exemplar_trace: Some(TRACE.into()),
        exemplar_span: Some(SPAN.into()),
        trend: (0..12).map(|n| if n < 6 { before / 12 } else { count / 6 }).collect(),
    };
    let rows = vec![
        row(TIMEOUT, 5_900, 0, 17),
        row("pool wait <n> ms exceeded warn threshold <n> ms", 5_910, 0, 13),
        row("acquiring connection from pool <w> (in use <n>/<n>)", 18_000, 17_500, 5),
        row("order <id> placed amount=<n>", 16_000, 16_200, 9),
    ];
    LogPatternsAnswer {
        basis: basis(rows.len()),
        rows,
        range: range(),
        records: 48_000,
        records_before: 36_000,
        bins: None,
    }
}

fn step(before: f64, behind: f64, columns: usize) -> Vec<Option<f64>> {
    (0..columns).map(|n| Some(if n < columns / 2 { before } else { behind })).collect()
}

fn metrics() -> List<MetricRow> {
    let row = |metric: &str, unit: &str, kind: &str, temporality: &str, last: f64| MetricRow {
        metric: metric.into(),
        unit: Some(unit.into()),
        kind: kind.into(),
        temporality: Some(temporality.into()).filter(|t: &String| !t.is_empty()),
        shows: if kind == "sum" { "rate" } else { "mean" }.into(),
        series: 12,
        points: 7_200,
        services: 3,
        last_time: time::format(FROM_NS + 14 * MINUTE_NS),
        last_value: Some(last),
        trend: step(last / 4.0, last, 20),
        ..MetricRow::default()
    };
    list(vec![
        row("http.client.request.duration", "s", "histogram", "delta", 0.31),
        row("http.server.requests", "{request}", "sum", "cumulative", 212.4),
        row("payment.pool.in_use", "{connection}", "gauge", "", 32.0),
        row("process.memory.usage", "By", "gauge", "", 212_000_000.0),
    ])
}

fn ranked() -> List<RankedMetricRow> {
    let row =
        |metric: &str, unit: &str, before: f64, at: f64, score: f64, flips: u64| RankedMetricRow {
            metric: metric.into(),
            unit: Some(unit.into()),
            kind: "gauge".into(),
            shows: "mean".into(),
            service_name: "payment".into(),
            series_id: "00".into(),
            labels: vec!["provider=acme".into()],
            series: 1,
            score,
            before: Some(before),
            at: Some(at),
            flips,
            trend: step(before, at, 40),
            exemplar_trace: Some(TRACE.into()),
        };
    list(vec![
        row("payment.pool.waiters", "{request}", 0.0, 447.0, 91.0, 0),
        row("http.client.request.duration", "s", 0.12, 1.95, 60.0, 0),
        row("payment.pool.in_use", "{connection}", 9.0, 32.0, 22.0, 0),
        row("breaker.state", "", 0.0, 1.0, 4.2, 9),
        row("process.cpu.utilization", "1", 0.31, 0.31, 0.1, 0),
    ])
}

fn series() -> MetricSeriesAnswer {
    let columns = 40;
    let lines = [(0.5, 0.05, 0.06), (0.95, 0.08, 0.9), (0.99, 0.12, 1.95)];
    let mut quantiles: Vec<QuantileLine> = lines
        .map(|(quantile, before, at)| QuantileLine { quantile, values: step(before, at, columns) })
        .to_vec();
    for line in &mut quantiles {
        line.values[11] = None;
        line.values[12] = None;
    }
    let group = MetricGroup {
        series: 1,
        value: step(0.06, 0.7, columns),
        count: vec![100; columns],
        resets: vec![30],
        quantiles,
        ..MetricGroup::default()
    };
    let exemplar = |n: i64| MetricExemplar {
        time: time::format(SPAN_NS + (n - 10) * 15_000_000_000),
        value: Some(if n < 10 { 0.11 } else { 1.9 }),
        service_name: "payment".into(),
        trace_id: Some(TRACE.into()),
        span_id: Some(SPAN.into()),
    };
    let bins = Bins {
        from: time::format((SPAN_NS - 5 * MINUTE_NS) / 15_000_000_000 * 15_000_000_000),
        width_ns: 15_000_000_000,
        count: columns,
    };
    MetricSeriesAnswer {
        metric: "http.client.request.duration".into(),
        unit: Some("s".into()),
        kind: Some("histogram".into()),
        temporality: Some("delta".into()),
        shows: "mean".into(),
        range: range(),
        bins,
        interval_ns: Some(15_000_000_000),
        groups: vec![group],
        exemplars: (0..20).map(exemplar).collect(),
        basis: basis(40),
    }
}

/// From, to, kind, rate, errors, p99 before and now.
type Call = (&'static str, &'static str, &'static str, f64, f64, f64, f64);

const CALLS: [Call; 18] = [
    ("gateway", "checkout", "call", 212.4, 0.031, 374.0, 1_920.0),
    ("gateway", "cart", "call", 402.7, 0.0001, 60.0, 61.0),
    ("gateway", "catalog", "call", 612.9, 0.0, 33.0, 34.0),
    ("gateway", "search", "call", 88.0, 0.0, 50.0, 51.0),
    ("cart", "redis", "db", 4_200.0, 0.0, 3.0, 3.0),
    ("checkout", "payment", "call", 198.0, 0.0287, 388.0, 1_710.0),
    ("checkout", "catalog", "call", 2_100.0, 0.0, 33.0, 34.0),
    ("checkout", "inventory", "call", 188.3, 0.0002, 90.0, 92.0),
    ("checkout", "postgres", "db", 212.1, 0.0, 27.0, 44.0),
    ("checkout", "orders", "send", 104.0, 0.0, 39.0, 40.0),
    ("payment", "acme-eu-1", "external", 190.2, 0.03, 118.0, 1_900.0),
    ("payment", "stripe", "external", 20.0, 0.0, 93.0, 93.0),
    ("payment", "postgres", "db", 190.0, 0.0, 20.0, 21.0),
    ("catalog", "postgres", "db", 612.0, 0.0, 27.0, 28.0),
    ("inventory", "postgres", "db", 188.0, 0.0, 27.0, 44.0),
    ("orders", "accounting", "receive", 104.0, 0.0, 31.0, 31.0),
    ("orders", "email", "receive", 104.0, 0.0, 90.0, 90.0),
    ("user", "gateway", "entry", 851.2, 0.0074, 500.0, 1_950.0),
];

fn kind(name: &str) -> &'static str {
    match name {
        "redis" | "postgres" => "db",
        "orders" => "topic",
        "acme-eu-1" | "stripe" => "external",
        "user" => "user",
        _ => "service",
    }
}

fn edges(before: bool) -> List<EdgeRow> {
    let row = |(src, dst, edge_kind, rate, errors, old, now): &Call| {
        let calls = (rate * 900.0) as u64;
        let p99 = if before { *old } else { *now };
        EdgeRow {
            src: (*src).into(),
            src_kind: kind(src).into(),
            dst: (*dst).into(),
            dst_kind: kind(dst).into(),
            edge_kind: (*edge_kind).into(),
            calls,
            per_second: *rate,
            attempts: 1.0,
            client_errors: if before { 0 } else { (calls as f64 * errors) as u64 },
            client_p50_ms: Some(p99 / 20.0),
            client_p99_ms: Some(p99),
            gap_p99_ms: (*edge_kind == "call").then_some(1.1),
            first_seen: time::format(FROM_NS),
            last_seen: time::format(FROM_NS + 14 * MINUTE_NS),
            slowest_trace: Some("a01c77e20000000000000000000000aa".into()),
            error_trace: (*errors > 0.01).then(|| TRACE.into()),
            ..EdgeRow::default()
        }
    };
    list(CALLS.iter().map(row).collect())
}

fn errors() -> List<ErrorRow> {
    let row = |count, path: &str, origin: &str, kind: &str, error: &str, fatal| ErrorRow {
        signature: format!("{count:016x}"),
        path: path.into(),
        origin: origin.into(),
        origin_kind: if origin.contains('→') { "edge" } else { "service" }.into(),
        error_role: Some(kind.into()),
        error_type: Some(error.into()).filter(|e: &String| !e.is_empty()),
        count,
        fatal_share: fatal,
        cost_ms: Some(count as f64 * 1_300.0),
        first_seen: Some(time::format(FROM_NS + 8 * MINUTE_NS + 2_000_000_000)),
        last_seen: Some(time::format(FROM_NS + 14 * MINUTE_NS)),
        exemplar_trace: Some(TRACE.into()),
    };
    list(vec![
        row(
            5_900,
            "gateway POST /checkout → checkout PlaceOrder → payment Charge → payment POST /v1/charge",
            "payment → acme-eu-1",
            "peer_origin",
            "UpstreamTimeout",
            1.0,
        ),
        row(
            410,
            "gateway POST /checkout → checkout PlaceOrder → checkout INSERT orders",
            "checkout → postgres",
            "peer_origin",
            "DeadlockDetected",
            0.0,
        ),
        row(
            171,
            "gateway POST /checkout → checkout PlaceOrder → inventory reserve",
            "inventory",
            "origin",
            "OutOfStock",
            0.6,
        ),
        row(22, "gateway GET /quote", "gateway", "origin", "", 1.0),
    ])
}

fn differences() -> List<DiffRow> {
    let row = |path: &str, depth, status: &str, calls, own, critical| DiffRow {
        path: path.into(),
        depth,
        status: status.into(),
        dcount: Some(calls),
        dself_ms: Some(own),
        dcritical_ms: Some(critical),
        ..DiffRow::default()
    };
    let root = "gateway POST /checkout (server)";
    let order = format!("{root} → checkout PlaceOrder (server)");
    let charge = format!("{order} → payment Charge (server)");
    list(vec![
        row(root, 0, "both", 0.0, 1.0, 1.0),
        row(&order, 1, "both", 0.0, 182.0, 182.0),
        row(&format!("{order} → checkout GetProduct (client)"), 2, "both", 9.0, 28.0, 0.0),
        row(&charge, 2, "both", 0.0, 655.0, 655.0),
        row(&format!("{charge} → payment POST /v1/charge (client)"), 3, "both", 0.0, 560.0, 560.0),
        row(&format!("{charge} → payment retry 1 acme (internal)"), 3, "added", 1.0, 1.0, 1.0),
        row(&format!("{order} → checkout cache hit (internal)"), 2, "removed", -1.0, -6.0, -6.0),
    ])
}

fn ingest() -> IngestAnswer {
    let signal = |signal: &str, per_second: f64, rejected, lag| IngestSignal {
        signal: signal.into(),
        records: (per_second * 900.0) as u64,
        per_second,
        rejected,
        lag_p50_ms: Some(lag / 4.0),
        lag_p99_ms: Some(lag),
        last_seen: Some(time::format(super::NOW_NS - 1_000_000_000)),
        trend: (0..30).map(|n| 1_000 + n * 7 % 100).collect(),
    };
    let sender = |name: &str, seconds: i64, rate: f64, sdk: &str| Sender {
        service_name: name.into(),
        last_seen: time::format(super::NOW_NS - seconds * 1_000_000_000),
        spans: (rate * 900.0) as u64,
        logs: (rate * 120.0) as u64,
        points: 86_400,
        per_second: rate,
        sdk: Some(sdk.into()),
        instances: 3,
        is_silent: seconds > 60,
    };
    let table = |name: &str, files, rows, bytes| TableRow {
        table_name: name.into(),
        live_rows: 120_000,
        live_bytes: 38_000_000,
        files,
        file_rows: rows,
        file_bytes: bytes,
        oldest: Some("2026-11-15T00:00:00Z".into()),
    };
    IngestAnswer {
        range: range(),
        bins: Bins { from: time::format(FROM_NS), width_ns: 30_000_000_000, count: 30 },
        signals: vec![
            signal("traces", 11_400.0, 0, 200.0),
            signal("logs", 3_200.0, 1_204, 300.0),
            signal("metrics", 1_900.0, 0, 1_100.0),
        ],
        senders: vec![
            sender("checkout", 1, 2_100.0, "go 1.43.0"),
            sender("email", 240, 0.0, "nodejs 2.1.0"),
            sender("gateway", 1, 3_900.0, "rust 0.33.0"),
            sender("payment", 1, 1_800.0, "java 2.31.0"),
        ],
        rejects: vec![RejectRow {
            day: "2026-11-22".into(),
            signal: "logs".into(),
            reason: "trace_id has 8 bytes, 16 wanted".into(),
            count: 1_204,
        }],
        store: StoreRow {
            segments: 3,
            bytes: 212_000_000,
            syncs: 91_000,
            sync_mean_ms: Some(1.1),
            deduplicated: 12,
            oldest_live: Some(time::format(super::NOW_NS - 41_000_000_000)),
            free_disk_bytes: 31_000_000_000,
            ..StoreRow::default()
        },
        tables: vec![
            table("spans", 1_200, 1_200_000_000, 12_000_000_000),
            table("logs", 1_023, 4_100_000_000, 6_200_000_000),
        ],
        gaps: Vec::new(),
        basis: basis(10),
    }
}

/// An explorer over the incident at a place, all questions answered.
pub(crate) fn session(place: Place, size: (u16, u16), look: &str) -> Session {
    let mut session = Session::at(place, size, look, answer);
    session.settle();
    session
}

/// Compares a screen behind some keys in three sizes and in every look.
#[track_caller]
pub(crate) fn check_pictures(place: Place, keys: &str, name: &str) {
    let sizes = SIZES.map(|size| (size, "ansi", ""));
    let looks = ["mono", "ascii", "rich"].map(|look| ((80, 24), look, look));
    for (size, look, suffix) in sizes.into_iter().chain(looks) {
        let mut session = session(place, size, look);
        session.press(keys);
        session.settle();
        let dash = if suffix.is_empty() { "" } else { "-" };
        session.check(&format!("{name}/{}x{}{dash}{suffix}", size.0, size.1));
    }
}

/// Presses random keys at random sizes; nothing may panic.
pub(crate) fn check_any_keys(place: Place, canned: Canned) {
    let keys = "j k h l g G enter esc x v s S e E f F o a A d n c C + - 0 space tab z r y esc L M T D X ctrl-d ctrl-u < > [ ] p";
    let keys: Vec<&str> = keys.split(' ').collect();
    let mut seed = 7u32;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize % below
    };
    for round in 0..6 {
        let size = (next(160) as u16 + 1, next(50) as u16 + 1);
        let mut session = Session::at(place, size, "ansi", canned);
        for _ in 0..20 {
            session.press(keys[next(keys.len())]);
            if next(3) == 0 {
                session.settle();
            }
            session.drawn();
        }
        assert!(session.app.depth() < 30, "round {round}");
    }
}
