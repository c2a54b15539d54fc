//! How many instances a service should have: the formula of Kubernetes' horizontal autoscaler.
//!
//! desired = ⌈current × observed ÷ target⌉ for each metric; the largest wins, then the limits. A
//! ratio within a tenth of 1 changes nothing. Going down waits until no higher number was desired
//! for a while; going up does not wait. Utilisation is a share of what an instance *requests*, not
//! of its limit.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::topology::INSTANCES_MAX;

const TOLERANCE: f64 = 0.1;
/// What the arithmetic may be off by: 1.1 lies within the tolerance, and 6.0000000001 is not 7.
const ROUNDING: f64 = 1e-9;

/// What an instance asks of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// The requests of the article: 250m and 256Mi.
pub const REQUESTS: Requests = Requests { cpu_milli: 250, memory_bytes: 256 << 20 };
/// The limits of the article: 500m and 512Mi.
pub const LIMITS: Requests = Requests { cpu_milli: 500, memory_bytes: 512 << 20 };

/// Average use of the instances, as a share of what they request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilisation {
    /// Of processor time.
    pub cpu_percent: f64,
    /// Of memory.
    pub memory_percent: f64,
}

impl Utilisation {
    /// From what the instances use on average.
    pub fn of(requests: Requests, cores: f64, memory_bytes: u64) -> Utilisation {
        Utilisation {
            cpu_percent: 100_000.0 * cores / f64::from(requests.cpu_milli),
            memory_percent: 100.0 * memory_bytes as f64 / requests.memory_bytes as f64,
        }
    }
}

/// The rules of a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Never fewer.
    pub instances_min: u32,
    /// Never more.
    pub instances_max: u32,
    /// The use that is aimed at.
    pub target: Utilisation,
    /// How long a lower number has to be desired.
    pub scale_down_after: Duration,
}

impl Default for Policy {
    /// The article's: 3 to 100 instances, processor at 70 %, memory at 80 %.
    fn default() -> Policy {
        Policy {
            instances_min: 3,
            instances_max: 100,
            target: Utilisation { cpu_percent: 70.0, memory_percent: 80.0 },
            scale_down_after: Duration::from_secs(300),
        }
    }
}

impl Policy {
    /// For a small machine and short runs: 1 to 6 instances, down after half a minute.
    pub fn small() -> Policy {
        let scale_down_after = Duration::from_secs(30);
        let instances_max = INSTANCES_MAX as u32;
        Policy { instances_min: 1, instances_max, scale_down_after, ..Policy::default() }
    }

    /// The number by the formula, and the metric that decides it.
    pub fn desired(&self, current: u32, observed: Utilisation) -> (u32, Metric) {
        let cpu = by_metric(current, observed.cpu_percent, self.target.cpu_percent);
        let memory = by_metric(current, observed.memory_percent, self.target.memory_percent);
        let (largest, metric) =
            if memory > cpu { (memory, Metric::Memory) } else { (cpu, Metric::Cpu) };
        (largest.clamp(self.instances_min, self.instances_max), metric)
    }
}

fn by_metric(current: u32, observed: f64, target: f64) -> u32 {
    let ratio = observed / target;
    if (ratio - 1.0).abs() <= TOLERANCE + ROUNDING {
        return current;
    }
    (f64::from(current) * ratio - ROUNDING).ceil() as u32
}

/// What a number of instances is decided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
}

impl Metric {
    /// Its name in a scale event.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Cpu => "cpu",
            Metric::Memory => "memory",
        }
    }
}

/// A change of the number of instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleEvent {
    /// Instances there are.
    pub from: u32,
    /// Instances there should be.
    pub to: u32,
    /// What decided it.
    pub metric: Metric,
    /// What was observed.
    pub observed: Utilisation,
}

/// The policy and its memory, for one service.
#[derive(Debug)]
pub struct Autoscaler {
    policy: Policy,
    /// Numbers desired lately, falling: a number before which a higher one came later is not kept,
    /// so there are never more than there are instances.
    recent: VecDeque<(Instant, u32)>,
}

impl Autoscaler {
    /// Nothing was desired yet.
    pub fn new(policy: Policy) -> Autoscaler {
        Autoscaler { policy, recent: VecDeque::new() }
    }

    /// Decides by what is observed now. Asked at equal intervals.
    pub fn decide(
        &mut self,
        now: Instant,
        current: u32,
        observed: Utilisation,
    ) -> Option<ScaleEvent> {
        let (desired, metric) = self.policy.desired(current, observed);
        let highest = self.remember(now, desired);
        // Where a higher number was desired lately, the service stays where it is at most.
        let to = if desired >= current { desired } else { highest.min(current) };
        (to != current).then_some(ScaleEvent { from: current, to, metric, observed })
    }

    /// The highest number desired within the window.
    fn remember(&mut self, now: Instant, desired: u32) -> u32 {
        while self.recent.back().is_some_and(|(_, number)| *number <= desired) {
            self.recent.pop_back();
        }
        self.recent.push_back((now, desired));
        let window = self.policy.scale_down_after;
        let is_old = |at: Instant| now.saturating_duration_since(at) >= window;
        while self.recent.len() > 1 && self.recent.front().is_some_and(|(at, _)| is_old(*at)) {
            self.recent.pop_front();
        }
        self.recent.front().map_or(desired, |(_, number)| *number)
    }
}
