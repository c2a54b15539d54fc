//! How each fault shows where it acts. The story asks at these places; when nothing is wrong, the
//! answers are those of an ordinary day.

use super::super::catalog::Call;
use super::super::failure::{self, FailureId};
use super::super::schedule::SECOND_NS;
use super::super::trace::Scene;
use super::{Customer, Shop};
use crate::topology::{REPLICAS, SHARDS};

pub(super) const MS: u64 = 1_000_000;
/// A killed instance is back after this time, and is killed again after the longer one.
const DOWN_NS: u64 = 10 * SECOND_NS;
const KILLED_EVERY_NS: u64 = 30 * SECOND_NS;
/// The registry serves a dead address for this long.
const DEAD_ADDRESS_NS: u64 = 20 * SECOND_NS;
/// An instance stands still for so long, again and again.
const PAUSE_NS: u64 = 800 * MS;
const PAUSED_EVERY_NS: u64 = 5 * SECOND_NS;
/// From a fresh process to its memory limit and back.
const LEAK_NS: u64 = 40 * SECOND_NS;
const LEAK_DOWN_NS: u64 = 10 * SECOND_NS;
/// Messages never lie longer than this.
const LAG_MAX_NS: u64 = 60 * SECOND_NS;
/// How far the clock of the second host is ahead.
const AHEAD_NS: i64 = 40_000_000;

impl Shop {
    /// Time since the fault began to act.
    fn since_ns(&self, now_ns: u64) -> u64 {
        self.play.as_ref().map_or(0, |play| now_ns.saturating_sub(play.window_ns.start))
    }

    fn is_target(&self, nth: usize, of: usize) -> bool {
        self.play.as_ref().is_some_and(|play| play.target(of) == nth)
    }

    /// Whether an instance is the target among those of its service.
    fn is_target_instance(&self, instance: u32) -> bool {
        let service = self.ground.catalog.instances[instance as usize].service;
        let all = &self.ground.catalog.services[service as usize].instances;
        all.iter().position(|i| *i == instance).is_some_and(|nth| self.is_target(nth, all.len()))
    }

    /// S28: everything takes longer when more requests come.
    pub(super) fn paced(&self, now_ns: u64, ns: u64) -> u64 {
        if self.acts(28, now_ns) { ns * 8 / 5 } else { ns }
    }

    /// The instance that takes a call.
    pub(super) fn answering(&self, scene: &mut Scene<'_>, service: u32) -> u32 {
        let instance = scene.pick(service);
        let all = &self.ground.catalog.services[service as usize].instances;
        let nth = all.iter().position(|i| *i == instance).unwrap_or_default();
        let now_ns = scene.now_ns;
        if service == self.services.order && self.acts(20, now_ns) && self.is_target(nth, all.len())
        {
            return self.spares.order[nth];
        }
        let is_back = self.acts(9, now_ns) && self.since_ns(now_ns) >= DOWN_NS;
        if service == self.services.payment && is_back {
            self.spares.payment[nth]
        } else {
            instance
        }
    }

    /// Why a call does not reach its callee, and how long the caller takes to notice.
    pub(super) fn broken(&self, scene: &mut Scene<'_>, call: Call) -> Option<(FailureId, u64)> {
        let now_ns = scene.now_ns;
        let ops = &self.ops;
        let is = |other: Call| call.client == other.client;
        let since_ns = self.since_ns(now_ns);
        let failure = if is(ops.gateway_user) && self.acts(5, now_ns) {
            scene.random.chance(50_000).then_some(failure::RESET)
        } else if is(ops.order_charge) && self.acts(9, now_ns) {
            (since_ns % KILLED_EVERY_NS < DOWN_NS).then_some(failure::REFUSED)
        } else if is(ops.order_shipping) && self.acts(12, now_ns) {
            (since_ns < DEAD_ADDRESS_NS).then_some(failure::REFUSED)
        } else if is(ops.gateway_inventory) && self.acts(21, now_ns) {
            scene.random.chance(700_000).then_some(failure::CERTIFICATE)
        } else {
            None
        }?;
        Some((failure, scene.random.around(MS)))
    }

    /// Time on the way to a callee, and before its server span begins.
    pub(super) fn way_ns(&self, scene: &mut Scene<'_>, call: Call) -> u64 {
        let now_ns = scene.now_ns;
        let way_ns = scene.random.around(300_000) + self.between_ns(scene, call);
        let more_ns = if call.client == self.ops.order_charge.client && self.acts(4, now_ns) {
            scene.random.between(30 * MS, 50 * MS)
        } else if call.client == self.ops.order_shipping.client && self.acts(6, now_ns) {
            scene.random.between(40 * MS, 260 * MS)
        } else {
            0
        };
        self.paced(now_ns, way_ns) + more_ns
    }

    /// What a system that sends nothing takes on each way between caller and callee.
    fn between_ns(&self, scene: &mut Scene<'_>, call: Call) -> u64 {
        let is_tax = call.client == self.ops.order_tax.client;
        if is_tax { scene.random.around(6 * MS) } else { 0 }
    }

    /// Time on the way back.
    pub(super) fn way_back_ns(&self, scene: &mut Scene<'_>, call: Call) -> u64 {
        let way_ns = scene.random.around(250_000) + self.between_ns(scene, call);
        let is_slow = call.client == self.ops.order_charge.client && self.acts(4, scene.now_ns);
        let more_ns = if is_slow { scene.random.between(30 * MS, 50 * MS) } else { 0 };
        self.paced(scene.now_ns, way_ns) + more_ns
    }

    /// How much longer an instance works than others.
    pub(super) fn strain(&self, now_ns: u64, instance: u32) -> u64 {
        let service = self.ground.catalog.instances[instance as usize].service;
        let is_spiked = service == self.services.pricing
            && self.acts(7, now_ns)
            && self.is_target_instance(instance);
        if is_spiked { 6 } else { 1 }
    }

    /// S10: how long an instance still stands still.
    pub(super) fn pause_ns(&self, now_ns: u64, instance: u32) -> u64 {
        let service = self.ground.catalog.instances[instance as usize].service;
        let is_target = service == self.services.inventory
            && self.acts(10, now_ns)
            && self.is_target_instance(instance);
        let phase_ns = self.since_ns(now_ns) % PAUSED_EVERY_NS;
        if is_target { PAUSE_NS.saturating_sub(phase_ns) } else { 0 }
    }

    /// S20: the new version takes longer on the route on which orders are placed.
    pub(super) fn version_ns(&self, scene: &mut Scene<'_>, instance: u32) -> u64 {
        let is_new = self.spares.order.contains(&instance);
        if is_new { scene.random.around(140 * MS) } else { 0 }
    }

    /// S1: the wait for a connection; an ordinary one is seldom worth a span.
    pub(super) fn pool_wait_ns(&self, scene: &mut Scene<'_>) -> u64 {
        if self.acts(1, scene.now_ns) {
            return scene.random.around(70 * MS);
        }
        if scene.random.chance(20_000) { scene.random.between(MS, 3 * MS) } else { 0 }
    }

    /// S2: a scan instead of a look-up.
    pub(super) fn prices_ns(&self, scene: &mut Scene<'_>) -> u64 {
        if self.acts(2, scene.now_ns) {
            return scene.random.around(130 * MS);
        }
        scene.random.around(3 * MS)
    }

    /// S25: nothing is found in the cache; else nine times of ten.
    pub(super) fn is_cached(&self, scene: &mut Scene<'_>) -> bool {
        !self.acts(25, scene.now_ns) && scene.random.chance(900_000)
    }

    /// S25: databases that everyone asks take longer.
    pub(super) fn uncached_ns(&self, scene: &mut Scene<'_>, median_ns: u64) -> u64 {
        let ns = scene.random.around(median_ns);
        if self.acts(25, scene.now_ns) { 3 * ns } else { ns }
    }

    /// S3: the wait for the lock of the inventory database, and whether it was too long.
    pub(super) fn lock_ns(&self, scene: &mut Scene<'_>) -> (u64, FailureId) {
        if !self.acts(3, scene.now_ns) {
            return (0, failure::NONE);
        }
        let wait_ns = scene.random.between(50 * MS, 2_500 * MS);
        if wait_ns > 2_000 * MS { (2_000 * MS, failure::LOCKED) } else { (wait_ns, failure::NONE) }
    }

    /// S16: who asks, when one customer makes half of the orders.
    pub(super) fn customer_of(&self, scene: &mut Scene<'_>, customer: Customer) -> Customer {
        let Some(play) = &self.play else { return customer };
        let is_hot = self.acts(16, scene.now_ns) && scene.random.chance(500_000);
        if is_hot { Customer { id: play.hot_customer(), ..customer } } else { customer }
    }

    /// S16: the wait for the writer of a shard.
    pub(super) fn shard_ns(&self, scene: &mut Scene<'_>, shard: usize) -> u64 {
        let is_hot = self.acts(16, scene.now_ns)
            && self.play.as_ref().is_some_and(|play| play.target(SHARDS) == shard);
        if is_hot { scene.random.around(90 * MS) } else { 0 }
    }

    /// S15: the reader waits for a replica that lags, and then asks the primary.
    pub(super) fn lag_of_replica_ns(&self, scene: &mut Scene<'_>, replica: usize) -> u64 {
        let lags = self.acts(15, scene.now_ns)
            && self.is_target(replica, REPLICAS)
            && scene.random.chance(400_000);
        if lags { scene.random.around(50 * MS) } else { 0 }
    }

    /// S11: the provider takes its time.
    pub(super) fn provider_ns(&self, scene: &mut Scene<'_>) -> u64 {
        if self.acts(11, scene.now_ns) {
            return 2_000 * MS + scene.random.around(20 * MS);
        }
        20 * MS + scene.random.around(8 * MS)
    }

    /// S13: payment fails, and more often the more it is asked.
    pub(super) fn payment_fails(&self, scene: &mut Scene<'_>, attempt: i64) -> bool {
        let per_million = match (self.acts(13, scene.now_ns), attempt) {
            (true, 0) => 300_000,
            (true, _) => 600_000,
            (false, _) => 3_000,
        };
        scene.random.chance(per_million)
    }

    /// Tries of a charge, and the pause before a further one.
    pub(super) fn charges(&self, scene: &mut Scene<'_>, attempt: i64) -> Option<u64> {
        let is_storm = self.acts(13, scene.now_ns);
        let tries_max = if is_storm { 4 } else { 3 };
        let pause_max_ns = (50 * MS) << attempt.clamp(0, 4);
        let pause_ns = if is_storm { 0 } else { scene.random.below(pause_max_ns) };
        (attempt + 1 < tries_max).then_some(pause_ns)
    }

    /// S23: some prices take long, before the fault as well: pricing waits on something outside.
    pub(super) fn unhurried_ns(&self, scene: &mut Scene<'_>) -> u64 {
        let is_played = self.play.as_ref().is_some_and(|play| play.scenario.id == 23);
        let is_long = is_played && scene.random.chance(150_000);
        if is_long { scene.random.between(200 * MS, 420 * MS) } else { 0 }
    }

    /// S23: how long order waits for a price, when that is not long enough.
    pub(super) fn quote_timeout_ns(&self, scene: &Scene<'_>) -> Option<u64> {
        self.acts(23, scene.now_ns).then_some(200 * MS)
    }

    /// S22: whether the gateway asks for a token, and what order-service says to the one it has. The
    /// issuer hands out tokens whose time is over, so each of them is of no use and the next request
    /// asks again.
    pub(super) fn tokens(&self, scene: &mut Scene<'_>) -> (bool, FailureId) {
        if self.acts(22, scene.now_ns) {
            return (true, failure::UNAUTHORIZED);
        }
        (scene.random.chance(10_000), failure::NONE)
    }

    /// S14: order-service dies after the order was saved.
    pub(super) fn dies_after_saving(&self, scene: &mut Scene<'_>) -> bool {
        self.acts(14, scene.now_ns) && scene.random.chance(60_000)
    }

    /// S19: what order-service and user-service wait for each other in the database they share.
    pub(super) fn shared_ns(&self, scene: &mut Scene<'_>) -> u64 {
        if self.acts(19, scene.now_ns) { scene.random.around(35 * MS) } else { 0 }
    }

    /// S17: how long inventory takes for a message, and how long the message lay before.
    pub(super) fn reserving(&self, scene: &mut Scene<'_>) -> (u64, u64) {
        let now_ns = scene.now_ns;
        let lag_ns = scene.random.around(4 * MS);
        if !self.acts(17, now_ns) {
            return (lag_ns, scene.random.around(3 * MS));
        }
        // Half of the messages that come in a second are left over.
        let backlog_ns = (self.since_ns(now_ns) / 2).min(LAG_MAX_NS);
        (lag_ns + backlog_ns, 500 * MS + scene.random.around(20 * MS))
    }

    /// S8: how long a message to notification lies, how much slower it is handled, and by whom.
    pub(super) fn notifying(&self, scene: &mut Scene<'_>) -> (u64, u64, u32) {
        let (now_ns, lag_ns) = (scene.now_ns, scene.random.around(5 * MS));
        let instance = scene.pick(self.services.notification);
        if !self.acts(8, now_ns) {
            return (lag_ns, 1, instance);
        }
        let (round, phase_ns) = (self.since_ns(now_ns) / LEAK_NS, self.since_ns(now_ns) % LEAK_NS);
        let up_ns = LEAK_NS - LEAK_DOWN_NS;
        if phase_ns >= up_ns {
            return (lag_ns + LEAK_NS - phase_ns, 1, self.spares.notification);
        }
        let instance = if round > 0 { self.spares.notification } else { instance };
        (lag_ns, 1 + 16 * phase_ns / up_ns, instance)
    }

    /// S26: how often a message comes again until the fault is over.
    pub(super) fn redeliveries(&self, now_ns: u64, customer: Customer) -> u64 {
        let Some(play) = &self.play else { return 0 };
        if !customer.is_poison || play.scenario.id != 26 {
            return 0;
        }
        play.window_ns.end.saturating_sub(now_ns) / SECOND_NS
    }

    /// S27: by how much the clock of each host is off.
    pub(super) fn clock_shifts(&self, now_ns: u64) -> Option<[i64; 3]> {
        self.acts(27, now_ns).then_some([0, AHEAD_NS, 0])
    }
}
