//! The autoscaler of a run: looks at what the instances of the scaled services use, asks the formula,
//! and has instances started and stopped. What it decides is in its own logs and metrics.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{Dispatch, dispatcher};

use super::Options;
use super::fleet::Fleet;
use crate::autoscale::{Autoscaler, Policy, REQUESTS, ScaleEvent, Utilisation};
use crate::faults::Knobs;
use crate::say;
use crate::telemetry::names::metrics;
use crate::telemetry::{Identity, Telemetry, process_environment};
use crate::topology::Role;

/// `service.name` of the autoscaler. It takes no requests, so it has no spans.
const NAME: &str = "autoscaler";
const HOST: &str = "host-a";

/// How services are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// Time between two looks.
    pub every: Duration,
    /// The rules; a service never has fewer instances than it began with.
    pub policy: Policy,
    /// How long an instance that leaves still serves those who know its address.
    pub leave_time: Duration,
}

impl Default for Scaling {
    /// For a small machine and short runs.
    fn default() -> Scaling {
        Scaling {
            every: Duration::from_secs(5),
            policy: Policy::small(),
            // The registry forgets after 6 s, callers after 10 s more.
            leave_time: Duration::from_secs(17),
        }
    }
}

/// What an instance had used so far when it was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    pub(super) role: Role,
    pub(super) instance: String,
    /// Seconds on processors.
    pub(super) cpu_s: f64,
    /// Unknown where instances share their memory; then processors alone decide.
    pub(super) memory_bytes: Option<u64>,
}

/// A service with its instances: how many there are, and how many there should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    current: u32,
    desired: u32,
}

/// Decides by samples.
#[derive(Debug)]
struct Supervisor {
    policy: Policy,
    scalers: BTreeMap<Role, Autoscaler>,
    before: HashMap<String, (Instant, f64)>,
}

impl Supervisor {
    /// Nobody was looked at yet.
    fn new(policy: Policy) -> Supervisor {
        Supervisor { policy, scalers: BTreeMap::new(), before: HashMap::new() }
    }

    /// Decides for each service by the samples of all its instances. One that is seen for the first
    /// time counts as one and uses nothing yet.
    fn decide(&mut self, now: Instant, samples: &[Sample]) -> BTreeMap<Role, Option<ScaleEvent>> {
        let mut by_role: BTreeMap<Role, Vec<&Sample>> = BTreeMap::new();
        for sample in samples {
            by_role.entry(sample.role).or_default().push(sample);
        }
        let decide = |(role, samples): (Role, Vec<&Sample>)| {
            let observed = self.observed(now, &samples);
            let scaler = self.scalers.entry(role).or_insert_with(|| {
                let instances_min = role.facts().instances as u32;
                Autoscaler::new(Policy { instances_min, ..self.policy })
            });
            (role, scaler.decide(now, samples.len() as u32, observed))
        };
        let decided = by_role.into_iter().map(decide).collect();
        self.before = samples.iter().map(|s| (s.instance.clone(), (now, s.cpu_s))).collect();
        decided
    }

    /// What the instances use on average.
    fn observed(&self, now: Instant, samples: &[&Sample]) -> Utilisation {
        let cores = samples.iter().filter_map(|sample| {
            let (then, cpu_s) = self.before.get(&sample.instance)?;
            let passed_s = now.saturating_duration_since(*then).as_secs_f64();
            (passed_s > 0.0).then(|| (sample.cpu_s - cpu_s).max(0.0) / passed_s)
        });
        let count = samples.len().max(1);
        let memory: u64 = samples.iter().filter_map(|sample| sample.memory_bytes).sum();
        Utilisation::of(REQUESTS, cores.sum::<f64>() / count as f64, memory / count as u64)
    }
}

/// How the autoscaler tells what it does.
#[derive(Debug)]
struct Told {
    telemetry: Telemetry,
    lines: Dispatch,
    counts: Arc<Mutex<BTreeMap<Role, Count>>>,
}

impl Told {
    fn new(telemetry: Telemetry) -> Told {
        let counts: Arc<Mutex<BTreeMap<Role, Count>>> = Arc::default();
        let lines = Dispatch::new(telemetry.subscriber());
        type Number = fn(Count) -> u32;
        let numbers: [(&'static str, Number); 2] = [
            (metrics::INSTANCES_CURRENT, |count| count.current),
            (metrics::INSTANCES_DESIRED, |count| count.desired),
        ];
        for (name, number) in numbers {
            let counts = counts.clone();
            telemetry.instruments().gauge(name, "{instance}", move |observe| {
                let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                for (role, count) in counts.iter() {
                    let service = KeyValue::new("service", role.name());
                    observe(i64::from(number(*count)), vec![service]);
                }
            });
        }
        Told { telemetry, lines, counts }
    }

    fn note(&self, role: Role, current: u32, desired: u32) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.insert(role, Count { current, desired });
    }

    fn say(&self, role: Role, event: &ScaleEvent) {
        let ScaleEvent { from, to, metric, observed } = *event;
        let Utilisation { cpu_percent, memory_percent } = observed;
        dispatcher::with_default(&self.lines, || {
            say!(
                info,
                scaled = role.name(),
                from = from,
                to = to,
                metric = metric.name(),
                cpu_percent = cpu_percent.round() as i64,
                memory_percent = memory_percent.round() as i64,
                "{role} goes from {from} to {to} instances: {} at {:.0} % of the request",
                metric.name(),
                if metric.name() == "cpu" { cpu_percent } else { memory_percent }
            );
        });
    }

    fn warn(&self, role: Role, error: &anyhow::Error) {
        dispatcher::with_default(&self.lines, || {
            say!(warn, scaled = role.name(), "{role} was not scaled: {error:#}");
        });
    }
}

/// The autoscaler of a run, at work.
#[derive(Debug)]
pub(super) struct Autoscaling {
    told: Arc<Told>,
    stop: CancellationToken,
    works: JoinHandle<()>,
}

impl Autoscaling {
    /// Begins on the runtime of the stage, if the options ask for it.
    pub(super) fn begin(
        options: &Options,
        fleet: &Arc<Fleet>,
        exporters: &Handle,
        stage: &Handle,
    ) -> anyhow::Result<Option<Autoscaling>> {
        let Some(scaling) = options.scaling else { return Ok(None) };
        let settings = options.telemetry.clone();
        let knobs = Knobs::new();
        let telemetry =
            Telemetry::start(identity(), settings, &knobs, exporters, &process_environment)?;
        let told = Arc::new(Told::new(telemetry));
        let stop = CancellationToken::new();
        let work = supervise(Arc::downgrade(fleet), scaling, told.clone(), stop.clone());
        Ok(Some(Autoscaling { told, stop, works: stage.spawn(work) }))
    }

    /// Decides nothing any more, and sends what it has to say; returns what could not be sent.
    pub(super) async fn end(self) -> Vec<String> {
        self.stop.cancel();
        let failed = |error: JoinError| vec![format!("the autoscaler ended: {error}")];
        if let Err(error) = self.works.await {
            return failed(error);
        }
        let told = self.told;
        tokio::task::spawn_blocking(move || told.telemetry.shutdown()).await.unwrap_or_else(failed)
    }
}

/// Who it is in telemetry.
fn identity() -> Identity {
    let facts = Role::Registry.facts();
    Identity {
        service: NAME,
        instance: format!("{NAME}-1"),
        version: "1.0.0".to_owned(),
        host: HOST.to_owned(),
        team: facts.team,
        domain: facts.domain,
    }
}

/// Looks, decides and acts until it is stopped, or the fleet is gone.
async fn supervise(fleet: Weak<Fleet>, scaling: Scaling, told: Arc<Told>, stop: CancellationToken) {
    let mut supervisor = Supervisor::new(scaling.policy);
    let mut ticks = tokio::time::interval(scaling.every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(fleet) = fleet.upgrade() else { return };
        let samples = fleet.samples();
        for (role, event) in supervisor.decide(Instant::now(), &samples) {
            let current = samples.iter().filter(|sample| sample.role == role).count() as u32;
            told.note(role, current, event.map_or(current, |event| event.to));
            let Some(event) = event else { continue };
            told.say(role, &event);
            if let Err(error) = fleet.scale(role, event.to as usize).await {
                told.warn(role, &error);
            }
        }
    }
}
