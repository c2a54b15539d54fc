//! `otlake demo score`: plays faults with known culprits, asks the views who did it, and counts.
//!
//! A case is one scenario with one seed: six minutes of the generator's shop, stored and asked about
//! as any data is. [`summary`] counts the cases.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::anyhow;
use bytes::Bytes;
use clap::Args;
use collector::decode::Limits;
use collector::{ExportOptions, Intake};
use instrumented_demo::scenarios::{self, CulpritKind, Scenario};
use instrumented_demo::sim::{self, Requests, Signal, Sink};
use instrumented_demo::truth::{Culprit, Record};
use storage::Encoding;
use tokio::runtime::Handle;

use crate::commands::stdout;
use crate::failure::{Exit, Failure};
use crate::source::{Directory, Source};
use crate::wiring;
use summary::Group;

mod questions;
mod summary;
#[cfg(test)]
mod tests;

/// How long after the beginning of a fault it is asked whether the culprit is first.
const DELAYS_S: [i64; 4] = [10, 20, 40, 80];
const SECOND_NS: i64 = 1_000_000_000;
/// The scenario in which two faults act at once.
const TOGETHER: u8 = 30;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake demo score                              every scenario with seeds 4 to 6
  otlake demo score --scenario 4,9,20 --seed 1,2,3
  otlake demo score --scenario 4 --seed 1 --top 3  with the first answers of rank_causes
  otlake demo score --scenario 27,28,29 --seed 1,2,3,4,5,6,7,8,9,10   false alarms")]
pub(crate) struct ScoreArgs {
    /// Only these scenarios, by number or name [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    scenario: Vec<String>,
    /// Seeds; thresholds were tuned on 1 to 3
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "4,5,6")]
    seed: Vec<u64>,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 20)]
    rate: u64,
    /// Show so many answers of `rank_causes` for each case
    #[arg(long, value_name = "N", default_value_t = 0)]
    top: usize,
}

pub(crate) async fn run(args: &ScoreArgs) -> Result<Exit, Failure> {
    let mut out = stdout();
    let mut cases = Vec::new();
    writeln!(out, "{HEAD}")?;
    for scenario in chosen(&args.scenario)? {
        for seed in &args.seed {
            let case = play(scenario, *seed, args.rate).await?;
            case.write(args.top, &mut out)?;
            out.flush()?;
            cases.push(case);
        }
    }
    writeln!(out, "\n{}", summary::HEAD)?;
    for group in Group::ALL {
        group.write(&cases, &args.seed, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Good)
}

fn chosen(names: &[String]) -> Result<Vec<&'static Scenario>, Failure> {
    if names.is_empty() {
        return Ok(scenarios::ALL.iter().collect());
    }
    let find = |name: &String| {
        Scenario::find(name).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no scenario `{name}`"))
                .hint("`otlake demo scenarios` lists them")
        })
    };
    names.iter().map(find).collect()
}

/// One scenario with one seed, and what the views said.
#[derive(Debug)]
struct Case {
    scenario: &'static Scenario,
    record: Record,
    /// What `rank_causes` says of the whole time of the fault.
    ranked: Vec<Named>,
    /// Seconds after the beginning of the fault after which it has the culprit first.
    delay_s: Option<i64>,
    /// Rank in the view that the scenario names first, where that is another.
    view: Option<(&'static str, Option<usize>)>,
    /// Services, edges, databases and topics that could have been blamed.
    candidates: usize,
}

const HEAD: &str =
    "scenario                  seed  valid  rank_causes  after   view                      culprit";

impl Case {
    /// Rank of the culprit in `rank_causes`, from 1; none if it is not there.
    fn causes(&self) -> Option<usize> {
        rank(&self.ranked, &self.record)
    }

    /// The better of the two ranks: the culprit is found where either view shows it.
    fn best(&self) -> Option<usize> {
        let view = self.view.and_then(|(_, rank)| rank);
        [self.causes(), view].into_iter().flatten().min()
    }

    /// Rows of `rank_causes` that blame somebody.
    fn blamed(&self) -> usize {
        self.ranked.iter().filter(|row| row.kind != "load").count()
    }

    fn is_false_alarm(&self) -> bool {
        self.scenario.control && self.blamed() > 0
    }

    fn write(&self, top: usize, out: &mut impl Write) -> io::Result<()> {
        let rank = |rank: Option<usize>| rank.map_or("-".to_owned(), |rank| rank.to_string());
        let view = self.view.map(|(view, found)| format!("{view} {}", rank(found)));
        let causes = match self.scenario.control {
            true => format!("{} blamed", self.blamed()),
            false => rank(self.causes()),
        };
        writeln!(
            out,
            "S{:<2} {:<21} {:>4}  {:<5}  {:<11}  {:<6}  {:<24}  {}",
            self.scenario.id,
            self.scenario.name,
            self.record.seed,
            if self.record.valid { "yes" } else { "no" },
            causes,
            self.delay_s.map_or(String::new(), |seconds| format!("{seconds} s")),
            view.unwrap_or_default(),
            self.record.culprit.name,
        )?;
        for (place, row) in self.ranked.iter().take(top).enumerate() {
            writeln!(out, "    {} {} ({}): {}", place + 1, row.subject, row.kind, row.why)?;
        }
        Ok(())
    }
}

/// Generates a case, stores it and asks.
async fn play(scenario: &'static Scenario, seed: u64, rate: u64) -> Result<Case, Failure> {
    let dir = tempfile::Builder::new().prefix("otlake-score-").tempdir()?;
    let store = wiring::open_to_write(dir.path()).await?;
    let options = sim::Options { scenario: Some(scenario), seed, rate, ..sim::Options::default() };
    let (from_ns, intake) = (options.start_ns, Intake::new(Arc::clone(&store), Limits::default()));
    let mut sink = Storing { intake, runtime: Handle::current() };
    let summary = tokio::task::spawn_blocking(move || sim::generate(&options, &mut sink)).await;
    let summary = summary.map_err(|error| Failure::failed(error.to_string()))?;
    let summary = summary.map_err(|error| Failure::failed(error.to_string()))?;
    let record = summary.record.ok_or_else(|| Failure::failed("the generator told no truth"))?;
    let source = Source::Directory(Directory::over(Arc::clone(&store))?);
    let windows = Windows::of(&record, from_ns as i64);
    let case = ask(&source, scenario, record, &windows).await;
    drop(source);
    store.close().await?;
    case
}

/// Takes requests of the generator into a store.
struct Storing {
    intake: Intake,
    runtime: Handle,
}

impl Sink for Storing {
    fn take(&mut self, signal: Signal, requests: &Requests) -> anyhow::Result<()> {
        let signal = match signal {
            Signal::Traces => schemas::Signal::Traces,
            Signal::Logs => schemas::Signal::Logs,
            Signal::Metrics => schemas::Signal::Metrics,
        };
        for request in requests.iter() {
            let body = Bytes::copy_from_slice(request);
            let stored =
                self.intake.export(signal, Encoding::Protobuf, body, ExportOptions::default());
            self.runtime.block_on(stored).map_err(|refusal| anyhow!("{}", refusal.message))?;
        }
        Ok(())
    }
}

/// The times of a case as arguments of views.
#[derive(Debug)]
struct Windows {
    fault: String,
    base: String,
}

impl Windows {
    /// The fault as the truth has it, and what was before, without the first minute.
    fn of(record: &Record, start_ns: i64) -> Windows {
        let warm_ns = start_ns + (record.start_ns - start_ns) / 3;
        Windows {
            fault: format!("{}, {}", time(record.start_ns), time(record.end_ns)),
            base: format!("{}, {}", time(warm_ns), time(record.start_ns)),
        }
    }
}

fn time(ns: i64) -> String {
    format!("'{}'", api::time::format(ns))
}

async fn ask(
    source: &Source,
    scenario: &'static Scenario,
    record: Record,
    windows: &Windows,
) -> Result<Case, Failure> {
    let Windows { fault, base } = windows;
    let ranked = causes(source, fault, base).await?;
    let mut delay_s = None;
    for seconds in DELAYS_S.into_iter().filter(|_| !scenario.control) {
        let until =
            format!("{}, {}", time(record.start_ns), time(record.start_ns + seconds * SECOND_NS));
        let is_first = rank(&causes(source, &until, base).await?, &record) == Some(1);
        if is_first {
            delay_s = Some(seconds);
            break;
        }
    }
    let view = scenario.views.first().filter(|view| view.name != "rank_causes");
    let question = match view {
        Some(view) => questions::question(source, view, &record, windows).await?,
        None => None,
    };
    let view = match (view, question) {
        (Some(view), Some(question)) => {
            Some((view.name, rank(&names(source, question).await?, &record)))
        }
        _ => None,
    };
    let edges =
        names(source, format!("SELECT dst AS subject, src AS kind FROM service_map({fault})"))
            .await?;
    let nodes: BTreeSet<&str> = edges.iter().map(|edge| edge.subject.as_str()).collect();
    let candidates = edges.len() + nodes.len();
    Ok(Case { scenario, record, ranked, delay_s, view, candidates })
}

async fn causes(source: &Source, fault: &str, base: &str) -> Result<Vec<Named>, Failure> {
    let columns = "subject, kind, concat(round(score, 2)::text, ' ', why) AS why";
    let sql = format!("SELECT {columns} FROM rank_causes({fault}, {base}) ORDER BY rank");
    names(source, sql).await
}

/// A row that names somebody.
#[derive(Debug, Default)]
struct Named {
    subject: String,
    kind: String,
    why: String,
}

async fn names(source: &Source, sql: String) -> Result<Vec<Named>, Failure> {
    let answer = source.ask(sql).await?;
    let text = |row: &serde_json::Map<String, serde_json::Value>, column: &str| {
        row.get(column).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let named = |row| {
        let [subject, kind, why] = ["subject", "kind", "why"].map(|column| text(row, column));
        Named { subject, kind, why }
    };
    Ok(answer.rows.iter().map(named).collect())
}

/// The place of the first row that names the culprit, or one of the others to blame. Of faults that
/// are played together each must be named, and the last one counts.
fn rank(rows: &[Named], record: &Record) -> Option<usize> {
    let place = |culprit: &Culprit| {
        rows.iter().position(|row| is_named(row, culprit)).map(|place| place + 1)
    };
    let mut culprits = std::iter::once(&record.culprit).chain(&record.also).map(place);
    if record.id == TOGETHER {
        return culprits.try_fold(0, |last, place| Some(last.max(place?)));
    }
    culprits.flatten().min()
}

/// Whether a row blames the culprit. A service is blamed by the edge into it, by its parts and by
/// what a detector found in it; an attribute by its value.
fn is_named(row: &Named, culprit: &Culprit) -> bool {
    let (subject, name) = (row.subject.as_str(), culprit.name.as_str());
    let spaced = subject.replace(" → ", "→");
    let is_edge_into = spaced
        .rsplit_once('→')
        .is_some_and(|(_, callee)| callee == name || callee.starts_with(&format!("{name} ")));
    match culprit.kind {
        CulpritKind::Nobody => false,
        CulpritKind::UpstreamLoad => row.kind == "load",
        CulpritKind::Edge => spaced == name,
        CulpritKind::Service => {
            subject == name || subject.starts_with(&format!("{name} ")) || is_edge_into
        }
        CulpritKind::Instance => {
            subject == name
                || subject.ends_with(&format!("on {name}"))
                || subject.ends_with(&format!("service.instance.id={name}"))
        }
        CulpritKind::Db | CulpritKind::Topic | CulpritKind::External => {
            let node = subject.strip_prefix("peer=").unwrap_or(subject);
            node == name || is_edge_into || node.starts_with(&format!("{name}@"))
        }
        CulpritKind::Attribute => {
            let value = name.rsplit_once('=').map_or(name, |(_, value)| value);
            let attribute = subject.strip_prefix("resource.").unwrap_or(subject);
            attribute == name
                || attribute.starts_with(&format!("{name}="))
                || subject.ends_with(&format!(" {value}"))
        }
    }
}
