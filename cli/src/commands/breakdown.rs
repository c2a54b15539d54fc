//! `otlake breakdown`: where the time of a request goes, or what makes the slow ones slow.

use std::io::{self, Write};

use api::views::{Breakdown, BreakdownRow, Tail, TailRow};
use clap::Args;

use crate::commands::asking::{self, BAR_WIDTH, Range, Wanted};
use crate::failure::{Exit, Failure};
use crate::output::{
    Screen, bar, decimal, number_head, or_dash, percent, safe, text_head, write_cells,
};

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake breakdown --root 'POST /api/orders'
  otlake breakdown --root 'POST /api/orders' --by edge --since 15m
  otlake breakdown --root 'POST /api/orders' --by db.query.summary
  otlake breakdown --root 'POST /api/orders' --tail")]
pub(crate) struct BreakdownArgs {
    /// Operation of the traces' root: its name, or service and name; * mixes all
    #[arg(long, value_name = "OPERATION")]
    root: Option<String>,
    /// service, edge, operation, category, path, instance, version, an attribute, or resource. and an
    /// attribute
    #[arg(long, value_name = "GROUP", default_value = "service")]
    by: String,
    /// Only spans that meet this SQL condition have a group of their own
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "tail")]
    filter: Option<String>,
    /// Compare the slowest traces with the middle ones
    #[arg(long)]
    tail: bool,
    /// Where the tail begins: 0.99, 0.95 or 0.9
    #[arg(long, value_name = "SHARE", requires = "tail")]
    quantile: Option<f64>,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    wanted: Wanted,
}

pub(crate) async fn run(args: BreakdownArgs, screen: Screen) -> Result<Exit, Failure> {
    let range = args.range.read()?;
    let none = match &args.root {
        Some(root) => format!(
            "no trace has the root operation {root} (`otlake sql \"select root_service, root_name, count(*) from traces group by 1, 2\"` lists them)"
        ),
        None => "no trace has its root".to_owned(),
    };
    if args.tail {
        let question = Tail {
            from: range.from,
            to: range.to,
            root: args.root,
            by: Some(args.by),
            quantile: args.quantile,
            filter: None,
        };
        return asking::run(
            &question,
            &args.wanted,
            screen,
            async |source, answer, out| match answer.rows.first() {
                Some(first) => Ok(write_tail(first, &answer.rows, screen, out)?),
                None => asking::write_why_empty(source, &answer.range, &none, out).await,
            },
        )
        .await;
    }
    let question = Breakdown {
        from: range.from,
        to: range.to,
        root: args.root.clone(),
        by: Some(args.by),
        filter: args.filter,
    };
    let root = args.root.as_deref().unwrap_or("all requests");
    asking::run(&question, &args.wanted, screen, async |source, answer, out| {
        let Some(first) = answer.rows.first() else {
            return asking::write_why_empty(source, &answer.range, &none, out).await;
        };
        let range = asking::shown(&answer.range);
        Ok(write_breakdown(root, &range, first, &answer.rows, screen, out)?)
    })
    .await
}

fn write_breakdown(
    root: &str,
    range: &str,
    first: &BreakdownRow,
    rows: &[BreakdownRow],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{}: {} traces, mean {:.2} ms, {range}",
        safe(root),
        first.traces,
        first.mean_ms
    )?;
    if first.roots == "mixed" && rows.iter().all(|row| row.share.is_none()) {
        writeln!(out, "several root operations are mixed: name one with --root for shares")?;
    }
    let heads = [
        text_head("where"),
        number_head("ms"),
        number_head("share"),
        text_head(""),
        number_head("in traces"),
        number_head("calls"),
        text_head("exemplar"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.key.clone(),
            decimal(Some(row.contrib_ms)),
            percent(row.share),
            bar(row.contrib_ms / first.mean_ms, BAR_WIDTH),
            percent(Some(row.presence)),
            decimal(Some(row.calls)),
            or_dash(row.exemplar_trace.as_deref()),
        ]
    });
    write_cells(out, screen, &heads, cells)
}

fn write_tail(
    first: &TailRow,
    rows: &[TailRow],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "tail {} ({} traces, mean {:.2} ms) against {} ({} traces, mean {:.2} ms)",
        first.band_tail,
        first.n_tail,
        first.mean_tail_ms,
        first.band_mid,
        first.n_mid,
        first.mean_mid_ms
    )?;
    let heads = [
        text_head("where"),
        number_head("+ms"),
        number_head("share"),
        text_head(""),
        number_head("more calls"),
        number_head("slower"),
        number_head("95 % from"),
        number_head("to"),
        text_head("exemplar"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.key.clone(),
            decimal(Some(row.delta_ms)),
            percent(row.share),
            bar(row.share.unwrap_or_default(), BAR_WIDTH),
            decimal(Some(row.more_calls_ms)),
            decimal(Some(row.slower_ms)),
            decimal(Some(row.lo_ms)),
            decimal(Some(row.hi_ms)),
            or_dash(row.exemplar_trace.as_deref()),
        ]
    });
    write_cells(out, screen, &heads, cells)
}
