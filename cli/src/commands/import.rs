//! `otlake import`: OTLP files into a server, or straight into a directory through the same intake.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::client::{Answer, Client};
use api::time;
use clap::{Args, ValueEnum};
use collector::decode::{Decoder, Limits};
use collector::files::{FileError, Format, Reader, Record};
use collector::{ExportOptions, Intake};
use indicatif::ProgressBar;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use schemas::Signal;
use serde_json::Value;
use storage::{Encoding, Store};

use crate::commands::verify::bytes_bar;
use crate::failure::{Exit, Failure};
use crate::server_file::{Addresses, reachable};
use crate::{source, wiring};

#[cfg(test)]
mod tests;

/// Tries of one request before the import gives up.
const TRIES_MAX: u32 = 20;
/// Wait between two tries, whatever the target asks for.
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Messages about single records that are printed; the rest is counted.
const MESSAGES_MAX: u64 = 20;

/// A signal by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignalName {
    /// Spans
    Traces,
    /// Log records
    Logs,
    /// Data points
    Metrics,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Signal {
        match name {
            SignalName::Traces => Signal::Traces,
            SignalName::Logs => Signal::Logs,
            SignalName::Metrics => Signal::Metrics,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake import traces.jsonl logs.jsonl                  what the Collector's file exporter writes
  otlake import --signal traces spans.binpb              length-delimited protobuf
  otlake import --data ./data - < traces.jsonl           into a directory, with no server running")]
pub(crate) struct ImportArgs {
    /// Files to read; - is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The files are length-delimited protobuf of this signal, not JSON lines
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<SignalName>,
    /// OTLP/HTTP address to send to
    #[arg(
        long,
        env = "OTLAKE_ENDPOINT",
        value_name = "URL",
        default_value = "http://127.0.0.1:4318",
        help_heading = "Target"
    )]
    endpoint: String,
    /// Write into this directory; a server that holds it takes the files instead
    #[arg(long, value_name = "DIR", conflicts_with = "endpoint", help_heading = "Target")]
    data: Option<PathBuf>,
    /// Store a request even if the same bytes were stored a moment ago (directory only)
    #[arg(long, requires = "data", help_heading = "Target")]
    allow_repeats: bool,
}

pub(crate) async fn run(args: ImportArgs) -> Result<Exit, Failure> {
    let format = args.signal.map_or(Format::JsonLines, |signal| Format::Protobuf(signal.into()));
    let target = Target::open(&args).await?;
    let mut totals = Totals::default();
    let mut ended = Ok(());
    for path in &args.files {
        ended = import_file(path, format, &target, &mut totals).await;
        if ended.is_err() {
            break;
        }
    }
    target.close().await?;
    totals.report();
    ended?;
    Ok(if totals.rejected + totals.unread > 0 { Exit::Failed } else { Exit::Good })
}

/// Where requests go.
enum Target {
    Server(Client),
    Directory { intake: Intake, store: Arc<Store>, options: ExportOptions },
}

impl Target {
    async fn open(args: &ImportArgs) -> Result<Target, Failure> {
        let Some(dir) = &args.data else { return Ok(Target::Server(Client::new(&args.endpoint)?)) };
        if source::holder(dir).await.is_some()
            && let Some(addresses) = Addresses::read(dir)
        {
            let endpoint = format!("http://{}", reachable(addresses.otlp_http));
            return Ok(Target::Server(Client::new(&endpoint)?));
        }
        let store = wiring::open_to_write(dir).await?;
        let intake = Intake::new(Arc::clone(&store), Limits::default());
        let options = ExportOptions { skip_fingerprint: args.allow_repeats };
        Ok(Target::Directory { intake, store, options })
    }

    /// Stores one request, trying again as long as the target asks for it.
    async fn store(&self, record: &Record) -> Result<Outcome, Failure> {
        let mut reason = String::new();
        for _ in 0..TRIES_MAX {
            let attempt = match self {
                Target::Server(client) => send(client, record).await?,
                Target::Directory { intake, options, .. } => append(intake, *options, record).await,
            };
            match attempt {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Later(wait, why) => {
                    reason = why;
                    tokio::time::sleep(wait.clamp(WAIT_MIN, WAIT_MAX)).await;
                }
            }
        }
        Err(Failure::failed(format!("the target stays overloaded: {TRIES_MAX} tries were refused"))
            .cause(reason)
            .hint(
                "import again later: requests already stored are recognised and not stored twice",
            ))
    }

    async fn close(&self) -> Result<(), Failure> {
        match self {
            Target::Server(_) => Ok(()),
            Target::Directory { store, .. } => Ok(store.close().await?),
        }
    }
}

/// How one try ended.
enum Attempt {
    Done(Outcome),
    /// Refused for now, with the wait asked for and the reason.
    Later(Duration, String),
}

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Stored {
        rejected: u64,
        message: String,
    },
    /// Refused for good, with the reason.
    Refused(String),
}

async fn import_file(
    path: &Path,
    format: Format,
    target: &Target,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let bar = bytes_bar("imported");
    let input = opened(path, &bar)?;
    let mut decoder = Decoder::new(Limits::default());
    for record in Reader::new(input, format) {
        match record {
            Ok(record) => {
                let at = record.at.to_string();
                let records = counted(&mut decoder, &record);
                let outcome = target.store(&record).await?;
                totals.add(path, &at, records, outcome);
            }
            Err(error @ FileError::Read { .. }) => {
                return Err(Failure::failed(format!("cannot read {}", path.display())).cause(error));
            }
            Err(error) => totals.unreadable(path, &error),
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn opened(path: &Path, bar: &ProgressBar) -> Result<Box<dyn BufRead>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(bar.wrap_read(io::stdin()))));
    }
    let file = File::open(path)
        .map_err(|error| Failure::failed(format!("cannot read {}", path.display())).cause(error))?;
    bar.set_length(file.metadata()?.len());
    Ok(Box::new(BufReader::new(bar.wrap_read(file))))
}

/// Records of a request, good and bad; the server only tells the bad ones.
fn counted(decoder: &mut Decoder, record: &Record) -> u64 {
    let decoded = decoder.decode(record.signal, record.encoding, &record.body, time::now_ns());
    decoded.map_or(0, |decoded| u64::from(decoded.accepted) + decoded.rejects.total())
}

async fn append(intake: &Intake, options: ExportOptions, record: &Record) -> Attempt {
    match intake.export(record.signal, record.encoding, record.body.clone(), options).await {
        Ok(done) => {
            Attempt::Done(Outcome::Stored { rejected: done.rejected, message: done.message })
        }
        Err(refusal) => match refusal.retry_after {
            Some(wait) => Attempt::Later(wait, refusal.message.into_owned()),
            None => Attempt::Done(Outcome::Refused(refusal.message.into_owned())),
        },
    }
}

async fn send(client: &Client, record: &Record) -> Result<Attempt, Failure> {
    let path = format!("/v1/{}", record.signal.name());
    let content_type = match record.encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => api::client::JSON,
    };
    let answer = client.post(&path, content_type, record.body.clone()).await?;
    let (status, retry_after_s) = (answer.status, answer.retry_after_s.unwrap_or(1));
    if status == 200 {
        return Ok(Attempt::Done(partial_success(answer, record.encoding).await?));
    }
    let reason = format!("HTTP {status}: {}", readable(&answer.bytes().await?));
    Ok(match status {
        429 | 502 | 503 | 504 => Attempt::Later(Duration::from_secs(retry_after_s), reason),
        _ => Attempt::Done(Outcome::Refused(reason)),
    })
}

/// Error bodies are `google.rpc.Status`: in protobuf its text shows between bytes of framing.
fn readable(body: &[u8]) -> String {
    match serde_json::from_slice::<Value>(body) {
        Ok(status) if status["message"].is_string() => {
            status["message"].as_str().unwrap_or_default().to_owned()
        }
        _ => String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).collect(),
    }
}

/// The three responses share one shape, so one type reads them all.
async fn partial_success(answer: Answer, encoding: Encoding) -> Result<Outcome, Failure> {
    let body = answer.bytes().await?;
    let (rejected, message) = match encoding {
        Encoding::Protobuf => {
            let response = ExportTraceServiceResponse::decode(body.as_slice())
                .map_err(|error| Failure::failed("the answer is not OTLP").cause(error))?;
            let partial = response.partial_success.unwrap_or_default();
            (partial.rejected_spans, partial.error_message)
        }
        Encoding::Json => {
            let response: Value = serde_json::from_slice(&body)
                .map_err(|error| Failure::failed("the answer is not OTLP").cause(error))?;
            rejected_in_json(&response["partialSuccess"])
        }
    };
    Ok(Outcome::Stored { rejected: u64::try_from(rejected).unwrap_or_default(), message })
}

/// `rejectedSpans`, `rejectedLogRecords` or `rejectedDataPoints`, a text or a number.
fn rejected_in_json(partial: &Value) -> (i64, String) {
    let members = partial.as_object().into_iter().flatten();
    let rejected = members.filter(|(name, _)| name.starts_with("rejected")).map(|(_, value)| {
        value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
    });
    let message = partial["errorMessage"].as_str().unwrap_or_default();
    (rejected.sum(), message.to_owned())
}

/// Counts of the whole import.
#[derive(Debug, Default)]
struct Totals {
    requests: u64,
    accepted: u64,
    rejected: u64,
    /// Lines or messages that could not be read from a file.
    unread: u64,
    messages: u64,
}

impl Totals {
    fn add(&mut self, path: &Path, at: &str, records: u64, outcome: Outcome) {
        self.requests += 1;
        match outcome {
            Outcome::Stored { rejected, message } => {
                self.rejected += rejected;
                self.accepted += records.saturating_sub(rejected);
                if rejected > 0 {
                    self.say(path, &format!("{at}: {rejected} records rejected: {message}"));
                }
            }
            Outcome::Refused(reason) => {
                self.rejected += records;
                self.unread += u64::from(records == 0);
                self.say(path, &format!("{at}: refused: {reason}"));
            }
        }
    }

    fn unreadable(&mut self, path: &Path, error: &FileError) {
        self.unread += 1;
        self.say(path, &error.to_string());
    }

    fn say(&mut self, path: &Path, text: &str) {
        self.messages += 1;
        if self.messages <= MESSAGES_MAX {
            tracing::warn!(file = %path.display(), "{text}");
        }
    }

    fn report(&self) {
        let text = format!(
            "{} requests, {} records accepted, {} rejected, {} unreadable",
            self.requests, self.accepted, self.rejected, self.unread
        );
        // Without a stderr the exit code still tells.
        let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("{text}\n"));
    }
}
