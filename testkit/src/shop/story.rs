//! What customers do and what the services do then: one plan for each request.

use rand::Rng;
use rand::rngs::StdRng;

use super::Fault;
use super::plan::{Delivery, Plan, Role, Step};
use super::topology::{self as t, Endpoint, Failure, Fleet, Service, Statement};

/// Of a hundred requests, how many place an order and how many list items; the others look an
/// order up.
const ORDERS_PERCENT: u32 = 30;
const ITEMS_PERCENT: u32 = 45;
const ITEMS_END: u32 = ORDERS_PERCENT + ITEMS_PERCENT;

/// Tries of a charge, and the pause before the next one.
const TRIES_MAX: u32 = 3;
const PAUSE_US: (u64, u64) = (15_000, 25_000);
/// The same in a storm, where nobody pauses.
const STORM_TRIES_MAX: u32 = 4;

/// Shares of calls that fail on an ordinary day.
const PROVIDER_DOWN_SHARE: f64 = 0.004;
const DATABASE_LOCKED_SHARE: f64 = 0.003;
/// Share of statements that take four times as long as others.
const SLOW_STATEMENT_SHARE: f64 = 0.02;

/// Writes the plan of one request.
#[derive(Debug)]
pub(super) struct Story<'a> {
    pub(super) rng: &'a mut StdRng,
    pub(super) fleet: &'a Fleet,
    /// The fault that acts now.
    pub(super) fault: Option<Fault>,
    /// Whether the fault acted on this request.
    pub(super) is_affected: bool,
}

/// What a server does with a call.
struct Served {
    steps: Vec<Step>,
    failure: Option<&'static Failure>,
}

impl Served {
    fn well(steps: Vec<Step>) -> Served {
        Served { steps, failure: None }
    }
}

impl Story<'_> {
    /// What one customer does: the plan begins with the span of the gateway.
    pub(super) fn request(&mut self) -> Plan {
        match self.rng.random_range(0..100) {
            0..ORDERS_PERCENT => self.enter(&t::ORDERS_POST, Story::post_order),
            ORDERS_PERCENT..ITEMS_END => self.enter(&t::ITEMS_GET, Story::get_items),
            _ => self.enter(&t::ORDER_GET, Story::get_order),
        }
    }

    fn post_order(&mut self, gateway: usize) -> Served {
        let user = self.user(gateway);
        let order = self.call(gateway, &t::PLACE, Story::place_order);
        self.pass_on(vec![user, order])
    }

    fn get_items(&mut self, gateway: usize) -> Served {
        let stock = self.call(gateway, &t::STOCK, Story::list_items);
        self.pass_on(vec![stock])
    }

    fn get_order(&mut self, gateway: usize) -> Served {
        let user = self.user(gateway);
        let order = self.call(gateway, &t::LOOK_UP, |story, order| {
            let record = story.statement(order, &t::SELECT_ORDER, (1_000, 3_000));
            let shipment = story.call(order, &t::SHIPMENT, |story, shipping| {
                let parcel = story.statement(shipping, &t::SELECT_SHIPMENT, (3_000, 9_000));
                Served::well(story.between((1_000, 3_000), vec![parcel]))
            });
            let payment = story.call(order, &t::PAYMENT_STATUS, |story, payment| {
                let state = story.statement(payment, &t::SELECT_PAYMENT, (1_000, 4_000));
                Served::well(story.between((500, 1_500), vec![state]))
            });
            let mut steps = story.between((500, 1_500), vec![record]);
            steps.push(Step::fan_out(vec![shipment, payment]));
            steps.push(story.work(500, 2_000));
            Served::well(steps)
        });
        self.pass_on(vec![user, order])
    }

    fn user(&mut self, caller: usize) -> Plan {
        self.call(caller, &t::USER, |story, user| {
            let record = story.statement(user, &t::SELECT_USER, (1_000, 3_000));
            let mut steps = story.between((1_000, 2_500), vec![record]);
            let is_bad = story.fleet.get(user).id == t::BAD_INSTANCE;
            if is_bad && story.acts(Fault::BadInstance, 1.0) {
                steps.push(story.work(40_000, 60_000));
            }
            Served::well(steps)
        })
    }

    fn place_order(&mut self, order: usize) -> Served {
        let quote = self.call(order, &t::QUOTE, Story::quote);
        let cart = self.statement(order, &t::SELECT_CART, (3_000, 8_000));
        let reservation = self.call(order, &t::RESERVE, |story, inventory| {
            let update = story.statement(inventory, &t::UPDATE_STOCK, (2_000, 6_000));
            Served::well(story.between((1_000, 3_000), vec![update]))
        });
        let mut steps = vec![self.work(1_000, 3_000)];
        steps.push(Step::fan_out(vec![quote, cart, reservation]));
        steps.push(self.work(500, 1_500));
        if let Some(failure) = self.charge(order, &mut steps) {
            steps.push(self.work(200, 600));
            return Served { steps, failure: Some(failure) };
        }
        steps.push(self.work(300, 900));
        let mut insert = self.statement(order, &t::INSERT_ORDER, (2_000, 5_000));
        if self.rng.random_bool(DATABASE_LOCKED_SHARE) {
            insert.failure = Some(&t::DATABASE_LOCKED);
            steps.extend([Step::Child(insert), self.work(200, 600)]);
            return Served { steps, failure: Some(&t::DATABASE_LOCKED) };
        }
        steps.extend([Step::Child(insert), self.work(100, 400)]);
        steps.push(Step::Child(self.message(order)));
        steps.push(self.work(500, 1_500));
        Served::well(steps)
    }

    fn quote(&mut self, pricing: usize) -> Served {
        let prices = self.statement(pricing, &t::SELECT_PRICES, (2_000, 5_000));
        let mut discounts = vec![self.work(8_000, 20_000)];
        discounts.extend(self.slow_version(pricing));
        let discounts = self.plan(pricing, Role::Internal("apply discounts"), discounts);
        Served::well(self.between((500, 1_500), vec![prices, discounts]))
    }

    fn list_items(&mut self, inventory: usize) -> Served {
        let mut calls = vec![self.statement(inventory, &t::SELECT_ITEMS, (2_000, 6_000))];
        if self.acts(Fault::NPlusOne, 1.0) {
            let items = self.rng.random_range(8..=20);
            let select = |_| self.statement(inventory, &t::SELECT_STOCK, (2_000, 4_000));
            calls.extend((0..items).map(select));
        }
        calls.push(self.call(inventory, &t::PRICE_LIST, |story, pricing| {
            let prices = story.statement(pricing, &t::SELECT_PRICES, (2_000, 5_000));
            let mut steps = story.between((2_000, 6_000), vec![prices]);
            steps.extend(story.slow_version(pricing));
            Served::well(steps)
        }));
        Served::well(self.between((300, 900), calls))
    }

    fn slow_version(&mut self, pricing: usize) -> Option<Step> {
        let is_slow = self.fleet.get(pricing).version == t::SLOW_VERSION;
        (is_slow && self.acts(Fault::SlowService, 1.0)).then(|| self.work(50_000, 70_000))
    }

    /// Charges the customer, again when it makes sense. Appends the steps; the failure is the last.
    fn charge(&mut self, order: usize, steps: &mut Vec<Step>) -> Option<&'static Failure> {
        let is_storm = self.fault == Some(Fault::RetryStorm);
        let tries_max = if is_storm { STORM_TRIES_MAX } else { TRIES_MAX };
        let mut tries = 0;
        loop {
            tries += 1;
            let call = self.call(order, &t::CHARGE, Story::take_charge);
            let failure = call.failure;
            steps.push(Step::Child(call));
            let is_tried_again = tries < tries_max && failure.is_some_and(|f| f.is_transient);
            if !is_tried_again {
                return failure;
            }
            if !is_storm {
                steps.push(self.work(PAUSE_US.0, PAUSE_US.1));
            }
        }
    }

    fn take_charge(&mut self, payment: usize) -> Served {
        if self.acts(Fault::RetryStorm, 0.6) {
            return Served { steps: vec![self.work(2_000, 6_000)], failure: Some(&t::NO_WORKER) };
        }
        let mut insert = self.statement(payment, &t::INSERT_PAYMENT, (2_000, 6_000));
        if self.acts(Fault::SlowDependency, 0.6) {
            insert.steps.push(self.work(75_000, 85_000));
        }
        if self.acts(Fault::ErrorsAt, 0.35) {
            let steps = self.between((1_000, 3_000), vec![insert]);
            return Served { steps, failure: Some(&t::CURRENCY_UNKNOWN) };
        }
        let answer = vec![self.work(20_000, 45_000)];
        let mut provider = self.plan(payment, Role::Provider, answer);
        if self.rng.random_bool(PROVIDER_DOWN_SHARE) {
            provider.failure = Some(&t::PROVIDER_DOWN);
            let steps = self.between((1_000, 3_000), vec![insert, provider]);
            return Served { steps, failure: Some(&t::PROVIDER_DOWN) };
        }
        let update = self.statement(payment, &t::UPDATE_PAYMENT, (1_500, 4_000));
        Served::well(self.between((1_000, 3_000), vec![insert, provider, update]))
    }

    /// Tells the others that an order was placed; they work when the producer has long gone on.
    fn message(&mut self, order: usize) -> Plan {
        let mut steps = vec![self.work(500, 2_000)];
        for (service, statement, delivery) in [
            (Service::Inventory, &t::UPDATE_STOCK, Delivery::SameTrace),
            (Service::Shipping, &t::INSERT_SHIPMENT, Delivery::OwnTrace),
        ] {
            let instance = self.replica(service);
            let write = self.statement(instance, statement, (4_000, 12_000));
            let handling = self.between((2_000, 8_000), vec![write]);
            let consumer = self.plan(instance, Role::Process, handling);
            let lag_ns = self.ns(5_000, 25_000);
            steps.push(Step::Message { lag_ns, consumer, delivery });
        }
        self.plan(order, Role::Send, steps)
    }

    /// A span of the gateway and what it does.
    fn enter(
        &mut self,
        endpoint: &'static Endpoint,
        serve: fn(&mut Self, usize) -> Served,
    ) -> Plan {
        let gateway = self.replica(endpoint.service);
        let served = serve(self, gateway);
        let mut plan = self.plan(gateway, Role::Server(endpoint), served.steps);
        plan.failure = served.failure;
        plan
    }

    /// A call of an endpoint on some instance, seen from both sides.
    fn call(
        &mut self,
        caller: usize,
        endpoint: &'static Endpoint,
        serve: impl FnOnce(&mut Self, usize) -> Served,
    ) -> Plan {
        let instance = self.replica(endpoint.service);
        let served = serve(self, instance);
        let mut server = self.plan(instance, Role::Server(endpoint), served.steps);
        server.failure = served.failure;
        let mut steps = vec![self.work(200, 900), Step::Child(server), self.work(200, 900)];
        let way = (self.fleet.get(caller).service, endpoint.service);
        if way == (Service::Order, Service::Payment) && self.acts(Fault::SlowNetwork, 1.0) {
            steps.insert(0, self.work(30_000, 50_000));
            steps.push(self.work(30_000, 50_000));
        }
        let mut client = self.plan(caller, Role::Client(endpoint), steps);
        client.failure = served.failure;
        client
    }

    fn statement(
        &mut self,
        instance: usize,
        statement: &'static Statement,
        (from_us, to_us): (u64, u64),
    ) -> Plan {
        let times = if self.rng.random_bool(SLOW_STATEMENT_SHARE) { 4 } else { 1 };
        let steps = vec![self.work(times * from_us, times * to_us)];
        self.plan(instance, Role::Database(statement), steps)
    }

    fn plan(&self, instance: usize, role: Role, steps: Vec<Step>) -> Plan {
        let service = self.fleet.get(instance).service;
        Plan { service, instance, role, failure: None, steps }
    }

    /// Calls one after the other with work before, between and after them, all within bounds.
    fn between(&mut self, (from_us, to_us): (u64, u64), calls: Vec<Plan>) -> Vec<Step> {
        let mut steps = vec![self.work(from_us, to_us)];
        for call in calls {
            steps.extend([Step::Child(call), self.work(from_us, to_us)]);
        }
        steps
    }

    /// What the gateway does: the calls in order, and the failure of the last one as its own.
    fn pass_on(&mut self, calls: Vec<Plan>) -> Served {
        let failure = calls.last().and_then(|call| call.failure);
        Served { steps: self.between((300, 1_500), calls), failure }
    }

    fn replica(&mut self, service: Service) -> usize {
        let running: Vec<usize> = self.fleet.running(service, self.fault.is_some()).collect();
        running[self.rng.random_range(0..running.len())]
    }

    /// Whether a fault, if it is the one that acts now, acts on this call.
    fn acts(&mut self, fault: Fault, share: f64) -> bool {
        let acts = self.fault == Some(fault) && self.rng.random_bool(share);
        self.is_affected |= acts;
        acts
    }

    fn work(&mut self, from_us: u64, to_us: u64) -> Step {
        Step::Work(self.ns(from_us, to_us))
    }

    fn ns(&mut self, from_us: u64, to_us: u64) -> u64 {
        self.rng.random_range(from_us * 1_000..to_us * 1_000)
    }
}
