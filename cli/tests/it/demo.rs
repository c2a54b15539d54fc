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

/// Rows as counts: texts are the name, numbers the counts.
fn counts(rows: &[Row]) -> Counts {
    let counted = rows.iter().map(|row| {
        let texts: Vec<&str> = row.values().filter_map(Value::as_str).collect();
        (texts.join(" | "), row.values().filter_map(Value::as_i64).collect())
    });
    counted.collect()
}

/// The same of a list in `answers.json`.
fn known(answers: &Value, list: &str, fields: &[&str]) -> Counts {
    let items = answers[list].as_array().unwrap().iter();
    let rows: Vec<Row> = items
        .map(|item| {
            let field = |name: &&str| ((*name).to_owned(), item[*name].clone());
            fields.iter().map(field).collect()
        })
        .collect();
    counts(&rows)
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
        "SELECT src, src_kind, dst, dst_kind, sum(calls)::bigint AS a, sum(client_sum_ns)::bigint AS b, \
         sum(server_sum_ns)::bigint AS c, sum(gap_sum_ns)::bigint AS d, sum(client_errors)::bigint AS e, \
         sum(server_errors)::bigint AS f FROM (SELECT src, src_kind, dst, dst_kind, calls, \
         coalesce(client_sum_ns, 0) AS client_sum_ns, coalesce(server_sum_ns, 0) AS server_sum_ns, \
         coalesce(gap_sum_ns, 0) AS gap_sum_ns, client_errors, server_errors FROM service_map()) \
         GROUP BY 1, 2, 3, 4",
    );
    let fields = [
        "source",
        "source_kind",
        "target",
        "target_kind",
        "calls",
        "client_ns",
        "server_ns",
        "gap_ns",
        "client_errors",
        "server_errors",
    ];
    same("edges", counts(&edges), known(&answers, "edges", &fields));
    let origins = rows(
        &data,
        "SELECT origin_kind, origin, count(*) AS n, count(*) FILTER (WHERE is_fatal) AS fatal \
         FROM error_origins GROUP BY 1, 2",
    );
    let fields = ["kind", "origin", "count", "fatal"];
    same("error origins", counts(&origins), known(&answers, "error_origins", &fields));
    let by_name = |map: &str| -> Counts {
        let of = answers[map].as_object().unwrap().iter().filter(|(_, ns)| **ns != 0);
        of.map(|(name, ns)| (name.clone(), vec![ns.as_i64().unwrap()])).collect()
    };
    let own = rows(&data, "SELECT service_name, sum(self_ns)::bigint AS ns FROM spans GROUP BY 1");
    same("self time", nonzero(counts(&own)), by_name("self_ns"));
    let path = rows(
        &data,
        "SELECT charged_to, sum(critical_ns)::bigint AS ns FROM spans GROUP BY 1 HAVING sum(critical_ns) > 0",
    );
    same("critical time", nonzero(counts(&path)), by_name("critical_ns"));
    let totals =
        &rows(&data, "SELECT count(*) AS spans, count(DISTINCT trace_id) AS traces FROM spans")[0];
    assert_eq!(totals["spans"], answers["spans_sent"]);
    assert_eq!(totals["traces"], answers["traces"]);
}

fn nonzero(mut counts: Counts) -> Counts {
    counts.retain(|_, numbers| numbers.iter().any(|number| *number != 0));
    counts
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
        "SELECT count(*) AS logs, count(*) FILTER (WHERE trace_id IN (SELECT trace_id FROM spans)) AS traced \
         FROM logs WHERE attributes['correlationId'] IS NOT NULL OR trace_id IS NOT NULL",
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
