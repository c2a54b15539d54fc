//! `load`: sends OTLP to a server on this machine, prints what was acknowledged and how fast, and
//! checks by SQL that exactly this was stored. One `name value` a line; exit code 1 on a mismatch.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use benches::{Door, Load, Report, run, sql};
use clap::Parser;
use schemas::{Signal, Table, columns};

/// Sends OTLP load to a server on this machine and checks what was stored.
#[derive(Parser)]
struct Arguments {
    /// The server's OTLP address
    #[arg(long, default_value = "127.0.0.1:4317")]
    endpoint: SocketAddr,
    /// Over gRPC or HTTP/1.1
    #[arg(long, value_enum, default_value_t = Door::Grpc)]
    door: Door,
    /// traces, logs or metrics
    #[arg(long, default_value = "traces")]
    signal: String,
    /// Connections, each with one request under way
    #[arg(long, default_value_t = 8)]
    connections: u32,
    /// Records of a request
    #[arg(long, default_value_t = 512)]
    batch: u32,
    /// Records a second in all; without it as fast as answers come
    #[arg(long)]
    rate: Option<u64>,
    /// Length of the run
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Requests at most
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// The server's HTTP address; asked what was stored when given
    #[arg(long)]
    sql: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let signal = Signal::from_name(&arguments.signal)
        .ok_or_else(|| anyhow!("no signal `{}`: traces, logs or metrics", arguments.signal))?;
    let load = Load {
        endpoint: arguments.endpoint,
        door: arguments.door,
        signal,
        connections: arguments.connections,
        batch: arguments.batch,
        rate: arguments.rate,
        duration: Duration::from_secs(arguments.seconds),
        requests_max: arguments.requests,
        run: run_name()?,
    };
    let report = run(&load).await?;
    print(&report);
    match arguments.sql {
        Some(server) => compare(server, &load, &report).await,
        None => Ok(ExitCode::SUCCESS),
    }
}

fn run_name() -> Result<String> {
    Ok(format!("load-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos()))
}

fn print(report: &Report) {
    let milliseconds = |share| report.latency(share).as_secs_f64() * 1e3;
    println!("elapsed_s {:.2}", report.elapsed.as_secs_f64());
    println!("requests {}", report.requests);
    println!("refused_requests {}", report.refused);
    println!("rejected_records {}", report.rejected);
    println!("acknowledged_records {}", report.acknowledged);
    println!("acknowledged_per_s {:.0}", report.rate());
    println!("latency_p50_ms {:.2}", milliseconds(0.5));
    println!("latency_p99_ms {:.2}", milliseconds(0.99));
    println!("latency_max_ms {:.2}", milliseconds(1.0));
}

async fn compare(server: SocketAddr, load: &Load, report: &Report) -> Result<ExitCode> {
    let table = match load.signal {
        Signal::Traces => Table::Spans,
        Signal::Logs => Table::Logs,
        Signal::Metrics => Table::MetricPoints,
    };
    let statement = format!(
        "select count(*) from {} where {}['service.instance.id'] = '{}'",
        table.name(),
        columns::RESOURCE,
        load.run
    );
    let stored = sql(server, &statement).await?;
    println!("stored_records {stored}");
    Ok(match stored == report.acknowledged {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
