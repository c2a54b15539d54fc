//! The incident of the specification: the connection pool of `payment` runs dry at 15:53. Every screen is
//! tested over it.

use api::ask::Call;
use api::views::{
    Basis, Before, Bins, Change, ChangePoint, CompareRow, HeatmapAnswer, HeatmapCell, List, LogRow,
    PathPiece, ServiceRow, SpanEvent, TimeRange, TraceAnswer, TraceRow, TraceSpan, Trend,
};
use api::{sql, time};
use serde::Serialize;
use serde_json::json;

use super::NOW_NS;
use crate::request::{Outcome, Request};

pub(crate) const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const MINUTE_NS: i64 = 60_000_000_000;
/// 15:45, where the range of the test begins.
const FROM_NS: i64 = 1_795_362_300_000_000_000;

/// Answers the questions of the screens.
pub(crate) fn answer(request: &Request) -> Option<Outcome> {
    Some(request.read(bytes_of(&request.call)?))
}

/// The bytes of an answer, as they would come over the wire.
pub(crate) fn bytes_of(call: &Call) -> Option<Vec<u8>> {
    let path = call.path.split('?').next()?;
    let bytes = match path.strip_prefix("/api/v1/")? {
        "services" => bytes(&services()),
        "heatmap" => bytes(&heatmap()),
        "traces" => bytes(&traces()),
        "compare" => bytes(&compare()),
        "sql" => bytes(&parts(&call.body)),
        "watermark" => bytes(&json!({"seq": 1, "rows": [], "stats": {}})),
        "filter" => bytes(&json!({"sql": "TRUE", "terms": [], "warnings": [], "stats": {}})),
        "complete" => bytes(&json!({"from": 0, "to": 0, "rows": [], "stats": {}})),
        path if path.starts_with("traces/") => bytes(&trace()),
        _ => return None,
    };
    Some(bytes)
}

/// The same questions over a directory without a row.
pub(crate) fn nothing(request: &Request) -> Option<Outcome> {
    let path = request.call.path.split('?').next()?;
    let empty = json!({
        "rows": [], "range": {}, "stats": {}, "cells": [], "columns": [], "column_ns": 1,
        "schema": [], "spans": [], "logs": [], "critical_path": [], "seq": 0,
    });
    match path {
        "/api/v1/watermark" => None,
        _ => Some(request.read(bytes(&empty))),
    }
}

/// Hostile names and numbers in place of the usual ones.
pub(crate) fn hostile(request: &Request) -> Option<Outcome> {
    let evil =
        "\u{1b}]52;c;AAAA\u{7}\u{1b}[2J\u{202e}evil\u{200b}\n".to_owned() + &"w".repeat(5_000);
    let path = request.call.path.split('?').next()?;
    let bytes = match path.strip_prefix("/api/v1/")? {
        "services" => {
            let mut list = services();
            for row in &mut list.rows {
                row.service_name = format!("{evil}{}", row.service_name);
                row.p99_ms = Some(f64::MAX);
            }
            bytes(&list)
        }
        path if path.starts_with("traces/") => {
            let mut trace = trace();
            let ids: Vec<String> = trace.spans.iter().map(|span| span.span_id.clone()).collect();
            for (at, span) in trace.spans.iter_mut().enumerate() {
                span.name = evil.clone();
                span.service_name = evil.clone();
                // Each the parent of the next, and the last that of the first.
                span.parent_span_id = Some(ids[(at + 1) % ids.len()].clone());
                span.attributes = Some(json!({ evil.clone(): evil.clone() }));
            }
            bytes(&trace)
        }
        _ => return answer(request),
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
        elapsed_ms: 180.0,
        files_scanned: 12,
        files_skipped: 3,
        bytes_scanned: 38_000_000,
        ..sql::Stats::default()
    };
    Basis { stats, sql: vec!["SELECT service_name FROM spans GROUP BY 1".into()] }
}

fn range() -> TimeRange {
    let to_ns = FROM_NS + 15 * MINUTE_NS;
    TimeRange { from: Some(time::format(FROM_NS)), to: Some(time::format(to_ns)) }
}

/// Name, kind, rate, error share, p50, p95, p99, what changed, and the level of its trend.
type Sample = (&'static str, &'static str, f64, f64, f64, f64, f64, Option<(&'static str, f64)>);

const SERVICES: [Sample; 9] = [
    ("checkout", "service", 212.4, 0.0310, 41.0, 380.0, 1_920.0, Some(("p99", 374.0))),
    ("payment", "service", 198.0, 0.0287, 88.0, 310.0, 1_710.0, Some(("p99", 388.0))),
    ("gateway", "service", 851.2, 0.0074, 12.0, 120.0, 1_950.0, Some(("p99", 1_700.0))),
    ("cart", "service", 402.7, 0.0001, 6.0, 22.0, 61.0, None),
    ("catalog", "service", 612.9, 0.0, 3.0, 11.0, 34.0, None),
    ("inventory", "service", 188.3, 0.0002, 9.0, 40.0, 92.0, None),
    ("shipping", "service", 101.5, 0.0, 15.0, 51.0, 140.0, None),
    ("postgres", "db", 1_900.0, 0.0, 1.0, 8.0, 44.0, Some(("p99", 27.0))),
    ("redis", "db", 4_200.0, 0.0, 0.3, 1.0, 3.0, None),
];

fn services() -> List<ServiceRow> {
    let rows: Vec<ServiceRow> = SERVICES.iter().map(service).collect();
    let bins = Bins { from: time::format(FROM_NS), width_ns: MINUTE_NS, count: 15 };
    List { basis: basis(rows.len()), rows, range: range(), bins: Some(bins) }
}

fn service((name, kind, rate, errors, p50, p95, p99, change): &Sample) -> ServiceRow {
    let seconds = 900.0;
    let before = change.map_or(*p99, |(_, before)| before);
    let trend = (0..15).map(|column| if column < 8 { before } else { *p99 }).map(Some).collect();
    ServiceRow {
        service_name: (*name).into(),
        kind: (*kind).into(),
        requests: (rate * seconds) as u64,
        per_second: *rate,
        errors: (rate * seconds * errors) as u64,
        error_share: Some(*errors),
        p50_ms: Some(*p50),
        p95_ms: Some(*p95),
        p99_ms: Some(*p99),
        self_ms: Some(p50 / 3.0),
        instances: Some(3),
        versions: vec!["1.41.3".into(), "1.42.0".into()],
        impact: Some(rate * (p99 - before)),
        before: Some(Before {
            calls: (rate * seconds) as u64,
            p99_ms: Some(before),
            error_share: Some(0.0002),
            ..Before::default()
        }),
        change: change.map(|(of, before)| Change {
            of: of.into(),
            before,
            now: *p99,
            factor: Some(p99 / before),
            since: None,
        }),
        trend: Some(Trend { p99_ms: trend, ..Trend::default() }),
        slowest_trace: Some("a01c77e20000000000000000000000aa".into()),
        error_trace: Some(TRACE.into()),
        median_trace: Some("e9aa0c310000000000000000000000bb".into()),
        ..ServiceRow::default()
    }
}

/// Durations around 30 ms, and from 15:53 to 15:57 a second cloud above 700 ms.
fn heatmap() -> HeatmapAnswer {
    let column_ns = 15_000_000_000;
    let mut cells = Vec::new();
    for column in 0..60i64 {
        let slow = (32..48).contains(&column);
        for bin in 44..62i64 {
            let usual = (60 - (bin - 50).pow(2) * 3).max(0);
            let late = if slow { (24 - (bin - 60).pow(2) * 6).max(0) } else { 0 };
            let count = (usual + late) as u64;
            if count > 0 {
                let errors = if late > 0 { count / 2 } else { 0 };
                cells.push(HeatmapCell {
                    time: time::format(FROM_NS + column * column_ns),
                    bin,
                    count,
                    errors,
                    slowest_trace: Some(TRACE.into()),
                    error_trace: (errors > 0).then(|| TRACE.into()),
                    median_trace: Some(TRACE.into()),
                    ..HeatmapCell::default()
                });
            }
        }
    }
    let change = ChangePoint {
        from: time::format(FROM_NS + 8 * MINUTE_NS),
        to: time::format(FROM_NS + 12 * MINUTE_NS),
        of: "p95".into(),
        before: 41.0,
        inside: 1_920.0,
        over_ns: Some(700_000_000),
    };
    HeatmapAnswer {
        range: range(),
        column_ns,
        basis: basis(cells.len()),
        cells,
        columns: Vec::new(),
        change: Some(change),
    }
}

fn traces() -> List<TraceRow> {
    let row = |at: usize| {
        let failed = at % 4 < 2;
        TraceRow {
            trace_id: format!("{at:032x}"),
            root_service: (at != 6).then(|| "gateway".into()),
            root_name: (at != 6).then(|| "POST /checkout".into()),
            start_time: Some(time::format(NOW_NS - at as i64 * 275_000_000)),
            duration_ns: Some(if failed { 1_920_000_000 } else { 44_000_000 }),
            span_count: 127,
            error_count: Some(if failed { 3 } else { 0 }),
            is_error: Some(failed),
            service_count: Some(9),
            depth: Some(7),
            orphan_count: Some(0),
            trace_complete: Some(at != 9),
            top_node: Some(if failed { "payment".into() } else { "checkout".into() }),
            top_share: Some(0.71),
            ..TraceRow::default()
        }
    };
    let rows: Vec<TraceRow> = (0..40).map(row).collect();
    List { basis: basis(rows.len()), rows, range: range(), bins: None }
}

fn compare() -> List<CompareRow> {
    let row = |attribute: &str, value: &str, sel, base, score| CompareRow {
        attribute: attribute.into(),
        value: Some(value.into()),
        share_sel: Some(sel),
        share_base: Some(base),
        score: Some(score),
        exemplar_trace: Some(TRACE.into()),
        ..CompareRow::default()
    };
    let rows = vec![
        row("payment.provider", "acme", 0.982, 0.241, 0.74),
        row("k8s.node.name", "n-7", 0.610, 0.124, 0.49),
        row("service.version", "1.42.0", 0.588, 0.119, 0.47),
        row("http.route", "/checkout", 0.5, 0.5, 0.0),
    ];
    List { basis: basis(rows.len()), rows, range: range(), bins: None }
}

/// What a filter line finds within the trace.
fn of_postgres() -> sql::SqlAnswer {
    let spans = trace().spans.into_iter().filter(|span| span.service_name == "postgres");
    let row = |span: TraceSpan| json!({"found": span.span_id}).as_object().cloned();
    sql::SqlAnswer { rows: spans.filter_map(row).collect(), ..sql::SqlAnswer::default() }
}

/// Where the time goes: the statement of the baseline asks about the time before 15:45.
fn parts(body: &[u8]) -> sql::SqlAnswer {
    let asked: sql::SqlRequest = serde_json::from_slice(body).unwrap_or_default();
    if asked.sql.starts_with("SELECT span_id") {
        return of_postgres();
    }
    let before = asked.sql.contains("start_time >= TIMESTAMP '2026-11-22T15:30");
    let scale = if before { 0.04 } else { 1.0 };
    let row = |part: &str, ms: f64| {
        let object = json!({"part": part, "mean_ms": ms * scale, "presence": 1.0, "traces": 5900,
            "exemplar": TRACE});
        object.as_object().cloned().unwrap_or_default()
    };
    let rows = vec![
        row("payment  POST /charge", 1_310.0),
        row("checkout  PlaceOrder", 200.0),
        row("postgres  INSERT orders", 150.0),
        row("gap: checkout -> payment", 110.0),
        row("kafka  publish orders", 40.0),
        row("cart  GetCart", 21.0),
        row("catalog  GetProduct", 19.0),
    ];
    let field = |name: &str, kind: &str| sql::Field { name: name.into(), kind: kind.into() };
    sql::SqlAnswer {
        schema: vec![field("part", "text"), field("mean_ms", "double"), field("exemplar", "id")],
        rows,
        stats: basis(7).stats,
        error: None,
    }
}

/// Id, parent, service, name, kind, start and duration in ms, own and path time in ms, in error.
type Span = (u8, u8, &'static str, &'static str, &'static str, i64, i64, i64, i64, bool);

const SPANS: [Span; 13] = [
    (1, 0, "gateway", "POST /checkout", "server", 0, 1_920, 38, 38, true),
    (2, 1, "checkout", "PlaceOrder", "server", 30, 1_880, 200, 200, true),
    (3, 2, "cart", "GetCart", "client", 35, 6, 4, 4, false),
    (4, 2, "catalog", "GetProduct", "client", 45, 44, 31, 31, false),
    (5, 2, "inventory", "reserve", "client", 90, 61, 9, 9, false),
    (6, 5, "postgres", "UPDATE stock", "client", 95, 52, 52, 52, false),
    (7, 2, "payment", "Charge", "server", 100, 1_310, 660, 660, true),
    (8, 7, "acme", "POST /v1/charge", "client", 762, 612, 598, 598, true),
    (9, 7, "payment", "retry 1 acme", "internal", 1_380, 1, 1, 1, false),
    (10, 2, "postgres", "INSERT orders", "client", 1_500, 150, 150, 150, false),
    (11, 2, "kafka", "publish orders", "producer", 1_700, 40, 40, 40, false),
    (12, 11, "accounting", "consume orders", "consumer", 1_745, 31, 22, 0, false),
    (13, 99, "shipping", "ship", "server", 1_800, 14, 14, 0, false),
];

fn span_id(n: u8) -> String {
    if n == 8 { "00f067aa0ba902b7".into() } else { format!("{n:016x}") }
}

const TRACE_START_NS: i64 = FROM_NS + 9 * MINUTE_NS + 11_482_000_000;

fn span(row: &Span) -> TraceSpan {
    let (id, parent, service, name, kind, start, length, own, path, failed) = *row;
    let ms = 1_000_000;
    let attributes = json!({"http.response.status_code": 504, "payment.provider": "acme",
        "server.address": "acme-eu-1"});
    let event = SpanEvent {
        time: time::format(TRACE_START_NS + (start + length - 1) * ms),
        name: "exception".into(),
        attributes: Some(json!({"exception.type": "UpstreamTimeout"})),
    };
    TraceSpan {
        trace_id: TRACE.into(),
        span_id: span_id(id),
        parent_span_id: (parent > 0).then(|| span_id(parent)),
        start_time: time::format(TRACE_START_NS + start * ms),
        duration_ns: length * ms,
        service_name: service.into(),
        name: name.into(),
        kind: Some(kind.into()),
        status_code: Some(if failed { "error" } else { "unset" }.into()),
        status_message: (id == 8).then(|| "upstream timeout after 600ms".into()),
        attributes: (id == 8).then_some(attributes),
        resource: Some(json!({"service.version": "1.42.0", "k8s.pod.name": "payment-7c9-xk2"})),
        events: if id == 8 { vec![event] } else { Vec::new() },
        self_ns: Some(own * ms),
        critical_ns: Some(path * ms),
        is_error: Some(failed),
        error_role: failed.then(|| if id == 8 { "peer_origin" } else { "propagated" }.into()),
        is_orphan: Some(parent == 99),
        is_main: Some(id != 12 && id != 13),
        peer: (id == 8).then(|| "acme-eu-1".into()),
        ..TraceSpan::default()
    }
}

fn trace() -> TraceAnswer {
    let log = |at_ms: i64, severity, body: &str, span: u8| LogRow {
        time: time::format(TRACE_START_NS + at_ms * 1_000_000),
        service_name: "payment".into(),
        severity_number: Some(severity),
        body: Some(body.into()),
        trace_id: Some(TRACE.into()),
        span_id: Some(span_id(span)),
        ..LogRow::default()
    };
    let logs = vec![
        log(100, 5, "acquiring connection from pool acme (in use 32/32)", 7),
        log(761, 13, "pool wait 661 ms exceeded warn threshold 100 ms", 7),
        log(762, 5, "POST https://acme-eu-1/v1/charge attempt=1", 8),
        log(1_363, 17, "upstream timeout after 600ms provider=acme", 8),
        log(1_364, 9, "circuit breaker acme: half-open -> open", 8),
    ];
    let piece = |n: u8, service: &str, from_ms: i64, to_ms: i64| PathPiece {
        segment_id: span_id(1),
        span_id: span_id(n),
        service_name: service.into(),
        name: "Charge".into(),
        from_ns: from_ms * 1_000_000,
        to_ns: to_ms * 1_000_000,
        category: "self".into(),
        charged_to: Some(service.into()),
        ..PathPiece::default()
    };
    TraceAnswer {
        spans: SPANS.iter().map(span).collect(),
        logs,
        critical_path: vec![
            piece(1, "gateway", 0, 38),
            piece(7, "payment", 100, 760),
            piece(8, "acme", 762, 1_374),
            piece(2, "checkout", 1_374, 1_500),
        ],
        basis: basis(SPANS.len()),
    }
}
