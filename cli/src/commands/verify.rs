//! `otlake verify`: walks a data directory and reports every damage, changing nothing.

use std::io::Write;

use indicatif::{ProgressBar, ProgressStyle};
use storage::VerifyReport;

use crate::args::DirArgs;
use crate::commands::stdout;
use crate::failure::{Exit, Failure};
use crate::output::{Screen, safe};

pub(crate) async fn run(args: DirArgs, screen: Screen) -> Result<Exit, Failure> {
    let dir = args.dir()?;
    if !dir.is_dir() {
        return Err(Failure::failed(format!("there is no data directory {}", dir.display()))
            .hint("name one with --data DIR"));
    }
    let bar = bytes_bar("checked");
    let mut progress = |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = storage::verify_dir(&dir, &mut progress).await?;
    bar.finish_and_clear();
    let mut out = stdout();
    for finding in &report.findings {
        writeln!(out, "{} {}: {}", screen.red("damaged"), safe(&finding.what), safe(&finding.why))?;
    }
    let VerifyReport { files, rows, frames, findings } = &report;
    writeln!(
        out,
        "{files} files with {rows} rows, {frames} log frames, {} findings",
        findings.len()
    )?;
    out.flush()?;
    Ok(if report.findings.is_empty() { Exit::Good } else { Exit::Failed })
}

/// A bar over bytes on stderr; invisible when stderr is no terminal.
pub(crate) fn bytes_bar(done: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} ({eta})")
    {
        bar.set_style(style);
    }
    bar.with_message(done)
}
