//! The timetable beside a run: waits for each firing by a clock that may run faster than life.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::civil::DateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ActionKind, Chaos, Firing, Strike, Target};
use crate::faults::{Effect, Fleet};
use crate::scenarios::CulpritKind;
use crate::truth::{Culprit, Record};

/// The time of the timetable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// What it shows at the start of the run.
    pub start: DateTime,
    /// Its seconds in a second of the run; 1 for life, 604,800 for a week in a second.
    pub speed: f64,
}

impl Clock {
    /// Shows now what the clock on the wall shows.
    pub fn from_now(speed: f64) -> Clock {
        Clock { start: jiff::Zoned::now().datetime(), speed }
    }

    /// When it shows a time, from the start of the run.
    fn until(&self, at: DateTime) -> Duration {
        let seconds = at.duration_since(self.start).as_secs_f64() / self.speed;
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

impl Chaos {
    /// Waits for firing after firing, and hands over each strike with what it does to the run.
    /// Ends when `stop` is cancelled or the timetable has no more.
    pub async fn watch(
        &self,
        fleet: &Fleet,
        clock: Clock,
        start: Instant,
        stop: CancellationToken,
        mut struck: impl FnMut(Strike, Effect),
    ) {
        let mut at = clock.start;
        while let Some(firing) = self.next_after(at, fleet) {
            let due = clock.until(firing.at);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(start + due) => {}
            }
            at = firing.at;
            if let Some(strike) = firing.strike {
                let effect = strike.effect(due);
                struck(strike, effect);
            }
        }
    }
}

impl Strike {
    /// The truth about a strike of a run that began at this time. Nobody judges whether a user
    /// noticed: there is no baseline before it.
    pub fn record(&self, seed: u64, run_start_ns: i64, effect: &Effect) -> Record {
        let at = |offset: Duration| {
            run_start_ns.saturating_add(i64::try_from(offset.as_nanos()).unwrap_or(i64::MAX))
        };
        Record {
            id: 0,
            name: self.action.kind.name().to_owned(),
            seed,
            start_ns: at(effect.from),
            end_ns: at(effect.to),
            culprit: self.culprit(),
            also: Vec::new(),
            mechanism: self.mechanism().to_owned(),
            views: Vec::new(),
            roots: Vec::new(),
            control: false,
            valid: false,
            why: "struck by the timetable, with no baseline of its own".to_owned(),
        }
    }

    fn culprit(&self) -> Culprit {
        let (kind, name) = match &self.target {
            Target::Instance { instance, .. } => (CulpritKind::Instance, instance.clone()),
            Target::Edge { caller, callee } => (CulpritKind::Edge, format!("{caller}→{callee}")),
        };
        Culprit { kind, name }
    }

    fn mechanism(&self) -> &'static str {
        match self.action.kind {
            ActionKind::TerminateInstance => "the instance is killed and comes back",
            ActionKind::NetworkLatency { .. } => "what goes over the edge is delayed",
            ActionKind::CpuSpike { .. } => "the instance's thread spins",
            ActionKind::MemoryLeak { .. } => "the instance keeps memory until it dies",
        }
    }
}

/// A line of a rehearsal.
impl std::fmt::Display for Firing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  ", self.at.strftime("%a %Y-%m-%d %H:%M"))?;
        match &self.strike {
            None => f.write_str("nothing"),
            Some(strike) => {
                let (kind, seconds) = (strike.action.kind.name(), strike.action.duration.as_secs());
                write!(f, "{kind} {} for {seconds} s", strike.culprit().name)
            }
        }
    }
}
