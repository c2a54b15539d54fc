//! All instances of a run: started, killed, brought back, told what is wrong with them, stopped.

mod scale;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::instance::End;
use super::processes::{self, Process, Program};
use super::spec::Spec;
use super::tasks::{self, Ending, Thread};
use super::{Mode, Options};
use crate::faults::{self, Command, Knobs, Member, Settings, World};
use crate::proxy::{Conditions, Mesh};
use crate::topology::Role;
use crate::wire::Redirects;

/// How long a start may take: the databases are made then.
const START_TIME: Duration = Duration::from_secs(60);
/// How long an instance that was asked to stop may take.
const STOP_TIME: Duration = Duration::from_secs(20);
/// How long one that died by itself stays away.
const RECOVERY_TIME: Duration = Duration::from_secs(10);
/// How long the reason of a failed start is waited for.
const REASON_TIME: Duration = Duration::from_secs(2);

/// The instances, and what they share.
#[derive(Debug)]
pub(super) struct Fleet {
    slots: Mutex<BTreeMap<usize, Slot>>,
    by_id: HashMap<String, usize>,
    specs: Vec<Spec>,
    program: Option<Program>,
    telemetry: Handle,
    stage: Handle,
    redirects: Redirects,
    mesh: Arc<Mesh>,
    /// Callers and callees whose way is not as it should be.
    spoiled: Mutex<BTreeSet<(Role, Role)>>,
    /// Told whenever an instance has ended.
    ended: Notify,
    /// From now on nobody is brought back.
    is_stopping: AtomicBool,
}

/// The place of an instance.
#[derive(Debug)]
struct Slot {
    state: State,
    address: SocketAddr,
    /// It was asked to leave, and serves those who have not heard of it.
    is_leaving: bool,
    knobs: Knobs,
    losses: Vec<String>,
}

#[derive(Debug)]
enum State {
    Gone,
    Runs(Runner),
    /// Was asked to end and has not said so yet; whether it is to be started again then.
    Ending {
        starts_again: Option<Duration>,
    },
}

#[derive(Debug)]
enum Runner {
    Thread(Thread),
    Process(Process),
}

impl Slot {
    fn set(&mut self, settings: Settings) -> anyhow::Result<()> {
        self.knobs.replace(settings);
        match &mut self.state {
            State::Runs(Runner::Process(process)) => process.set(&self.knobs.read()),
            _ => Ok(()),
        }
    }
}

impl Fleet {
    /// Nobody runs yet.
    pub(super) fn new(
        options: &Options,
        specs: Vec<Spec>,
        telemetry: Handle,
        stage: Handle,
    ) -> anyhow::Result<Fleet> {
        let program = match (options.mode, &options.program) {
            (Mode::Tasks, _) => None,
            (Mode::Processes, Some(program)) => Some(program.clone()),
            (Mode::Processes, None) => bail!("processes need a program to be started from"),
        };
        let slot = |spec: &Spec| Slot {
            state: State::Gone,
            address: spec.address,
            is_leaving: false,
            knobs: Knobs::new(),
            losses: Vec::new(),
        };
        Ok(Fleet {
            slots: Mutex::new(specs.iter().map(slot).enumerate().collect()),
            by_id: specs.iter().enumerate().map(|(at, spec)| (spec.id.clone(), at)).collect(),
            specs,
            program,
            telemetry,
            stage,
            redirects: Redirects::default(),
            mesh: Arc::new(Mesh::new(options.seed)),
            spoiled: Mutex::default(),
            ended: Notify::new(),
            is_stopping: AtomicBool::new(false),
        })
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<usize, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, id: &str) -> anyhow::Result<usize> {
        self.by_id.get(id).copied().with_context(|| format!("there is no instance {id}"))
    }

    /// The specifications of those that a run begins with.
    fn first_ones(&self) -> impl Iterator<Item = &Spec> {
        self.specs.iter().filter(|spec| !spec.is_spare)
    }

    /// Names and addresses.
    pub(super) fn listeners(&self) -> Vec<(String, SocketAddr)> {
        self.first_ones().map(|spec| (spec.id.clone(), spec.address)).collect()
    }

    /// What faults can hit.
    pub(super) fn targets(&self) -> faults::Fleet {
        let member = |spec: &Spec| Member {
            service: spec.role.name().to_owned(),
            instance: spec.id.clone(),
            host: spec.host.clone(),
        };
        let roles: Vec<Role> = self.first_ones().map(|spec| spec.role).collect();
        let edges = crate::topology::connections(&roles);
        let edges = edges.into_iter().map(|(a, b)| (a.name().to_owned(), b.name().to_owned()));
        faults::Fleet { instances: self.first_ones().map(member).collect(), edges: edges.collect() }
    }

    /// Names and process ids.
    pub(super) fn processes(&self) -> Vec<(String, u32)> {
        if self.program.is_none() {
            return vec![("all".to_owned(), std::process::id())];
        }
        let slots = self.slots();
        let pid = |at: &usize| match &slots.get(at)?.state {
            State::Runs(Runner::Process(process)) => Some(process.pid()),
            _ => None,
        };
        let pairs = slots.keys().filter_map(|at| Some((self.specs[*at].id.clone(), pid(at)?)));
        pairs.collect()
    }

    /// Starts all: first one of each role, which makes its databases, then the others.
    pub(super) async fn start(self: &Arc<Fleet>) -> anyhow::Result<()> {
        let is_first = |at: &usize| *at == 0 || self.specs[*at - 1].role != self.specs[*at].role;
        let places = 0..self.first_ones().count();
        let (first, others): (Vec<usize>, Vec<usize>) = places.partition(is_first);
        for wave in [first, others] {
            let mut waiting = Vec::new();
            for at in wave {
                waiting.push((at, self.launch(at)?));
            }
            let all = async {
                for (at, ready) in waiting {
                    if ready.await.is_err() {
                        let reasons = self.reasons(at).await;
                        bail!("{} did not start: {reasons}", self.specs[at].id);
                    }
                }
                Ok(())
            };
            tokio::time::timeout(START_TIME, all).await.context("the start takes too long")??;
        }
        Ok(())
    }

    /// Why an instance that was about to start has ended; it says so a moment later.
    async fn reasons(&self, at: usize) -> String {
        let _ = tokio::time::timeout(REASON_TIME, self.until_gone(&[at])).await;
        let slots = self.slots();
        slots.get(&at).map(|slot| slot.losses.join("; ")).unwrap_or_default()
    }

    /// Waits until none of these runs.
    async fn until_gone(&self, places: &[usize]) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if places.iter().all(|at| self.is_gone(*at)) {
                return;
            }
            ended.await;
        }
    }

    /// Starts an instance; what is returned is told when it serves.
    fn launch(self: &Arc<Fleet>, at: usize) -> anyhow::Result<oneshot::Receiver<()>> {
        let (ready, is_ready) = oneshot::channel();
        let fleet = Arc::downgrade(self);
        let ended = move |ending| Fleet::note_end(&fleet, at, ending);
        let mut slots = self.slots();
        let slot = slots.get_mut(&at).context("there is no such instance")?;
        let spec = &Spec { address: slot.address, ..self.specs[at].clone() };
        let runner = match &self.program {
            None => {
                let (knobs, redirects) = (slot.knobs.clone(), self.redirects.clone());
                let telemetry = self.telemetry.clone();
                let tell = (ready, ended);
                Runner::Thread(tasks::start(spec.clone(), knobs, redirects, telemetry, tell)?)
            }
            Some(program) => {
                let mut process = processes::start(program, spec, (ready, ended))?;
                process.set(&slot.knobs.read())?;
                for (caller, real, instead) in self.redirects.all() {
                    process.redirect(caller, real, Some(instead))?;
                }
                Runner::Process(process)
            }
        };
        slot.state = State::Runs(runner);
        Ok(is_ready)
    }

    /// An instance has ended, as it was asked to or by itself. Called on its own thread.
    fn note_end(fleet: &Weak<Fleet>, at: usize, ending: Ending) {
        let Some(fleet) = fleet.upgrade() else { return };
        let mut slots = fleet.slots();
        let Some(slot) = slots.get_mut(&at) else { return };
        match ending {
            Ok((_, losses)) => slot.losses.extend(losses),
            Err(error) => slot.losses.push(format!("{}: {error:#}", fleet.specs[at].id)),
        }
        let is_leaving = std::mem::take(&mut slot.is_leaving);
        let again = match std::mem::replace(&mut slot.state, State::Gone) {
            State::Runs(_) if is_leaving => None,
            // It died by itself, after it had served.
            State::Runs(_) => Some(RECOVERY_TIME),
            State::Ending { starts_again } => starts_again,
            State::Gone => None,
        };
        drop(slots);
        fleet.ended.notify_waiters();
        if let Some(after) = again {
            let weak = Arc::downgrade(&fleet);
            fleet.stage.spawn(async move {
                tokio::time::sleep(after).await;
                if let Some(fleet) = weak.upgrade() {
                    fleet.bring_back(at);
                }
            });
        }
    }

    fn bring_back(self: &Arc<Fleet>, at: usize) {
        if self.is_gone(at)
            && !self.is_stopping.load(Ordering::Acquire)
            && let Err(error) = self.launch(at)
            && let Some(slot) = self.slots().get_mut(&at)
        {
            slot.losses.push(format!("{} did not come back: {error:#}", self.specs[at].id));
        }
    }

    /// Ends an instance, if it runs.
    fn end(&self, at: usize, how: End, starts_again: Option<Duration>) {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(&at) else { return };
        match std::mem::replace(&mut slot.state, State::Ending { starts_again }) {
            State::Runs(Runner::Thread(thread)) => drop(thread.end(how)),
            State::Runs(Runner::Process(process)) => drop(process.end(how)),
            // It is already away; who is to come back comes back as was said before.
            before @ (State::Gone | State::Ending { .. }) => slot.state = before,
        }
    }

    /// Stops all, role by role from the last started to the first; returns what was lost.
    pub(super) async fn stop(&self) -> Vec<String> {
        self.is_stopping.store(true, Ordering::Release);
        for role in Role::ALL.into_iter().rev() {
            let of_role = |at: &usize| self.specs[*at].role == role;
            let places: Vec<usize> = (0..self.specs.len()).filter(of_role).collect();
            for &at in &places {
                self.end(at, End::Stop, None);
            }
            if tokio::time::timeout(STOP_TIME, self.until_gone(&places)).await.is_err() {
                self.slots().values_mut().for_each(|slot| {
                    if matches!(slot.state, State::Ending { .. }) {
                        slot.losses.push(format!("a {role} did not stop in time"));
                    }
                });
            }
        }
        let mut slots = self.slots();
        slots.values_mut().flat_map(|slot| std::mem::take(&mut slot.losses)).collect()
    }

    fn is_gone(&self, at: usize) -> bool {
        matches!(self.slots().get(&at), None | Some(Slot { state: State::Gone, .. }))
    }

    fn set(&self, instance: &str, settings: Settings) -> anyhow::Result<()> {
        let at = self.at(instance)?;
        let mut slots = self.slots();
        let slot = slots.get_mut(&at).context("there is no such instance")?;
        slot.set(settings)?;
        self.share_settings(&mut slots, self.specs[at].role);
        Ok(())
    }

    async fn spoil(
        &self,
        caller: &str,
        callee: &str,
        conditions: Conditions,
    ) -> anyhow::Result<()> {
        let role = Role::by_name(caller).with_context(|| format!("there is no {caller}"))?;
        self.mesh.set(caller, callee, conditions).await;
        let is_good = conditions == Conditions::default();
        let called = Role::by_name(callee).with_context(|| format!("there is no {callee}"))?;
        {
            let mut spoiled = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner);
            match is_good {
                true => spoiled.remove(&(role, called)),
                false => spoiled.insert((role, called)),
            };
        }
        let callees: Vec<SocketAddr> = {
            let slots = self.slots();
            let of_role = slots.iter().filter(|(at, _)| self.specs[**at].role == called);
            of_role.map(|(_, slot)| slot.address).filter(|real| real.port() != 0).collect()
        };
        for real in callees {
            let instead = match is_good {
                true => None,
                false => Some(self.proxy(caller, callee, real).await?),
            };
            self.redirect(role, real, instead)?;
        }
        Ok(())
    }

    /// A proxy, on the runtime of the stage, whoever asks.
    async fn proxy(
        &self,
        caller: &str,
        callee: &str,
        real: SocketAddr,
    ) -> anyhow::Result<SocketAddr> {
        let (mesh, caller, callee) = (self.mesh.clone(), caller.to_owned(), callee.to_owned());
        let made = self.stage.spawn(async move { mesh.address(&caller, &callee, real).await });
        Ok(made.await??)
    }

    fn redirect(
        &self,
        caller: Role,
        real: SocketAddr,
        instead: Option<SocketAddr>,
    ) -> anyhow::Result<()> {
        match instead {
            Some(instead) => self.redirects.set(caller, real, instead),
            None => self.redirects.clear(caller, real),
        }
        for (at, slot) in self.slots().iter_mut() {
            if self.specs[*at].role == caller
                && let State::Runs(Runner::Process(process)) = &mut slot.state
            {
                process.redirect(caller, real, instead)?;
            }
        }
        Ok(())
    }
}

impl World for Fleet {
    async fn obey(&self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Settings { instance, settings } => self.set(&instance, *settings),
            Command::Network { caller, callee, conditions } => {
                self.spoil(&caller, &callee, conditions).await
            }
            Command::Terminate { instance, down_for } => {
                self.end(self.at(&instance)?, End::Kill, Some(down_for));
                Ok(())
            }
            Command::Restart { instance } => {
                self.end(self.at(&instance)?, End::Stop, Some(Duration::ZERO));
                Ok(())
            }
        }
    }
}
