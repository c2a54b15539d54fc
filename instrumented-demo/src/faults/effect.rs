//! What a fault does, for how long, and to whom it can be done.

use std::time::Duration;

use super::Knob;
use crate::proxy::Conditions;

/// Something that holds during an interval of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// When it begins, from the start of the run.
    pub from: Duration,
    /// When it is over.
    pub to: Duration,
    /// What it is.
    pub act: Act,
}

/// What can be done to the system.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A knob of an instance is turned.
    Knob {
        /// The instance.
        instance: String,
        /// What is wrong with it.
        knob: Knob,
    },
    /// The way from a caller to a callee has these conditions.
    Network {
        /// Who calls.
        caller: String,
        /// Who is called.
        callee: String,
        /// How the way is.
        conditions: Conditions,
    },
    /// An instance is killed at the beginning, without saying goodbye. The end does nothing.
    Terminate {
        /// The instance.
        instance: String,
        /// When it is started again.
        down_for: Duration,
    },
    /// An instance is restarted in good order, at the beginning and at the end, to take what holds
    /// from a start on.
    Restart {
        /// The instance.
        instance: String,
    },
}

impl Act {
    /// A knob of an instance.
    pub fn knob(instance: &str, knob: Knob) -> Act {
        Act::Knob { instance: instance.to_owned(), knob }
    }

    /// Conditions of a way.
    pub fn network(caller: &str, callee: &str, conditions: Conditions) -> Act {
        Act::Network { caller: caller.to_owned(), callee: callee.to_owned(), conditions }
    }
}

/// Everything that a fault can hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The instances, outside ones included.
    pub instances: Vec<Member>,
    /// Callers and callees that speak over TCP, by service.
    pub edges: Vec<(String, String)>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`.
    pub instance: String,
    /// `host.name`.
    pub host: String,
}

impl Fleet {
    /// The instances of a service.
    pub fn of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a str> {
        let members = self.instances.iter().filter(move |member| member.service == service);
        members.map(|member| member.instance.as_str())
    }
}

/// The parts of a run in which one scenario is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// Pools fill, code is loaded.
    pub warm_up: Duration,
    /// How it is when nothing is wrong.
    pub baseline: Duration,
    /// Something is wrong.
    pub fault: Duration,
    /// It is over.
    pub recovery: Duration,
}

impl Default for Phases {
    fn default() -> Phases {
        let seconds = Duration::from_secs;
        Phases {
            warm_up: seconds(60),
            baseline: seconds(120),
            fault: seconds(100),
            recovery: seconds(60),
        }
    }
}

impl Phases {
    /// Number of the baseline in a report with [`Phases::boundaries`].
    pub const BASELINE: usize = 1;
    /// Number of the fault.
    pub const FAULT: usize = 2;

    /// The default phases, stretched to fill a run.
    pub fn within(total: Duration) -> Phases {
        let full = Phases::default();
        let part = |of: Duration| total.mul_f64(of.as_secs_f64() / full.total().as_secs_f64());
        Phases {
            warm_up: part(full.warm_up),
            baseline: part(full.baseline),
            fault: part(full.fault),
            recovery: part(full.recovery),
        }
    }

    /// The whole run.
    pub fn total(&self) -> Duration {
        self.warm_up + self.baseline + self.fault + self.recovery
    }

    /// When the fault begins.
    pub fn fault_from(&self) -> Duration {
        self.warm_up + self.baseline
    }

    /// When it ends.
    pub fn fault_to(&self) -> Duration {
        self.fault_from() + self.fault
    }

    /// Where one phase ends and the next begins.
    pub fn boundaries(&self) -> Vec<Duration> {
        vec![self.warm_up, self.fault_from(), self.fault_to()]
    }
}
