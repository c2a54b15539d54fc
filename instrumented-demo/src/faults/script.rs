//! Each scenario as what is done to the running system. A fault of the demo is a row here.

#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::{
    Act, ClientTimeout, Effect, Fleet, Knob, Leak, LockHold, Pause, Phases, ReplicaLag, RouteBurn,
};
use crate::load;
use crate::proxy::{Conditions, Delay};
use crate::resilience::RetryPolicy;
use crate::scenarios::{CulpritKind, Scenario};
use crate::topology::{REPLICAS, USERS, shard_of};
use crate::truth::{Change, Record};

const GATEWAY: &str = "gateway";
const USER: &str = "user-service";
const ORDER: &str = "order-service";
const INVENTORY: &str = "inventory-service";
const PAYMENT: &str = "payment-service";
const PRICING: &str = "pricing-service";
const SHIPPING: &str = "shipping-service";
const NOTIFICATION: &str = "notification-service";

/// How long a killed instance stays away.
const DOWN_FOR: Duration = Duration::from_secs(10);
/// From one kill of the same service to the next.
const KILL_EVERY: Duration = Duration::from_secs(20);
/// How long the registry names a dead address.
const DEAD_ADDRESS_FOR: Duration = Duration::from_secs(20);
/// From one crash between saving and publishing to the next.
const CRASH_EVERY: Duration = Duration::from_secs(15);
/// How long an instance is meant to crash at its next order: less than it then stays away, so it
/// does not crash again when it is back.
const CRASH_FOR: Duration = Duration::from_secs(3);
/// What the new version costs on its slow route. The old one takes a few milliseconds.
const SLOW_VERSION_BURN_MS: u64 = 60;
/// Pricing's answers in S23, fault or not: one in ten takes longer than the caller will wait.
const UNHURRIED: Delay = Delay { latency_ms: 165, jitter_ms: 45 };
const SHORT_TIMEOUT_MS: u64 = 200;

/// A scenario laid out over a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    scenario: &'static Scenario,
    seed: u64,
    phases: Phases,
    /// What is done to the system.
    pub effects: Vec<Effect>,
    /// What is done to the traffic.
    pub load: Option<load::Change>,
    /// What chance chose, where the table of scenarios leaves it open.
    pub aims: Vec<(CulpritKind, String)>,
}

impl Script {
    /// Lays a scenario out. The seed chooses the target where several fit. Services that the fleet
    /// lacks are not hit.
    pub fn new(scenario: &'static Scenario, phases: Phases, seed: u64, fleet: &Fleet) -> Script {
        let random = StdRng::seed_from_u64(seed ^ u64::from(scenario.id) << 32);
        let script =
            Script { scenario, seed, phases, effects: Vec::new(), load: None, aims: Vec::new() };
        let mut stage = Stage { script, fleet, random };
        stage.play(scenario.id);
        stage.script
    }

    /// Whether the system has to run with TLS between its services for this.
    pub fn needs_tls(scenario: &Scenario) -> bool {
        scenario.id == 21
    }

    /// The parts of the run.
    pub fn phases(&self) -> Phases {
        self.phases
    }

    /// What the truth is about a run that began at this time, judged by what the customers saw. The
    /// report has the boundaries of the phases.
    pub fn record(&self, start_ns: i64, report: &load::Report) -> Record {
        let at = |offset: Duration| {
            start_ns.saturating_add(i64::try_from(offset.as_nanos()).unwrap_or(i64::MAX))
        };
        let (from, to) = (at(self.phases.fault_from()), at(self.phases.fault_to()));
        let record = Record::new(self.scenario, self.seed, from, to);
        let aim =
            |record: Record, (kind, name): &(CulpritKind, String)| record.aimed_at(*kind, name);
        let mut record = self.aims.iter().fold(record, aim);
        let change = |root: &String| Change {
            root: root.clone(),
            before: report.requests(Phases::BASELINE, root),
            during: report.requests(Phases::FAULT, root),
        };
        let changes: Vec<Change> = record.roots.iter().map(change).collect();
        record.judge(&changes);
        record
    }
}

/// Where a script is written.
struct Stage<'a> {
    script: Script,
    fleet: &'a Fleet,
    random: StdRng,
}

impl Stage<'_> {
    /// The rows. The number is the scenario's.
    fn play(&mut self, id: u8) {
        match id {
            1 => self.all(ORDER, Knob::DbPoolSize(2)),
            2 => self.all(PRICING, Knob::DbIndexDropped),
            3 => {
                self.first(INVENTORY, Knob::DbLockHold(LockHold { hold_ms: 800, every_ms: 1_000 }))
            }
            4 => self.way(ORDER, PAYMENT, Conditions::slower_by(80, 20)),
            5 => self.way(GATEWAY, USER, Conditions { reset_percent: 5, ..Conditions::default() }),
            6 => self.all(SHIPPING, Knob::WorkerPoolSize(3)),
            7 => self.one(PRICING, Knob::CpuSpinPercent(70)),
            8 => self.all(NOTIFICATION, Knob::Leak(LEAK)),
            9 => self.kill(PAYMENT),
            10 => self.one(INVENTORY, Knob::Pause(Pause { pause_ms: 800, every_ms: 5_000 })),
            11 => self.all("psp", Knob::AnswerDelay(Delay { latency_ms: 2_000, jitter_ms: 0 })),
            12 => self.dead_address("registry", SHIPPING),
            13 => self.retry_storm(),
            14 => self.lost_event(),
            15 => self.replica_lag(),
            16 => self.favourite(),
            17 => self.all(INVENTORY, Knob::ConsumerDelayMs(500)),
            18 => self.all(PRICING, Knob::NPlusOne),
            19 => self.all(ORDER, Knob::ReadsUserDb),
            20 => self.bad_version(),
            21 => self.expired_certificate(),
            22 => self.all(USER, Knob::TokenExpired),
            23 => self.short_timeout(),
            24 => self.all(ORDER, Knob::SerialFanout),
            25 => self.all("cache", Knob::CacheTtlMs(0)),
            26 => self.all(NOTIFICATION, Knob::Poison),
            27 => self.clock_ahead(),
            28 => self.surge(),
            30 => {
                self.play(2);
                self.play(9);
            }
            // 29 is the run in which nothing happens.
            _ => {}
        }
    }

    fn from(&self) -> Duration {
        self.script.phases.fault_from()
    }

    fn to(&self) -> Duration {
        self.script.phases.fault_to()
    }

    fn instances(&self, service: &str) -> Vec<String> {
        self.fleet.of(service).map(str::to_owned).collect()
    }

    /// An instance by chance, and the culprit by its name.
    fn chosen(&mut self, service: &str) -> Option<String> {
        let chosen = self.instances(service).choose(&mut self.random).cloned()?;
        self.script.aims.push((CulpritKind::Instance, chosen.clone()));
        Some(chosen)
    }

    fn put(&mut self, from: Duration, to: Duration, act: Act) {
        self.script.effects.push(Effect { from, to, act });
    }

    fn during_fault(&mut self, act: Act) {
        self.put(self.from(), self.to(), act);
    }

    /// A knob of all instances of a service.
    fn all(&mut self, service: &str, knob: Knob) {
        for instance in self.instances(service) {
            self.during_fault(Act::knob(&instance, knob.clone()));
        }
    }

    /// A knob of the first instance: of what all instances share, one is enough to hold it.
    fn first(&mut self, service: &str, knob: Knob) {
        if let Some(instance) = self.instances(service).first() {
            self.during_fault(Act::knob(instance, knob));
        }
    }

    /// A knob of one instance by chance.
    fn one(&mut self, service: &str, knob: Knob) {
        if let Some(instance) = self.chosen(service) {
            self.during_fault(Act::knob(&instance, knob));
        }
    }

    fn way(&mut self, caller: &str, callee: &str, conditions: Conditions) {
        self.during_fault(Act::network(caller, callee, conditions));
    }

    /// All instances of a service, again and again, the last time early enough to be back.
    fn kill(&mut self, service: &str) {
        let mut at = self.from();
        while at + DOWN_FOR <= self.to() || at == self.from() {
            for instance in self.instances(service) {
                self.put(at, at + DOWN_FOR, Act::Terminate { instance, down_for: DOWN_FOR });
            }
            at += KILL_EVERY;
        }
    }

    fn dead_address(&mut self, registry: &str, of: &str) {
        let to = self.to().min(self.from() + DEAD_ADDRESS_FOR);
        for instance in self.instances(registry) {
            self.put(self.from(), to, Act::knob(&instance, Knob::DeadAddressOf(of.to_owned())));
        }
    }

    fn retry_storm(&mut self) {
        self.all(PAYMENT, Knob::ErrorPercent(30));
        let storm = RetryPolicy { attempts_max: 3, backoff_ms: 0, budget_percent: None };
        self.all(ORDER, Knob::Retry(storm));
    }

    fn lost_event(&mut self) {
        self.all(ORDER, Knob::NoOutbox);
        let instances = self.instances(ORDER);
        let mut at = self.from();
        while at < self.to() {
            if let Some(instance) = instances.choose(&mut self.random) {
                self.put(at, at + CRASH_FOR, Act::knob(instance, Knob::CrashBeforePublish));
            }
            at += CRASH_EVERY;
        }
    }

    fn replica_lag(&mut self) {
        let replica = self.random.random_range(1..=REPLICAS as u8);
        self.script.aims.push((CulpritKind::Db, format!("sqlite:users@replica-{replica}")));
        self.all(USER, Knob::ReplicaLag(ReplicaLag { replica, lag_ms: 30_000 }));
    }

    fn favourite(&mut self) {
        let user = self.random.random_range(1..=USERS);
        let shard = shard_of(&format!("u{user}"));
        self.script.aims.push((CulpritKind::Db, format!("sqlite:orders@shard-{shard}")));
        self.script.aims.push((CulpritKind::Attribute, format!("customer.id=u{user}")));
        let (from, to) = (self.from(), self.to());
        self.script.load = Some(load::Change::Favourite { user, percent: 50, from, to });
    }

    fn bad_version(&mut self) {
        let Some(instance) = self.chosen(ORDER) else { return };
        let burn = RouteBurn { route: "/orders".to_owned(), burn_ms: SLOW_VERSION_BURN_MS };
        self.during_fault(Act::knob(&instance, Knob::Version("1.4.1".to_owned())));
        self.during_fault(Act::knob(&instance, Knob::RouteBurn(burn)));
        self.during_fault(Act::Restart { instance });
    }

    /// A certificate acts on new connections only, so the instances are restarted with it.
    fn expired_certificate(&mut self) {
        self.all(INVENTORY, Knob::CertificateExpired);
        for instance in self.instances(INVENTORY) {
            self.during_fault(Act::Restart { instance });
        }
    }

    /// Pricing takes its time all along; what changes is how long order waits for it.
    fn short_timeout(&mut self) {
        for instance in self.instances(PRICING) {
            let act = Act::knob(&instance, Knob::AnswerDelay(UNHURRIED));
            self.put(Duration::ZERO, self.script.phases.total(), act);
        }
        let timeout = ClientTimeout { target: PRICING.to_owned(), timeout_ms: SHORT_TIMEOUT_MS };
        self.all(ORDER, Knob::ClientTimeout(timeout));
    }

    fn clock_ahead(&mut self) {
        let hosts: Vec<&String> = self.fleet.instances.iter().map(|member| &member.host).collect();
        let Some(host) = hosts.choose(&mut self.random) else { return };
        for member in self.fleet.instances.iter().filter(|member| member.host == **host) {
            self.during_fault(Act::knob(&member.instance, Knob::ClockOffsetMs(40)));
        }
    }

    fn surge(&mut self) {
        let (from, to) = (self.from(), self.to());
        self.script.load = Some(load::Change::Surge(load::Surge { from, to, factor: 3.0 }));
    }
}

/// Dies after 64 messages: some ten seconds of orders.
const LEAK: Leak = Leak { bytes_per_message: 256 * 1024, limit_bytes: 16 * 1024 * 1024 };
