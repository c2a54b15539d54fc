//! The demo's own system as a story: what customers do, and what the services do then.

mod faults;
mod play;
mod story;
mod topology;

use std::ops::Range;

use super::metrics::Pool;
use super::random::{Random, Weights, hash};
use super::schedule::Schedule;
use super::trace::Scene;
use super::world::{Ground, World};
use crate::scenarios::Scenario;
use crate::truth::Record;
use play::Play;
use topology::{Ops, Services, Spares};

/// Of a thousand requests, how many are of each kind; the rest looks at a profile.
const PLACE: u64 = 250;
const ITEM: u64 = 350;
const LOOK_UP: u64 = 150;
const LIST: u64 = 100;

/// The shop.
#[derive(Debug)]
pub(super) struct Shop {
    ground: Ground,
    services: Services,
    spares: Spares,
    ops: Ops,
    seed: u64,
    customers: Weights,
    tenants: Weights,
    play: Option<Play>,
    /// The order whose message nobody can handle.
    poison: Option<u64>,
}

/// What a customer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Place,
    Item,
    LookUp,
    List,
    Profile,
}

/// Who asks, and for what.
#[derive(Clone, Copy, Debug)]
struct Customer {
    id: u64,
    tenant: u64,
    region: &'static str,
    app: &'static str,
    /// Number of the order or of the item.
    subject: u64,
    /// Whether the message of the order is the one that nobody can handle.
    is_poison: bool,
}

impl Shop {
    pub(super) fn new(schedule: Schedule) -> Shop {
        let (catalog, services, spares, ops) = topology::build();
        Shop {
            services,
            spares,
            ops,
            seed: schedule.seed,
            ground: Ground { catalog, schedule },
            customers: Weights::zipf(400),
            tenants: Weights::zipf(20),
            play: None,
            poison: None,
        }
    }

    /// Lets a fault act at a time.
    #[must_use]
    pub(super) fn with(mut self, scenario: &'static Scenario, window_ns: Range<u64>) -> Shop {
        let first = self.ground.schedule.first_at(window_ns.start);
        let last = self.ground.schedule.requests;
        self.poison = (first..last).find(|request| self.wish(*request) == Wish::Place);
        self.play = Some(Play::new(scenario, window_ns, self.seed));
        self
    }

    /// Spans of these requests carry the probability that they were kept with.
    #[must_use]
    pub(super) fn sampled(mut self, trace_state: &str) -> Shop {
        super::wire::text(&mut self.ground.catalog.trace_state, 3, trace_state);
        self
    }

    fn wish(&self, request: u64) -> Wish {
        match hash(self.seed ^ 0x0077_1511, request) % 1000 {
            n if n < PLACE => Wish::Place,
            n if n < PLACE + ITEM => Wish::Item,
            n if n < PLACE + ITEM + LOOK_UP => Wish::LookUp,
            n if n < PLACE + ITEM + LOOK_UP + LIST => Wish::List,
            _ => Wish::Profile,
        }
    }

    fn customer(&self, request: u64, random: &mut Random) -> Customer {
        Customer {
            id: self.customers.pick(random) as u64,
            tenant: self.tenants.pick(random) as u64,
            region: random.pick(&["eu", "us", "asia"]),
            app: random.pick(&["web", "android"]),
            subject: request,
            is_poison: self.poison == Some(request),
        }
    }

    fn acts(&self, mechanism: u8, now_ns: u64) -> bool {
        self.play.as_ref().is_some_and(|play| play.acts(mechanism, now_ns))
    }
}

impl World for Shop {
    fn ground(&self) -> &Ground {
        &self.ground
    }

    fn block_requests(&self) -> u64 {
        2048
    }

    fn record(&self) -> Option<Record> {
        self.play.as_ref().map(|play| play.record(self.seed))
    }

    fn is_exact(&self) -> bool {
        self.play.as_ref().is_none_or(Play::is_exact)
    }

    fn pools(&self, now_ns: u64) -> Vec<Pool<'static>> {
        let orders = &self.ground.catalog.services[self.services.order as usize].instances;
        let is_small = self.acts(1, now_ns);
        let pool = |(nth, instance): (usize, &u32)| {
            let draw = hash(self.seed ^ now_ns, nth as u64);
            let (used, max, pending) = if is_small {
                (2, 2, 3 + (draw % 9) as i64)
            } else {
                (1 + (draw % 5) as i64, 20, 0)
            };
            Pool { instance: *instance, name: "orders", used, max, pending }
        };
        orders.iter().enumerate().map(pool).collect()
    }

    fn tell(&self, scene: &mut Scene<'_>, request: u64) {
        if let Some(shifts) = self.clock_shifts(scene.now_ns) {
            scene.trace.clock_shift_ns.extend(shifts);
        }
        let customer = self.customer(request, &mut scene.random);
        match self.wish(request) {
            Wish::Place => self.post_order(scene, customer),
            Wish::Item => self.get_item(scene, customer),
            Wish::LookUp => self.get_order(scene, customer),
            Wish::List => self.list_orders(scene, customer),
            Wish::Profile => self.get_user(scene, customer),
        }
    }
}
