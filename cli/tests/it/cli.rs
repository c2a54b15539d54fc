//! The command line: help texts, errors in three lines, exit codes, pipes, completions.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Server, otlake, request, run, span, stdout_of};

const COMMANDS: [&str; 20] = [
    "serve",
    "sql",
    "tail",
    "trace",
    "demo",
    "tui",
    "services",
    "breakdown",
    "map",
    "errors",
    "bottlenecks",
    "compare",
    "causes",
    "correlate",
    "status",
    "doctor",
    "import",
    "export",
    "verify",
    "completions",
];

#[test]
fn help_texts_are_as_reviewed() {
    check_golden("otlake", &stdout_of(&["--help"]));
    for command in COMMANDS {
        check_golden(command, &stdout_of(&[command, "--help"]));
    }
}

/// Compares with the golden text; `UPDATE=1` rewrites it.
pub(crate) fn check_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/golden/{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} differs; UPDATE=1 rewrites it", path.display());
}

pub(crate) fn check_failure(words: &[&str], code: i32, expected: &[&str]) {
    let output = run(words);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {stderr}");
    for part in expected {
        assert!(stderr.contains(part), "{words:?}: {stderr}");
    }
}

#[test]
fn failures_have_their_codes_and_say_what_to_do() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("c.toml");
    std::fs::write(&config, "retian = '3d'\n").unwrap();
    let config = config.to_str().unwrap();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    check_failure(&["frobnicate"], 2, &["error:"]);
    check_failure(&["trace", "xyz"], 2, &["32 hex digits"]);
    check_failure(&["services", "--since", "yesterday", "--data", missing], 2, &["is not a time"]);
    check_failure(
        &["sql", "--url", "http://127.0.0.1:1", "select 1"],
        69,
        &["error: no server answers", "cause:", "try:"],
    );
    check_failure(
        &["--config", config, "status"],
        78,
        &["`retian` is not a setting", "did you mean `retain`?"],
    );
    check_failure(&["sql", "--data", missing, "select 1"], 1, &["there is no data directory"]);
    check_failure(&["verify", "--data", missing], 1, &["there is no data directory"]);
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout_of(&["completions", shell]).contains("otlake"), "{shell}");
    }
}

#[test]
fn a_second_writer_is_told_who_holds_the_directory() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let free = "127.0.0.1:0";
    let path = dir.path().to_str().unwrap();
    let words = ["serve", "--data", path, "--http", free, "--otlp-grpc", free, "--otlp-http", free];
    check_failure(&words, 1, &[&format!("process {}", server.pid()), "try:"]);
}

#[test]
fn a_busy_port_names_its_flag() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let other = TempDir::new().unwrap();
    let path = other.path().to_str().unwrap();
    let busy = server.url().replace("http://", "");
    let free = "127.0.0.1:0";
    let words =
        ["serve", "--data", path, "--http", &busy, "--otlp-grpc", free, "--otlp-http", free];
    check_failure(&words, 1, &["--http", "ss -ltnp"]);
}

#[test]
fn reading_commands_answer() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let url = server.url();
    let now_ns = api::time::now_ns();
    let spans = vec![
        span(1, None, now_ns, 20_000_000, "POST /orders"),
        span(2, Some(1), now_ns, 5_000_000, "charge"),
    ];
    server.accept("traces", &request("traces", "check\u{1b}out", spans));

    let ask = |words: &[&str]| stdout_of(&[words, &["--url", &url]].concat());
    let trace = ask(&["trace", &format!("{:032x}", 0xabcd)]);
    assert!(
        trace.contains("2 spans, 0 errors") && trace.contains("check␛out POST /orders"),
        "{trace}"
    );
    assert!(ask(&["services"]).starts_with("check\u{1b}out\t2\t0\t"));
    let tail = ask(&["tail", "--since", "1h", "--no-follow", "--service", "check\u{1b}out"]);
    assert_eq!(tail.lines().filter(|line| line.contains("check␛out")).count(), 2, "{tail}");
    assert!(ask(&["status"]).contains("span"), "{}", ask(&["status"]));
    assert!(
        ask(&["status", "--print-env"])
            .starts_with("export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:")
    );
    let json: Value =
        serde_json::from_str(&ask(&["sql", "--format", "json", "select 1 as n"])).unwrap();
    assert_eq!(json["rows"][0]["n"], 1);
    assert_eq!(
        ask(&["sql", "--format", "csv", "select 1 as n"]).lines().collect::<Vec<_>>(),
        ["n", "1"]
    );
    assert_eq!(
        ask(&["sql", "--format", "ndjson", "select 1 as n; select 2 as n"]),
        "{\"n\":1}\n{\"n\":2}\n"
    );
    assert_eq!(ask(&["sql", "-p", "5", "-p", "x", "select $1::bigint + 1, $2"]), "6\tx\n");
    check_failure(&["sql", "--url", &url, "select duration from spans"], 1, &["duration_ns"]);
    check_failure(&["sql", "--exit-code", "--url", &url, "select 1 where false"], 3, &[]);
}

#[test]
fn doctor_sends_through_both_doors() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let output = run(&["doctor", "--json", "--url", &server.url()]);
    let checks: Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["server", "OTLP gRPC", "OTLP HTTP"] {
        let check = checks.as_array().unwrap().iter().find(|check| check["check"] == name).unwrap();
        assert_eq!(check["state"], "good", "{checks}");
    }
    assert!(output.status.success());
    assert_eq!(server.sql("select name from spans where service_name = 'otlake-doctor'").len(), 2);
    server.kill();
    assert_eq!(run(&["doctor", "--url", "http://127.0.0.1:1"]).status.code(), Some(1));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    let sql = "select * from generate_series(1, 90000)";
    let mut child = otlake()
        .args(["sql", "--url", &server.url(), sql])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(child.wait().unwrap().success(), "{stderr}");
    assert_eq!(stderr, "");
}

#[test]
fn a_directory_verifies() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.accept(
        "traces",
        &request("traces", "s", vec![span(1, None, api::time::now_ns(), 1, "op")]),
    );
    assert!(server.stop().success());
    let text = stdout_of(&["verify", "--data", dir.path().to_str().unwrap()]);
    assert!(text.contains("0 findings"), "{text}");
}
