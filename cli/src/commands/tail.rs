//! `otlake tail`: spans and logs as they come in.
//!
//! Rows become visible in the order of their commit, not of their arrival, so that a plain watermark
//! on `ingested_at` would lose some. Each poll therefore asks again for the last seconds before the
//! watermark and prints only what the poll before did not have.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::time::Duration;

use api::sql::SqlRequest;
use api::time;
use clap::{Args, ValueEnum};
use schemas::{Table, columns as c};
use serde_json::{Map, Value};

use crate::args::ReadFrom;
use crate::commands::{services, stdout};
use crate::failure::{Exit, Failure};
use crate::output::{self, Screen, safe, text};
use crate::source::Source;
use crate::units::show_ns;

#[cfg(test)]
mod tests;

/// Longest a row may take from its arrival to being visible and still be printed.
const OVERLAP_NS: i64 = 5_000_000_000;
const POLL: Duration = Duration::from_millis(500);
/// Rows of one poll and table; more than a person can read.
const ROWS_MAX: u64 = 5_000;

/// What to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Watched {
    /// Spans only
    Traces,
    /// Log records only
    Logs,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake tail
  otlake tail --service checkout --signal logs
  otlake tail --since 10m --no-follow | grep -i timeout")]
pub(crate) struct TailArgs {
    /// Only this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Start with what came since: `15m` ago, `now-1h`, a date or an epoch
    #[arg(long, value_name = "TIME", default_value = "now")]
    since: String,
    /// Only spans or only logs
    #[arg(long, value_name = "SIGNAL")]
    signal: Option<Watched>,
    /// End when everything there is has been printed
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    from: ReadFrom,
}

pub(crate) async fn run(args: TailArgs, screen: Screen) -> Result<Exit, Failure> {
    let source = Source::open(&args.from).await?;
    let since_ns = services::since(&args.since)?;
    let mut watches: Vec<Watch> = [Table::Spans, Table::Logs]
        .into_iter()
        .filter(|table| args.signal.is_none_or(|signal| watched(signal) == *table))
        .map(|table| Watch::new(table, since_ns))
        .collect();
    let mut ticks = tokio::time::interval(POLL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut fresh = Vec::new();
        for watch in &mut watches {
            let answer = source.sql(&watch.request(args.service.as_deref())).await?;
            if answer.rows.len() as u64 >= ROWS_MAX {
                tracing::warn!(
                    table = watch.table.name(),
                    rows = ROWS_MAX,
                    "more rows than one poll takes; some are not shown"
                );
            }
            fresh.extend(watch.fresh(answer.rows).into_iter().map(|row| (watch.table, row)));
        }
        print(screen, fresh)?;
        if args.no_follow {
            return Ok(Exit::Good);
        }
    }
}

fn watched(signal: Watched) -> Table {
    match signal {
        Watched::Traces => Table::Spans,
        Watched::Logs => Table::Logs,
    }
}

/// One table, and what of it has been printed.
#[derive(Debug)]
struct Watch {
    table: Table,
    since_ns: i64,
    newest_ns: i64,
    /// Rows of the overlap by hash, as often as the last poll had them.
    seen: HashMap<u64, u32>,
}

impl Watch {
    fn new(table: Table, since_ns: i64) -> Watch {
        Watch { table, since_ns, newest_ns: since_ns, seen: HashMap::new() }
    }

    fn request(&self, service: Option<&str>) -> SqlRequest {
        let from_ns = (self.newest_ns - OVERLAP_NS).max(self.since_ns);
        let only = if service.is_some() {
            format!(" and {} = $1", c::SERVICE_NAME)
        } else {
            String::new()
        };
        let columns = match self.table {
            Table::Spans => [c::TRACE_ID, c::SPAN_ID, c::NAME, c::DURATION_NS, c::STATUS_CODE],
            _ => [c::TRACE_ID, c::SEVERITY_NUMBER, c::SEVERITY_TEXT, c::BODY, c::EVENT_NAME],
        };
        let sql = format!(
            "select {ingested}, {time} as at, {service}, {columns} from {table} \
             where {ingested} >= {from}{only} order by {ingested}, {time} limit {ROWS_MAX}",
            ingested = c::INGESTED_AT,
            time = self.table.time_column(),
            service = c::SERVICE_NAME,
            columns = columns.join(", "),
            table = self.table.name(),
            from = time::sql_literal(from_ns),
        );
        let params = service.map(|name| Value::Array(vec![Value::String(name.to_owned())]));
        SqlRequest { sql, params, ..SqlRequest::default() }
    }

    /// The rows that the poll before did not have. Equal rows are told apart by their number.
    fn fresh(&mut self, rows: Vec<Map<String, Value>>) -> Vec<Map<String, Value>> {
        let mut now_seen: HashMap<u64, u32> = HashMap::new();
        let mut fresh = Vec::new();
        for row in rows {
            let times = now_seen.entry(hash(&row)).or_default();
            *times += 1;
            let is_fresh = *times > self.seen.get(&hash(&row)).copied().unwrap_or_default();
            if let Ok(ingested_ns) = time::parse(text(&row, c::INGESTED_AT), 0) {
                self.newest_ns = self.newest_ns.max(ingested_ns);
            }
            if is_fresh {
                fresh.push(row);
            }
        }
        self.seen = now_seen;
        fresh
    }
}

fn hash(row: &Map<String, Value>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in row {
        name.hash(&mut hasher);
        value.hash(&mut hasher);
    }
    hasher.finish()
}

/// Writes rows of both tables in the order of their time.
fn print(screen: Screen, mut fresh: Vec<(Table, Map<String, Value>)>) -> Result<(), Failure> {
    fresh.sort_by(|a, b| text(&a.1, "at").cmp(text(&b.1, "at")));
    let mut out = stdout();
    for (table, row) in &fresh {
        let line = match table {
            Table::Spans => span_line(screen, row),
            _ => log_line(screen, row),
        };
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn span_line(screen: Screen, row: &Map<String, Value>) -> String {
    let status = text(row, c::STATUS_CODE);
    let shown = if status == "error" { screen.red("error") } else { "span ".into() };
    format!(
        "{} {shown} {} {} {} {}",
        screen.dim(text(row, "at")),
        safe(text(row, c::SERVICE_NAME)),
        safe(text(row, c::NAME)),
        show_ns(output::number(row, c::DURATION_NS)),
        screen.dim(text(row, c::TRACE_ID)),
    )
}

fn log_line(screen: Screen, row: &Map<String, Value>) -> String {
    let number = output::number(row, c::SEVERITY_NUMBER);
    let word = severity(number);
    let shown = if number >= 17 { screen.red(word) } else { word.into() };
    let body = match text(row, c::BODY) {
        "" => text(row, c::EVENT_NAME),
        body => body,
    };
    format!(
        "{} {shown} {} {}",
        screen.dim(text(row, "at")),
        safe(text(row, c::SERVICE_NAME)),
        safe(body)
    )
}

fn severity(number: i64) -> &'static str {
    match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info ",
        13..=16 => "warn ",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "log  ",
    }
}
