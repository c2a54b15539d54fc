//! Precedence, wrong keys, wrong values.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use clap::{CommandFactory, FromArgMatches};

use super::*;
use crate::args::{self, Cli, ReadFrom};

fn parsed(text: &str, words: &[&str]) -> Cli {
    let command = apply_text(Cli::command(), text, Path::new("c.toml")).unwrap();
    let matches = command.try_get_matches_from(["otlake"].iter().chain(words)).unwrap();
    Cli::from_arg_matches(&matches).unwrap()
}

fn serve(text: &str, words: &[&str]) -> Box<args::ServeArgs> {
    let words: Vec<&str> = ["serve"].iter().chain(words).copied().collect();
    let args::Command::Serve(serve) = parsed(text, &words).command else { panic!("not serve") };
    serve
}

#[test]
fn a_flag_beats_the_file_and_the_file_the_default() {
    let text =
        "retain = '3d'\nmemory = '256MiB'\ncors_origin = ['http://a', 'http://b']\nquery_rows = 5";
    let found = serve(text, &["--memory", "1GiB"]);
    assert_eq!(found.retain.unwrap().as_secs(), 3 * 86_400);
    assert_eq!(found.memory, 1 << 30);
    assert_eq!(found.cors_origin, ["http://a", "http://b"]);
    assert_eq!(found.query_rows, 5);
    assert_eq!(found.http.port(), 4319);
}

#[test]
fn a_flag_of_the_line_beats_a_directory_of_the_file() {
    let source = |words: &[&str]| match parsed("data = '/d'", words).command {
        args::Command::Sql(sql) => sql.from,
        _ => panic!("not sql"),
    };
    assert_eq!(source(&["sql", "select 1"]), ReadFrom::Directory("/d".into()));
    assert_eq!(
        source(&["sql", "--url", "http://h:1", "select 1"]),
        ReadFrom::Server("http://h:1".into())
    );
}

fn check_wrong(text: &str, expected: &str) {
    let failure = apply_text(Cli::command(), text, Path::new("c.toml")).unwrap_err();
    let lines = failure.lines();
    assert!(lines.starts_with("error: the configuration file c.toml is wrong\n"), "{lines}");
    assert!(lines.contains(expected), "{lines}");
}

#[test]
fn mistakes_name_the_key_and_help() {
    check_wrong("retian = '3d'", "cause: `retian` is not a setting\ntry: did you mean `retain`?");
    check_wrong("otlp-grpc = 'x'", "did you mean `otlp_grpc`?");
    check_wrong("retain = '3 parsecs'", "`retain`: invalid value '3 parsecs'");
    check_wrong("http = 'localhost'", "`http`: invalid value 'localhost'");
    check_wrong("[http]\nx = 1", "`http` is a table");
    check_wrong("retain = ", "cause: TOML parse error");
    check_wrong("help = true", "`help` is not a setting");
}
