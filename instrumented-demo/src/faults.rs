//! The live faults: what each scenario breaks, when, and what carries it out.
//!
//! A [`Script`] is a scenario laid out over a run: intervals in which a knob is turned, a way is
//! slow, an instance is gone. The [`Driver`] turns them into [`Command`]s when their time comes, and
//! a [`World`] obeys. What happened is written down by [`Script::record`], and told to nobody else.

mod case;
mod driver;
mod effect;
mod knobs;
mod script;
mod strain;

pub use case::{Case, Played};
pub use driver::{Command, Driver, Outcome, World, drive};
pub use effect::{Act, Effect, Fleet, Member, Phases};
pub use knobs::{
    ClientTimeout, Knob, Knobs, Leak, LockHold, Pause, ReplicaLag, RouteBurn, Settings,
};
pub use script::Script;
pub use strain::{Fate, Leaking, burn, strain};
