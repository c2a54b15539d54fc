//! The generator's answers are those of SQL over its data, for every system it can make.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::{Row, rows};
use crate::support::stdout_of;

/// Numbers by name.
type Counts = BTreeMap<String, Vec<i64>>;

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

/// A generated system, imported: its answers, and where its data lies.
struct Made {
    answers: Value,
    dir: TempDir,
}

impl Made {
    fn of(words: &[&str]) -> Made {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut command = vec!["demo", "sim", "--out", out.to_str().unwrap()];
        command.extend(["--signals", "traces", "--start", "2025-06-01T12:00:00Z"]);
        command.extend(words);
        stdout_of(&command);
        let answers = fs::read(out.join("answers.json")).unwrap();
        let made = Made { answers: serde_json::from_slice(&answers).unwrap(), dir };
        let (data, file) = (made.data(), out.join("traces.binpb"));
        let [data, file] = [data.as_path(), &file].map(|path| path.to_str().unwrap());
        stdout_of(&["import", "--data", data, "--signal", "traces", file]);
        made
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn rows(&self, sql: &str) -> Vec<Row> {
        rows(&self.data(), sql)
    }

    /// A map of `answers.json` as counts, without what is zero.
    fn sums(&self, name: &str) -> Counts {
        let sums = self.answers[name].as_object().unwrap().iter().filter(|(_, ns)| **ns != 0);
        sums.map(|(name, ns)| (name.clone(), vec![ns.as_i64().unwrap()])).collect()
    }
}

/// The system is of this preset with so many requests; everything that its answers say is what SQL
/// says.
fn check_answers(preset: &str, words: &[&str]) {
    let mut all = vec!["--preset", preset];
    all.extend(words);
    let made = Made::of(&all);
    assert_eq!(made.answers["exact"], true, "{all:?}");
    let same = |what: &str, found: Counts, known: Counts| {
        assert_eq!(found, known, "{what} of {all:?}");
    };
    let fields: (&[&str], &[&str]) = (
        &["source", "source_kind", "target", "target_kind"],
        &["calls", "client_ns", "server_ns", "gap_ns", "client_errors", "server_errors"],
    );
    same("edges", counts(&made.rows(EDGES), fields), counts(&list(&made.answers, "edges"), fields));
    let fields: (&[&str], &[&str]) = (&["kind", "origin"], &["count", "fatal"]);
    let known = counts(&list(&made.answers, "error_origins"), fields);
    same("error origins", counts(&made.rows(ORIGINS), fields), known);
    let fields: (&[&str], &[&str]) = (&["service", "name"], &["traces", "duration_ns", "errors"]);
    let known = counts(&list(&made.answers, "roots"), fields);
    same("roots", counts(&made.rows(ROOTS), fields), known);
    let fields: (&[&str], &[&str]) = (&["name"], &["ns"]);
    same("self time", counts(&made.rows(SELF_TIME), fields), made.sums("self_ns"));
    same("critical time", counts(&made.rows(CRITICAL_TIME), fields), made.sums("critical_ns"));
    let totals = &made.rows(TOTALS)[0];
    for name in ["spans_sent", "traces", "error_spans"] {
        assert_eq!(totals[name], made.answers[name], "{name} of {all:?}");
    }
}

const EDGES: &str = "SELECT src AS source, src_kind AS source_kind, dst AS target, \
    dst_kind AS target_kind, sum(calls)::bigint AS calls, \
    coalesce(sum(client_sum_ns), 0)::bigint AS client_ns, \
    coalesce(sum(server_sum_ns), 0)::bigint AS server_ns, \
    coalesce(sum(gap_sum_ns), 0)::bigint AS gap_ns, \
    sum(client_errors)::bigint AS client_errors, sum(server_errors)::bigint AS server_errors \
    FROM service_map() GROUP BY 1, 2, 3, 4";
const ORIGINS: &str = "SELECT origin_kind AS kind, origin, count(*) AS count, \
    count(*) FILTER (WHERE is_fatal) AS fatal FROM error_origins GROUP BY 1, 2";
const ROOTS: &str = "SELECT service_name AS service, name, count(*) AS traces, \
    sum(duration_ns)::bigint AS duration_ns, \
    count(*) FILTER (WHERE status_code = 'error') AS errors \
    FROM spans WHERE parent_span_id IS NULL GROUP BY 1, 2";
const SELF_TIME: &str = "SELECT service_name AS name, sum(self_ns)::bigint AS ns FROM spans \
    GROUP BY 1 HAVING sum(self_ns) > 0";
const CRITICAL_TIME: &str = "SELECT charged_to AS name, sum(critical_ns)::bigint AS ns FROM spans \
    GROUP BY 1 HAVING sum(critical_ns) > 0";
const TOTALS: &str = "SELECT count(*) AS spans_sent, count(DISTINCT trace_id) AS traces, \
    count(*) FILTER (WHERE status_code = 'error') AS error_spans FROM spans";

#[test]
fn the_answers_of_the_shop_are_those_of_the_views() {
    check_answers("shop", &["--traces", "300"]);
    check_answers("shop", &["--traces", "300", "--scenario", "13"]);
    check_answers("day-1e9", &["--traces", "150"]);
}

#[test]
fn the_answers_of_large_systems_are_those_of_the_views() {
    check_answers("alibaba-500", &["--traces", "150", "--seed", "2"]);
    check_answers("netflix-700", &["--traces", "120"]);
    check_answers("uber-1000", &["--traces", "150", "--seed", "3"]);
}

#[test]
fn the_answers_of_odd_shapes_are_those_of_the_views() {
    check_answers("meta-fetch", &["--traces", "3"]);
    check_answers("rpc-skew", &["--traces", "120"]);
    check_answers("deep-chain", &["--traces", "1"]);
}

/// Damage is there as often as it was done, each kind in the words of SQL. Those of requests, and
/// those that only move a span within its trace, are left to the generator's own tests.
#[test]
fn damage_is_found_as_often_as_it_was_done() {
    const KINDS: [(&str, &str); 6] = [
        ("unknown-kind", "count(*) FILTER (WHERE kind = '17')"),
        ("nameless", "count(*) FILTER (WHERE service_name = 'unknown_service')"),
        ("clock-back", "count(*) FILTER (WHERE end_before_start IS NOT NULL)"),
        ("zero-length", "count(*) FILTER (WHERE duration_ns = 0 AND end_before_start IS NULL)"),
        ("again", "count(*) FILTER (WHERE is_duplicate)"),
        ("shared-or-again", "count(*) - count(DISTINCT (trace_id, span_id))"),
    ];
    let rates = ["unknown-kind", "nameless", "clock-back", "zero-length", "duplicate", "shared-id"];
    let rates = rates.map(|kind| format!("{kind}=15000"));
    let whole = ["deep-chain=0", "wide-parent=0", "huge-trace=0"].map(str::to_owned);
    let mut words = vec!["--preset", "dirty", "--traces", "300"];
    words.extend(rates.iter().chain(&whole).flat_map(|rate| ["--dirt", rate.as_str()]));
    let made = Made::of(&words);
    assert_eq!(made.answers["exact"], false);
    let columns = KINDS.map(|(name, sql)| format!("{sql} AS \"{name}\"")).join(", ");
    let found = &made.rows(&format!("SELECT {columns}, count(*) AS spans FROM spans"))[0];
    let done = |kind: &str| made.answers["dirt"][kind].as_i64().unwrap_or(0);
    let again = done("duplicate") + done("differing-duplicate");
    for (name, _) in KINDS {
        let known = match name {
            "again" => again,
            "shared-or-again" => again + done("shared-id"),
            kind => done(kind),
        };
        assert!(known > 20, "{name}: {known}");
        assert_eq!(found[name], known, "{name}");
    }
    let spans = made.answers["spans"].as_i64().unwrap() + again - done("lost-parent");
    assert_eq!((&found["spans"], &made.answers["spans_sent"]), (&spans.into(), &spans.into()));
}
