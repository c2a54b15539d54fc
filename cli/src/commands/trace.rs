//! `otlake trace ID`: one trace as a waterfall on stdout.

use std::io::Write;

use api::sql::SqlRequest;
use api::{time, views};
use clap::Args;
use schemas::{Table, columns as c};
use serde_json::{Map, Value};

use crate::commands::asking::{self, Form, Wanted};
use crate::commands::stdout;
use crate::failure::{Exit, Failure};
use crate::output::{self, Screen, safe, text};
use crate::source::Source;
use crate::units::show_ns;

mod path;
mod waterfall;
use waterfall::{Line, Span};

/// Spans of one trace that are asked for; the server's limit on rows is no lower.
const SPANS_MAX: u64 = 50_000;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake trace 0af7651916cd43dd8448eb211c80319c
  otlake trace 0af7651916cd43dd8448eb211c80319c --critical-path
  otlake trace 0af7651916cd43dd8448eb211c80319c --data ./data | less")]
pub(crate) struct TraceArgs {
    /// Trace id: 32 hex digits
    #[arg(value_parser = parse_id)]
    id: String,
    /// Mark what the request waited for, and list its pieces
    #[arg(long)]
    critical_path: bool,
    #[command(flatten)]
    wanted: Wanted,
}

/// Accepts the id as it is copied from logs: with dashes, in capitals.
fn parse_id(text: &str) -> Result<String, String> {
    let id: String = text.chars().filter(|c| *c != '-').collect::<String>().to_lowercase();
    match schemas::ids::parse_hex::<16>(id.as_bytes()) {
        Some(_) => Ok(id),
        None => Err("a trace id has 32 hex digits".into()),
    }
}

pub(crate) async fn run(args: TraceArgs, screen: Screen) -> Result<Exit, Failure> {
    let more = &args.wanted.more;
    let source = Source::open(&more.from).await?;
    let mut out = stdout();
    let question = views::Trace { trace_id: Some(args.id.clone()) };
    if args.wanted.format == Form::Json {
        asking::write_json(&source, &question, more, screen, &mut out).await?;
    } else if args.critical_path || more.sql {
        let answer = asking::ask(&source, &question, more).await?;
        let spans = path::spans(&answer);
        write_waterfall(&args.id, &spans, screen, &mut out)?;
        if args.critical_path {
            path::write_pieces(&answer, screen, &mut out)?;
        }
        asking::end(&answer, screen, &mut out)?;
    } else {
        let answer = source.sql(&request(&args.id)).await?;
        let spans: Vec<Span> = answer.rows.iter().map(span).collect();
        write_waterfall(&args.id, &spans, screen, &mut out)?;
        out.flush()?;
        output::write_notes(screen, &answer.stats);
    }
    Ok(Exit::Good)
}

fn write_waterfall(
    id: &str,
    spans: &[Span],
    screen: Screen,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if spans.is_empty() {
        return Err(Failure::failed(format!("there is no trace {id}"))
            .cause("no stored span carries this id")
            .hint("`otlake status` tells whether data arrives; ids are hex as in `select trace_id from spans`"));
    }
    writeln!(out, "{}", headline(id, spans))?;
    for line in waterfall::lines(spans) {
        writeln!(out, "{}", drawn(screen, &line, spans))?;
    }
    Ok(())
}

fn request(id: &str) -> SqlRequest {
    let columns = [
        c::SPAN_ID,
        c::PARENT_SPAN_ID,
        c::START_TIME,
        c::DURATION_NS,
        c::SERVICE_NAME,
        c::NAME,
        c::STATUS_CODE,
    ];
    let sql = format!(
        "select {} from {} where {} = '{id}' order by {} limit {SPANS_MAX}",
        columns.join(", "),
        Table::Spans.name(),
        c::TRACE_ID,
        c::START_TIME,
    );
    SqlRequest { sql, limit: Some(SPANS_MAX), ..SqlRequest::default() }
}

fn span(row: &Map<String, Value>) -> Span {
    Span {
        id: text(row, c::SPAN_ID).to_owned(),
        parent: row.get(c::PARENT_SPAN_ID).and_then(Value::as_str).map(str::to_owned),
        start_ns: time::parse(text(row, c::START_TIME), 0).unwrap_or_default(),
        duration_ns: output::number(row, c::DURATION_NS),
        label: format!("{} {}", text(row, c::SERVICE_NAME), text(row, c::NAME)),
        is_error: text(row, c::STATUS_CODE) == "error",
        path_ns: Vec::new(),
    }
}

fn headline(id: &str, spans: &[Span]) -> String {
    let (start_ns, end_ns) = waterfall::extent(spans);
    let errors = spans.iter().filter(|span| span.is_error).count();
    let first = if spans.len() as u64 == SPANS_MAX { "the first " } else { "" };
    format!(
        "trace {id}  {}  {first}{} spans, {errors} errors, {}",
        time::format(start_ns),
        spans.len(),
        show_ns(end_ns.saturating_sub(start_ns)),
    )
}

/// One line: label and bar share what the duration leaves of the width.
fn drawn(screen: Screen, line: &Line, spans: &[Span]) -> String {
    const DURATION_WIDTH: usize = 11;
    let label_width = (screen.width / 2).saturating_sub(2).max(20);
    let bar_width = screen.width.saturating_sub(label_width + DURATION_WIDTH + 4).max(10);
    let span = &spans[line.span];
    let indent = "  ".repeat(line.depth.min(label_width / 4));
    let mark = if line.is_orphan { "? " } else { "" };
    let label = waterfall::fitted(&format!("{indent}{mark}{}", safe(&span.label)), label_width);
    let bar = waterfall::bar(span, waterfall::extent(spans), bar_width);
    let bar = if span.is_error { screen.red(&bar) } else { bar.as_str().into() };
    format!("{label} |{bar}| {:>DURATION_WIDTH$}", show_ns(span.duration_ns))
}
