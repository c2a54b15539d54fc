//! `otlake map`: who calls whom, as a table, as JSON, or as a drawing for Graphviz or Mermaid.

use std::io::{self, Write};

use api::views::{EdgeRow, Map};
use clap::{Args, ValueEnum};

use crate::commands::asking::{self, Form, More, Range, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::{Screen, decimal, number_head, or_dash, percent, text_head, write_cells};

mod drawing;
#[cfg(test)]
mod tests;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake map
  otlake map --since 15m --format dot | dot -Tsvg > map.svg
  otlake map --where \"status_code = 'error'\"
  otlake map --level team --format mermaid")]
pub(crate) struct MapArgs {
    /// service, or a resource attribute that groups services, such as team
    #[arg(long, value_name = "LEVEL", default_value = "service")]
    level: String,
    /// Only traces with a span that meets this SQL condition
    #[arg(long = "where", value_name = "CONDITION")]
    filter: Option<String>,
    /// Form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: MapForm,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    more: More,
}

/// The form of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MapForm {
    /// For people
    Table,
    /// One object, as the HTTP API answers
    Json,
    /// A graph for Graphviz
    Dot,
    /// A flowchart for Mermaid
    Mermaid,
}

pub(crate) async fn run(args: MapArgs, screen: Screen) -> Result<Exit, Failure> {
    let range = args.range.read()?;
    let (level, filter) = (Some(args.level), args.filter);
    let question = Map { from: range.from, to: range.to, level, filter };
    let format = if args.format == MapForm::Json { Form::Json } else { Form::Table };
    let wanted = Wanted { format, more: args.more };
    asking::run(&question, &wanted, screen, async |source, answer, out| {
        match args.format {
            MapForm::Dot => write!(out, "{}", drawing::dot(&answer.rows))?,
            MapForm::Mermaid => write!(out, "{}", drawing::mermaid(&answer.rows))?,
            _ if answer.rows.is_empty() => {
                let why = "no span calls another service, a database or a topic";
                asking::write_why_empty(source, &answer.range, why, out).await?;
            }
            _ => write_edges(&answer.rows, screen, out)?,
        }
        Ok(())
    })
    .await
}

/// Calls that failed on either side, by calls.
fn error_share(edge: &EdgeRow) -> f64 {
    edge.client_errors.max(edge.server_errors) as f64 / edge.calls.max(1) as f64
}

fn write_edges(edges: &[EdgeRow], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let heads = [
        text_head("from"),
        text_head("to"),
        text_head("kind"),
        number_head("calls"),
        number_head("per s"),
        number_head("errors"),
        number_head("p50 ms"),
        number_head("p99 ms"),
        number_head("gap p50 ms"),
        number_head("attempts"),
        text_head("slowest"),
    ];
    let cells = edges.iter().map(|edge| {
        let mark = if edge.lost_context || edge.inferred { " ?" } else { "" };
        vec![
            edge.src.clone(),
            edge.dst.clone(),
            format!("{}{mark}", edge.edge_kind),
            edge.calls.to_string(),
            decimal(Some(edge.per_second)),
            percent(Some(error_share(edge))),
            decimal(edge.client_p50_ms.or(edge.server_p50_ms)),
            decimal(edge.client_p99_ms.or(edge.server_p99_ms)),
            decimal(edge.gap_p50_ms),
            decimal(Some(edge.attempts)),
            or_dash(edge.slowest_trace.as_deref()),
        ]
    });
    write_cells(out, screen, &heads, cells)?;
    if edges.iter().any(|edge| edge.lost_context || edge.inferred) {
        writeln!(out, "? one side's spans are missing or lost their context")?;
    }
    Ok(())
}
