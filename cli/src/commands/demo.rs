//! `otlake demo`: a server, the demo system that sends to it, and the explorer, in one go.

use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use api::client::Client;
use clap::{Args, CommandFactory, FromArgMatches, Subcommand, ValueEnum};
use instrumented_demo::run::{self, Mode, Options, Ports, Program, Running, Scaling};
use instrumented_demo::scenarios::{self, Scenario};
use instrumented_demo::telemetry::Settings;
use instrumented_demo::truth::Record;
use tokio::runtime::{Builder, Runtime};

use crate::args::{Cli, Command, ServeArgs};
use crate::commands::serve::Signals;
use crate::commands::tui::{self, Look};
use crate::commands::{runtime, stdout};
use crate::failure::{Exit, Failure};
use crate::output::Screen;
use crate::server::Server;

/// The fault that a demo has when none is named: an index is gone, and one statement is slow.
const SCENARIO_DEFAULT: &str = "2";
/// The word for no fault.
const NO_SCENARIO: &str = "none";

mod score;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "Examples:
  otlake demo                                   a shop with a fault, and the explorer to find it
  otlake demo --headless --minutes 2            no explorer: prints what to ask
  otlake demo --scenario 4 --minutes 6 --explain
  otlake demo sim --scenario 13 --out ./storm   the same shop without sockets, as files
  otlake demo scenarios                         every fault that can be played"
)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum DemoCommand {
    /// List the faults that can be played
    Scenarios,
    /// Generate data of a made-up system, with exact answers beside it
    Sim(Box<instrumented_demo::sim::Args>),
    /// Play faults with known culprits and count how often the views find them
    Score(score::ScoreArgs),
    /// Run one instance; the demo starts itself like this
    #[command(hide = true)]
    Instance,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The fault to play: its number or name, or `none`
    #[arg(long, value_name = "NAME", default_value = SCENARIO_DEFAULT)]
    scenario: String,
    /// Requests a second
    #[arg(long, value_name = "N", default_value_t = 40.0)]
    rate: f64,
    /// End after so many minutes; the fault is played within them [default: at the end of the
    /// explorer, or at Ctrl-C]
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
    /// The same seed makes the same requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Services as threads of this program, or each as a process
    #[arg(long, value_enum, default_value = "tasks")]
    mode: ModeArg,
    /// Listen on free ports instead of the usual ones
    #[arg(long)]
    free_ports: bool,
    /// Show no explorer
    #[arg(long)]
    headless: bool,
    /// Keep the data in this directory [default: a temporary one, deleted at the end]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Say at the end what was wrong, and where it shows
    #[arg(long)]
    explain: bool,
    /// Print memory and processor time of the demo at the end
    #[arg(long)]
    footprint: bool,
    #[command(flatten)]
    look: Look,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Tasks,
    Processes,
}

impl DemoArgs {
    /// Whether the explorer takes the terminal, so that nothing else may write to it.
    pub(crate) fn takes_terminal(&self) -> bool {
        self.command.is_none() && self.run.has_explorer()
    }
}

impl RunArgs {
    fn has_explorer(&self) -> bool {
        !self.headless && std::io::stdout().is_terminal() && std::io::stdin().is_terminal()
    }

    fn scenario(&self) -> Result<Option<&'static Scenario>, Failure> {
        if self.scenario == NO_SCENARIO {
            return Ok(None);
        }
        Scenario::find(&self.scenario).map(Some).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("there is no scenario `{}`", self.scenario))
                .hint("`otlake demo scenarios` lists them")
        })
    }

    fn duration(&self) -> Result<Option<Duration>, Failure> {
        let seconds = self.minutes.map(|minutes| Duration::try_from_secs_f64(minutes * 60.0));
        let wrong =
            |error| Failure::new(Exit::Usage, "--minutes is no length of time").cause(error);
        seconds.transpose().map_err(wrong)
    }

    fn options(&self, server: &Server) -> Result<Options, Failure> {
        let program = Program {
            path: std::env::current_exe()?,
            arguments: vec!["demo".to_owned(), "instance".to_owned()],
        };
        Ok(Options {
            mode: match self.mode {
                ModeArg::Tasks => Mode::Tasks,
                ModeArg::Processes => Mode::Processes,
            },
            ports: if self.free_ports { Ports::Free } else { Ports::Article },
            telemetry: Settings {
                endpoint: Some(format!("http://{}", server.addresses.otlp_grpc)),
                ..Settings::default()
            },
            rate_per_s: self.rate,
            duration: self.duration()?,
            seed: self.seed,
            scenario: self.scenario()?,
            program: Some(program),
            truth: self.data.clone(),
            scaling: Some(Scaling::default()),
            ..Options::default()
        })
    }
}

pub(crate) fn run(args: &DemoArgs, screen: Screen) -> Result<Exit, Failure> {
    match &args.command {
        Some(DemoCommand::Instance) => {
            run::instance_main().map_err(|error| Failure::failed(format!("{error:#}")))?
        }
        Some(DemoCommand::Scenarios) => list_scenarios()?,
        Some(DemoCommand::Score(args)) => return runtime()?.block_on(score::run(args)),
        Some(DemoCommand::Sim(args)) => instrumented_demo::sim::run(args, &mut stdout())
            .map_err(|error| Failure::failed(format!("{error:#}")))?,
        None => {
            let http = Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("http")
                .enable_all()
                .build()?;
            let ended = runtime()?.block_on(demo(&args.run, screen, &http));
            http.shutdown_background();
            return ended;
        }
    }
    Ok(Exit::Good)
}

fn list_scenarios() -> Result<(), Failure> {
    let mut out = stdout();
    for scenario in &scenarios::ALL {
        writeln!(out, "{:>3}  {:<24} {}", scenario.id, scenario.name, scenario.title)?;
    }
    Ok(out.flush()?)
}

async fn demo(args: &RunArgs, screen: Screen, http: &Runtime) -> Result<Exit, Failure> {
    let scenario = args.scenario()?;
    let mut signals = Signals::listen()?;
    let (dir, temporary) = directory(args.data.as_deref())?;
    let server = Server::start(&dir, &server_args(&dir, args.free_ports)?, http).await?;
    let started = run::start(args.options(&server)?).await;
    let mut running = started.map_err(|error| Failure::failed(format!("{error:#}")))?;
    announce(args, screen, (&dir, temporary.is_some()), &server, &running)?;
    let until = async {
        tokio::select! {
            () = running.finished() => Ok(()),
            () = signals.next() => Ok(()),
            ended = explorer(args, &server) => ended,
        }
    };
    let shown = until.await;
    let usage = running.footprint();
    let ended = running.stop().await;
    server.stop().await;
    let mut out = stdout();
    let total = ended.report.total();
    writeln!(out, "{} requests, {} failed, {} not sent", total.sent, total.failed, total.not_sent)?;
    for loss in &ended.losses {
        writeln!(out, "lost: {loss}")?;
    }
    if args.footprint {
        write!(out, "\n{}", run::footprint_table(&usage))?;
    }
    if let (true, Some(scenario), Some(record)) = (args.explain, scenario, &ended.record) {
        explain(&mut out, scenario, record)?;
    }
    out.flush()?;
    shown.map(|()| Exit::Good)
}

/// The explorer until it is left; for ever where there is none.
async fn explorer(args: &RunArgs, server: &Server) -> Result<(), Failure> {
    if !args.has_explorer() {
        return std::future::pending().await;
    }
    let client = Client::new(&server.addresses.url())?;
    ui_tui::run(Arc::new(client), args.look.options()).await.map_err(tui::failure)
}

/// The directory asked for, or a temporary one that goes with its guard.
fn directory(asked: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    if let Some(dir) = asked {
        return Ok((dir.to_owned(), None));
    }
    let dir = tempfile::Builder::new().prefix("otlake-demo-").tempdir()?;
    Ok((dir.path().to_owned(), Some(dir)))
}

/// The arguments of a server with everything at its default, but on free ports where that is wanted
/// or the usual ones are taken.
fn server_args(dir: &Path, on_free_ports: bool) -> Result<ServeArgs, Failure> {
    let dir = dir.to_string_lossy().into_owned();
    let words = ["otlake", "serve", "--data", &dir];
    let matches = Cli::command().try_get_matches_from(words);
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let Ok(Command::Serve(args)) = parsed.map(|cli| cli.command) else {
        return Err(Failure::failed("the server cannot be started with its defaults")
            .hint("look at OTLAKE_… variables that are set"));
    };
    let mut args = *args;
    for address in [&mut args.otlp_grpc, &mut args.otlp_http, &mut args.http] {
        *address = if on_free_ports { any_port(*address) } else { free(*address) };
    }
    Ok(args)
}

/// The address, or the same with a port that the system picks where it is taken.
fn free(address: SocketAddr) -> SocketAddr {
    match TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => any_port(address),
    }
}

fn any_port(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), 0)
}

/// What runs where, and what to ask.
fn announce(
    args: &RunArgs,
    screen: Screen,
    (dir, is_temporary): (&Path, bool),
    server: &Server,
    running: &Running,
) -> Result<(), Failure> {
    if args.has_explorer() {
        return Ok(());
    }
    let url = server.addresses.url();
    let kept = if is_temporary { " (deleted at the end; --data DIR keeps it)" } else { "" };
    let text = format!(
        "otlake {version}, data in {dir}{kept}\n\n  \
         customers come to        http://{gateway}\n  \
         OTLP gRPC (and HTTP)     {grpc}\n  \
         SQL, health, metrics     {url}\n\n\
         Look at it while it runs:\n\n  \
         otlake tui --url {url}\n  \
         otlake services --url {url}\n  \
         otlake map --url {url}\n  \
         otlake causes --url {url}\n",
        version = env!("CARGO_PKG_VERSION"),
        dir = dir.display(),
        gateway = running.gateway_addr(),
        grpc = server.addresses.otlp_grpc,
    );
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    if let Some(scenario) = args.scenario()? {
        let said =
            format!("\nScenario S{}: `--explain` tells at the end what was wrong.\n", scenario.id);
        out.write_all(screen.dim(&said).as_bytes())?;
    }
    Ok(out.flush()?)
}

/// What was wrong, and which views show it.
fn explain(out: &mut impl Write, scenario: &Scenario, record: &Record) -> Result<(), Failure> {
    writeln!(out, "\nS{} {}: {}", scenario.id, scenario.name, scenario.mechanism)?;
    writeln!(out, "  culprit   {:?} {}", record.culprit.kind, record.culprit.name)?;
    writeln!(out, "  noticed   {}", record.why)?;
    for view in &record.views {
        writeln!(out, "  shown by  {view}")?;
    }
    Ok(())
}
