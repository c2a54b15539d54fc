//! The trace views over a shop whose answers are known by construction: edges, path times, errors
//! and traces are compared with the truth as integers, and each fault must be found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::shop::{Category, Edge, ErrorOrigin, Fault, ShopOptions, TraceTruth, USER};

use crate::shop::{Layout, Row, ShopServer, bool, hex, int, number, text, time};
use crate::support::{Server, request, span};

#[test]
fn an_ordinary_day() {
    let shop = ShopServer::with(None);
    check_truth(&shop);
}

#[test]
fn a_slow_dependency() {
    let shop = check_fault(Fault::SlowDependency, "sqlite:payment");
    check_causes_of_nothing(&shop);
}

#[test]
fn a_slow_network() {
    check_fault(Fault::SlowNetwork, "order→payment");
}

#[test]
fn a_slow_service() {
    let shop = check_fault(Fault::SlowService, "pricing");
    check_attribute(&shop, "service_name = 'pricing' AND kind = 'server'", 40_000_000);
}

#[test]
fn errors_at_a_service() {
    check_fault(Fault::ErrorsAt, "payment");
}

#[test]
fn a_retry_storm() {
    let shop = check_fault(Fault::RetryStorm, "payment");
    check_bottleneck(&shop, "retry_amplification", "order → payment");
}

#[test]
fn n_plus_one() {
    let shop = check_fault(Fault::NPlusOne, "inventory");
    check_bottleneck(&shop, "n_plus_one", "inventory GET /items → sqlite:inventory SELECT stock");
}

#[test]
fn a_bad_instance() {
    let shop = check_fault(Fault::BadInstance, "user-2");
    check_attribute(&shop, "service_name = 'user' AND kind = 'server'", 30_000_000);
    check_bottleneck(&shop, "instance_outlier", "user GET /users/{id} on user-2");
}

/// Everything that is true of a shop with this fault, and the cause that must come first.
fn check_fault(fault: Fault, culprit: &str) -> ShopServer {
    let shop = ShopServer::with(Some(fault));
    check_truth(&shop);
    check_causes(&shop, culprit);
    shop
}

fn check_truth(shop: &ShopServer) {
    check_traces(shop);
    check_map(shop);
    check_breakdown(shop);
    check_pieces(shop);
    check_tail(shop);
    check_diffs(shop);
    check_errors(shop);
    check_conditions(shop);
    check_views_of_traces(shop);
}

/// A view of the traces that have a certain span, against the same sums over these traces.
fn check_views_of_traces(shop: &ShopServer) {
    for condition in ["service_name = 'payment'", "is_error", "self_ns > 20000000", "name = 'x'"] {
        let traces = format!("trace_id IN (SELECT trace_id FROM spans WHERE {condition})");
        let quoted = condition.replace('\'', "''");
        let edges = shop.sql(&format!(
            "SELECT src, dst, edge_kind, calls, client_sum_ns AS ns \
             FROM service_map(NULL, NULL, NULL, '{quoted}') ORDER BY 1, 2, 3"
        ));
        let summed = shop.sql(&format!(
            "SELECT src, dst, edge_kind, sum(calls) AS calls, sum(client_ns) AS ns \
             FROM service_edges WHERE {traces} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        ));
        assert_eq!(edges, summed, "map of {condition}");
        let errors = shop.sql(&format!(
            "SELECT coalesce(sum(count), 0) AS n FROM error_paths(NULL, NULL, NULL, '{quoted}')"
        ));
        let counted = shop.sql(&format!("SELECT count(*) AS n FROM error_origins WHERE {traces}"));
        assert_eq!(errors, counted, "errors of {condition}");
    }
}

/// Conditions that the kernel's node applies itself, against the same ones tested above it.
fn check_conditions(shop: &ShopServer) {
    let conditions = [
        "is_main",
        "NOT is_main",
        "critical_ns > 0",
        "edge_kind IS NULL",
        "edge_kind = 'call' AND edge_target <> 'payment'",
        "root_name = 'POST /api/orders'",
        "root_name = 'POST /api/orders' OR concat(root_service, name) = 'x'",
        "root_duration_ns > 20000000 AND kind = 'server' AND depth > 1",
        "is_error OR duration_ns > 20000000",
        "self_ns < duration_ns AND service_name IN ('order', 'user')",
        "depth > 1000",
    ];
    for condition in conditions {
        let sums = |filter: &str| {
            format!(
                "count(*){filter} AS spans, sum(self_ns){filter} AS ns, max(name){filter} AS name"
            )
        };
        let applied = shop.sql(&format!("SELECT {} FROM spans WHERE {condition}", sums("")));
        let filter = format!(" FILTER (WHERE {condition})");
        let tested = shop.sql(&format!("SELECT {} FROM spans", sums(&filter)));
        assert_eq!(applied, tested, "{condition}");
    }
}

/// One row a trace, each with its root's operation, start, duration and state.
fn check_traces(shop: &ShopServer) {
    let rows = shop.sql(
        "SELECT trace_id, root_service, root_name, epoch_ns(start_time) AS start_ns, duration_ns, \
         is_error, orphan_count, span_count, error_count FROM traces",
    );
    let found: BTreeMap<String, _> = rows
        .iter()
        .map(|row| {
            let root = (text(row, "root_service"), text(row, "root_name"));
            let times = (int(row, "start_ns"), int(row, "duration_ns"));
            (text(row, "trace_id"), (root, times, bool(row, "is_error")))
        })
        .collect();
    let known = shop.truth.traces.iter().map(|trace| {
        let root = (trace.root.service.to_owned(), trace.root.name.to_owned());
        (hex(&trace.trace_id), (root, (ns(trace.start_ns), ns(trace.duration_ns)), trace.is_error))
    });
    assert_same("traces", found, known.collect());
    assert_eq!(sum(&rows, "span_count"), ns(shop.truth.spans));
    assert_eq!(sum(&rows, "error_count"), ns(shop.truth.error_spans));
    assert_eq!(sum(&rows, "orphan_count"), 0);
    // All traces are whole; those that arrived 30 s ago are complete.
    let wrong = shop.sql(
        "SELECT trace_id FROM spans GROUP BY trace_id HAVING bool_or(trace_complete) <> \
         (max(ingested_at) <= now() - INTERVAL '30 seconds')",
    );
    assert_eq!(wrong.len(), 0, "{wrong:?}");
}

/// Calls, client, server and gap time, client and server errors, retries.
type EdgeSums = [i64; 7];

fn check_map(shop: &ShopServer) {
    let retries = shop.sql(
        "SELECT edge_source AS src, edge_source_kind AS src_kind, edge_target AS dst, \
         edge_target_kind AS dst_kind, count(*) FILTER (WHERE is_retry) AS retries \
         FROM spans WHERE edge_kind IS NOT NULL GROUP BY ALL",
    );
    let mut retries: BTreeMap<_, i64> =
        retries.iter().map(|row| (ends(row), int(row, "retries"))).collect();
    let rows = shop.sql("SELECT * FROM service_map()");
    let found: BTreeMap<_, EdgeSums> = rows
        .iter()
        .map(|row| {
            let [calls, client, server, gap, client_errors, server_errors] = [
                "calls",
                "client_sum_ns",
                "server_sum_ns",
                "gap_sum_ns",
                "client_errors",
                "server_errors",
            ]
            .map(|column| int(row, column));
            let retries = retries.remove(&ends(row)).unwrap();
            // Attempts are calls over calls without the repeated ones.
            let attempts = calls as f64 / (calls - retries) as f64;
            assert!((number(row, "attempts") - attempts).abs() < 1e-12, "{row:?}");
            (ends(row), [calls, client, server, gap, client_errors, server_errors, retries])
        })
        .collect();
    assert_eq!(found.len(), rows.len(), "an edge has two rows");
    let known = shop.truth.edges.iter().map(|(edge, truth)| {
        let sums = [
            truth.calls,
            truth.client_ns,
            truth.server_ns,
            truth.gap_ns,
            truth.client_errors,
            truth.server_errors,
            truth.retries,
        ];
        (known_ends(edge), sums.map(ns))
    });
    assert_same("edges", found, known.collect());
    assert!(rows.iter().all(|row| !bool(row, "inferred") && !bool(row, "lost_context")));
}

/// The two nodes of an edge, each by kind and name: a service may be called as the node `user` is.
type Ends = [(String, String); 2];

fn ends(row: &Row) -> Ends {
    [("src_kind", "src"), ("dst_kind", "dst")]
        .map(|(kind, name)| (text(row, kind), text(row, name)))
}

fn known_ends(edge: &Edge) -> Ends {
    let node = |name: &str, is_entry: bool| {
        let kind = match name {
            USER if is_entry => "user",
            _ if name.starts_with("sqlite:") => "db",
            _ if name.starts_with("bus:") => "topic",
            _ if name.contains(':') => "external",
            _ => "service",
        };
        (kind.to_owned(), name.to_owned())
    };
    // From outside only the gateway is called; it is no callee of a service.
    [node(edge.from, edge.to == "gateway"), node(edge.to, false)]
}

/// The sums of each root operation by node and by category, and the identity over contributions.
fn check_breakdown(shop: &ShopServer) {
    for (root, truth) in &shop.truth.roots {
        let by = |key: &str| {
            let (service, name) = (root.service, root.name);
            shop.sql(&format!(
                "SELECT * FROM latency_breakdown(NULL, NULL, '{service} {name}', '{key}')"
            ))
        };
        let sums = |rows: &[Row]| -> BTreeMap<String, i64> {
            rows.iter().map(|row| (text(row, "key"), int(row, "sum_ns"))).collect()
        };
        let nodes = by("service");
        let known = positive(&truth.path_ns_by_node, |node| (*node).to_owned());
        assert_same("path time by node", sums(&nodes), known);
        let categories = by("category");
        let known = positive(&truth.path_ns_by_category, |category| word(*category).to_owned());
        assert_same("path time by category", sums(&categories), known);
        for rows in
            [nodes, categories, by("edge"), by("operation"), by("instance"), by("host.name")]
        {
            let mean_ms = truth.duration_ns as f64 / truth.traces as f64 / 1e6;
            let total_ms: f64 = rows.iter().map(|row| number(row, "contrib_ms")).sum();
            let shares: f64 = rows.iter().map(|row| number(row, "share")).sum();
            assert_eq!(sum(&rows, "sum_ns"), ns(truth.duration_ns));
            assert_close(total_ms, mean_ms);
            assert_close(shares, 1.0);
            assert_close(number(&rows[0], "mean_ms"), mean_ms);
            assert_eq!(int(&rows[0], "traces"), ns(truth.traces));
        }
    }
}

fn positive<K: Ord>(sums: &BTreeMap<K, u64>, name: impl Fn(&K) -> String) -> BTreeMap<String, i64> {
    sums.iter().filter(|(_, sum)| **sum > 0).map(|(key, sum)| (name(key), ns(*sum))).collect()
}

fn word(category: Category) -> &'static str {
    match category {
        Category::Own => "self",
        Category::Gap => "gap",
        Category::Db => "db",
        Category::External => "external",
        Category::Queue => "queue",
    }
}

/// The pieces of the paths say the same, without a gap and without an overlap.
fn check_pieces(shop: &ShopServer) {
    let rows = shop.sql(
        "SELECT root_service, root_name, charged_to, sum(to_ns - from_ns) AS sum_ns \
         FROM critical_paths() WHERE is_main GROUP BY ALL",
    );
    let found: BTreeMap<_, i64> = rows
        .iter()
        .map(|row| {
            let key = ["root_service", "root_name", "charged_to"].map(|column| text(row, column));
            (key, int(row, "sum_ns"))
        })
        .collect();
    let known = shop.truth.roots.iter().flat_map(|(root, truth)| {
        let nodes = positive(&truth.path_ns_by_node, |node| (*node).to_owned());
        nodes.into_iter().map(|(node, sum)| ([root.service.into(), root.name.into(), node], sum))
    });
    assert_same("pieces", found, known.collect());
    let torn = shop.sql(
        "SELECT trace_id, segment_id FROM (SELECT trace_id, segment_id, from_ns, to_ns, \
         lag(to_ns, 1, 0) OVER (PARTITION BY trace_id, segment_id ORDER BY seq) AS before \
         FROM critical_paths()) WHERE from_ns <> before OR to_ns <= from_ns",
    );
    assert_eq!(torn.len(), 0, "{torn:?}");
}

/// The differences of all nodes add up to the difference of the bands.
fn check_tail(shop: &ShopServer) {
    for by in ["service", "category", "edge", "operation"] {
        let rows = shop.sql(&format!(
            "SELECT * FROM tail_attribution(NULL, NULL, 'POST /api/orders', '{by}', 0.9)"
        ));
        let delta: f64 = rows.iter().map(|row| number(row, "delta_ms")).sum();
        let bands = number(&rows[0], "mean_tail_ms") - number(&rows[0], "mean_mid_ms");
        assert!(bands > 0.0, "{:?}", rows[0]);
        assert_close(delta, bands);
        assert_close(rows.iter().map(|row| number(row, "share")).sum(), 1.0);
        for row in &rows {
            let parts = number(row, "more_calls_ms") + number(row, "slower_ms");
            assert_close(number(row, "delta_ms"), parts);
        }
    }
}

/// What two traces, or two sets of traces, do differently adds up to the difference of their roots.
fn check_diffs(shop: &ShopServer) {
    let orders: Vec<&TraceTruth> =
        shop.truth.traces.iter().filter(|trace| trace.root.name == "POST /api/orders").collect();
    let (first, last) = (orders[0], orders[orders.len() - 1]);
    let (a, b) = (hex(&first.trace_id), hex(&last.trace_id));
    let rows = shop.sql(&format!("SELECT * FROM trace_diff('{a}', '{b}')"));
    let total_ms: f64 = rows.iter().map(|row| number(row, "dcritical_ms")).sum();
    assert_close(total_ms, (ns(last.duration_ns) - ns(first.duration_ns)) as f64 / 1e6);

    let half_ns = (shop.options.start_ns + shop.options.end_ns()) / 2;
    let half = time(half_ns).replace('\'', "''");
    let set = |operator: &str| {
        format!("'root_name = ''POST /api/orders'' AND root_start {operator} {half}'")
    };
    let rows = shop.sql(&format!("SELECT * FROM cohort_diff({}, {})", set("<"), set(">=")));
    let mean_ms = |is_second: bool| {
        let of_set: Vec<u64> = orders
            .iter()
            .filter(|trace| (trace.start_ns >= half_ns) == is_second)
            .map(|trace| trace.duration_ns)
            .collect();
        of_set.iter().sum::<u64>() as f64 / of_set.len() as f64 / 1e6
    };
    let total_ms: f64 = rows.iter().map(|row| number(row, "dcritical_ms")).sum();
    assert_close(total_ms, mean_ms(true) - mean_ms(false));
    assert_close(number(&rows[0], "mean_a_ms"), mean_ms(false));
    assert_close(number(&rows[0], "mean_b_ms"), mean_ms(true));
}

/// Where errors begin, how many of them fail their request, and who absorbs one.
fn check_errors(shop: &ShopServer) {
    let counted = |from: &str| -> BTreeMap<_, (i64, i64)> {
        let rows = shop.sql(&format!(
            "SELECT origin_kind, origin, CAST(sum(n) AS bigint) AS n, CAST(sum(fatal) AS bigint) AS fatal \
             FROM ({from}) GROUP BY ALL"
        ));
        let key = |row| (text(row, "origin_kind"), text(row, "origin"));
        rows.iter().map(|row| (key(row), (int(row, "n"), int(row, "fatal")))).collect()
    };
    let known: BTreeMap<_, _> = shop
        .truth
        .errors
        .iter()
        .map(|(origin, error)| {
            let (kind, name) = match origin {
                ErrorOrigin::Service(service) => ("service", (*service).to_owned()),
                ErrorOrigin::Peer(Edge { from, to }) => ("edge", format!("{from} → {to}")),
            };
            ((kind.to_owned(), name), (ns(error.count), ns(error.fatal)))
        })
        .collect();
    let origins =
        "SELECT *, 1 AS n, CASE WHEN is_fatal THEN 1 ELSE 0 END AS fatal FROM error_origins";
    assert_same("error_origins", counted(origins), known.clone());
    let paths = "SELECT *, \"count\" AS n, CAST(round(fatal_share * \"count\") AS bigint) AS fatal FROM error_paths()";
    assert_same("error_paths", counted(paths), known);
    let absorbed = shop.sql(
        "SELECT service_name, count(*) AS n FROM spans WHERE error_role = 'absorbed' GROUP BY 1",
    );
    let absorbed: BTreeMap<_, _> =
        absorbed.iter().map(|row| (text(row, "service_name"), int(row, "n"))).collect();
    let known = shop.truth.absorbed.iter().map(|(service, n)| ((*service).to_owned(), ns(*n)));
    assert_same("absorbed", absorbed, known.collect());
}

/// The window of the fault against the time before it: the culprit comes first. An instance or a
/// version is a candidate beside its service; where all instances show the same, chance may put one
/// of them before it.
fn check_causes(shop: &ShopServer, culprit: &str) {
    let at = time(shop.options.fault_from_ns());
    let causes = shop.sql(&format!("SELECT * FROM rank_causes({at}, NULL, NULL, {at})"));
    let ranked: Vec<(String, String)> =
        causes.iter().map(|row| (text(row, "kind"), text(row, "subject"))).collect();
    let is_part = |(kind, subject): &&(String, String)| {
        ["instance", "version"].contains(&kind.as_str())
            && subject.starts_with(culprit)
            && subject != culprit
    };
    let first = ranked.iter().find(|row| !is_part(row)).map(|(_, subject)| subject.as_str());
    assert_eq!(first, Some(culprit), "{causes:?}");
}

/// Two halves of the time before the fault differ by nothing.
fn check_causes_of_nothing(shop: &ShopServer) {
    let from_ns = shop.options.start_ns;
    let fault_ns = shop.options.fault_from_ns();
    let (half, end) = (time(from_ns + (fault_ns - from_ns) / 2), time(fault_ns));
    let causes = shop.sql(&format!("SELECT * FROM rank_causes({half}, {end}, NULL, {half})"));
    assert_eq!(causes.len(), 0, "{causes:?}");
}

/// Spans of the culprit that are slow in the fault's window differ from the others most by the
/// attribute that is known; one that follows from it may stand beside it.
fn check_attribute(shop: &ShopServer, culprit: &str, slow_ns: u64) {
    let at = time(shop.options.fault_from_ns());
    let rows = shop.sql(&format!(
        "SELECT * FROM compare_spans('{} AND self_ns > {slow_ns}', NULL, {at}, NULL)",
        culprit.replace('\'', "''")
    ));
    let (key, value) = shop.truth.culprit.as_ref().unwrap().attribute.unwrap();
    let known = (format!("resource.{key}"), value.to_owned());
    let best = number(&rows[0], "score");
    let first: Vec<_> = rows
        .iter()
        .filter(|row| number(row, "score") == best)
        .filter(|row| number(row, "share_sel") > number(row, "share_base"))
        .map(|row| (text(row, "attribute"), text(row, "value")))
        .collect();
    assert!(first.contains(&known), "{first:?} lacks {known:?}");
    // What chance alone would show is a small part of it.
    assert!(best > 0.9, "{rows:?}");
}

/// The rule names the culprit in the fault's window, and not before.
fn check_bottleneck(shop: &ShopServer, rule: &str, subject: &str) {
    let at = time(shop.options.fault_from_ns());
    let found = |range: &str| -> Vec<String> {
        let rows = shop.sql(&format!("SELECT * FROM bottlenecks({range}, '{rule}')"));
        rows.iter().map(|row| text(row, "subject")).collect()
    };
    assert_eq!(found(&format!("{at}, NULL")), [subject]);
    assert_eq!(found(&format!("NULL, {at}")), [""; 0]);
}

/// What came first is an orphan and its trace is not complete; when its parent comes, late and after
/// a restart, all is as if they had come together.
#[test]
fn a_late_root_makes_the_trace_whole() {
    let dir = TempDir::new().unwrap();
    let start_ns = api::time::now_ns();
    let root = span(1, None, start_ns, 20_000_000, "POST /orders");
    let child = span(2, Some(1), start_ns + 5_000_000, 10_000_000, "charge");
    let facts = |server: &Server| -> Vec<Row> {
        server.sql(
            "SELECT name, depth, is_root, is_orphan, self_ns, root_service, edge_source \
             FROM spans ORDER BY tree_left",
        )
    };
    let known = |name: &str, depth: i64, is_orphan: bool, root: &str, caller: &str| {
        row(json!({
            "name": name, "depth": depth, "is_root": depth == 0, "is_orphan": is_orphan,
            "self_ns": 10_000_000, "root_service": root, "edge_source": caller,
        }))
    };
    let orphans = "SELECT orphan_count, trace_complete FROM traces";

    let server = Server::start(dir.path(), &["--flush-age", "1h"]);
    server.accept("traces", &request("traces", "payment", vec![child]));
    assert_eq!(facts(&server), [known("charge", 0, true, "payment", "unknown")]);
    assert_eq!(server.sql(orphans), [row(json!({"orphan_count": 1, "trace_complete": false}))]);
    assert!(server.stop().success());

    let server = Server::start(dir.path(), &["--flush-age", "1h"]);
    server.recovered();
    server.accept("traces", &request("traces", "gateway", vec![root]));
    let whole = [
        known("POST /orders", 0, false, "gateway", "user"),
        known("charge", 1, false, "gateway", "gateway"),
    ];
    assert_eq!(facts(&server), whole);
    assert_eq!(server.sql(orphans)[0]["orphan_count"], 0);
}

fn row(value: Value) -> Row {
    value.as_object().unwrap().clone()
}

/// The same answers whatever the layout: one file or several, in memory, traces split over all of
/// these, rows that come twice, rows that come in another order.
#[test]
fn the_layout_changes_no_answer() {
    let options = ShopOptions {
        minutes: 3,
        requests_per_minute: 120,
        hosts: 3,
        fault: Some(Fault::RetryStorm),
        ..ShopOptions::default()
    };
    let at = time(options.fault_from_ns());
    let statements = [
        "SELECT trace_id, span_id, root_service, depth, tree_left, tree_right, self_ns, gap_ns, \
         critical_ns, category, charged_to, peer, error_role, is_fatal, is_retry, path_id, segment_id \
         FROM spans WHERE NOT is_duplicate ORDER BY trace_id, tree_left"
            .to_owned(),
        "SELECT trace_id, span_count, error_count, depth, segment_count, orphan_count FROM traces ORDER BY 1"
            .to_owned(),
        "SELECT * FROM critical_paths(0.01, true) ORDER BY trace_id, seq".to_owned(),
        "SELECT * FROM service_map()".to_owned(),
        "SELECT * FROM latency_breakdown(NULL, NULL, '*', 'operation')".to_owned(),
        "SELECT * FROM tail_attribution(NULL, NULL, NULL, 'edge', 0.9)".to_owned(),
        "SELECT * FROM error_paths()".to_owned(),
        "SELECT * FROM bottlenecks()".to_owned(),
        format!("SELECT * FROM rank_causes({at}, NULL, NULL, {at})"),
        format!("SELECT * FROM compare_spans('is_error', NULL, {at}, NULL)"),
        format!(
            "SELECT * FROM cohort_diff('root_start < {}', 'root_start >= {}')",
            at.replace('\'', "''"),
            at.replace('\'', "''")
        ),
        "SELECT * FROM span_pairs(NULL, NULL, 'is_error', 'ancestor', 'is_root')".to_owned(),
    ];
    let mut first: Option<Vec<Vec<Row>>> = None;
    for layout in Layout::ALL {
        let shop = ShopServer::new(options, layout);
        check_layout(&shop, layout);
        let answers: Vec<_> = statements.iter().map(|sql| shop.sql(sql)).collect();
        let expected = first.get_or_insert_with(|| answers.clone());
        for ((sql, answer), expected) in statements.iter().zip(&answers).zip(expected) {
            assert!(!answer.is_empty(), "{sql}");
            for (row, expected) in answer.iter().zip(&*expected) {
                assert_eq!(row, expected, "{layout:?}: {sql}");
            }
            assert_eq!(answer.len(), expected.len(), "{layout:?}: {sql}");
        }
    }
}

/// The layout is what its name says.
fn check_layout(shop: &ShopServer, layout: Layout) {
    let count = |sql: &str| int(&shop.sql(sql)[0], "n");
    let files = count("SELECT count(*) AS n FROM system.files WHERE table_name = 'spans'");
    let live = count("SELECT sum(live_rows) AS n FROM system.buffers WHERE table_name = 'spans'");
    let duplicates = count("SELECT sum(duplicate_count) AS n FROM traces");
    assert_eq!(files > 0, layout != Layout::Live, "{layout:?}: {files} files");
    assert_eq!(live > 0, layout != Layout::File, "{layout:?}: {live} rows in memory");
    assert_eq!(duplicates > 0, layout == Layout::SplitAndRepeated, "{layout:?}: {duplicates}");
}

/// Equal maps; where they differ, only that is shown.
fn assert_same<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    found: BTreeMap<K, V>,
    known: BTreeMap<K, V>,
) {
    let keys: BTreeSet<&K> = found.keys().chain(known.keys()).collect();
    let differs: Vec<String> = keys
        .into_iter()
        .filter(|key| found.get(key) != known.get(key))
        .map(|key| format!("{key:?}: SQL {:?}, truth {:?}", found.get(key), known.get(key)))
        .collect();
    assert!(differs.is_empty(), "{what}:\n{}", differs.join("\n"));
}

fn sum(rows: &[Row], column: &str) -> i64 {
    rows.iter().map(|row| int(row, column)).sum()
}

fn ns(ns: u64) -> i64 {
    i64::try_from(ns).unwrap()
}

/// Equal to the twelfth digit: integers before the division by the number of traces.
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{found} {expected}");
}
