//! Chaos by timetable: `chaos.yaml` says when to look, how likely something breaks, what may break,
//! and what never does.
//!
//! ```yaml
//! chaos:
//!   enabled: true
//!   schedule: "0 9-17 * * 1-5"   # minute, hour, day, month, day of the week
//!   probability: 0.1
//!   actions:
//!     - terminateInstance        # a name, or a map with parameters
//!     - type: networkLatency
//!       latency: 1000ms
//!   exceptions:
//!     - payment-gateway          # the payment provider and the way to it
//!   # ours, and optional:
//!   seed: 1
//!   duration: 60s                # of actions that do not say it themselves
//!   targets: [order-service]     # nothing else is hit
//! ```
//!
//! Each firing is one draw, and a pure function of the seed and the minute: when the program was
//! started changes nothing. Exceptions bind the timetable only; a scenario started by name may hit
//! what they protect. Of databases: SQLite has no network and no process of its own, so none of the
//! actions reaches one but by the service it lies in.

mod cron;
#[cfg(test)]
mod tests;
mod watch;
mod yaml;

use std::time::Duration;

use jiff::civil::DateTime;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::faults::{Act, Effect, Fleet, Knob, Leak};
use crate::proxy::Conditions;

pub use cron::{Cron, CronError};
pub use watch::Clock;
pub use yaml::ChaosError;

/// What `terminateInstance` lets pass before the instance is back.
const DOWN_FOR: Duration = Duration::from_secs(10);
/// At so much a leaking instance dies.
const LEAK_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// A `chaos.yaml`, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Chaos {
    /// Whether anything happens at all.
    pub enabled: bool,
    /// When to draw.
    pub schedule: Cron,
    /// How likely a firing breaks something.
    pub probability: f64,
    /// What may break.
    pub actions: Vec<Action>,
    /// What is never hit: services, instances, databases, and the two names of the article.
    pub exceptions: Vec<String>,
    /// What may be hit; everything, if empty.
    pub targets: Vec<String>,
    /// The same seed draws the same.
    pub seed: u64,
}

/// One way to break something.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// What is done.
    pub kind: ActionKind,
    /// The service or instance; a random one, if none.
    pub target: Option<String>,
    /// For how long.
    pub duration: Duration,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Kills an instance; it comes back after ten seconds.
    TerminateInstance,
    /// Delays what goes over one edge.
    NetworkLatency {
        /// There and back together.
        latency_ms: u64,
        /// At most so much more or less.
        jitter_ms: u64,
    },
    /// Spins on the thread of an instance.
    CpuSpike {
        /// Share of the time.
        percent: u8,
    },
    /// Keeps memory per message until the instance dies.
    MemoryLeak {
        /// Kept each time.
        bytes_per_message: usize,
    },
}

impl ActionKind {
    /// Its name in `chaos.yaml`.
    pub fn name(self) -> &'static str {
        match self {
            ActionKind::TerminateInstance => "terminateInstance",
            ActionKind::NetworkLatency { .. } => "networkLatency",
            ActionKind::CpuSpike { .. } => "cpuSpike",
            ActionKind::MemoryLeak { .. } => "memoryLeak",
        }
    }
}

/// Something that an action can hit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// An instance of a service.
    Instance {
        /// The service.
        service: String,
        /// The instance.
        instance: String,
    },
    /// The way from a caller to a callee.
    Edge {
        /// Who calls.
        caller: String,
        /// Who is called.
        callee: String,
    },
}

/// What a firing came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    /// The minute.
    pub at: DateTime,
    /// What is hit, if the draw says so.
    pub strike: Option<Strike>,
}

/// An action and what it hits.
#[derive(Clone, Debug, PartialEq)]
pub struct Strike {
    /// What is done.
    pub action: Action,
    /// To whom.
    pub target: Target,
}

impl Chaos {
    /// Reads a `chaos.yaml`.
    pub fn parse(text: &str) -> Result<Chaos, ChaosError> {
        yaml::parse(text)
    }

    /// The next firing after a minute; none if nothing is enabled or the timetable has no more.
    pub fn next_after(&self, at: DateTime, fleet: &Fleet) -> Option<Firing> {
        let at = self.enabled.then(|| self.schedule.next_after(at)).flatten()?;
        Some(Firing { at, strike: self.draw(at, fleet) })
    }

    /// All firings from one minute to before another, in virtual time.
    pub fn rehearse<'a>(
        &'a self,
        from: DateTime,
        to: DateTime,
        fleet: &'a Fleet,
    ) -> impl Iterator<Item = Firing> + 'a {
        let before = from.checked_sub(jiff::Span::new().minutes(1)).unwrap_or(from);
        let first = self.next_after(before, fleet);
        let firings = std::iter::successors(first, move |firing| self.next_after(firing.at, fleet));
        firings.take_while(move |firing| firing.at < to)
    }

    fn draw(&self, at: DateTime, fleet: &Fleet) -> Option<Strike> {
        let minute = at.duration_since(DateTime::default()).as_mins();
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add((minute as u64) << 20));
        if random.random::<f64>() >= self.probability {
            return None;
        }
        let action = self.actions.choose(&mut random)?;
        let target = self.candidates(action, fleet).choose(&mut random)?.clone();
        Some(Strike { action: action.clone(), target })
    }

    /// Everything that an action may hit, in the order of the fleet.
    fn candidates(&self, action: &Action, fleet: &Fleet) -> Vec<Target> {
        let all: Vec<Target> = match action.kind {
            ActionKind::NetworkLatency { .. } => fleet.edges.iter().map(Target::edge).collect(),
            _ => fleet.instances.iter().map(Target::instance).collect(),
        };
        let wanted = |target: &Target| {
            action.target.as_ref().is_none_or(|name| target.is_called(name))
                && (self.targets.is_empty() || self.targets.iter().any(|n| target.is_called(n)))
        };
        all.into_iter().filter(|target| wanted(target) && !self.excepts(target)).collect()
    }

    fn excepts(&self, target: &Target) -> bool {
        let covers = |exception: &String| match exception.as_str() {
            "payment-gateway" => target.touches("psp"),
            "production-database" => target.names().any(is_primary_database),
            name => target.touches(name),
        };
        self.exceptions.iter().any(covers)
    }
}

/// A database node of the map that is no replica.
fn is_primary_database(name: &str) -> bool {
    name.starts_with("sqlite:") && !name.contains("@replica")
}

impl Target {
    fn edge((caller, callee): &(String, String)) -> Target {
        Target::Edge { caller: caller.clone(), callee: callee.clone() }
    }

    fn instance(member: &crate::faults::Member) -> Target {
        Target::Instance { service: member.service.clone(), instance: member.instance.clone() }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let (a, b) = match self {
            Target::Instance { service, instance } => (service, instance),
            Target::Edge { caller, callee } => (caller, callee),
        };
        [a.as_str(), b.as_str()].into_iter()
    }

    /// Whether a name of the file means this: of an edge, the callee.
    fn is_called(&self, name: &str) -> bool {
        match self {
            Target::Instance { service, instance } => service == name || instance == name,
            Target::Edge { callee, .. } => callee == name,
        }
    }

    fn touches(&self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }
}

impl Strike {
    /// What it does, from a moment of the run on.
    pub fn effect(&self, from: Duration) -> Effect {
        Effect { from, to: from + self.action.duration, act: self.act() }
    }

    fn act(&self) -> Act {
        match (&self.target, self.action.kind) {
            (Target::Edge { caller, callee }, kind) => {
                Act::network(caller, callee, kind.conditions())
            }
            (Target::Instance { instance, .. }, kind) => match kind {
                ActionKind::CpuSpike { percent } => {
                    Act::knob(instance, Knob::CpuSpinPercent(percent))
                }
                ActionKind::MemoryLeak { bytes_per_message } => {
                    let leak = Leak { bytes_per_message, limit_bytes: LEAK_LIMIT_BYTES };
                    Act::knob(instance, Knob::Leak(leak))
                }
                ActionKind::TerminateInstance | ActionKind::NetworkLatency { .. } => {
                    Act::Terminate { instance: instance.clone(), down_for: DOWN_FOR }
                }
            },
        }
    }
}

impl ActionKind {
    fn conditions(self) -> Conditions {
        match self {
            ActionKind::NetworkLatency { latency_ms, jitter_ms } => {
                Conditions::slower_by(latency_ms, jitter_ms)
            }
            _ => Conditions::default(),
        }
    }
}
