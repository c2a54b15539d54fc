//! More instances and fewer: spares come, are like the others, and leave.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use anyhow::Context as _;

use super::{Fleet, Runner, Slot, State};
use crate::faults::Settings;
use crate::run::scaling::Sample;
use crate::run::spec::{self, Spec};
use crate::topology::Role;
use crate::usage::Meter;

impl Slot {
    /// Whether it is one of those that its role has.
    fn is_counted(&self, spec: &Spec) -> bool {
        !spec.is_spare || matches!(self.state, State::Runs(_)) && !self.is_leaving
    }

    fn meter(&self) -> Option<Meter> {
        match &self.state {
            State::Runs(Runner::Thread(thread)) => thread.meter(),
            State::Runs(Runner::Process(process)) => Some(Meter::of_process(process.pid())),
            _ => None,
        }
    }
}

impl Fleet {
    /// What holds for all instances that a role began with holds for those that came later too.
    pub(super) fn share_settings(&self, slots: &mut BTreeMap<usize, Slot>, role: Role) {
        let of_role = |at: &usize| self.specs[*at].role == role;
        let is_first = |at: &usize| of_role(at) && !self.specs[*at].is_spare;
        let mut all = slots.iter().filter(|(at, _)| is_first(at)).map(|(_, s)| s.knobs.read());
        let common = match all.next() {
            Some(one) if all.all(|other| *other == *one) => (*one).clone(),
            _ => Settings::default(),
        };
        let spares = slots.iter_mut().filter(|(at, _)| of_role(at) && self.specs[**at].is_spare);
        for (_, slot) in spares {
            // One that is just ending gets it at its next start.
            let _ = slot.set(common.clone());
        }
    }

    /// What the instances of the scaled services use. Those that leave count no more; one that is
    /// away for a while counts, as it comes back.
    pub(in crate::run) fn samples(&self) -> Vec<Sample> {
        let slots = self.slots();
        let counts = |(at, slot): &(&usize, &Slot)| {
            let spec = &self.specs[**at];
            spec.role.is_scaled() && slot.is_counted(spec)
        };
        let sample = |(at, slot): (&usize, &Slot)| {
            let spec = &self.specs[*at];
            let meter = slot.meter();
            let cpu = meter.as_ref().and_then(Meter::cpu).unwrap_or_default();
            Sample {
                role: spec.role,
                instance: spec.id.clone(),
                cpu_s: cpu.total_s(),
                memory_bytes: meter.as_ref().and_then(Meter::memory_bytes),
            }
        };
        slots.iter().filter(counts).map(sample).collect()
    }

    /// Brings a role to so many instances, within those that there are places for: starts spares, or
    /// asks those started last to leave. Does not wait until they serve or are gone.
    pub(in crate::run) async fn scale(
        self: &Arc<Fleet>,
        role: Role,
        to: usize,
    ) -> anyhow::Result<()> {
        let (counted, free) = {
            let slots = self.slots();
            let of_role = slots.iter().filter(|(at, _)| self.specs[**at].role == role);
            let is_counted = |at: &usize| slots[at].is_counted(&self.specs[*at]);
            let (counted, others): (Vec<usize>, Vec<usize>) =
                of_role.map(|(at, _)| *at).partition(is_counted);
            let is_gone = |at: &usize| matches!(slots[at].state, State::Gone);
            (counted, others.into_iter().filter(is_gone).collect::<Vec<usize>>())
        };
        for at in free.into_iter().take(to.saturating_sub(counted.len())) {
            self.add(at).await?;
        }
        for at in counted.into_iter().skip(to).filter(|at| self.specs[*at].is_spare) {
            self.leave(at)?;
        }
        Ok(())
    }

    /// Starts a spare, reached by the same ways as its like.
    async fn add(self: &Arc<Fleet>, at: usize) -> anyhow::Result<()> {
        let role = self.specs[at].role;
        let real = self.slots().get(&at).context("there is no such instance")?.address;
        if real.port() == 0 {
            let real = spec::free_address()?;
            self.slots().get_mut(&at).context("there is no such instance")?.address = real;
            let callers: Vec<Role> = {
                let spoiled = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner);
                spoiled.iter().filter(|(_, callee)| *callee == role).map(|(c, _)| *c).collect()
            };
            for caller in callers {
                let instead = self.proxy(caller.name(), role.name(), real).await?;
                self.redirect(caller, real, Some(instead))?;
            }
        }
        if !self.is_stopping.load(Ordering::Acquire) {
            // Callers hear of it when it serves.
            drop(self.launch(at)?);
        }
        Ok(())
    }

    fn leave(&self, at: usize) -> anyhow::Result<()> {
        let mut slots = self.slots();
        let slot = slots.get_mut(&at).context("there is no such instance")?;
        if let State::Runs(runner) = &mut slot.state {
            slot.is_leaving = true;
            match runner {
                Runner::Thread(thread) => thread.leave(),
                Runner::Process(process) => process.leave()?,
            }
        }
        Ok(())
    }
}
