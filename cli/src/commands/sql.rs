//! `otlake sql`: one statement, a file of them, or a prompt.

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use api::client::Format;
use api::sql::{SqlAnswer, SqlRequest};
use clap::Args;
use serde_json::Value;

use crate::args::ReadFrom;
use crate::commands::stdout;
use crate::failure::{Exit, Failure};
use crate::output::{self, RowFormat, Screen};
use crate::source::Source;
use crate::statements;
use crate::units::parse_duration;

mod prompt;

/// Bytes of a file of statements at most.
const FILE_BYTES_MAX: u64 = 16 << 20;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake sql                                                     a prompt
  otlake sql 'select count(*) from spans'
  otlake sql --param checkout 'select * from logs where service_name = $1 limit 10'
  otlake sql -f report.sql --format csv > report.csv
  otlake sql --data ./data 'select max(start_time) from spans'   no server needed")]
pub(crate) struct SqlArgs {
    /// One read-only statement; without it a prompt opens, or standard input is read
    sql: Option<String>,
    /// Statements from a file, separated by semicolons; - is standard input
    #[arg(short, long, value_name = "FILE", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// Form of the answer [default: table on a terminal, else tsv]
    #[arg(long, visible_alias = "output", value_name = "FORMAT")]
    format: Option<RowFormat>,
    /// Value of $1, $2, …: JSON, else text. Repeat for each
    #[arg(short, long = "param", value_name = "VALUE")]
    params: Vec<String>,
    /// Rows at most
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// Time at most
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// End with 3 when a statement finds no row
    #[arg(long)]
    exit_code: bool,
    /// Column names as the first line of tsv
    #[arg(long)]
    header: bool,
    #[command(flatten)]
    pub(crate) from: ReadFrom,
}

impl SqlArgs {
    fn request(&self, sql: &str) -> SqlRequest {
        let params = self.params.iter().map(|text| param(text)).collect::<Vec<_>>();
        SqlRequest {
            sql: sql.to_owned(),
            params: (!params.is_empty()).then_some(Value::Array(params)),
            limit: self.limit,
            timeout_s: self.timeout.map(|time| time.as_secs_f64()),
        }
    }

    /// The text of all statements; `None` asks for the prompt.
    fn text(&self) -> Result<Option<String>, Failure> {
        match (&self.sql, &self.file) {
            (Some(sql), _) if sql != "-" => Ok(Some(sql.clone())),
            (None, Some(path)) if path.as_os_str() != "-" => {
                let file = std::fs::File::open(path).map_err(|error| {
                    Failure::failed(format!("cannot read {}", path.display())).cause(error)
                })?;
                bounded(file).map(Some)
            }
            (None, None) if io::stdin().is_terminal() => Ok(None),
            _ => bounded(io::stdin()).map(Some),
        }
    }
}

/// Runs the statements in order; the first failure ends.
pub(crate) async fn run(args: SqlArgs, screen: Screen) -> Result<Exit, Failure> {
    let format = RowFormat::or_default(args.format, screen);
    let Some(text) = args.text()? else {
        let source = Source::open(&args.from).await?;
        return prompt::run(&args, &source, screen, format).await;
    };
    let statements = statements::split(&text);
    if statements.is_empty() {
        return Err(
            Failure::new(Exit::Usage, "there is no statement").hint("otlake sql 'select 1'")
        );
    }
    let source = Source::open(&args.from).await?;
    let mut exit = Exit::Good;
    for statement in statements {
        let shape = Shape { screen, format, header: args.header };
        let rows = answer(&source, &args.request(statement), shape).await?;
        if rows == 0 && args.exit_code {
            exit = Exit::Nothing;
        }
    }
    Ok(exit)
}

/// How answers are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) screen: Screen,
    pub(super) format: RowFormat,
    /// Column names as the first line of tab-separated rows.
    pub(super) header: bool,
}

/// Runs one statement, writes its answer, gives the number of rows (of lines in streamed forms).
pub(super) async fn answer(
    source: &Source,
    request: &SqlRequest,
    shape: Shape,
) -> Result<u64, Failure> {
    let screen = shape.screen;
    let mut out = stdout();
    let rows = match shape.format {
        RowFormat::Ndjson => stream(source, request, Format::Ndjson, screen, &mut out).await?,
        RowFormat::Csv => {
            stream(source, request, Format::Csv, screen, &mut out).await?.saturating_sub(1)
        }
        RowFormat::Json => {
            let bytes = source.sql_as(request, Format::Json).await?.bytes().await?;
            let answer = whole(&bytes)?;
            let text = String::from_utf8_lossy(bytes.trim_ascii_end());
            writeln!(out, "{}", screen.shown(&text))?;
            answer.rows.len() as u64
        }
        RowFormat::Table | RowFormat::Tsv => {
            let answer = source.sql(request).await?;
            write_rows(&answer, shape, &mut out)?;
            out.flush()?;
            output::write_notes(screen, &answer.stats);
            answer.rows.len() as u64
        }
    };
    out.flush()?;
    Ok(rows)
}

fn write_rows(answer: &SqlAnswer, shape: Shape, out: &mut dyn Write) -> io::Result<()> {
    if shape.format == RowFormat::Table {
        return output::write_table(out, shape.screen, &answer.schema, &answer.rows);
    }
    if shape.header {
        let names: Vec<&str> = answer.schema.iter().map(|field| field.name.as_str()).collect();
        writeln!(out, "{}", names.join("\t"))?;
    }
    output::write_tsv(out, &answer.schema, &answer.rows)
}

/// Copies the answer as it comes; gives its lines.
async fn stream(
    source: &Source,
    request: &SqlRequest,
    format: Format,
    screen: Screen,
    out: &mut dyn Write,
) -> Result<u64, Failure> {
    let answer = source.sql_as(request, format).await?;
    output::copy(out, screen, answer).await
}

/// Reads a JSON answer, so that one cut short is a failure.
fn whole(bytes: &[u8]) -> Result<SqlAnswer, Failure> {
    let answer: SqlAnswer = serde_json::from_slice(bytes)
        .map_err(|error| Failure::failed("the answer is not one of otlake").cause(error))?;
    match answer.error {
        Some(problem) => Err(problem.into()),
        None => Ok(answer),
    }
}

fn param(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn bounded(from: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::failed("the file of statements is larger than 16 MiB"));
    }
    Ok(text)
}
