//! A run of the system: its instances as threads of this program or as processes, the customers, and
//! what is done to it meanwhile.
//!
//! Nothing here is global: several runs may live in one program, beside whatever else it does.

mod fleet;
mod footprint;
mod instance;
mod processes;
mod scaling;
mod spec;
mod story;
mod tasks;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::chaos::Chaos;
use crate::faults::Script;
use crate::load;
use crate::scenarios::Scenario;
use crate::telemetry;
use crate::topology::{Role, Shop};
use crate::truth::Record;
use fleet::Fleet;
pub use footprint::{Usage, footprint_table};
pub use instance::SPEC_VARIABLE;
pub use processes::{Program, instance_main};
use scaling::Autoscaling;
pub use scaling::Scaling;
pub use spec::Ports;
use story::Story;

/// How instances run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each on a thread of this program.
    #[default]
    Tasks,
    /// Each as a process.
    Processes,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How instances run.
    pub mode: Mode,
    /// Which roles.
    pub shop: Shop,
    /// Where they listen.
    pub ports: Ports,
    /// Where telemetry goes; what is not set comes from the `OTEL_…` variables.
    pub telemetry: telemetry::Settings,
    /// Requests a second; 0 for none.
    pub rate_per_s: f64,
    /// How the rate changes.
    pub traffic: load::Traffic,
    /// How long customers come; for ever, if none.
    pub duration: Option<Duration>,
    /// The same seed makes the same requests and the same choices.
    pub seed: u64,
    /// A fault to play.
    pub scenario: Option<&'static Scenario>,
    /// Faults by a timetable.
    pub chaos: Option<Chaos>,
    /// Seconds of the timetable in a second of life.
    pub clock_speed: f64,
    /// How services are scaled; their instances stay as many as they are, if none.
    pub scaling: Option<Scaling>,
    /// Whether services show each other papers (mutual TLS), also where no fault needs it.
    pub tls: bool,
    /// How to start an instance, in [`Mode::Processes`].
    pub program: Option<Program>,
    /// Where the record of what was played goes; nowhere, if none.
    pub truth: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: Mode::default(),
            shop: Shop::default(),
            ports: Ports::default(),
            telemetry: telemetry::Settings::default(),
            rate_per_s: 40.0,
            traffic: load::Traffic::Lively,
            duration: None,
            seed: 1,
            scenario: None,
            chaos: None,
            clock_speed: 1.0,
            scaling: None,
            tls: false,
            program: None,
            truth: None,
        }
    }
}

impl Options {
    fn needs_papers(&self) -> bool {
        self.tls || self.scenario.is_some_and(Script::needs_tls)
    }
}

/// A system that runs.
#[derive(Debug)]
pub struct Running {
    gateway: SocketAddr,
    fleet: Arc<Fleet>,
    autoscaler: Option<Autoscaling>,
    story: Story,
    runtimes: Runtimes,
    folder: TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ended {
    /// What the customers saw.
    pub report: load::Report,
    /// What was played, if anything was.
    pub record: Option<Record>,
    /// Telemetry that could not be sent, and commands that could not be carried out.
    pub losses: Vec<String>,
}

/// The runtimes of a run. They end in the background, since they may be dropped inside of another.
#[derive(Debug)]
struct Runtimes {
    /// Exporters.
    telemetry: Option<Runtime>,
    /// Customers, proxies, and who turns the knobs.
    stage: Option<Runtime>,
}

impl Runtimes {
    fn start() -> std::io::Result<Runtimes> {
        let build = |name| {
            Builder::new_multi_thread().worker_threads(1).thread_name(name).enable_all().build()
        };
        Ok(Runtimes { telemetry: Some(build("telemetry")?), stage: Some(build("stage")?) })
    }

    fn handle(runtime: &Option<Runtime>) -> anyhow::Result<tokio::runtime::Handle> {
        let runtime = runtime.as_ref().context("the runtime has ended")?;
        Ok(runtime.handle().clone())
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        for runtime in [self.stage.take(), self.telemetry.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

/// Starts a system; returns when all instances answer. What is dropped half way ends by itself.
pub async fn start(options: Options) -> anyhow::Result<Running> {
    let folder = tempfile::Builder::new().prefix("instrumented-demo-").tempdir()?;
    let runtimes = Runtimes::start()?;
    let specs = spec::lay_out(&options, folder.path())?;
    let gateway = specs
        .iter()
        .find(|spec| spec.role == Role::Gateway)
        .map(|spec| spec.address)
        .context("the system has no gateway")?;
    let telemetry = Runtimes::handle(&runtimes.telemetry)?;
    let stage = Runtimes::handle(&runtimes.stage)?;
    let fleet = Arc::new(Fleet::new(&options, specs, telemetry.clone(), stage.clone())?);
    fleet.start().await?;
    let autoscaler = Autoscaling::begin(&options, &fleet, &telemetry, &stage)?;
    let story = Story::begin(options, gateway, &fleet, &stage);
    Ok(Running { gateway, fleet, autoscaler, story, runtimes, folder })
}

impl Running {
    /// Where customers come in.
    pub fn gateway_addr(&self) -> SocketAddr {
        self.gateway
    }

    /// The names of all instances and where they listen.
    pub fn listeners(&self) -> Vec<(String, SocketAddr)> {
        self.fleet.listeners()
    }

    /// What the customers saw so far.
    pub fn report(&self) -> load::Report {
        self.story.report()
    }

    /// What is done to the system from outside: faults of one's own.
    pub fn world(&self) -> &(impl crate::faults::World + use<>) {
        &*self.fleet
    }

    /// Memory and processor time of each process so far; empty where the system does not tell.
    pub fn footprint(&self) -> Vec<Usage> {
        footprint::measure(&self.fleet.processes())
    }

    /// Waits until no more customers come.
    pub async fn finished(&mut self) {
        self.story.finished().await;
    }

    /// Ends everything: first the customers, then the instances from the gateway to the registry,
    /// each sending the telemetry it has; then the databases are deleted.
    pub async fn stop(self) -> Ended {
        let Running { fleet, autoscaler, story, runtimes, folder, .. } = self;
        let (report, record, mut losses) = story.end().await;
        if let Some(autoscaler) = autoscaler {
            losses.extend(autoscaler.end().await);
        }
        losses.extend(fleet.stop().await);
        drop(runtimes);
        if let Err(error) = folder.close() {
            losses.push(format!("the folder of the run could not be deleted: {error}"));
        }
        Ended { report, record, losses }
    }
}
