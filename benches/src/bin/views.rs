//! What the trace views cost over millions of spans: fills a directory with a generated shop, asks
//! each question some times, and prints the times.
//!
//! `cargo run --release -p benches --bin views -- --spans 10000000 --hours 4 --data /tmp/views`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use api::sql::SqlRequest;
use bytes::Bytes;
use clap::Parser;
use collector::decode::{Decoder, Limits};
use futures::StreamExt;
use prost::Message;
use query::{Engine, EngineConfig};
use schemas::Signal;
use storage::{Append, Encoding, Store};
use testkit::shop::{Request, ShopOptions, Stream};

/// The one of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Spans that a customer of the shop causes on average; the rate follows from it.
const SPANS_PER_REQUEST: u64 = 14;
/// Fixed, so that two runs store the same: 2026-11-22T00:00:00Z.
const START_NS: u64 = 1_795_305_600_000_000_000;
/// Spans between two flushes.
const FLUSH_SPANS: u64 = 500_000;

#[derive(Parser)]
struct Args {
    /// Spans in all.
    #[arg(long, default_value_t = 10_000_000)]
    spans: u64,
    /// Hours over which they are spread.
    #[arg(long, default_value_t = 4)]
    hours: u64,
    /// Directory to fill, or to use again when it is filled.
    #[arg(long)]
    data: PathBuf,
    /// Threads of the engine.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How often each question is asked; the median counts.
    #[arg(long, default_value_t = 3)]
    times: usize,
    /// Only questions whose name holds this.
    #[arg(long)]
    only: Option<String>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let filled = args.data.join("catalog.sqlite").exists();
    let store = benches::fill::open(&args.data).await?;
    if !filled {
        fill(&store, &args).await?;
    }
    let mut config = EngineConfig::new(args.data.join("spill"));
    config.threads = args.threads;
    config.timeout = Duration::from_secs(600);
    let engine = Engine::new(store, config)?;
    let from = api::time::format((START_NS + (args.hours - 1) * 3_600_000_000_000 / 2) as i64);
    let to = api::time::format((START_NS + (args.hours + 1) * 3_600_000_000_000 / 2) as i64);
    println!("{:<28}{:>12}{:>12}{:>10}{:>12}", "question", "median", "cpu", "rows", "traces");
    for (name, sql) in questions(&from, &to) {
        if args.only.as_ref().is_none_or(|only| name.contains(only.as_str())) {
            ask(&engine, name, &sql, args.times).await?;
        }
    }
    println!("most memory {} MiB", peak_memory_mib());
    Ok(())
}

/// The middle hour of the data, and all of it.
fn questions(from: &str, to: &str) -> Vec<(&'static str, String)> {
    let hour = format!("'{from}', '{to}'");
    let rows = |view: &str| format!("SELECT * FROM {view}");
    vec![
        (
            "count an hour",
            format!(
                "SELECT count(*) FROM spans WHERE start_time >= TIMESTAMP '{f}' AND start_time < TIMESTAMP '{t}'",
                f = from.trim_end_matches('Z'),
                t = to.trim_end_matches('Z')
            ),
        ),
        ("map, an hour", rows(&format!("service_map({hour})"))),
        ("breakdown, an hour", rows(&format!("latency_breakdown({hour}, 'POST /api/orders')"))),
        ("tail, an hour", rows(&format!("tail_attribution({hour}, 'POST /api/orders')"))),
        ("errors, an hour", rows(&format!("error_paths({hour})"))),
        ("bottlenecks, an hour", rows(&format!("bottlenecks({hour})"))),
        (
            "traces, an hour",
            format!(
                "SELECT root_name, count(*), p99(duration_ns) FROM traces WHERE start_time >= TIMESTAMP '{f}' AND start_time < TIMESTAMP '{t}' GROUP BY 1",
                f = from.trim_end_matches('Z'),
                t = to.trim_end_matches('Z')
            ),
        ),
        ("kernel, all", "SELECT sum(critical_ns), sum(self_ns) FROM spans".to_owned()),
        ("map, all", rows("service_map()")),
    ]
}

async fn ask(engine: &Arc<Engine>, name: &str, sql: &str, times: usize) -> Result<()> {
    let (mut walls, mut cpus, mut rows, mut traces) = (Vec::new(), Vec::new(), 0, None);
    for _ in 0..times.max(1) {
        let (started, cpu) = (Instant::now(), cpu_seconds());
        let request =
            SqlRequest { sql: sql.to_owned(), timeout_s: Some(600.0), ..SqlRequest::default() };
        let mut answer = match engine.sql(request).await {
            Ok(answer) => answer,
            Err(error) => {
                println!("{name:<28} failed: {error}");
                return Ok(());
            }
        };
        rows = 0;
        while let Some(batch) = answer.next().await {
            match batch {
                Ok(batch) => rows += batch.num_rows(),
                Err(error) => {
                    println!("{name:<28} failed: {error}");
                    return Ok(());
                }
            }
        }
        traces = answer.stats().traces.map(|traces| traces.used);
        walls.push(started.elapsed().as_secs_f64());
        cpus.push(cpu_seconds() - cpu);
    }
    walls.sort_by(f64::total_cmp);
    cpus.sort_by(f64::total_cmp);
    let middle = walls.len() / 2;
    println!(
        "{name:<28}{:>9.0} ms{:>9.0} ms{rows:>10}{:>12}",
        walls[middle] * 1e3,
        cpus[middle] * 1e3,
        traces.map_or(String::new(), |n| n.to_string())
    );
    Ok(())
}

async fn fill(store: &Arc<Store>, args: &Args) -> Result<()> {
    let minutes = args.hours * 60;
    let requests_per_minute = u32::try_from(args.spans / SPANS_PER_REQUEST / minutes)?;
    let options = ShopOptions {
        start_ns: START_NS,
        minutes: u32::try_from(minutes)?,
        requests_per_minute,
        ..ShopOptions::default()
    };
    let (started, mut decoder) = (Instant::now(), Decoder::new(Limits::default()));
    let (mut spans, mut flushed, mut number) = (0_u64, 0, 0_u64);
    for request in Stream::new(options) {
        let Request::Traces(request) = request else { continue };
        number += 1;
        let payload = Bytes::from(request.encode_to_vec());
        let mut fingerprint = [0; 16];
        fingerprint[..8].copy_from_slice(&number.to_le_bytes());
        let received_ns = START_NS as i64;
        let decoded = decoder.decode(Signal::Traces, Encoding::Protobuf, &payload, received_ns)?;
        spans += u64::from(decoded.accepted);
        let append = Append {
            signal: Signal::Traces,
            encoding: Encoding::Protobuf,
            payload,
            fingerprint,
            received_ns,
            accepted: decoded.accepted,
            batches: decoded.batches,
        };
        store.append(append).await.map_err(|e| anyhow!("append: {e}"))?;
        if spans - flushed >= FLUSH_SPANS {
            store.flush().await?;
            flushed = spans;
        }
    }
    store.flush().await?;
    println!("filled with {spans} spans in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Processor time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 =
        after.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok());
    kib.unwrap_or(0_u64) / 1024
}
