//! Each command shows what its endpoint tells, as text for people and as the JSON of the API.

use serde_json::Value;

use super::*;
use crate::cli::{check_failure, check_golden};
use crate::support::{run, stdout_of};

#[test]
fn commands_show_the_shop() {
    let filled = Filled::with(Fault::SlowNetwork);
    breakdown_and_tail(&filled);
    the_map_is_drawn(&filled);
    errors_bottlenecks_and_comparison(&filled);
    causes_state_their_windows(&filled);
    a_trace_shows_its_critical_path(&filled);
    correlated_records_stand_in_one_timeline(&filled);
    empty_answers_say_why(&filled);
    wrong_usage_says_what_is_right(&filled);
    a_directory_answers_as_its_server_did(filled);
}

impl Filled {
    /// Stdout of a command over the whole shop.
    fn shown(&self, words: &[&str]) -> String {
        let (since, until) = (self.from().unwrap(), self.to().unwrap());
        self.ran(&[words, &["--since", &since, "--until", &until]].concat())
    }

    /// Stdout of a command.
    fn ran(&self, words: &[&str]) -> String {
        stdout_of(&[words, &["--url", &self.server.url()]].concat())
    }
}

fn check_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn breakdown_and_tail(filled: &Filled) {
    let root = filled.busiest();
    let (_, sums) = filled.shop.truth.roots.iter().max_by_key(|(_, sums)| sums.traces).unwrap();
    let headline = format!("{root}: {} traces, mean {:.2} ms", sums.traces, {
        sums.duration_ns as f64 / sums.traces as f64 / 1e6
    });
    check_has(&filled.shown(&["breakdown", "--root", &root]), &[&headline, "share", "█"]);
    let by_edge = filled.shown(&["breakdown", "--root", &root, "--by", "edge", "--sql"]);
    check_has(&by_edge, &[" → ", "SELECT * FROM latency_breakdown(", ";\n"]);
    check_has(&filled.shown(&["breakdown"]), &["all requests:", "are mixed: name one with --root"]);
    let answer = json(&filled.shown(&["breakdown", "--root", &root, "--format", "json"]));
    assert_eq!(answer["rows"][0]["traces"], sums.traces);
    assert!(answer["stats"]["elapsed_ms"].is_number() && answer["sql"].is_null(), "{answer}");
    let tail = filled.shown(&["breakdown", "--root", "*", "--tail", "--quantile", "0.9"]);
    check_has(&tail, &["against", "+ms", "more calls", "slower"]);
}

fn the_map_is_drawn(filled: &Filled) {
    check_golden("map_dot", &filled.shown(&["map", "--format", "dot"]));
    check_golden("map_mermaid", &filled.shown(&["map", "--format", "mermaid"]));
    let table = filled.shown(&["map"]);
    for edge in filled.shop.truth.edges.keys() {
        let is_row = |line: &str| line.contains(edge.from) && line.contains(edge.to);
        assert!(table.lines().any(is_row), "{edge:?} is missing in\n{table}");
    }
    let answer = json(&filled.shown(&["map", "--format", "json"]));
    assert_eq!(answer["rows"].as_array().unwrap().len(), filled.shop.truth.edges.len());
}

fn errors_bottlenecks_and_comparison(filled: &Filled) {
    let (origin, _) = filled.shop.truth.errors.iter().max_by_key(|(_, e)| e.count).unwrap();
    let place = match origin {
        ErrorOrigin::Service(service) => (*service).to_owned(),
        ErrorOrigin::Peer(edge) => format!("{} → {}", edge.from, edge.to),
    };
    check_has(&filled.shown(&["errors"]), &["count", "fatal", &place]);
    let bottlenecks = json(&filled.shown(&["bottlenecks", "--format", "json"]));
    assert!(bottlenecks["rows"].is_array(), "{bottlenecks}");
    let slow = "service_name = 'order' and duration_ns > 8e7";
    let compare = filled.shown(&["compare", "--where", slow]);
    check_has(&compare, &["attribute", "lift", "selected", "others"]);
}

fn causes_state_their_windows(filled: &Filled) {
    let options = filled.options;
    let (from, to) = (time(options.fault_from_ns()), time(options.end_ns()));
    let base = time(options.start_ns);
    let words = ["causes", "--fault", &from, &to, "--base", &base, &from];
    let text = filled.ran(&words);
    let windows = format!(
        "wrong:        {}Z to {}Z\nagainst:      {}Z to {}Z\n",
        &from[..19],
        &to[..19],
        &base[..19],
        &from[..19]
    );
    check_has(&text, &[&windows, "payment", "why"]);
    let answer = json(&filled.ran(&[&words[..], &["--format", "json"]].concat()));
    assert_eq!(answer["rows"][0]["rank"], 1);
    check_has(answer["rows"][0]["subject"].as_str().unwrap(), &["payment"]);
    // The last minutes hold nothing of a shop of another day.
    check_has(&filled.ran(&["causes"]), &["wrong:", "against:", "widen the range"]);
}

fn a_trace_shows_its_critical_path(filled: &Filled) {
    let slowest = filled.shop.truth.traces.iter().max_by_key(|t| t.duration_ns).unwrap();
    let id = schemas::ids::hex(&slowest.trace_id);
    let plain = filled.ran(&["trace", &id]);
    assert!(!plain.contains('#') && !plain.contains("critical path"), "{plain}");
    let text = filled.ran(&["trace", &id, "--critical-path"]);
    check_has(&text, &["critical path, # above:", "##", "charged to", slowest.root.name]);
    assert_eq!(plain.lines().next(), text.lines().next());
    let answer = json(&filled.ran(&["trace", &id, "--format", "json"]));
    let trace = filled.ask(Trace { trace_id: Some(id) });
    assert_eq!(answer["critical_path"].as_array().unwrap().len(), trace.critical_path.len());
    assert_eq!(answer["spans"].as_array().unwrap().len(), trace.spans.len());
}

fn correlated_records_stand_in_one_timeline(filled: &Filled) {
    let id = filled.server.sql(
        "select attributes['correlation.id'] as id, count(distinct trace_id) as n from spans \
         group by 1 order by n desc, id limit 1",
    )[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let text = filled.ran(&["correlate", &id]);
    check_has(&text, &[&format!("{id}: "), " traces, ", " logs, ", "span", "log"]);
    let times: Vec<&str> =
        text.lines().filter_map(|l| l.split_whitespace().find(|w| w.starts_with("20"))).collect();
    assert!(times.len() > 2 && times.is_sorted(), "{text}");
    let nothing = filled.ran(&["correlate", "nobody", "--key", "order.id"]);
    check_has(&nothing, &["nothing carries nobody under order.id", "--key"]);
}

fn empty_answers_say_why(filled: &Filled) {
    let hint = "widen the range with --since";
    for command in ["breakdown", "map", "errors", "bottlenecks"] {
        check_has(&filled.ran(&[command]), &["no span starts from", hint]);
    }
    let nobody = filled.shown(&["breakdown", "--root", "nobody"]);
    check_has(&nobody, &["no trace has the root operation nobody"]);
    let dir = TempDir::new().unwrap();
    let empty = Server::start(dir.path(), &[]);
    let text = stdout_of(&["errors", "--url", &empty.url()]);
    check_has(&text, &["no spans are stored yet", "otlake doctor"]);
    check_has(&stdout_of(&["map", "--format", "dot", "--url", &empty.url()]), &["digraph"]);
}

fn wrong_usage_says_what_is_right(filled: &Filled) {
    let url = filled.server.url();
    check_failure(&["errors", "--since", "1h", "--until", "2h"], 2, &["--since must lie before"]);
    check_failure(&["causes", "--fault", "1h", "2h"], 2, &["--fault: the range of time is empty"]);
    check_failure(&["compare"], 2, &["--where"]);
    let words = ["compare", "--where", "a) or (b", "--since", "1h", "--url", &url];
    check_failure(&words, 1, &["is no condition", "closes nothing"]);
    check_failure(&["bottlenecks", "--rule", "n", "--url", &url], 1, &["n_plus_one"]);
    check_failure(&["breakdown", "--by", "edge", "--tail", "--where", "x"], 2, &["--where"]);
}

fn a_directory_answers_as_its_server_did(filled: Filled) {
    let before = json(&filled.shown(&["map", "--format", "json"]));
    let (since, until) = (filled.from().unwrap(), filled.to().unwrap());
    let Filled { server, _dir: dir, .. } = filled;
    assert!(server.stop().success());
    let path = dir.path().to_str().unwrap();
    let words = ["map", "--format", "json", "--since", &since, "--until", &until, "--data", path];
    let output = run(&words);
    let after = json(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(after["rows"], before["rows"]);
}
