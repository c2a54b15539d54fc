//! The demo's own system as a story: what customers do, and what the services do then.

mod faults;
mod play;
mod story;
mod topology;

use std::ops::Range;

use super::catalog::Catalog;
use super::metrics::Pool;
use super::random::{Random, Weights, hash};
use super::schedule::Schedule;
use super::stream::World;
use super::trace::{Scene, Trace};
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
    catalog: Catalog,
    services: Services,
    spares: Spares,
    ops: Ops,
    seed: u64,
    schedule: Schedule,
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
            catalog,
            services,
            spares,
            ops,
            seed: schedule.seed,
            schedule,
            customers: Weights::zipf(400),
            tenants: Weights::zipf(20),
            play: None,
            poison: None,
        }
    }

    /// Lets a fault act at a time.
    #[must_use]
    pub(super) fn with(mut self, scenario: &'static Scenario, window_ns: Range<u64>) -> Shop {
        let first = self.schedule.first_at(window_ns.start);
        let last = self.schedule.requests;
        self.poison = (first..last).find(|request| self.wish(*request) == Wish::Place);
        self.play = Some(Play::new(scenario, window_ns, self.seed));
        self
    }

    /// Spans of these requests carry the probability that they were kept with.
    #[must_use]
    pub(super) fn sampled(mut self, trace_state: &str) -> Shop {
        super::wire::text(&mut self.catalog.trace_state, 3, trace_state);
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
    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn requests(&self) -> u64 {
        self.schedule.requests
    }

    fn block_requests(&self) -> u64 {
        2048
    }

    fn start_ns(&self) -> u64 {
        self.schedule.start_ns
    }

    fn end_ns(&self) -> u64 {
        self.schedule.end_ns
    }

    fn record(&self) -> Option<Record> {
        self.play.as_ref().map(|play| play.record(self.seed))
    }

    fn is_exact(&self) -> bool {
        self.play.as_ref().is_none_or(Play::is_exact)
    }

    fn pools(&self, now_ns: u64) -> Vec<Pool<'static>> {
        let orders = &self.catalog.services[self.services.order as usize].instances;
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

    fn tell(&self, request: u64, trace: &mut Trace) {
        let start_ns = self.schedule.at_ns(request);
        let mut scene = Scene::new(&self.catalog, trace, self.seed, request, start_ns);
        if let Some(shifts) = self.clock_shifts(start_ns) {
            scene.trace.clock_shift_ns.extend(shifts);
        }
        let customer = self.customer(request, &mut scene.random);
        match self.wish(request) {
            Wish::Place => self.post_order(&mut scene, customer),
            Wish::Item => self.get_item(&mut scene, customer),
            Wish::LookUp => self.get_order(&mut scene, customer),
            Wish::List => self.list_orders(&mut scene, customer),
            Wish::Profile => self.get_user(&mut scene, customer),
        }
    }
}
