//! What happens in each request, from the gateway to the last consumer.

use super::super::catalog::Call;
use super::super::failure::{self, FAILURES, FailureId};
use super::super::trace::{Content, Open, Scene};
use super::faults::MS;
use super::{Customer, Shop};
use crate::topology::{REPLICAS, SHARDS};

/// With what a server fails because of a call.
fn above(failure: FailureId) -> FailureId {
    FAILURES[usize::from(failure)].above
}

/// What a client span says beside its operation.
type Note = Option<(&'static str, Content)>;

/// The producers of an order's messages.
#[derive(Clone, Copy, Debug)]
struct Sent {
    placed: u32,
    notification: u32,
}

impl Shop {
    pub(super) fn post_order(&self, scene: &mut Scene<'_>, customer: Customer) {
        let customer = self.customer_of(scene, customer);
        let (root, gateway) = self.enter(scene, self.ops.post_order, customer);
        let mut placed = None;
        let failure = self.authenticated(scene, gateway, customer, |scene| {
            let token = self.token(scene, gateway);
            self.call(scene, self.ops.gateway_place, gateway, None, |scene, order| match token {
                failure::NONE => {
                    let (failure, message) = self.place(scene, order, customer);
                    placed = message;
                    failure
                }
                failure => failure,
            })
        });
        scene.close(root, failure);
        if let Some(sent) = placed {
            self.consume(scene, sent, customer);
        }
    }

    pub(super) fn get_order(&self, scene: &mut Scene<'_>, customer: Customer) {
        let (root, gateway) = self.enter(scene, self.ops.get_order, customer);
        let failure = self.authenticated(scene, gateway, customer, |scene| {
            let token = self.token(scene, gateway);
            self.call(scene, self.ops.gateway_order, gateway, None, |scene, order| {
                if token != failure::NONE {
                    return token;
                }
                self.works(scene, order, 400_000);
                self.acquire(scene, order);
                let statement = self.ops.db.select_order[shard(customer)];
                let failure = self.query(scene, statement, order, 2 * MS);
                self.works(scene, order, 300_000);
                above(failure)
            })
        });
        scene.close(root, failure);
    }

    pub(super) fn list_orders(&self, scene: &mut Scene<'_>, customer: Customer) {
        let (root, gateway) = self.enter(scene, self.ops.list_orders, customer);
        let failure = self.authenticated(scene, gateway, customer, |scene| {
            self.call(scene, self.ops.gateway_query, gateway, None, |scene, query| {
                self.works(scene, query, 300_000);
                let failure = self.query(scene, self.ops.db.select_views, query, 5 * MS);
                self.works(scene, query, 600_000);
                above(failure)
            })
        });
        scene.close(root, failure);
    }

    pub(super) fn get_item(&self, scene: &mut Scene<'_>, customer: Customer) {
        let (root, gateway) = self.enter(scene, self.ops.get_item, customer);
        let failure =
            self.call(scene, self.ops.gateway_inventory, gateway, None, |scene, inventory| {
                self.works(scene, inventory, 400_000);
                self.look_up(scene, self.ops.inventory_lookup, inventory);
                let call = self.ops.inventory_cache;
                if !self.cached(scene, call, inventory) {
                    let median_ns = 4 * MS;
                    let ns = self.uncached_ns(scene, median_ns);
                    self.statement(scene, self.ops.db.select_stock, inventory, ns, failure::NONE);
                }
                self.works(scene, inventory, 300_000);
                failure::NONE
            });
        self.works(scene, gateway, 200_000);
        scene.close(root, above(failure));
    }

    pub(super) fn get_user(&self, scene: &mut Scene<'_>, customer: Customer) {
        let (root, gateway) = self.enter(scene, self.ops.get_user, customer);
        let failure = self.user(scene, gateway, customer);
        self.works(scene, gateway, 200_000);
        scene.close(root, above(failure));
    }

    /// The gateway's span, and what its layers do first.
    fn enter(&self, scene: &mut Scene<'_>, op: u32, customer: Customer) -> (Open, u32) {
        let gateway = scene.pick(self.services.gateway);
        let root = scene.begin(op, gateway);
        let is_item = op == self.ops.get_item;
        scene.value("customer.id", Content::Numbered("c-", customer.id));
        if is_item {
            scene.value("item.sku", Content::Numbered("sku-", customer.subject % 1_000));
        } else if op != self.ops.get_user {
            scene.value("order.id", Content::Numbered("o-", customer.subject));
        }
        scene.value("tenant.id", Content::Numbered("t-", customer.tenant));
        scene.value("client.region", Content::Text(customer.region));
        scene.value("app.version", Content::Text(customer.app));
        self.works(scene, gateway, 500_000);
        self.look_up(scene, self.ops.gateway_lookup, gateway);
        (root, gateway)
    }

    fn sign(&self, scene: &mut Scene<'_>, customer: Customer) {
        scene.value("customer.id", Content::Numbered("c-", customer.id));
        scene.value("order.id", Content::Numbered("o-", customer.subject));
    }

    /// The user first, then what was asked for; returns with what the gateway fails.
    fn authenticated<'a>(
        &self,
        scene: &mut Scene<'a>,
        gateway: u32,
        customer: Customer,
        then: impl FnOnce(&mut Scene<'a>) -> FailureId,
    ) -> FailureId {
        let mut failure = self.user(scene, gateway, customer);
        if failure == failure::NONE {
            self.works(scene, gateway, 100_000);
            failure = then(scene);
        }
        self.works(scene, gateway, 200_000);
        above(failure)
    }

    /// Asks for the user, again where that is of use.
    fn user(&self, scene: &mut Scene<'_>, gateway: u32, customer: Customer) -> FailureId {
        let call = self.ops.gateway_user;
        for attempt in 0.. {
            let note =
                (attempt > 0).then_some(("http.request.resend_count", Content::Int(attempt)));
            let failure = self.call(scene, call, gateway, note, |scene, user| {
                self.works(scene, user, 500_000);
                self.read_user(scene, user, customer);
                self.works(scene, user, 400_000);
                failure::NONE
            });
            let is_over = failure == failure::NONE || attempt == 2;
            if is_over {
                return failure;
            }
            let pause_ns = scene.random.below((50 * MS) << attempt);
            scene.work(pause_ns);
        }
        failure::NONE
    }

    fn read_user(&self, scene: &mut Scene<'_>, user: u32, customer: Customer) {
        let replica = (customer.id + customer.subject) as usize % REPLICAS;
        let lag_ns = self.lag_of_replica_ns(scene, replica);
        let ns = scene.random.around(2 * MS) + lag_ns;
        self.statement(scene, self.ops.db.select_user[replica], user, ns, failure::NONE);
        if lag_ns > 0 {
            let ns = scene.random.around(2 * MS);
            self.statement(scene, self.ops.db.select_user_primary, user, ns, failure::NONE);
        }
    }

    /// The gateway's token for order-service, a new one where the old one has run out; returns with
    /// what order-service answers to it.
    fn token(&self, scene: &mut Scene<'_>, gateway: u32) -> FailureId {
        let (is_asked, failure) = self.tokens(scene);
        if is_asked {
            self.call(scene, self.ops.gateway_token, gateway, None, |scene, user| {
                self.works(scene, user, 400_000);
                failure::NONE
            });
        }
        failure
    }

    /// Places an order: prices, tax and shipping, the charge, and the messages. Returns the failure and
    /// what was sent.
    fn place(
        &self,
        scene: &mut Scene<'_>,
        order: u32,
        customer: Customer,
    ) -> (FailureId, Option<Sent>) {
        let server = scene.place();
        self.works(scene, order, MS);
        // Whether this very order was placed before.
        self.cached(scene, self.ops.order_cache, order);
        let slow_ns = self.version_ns(scene, order);
        scene.work(slow_ns);
        let failure = self.offers(scene, order, customer);
        if failure != failure::NONE {
            self.works(scene, order, 300_000);
            return (above(failure), None);
        }
        let failure = self.save(scene, order, customer);
        if failure != failure::NONE {
            return (above(failure), None);
        }
        if self.dies_after_saving(scene) {
            scene.trace.spans[server as usize].is_sent = false;
            return (failure::RESET, None);
        }
        let failure = self.charge(scene, order);
        if failure != failure::NONE {
            self.works(scene, order, 500_000);
            return (above(failure), None);
        }
        let event = self.ops.db.insert_event[shard(customer)];
        self.query(scene, event, order, 3 * MS);
        let (publish, ops) = (self.ops.order_publish, &self.ops);
        let placed = self.publish(scene, ops.send_order, publish, order, customer);
        let notification = self.publish(scene, ops.send_notification, publish, order, customer);
        self.works(scene, order, 400_000);
        (failure::NONE, Some(Sent { placed, notification }))
    }

    /// Price, tax and shipping side by side, or one after the other.
    fn offers(&self, scene: &mut Scene<'_>, order: u32, customer: Customer) -> FailureId {
        self.look_up(scene, self.ops.order_lookup, order);
        let is_serial = self.acts(24, scene.now_ns);
        let mut failures = [failure::NONE; 3];
        let mut offer = |scene: &mut Scene<'_>, nth: usize| {
            failures[nth] = match nth {
                0 => self.quote(scene, order, customer),
                1 => self.tax(scene, order),
                _ => self.shipping(scene, order),
            };
        };
        if is_serial {
            (0..3).for_each(|nth| offer(scene, nth));
        } else {
            scene.fan_out(3, &mut offer);
        }
        self.works(scene, order, 300_000);
        failures.into_iter().find(|failure| *failure != failure::NONE).unwrap_or_default()
    }

    fn quote(&self, scene: &mut Scene<'_>, order: u32, customer: Customer) -> FailureId {
        let more_ns = self.unhurried_ns(scene);
        let Some(timeout_ns) = self.quote_timeout_ns(scene) else {
            return self.call(scene, self.ops.order_quote, order, None, |scene, pricing| {
                scene.work(more_ns);
                self.prices(scene, pricing, customer)
            });
        };
        let deadline_ns = scene.now_ns + timeout_ns;
        let outer_ns = scene.wait_until(deadline_ns);
        let call = Call { client: self.ops.hasty_quote, ..self.ops.order_quote };
        let client = scene.open(call.client, order);
        let way_ns = self.way_ns(scene, call);
        scene.work(way_ns);
        let pricing = self.answering(scene, call.callee);
        let server = scene.open(call.server, pricing);
        scene.work(more_ns);
        let failure = self.prices(scene, pricing, customer);
        scene.close(server, failure);
        let is_late = scene.now_ns > deadline_ns;
        scene.give_up(outer_ns);
        if !is_late {
            let way_ns = self.way_back_ns(scene, call);
            scene.work(way_ns);
        }
        let failure = if is_late { failure::TIMEOUT } else { failure };
        scene.close(client, failure);
        failure
    }

    fn prices(&self, scene: &mut Scene<'_>, pricing: u32, customer: Customer) -> FailureId {
        self.works(scene, pricing, 600_000);
        self.look_up(scene, self.ops.pricing_lookup, pricing);
        let items = 3 + customer.subject % 10;
        if self.acts(18, scene.now_ns) {
            for _ in 0..items + 5 {
                self.query(scene, self.ops.db.select_price, pricing, 6 * MS);
                scene.work(20_000);
            }
        } else if !self.cached(scene, self.ops.pricing_cache, pricing)
            || scene.random.chance(700_000)
        {
            let ns = self.prices_ns(scene);
            let ns = if self.acts(25, scene.now_ns) { 12 * ns } else { ns };
            self.statement(scene, self.ops.db.select_prices, pricing, ns, failure::NONE);
        }
        let discounts = scene.open(self.ops.discounts, pricing);
        self.works(scene, pricing, 9 * MS);
        scene.close(discounts, failure::NONE);
        self.works(scene, pricing, 300_000);
        failure::NONE
    }

    fn tax(&self, scene: &mut Scene<'_>, order: u32) -> FailureId {
        self.call(scene, self.ops.order_tax, order, None, |scene, user| {
            self.works(scene, user, 400_000);
            let shared_ns = self.shared_ns(scene);
            let ns = scene.random.around(2 * MS) + shared_ns;
            self.statement(scene, self.ops.db.select_region, user, ns, failure::NONE);
            failure::NONE
        })
    }

    fn shipping(&self, scene: &mut Scene<'_>, order: u32) -> FailureId {
        self.call(scene, self.ops.order_shipping, order, None, |scene, shipping| {
            self.works(scene, shipping, 500_000);
            scene.fan_out(3, &mut |scene: &mut Scene<'_>, nth: usize| {
                let carrier = scene.open(self.ops.carriers[nth], shipping);
                let answer_ns = scene.random.between(14 * MS, 20 * MS);
                scene.work(self.paced(scene.now_ns, answer_ns));
                scene.close(carrier, failure::NONE);
            });
            self.works(scene, shipping, 300_000);
            failure::NONE
        })
    }

    fn save(&self, scene: &mut Scene<'_>, order: u32, customer: Customer) -> FailureId {
        self.acquire(scene, order);
        if self.acts(19, scene.now_ns) {
            let shared_ns = self.shared_ns(scene);
            let ns = scene.random.around(4 * MS) + shared_ns;
            self.statement(scene, self.ops.db.select_foreign_user, order, ns, failure::NONE);
        }
        let shard = shard(customer);
        let hot_ns = self.shard_ns(scene, shard);
        let is_locked = scene.random.chance(1_000);
        let ns = scene.random.around(4 * MS) + hot_ns;
        let (ns, failure) =
            if is_locked { (50 * MS, failure::LOCKED) } else { (ns, failure::NONE) };
        self.statement(scene, self.ops.db.insert_order[shard], order, ns, failure)
    }

    /// Waits for a connection of the pool; what takes no time has no span.
    fn acquire(&self, scene: &mut Scene<'_>, order: u32) {
        let wait_ns = self.pool_wait_ns(scene);
        if wait_ns > 0 {
            let acquire = scene.open(self.ops.acquire, order);
            scene.work(wait_ns);
            scene.close(acquire, failure::NONE);
        }
    }

    fn charge(&self, scene: &mut Scene<'_>, order: u32) -> FailureId {
        for attempt in 0.. {
            let note =
                (attempt > 0).then_some(("http.request.resend_count", Content::Int(attempt)));
            let failure = self.call(scene, self.ops.order_charge, order, note, |scene, payment| {
                self.pay(scene, payment, attempt)
            });
            if failure != failure::UNAVAILABLE {
                return failure;
            }
            match self.charges(scene, attempt) {
                Some(pause_ns) => scene.work(pause_ns),
                None => return failure,
            }
        }
        failure::NONE
    }

    fn pay(&self, scene: &mut Scene<'_>, payment: u32, attempt: i64) -> FailureId {
        self.works(scene, payment, 500_000);
        if self.payment_fails(scene, attempt) {
            self.works(scene, payment, 2 * MS);
            return failure::UNAVAILABLE;
        }
        self.query(scene, self.ops.db.insert_payment, payment, 3 * MS);
        let psp = scene.open(self.ops.psp, payment);
        let ns = self.provider_ns(scene);
        let ns = self.paced(scene.now_ns, ns);
        scene.work(ns);
        scene.close(psp, failure::NONE);
        self.query(scene, self.ops.db.update_payment, payment, 2 * MS);
        self.works(scene, payment, 300_000);
        failure::NONE
    }

    /// Asks the registry where somebody runs; most of the time that is known already.
    fn look_up(&self, scene: &mut Scene<'_>, call: Call, from: u32) {
        let is_asked = scene.random.chance(10_000)
            || (call.client == self.ops.order_lookup.client && self.acts(12, scene.now_ns));
        if is_asked {
            self.call(scene, call, from, None, |scene, registry| {
                self.works(scene, registry, 300_000);
                failure::NONE
            });
        }
    }

    /// Hands a message to the bus; returns the place of the producer.
    fn publish(
        &self,
        scene: &mut Scene<'_>,
        op: u32,
        call: Call,
        from: u32,
        customer: Customer,
    ) -> u32 {
        let send = scene.open(op, from);
        scene.value("messaging.message.id", Content::Numbered("m-", customer.subject));
        let producer = scene.place();
        scene.work(50_000);
        self.call(scene, call, from, None, |scene, bus| {
            self.works(scene, bus, 300_000);
            self.query(scene, self.ops.db.insert_message, bus, 600_000);
            failure::NONE
        });
        scene.work(20_000);
        scene.close(send, failure::NONE);
        producer
    }

    /// The groups handle their messages, each in a trace of its own.
    fn consume(&self, scene: &mut Scene<'_>, sent: Sent, customer: Customer) {
        self.reserve(scene, sent.placed, customer);
        let lag_ns = scene.random.around(4 * MS);
        let query = scene.pick(self.services.query);
        let project = self.receive(scene, self.ops.project, query, lag_ns, sent.placed);
        self.sign(scene, customer);
        self.works(scene, query, 500_000);
        self.query(scene, self.ops.db.insert_view, query, 3 * MS);
        scene.close(project, failure::NONE);
        self.notify(scene, sent.notification, customer);
    }

    /// Inventory reserves the items, and order hears of it.
    fn reserve(&self, scene: &mut Scene<'_>, placed: u32, customer: Customer) {
        scene.now_ns = scene.trace.spans[placed as usize].end_ns;
        let (lag_ns, work_ns) = self.reserving(scene);
        let inventory = scene.pick(self.services.inventory);
        let reserve = self.receive(scene, self.ops.reserve, inventory, lag_ns, placed);
        self.sign(scene, customer);
        scene.work(work_ns);
        let (wait_ns, failure) = self.lock_ns(scene);
        let ns = scene.random.around(4 * MS) + wait_ns;
        let failure = self.statement(scene, self.ops.db.update_stock, inventory, ns, failure);
        if failure != failure::NONE {
            self.works(scene, inventory, 500_000);
            scene.close(reserve, above(failure));
            return;
        }
        let (send, publish) = (self.ops.send_stock, self.ops.inventory_publish);
        let reserved = self.publish(scene, send, publish, inventory, customer);
        self.works(scene, inventory, 300_000);
        scene.close(reserve, failure::NONE);

        let lag_ns = scene.random.around(4 * MS);
        let order = scene.pick(self.services.order);
        let settle = self.receive(scene, self.ops.settle, order, lag_ns, reserved);
        self.sign(scene, customer);
        self.works(scene, order, 400_000);
        self.query(scene, self.ops.db.update_order[shard(customer)], order, 2 * MS);
        scene.close(settle, failure::NONE);
    }

    fn notify(&self, scene: &mut Scene<'_>, producer: u32, customer: Customer) {
        scene.now_ns = scene.trace.spans[producer as usize].end_ns;
        let redeliveries = self.redeliveries(scene.now_ns, customer);
        let (mut lag_ns, strain, instance) = self.notifying(scene);
        for delivery in 0..=redeliveries {
            let notify = self.receive(scene, self.ops.notify, instance, lag_ns, producer);
            self.sign(scene, customer);
            if delivery > 0 {
                let count = Content::Int(i64::try_from(delivery).unwrap_or(i64::MAX));
                scene.value("messaging.redelivery_count", count);
            }
            self.works(scene, instance, strain * 2 * MS);
            if redeliveries == 0 {
                let ns = scene.random.around(8 * MS);
                self.statement(scene, self.ops.smtp, instance, ns, failure::NONE);
            }
            let failure = if redeliveries > 0 { failure::UNREADABLE } else { failure::NONE };
            scene.close(notify, failure);
            lag_ns += 1_000 * MS;
        }
    }

    /// The consumer's span, some time after the producer's and in a trace of its own that points to it.
    fn receive(
        &self,
        scene: &mut Scene<'_>,
        op: u32,
        instance: u32,
        lag_ns: u64,
        producer: u32,
    ) -> Open {
        scene.now_ns = scene.trace.spans[producer as usize].end_ns + lag_ns;
        let open = scene.begin(op, instance);
        scene.link_to(producer);
        open
    }

    /// A look-up in the cache; says whether it was of use.
    fn cached(&self, scene: &mut Scene<'_>, call: Call, from: u32) -> bool {
        let is_hit = self.is_cached(scene);
        let note = Some(("cache.hit", Content::Bool(is_hit)));
        self.call(scene, call, from, note, |scene, cache| {
            self.works(scene, cache, 150_000);
            failure::NONE
        });
        is_hit
    }

    /// A call from an instance to whoever answers, with the time on both ways.
    fn call<'a>(
        &self,
        scene: &mut Scene<'a>,
        call: Call,
        from: u32,
        note: Note,
        serve: impl FnOnce(&mut Scene<'a>, u32) -> FailureId,
    ) -> FailureId {
        let client = scene.open(call.client, from);
        if let Some((key, content)) = note {
            scene.value(key, content);
        }
        if let Some((failure, ns)) = self.broken(scene, call) {
            scene.work(ns);
            scene.close(client, failure);
            return failure;
        }
        let ns = self.way_ns(scene, call);
        scene.work(ns);
        let instance = self.answering(scene, call.callee);
        let server = scene.open(call.server, instance);
        let pause_ns = self.pause_ns(scene.now_ns, instance);
        scene.work(pause_ns);
        let failure = serve(scene, instance);
        scene.close(server, failure);
        let ns = self.way_back_ns(scene, call);
        scene.work(ns);
        scene.close(client, failure);
        failure
    }

    /// An instance works about so long.
    fn works(&self, scene: &mut Scene<'_>, instance: u32, median_ns: u64) {
        let ns = scene.random.around(median_ns) * self.strain(scene.now_ns, instance);
        scene.work(self.paced(scene.now_ns, ns));
    }

    /// A statement that takes about so long.
    fn query(&self, scene: &mut Scene<'_>, op: u32, from: u32, median_ns: u64) -> FailureId {
        let ns = scene.random.around(median_ns);
        self.statement(scene, op, from, ns, failure::NONE)
    }

    fn statement(
        &self,
        scene: &mut Scene<'_>,
        op: u32,
        from: u32,
        ns: u64,
        failure: FailureId,
    ) -> FailureId {
        let open = scene.open(op, from);
        let ns = self.paced(scene.now_ns, ns);
        scene.work(ns);
        scene.close(open, failure);
        failure
    }
}

fn shard(customer: Customer) -> usize {
    customer.id as usize % SHARDS
}
