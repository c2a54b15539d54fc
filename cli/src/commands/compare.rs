//! `otlake compare`: what sets some spans apart from others.

use api::views::{Compare, CompareRow};
use clap::Args;

use crate::commands::asking::{self, BAR_WIDTH, Range, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::{Screen, bar, decimal, number_head, or_dash, percent, text_head, write_cells};

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake compare --where \"name = 'charge' and duration_ns > 1e8\"
  otlake compare --where \"status_code = 'error'\" --since 15m
  otlake compare --where \"resource['service.version'] = '1.4.1'\" --baseline \"resource['service.version'] = '1.4.0'\"")]
pub(crate) struct CompareArgs {
    /// SQL condition of the spans in question
    #[arg(long = "where", value_name = "CONDITION")]
    selection: String,
    /// SQL condition of the spans to compare with [default: the others of the same operations]
    #[arg(long, value_name = "CONDITION")]
    baseline: Option<String>,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    wanted: Wanted,
}

pub(crate) async fn run(args: CompareArgs, screen: Screen) -> Result<Exit, Failure> {
    let range = args.range.read()?;
    let question = Compare {
        selection: Some(args.selection),
        baseline: args.baseline,
        from: range.from,
        to: range.to,
    };
    asking::run(&question, &args.wanted, screen, async |source, answer, out| {
        if answer.rows.is_empty() {
            let why = "no attribute differs, or the condition selects no span or every one";
            return asking::write_why_empty(source, &answer.range, why, out).await;
        }
        let heads = [
            text_head("attribute"),
            text_head("value"),
            number_head("selected"),
            text_head(""),
            number_head("others"),
            number_head("lift"),
            number_head("score"),
            number_head("q"),
            text_head("exemplar"),
        ];
        Ok(write_cells(out, screen, &heads, answer.rows.iter().map(cells))?)
    })
    .await
}

fn cells(row: &CompareRow) -> Vec<String> {
    // Of a number the medians are compared.
    let medians = row.p50_sel.zip(row.p50_base).map(|(sel, base)| format!("p50 {sel} / {base}"));
    vec![
        row.attribute.clone(),
        row.value.clone().or(medians).unwrap_or_else(|| "-".to_owned()),
        percent(row.share_sel),
        bar(row.share_sel.unwrap_or_default(), BAR_WIDTH / 2),
        percent(row.share_base),
        decimal(row.lift),
        decimal(row.score),
        row.q_value.map_or_else(|| "-".to_owned(), |q| format!("{q:.3}")),
        or_dash(row.exemplar_trace.as_deref()),
    ]
}
