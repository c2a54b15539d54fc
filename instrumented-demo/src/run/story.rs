//! What happens in a run: customers come, and a fault may be played, by a scenario or by a timetable.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use jiff::{Timestamp, Zoned};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::fleet::Fleet;
use crate::chaos::Chaos;
use crate::faults::{self, Driver, Effect, Outcome, Phases, Script};
use crate::load::{self, Customers, Plan, Report};
use crate::topology::{ITEMS, PARTNER_KEY, USERS};
use crate::truth::{self, Record};

/// Effects of a timetable that wait to be carried out.
const EFFECTS_MAX: usize = 64;

/// What goes on.
#[derive(Debug)]
pub(super) struct Story {
    report: Arc<Mutex<Report>>,
    stop: CancellationToken,
    customers: Option<JoinHandle<()>>,
    driver: JoinHandle<Outcome>,
    script: Option<Script>,
    start_ns: i64,
    truth: Option<PathBuf>,
}

impl Story {
    /// Begins, on the runtime of the stage.
    pub(super) fn begin(
        options: Options,
        gateway: SocketAddr,
        fleet: &Arc<Fleet>,
        stage: &Handle,
    ) -> Story {
        let targets = fleet.targets();
        let phases = options.duration.map_or_else(Phases::default, Phases::within);
        let script =
            options.scenario.map(|played| Script::new(played, phases, options.seed, &targets));
        let boundaries = script.as_ref().map(|script| script.phases().boundaries());
        let report = Arc::new(Mutex::new(Report::new(boundaries.unwrap_or_default())));
        let stop = CancellationToken::new();
        let (more, effects) = mpsc::channel(EFFECTS_MAX);
        let start = Instant::now();
        let start_ns = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
        let driver = {
            let effects_known = script.iter().flat_map(|script| script.effects.clone());
            let (driver, fleet) = (Driver::new(effects_known), fleet.clone());
            let stop = stop.clone();
            stage.spawn(async move { faults::drive(driver, effects, start, &*fleet, stop).await })
        };
        if let Some(chaos) = options.chaos.clone() {
            stage.spawn(follow(chaos, targets, more, start, stop.clone()));
        }
        let customers = (options.rate_per_s > 0.0).then(|| {
            let plan = plan(&options, script.as_ref());
            let customers = Customers { api_key: PARTNER_KEY.to_owned(), ..Customers::of(gateway) };
            stage.spawn(load::run(plan, customers, start, report.clone(), stop.clone()))
        });
        let truth = options.truth;
        Story { report, stop, customers, driver, script, start_ns, truth }
    }

    /// What the customers saw so far.
    pub(super) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until no more customers come; without a duration that is never.
    pub(super) async fn finished(&mut self) {
        match &mut self.customers {
            Some(customers) => {
                // Nobody cancels it but the end, and a panic there is an end too.
                let _ = customers.await;
                self.customers = None;
            }
            None => std::future::pending().await,
        }
    }

    /// Sends the customers home and takes back what was done.
    pub(super) async fn end(self) -> (Report, Option<Record>, Vec<String>) {
        self.stop.cancel();
        if let Some(customers) = self.customers {
            let _ = customers.await;
        }
        let mut losses = match self.driver.await {
            Ok(outcome) => outcome.failures,
            Err(error) => vec![format!("nobody carried faults out: {error}")],
        };
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let record = self.script.as_ref().map(|script| script.record(self.start_ns, &report));
        if let (Some(record), Some(folder)) = (&record, &self.truth)
            && let Err(error) = write(record, folder)
        {
            losses.push(format!("the record of the run was not written: {error:#}"));
        }
        (report, record, losses)
    }
}

fn plan(options: &Options, script: Option<&Script>) -> Plan {
    Plan::new(load::Options {
        seed: options.seed,
        rate_per_s: options.rate_per_s,
        traffic: options.traffic,
        duration: options.duration,
        users: USERS,
        items: ITEMS,
        change: script.and_then(|script| script.load),
    })
}

fn write(record: &Record, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(truth::FILE_NAME);
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path)?;
    record.write(&mut file).with_context(|| format!("{} cannot be written", path.display()))
}

/// Breaks what a timetable says, by the clock on the wall.
async fn follow(
    chaos: Chaos,
    targets: faults::Fleet,
    effects: mpsc::Sender<Effect>,
    start: Instant,
    stop: CancellationToken,
) {
    let mut last = Zoned::now().datetime();
    while let Some(firing) = chaos.next_after(last, &targets) {
        last = firing.at;
        let wait = Zoned::now().datetime().until(last).map(Duration::try_from);
        let wait = wait.ok().and_then(Result::ok).unwrap_or_default();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        if let Some(strike) = firing.strike
            && effects.send(strike.effect(start.elapsed())).await.is_err()
        {
            return;
        }
    }
}
