//! What the commands over typed questions share: the range of time, the form of the answer, and why
//! an answer is empty.

use std::io::{self, Write};

use api::time;
use api::views::{Based, Options, Question, TimeRange};
use clap::{Args, ValueEnum};
use schemas::{Table, columns as c};

use crate::args::ReadFrom;
use crate::commands::{services, stdout};
use crate::failure::{Exit, Failure};
use crate::output::{self, Screen, safe};
use crate::source::Source;

/// Characters of the longest bar.
pub(crate) const BAR_WIDTH: usize = 20;

/// The time asked about.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// From when on: `15m` ago, `now-1h`, a date or an epoch
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// Until when, in the same forms
    #[arg(long, value_name = "TIME", default_value = "now")]
    until: String,
}

impl Range {
    /// Both ends, absolute.
    pub(crate) fn read(&self) -> Result<TimeRange, Failure> {
        let (from_ns, to_ns) = (services::since(&self.since)?, services::since(&self.until)?);
        if from_ns >= to_ns {
            return Err(Failure::new(Exit::Usage, "the range of time is empty")
                .cause(format!("{} to {}", time::format(from_ns), time::format(to_ns)))
                .hint("--since must lie before --until"));
        }
        Ok(TimeRange { from: Some(time::format(from_ns)), to: Some(time::format(to_ns)) })
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people
    Table,
    /// One object, as the HTTP API answers
    Json,
}

/// How the answer is wanted, and whom to ask.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Form,
    #[command(flatten)]
    pub(crate) more: More,
}

/// What every command takes, whatever forms it has.
#[derive(Debug, Args)]
pub(crate) struct More {
    /// Show the SQL behind the answer as well
    #[arg(long)]
    pub(crate) sql: bool,
    #[command(flatten)]
    pub(crate) from: ReadFrom,
}

/// Asks, and writes the answer as JSON or as `show` has it.
pub(crate) async fn run<Q: Question>(
    question: &Q,
    wanted: &Wanted,
    screen: Screen,
    show: impl AsyncFnOnce(&Source, &Q::Answer, &mut dyn Write) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let source = Source::open(&wanted.more.from).await?;
    let mut out = stdout();
    if wanted.format == Form::Json {
        write_json(&source, question, &wanted.more, screen, &mut out).await?;
        return Ok(Exit::Good);
    }
    let answer = ask(&source, question, &wanted.more).await?;
    show(&source, &answer, &mut out).await?;
    end(&answer, screen, &mut out)?;
    Ok(Exit::Good)
}

/// The typed answer.
pub(crate) async fn ask<Q: Question>(
    source: &Source,
    question: &Q,
    more: &More,
) -> Result<Q::Answer, Failure> {
    Ok(source.view(question, &options(more)).await?.json().await?)
}

/// The answer as the API gives it.
pub(crate) async fn write_json<Q: Question>(
    source: &Source,
    question: &Q,
    more: &More,
    screen: Screen,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let bytes = source.view(question, &options(more)).await?.bytes().await?;
    let text = String::from_utf8_lossy(bytes.trim_ascii_end());
    writeln!(out, "{}", screen.shown(&text))?;
    out.flush()?;
    Ok(())
}

fn options(more: &More) -> Options {
    Options { sql: more.sql.then_some(true), ..Options::default() }
}

/// The statements where they were asked for, and what the answer is built on.
pub(crate) fn end(answer: &impl Based, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let basis = answer.basis();
    for sql in &basis.sql {
        writeln!(out, "\n{};", screen.shown(sql))?;
    }
    out.flush()?;
    output::write_notes(screen, &basis.stats);
    Ok(())
}

/// The range as a headline has it.
pub(crate) fn shown(range: &TimeRange) -> String {
    let end = |at: &Option<String>, open: &str| {
        at.as_deref()
            .and_then(|at| at.split_once('.'))
            .map_or(open.to_owned(), |(at, _)| format!("{at}Z"))
    };
    format!("{} to {}", end(&range.from, "the beginning"), end(&range.to, "the end"))
}

/// Says why an answer has no rows: nothing stored, nothing in the range, or `else_why`.
pub(crate) async fn write_why_empty(
    source: &Source,
    range: &TimeRange,
    else_why: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (spans, start) = (Table::Spans.name(), c::START_TIME);
    let end = |at: &Option<String>, operator: &str| {
        let at_ns = at.as_deref().and_then(|at| time::parse(at, 0).ok());
        at_ns
            .map_or("true".to_owned(), |ns| format!("{start} {operator} {}", time::sql_literal(ns)))
    };
    let sql = format!(
        "select max({start}) as newest, count(*) filter (where {} and {}) as inside from {spans}",
        end(&range.from, ">="),
        end(&range.to, "<")
    );
    let answer = source.ask(sql).await?;
    let newest = answer.rows.first().map(|row| output::text(row, "newest")).unwrap_or_default();
    let inside = answer.rows.first().map_or(0, |row| output::number(row, "inside"));
    let why = match (newest, inside) {
        ("", _) => {
            "no spans are stored yet; `otlake status --print-env` tells an SDK where to send, \
                    `otlake doctor` tries it"
                .to_owned()
        }
        (newest, 0) => format!(
            "no span starts from {}; the newest starts at {newest}: widen the range with --since",
            shown(range)
        ),
        _ => format!("{else_why}, from {}", shown(range)),
    };
    writeln!(out, "{}", safe(&why))?;
    Ok(())
}
