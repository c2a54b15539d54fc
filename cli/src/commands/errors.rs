//! `otlake errors`: where errors begin, and the ways they take.

use api::views::Errors;
use clap::Args;

use crate::commands::asking::{self, Range, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::{Screen, decimal, number_head, or_dash, percent, text_head, write_cells};

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake errors
  otlake errors --root 'POST /api/orders' --since 15m")]
pub(crate) struct ErrorsArgs {
    /// Operation of the traces' root: its name, or service and name
    #[arg(long, value_name = "OPERATION")]
    root: Option<String>,
    /// Only traces with a span that meets this SQL condition
    #[arg(long = "where", value_name = "CONDITION")]
    filter: Option<String>,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    wanted: Wanted,
}

pub(crate) async fn run(args: ErrorsArgs, screen: Screen) -> Result<Exit, Failure> {
    let range = args.range.read()?;
    let (root, filter) = (args.root, args.filter);
    let question = Errors { from: range.from, to: range.to, root, filter };
    asking::run(&question, &args.wanted, screen, async |source, answer, out| {
        if answer.rows.is_empty() {
            return asking::write_why_empty(source, &answer.range, "no span is in error", out)
                .await;
        }
        let heads = [
            number_head("count"),
            number_head("fatal"),
            number_head("cost ms"),
            text_head("origin"),
            text_head("error"),
            text_head("path"),
            text_head("exemplar"),
        ];
        let cells = answer.rows.iter().map(|row| {
            vec![
                row.count.to_string(),
                percent(Some(row.fatal_share)),
                decimal(row.cost_ms),
                row.origin.clone(),
                or_dash(row.error_type.as_deref()),
                row.path.clone(),
                or_dash(row.exemplar_trace.as_deref()),
            ]
        });
        Ok(write_cells(out, screen, &heads, cells)?)
    })
    .await
}
