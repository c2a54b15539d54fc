//! What the explorer's screens ask: periods compared, filter lines, logs, metrics, completion,
//! ingest, skeletons.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::support::{attribute, request};

/// Everything, over one shop.
pub(super) fn explorer(filled: &Filled) {
    periods_are_compared(filled);
    peers_are_services_too(filled);
    filter_lines_select(filled);
    wrong_lines_say_where(filled);
    pages_of_traces_follow_each_other(filled);
    a_skeleton_is_the_trace(filled);
    a_change_is_found(filled);
    pages_of_logs_follow_each_other(filled);
    logs_by_severity_and_pattern(filled);
    metrics_of_all_kinds(filled);
    metrics_are_ranked(filled);
    texts_are_completed(filled);
    ingest_is_told(filled);
}

/// The time with the fault.
fn fault(filled: &Filled) -> (Option<String>, Option<String>) {
    (Some(time(filled.options.fault_from_ns())), Some(time(filled.options.end_ns())))
}

fn with_search(line: &str) -> Options {
    Options { search: Some(line.into()), sql: Some(true), ..Options::default() }
}

fn searched<Q: Question>(filled: &Filled, question: Q, line: &str) -> Q::Answer {
    filled.try_ask(&question, &with_search(line)).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn count(filled: &Filled, sql: &str) -> u64 {
    filled.server.sql(sql)[0]["n"].as_u64().unwrap()
}

fn within(filled: &Filled, column: &str) -> String {
    let (from, to) = fault(filled);
    format!("{column} >= '{}' and {column} < '{}'", from.unwrap(), to.unwrap())
}

fn periods_are_compared(filled: &Filled) {
    let (from, to) = fault(filled);
    let answer = filled.ask(Services {
        from: from.clone(),
        to: to.clone(),
        compare: Some("previous".into()),
        bins: Some(12),
        ..Services::default()
    });
    let bins = answer.bins.clone().unwrap();
    assert_eq!((bins.from, bins.width_ns, bins.count), (from.clone().unwrap(), 10_000_000_000, 12));
    let payment = answer.rows.iter().find(|row| row.service_name == "payment").unwrap();
    let trend = payment.trend.as_ref().unwrap();
    assert_eq!(trend.calls.iter().sum::<u64>(), payment.requests);
    assert_eq!(trend.errors.iter().sum::<u64>(), payment.errors);
    assert!(trend.p99_ms.iter().any(Option::is_some) && trend.p99_ms.len() == 12);
    let before = payment.before.as_ref().unwrap();
    let half = filled.options.start_ns + 2 * 60_000_000_000;
    let calls = count(
        filled,
        &format!(
            "select count(*) as n from spans where service_name = 'payment' and kind = 'server' \
             and start_time >= '{}' and start_time < '{}'",
            time(half),
            from.clone().unwrap()
        ),
    );
    assert_eq!(before.calls, calls);
    let change = payment.change.as_ref().unwrap();
    assert_eq!(change.of, "errors", "{change:?}");
    assert!(change.now > 0.2 && change.before < 0.1, "{change:?}");
    assert!(payment.instances >= Some(1) && !payment.versions.is_empty(), "{payment:?}");
    assert!(payment.self_ms > Some(0.0) && payment.kind == "service");
    let impacts: Vec<f64> = answer.rows.iter().map(|row| row.impact.unwrap_or(0.0)).collect();
    assert!(impacts.is_sorted_by(|a, b| a >= b), "{impacts:?}");

    let operations = filled.ask(Operations {
        from,
        to,
        service: Some("payment".into()),
        compare: Some("1d".into()),
        bins: Some(4),
    });
    assert!(operations.rows.iter().all(|row| row.before.as_ref().unwrap().calls == 0));
    assert!(operations.rows.iter().all(|row| row.change.is_none() && row.impact.is_none()));
    assert!(operations.rows.iter().all(|row| row.trend.as_ref().unwrap().calls.len() == 4));
}

fn peers_are_services_too(filled: &Filled) {
    let question =
        Services { from: filled.from(), to: filled.to(), peers: Some(true), ..Services::default() };
    let answer = filled.ask(question);
    let peers: BTreeMap<&str, u64> = answer
        .rows
        .iter()
        .filter(|row| row.kind != "service")
        .map(|row| (row.service_name.as_str(), row.requests))
        .collect();
    let database = filled.shop.truth.edges[&Edge { from: "payment", to: "sqlite:payment" }];
    assert_eq!(peers.get("sqlite:payment"), Some(&database.calls), "{peers:?}");
    let row = answer.rows.iter().find(|row| row.service_name == "sqlite:payment").unwrap();
    assert_eq!((row.kind.as_str(), row.errors), ("db", database.client_errors));
}

/// A line finds the spans that SQL written by hand finds.
fn filter_lines_select(filled: &Filled) {
    let parents = "select parent_span_id from spans where kind = 'client' and is_error \
                   and parent_span_id is not null";
    let slow = "select trace_id from traces where duration_ns > 50000000";
    for (line, by_hand) in [
        ("service=payment kind=server", "service_name = 'payment' and kind = 'server'".to_owned()),
        ("dur>50ms", "duration_ns > 50000000".to_owned()),
        ("op~\"^POST \" or is_root=true", "name like 'POST %' or is_root".to_owned()),
        ("http_status_code>=500", "http_status_code >= 500".to_owned()),
        ("-http.route=/x", "true".to_owned()),
        ("has(http.route)", "attributes['http.route'] is not null".to_owned()),
        ("-has(http.route)", "attributes['http.route'] is null".to_owned()),
        ("service in (payment, order)", "service_name in ('payment', 'order')".to_owned()),
        ("-(service=payment kind=server)", "not (service_name = 'payment' and kind = 'server')".to_owned()),
        ("post", "lower(name) like '%post%'".to_owned()),
        ("sql(duration_ns % 2 = 0)", "duration_ns % 2 = 0".to_owned()),
        ("trace.dur>50ms", format!("trace_id in ({slow})")),
        ("-trace.dur>50ms", format!("trace_id not in ({slow})")),
        ("child(kind=client is_error=true)", format!("span_id in ({parents})")),
        ("-child(kind=client is_error=true)", format!("span_id not in ({parents})")),
        ("kind=client parent(service=order)", "kind = 'client' and parent_service = 'order'".to_owned()),
        ("is_root=true desc(service=payment)", "is_root and trace_id in (select trace_id from spans where service_name = 'payment')".to_owned()),
        ("service=payment anc(is_root=true) -is_root=true", "service_name = 'payment' and not is_root and trace_id in (select trace_id from spans where is_root)".to_owned()),
        ("dur>50ms or child(op=nothing)", "duration_ns > 50000000".to_owned()),
    ] {
        let answer = filled.ask(FilterLine { text: Some(line.into()), ..FilterLine::default() });
        assert_eq!(answer.warnings, [], "{line}");
        let of = |sql: &str| count(filled, &format!("select count(*) as n from spans where {sql}"));
        assert_eq!(of(&answer.sql), of(&by_hand), "{line}: {}", answer.sql);
    }
    let services = searched(filled, Services::default(), "service=payment");
    let names: Vec<&str> = services.rows.iter().map(|row| row.service_name.as_str()).collect();
    assert_eq!(names, ["payment"]);
    let breakdown = Breakdown { root: Some("*".into()), ..Breakdown::default() };
    let breakdown = searched(filled, breakdown, "service=payment");
    assert!(breakdown.rows.iter().any(|row| row.key == "(other)"), "{:?}", breakdown.rows);
    let failed = "service=payment kind=server is_error=true";
    let heatmap = Heatmap { from: filled.from(), to: filled.to(), ..Heatmap::default() };
    let heatmap = searched(filled, heatmap, failed);
    let cells: u64 = heatmap.cells.iter().map(|cell| cell.count).sum();
    let edge = filled.shop.truth.edges[&Edge { from: "order", to: "payment" }];
    assert_eq!(cells, edge.server_errors);
    let map = searched(filled, Map::default(), failed);
    let shown = map.rows.iter().find(|row| (&*row.src, &*row.dst) == ("order", "payment"));
    assert_eq!(shown.unwrap().server_errors, edge.server_errors);
    assert!(searched(filled, Map::default(), "service=nobody").rows.is_empty());
    assert!(searched(filled, Errors::default(), "service=nobody").rows.is_empty());
}

fn wrong_lines_say_where(filled: &Filled) {
    let refused = |line: &str| match filled.try_ask(&Services::default(), &with_search(line)) {
        Err(ClientError::Refused(problem)) => problem,
        other => panic!("{line}: {other:?}"),
    };
    let problem = refused("service=payment dur>soon");
    assert_eq!((problem.code.as_str(), problem.column), ("syntax", Some(21)), "{problem:?}");
    let answer = searched(filled, Services::default(), "http.rout=x");
    let warnings = &answer.basis.stats.warnings;
    assert!(warnings.iter().any(|w| w.contains("did you mean http.route?")), "{warnings:?}");
    let none = filled.try_ask(&Bottlenecks::default(), &with_search("service=a"));
    assert!(none.unwrap_err().to_string().contains("takes no filter line"));
}

fn pages_of_traces_follow_each_other(filled: &Filled) {
    for sort in ["newest", "oldest", "slowest", "fastest", "errors", "spans"] {
        let mut found = BTreeSet::new();
        let mut after = None;
        loop {
            let page = Traces {
                from: filled.from(),
                to: filled.to(),
                sort: Some(sort.into()),
                after: after.take(),
                ..Traces::default()
            };
            let limited = Options { limit: Some(150), ..Options::default() };
            let page = filled.try_ask(&page, &limited).unwrap();
            let Some(last) = page.rows.last() else { break };
            after = Some(last.cursor.clone());
            for row in &page.rows {
                assert!(found.insert(row.trace_id.clone()), "{sort}: {row:?}");
            }
        }
        assert_eq!(found.len(), filled.shop.truth.traces.len(), "{sort}");
    }
    let detailed = Traces {
        from: filled.from(),
        to: filled.to(),
        top: Some(true),
        columns: Some("http.route,resource.service.version,nothing".into()),
        ..Traces::default()
    };
    let answer = filled.ask(detailed);
    let row = &answer.rows[0];
    assert!(row.top_node.is_some() && row.top_share > Some(0.0), "{row:?}");
    assert_eq!((row.columns.len(), &row.columns[2]), (3, &None), "{row:?}");
}

fn a_skeleton_is_the_trace(filled: &Filled) {
    let largest = "select trace_id, count(*) as n from spans group by 1 order by n desc, 1 limit 1";
    let id = filled.server.sql(largest)[0]["trace_id"].as_str().unwrap().to_owned();
    let trace = filled.ask(Trace { trace_id: Some(id.clone()) });
    let skeleton = filled.ask(Skeleton { trace_id: Some(id.clone()) });
    let columns = &skeleton.columns;
    let rows = columns.span_id.len();
    assert_eq!(rows, trace.spans.len());
    for (row, span) in trace.spans.iter().enumerate() {
        assert_eq!(columns.span_id[row], span.span_id);
        assert_eq!(columns.names[columns.name[row] as usize], span.name);
        assert_eq!(columns.services[columns.service[row] as usize], span.service_name);
        let parent = columns.span_id.get(columns.parent[row] as usize);
        assert_eq!(parent, span.parent_span_id.as_ref(), "{span:?}");
        assert_eq!(u64::from(columns.depth[row]), span.depth.unwrap());
        assert_eq!(columns.critical_ns[row], span.critical_ns.unwrap_or(0));
        assert_eq!(SPAN_KINDS[usize::from(columns.kind[row])], span.kind.as_deref().unwrap());
        let is_error = columns.flags[row] & span_flags::ERROR != 0;
        assert_eq!(is_error, span.is_error == Some(true));
        let end = columns.subtree_end[row] as usize;
        let below = |other: usize| columns.parent[other] as usize >= row;
        assert!((row + 1..end).all(below) && end <= rows);
        assert!(end == rows || columns.depth[end] <= columns.depth[row]);
    }
    assert_eq!(columns.start_ns.iter().min(), Some(&0));
    let ids = format!("{},{}", columns.span_id[1], columns.span_id[0]);
    let details = filled.ask(SpanDetails { trace_id: Some(id), ids: Some(ids) });
    assert_eq!(details.rows, trace.spans[..2]);
    let none = filled.ask(Skeleton { trace_id: Some("0".repeat(31) + "1") });
    assert_eq!((none.columns, none.start), (SkeletonColumns::default(), None));
}

fn a_change_is_found(filled: &Filled) {
    let range = |from, to| Heatmap { from, to, columns: Some(36), ..Heatmap::default() };
    let whole = Some(time(filled.options.end_ns()));
    let answer = filled.ask(range(filled.from(), whole));
    let counted: u64 = answer.columns.iter().map(|column| column.count).sum();
    assert_eq!(counted, answer.cells.iter().map(|cell| cell.count).sum::<u64>());
    let change = answer.change.unwrap_or_else(|| panic!("no change in {:?}", answer.columns));
    assert_eq!(change.of, "errors", "{change:?}");
    let began_ns = api::time::parse(&change.from, 0).unwrap();
    let off_ns = began_ns - i64::try_from(filled.options.fault_from_ns()).unwrap();
    assert!(off_ns.abs() <= 20_000_000_000, "{change:?}");
    let calm = filled.ask(range(filled.from(), Some(time(filled.options.fault_from_ns()))));
    assert_eq!(calm.change, None);
}

fn pages_of_logs_follow_each_other(filled: &Filled) {
    let stored = count(filled, "select count(*) as n from logs");
    for sort in ["newest", "oldest"] {
        let (mut seen, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = Logs { sort: Some(sort.into()), after: after.take(), ..Logs::default() };
            let limited = Options { limit: Some(97), ..Options::default() };
            let page = filled.try_ask(&page, &limited).unwrap();
            seen.extend(page.rows);
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((seen.len() as u64, pages), (stored, stored.div_ceil(97)), "{sort}");
        assert!(seen.is_sorted_by(|a, b| match sort {
            "newest" => a.log.time >= b.log.time,
            _ => a.log.time <= b.log.time,
        }));
        let distinct: BTreeSet<String> = seen.iter().map(|line| format!("{line:?}")).collect();
        assert_eq!(distinct.len() as u64, stored);
    }
    let failed = filled.shop.truth.traces.iter().find(|trace| trace.is_error).unwrap();
    let of_trace = Logs {
        trace_id: Some(hex(failed.trace_id)),
        columns: Some("correlation.id,resource.service.name".into()),
        ..Logs::default()
    };
    let of_trace = searched(filled, of_trace, "level>=info");
    assert!(!of_trace.rows.is_empty() && of_trace.next.is_none());
    for line in &of_trace.rows {
        assert_eq!(line.log.trace_id, Some(hex(failed.trace_id)));
        assert_eq!(line.columns[1].as_ref(), Some(&line.log.service_name));
        assert!(line.columns[0].is_some() && line.instance.is_some() && line.resource.is_some());
    }
    near_the_moment(filled);
}

/// Lines without a trace id, near in time.
fn near_the_moment(filled: &Filled) {
    let at_ns = filled.options.start_ns + 60_000_000_000;
    let line = |offset_s: u64, body: &str| {
        json!({"timeUnixNano": (at_ns + offset_s * 1_000_000_000).to_string(),
               "severityNumber": 13, "body": {"stringValue": body}})
    };
    let lines = vec![line(1, "pool acme: 0 idle, 412 waiters"), line(30, "later")];
    filled.server.accept("logs", &request("logs", "payment", lines));
    let nearby = NearbyLogs {
        at: Some(time(at_ns)),
        service: Some("payment".into()),
        ..NearbyLogs::default()
    };
    let found = filled.ask(nearby);
    let bodies: Vec<&str> = found.rows.iter().filter_map(|row| row.body.as_deref()).collect();
    assert_eq!(bodies, ["pool acme: 0 idle, 412 waiters"]);
}

fn logs_by_severity_and_pattern(filled: &Filled) {
    let (from, to) = fault(filled);
    let stored =
        count(filled, &format!("select count(*) as n from logs where {}", within(filled, "time")));
    let volume = LogVolume { from: from.clone(), to: to.clone(), bins: Some(12), filter: None };
    let volume = filled.ask(volume);
    let counted: u64 = volume.rows.iter().map(|row| row.info + row.warn + row.error).sum();
    assert_eq!((counted, volume.rows.len()), (stored, 12));

    let question = LogPatterns { from: from.clone(), to: to.clone(), bins: Some(12), filter: None };
    let patterns = filled.ask(question);
    assert_eq!(patterns.records, stored);
    assert_eq!(patterns.rows.iter().map(|row| row.count).sum::<u64>(), stored);
    assert!(patterns.rows.is_sorted_by_key(|row| !row.is_new));
    for row in &patterns.rows {
        assert_eq!(row.trend.iter().sum::<u64>(), row.count, "{row:?}");
        assert!(row.example.is_some() && row.exemplar_trace.is_some(), "{row:?}");
    }
    let answered = patterns.rows.iter().find(|row| row.pattern.contains("answered in")).unwrap();
    assert!(answered.pattern.ends_with("answered in <n> ms") && !answered.is_new, "{answered:?}");
    let failed = patterns.rows.iter().find(|row| row.severity_number == Some(17)).unwrap();
    assert!(failed.count > failed.before, "{failed:?}");
    let lines = Logs { from, to, pattern: Some(failed.pattern.clone()), ..Logs::default() };
    let all = Options { limit: Some(5_000), ..Options::default() };
    let lines = filled.try_ask(&lines, &all).unwrap();
    assert_eq!(lines.rows.len() as u64, failed.count);
    assert!(lines.rows.iter().all(|line| line.pattern.as_ref() == Some(&failed.pattern)));
}

/// Points of one metric, ten seconds apart.
fn points(
    filled: &Filled,
    values: impl IntoIterator<Item = serde_json::Value>,
) -> Vec<serde_json::Value> {
    let start_ns = filled.options.start_ns;
    let point = |(i, mut point): (usize, serde_json::Value)| {
        let at_ns = start_ns + (i as u64 + 1) * 10_000_000_000;
        point["startTimeUnixNano"] = start_ns.to_string().into();
        point["timeUnixNano"] = at_ns.to_string().into();
        point
    };
    values.into_iter().enumerate().map(point).collect()
}

fn send_metrics(filled: &Filled) {
    let numbers = |route: &str, values: &[f64]| -> Vec<serde_json::Value> {
        let attributes = json!([attribute("http.route", route)]);
        values.iter().map(|v| json!({"asDouble": v, "attributes": attributes})).collect()
    };
    let jump: Vec<f64> =
        (0..36).map(|i| if i < 24 { 9.0 + f64::from(i % 2) } else { 32.0 }).collect();
    let mut counted = points(filled, numbers("/a", &[10.0, 20.0, 5.0, 15.0]));
    counted.extend(points(filled, numbers("/b", &[1.0, 2.0, 3.0, 4.0])));
    let exponential = |count: u64| {
        json!({"count": count.to_string(), "sum": 3 * count, "scale": 0, "zeroCount": "0",
               "positive": {"offset": 1, "bucketCounts": [count.to_string()]}})
    };
    let summary = |count: u64| {
        json!({"count": count.to_string(), "sum": 2 * count,
               "quantileValues": [{"quantile": 0.5, "value": 1.5}, {"quantile": 0.99, "value": 8.0}]})
    };
    let metrics = vec![
        json!({"name": "pool.in_use", "unit": "1", "gauge": {"dataPoints": points(filled, numbers("/a", &jump))}}),
        json!({"name": "jobs", "sum": {"aggregationTemporality": 2, "isMonotonic": true, "dataPoints": counted}}),
        json!({"name": "sizes", "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": points(filled, [exponential(4), exponential(10)])}}),
        json!({"name": "waits", "summary": {"dataPoints": points(filled, [summary(2), summary(6)])}}),
    ];
    filled.server.accept("metrics", &request("metrics", "payment", metrics));
}

fn metrics_of_all_kinds(filled: &Filled) {
    send_metrics(filled);
    let (from, to) = (filled.from(), filled.to());
    let catalogue =
        filled.ask(Metrics { from: from.clone(), to: to.clone(), ..Metrics::default() });
    let row = |name: &str| catalogue.rows.iter().find(|row| row.metric == name).unwrap();
    let duration = row("http.server.request.duration");
    let stored =
        count(filled, "select count(*) as n from metric_histograms where kind = 'histogram'");
    assert_eq!((duration.kind.as_str(), duration.points), ("histogram", stored));
    assert!(
        duration.last_value > Some(0.0) && duration.unit.as_deref() == Some("s"),
        "{duration:?}"
    );
    assert_eq!((row("jobs").shows.as_str(), row("jobs").series), ("rate", 2));
    assert_eq!(row("pool.in_use").last_value, Some(32.0));
    let only = searched(
        filled,
        Metrics { from: from.clone(), to: to.clone(), ..Metrics::default() },
        "pool",
    );
    assert_eq!(
        only.rows.iter().map(|row| row.metric.as_str()).collect::<Vec<_>>(),
        ["pool.in_use"]
    );

    let series = |metric: &str, by: Option<&str>, columns: u64| {
        filled.ask(MetricSeries {
            metric: Some(metric.into()),
            from: from.clone(),
            to: to.clone(),
            by: by.map(str::to_owned),
            columns: Some(columns),
            ..MetricSeries::default()
        })
    };
    let jobs = series("jobs", Some("http.route"), 42);
    assert_eq!(jobs.interval_ns.map(|ns| ns / 1_000_000_000), Some(10));
    assert_eq!((jobs.shows.as_str(), jobs.bins.width_ns), ("rate", 10_000_000_000));
    let a = jobs.groups.iter().find(|group| group.label.as_deref() == Some("/a")).unwrap();
    assert_eq!(a.value[1..5], [Some(1.0), Some(1.0), Some(0.5), Some(1.0)], "{a:?}");
    assert_eq!((a.value[0], a.value[5], a.resets.as_slice()), (None, None, &[3][..]));
    let pool = &series("pool.in_use", None, 7).groups[0];
    assert_eq!((pool.min[0], pool.max[0], pool.value[5]), (Some(9.0), Some(10.0), Some(32.0)));
    let sizes = &series("sizes", None, 42).groups[0];
    assert_eq!((sizes.count[1], sizes.count[2], sizes.value[2]), (4, 6, Some(3.0)), "{sizes:?}");
    let median = sizes.quantiles[0].values[1].unwrap();
    assert!((median - 8_f64.sqrt()).abs() < 1e-6, "{median}");
    let waits = &series("waits", None, 42).groups[0];
    assert_eq!(waits.quantiles.iter().map(|line| line.quantile).collect::<Vec<_>>(), [0.5, 0.99]);
    assert_eq!((waits.quantiles[1].values[1], waits.count[2]), (Some(8.0), 4), "{waits:?}");
    assert!(series("nothing", None, 42).groups.is_empty());
    measured_durations(filled, &series("http.server.request.duration", Some("service"), 6));
}

/// The histogram that all services send.
fn measured_durations(filled: &Filled, answer: &MetricSeriesAnswer) {
    assert!(answer.groups.len() > 1 && answer.groups.iter().all(|group| group.label.is_some()));
    let found: u64 = answer.groups.iter().flat_map(|group| &group.count).sum();
    let sent = "select sum(m - least(f, m)) as n from (select series_id, \
                max(\"count\") as m, 0 as f from metric_histograms where kind = 'histogram' group by 1)";
    let sent = filled.server.sql(sent)[0]["n"].as_f64().unwrap() as u64;
    assert!(found > 0 && found <= sent, "{found} of {sent}");
    for group in &answer.groups {
        let [p50, p95, p99] = [0, 1, 2].map(|i| &group.quantiles[i].values);
        for column in (0..answer.bins.count).filter(|column| group.count[*column] > 0) {
            assert!(p50[column] <= p95[column] && p95[column] <= p99[column], "{group:?}");
            assert!(p50[column] > Some(0.0));
        }
    }
    assert!(!answer.exemplars.is_empty());
    assert!(answer.exemplars.iter().all(|exemplar| exemplar.trace_id.is_some()));
}

fn metrics_are_ranked(filled: &Filled) {
    let question = MetricsRanked {
        at: Some(time(filled.options.fault_from_ns())),
        from: filled.from(),
        to: Some(time(filled.options.end_ns())),
        columns: Some(36),
        ..MetricsRanked::default()
    };
    let answer = searched(filled, question, "service=payment");
    let first = &answer.rows[0];
    assert_eq!(first.metric, "pool.in_use", "{:?}", answer.rows);
    assert_eq!(
        (first.before, first.at, first.labels.as_slice()),
        // Of the 24 quiet points the last lies on the moment itself: 12 nines and 11 tens are before it.
        (Some(9.0), Some(32.0), &["http.route=/a".to_owned()][..])
    );
    assert!(first.score > 10.0 && answer.rows.iter().all(|row| row.score.abs() <= first.score));
}

fn texts_are_completed(filled: &Filled) {
    let complete = |table: Option<&str>, text: &str| {
        filled.ask(Complete {
            text: Some(text.into()),
            table: table.map(str::to_owned),
            ..Complete::default()
        })
    };
    for (table, text, expected, kind) in [
        (None, "SELECT * FROM spans WHERE service_name = 'pay", "payment", "value"),
        (None, "SELECT * FROM spans WHERE attributes['http.request.method'] = '", "POST", "value"),
        (None, "SELECT * FROM sp", "spans", "table"),
        (None, "SELECT * FROM latency", "latency_breakdown(", "function"),
        (None, "SELECT attributes['http.ro", "http.route", "key"),
        (None, "SELECT dura", "duration_ns", "column"),
        (None, "SELECT http.rou", "attributes['http.route']", "key"),
        (None, "SELECT p9", "p90(", "function"),
        (Some("spans"), "serv", "service", "word"),
        (Some("spans"), "kind=server http.ro", "http.route", "key"),
        (Some("spans"), "-service=pay", "payment", "value"),
        (Some("spans"), "service in (order, pay", "payment", "value"),
        (Some("logs"), "service=pay", "payment", "value"),
        (Some("metrics"), "metric=pool", "pool.in_use", "value"),
        (Some("traces"), "service=gate", "gateway", "value"),
    ] {
        let answer = complete(table, text);
        let found = answer.rows.iter().find(|row| row.text == expected);
        let found = found.unwrap_or_else(|| panic!("{text}: {:?}", answer.rows));
        assert_eq!(found.kind, kind, "{text}");
        assert!(kind != "value" || found.count > Some(0), "{text}: {found:?}");
        assert!(answer.rows.len() <= 50 && answer.to == text.chars().count() as u64, "{text}");
    }
    assert!(complete(None, "SELECT 'free te").rows.is_empty());
}

fn ingest_is_told(filled: &Filled) {
    let answer = filled.ask(Ingest::default());
    let spans = answer.signals.iter().find(|row| row.signal == "traces").unwrap();
    assert_eq!(spans.records, filled.shop.truth.spans);
    assert_eq!(spans.trend.iter().sum::<u64>(), spans.records);
    assert!(spans.last_seen.is_some() && spans.lag_p99_ms > Some(0.0), "{spans:?}");
    let payment = answer.senders.iter().find(|row| row.service_name == "payment").unwrap();
    assert!(payment.spans > 0 && payment.logs > 0 && payment.points > 0, "{payment:?}");
    let table = answer.tables.iter().find(|row| row.table_name == "spans").unwrap();
    assert_eq!(table.live_rows + table.file_rows, filled.shop.truth.spans);
    assert!(answer.store.segments > 0 && answer.store.read_only_reason.is_none());

    let before = filled.ask(Watermark::default());
    assert_eq!(filled.ask(Watermark::default()).seq, before.seq);
    filled
        .server
        .accept("logs", &request("logs", "late", vec![json!({"body": {"stringValue": "x"}})]));
    let after = filled.ask(Watermark::default());
    let logs = |mark: &WatermarkAnswer| {
        mark.rows.iter().find(|row| row.table_name == "logs").map(|row| row.rows).unwrap()
    };
    assert!(after.seq > before.seq && logs(&after) == logs(&before) + 1, "{before:?} {after:?}");
    let ahead = Options { prefetch: Some(true), ..Options::default() };
    assert!(filled.try_ask(&Watermark::default(), &ahead).is_ok());
}
