//! A run from its first request to its last: the customers, what befalls the system meanwhile, and
//! the truth about it in a file of its own.

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Driver, Effect, Fleet, Outcome, Phases, Script, World, drive};
use crate::chaos::{Chaos, Clock};
use crate::load::{self, Customers, Plan, Report};
use crate::scenarios::Scenario;
use crate::truth::{self, Record};

/// Strikes that wait to be carried out. A timetable has one a minute at most.
const STRIKES_MAX: usize = 64;
/// A scenario is judged so long after its fault, so that its last requests have been answered.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What to run.
#[derive(Clone, Debug)]
pub struct Case {
    /// What goes wrong, if anything does.
    pub scenario: Option<&'static Scenario>,
    /// When it goes wrong.
    pub phases: Phases,
    /// The customers. Their seed is the seed of everything; the scenario sets their change.
    pub load: load::Options,
    /// A timetable of chaos, and the clock that it goes by.
    pub chaos: Option<(Chaos, Clock)>,
}

/// What came of it.
#[derive(Debug)]
pub struct Played {
    /// What became of the commands to the system.
    pub outcome: Outcome,
    /// The truth about the scenario, as the file has it too.
    pub record: Option<Record>,
}

impl Case {
    /// Runs until the customers have all been answered, or `stop` is cancelled; where no customers
    /// come, only that ends it. The truth is appended to a file in the folder, if there is one. The
    /// report has the boundaries of the phases and can be read meanwhile: [`Case::report`] makes it.
    pub async fn play(
        &self,
        gateway: SocketAddr,
        fleet: &Fleet,
        world: &impl World,
        truth: Option<&Path>,
        report: Arc<Mutex<Report>>,
        stop: CancellationToken,
    ) -> anyhow::Result<Played> {
        let chronicle = Chronicle::open(self.load.seed, truth)?;
        let script = self.scenario.map(|s| Script::new(s, self.phases, self.load.seed, fleet));
        let effects = script.iter().flat_map(|script| script.effects.clone());
        let change = script.as_ref().and_then(|script| script.load);
        let plan = Plan::new(load::Options { change: change.or(self.load.change), ..self.load });

        let (strike, strikes) = mpsc::channel(STRIKES_MAX);
        // Everything else ends with the customers.
        let over = stop.child_token();
        let customers = Customers::of(gateway);
        let sending =
            load::run(plan, customers, chronicle.start, Arc::clone(&report), over.clone());
        let sending = async {
            sending.await;
            if self.load.rate_per_s <= 0.0 {
                over.cancelled().await;
            }
            over.cancel();
        };
        let driving = drive(Driver::new(effects), strikes, chronicle.start, world, over.clone());
        let striking = self.strike(fleet, &chronicle, strike, over.clone());
        let judging = self.judge(script.as_ref(), &chronicle, &report, over.clone());
        let ((), outcome, struck, record) = tokio::join!(sending, driving, striking, judging);
        struck?;
        Ok(Played { outcome, record: record? })
    }

    /// An empty report for this case.
    pub fn report(&self) -> Arc<Mutex<Report>> {
        Arc::new(Mutex::new(Report::new(self.phases.boundaries())))
    }

    /// Hands over and writes down what the timetable strikes.
    async fn strike(
        &self,
        fleet: &Fleet,
        chronicle: &Chronicle,
        effects: mpsc::Sender<Effect>,
        over: CancellationToken,
    ) -> anyhow::Result<()> {
        let Some((chaos, clock)) = &self.chaos else { return Ok(()) };
        let mut written = Ok(());
        let struck = |strike: crate::chaos::Strike, effect: Effect| {
            let record = strike.record(chronicle.seed, chronicle.start_ns, &effect);
            // What finds no place is not carried out, and so is not true.
            if effects.try_send(effect).is_ok() && written.is_ok() {
                written = chronicle.write(&record);
            }
        };
        chaos.watch(fleet, *clock, chronicle.start, over, struck).await;
        written
    }

    /// Judges the scenario and writes it down when its fault is over, or when the run is.
    async fn judge(
        &self,
        script: Option<&Script>,
        chronicle: &Chronicle,
        report: &Mutex<Report>,
        over: CancellationToken,
    ) -> anyhow::Result<Option<Record>> {
        let Some(script) = script else { return Ok(None) };
        let settled = chronicle.start + self.phases.fault_to() + ANSWERS_WITHIN;
        tokio::select! {
            () = over.cancelled() => {}
            () = tokio::time::sleep_until(settled) => {}
        }
        let report = report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut record = script.record(chronicle.start_ns, &report);
        record.end_ns = record.end_ns.min(now_ns());
        // Stopped before anything happened, there is nothing to tell.
        if record.end_ns <= record.start_ns {
            return Ok(None);
        }
        chronicle.write(&record)?;
        Ok(Some(record))
    }
}

/// When a run began, and where its truth is written.
struct Chronicle {
    seed: u64,
    start: Instant,
    start_ns: i64,
    file: Option<Mutex<File>>,
}

impl Chronicle {
    fn open(seed: u64, folder: Option<&Path>) -> anyhow::Result<Chronicle> {
        let file = folder.map(open).transpose()?.map(Mutex::new);
        Ok(Chronicle { seed, start: Instant::now(), start_ns: now_ns(), file })
    }

    fn write(&self, record: &Record) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        record.write(&mut *file).with_context(|| format!("cannot write {}", truth::FILE_NAME))
    }
}

fn open(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(truth::FILE_NAME);
    let opened = std::fs::create_dir_all(folder)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
    opened.with_context(|| format!("cannot write {}", path.display()))
}

/// Nanoseconds since 1970.
fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
