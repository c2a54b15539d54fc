//! `otlake doctor`: disk, limits, clock, and a span through each door, read back by SQL.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use api::client::Client;
use api::time;
use clap::Args;
use schemas::{Table, columns as c};
use serde_json::{Map, Value, json};

use crate::args::ReadFrom;
use crate::commands::{status, stdout};
use crate::failure::{Exit, Failure};
use crate::metrics::Samples;
use crate::output::{Screen, safe, text};
use crate::source::{self, Source};
use crate::units::{show_bytes, show_ns};

mod grpc;
mod probe;
use probe::Probe;

/// Free space below which ingest is refused soon.
const FREE_BYTES_MIN: u64 = 2 << 30;
/// Open files that a server under load needs.
const OPEN_FILES_MIN: u64 = 4_096;
/// A span is readable when its answer is there; this is for slow machines.
const READ_BACK: Duration = Duration::from_secs(5);
const DOOR_TIMEOUT: Duration = Duration::from_secs(5);
/// Beyond this spans are stored under the time of their arrival.
const SKEW_MAX_NS: i64 = 600_000_000_000;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake doctor
  otlake doctor --json | jq '.[] | select(.state != \"good\")'
  otlake doctor --data /var/lib/otlake")]
pub(crate) struct DoctorArgs {
    /// The checks as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    from: ReadFrom,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// Works, with something to know.
    Warn,
    Failed,
}

/// One line of the report.
#[derive(Clone, Debug)]
struct Check {
    name: &'static str,
    state: State,
    detail: String,
}

impl Check {
    fn new(name: &'static str, state: State, detail: impl Into<String>) -> Check {
        Check { name, state, detail: detail.into() }
    }
}

pub(crate) async fn run(args: DoctorArgs, screen: Screen) -> Result<Exit, Failure> {
    let mut checks = vec![open_files(), clock()];
    if let ReadFrom::Directory(dir) = &args.from {
        checks.extend(directory(dir));
    }
    match client(&args.from).await {
        Some(client) => checks.extend(server(client).await),
        None => checks.push(Check::new(
            "server",
            State::Warn,
            "no server holds the directory; its doors were not tried",
        )),
    }
    let mut out = stdout();
    if args.json {
        writeln!(out, "{}", as_json(&checks))?;
    } else {
        for check in &checks {
            writeln!(out, "{}", line(screen, check))?;
        }
    }
    out.flush()?;
    let failed = checks.iter().any(|check| check.state == State::Failed);
    Ok(if failed { Exit::Failed } else { Exit::Good })
}

async fn client(from: &ReadFrom) -> Option<Client> {
    match from {
        ReadFrom::Server(url) => Client::new(url).ok(),
        ReadFrom::Directory(dir) => source::holder(dir).await,
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Good => "good",
        State::Warn => "warn",
        State::Failed => "failed",
    }
}

fn line(screen: Screen, check: &Check) -> String {
    let mark = format!("{:<6}", word(check.state));
    let mark = if check.state == State::Failed { screen.red(&mark) } else { mark.as_str().into() };
    format!("{mark} {}: {}", check.name, safe(&check.detail))
}

fn as_json(checks: &[Check]) -> Value {
    let object = |check: &Check| json!({"check": check.name, "state": word(check.state), "detail": check.detail});
    checks.iter().map(object).collect()
}

fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(limit) if limit < OPEN_FILES_MIN => {
            let detail = format!(
                "{limit} open files allowed here; `ulimit -n {OPEN_FILES_MIN}` before serve under load"
            );
            Check::new("open files", State::Warn, detail)
        }
        limit => {
            let shown = limit.map_or("no limit".to_owned(), |limit| limit.to_string());
            Check::new("open files", State::Good, shown)
        }
    }
}

/// A clock that was never set breaks every time range.
fn clock() -> Check {
    const YEAR_2026_NS: i64 = 1_767_225_600_000_000_000;
    let now_ns = time::now_ns();
    let state = if now_ns < YEAR_2026_NS { State::Failed } else { State::Good };
    Check::new("clock", state, time::format(now_ns))
}

fn directory(dir: &Path) -> Vec<Check> {
    if !dir.is_dir() {
        let detail = format!("{} does not exist yet; serve makes it", dir.display());
        return vec![Check::new("directory", State::Warn, detail)];
    }
    vec![writable(dir), space(dir)]
}

fn writable(dir: &Path) -> Check {
    let path = dir.join(format!("doctor-{}.tmp", std::process::id()));
    let tried = std::fs::write(&path, b"doctor").and_then(|()| std::fs::remove_file(&path));
    match tried {
        Ok(()) => Check::new("directory", State::Good, format!("{} is writable", dir.display())),
        Err(error) => {
            let owner = rustix::process::getuid().as_raw();
            let detail = format!(
                "{} cannot be written by uid {owner}: {error}; chown or chmod it",
                dir.display()
            );
            Check::new("directory", State::Failed, detail)
        }
    }
}

fn space(dir: &Path) -> Check {
    match rustix::fs::statvfs(dir) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let state = if free < FREE_BYTES_MIN { State::Warn } else { State::Good };
            Check::new("disk", state, format!("{} free", show_bytes(free)))
        }
        Err(error) => Check::new("disk", State::Failed, format!("cannot be asked: {error}")),
    }
}

/// Everything that needs a running server.
async fn server(client: Client) -> Vec<Check> {
    let ready = match client.get("/readyz").await {
        Err(error) => {
            let detail = format!("{error}; start one with `otlake serve`, or name it with --url");
            return vec![Check::new("server", State::Failed, detail)];
        }
        Ok(answer) if answer.status == 200 => {
            Check::new("server", State::Good, format!("{} is ready", client.url()))
        }
        Ok(answer) => {
            let said = answer.bytes().await.unwrap_or_default();
            let detail = format!("not ready: {}", String::from_utf8_lossy(&said).trim());
            Check::new("server", State::Failed, detail)
        }
    };
    let mut checks = vec![ready];
    let source = Source::Server(client);
    match status::samples(&source).await {
        Ok(Some(samples)) => {
            checks.push(door(&source, &samples, "otlp_grpc").await);
            checks.push(door(&source, &samples, "otlp_http").await);
            checks.push(arrivals(&samples));
        }
        _ => checks.push(Check::new(
            "metrics",
            State::Failed,
            "/metrics cannot be read, so the doors are unknown",
        )),
    }
    checks
}

/// Sends a span through a door and reads it back.
async fn door(source: &Source, samples: &Samples, name: &'static str) -> Check {
    let title = if name == "otlp_grpc" { "OTLP gRPC" } else { "OTLP HTTP" };
    let with = format!("door=\"{name}\"");
    let address =
        samples.label("otlake_listener_info", &with, "address").and_then(|a| a.parse().ok());
    let Some(address) = address else {
        return Check::new(title, State::Failed, "the server does not tell its address");
    };
    let probe = Probe::new(time::now_ns());
    let started = std::time::Instant::now();
    let sent = tokio::time::timeout(DOOR_TIMEOUT, async {
        if name == "otlp_grpc" {
            probe.send_grpc(address).await
        } else {
            probe.send_http(address).await
        }
    });
    match sent.await {
        Err(_) => Check::new(
            title,
            State::Failed,
            format!("{address} did not answer within {} s", DOOR_TIMEOUT.as_secs()),
        ),
        Ok(Err(cause)) => Check::new(title, State::Failed, format!("{address}: {cause}")),
        Ok(Ok(())) => match read_back(source, &probe).await {
            Ok(skew_ns) => {
                let took = show_ns(i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX));
                let state = if skew_ns > SKEW_MAX_NS { State::Failed } else { State::Good };
                let detail = format!(
                    "a span sent to {address} was read back after {took}; clocks differ by {}",
                    show_ns(skew_ns)
                );
                Check::new(title, state, detail)
            }
            Err(cause) => {
                Check::new(title, State::Failed, format!("{address} took a span, but {cause}"))
            }
        },
    }
}

/// Finds the probe's span; gives the difference of the two clocks.
async fn read_back(source: &Source, probe: &Probe) -> Result<i64, String> {
    let sql = format!(
        "select {} from {} where {} = '{}'",
        c::INGESTED_AT,
        Table::Spans.name(),
        c::TRACE_ID,
        probe.trace_id()
    );
    let answer = tokio::time::timeout(READ_BACK, source.ask(sql))
        .await
        .map_err(|_| format!("SQL did not answer within {} s", READ_BACK.as_secs()))?
        .map_err(|failure| format!("SQL failed: {}", failure.lines().replace('\n', "; ")))?;
    let empty = Map::new();
    let row = answer.rows.first().unwrap_or(&empty);
    let ingested_ns = time::parse(text(row, c::INGESTED_AT), 0)
        .map_err(|_| "it is not found in SQL: acknowledged and not visible".to_owned())?;
    Ok(ingested_ns.saturating_sub(probe.sent_ns).abs())
}

/// Why telemetry of others may be missing, from the server's own counters.
fn arrivals(samples: &Samples) -> Check {
    let sum = |name: &str, with: &str| samples.sum(name, with).unwrap_or_default();
    let accepted: f64 = ["spans", "log_records", "metric_points"]
        .iter()
        .map(|records| sum(&format!("otelcol_receiver_accepted_{records}"), ""))
        .sum();
    let mut reasons = Vec::new();
    for (name, says) in [
        (
            "otlake_receiver_tls_hellos_total",
            "connections spoke TLS, these ports do not: use http:// and insecure",
        ),
        (
            "otlake_receiver_records_rejected_total",
            "records were rejected: `select * from system.rejects`",
        ),
        ("otlake_receiver_requests_refused_total", "requests were refused: see /metrics"),
    ] {
        let count = sum(name, "");
        if count > 0.0 {
            reasons.push(format!("{count} {says}"));
        }
    }
    let state = if accepted == 0.0 || !reasons.is_empty() { State::Warn } else { State::Good };
    if accepted == 0.0 {
        reasons.insert(0, "nobody has sent anything since the server started".into());
    }
    reasons.insert(0, format!("{accepted} records accepted before this check"));
    Check::new("arrivals", state, reasons.join("; "))
}
