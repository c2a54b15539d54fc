//! The live faults: what each scenario turns on in which service, and what turns it.

mod knobs;

pub use knobs::{
    ClientTimeout, Knob, Knobs, Leak, LockHold, Pause, ReplicaLag, RouteBurn, Settings,
};
