//! The generator as a command.

use std::io::Write;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use super::sink::{Nowhere, grpc::Server};
use super::{Files, Options, Preset, Rate, Signal, Summary, generate};
use crate::scenarios::Scenario;

/// What to generate, and where to.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  sim --out ./shop                           six minutes of the shop, as files
  sim --scenario 4 --out ./slow-network      the same with a slow network in the middle
  sim --preset alibaba-500 --endpoint http://127.0.0.1:4317
  sim --preset uber-1000 --bench             how fast it is made")]
pub struct Args {
    /// Which system sends the data
    #[arg(long, value_enum, default_value = "shop")]
    preset: Preset,
    /// What is wrong in the shop: S1 to S30, or a name
    #[arg(long, value_parser = scenario)]
    scenario: Option<&'static Scenario>,
    /// The same seed makes the same bytes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests in all
    #[arg(long, value_name = "N")]
    traces: Option<u64>,
    /// For how long requests come
    #[arg(long, value_name = "N")]
    minutes: Option<NonZeroU64>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value = "40")]
    rate: NonZeroU64,
    /// How often some damage is done in the preset dirty, as late=10000: of a million spans or
    /// requests. Repeat for each kind
    #[arg(long, value_name = "KIND=RATE")]
    dirt: Vec<Rate>,
    /// Start of the first request, as 2025-06-01T12:00:00Z [default: so that the last one comes now]
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Signals to send
    #[arg(long, value_enum, value_delimiter = ',', default_value = "traces,logs,metrics")]
    signals: Vec<Signal>,
    /// Directory for the files and the answers
    #[arg(long, value_name = "DIR", group = "target")]
    out: Option<PathBuf>,
    /// OTLP/gRPC endpoint
    #[arg(long, value_name = "URL", group = "target")]
    endpoint: Option<String>,
    /// Send nothing; print how fast it was made
    #[arg(long, group = "target")]
    bench: bool,
}

fn scenario(text: &str) -> Result<&'static Scenario, String> {
    Scenario::find(text).ok_or_else(|| "no such scenario; they are S1 to S30".to_owned())
}

impl Args {
    fn options(&self) -> Options {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        let mut options = Options {
            preset: self.preset,
            scenario: self.scenario,
            seed: self.seed,
            minutes: self.minutes.map(NonZeroU64::get),
            requests: self.traces,
            rate: self.rate.get(),
            threads: self.threads.unwrap_or_else(cores),
            signals: self.signals.clone(),
            ..Options::default()
        };
        self.dirt.iter().for_each(|rate| options.rates.set(*rate));
        if let Some(start_ns) = self.start.and_then(|at| u64::try_from(at.as_nanosecond()).ok()) {
            options.start_ns = start_ns;
        } else if !self.bench {
            options.end_at(now_ns());
        }
        options
    }
}

/// Makes the data, sends it where the arguments say, and reports on it. Blocks the thread, which must
/// not be one of an asynchronous runtime.
pub fn run(args: &Args, report: &mut dyn Write) -> anyhow::Result<()> {
    let options = args.options();
    let since = Clocks::now();
    let summary = match (&args.out, &args.endpoint) {
        (Some(dir), _) => {
            let mut files = Files::create(dir)?;
            let summary = generate(&options, &mut files)?;
            files.finish(&summary)?;
            summary
        }
        (None, Some(url)) => {
            let mut server = Server::connect(url)?;
            let summary = generate(&options, &mut server)?;
            server.finish()?;
            summary
        }
        (None, None) if args.bench => generate(&options, &mut Nowhere)?,
        (None, None) => bail!("where to? Give --out DIR or --endpoint URL, or --bench"),
    };
    write_report(report, &summary, &since.elapsed()).context("cannot write the report")
}

fn write_report(out: &mut dyn Write, summary: &Summary, spent: &Clocks) -> anyhow::Result<()> {
    let sent = &summary.sent;
    writeln!(
        out,
        "{} spans in {} traces, {} log records, {} data points; {} requests of {:.1} MB in all",
        sent.spans,
        summary.answers.traces,
        sent.log_records,
        sent.data_points,
        sent.requests,
        sent.bytes as f64 / 1e6,
    )?;
    writeln!(
        out,
        "{:.2} s, {:.2} s on cores: {:.2} M spans/s a core, {:.0} MB/s a core",
        spent.wall.as_secs_f64(),
        spent.cores.as_secs_f64(),
        sent.spans as f64 / spent.cores.as_secs_f64() / 1e6,
        sent.bytes as f64 / spent.cores.as_secs_f64() / 1e6,
    )?;
    if let Some(record) = &summary.record {
        let verdict = if record.valid { "valid" } else { "not valid" };
        writeln!(out, "S{} {}: {verdict}, {}", record.id, record.name, record.why)?;
    }
    Ok(())
}

/// Time that passed, and time that this process spent on cores.
struct Clocks {
    wall: Duration,
    cores: Duration,
}

impl Clocks {
    fn now() -> Clocks {
        let read = |clock| {
            let time = clock_gettime(clock);
            let (seconds, ns) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
            Duration::from_secs(seconds) + Duration::from_nanos(ns)
        };
        Clocks { wall: read(ClockId::Monotonic), cores: read(ClockId::ProcessCPUTime) }
    }

    fn elapsed(&self) -> Clocks {
        let now = Clocks::now();
        Clocks { wall: now.wall - self.wall, cores: now.cores - self.cores }
    }
}

fn now_ns() -> u64 {
    u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}
