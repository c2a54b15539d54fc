//! `otlake bottlenecks`: patterns of calls that cost time, found by rule.

use api::views::Bottlenecks;
use clap::Args;

use crate::commands::asking::{self, Range, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::{Screen, decimal, number_head, or_dash, text_head, write_cells};

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake bottlenecks
  otlake bottlenecks --rule n_plus_one --since 1d")]
pub(crate) struct BottlenecksArgs {
    /// Only findings of this rule, such as n_plus_one; a wrong name lists all
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    wanted: Wanted,
}

pub(crate) async fn run(args: BottlenecksArgs, screen: Screen) -> Result<Exit, Failure> {
    let range = args.range.read()?;
    let question = Bottlenecks { from: range.from, to: range.to, rule: args.rule };
    asking::run(&question, &args.wanted, screen, async |source, answer, out| {
        if answer.rows.is_empty() {
            return asking::write_why_empty(source, &answer.range, "no rule found anything", out)
                .await;
        }
        let heads = [
            text_head("rule"),
            text_head("subject"),
            number_head("score"),
            number_head("saves ms"),
            text_head("evidence"),
            text_head("exemplar"),
        ];
        let cells = answer.rows.iter().map(|row| {
            vec![
                row.rule.clone(),
                row.subject.clone(),
                decimal(row.score),
                decimal(row.saving_ms),
                or_dash(row.evidence.as_deref()),
                or_dash(row.exemplar_trace.as_deref()),
            ]
        });
        Ok(write_cells(out, screen, &heads, cells)?)
    })
    .await
}
