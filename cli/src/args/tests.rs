//! Precedence of sources, help for every flag, a clean clap tree.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

#[test]
fn the_command_tree_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_argument_has_help_and_every_flag_a_variable() {
    for command in Cli::command().get_subcommands() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for arg in command.get_arguments().filter(|a| !a.is_positional()) {
            assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
        }
    }
    let serve = Cli::command().find_subcommand("serve").unwrap().clone();
    for arg in serve.get_arguments().filter(|a| a.get_id() != "help" && a.get_id() != "version") {
        let variable = format!("OTLAKE_{}", arg.get_id().as_str().to_uppercase());
        assert_eq!(arg.get_env().unwrap().to_str().unwrap(), variable);
    }
}

fn check_source(words: &[&str], expected: ReadFrom) {
    let cli = Cli::try_parse_from(["otlake", "sql"].iter().chain(words)).unwrap();
    let Command::Sql(args) = cli.command else { panic!("not sql") };
    assert_eq!(args.from, expected);
}

#[test]
fn reading_commands_know_whom_to_ask() {
    let server = |url: &str| ReadFrom::Server(url.into());
    check_source(&["select 1"], server("http://127.0.0.1:4319"));
    check_source(&["--url", "http://127.0.0.1:1", "select 1"], server("http://127.0.0.1:1"));
    check_source(&["--data", "d", "select 1"], ReadFrom::Directory("d".into()));
    check_source(&["--data", "d", "--url", "http://h:1", "select 1"], server("http://h:1"));
}

#[test]
fn sizes_and_times_are_read() {
    let words =
        ["otlake", "serve", "--retain", "7d", "--retain-bytes", "50GiB", "--memory", "512MiB"];
    let Command::Serve(args) = Cli::try_parse_from(words).unwrap().command else {
        panic!("not serve")
    };
    assert_eq!(args.retain.unwrap().as_secs(), 7 * 86_400);
    assert_eq!(args.retain_bytes, Some(50 << 30));
    assert_eq!(args.memory, 512 << 20);
    assert_eq!(args.retry_window.as_secs(), 900);
}
