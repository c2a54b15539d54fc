//! The demo as people run it: the generator's answers are those of the views, and a live run shows
//! every service, every edge, logs with their traces and exemplars in their buckets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use instrumented_demo::topology::{Role, Shop, expected_edges};
use serde_json::{Map, Value};

use crate::support::stdout_of;

type Row = Map<String, Value>;

/// Numbers by name.
type Counts = BTreeMap<String, Vec<i64>>;

/// Requests of a generated system: enough for each kind of call, few enough for a debug build.
const TRACES: &str = "300";

fn rows(data: &Path, sql: &str) -> Vec<Row> {
    let data = data.to_str().unwrap();
    let text = stdout_of(&["sql", "--data", data, "--format", "json", sql]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    answer["rows"].as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
}

/// Rows as counts: the first columns are the name, the others the numbers.
fn counts(rows: &[Row], (texts, numbers): (&[&str], &[&str])) -> Counts {
    let counted = rows.iter().map(|row| {
        let name: Vec<&str> = texts.iter().filter_map(|column| row[*column].as_str()).collect();
        let numbers = numbers.iter().map(|column| row[*column].as_i64().unwrap()).collect();
        (name.join(" | "), numbers)
    });
    counted.collect()
}

/// A list of `answers.json`.
fn list(answers: &Value, name: &str) -> Vec<Row> {
    let items = answers[name].as_array().unwrap().iter();
    items.map(|item| item.as_object().unwrap().clone()).collect()
}

fn check_answers(words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let (out, data) = (dir.path().join("out"), dir.path().join("data"));
    let out_text = out.to_str().unwrap();
    let mut command = vec!["demo", "sim", "--traces", TRACES, "--out", out_text];
    command.extend(["--signals", "traces", "--start", "2025-06-01T12:00:00Z"]);
    command.extend(words);
    stdout_of(&command);
    let file = out.join("traces.binpb");
    let data_text = data.to_str().unwrap();
    stdout_of(&["import", "--data", data_text, "--signal", "traces", file.to_str().unwrap()]);
    let answers: Value =
        serde_json::from_slice(&fs::read(out.join("answers.json")).unwrap()).unwrap();
    assert_eq!(answers["exact"], true, "{words:?}");
    let same = |what: &str, found: Counts, known: Counts| {
        assert_eq!(found, known, "{what} of {words:?}");
    };
    let edges = rows(
        &data,
        "SELECT src AS source, src_kind AS source_kind, dst AS target, dst_kind AS target_kind, \
         sum(calls)::bigint AS calls, coalesce(sum(client_sum_ns), 0)::bigint AS client_ns, \
         coalesce(sum(server_sum_ns), 0)::bigint AS server_ns, \
         coalesce(sum(gap_sum_ns), 0)::bigint AS gap_ns, sum(client_errors)::bigint AS client_errors, \
         sum(server_errors)::bigint AS server_errors FROM service_map() GROUP BY 1, 2, 3, 4",
    );
    let fields: (&[&str], &[&str]) = (
        &["source", "source_kind", "target", "target_kind"],
        &["calls", "client_ns", "server_ns", "gap_ns", "client_errors", "server_errors"],
    );
    same("edges", counts(&edges, fields), counts(&list(&answers, "edges"), fields));
    let origins = rows(
        &data,
        "SELECT origin_kind AS kind, origin, count(*) AS count, \
         count(*) FILTER (WHERE is_fatal) AS fatal FROM error_origins GROUP BY 1, 2",
    );
    let fields: (&[&str], &[&str]) = (&["kind", "origin"], &["count", "fatal"]);
    let known = counts(&list(&answers, "error_origins"), fields);
    same("error origins", counts(&origins, fields), known);
    let by_name = |map: &str| -> Counts {
        let of = answers[map].as_object().unwrap().iter().filter(|(_, ns)| **ns != 0);
        of.map(|(name, ns)| (name.clone(), vec![ns.as_i64().unwrap()])).collect()
    };
    let own = "SELECT service_name AS name, sum(self_ns)::bigint AS ns FROM spans GROUP BY 1 \
               HAVING sum(self_ns) > 0";
    same("self time", counts(&rows(&data, own), (&["name"], &["ns"])), by_name("self_ns"));
    let path = "SELECT charged_to AS name, sum(critical_ns)::bigint AS ns FROM spans GROUP BY 1 \
                HAVING sum(critical_ns) > 0";
    same("critical time", counts(&rows(&data, path), (&["name"], &["ns"])), by_name("critical_ns"));
    let totals =
        &rows(&data, "SELECT count(*) AS spans, count(DISTINCT trace_id) AS traces FROM spans")[0];
    assert_eq!(totals["spans"], answers["spans_sent"]);
    assert_eq!(totals["traces"], answers["traces"]);
}

#[test]
fn the_answers_of_the_generator_are_those_of_the_views() {
    check_answers(&["--preset", "shop"]);
    check_answers(&["--preset", "shop", "--scenario", "13"]);
    check_answers(&["--preset", "alibaba-500", "--seed", "2"]);
    check_answers(&["--preset", "uber-1000", "--seed", "3"]);
}

#[test]
fn a_live_demo_shows_every_service_and_edge() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let words = ["demo", "--headless", "--free-ports", "--scenario", "none", "--minutes", "0.6"];
    let said =
        stdout_of(&[&words[..], &["--rate", "12", "--data", data.to_str().unwrap()]].concat());
    assert!(said.contains(" requests, "), "{said}");
    let services = rows(&data, "SELECT DISTINCT service_name FROM spans");
    let found: BTreeSet<&str> =
        services.iter().filter_map(|row| row["service_name"].as_str()).collect();
    let instrumented =
        Role::ALL.into_iter().filter(|role| role.is_instrumented()).map(Role::name).collect();
    assert_eq!(found, instrumented, "services in spans; {said}");
    check_edges(&data);
    check_logs(&data);
    check_exemplars(&data);
    check_secrecy(&data);
}

/// Every expected edge is there, and no other but the customers' own.
fn check_edges(data: &Path) {
    let map = rows(data, "SELECT src, dst FROM service_map() WHERE src <> 'user'");
    let edge = |src: &str, dst: &str| format!("{src} → {dst}");
    let found: BTreeSet<String> = map
        .iter()
        .map(|row| edge(row["src"].as_str().unwrap(), row["dst"].as_str().unwrap()))
        .collect();
    let expected: BTreeSet<String> =
        expected_edges(Shop::All).iter().map(|e| edge(&e.caller, &e.callee)).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let unexpected: Vec<_> = found.difference(&expected).collect();
    assert!(
        missing.is_empty() && unexpected.is_empty(),
        "missing {missing:?}, unexpected {unexpected:?}"
    );
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
        "SELECT count(*) AS n, count(*) FILTER (WHERE abs(s.duration_ns / 1e9 - e.value_double) > 0.05) AS wrong \
         FROM metric_exemplars e JOIN spans s ON s.trace_id = e.trace_id AND s.span_id = e.span_id \
         WHERE e.metric = 'http.server.request.duration'",
    )[0];
    let [matched, wrong] = ["n", "wrong"].map(|name| found[name].as_i64().unwrap());
    assert!(matched > 0, "no exemplar leads to a span");
    assert!(wrong * 20 <= matched, "{wrong} of {matched} exemplars are of another duration");
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
