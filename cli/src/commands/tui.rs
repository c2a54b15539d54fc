//! `otlake tui`: the terminal explorer, over a server or over a directory.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use clap::Args;
use tokio::io::BufReader;
use ui_tui::theme::ThemeName;

use crate::args::ReadFrom;
use crate::failure::{Exit, Failure};
use crate::source::Source;

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  otlake tui                              explore what the local server has
  otlake tui --data /var/lib/otlake       explore a directory, with no server running
  otlake tui --range 1h --filter 'service=checkout status=error'
  otlake tui --open 0af7651916cd43dd8448eb211c80319c")]
pub(crate) struct TuiArgs {
    #[command(flatten)]
    from: ReadFrom,
    #[command(flatten)]
    pub(crate) look: Look,
    /// Where to begin: a link that the explorer copied, a trace id, or a traceparent
    #[arg(long, value_name = "LINK")]
    open: Option<String>,
    /// Filter line to begin with
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Range of time to begin with, such as `1h` or `14:00..14:30`
    #[arg(long, value_name = "RANGE")]
    range: Option<String>,
    /// Draw nothing: read commands line by line and answer in lines, for screen readers and scripts
    #[arg(long)]
    plain: bool,
}

/// What the explorer looks like.
#[derive(Clone, Debug, Args)]
pub(crate) struct Look {
    /// Colours: ansi, dark, light, high-contrast, cvd or mono
    #[arg(long, env = "OTLAKE_THEME", value_name = "NAME")]
    theme: Option<ThemeName>,
    /// Draw with ASCII alone
    #[arg(long, env = "OTLAKE_ASCII")]
    ascii: bool,
    /// Time zone in which times are shown and read, as Europe/Berlin or UTC [default: TZ, or that of
    /// the machine]
    #[arg(long, env = "OTLAKE_ZONE", value_name = "ZONE")]
    zone: Option<String>,
    /// Leave the mouse to the terminal
    #[arg(long, env = "OTLAKE_NO_MOUSE")]
    no_mouse: bool,
}

impl Look {
    /// How the explorer starts, with nothing to open.
    pub(crate) fn options(&self) -> ui_tui::Options {
        ui_tui::Options {
            theme: self.theme,
            ascii: self.ascii,
            no_mouse: self.no_mouse,
            zone: self.zone.clone(),
            ..ui_tui::Options::default()
        }
    }
}

pub(crate) async fn run(args: TuiArgs) -> Result<Exit, Failure> {
    let source = Arc::new(Source::open(&args.from).await?);
    let options = ui_tui::Options {
        open: args.open,
        filter: args.filter,
        range: args.range,
        ..args.look.options()
    };
    let ended = match args.plain {
        true => {
            let input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
            let lines = BufReader::new(tokio::fs::File::from_std(input));
            ui_tui::plain(source, options, lines, std::io::stdout()).await
        }
        false => ui_tui::run(source, options).await,
    };
    ended.map_err(failure)?;
    Ok(Exit::Good)
}

/// What the explorer says when it does not start.
pub(crate) fn failure(error: ui_tui::Error) -> Failure {
    let exit = match error {
        ui_tui::Error::Option(_) => Exit::Usage,
        ui_tui::Error::NoTerminal | ui_tui::Error::Terminal(_) => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}
