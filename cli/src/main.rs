//! `otlake`: the collector, the store, the engine and the commands that ask them, in one binary.

mod args;
mod budget;
mod commands;
mod config;
mod failure;
mod logging;
mod metrics;
mod output;
mod server;
mod server_file;
mod source;
mod statements;
mod units;
mod wiring;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let ended = args::parse().and_then(commands::run);
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(),
    }
}
