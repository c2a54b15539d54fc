//! The demo as a program of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use instrumented_demo::chaos::Chaos;
use instrumented_demo::run::{self, Mode, Options, Ports, Program, Scaling};
use instrumented_demo::scenarios::{self, Scenario};
use instrumented_demo::sim;
use instrumented_demo::telemetry::Settings;
use instrumented_demo::telemetry::names::Semconv;
use instrumented_demo::topology::Shop;

/// A microservice system that sends OpenTelemetry data, with faults whose culprits are known.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the system.
    Run(Box<RunArgs>),
    /// Make telemetry without running anything.
    Generate(sim::Args),
    /// List the faults that can be played.
    Scenarios,
    /// Run one instance; the demo starts itself like this.
    #[command(hide = true)]
    Instance,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ModeArg {
    Tasks,
    Processes,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ServicesArg {
    #[value(name = "shop-5")]
    Five,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SemconvArg {
    New,
    Old,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Instances as threads of this program, or as processes.
    #[arg(long, value_enum, default_value = "tasks")]
    mode: ModeArg,
    /// Which services run.
    #[arg(long, value_enum, default_value = "all")]
    services: ServicesArg,
    /// Where telemetry goes, over gRPC; without it the OTEL_EXPORTER_OTLP_… variables say so.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Requests a second.
    #[arg(long, default_value_t = 40.0)]
    rate: f64,
    /// End after so many minutes; without it, at Ctrl-C.
    #[arg(long)]
    minutes: Option<f64>,
    /// The same seed makes the same requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Play a fault: its number or name.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Break things by a timetable.
    #[arg(long, value_name = "FILE")]
    chaos: Option<PathBuf>,
    /// Let the clock of the timetable run so many times as fast as life; 604800 is a week a second.
    #[arg(long, value_name = "SPEED", default_value_t = 1.0, requires = "chaos", value_parser = speed)]
    sim_clock: f64,
    /// Write what was really wrong into ground_truth.jsonl of this folder.
    #[arg(long, value_name = "DIR")]
    truth: Option<PathBuf>,
    /// Use free ports instead of the article's.
    #[arg(long)]
    free_ports: bool,
    /// Which names attributes have.
    #[arg(long, value_enum, default_value = "new")]
    semconv: SemconvArg,
    /// Make consumers children of their producers, and not only linked to them.
    #[arg(long)]
    consumers_as_children: bool,
    /// Write log lines to the standard output as well.
    #[arg(long)]
    stdout_logs: bool,
    /// Let services show each other certificates.
    #[arg(long)]
    tls: bool,
    /// Keep the number of instances as it is.
    #[arg(long)]
    no_autoscaler: bool,
    /// Print memory and processor time at the end.
    #[arg(long)]
    footprint: bool,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Instance => run::instance_main(),
        Command::Scenarios => {
            list_scenarios();
            Ok(())
        }
        Command::Generate(args) => sim::run(&args, &mut std::io::stdout()),
        Command::Run(args) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run_system(&args))
        }
    }
}

fn list_scenarios() {
    for scenario in &scenarios::ALL {
        println!("{:>3}  {:<24} {}", scenario.id, scenario.name, scenario.title);
    }
}

impl RunArgs {
    fn options(&self) -> anyhow::Result<Options> {
        let telemetry = Settings {
            endpoint: self.endpoint.clone(),
            semconv: match self.semconv {
                SemconvArg::New => Semconv::New,
                SemconvArg::Old => Semconv::Old,
            },
            consumers_are_children: self.consumers_as_children,
            stdout_logs: self.stdout_logs,
        };
        let path = std::env::current_exe().context("this program cannot find itself")?;
        let duration = self.minutes.map(|minutes| Duration::try_from_secs_f64(minutes * 60.0));
        Ok(Options {
            mode: match self.mode {
                ModeArg::Tasks => Mode::Tasks,
                ModeArg::Processes => Mode::Processes,
            },
            shop: match self.services {
                ServicesArg::Five => Shop::Five,
                ServicesArg::All => Shop::All,
            },
            ports: if self.free_ports { Ports::Free } else { Ports::Article },
            telemetry,
            rate_per_s: self.rate,
            duration: duration.transpose().context("--minutes makes no sense")?,
            seed: self.seed,
            scenario: self.scenario.as_deref().map(scenario).transpose()?,
            chaos: self.chaos.as_deref().map(chaos).transpose()?,
            clock_speed: self.sim_clock,
            program: Some(Program { path, arguments: vec!["instance".to_owned()] }),
            truth: self.truth.clone(),
            scaling: (!self.no_autoscaler).then(Scaling::default),
            tls: self.tls,
            ..Options::default()
        })
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if speed > 0.0 && speed.is_finite() { Ok(speed) } else { Err("it is not above 0".to_owned()) }
}

fn scenario(name: &str) -> anyhow::Result<&'static Scenario> {
    Scenario::find(name)
        .with_context(|| format!("there is no scenario {name}; the command `scenarios` lists them"))
}

fn chaos(path: &std::path::Path) -> anyhow::Result<Chaos> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Chaos::parse(&text).with_context(|| format!("{} makes no sense", path.display()))
}

async fn run_system(args: &RunArgs) -> anyhow::Result<()> {
    let mut running = run::start(args.options()?).await?;
    for (instance, address) in running.listeners() {
        println!("{instance:<24} {address}");
    }
    println!("customers come to http://{}", running.gateway_addr());
    tokio::select! {
        () = running.finished() => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    let usage = running.footprint();
    let ended = running.stop().await;
    let total = ended.report.total();
    println!("{} requests sent, {} failed, {} not sent", total.sent, total.failed, total.not_sent);
    for loss in &ended.losses {
        eprintln!("lost: {loss}");
    }
    if args.footprint {
        print!("{}", run::footprint_table(&usage));
    }
    Ok(())
}
