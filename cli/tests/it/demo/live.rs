//! A live run shows every service, every edge, logs with their traces and exemplars in their buckets,
//! whether its instances are threads or processes.

use std::collections::BTreeSet;
use std::path::Path;

use instrumented_demo::topology::{Role, Shop, expected_edges};

use super::rows;
use crate::support::stdout_of;

/// Edges of the map, but for those from customers.
type Edges = BTreeSet<String>;

/// Runs the whole shop for a while; returns its map when everything else is as it should be.
fn play(mode: &str) -> Edges {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let words = ["demo", "--headless", "--free-ports", "--scenario", "none", "--minutes", "0.3"];
    let more = ["--rate", "15", "--mode", mode, "--data", data.to_str().unwrap()];
    let said = stdout_of(&[&words[..], &more].concat());
    assert!(said.contains(" requests, "), "{said}");
    check_services(&data, &said);
    check_logs(&data);
    check_exemplars(&data);
    check_secrecy(&data);
    edges(&data)
}

#[test]
fn threads_and_processes_show_every_service_and_the_same_edges() {
    let [tasks, processes] = ["tasks", "processes"].map(play);
    let edge = |src: &str, dst: &str| format!("{src} → {dst}");
    let expected: Edges =
        expected_edges(Shop::All).iter().map(|e| edge(&e.caller, &e.callee)).collect();
    for (mode, found) in [("tasks", &tasks), ("processes", &processes)] {
        let missing: Vec<_> = expected.difference(found).collect();
        let unexpected: Vec<_> = found.difference(&expected).collect();
        assert!(
            missing.is_empty() && unexpected.is_empty(),
            "{mode}: missing {missing:?}, unexpected {unexpected:?}"
        );
    }
    assert_eq!(tasks, processes);
}

/// Each service sends every signal; the cache alone writes no log.
fn check_services(data: &Path, said: &str) {
    let instrumented: BTreeSet<&str> =
        Role::ALL.into_iter().filter(|role| role.is_instrumented()).map(Role::name).collect();
    let points = "SELECT DISTINCT service_name FROM metric_points";
    for (table, sql) in [
        ("spans", "SELECT DISTINCT service_name FROM spans"),
        ("logs", "SELECT DISTINCT service_name FROM logs"),
        ("metrics", points),
    ] {
        let found = rows(data, sql);
        let found: BTreeSet<&str> = found
            .iter()
            .filter_map(|row| row["service_name"].as_str())
            // It scales the others, and serves nobody.
            .filter(|service| *service != "autoscaler")
            .collect();
        let silent: Vec<&&str> = instrumented.difference(&found).collect();
        let known: &[&&str] = if table == "logs" { &[&"cache"] } else { &[] };
        assert_eq!(silent, known, "services without {table}; {said}");
        assert!(found.is_subset(&instrumented), "{table}: {found:?}");
    }
}

fn edges(data: &Path) -> Edges {
    let map = rows(data, "SELECT src, dst FROM service_map() WHERE src <> 'user'");
    let edge = |src: &str, dst: &str| format!("{src} → {dst}");
    map.iter().map(|row| edge(row["src"].as_str().unwrap(), row["dst"].as_str().unwrap())).collect()
}

/// Logs written inside a request have a trace that exists.
fn check_logs(data: &Path) {
    let logs = &rows(
        data,
        "SELECT count(*) AS logs, count(s.trace_id) AS traced FROM logs l \
         LEFT JOIN (SELECT DISTINCT trace_id FROM spans) s ON s.trace_id = l.trace_id \
         WHERE l.attributes['correlationId'] IS NOT NULL OR l.trace_id IS NOT NULL",
    )[0];
    let [all, traced] = ["logs", "traced"].map(|name| logs[name].as_i64().unwrap());
    assert!(all > 0 && traced * 100 >= all * 99, "{traced} of {all} logs have a trace");
}

/// Exemplars of request durations are of spans that took as long.
fn check_exemplars(data: &Path) {
    let found = &rows(
        data,
        "SELECT count(*) AS n, count(*) FILTER (WHERE abs(s.duration_ns / 1e9 - e.value_double) > 1e-8) AS wrong \
         FROM metric_exemplars e JOIN spans s ON s.trace_id = e.trace_id AND s.span_id = e.span_id \
         WHERE e.metric = 'http.server.request.duration'",
    )[0];
    let [matched, wrong] = ["n", "wrong"].map(|name| found[name].as_i64().unwrap());
    assert!(matched > 0, "no exemplar leads to a span");
    assert_eq!(wrong, 0, "of {matched} exemplars so many are of another duration");
}

/// Nothing stored says what was played.
fn check_secrecy(data: &Path) {
    let told = rows(
        data,
        "SELECT name FROM spans WHERE regexp_like(concat(name, ' ', attributes::text, ' ', resource::text), \
         '(?i)inject|chaos|scenario|ground.truth')",
    );
    assert!(told.is_empty(), "{told:?}");
}
