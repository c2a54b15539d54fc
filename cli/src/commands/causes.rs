//! `otlake causes`: services and edges by how well they explain what changed.

use std::io::{self, Write};

use api::time;
use api::views::{CauseRow, Causes, CausesAnswer};
use clap::Args;

use crate::commands::asking::{self, BAR_WIDTH, Wanted};
use crate::commands::services;
use crate::failure::{Exit, Failure};
use crate::output::{Screen, bar, decimal, number_head, or_dash, text_head, write_cells};

/// The time compared with is this many times as long as the time in question.
const BASE_TIMES: i64 = 3;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake causes                       the last 5 minutes against the 15 before
  otlake causes --since 20m           the last 20 minutes against the hour before
  otlake causes --fault 30m 20m       ten minutes, half an hour ago
  otlake causes --fault 2026-11-22T09:40:00Z 2026-11-22T09:50:00Z --base 1d 23h")]
pub(crate) struct CausesArgs {
    /// Something is wrong since then: until now, against three times as long before
    #[arg(long, value_name = "TIME", default_value = "5m", conflicts_with = "fault")]
    since: String,
    /// When something was wrong
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    fault: Option<Vec<String>>,
    /// When all was well [default: three times as long, right before]
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    base: Option<Vec<String>>,
    #[command(flatten)]
    wanted: Wanted,
}

impl CausesArgs {
    fn question(&self) -> Result<Causes, Failure> {
        let (from_ns, to_ns) = match &self.fault {
            Some(fault) => window("--fault", fault)?,
            None => window("--since", &[self.since.clone(), "now".to_owned()])?,
        };
        let (base_from_ns, base_to_ns) = match &self.base {
            Some(base) => window("--base", base)?,
            None => (from_ns.saturating_sub(BASE_TIMES * (to_ns - from_ns)), from_ns),
        };
        let at = |ns| Some(time::format(ns));
        Ok(Causes {
            fault_from: at(from_ns),
            fault_to: at(to_ns),
            base_from: at(base_from_ns),
            base_to: at(base_to_ns),
        })
    }
}

/// Two times in order.
fn window(flag: &str, ends: &[String]) -> Result<(i64, i64), Failure> {
    let [from, to] = ends else {
        return Err(Failure::new(Exit::Usage, format!("{flag} takes two times")));
    };
    let (from_ns, to_ns) = (services::since(from)?, services::since(to)?);
    if from_ns >= to_ns {
        return Err(Failure::new(Exit::Usage, format!("{flag}: the range of time is empty"))
            .cause(format!("{} to {}", time::format(from_ns), time::format(to_ns))));
    }
    Ok((from_ns, to_ns))
}

pub(crate) async fn run(args: CausesArgs, screen: Screen) -> Result<Exit, Failure> {
    let question = args.question()?;
    asking::run(&question, &args.wanted, screen, async |source, answer, out| {
        write_windows(answer, out)?;
        if answer.rows.is_empty() {
            let why = "nothing that takes part in requests changed";
            return asking::write_why_empty(source, &answer.fault, why, out).await;
        }
        Ok(write_causes(&answer.rows, screen, out)?)
    })
    .await
}

fn write_windows(answer: &CausesAnswer, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "wrong:        {}", asking::shown(&answer.fault))?;
    writeln!(out, "against:      {}", asking::shown(&answer.base))
}

fn write_causes(rows: &[CauseRow], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let most = rows.iter().filter_map(|row| row.score).fold(f64::MIN_POSITIVE, f64::max);
    let heads = [
        number_head("rank"),
        text_head("subject"),
        text_head("kind"),
        number_head("score"),
        text_head(""),
        text_head("why"),
        text_head("exemplar"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.rank.to_string(),
            row.subject.clone(),
            row.kind.clone(),
            decimal(row.score),
            bar(row.score.unwrap_or_default() / most, BAR_WIDTH / 2),
            or_dash(row.why.as_deref()),
            or_dash(row.exemplar_trace.as_deref()),
        ]
    });
    write_cells(out, screen, &heads, cells)
}
