//! The fault that acts on the shop: which, when, and on what.

use std::ops::Range;

use super::super::random::Random;
use crate::scenarios::{CulpritKind, Scenario};
use crate::topology::{REPLICAS, SHARDS};
use crate::truth::Record;

/// A scenario at a time, with the target drawn for it.
#[derive(Clone, Debug)]
pub(super) struct Play {
    pub(super) scenario: &'static Scenario,
    pub(super) window_ns: Range<u64>,
    /// A draw, for whoever picks a target by it.
    draw: u64,
}

impl Play {
    pub(super) fn new(scenario: &'static Scenario, window_ns: Range<u64>, seed: u64) -> Play {
        let mut random = Random::new(seed ^ 0x7a26_e700, u64::from(scenario.id));
        Play { scenario, window_ns, draw: random.next() }
    }

    /// Whether a mechanism acts at a time, by the number of the scenario that is it alone.
    pub(super) fn acts(&self, mechanism: u8, now_ns: u64) -> bool {
        let is_part = match self.scenario.id {
            30 => mechanism == 2 || mechanism == 9,
            id => id == mechanism,
        };
        is_part && self.window_ns.contains(&now_ns)
    }

    /// One of so many.
    pub(super) fn target(&self, of: usize) -> usize {
        (self.draw % of as u64) as usize
    }

    /// Whether all is in the data as it was told.
    pub(super) fn is_exact(&self) -> bool {
        // A clock is wrong, or spans are lost with their process.
        self.scenario.id != 27 && self.scenario.id != 14
    }

    /// What the truth says of it, before anyone has judged whether it can be noticed.
    pub(super) fn record(&self, seed: u64) -> Record {
        let time = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        let (start_ns, end_ns) = (time(self.window_ns.start), time(self.window_ns.end));
        let record = Record::new(self.scenario, seed, start_ns, end_ns);
        let instance = |service: &str, of: usize| format!("{service}-{}", self.target(of) + 1);
        match self.scenario.id {
            7 => record.aimed_at(CulpritKind::Instance, &instance("pricing-service", 3)),
            10 => record.aimed_at(CulpritKind::Instance, &instance("inventory-service", 2)),
            15 => {
                let replica = format!("sqlite:users@replica-{}", self.target(REPLICAS) + 1);
                record.aimed_at(CulpritKind::Db, &replica)
            }
            16 => record
                .aimed_at(CulpritKind::Db, &format!("sqlite:orders@shard-{}", self.target(SHARDS)))
                .aimed_at(
                    CulpritKind::Attribute,
                    &format!("customer.id=c-{}", self.hot_customer()),
                ),
            20 => record.aimed_at(CulpritKind::Instance, &instance("order-service", 3)),
            _ => record,
        }
    }

    /// The customer who makes half of the orders; the shard follows from it.
    pub(super) fn hot_customer(&self) -> u64 {
        (100 * SHARDS + self.target(SHARDS)) as u64
    }
}
