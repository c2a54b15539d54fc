//! The commands, one file each, and what they share: a runtime, the screen, a buffered stdout.

use std::io::{self, BufWriter, StdoutLock, Write};

use clap::CommandFactory;
use tokio::runtime::{Builder, Runtime};

use crate::args::{Cli, Command};
use crate::failure::{Exit, Failure};
use crate::logging;
use crate::output::Screen;

pub(crate) mod asking;
pub(crate) mod bottlenecks;
pub(crate) mod breakdown;
pub(crate) mod causes;
pub(crate) mod compare;
pub(crate) mod correlate;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod errors;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod map;
pub(crate) mod serve;
pub(crate) mod services;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod trace;
pub(crate) mod tui;
pub(crate) mod verify;

/// Runs the command and gives the exit code.
pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    let screen = Screen::detect(cli.color);
    let level_default = match &cli.command {
        Command::Serve(_) => "info",
        // The explorer draws where log lines would go.
        Command::Tui(_) => "off",
        Command::Demo(args) if args.takes_terminal() => "off",
        // Its databases are slow on purpose.
        Command::Demo(_) => "warn,sqlx=error",
        _ => "warn",
    };
    let level = cli.log.as_deref().unwrap_or(level_default);
    logging::start(cli.log_format, level, screen.color)?;
    match cli.command {
        Command::Serve(args) => serve::run(&args, screen),
        Command::Demo(args) => demo::run(&args, screen),
        Command::Tui(args) => runtime()?.block_on(tui::run(args)),
        Command::Sql(args) => runtime()?.block_on(sql::run(args, screen)),
        Command::Tail(args) => runtime()?.block_on(tail::run(args, screen)),
        Command::Trace(args) => runtime()?.block_on(trace::run(args, screen)),
        Command::Services(args) => runtime()?.block_on(services::run(args, screen)),
        Command::Breakdown(args) => runtime()?.block_on(breakdown::run(args, screen)),
        Command::Map(args) => runtime()?.block_on(map::run(args, screen)),
        Command::Errors(args) => runtime()?.block_on(errors::run(args, screen)),
        Command::Bottlenecks(args) => runtime()?.block_on(bottlenecks::run(args, screen)),
        Command::Compare(args) => runtime()?.block_on(compare::run(args, screen)),
        Command::Causes(args) => runtime()?.block_on(causes::run(args, screen)),
        Command::Correlate(args) => runtime()?.block_on(correlate::run(args, screen)),
        Command::Status(args) => runtime()?.block_on(status::run(args, screen)),
        Command::Doctor(args) => runtime()?.block_on(doctor::run(args, screen)),
        Command::Import(args) => runtime()?.block_on(import::run(args)),
        Command::Export(args) => runtime()?.block_on(export::run(args)),
        Command::Verify(args) => runtime()?.block_on(verify::run(args, screen)),
        Command::Completions { shell } => completions(shell),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// Stdout, buffered; flush it before the command ends.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "otlake", &mut script);
    let mut out = stdout();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Good)
}
