//! `otlake export`: stored telemetry as OTLP, whole, in JSON lines or length-delimited protobuf.
//!
//! An answer of the engine is bounded, so the time range is halved until each part fits. The parts
//! are disjoint, so no record comes twice.

use std::fs::File;
use std::io::{self, BufWriter, Cursor, Write};
use std::path::PathBuf;

use api::client::Format;
use api::sql::SqlRequest;
use api::time;
use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use clap::{Args, ValueEnum};
use collector::{export, files};
use indicatif::ProgressBar;
use schemas::{Signal, Table, columns as c};
use storage::Encoding;

use crate::args::ReadFrom;
use crate::commands::import::SignalName;
use crate::commands::services;
use crate::failure::{Exit, Failure};
use crate::output::{self, text};
use crate::source::Source;

#[cfg(test)]
mod tests;

/// Rows of one part: well below the limits of an answer, unless records are giants.
const PART_ROWS_MAX: i64 = 10_000;

/// Encoding of the exported file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// OTLP JSON, one object a line
    Json,
    /// OTLP protobuf messages, each behind its length
    Protobuf,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake export --signal traces --from 1h > traces.jsonl
  otlake export --signal metrics --format protobuf -o metrics.binpb
  otlake export --signal logs --data ./data | otlake import --data ./copy -")]
pub(crate) struct ExportArgs {
    /// What to export
    #[arg(long, value_name = "SIGNAL")]
    signal: SignalName,
    /// First time: `1h` ago, `now-1d`, a date or an epoch [default: the oldest]
    #[arg(long = "from", value_name = "TIME")]
    first: Option<String>,
    /// Time before which to stop [default: the newest]
    #[arg(long = "to", value_name = "TIME")]
    last: Option<String>,
    /// Encoding
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: FileFormat,
    /// File to write; without it standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    from: ReadFrom,
}

impl ExportArgs {
    fn range(&self) -> Result<Range, Failure> {
        let first = self.first.as_deref().map(services::since).transpose()?;
        let end = self.last.as_deref().map(services::since).transpose()?;
        let last = end.map_or(i64::MAX, |end| end.saturating_sub(1));
        Ok((first.unwrap_or(i64::MIN), last))
    }
}

pub(crate) async fn run(args: ExportArgs) -> Result<Exit, Failure> {
    let source = Source::open(&args.from).await?;
    let signal = Signal::from(args.signal);
    let output: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).map_err(|error| {
            Failure::failed(format!("cannot write {}", path.display())).cause(error)
        })?),
        None => Box::new(io::stdout().lock()),
    };
    let encoding = match args.format {
        FileFormat::Json => Encoding::Json,
        FileFormat::Protobuf => Encoding::Protobuf,
    };
    let writer = files::Writer::new(BufWriter::new(output), encoding);
    let bar = ProgressBar::new(0);
    let mut export = Export { source: &source, signal, writer, bar, rows: 0 };
    export.parts(args.range()?).await?;
    export.bar.finish_and_clear();
    let rows = export.rows;
    export.writer.finish()?;
    // Without a stderr the file still stands.
    let _ = writeln!(io::stderr(), "{rows} rows exported");
    Ok(Exit::Good)
}

/// First and last nanosecond, both inside: no number stands behind the last that a time can have.
type Range = (i64, i64);

struct Export<'a, W> {
    source: &'a Source,
    signal: Signal,
    writer: files::Writer<W>,
    bar: ProgressBar,
    rows: i64,
}

impl<W: Write> Export<'_, W> {
    /// Exports a range in parts that fit into an answer, in the order of time.
    async fn parts(&mut self, asked: Range) -> Result<(), Failure> {
        let mut open = vec![asked];
        while let Some(part) = open.pop() {
            let Some((part, rows)) = self.stored(part).await? else { continue };
            if self.bar.length() == Some(0) {
                self.bar.set_length(rows.unsigned_abs());
            }
            match halves(part) {
                Some((earlier, later)) if rows > PART_ROWS_MAX => open.extend([later, earlier]),
                _ => self.part(part, rows).await?,
            }
        }
        Ok(())
    }

    /// A range cut to what is stored in it, and the rows; so that a few records of senders whose
    /// clocks are centuries off cost a few more questions.
    async fn stored(&self, part: Range) -> Result<Option<(Range, i64)>, Failure> {
        let of_table = |table: &Table| {
            format!(
                "select count(*) as n, min({0}) as lo, max({0}) as hi from {1} where {2}",
                time_of(*table),
                table.name(),
                within(*table, part)
            )
        };
        let of_tables: Vec<String> = tables(self.signal).iter().map(of_table).collect();
        let sql = format!(
            "select sum(n) as n, min(lo) as lo, max(hi) as hi from ({})",
            of_tables.join(" union all ")
        );
        let answer = self.source.ask(sql).await?;
        let Some(row) = answer.rows.first() else { return Ok(None) };
        let bound = |name| time::parse(text(row, name), 0).ok();
        Ok(bound("lo").zip(bound("hi")).map(|range| (range, output::number(row, "n"))))
    }

    async fn part(&mut self, part: Range, rows: i64) -> Result<(), Failure> {
        let mut batches = Vec::new();
        for table in tables(self.signal) {
            batches.push(self.rows_of(*table, part).await?);
        }
        let unfit = |error: export::ExportError| {
            Failure::failed("the rows cannot be written as OTLP").cause(error)
        };
        match (self.signal, batches.as_slice()) {
            (Signal::Traces, [spans]) => {
                self.writer.traces(&export::traces(spans).map_err(unfit)?)?
            }
            (Signal::Logs, [logs]) => self.writer.logs(&export::logs(logs).map_err(unfit)?)?,
            (_, [points, histograms, summaries, exemplars]) => {
                let request = export::metrics(points, histograms, summaries, exemplars);
                self.writer.metrics(&request.map_err(unfit)?)?;
            }
            _ => {}
        }
        self.rows += rows;
        self.bar.inc(rows.unsigned_abs());
        Ok(())
    }

    async fn rows_of(&self, table: Table, part: Range) -> Result<Vec<RecordBatch>, Failure> {
        let request = SqlRequest { sql: question(table, part), ..SqlRequest::default() };
        let bytes = self.source.sql_as(&request, Format::Arrow).await?.bytes().await?;
        let cut = |error| Failure::failed("the answer of the engine was cut short").cause(error);
        StreamReader::try_new(Cursor::new(bytes), None)
            .map_err(cut)?
            .collect::<Result<_, _>>()
            .map_err(cut)
    }
}

fn tables(signal: Signal) -> &'static [Table] {
    match signal {
        Signal::Traces => &[Table::Spans],
        Signal::Logs => &[Table::Logs],
        Signal::Metrics => &[
            Table::MetricPoints,
            Table::MetricHistograms,
            Table::MetricSummaries,
            Table::MetricExemplars,
        ],
    }
}

/// Exemplars go with their point, so they are found by its time.
fn time_of(table: Table) -> &'static str {
    if table == Table::MetricExemplars { c::POINT_TIME } else { table.time_column() }
}

fn within(table: Table, (first, last): Range) -> String {
    let time = time_of(table);
    format!("{time} >= {} and {time} <= {}", time::sql_literal(first), time::sql_literal(last))
}

/// The rows in the shape that `collector::export` reads: attributes merged back into one column.
fn question(table: Table, part: Range) -> String {
    let stored = table.columns().iter().map(|column| column.name);
    let whole = table.has_attributes().then_some(c::ATTRIBUTES);
    let columns: Vec<String> = stored
        .filter(|name| *name != c::ATTRIBUTES_REST)
        .chain(whole)
        .map(|name| format!("\"{name}\""))
        .collect();
    format!("select {} from {} where {}", columns.join(", "), table.name(), within(table, part))
}

/// Two parts of a range; `None` when it is one nanosecond.
fn halves((first, last): Range) -> Option<(Range, Range)> {
    (first < last).then(|| {
        // The middle is rounded towards zero, which may be the last.
        let middle = first.midpoint(last).min(last - 1);
        ((first, middle), (middle + 1, last))
    })
}
