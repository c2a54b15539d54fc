//! `otlake demo score`: plays faults with known culprits, asks the views who did it, and counts.
//!
//! A case is one scenario with one seed: six minutes of the generator's shop, stored and asked about
//! as any data is. AC@k is the share of valid cases whose culprit is among the first k answers, MRR
//! the mean of 1 ÷ rank. Beside them stands what guessing would give: k ÷ number of candidates.

use std::collections::BTreeSet;
use std::io::Write;
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

#[cfg(test)]
mod tests;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake demo score                              every scenario with seeds 4 to 6
  otlake demo score --scenario 4,9,20 --seed 1,2,3")]
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
}

pub(crate) async fn run(args: &ScoreArgs) -> Result<Exit, Failure> {
    let mut out = stdout();
    let mut cases = Vec::new();
    writeln!(out, "{HEAD}")?;
    for scenario in chosen(&args.scenario)? {
        for seed in &args.seed {
            let case = play(scenario, *seed, args.rate).await?;
            writeln!(out, "{}", case.line())?;
            out.flush()?;
            cases.push(case);
        }
    }
    writeln!(out)?;
    for group in Group::ALL {
        if let Some(line) = group.line(&cases) {
            writeln!(out, "{line}")?;
        }
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
    /// Rank of the culprit in `rank_causes`, from 1; none if it is not there.
    causes: Option<usize>,
    /// Rows of `rank_causes` that blame somebody.
    blamed: usize,
    /// Rank in the view that the scenario names first, where that is another.
    view: Option<(&'static str, Option<usize>)>,
    /// Services, edges, databases and topics that could have been blamed.
    candidates: usize,
}

const HEAD: &str =
    "scenario                  seed  valid  rank_causes  view                          culprit";

impl Case {
    fn line(&self) -> String {
        let rank = |rank: Option<usize>| rank.map_or("-".to_owned(), |rank| rank.to_string());
        let view = match self.view {
            Some((view, found)) => format!("{view} {}", rank(found)),
            None => String::new(),
        };
        let causes = match (self.scenario.control, self.record.culprit.kind) {
            (true, CulpritKind::Nobody) => format!("{} blamed", self.blamed),
            _ => rank(self.causes),
        };
        format!(
            "S{:<2} {:<21} {:>4}  {:<5}  {:<11}  {:<28}  {}",
            self.scenario.id,
            self.scenario.name,
            self.record.seed,
            if self.record.valid { "yes" } else { "no" },
            causes,
            view,
            self.record.culprit.name,
        )
    }

    /// The better of the two ranks: the culprit is found where either view shows it.
    fn best(&self) -> Option<usize> {
        let view = self.view.and_then(|(_, rank)| rank);
        [self.causes, view].into_iter().flatten().min()
    }

    fn is_false_alarm(&self) -> bool {
        self.scenario.control && self.blamed > 0
    }
}

/// Scenarios that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Latency,
    Errors,
    Others,
    Controls,
}

impl Group {
    const ALL: [Group; 4] = [Group::Latency, Group::Errors, Group::Others, Group::Controls];

    fn of(scenario: &Scenario) -> Group {
        match scenario.id {
            _ if scenario.control => Group::Controls,
            1..=4 | 6 | 7 | 10 | 11 | 20 | 24 => Group::Latency,
            5 | 9 | 12 | 13 | 21 | 22 | 23 => Group::Errors,
            _ => Group::Others,
        }
    }

    fn line(self, cases: &[Case]) -> Option<String> {
        let of = cases.iter().filter(|case| Group::of(case.scenario) == self);
        let valid: Vec<&Case> = of.filter(|case| case.record.valid).collect();
        let count = valid.len().max(1) as f64;
        if valid.is_empty() {
            return None;
        }
        if self == Group::Controls {
            let alarms = valid.iter().filter(|case| case.is_false_alarm()).count();
            return Some(format!("controls  {} cases, {alarms} false alarms", valid.len()));
        }
        let within = |k: usize, rank: fn(&Case) -> Option<usize>| {
            valid.iter().filter(|case| rank(case).is_some_and(|rank| rank <= k)).count() as f64
                / count
        };
        let causes: fn(&Case) -> Option<usize> = |case| case.causes;
        let reciprocal = valid.iter().map(|case| case.causes.map_or(0.0, |rank| 1.0 / rank as f64));
        let chance = |k: f64| {
            valid.iter().map(|case| k / case.candidates.max(1) as f64).sum::<f64>() / count
        };
        let name = match self {
            Group::Latency => "latency",
            Group::Errors => "errors",
            Group::Others => "others",
            Group::Controls => "controls",
        };
        Some(format!(
            "{name:<9} {} cases: rank_causes AC@1 {:.2}, AC@3 {:.2}, MRR {:.2}; with the scenario's \
             own view AC@1 {:.2}, AC@3 {:.2}; chance {:.2}, {:.2}",
            valid.len(),
            within(1, causes),
            within(3, causes),
            reciprocal.sum::<f64>() / count,
            within(1, Case::best),
            within(3, Case::best),
            chance(1.0),
            chance(3.0),
        ))
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
        let time = |ns: i64| format!("'{}'", api::time::format(ns));
        let warm_ns = start_ns + (record.start_ns - start_ns) / 3;
        Windows {
            fault: format!("{}, {}", time(record.start_ns), time(record.end_ns)),
            base: format!("{}, {}", time(warm_ns), time(record.start_ns)),
        }
    }
}

async fn ask(
    source: &Source,
    scenario: &'static Scenario,
    record: Record,
    windows: &Windows,
) -> Result<Case, Failure> {
    let Windows { fault, base } = windows;
    let ranked = names(
        source,
        format!("SELECT subject, kind FROM rank_causes({fault}, {base}) ORDER BY rank"),
    )
    .await?;
    let blamed = ranked.iter().filter(|row| row.kind != "load").count();
    let view = scenario.views.first().filter(|view| view.name != "rank_causes");
    let question = view.and_then(|view| question(view.name, view.detail, windows));
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
    Ok(Case { causes: rank(&ranked, &record), scenario, record, blamed, view, candidates })
}

/// The answers of a view in its own order, as `subject` and `kind`.
fn question(view: &str, detail: &str, windows: &Windows) -> Option<String> {
    let Windows { fault, base } = windows;
    Some(match view {
        "latency_breakdown" => format!(
            "SELECT f.key AS subject, '' AS kind FROM latency_breakdown({fault}, '*') f \
             LEFT JOIN latency_breakdown({base}, '*') b ON f.key = b.key \
             ORDER BY f.contrib_ms - coalesce(b.contrib_ms, 0) DESC"
        ),
        "tail_attribution" => format!(
            "SELECT key AS subject, 'instance' AS kind \
             FROM tail_attribution({fault}, '*', 'instance') ORDER BY delta_ms DESC"
        ),
        "bottlenecks" if detail != "concurrency_limit" => format!(
            "SELECT f.subject, f.rule AS kind FROM bottlenecks({fault}, '{detail}') f \
             LEFT JOIN bottlenecks({base}, '{detail}') b ON f.subject = b.subject \
             ORDER BY f.score - coalesce(b.score, 0) DESC"
        ),
        "error_paths" => format!(
            "SELECT f.origin AS subject, '' AS kind FROM error_paths({fault}) f ORDER BY f.count DESC"
        ),
        "compare_spans" => format!(
            "SELECT concat(attribute, '=', value) AS subject, '' AS kind \
             FROM compare_spans('duration_ns > 2 * 1e8 OR is_error', NULL, {fault}) ORDER BY score DESC"
        ),
        "service_map" if detail == "lag" => format!(
            "SELECT f.dst AS subject, '' AS kind FROM service_map({fault}) f \
             LEFT JOIN service_map({base}) b ON f.src = b.src AND f.dst = b.dst \
             WHERE f.edge_kind = 'receive' ORDER BY f.gap_p90_ms - coalesce(b.gap_p90_ms, 0) DESC"
        ),
        _ => return None,
    })
}

/// A row that names somebody.
#[derive(Debug)]
struct Named {
    subject: String,
    kind: String,
}

async fn names(source: &Source, sql: String) -> Result<Vec<Named>, Failure> {
    let answer = source.ask(sql).await?;
    let text = |row: &serde_json::Map<String, serde_json::Value>, column: &str| {
        row.get(column).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let named = |row| Named { subject: text(row, "subject"), kind: text(row, "kind") };
    Ok(answer.rows.iter().map(named).collect())
}

/// The place of the first row that names the culprit, or one of the others to blame.
fn rank(rows: &[Named], record: &Record) -> Option<usize> {
    let culprits = || std::iter::once(&record.culprit).chain(&record.also);
    let place = rows.iter().position(|row| culprits().any(|culprit| is_named(row, culprit)));
    place.map(|place| place + 1)
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
        CulpritKind::Instance => subject == name || subject.ends_with(&format!("on {name}")),
        CulpritKind::Db | CulpritKind::Topic | CulpritKind::External => {
            subject == name || is_edge_into || subject.starts_with(&format!("{name}@"))
        }
        CulpritKind::Attribute => {
            let value = name.rsplit_once('=').map_or(name, |(_, value)| value);
            subject == name
                || subject.starts_with(&format!("{name}="))
                || subject.ends_with(&format!(" {value}"))
        }
    }
}
