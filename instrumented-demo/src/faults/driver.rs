//! Carries effects out when their time comes, and takes them back.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Act, Effect, Settings};
use crate::proxy::Conditions;

/// Failures that are kept in words; all are counted.
const FAILURES_MAX: usize = 32;

/// What is to be done to the system now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// These are the instance's settings from now on, all of them.
    Settings {
        /// The instance.
        instance: String,
        /// What holds.
        settings: Box<Settings>,
    },
    /// This is the way between two services from now on.
    Network {
        /// Who calls.
        caller: String,
        /// Who is called.
        callee: String,
        /// How the way is.
        conditions: Conditions,
    },
    /// Kill the instance now, and start it again after a while.
    Terminate {
        /// The instance.
        instance: String,
        /// How long it stays away.
        down_for: Duration,
    },
    /// Restart the instance in good order.
    Restart {
        /// The instance.
        instance: String,
    },
}

/// The system that obeys.
pub trait World: Send + Sync {
    /// Carries a command out. Settings belong to the name of an instance: one that is started again
    /// gets those of the last command before it serves. Returns without waiting for what takes
    /// longer than a moment.
    fn obey(&self, command: Command) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Knows which effects hold, and what has been said about them.
#[derive(Debug, Default)]
pub struct Driver {
    effects: Vec<Scheduled>,
    settings: BTreeMap<String, Settings>,
    network: BTreeMap<(String, String), Conditions>,
}

#[derive(Debug)]
struct Scheduled {
    effect: Effect,
    has_begun: bool,
}

impl Driver {
    /// A driver of these effects, of which none has begun.
    pub fn new(effects: impl IntoIterator<Item = Effect>) -> Driver {
        let mut driver = Driver::default();
        effects.into_iter().for_each(|effect| driver.add(effect));
        driver
    }

    /// One more effect.
    pub fn add(&mut self, effect: Effect) {
        self.effects.push(Scheduled { effect, has_begun: false });
    }

    /// When something changes next, if anything does.
    pub fn next_change(&self) -> Option<Duration> {
        let changes = self.effects.iter().map(|scheduled| match scheduled.has_begun {
            true => scheduled.effect.to,
            false => scheduled.effect.from,
        });
        changes.min()
    }

    /// What is to be done at this time of the run: first what holds, then who goes.
    pub fn advance(&mut self, now: Duration) -> Vec<Command> {
        let going = self.take_turns(now);
        let mut commands = self.settings_commands();
        commands.extend(self.network_commands());
        commands.extend(going);
        commands
    }

    /// Takes everything back at once, as at the end of a run.
    pub fn end(&mut self) -> Vec<Command> {
        self.effects.retain(|scheduled| scheduled.has_begun);
        self.advance(Duration::MAX)
    }

    /// Begins and ends effects, and says who is to be killed or restarted for it.
    fn take_turns(&mut self, now: Duration) -> Vec<Command> {
        let mut going = Vec::new();
        for scheduled in &mut self.effects {
            let Effect { from, to, act } = &scheduled.effect;
            let begins = !scheduled.has_begun && *from <= now;
            let ends = (scheduled.has_begun || begins) && *to <= now;
            scheduled.has_begun |= begins;
            match act {
                Act::Terminate { instance, down_for } if begins => {
                    let (instance, down_for) = (instance.clone(), *down_for);
                    going.push(Command::Terminate { instance, down_for });
                }
                Act::Restart { instance } if begins != ends => {
                    going.push(Command::Restart { instance: instance.clone() });
                }
                _ => {}
            }
        }
        self.effects.retain(|scheduled| !scheduled.has_begun || scheduled.effect.to > now);
        going
    }

    fn active(&self) -> impl Iterator<Item = &Act> {
        let begun = self.effects.iter().filter(|scheduled| scheduled.has_begun);
        begun.map(|scheduled| &scheduled.effect.act)
    }

    fn settings_commands(&mut self) -> Vec<Command> {
        let mut knobs: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for act in self.active() {
            if let Act::Knob { instance, knob } = act {
                knobs.entry(instance.clone()).or_default().push(knob.clone());
            }
        }
        let settings =
            knobs.into_iter().map(|(instance, knobs)| (instance, knobs.into_iter().collect()));
        let changed = changes(&mut self.settings, settings.collect());
        let command =
            |(instance, settings)| Command::Settings { instance, settings: Box::new(settings) };
        changed.into_iter().map(command).collect()
    }

    fn network_commands(&mut self) -> Vec<Command> {
        let ways = self.active().filter_map(|act| match act {
            Act::Network { caller, callee, conditions } => {
                Some(((caller.clone(), callee.clone()), *conditions))
            }
            _ => None,
        });
        let ways = ways.collect();
        let changed = changes(&mut self.network, ways);
        let command =
            |((caller, callee), conditions)| Command::Network { caller, callee, conditions };
        changed.into_iter().map(command).collect()
    }
}

/// Replaces what holds, and returns what differs; what no longer holds goes back to its default.
fn changes<K: Ord + Clone, V: Default + PartialEq + Clone>(
    held: &mut BTreeMap<K, V>,
    holds: BTreeMap<K, V>,
) -> Vec<(K, V)> {
    let gone = held.keys().filter(|key| !holds.contains_key(*key)).cloned();
    let mut changed: Vec<(K, V)> = gone.map(|key| (key, V::default())).collect();
    let differs = |(key, value): &(&K, &V)| held.get(*key) != Some(*value);
    let new = holds.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone()));
    changed.extend(new);
    *held = holds;
    changed
}

/// What came of the commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Carried out.
    pub obeyed: u64,
    /// Not carried out.
    pub failed: u64,
    /// The first failures in words.
    pub failures: Vec<String>,
}

/// Carries out a driver's effects, and those that come in meanwhile, counting time from `start`.
/// Ends when `stop` is cancelled, or when nothing is left and nothing more can come in; takes
/// everything back then.
pub async fn drive(
    mut driver: Driver,
    mut more: mpsc::Receiver<Effect>,
    start: Instant,
    world: &impl World,
    stop: CancellationToken,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut is_open = true;
    while is_open || driver.next_change().is_some() {
        let next = driver.next_change();
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(start + at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = due => outcome.tell(world, driver.advance(start.elapsed())).await,
            effect = more.recv(), if is_open => match effect {
                Some(effect) => driver.add(effect),
                None => is_open = false,
            },
        }
    }
    outcome.tell(world, driver.end()).await;
    outcome
}

impl Outcome {
    async fn tell(&mut self, world: &impl World, commands: Vec<Command>) {
        for command in commands {
            let words = format!("{command:?}");
            match world.obey(command).await {
                Ok(()) => self.obeyed += 1,
                Err(error) => self.fail(format!("{words}: {error:#}")),
            }
        }
    }

    fn fail(&mut self, words: String) {
        self.failed += 1;
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(words);
        }
    }
}
