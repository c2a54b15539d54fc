//! Traces that break what recursion or squares hide: 10,000 levels deep, 100,000 children of one
//! parent, a million spans.

use super::catalog::{Call, Catalog, Owner};
use super::failure;
use super::schedule::Schedule;
use super::trace::{Open, Scene};
use super::world::{Ground, World};

/// Spans from the root to the deepest one.
pub(super) const DEEP: usize = 10_000;
/// Children of one parent.
pub(super) const WIDE: usize = 100_000;
/// Spans of the largest trace.
pub(super) const HUGE: usize = 1_000_000;
const SERVICES: usize = 10;

/// Services in a ring, each of which calls the next.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    root: u32,
    /// The same at the last service.
    enter_last: u32,
    first: u32,
    calls: Vec<Call>,
    work: u32,
}

impl Ring {
    pub(super) fn add(catalog: &mut Catalog) -> Ring {
        let services: Vec<u32> = (0..SERVICES)
            .map(|nth| {
                let owner = Owner { team: "ring", domain: "" };
                catalog.made_up(&format!("ring-{nth}"), 6000, owner, [nth as u8])
            })
            .collect();
        let next = services.iter().cycle().skip(1);
        let pairs: Vec<(u32, u32)> = services.iter().copied().zip(next.copied()).collect();
        Ring {
            root: catalog.rpc_server(services[0], "grpc", "ring.Ring/Start"),
            enter_last: catalog.rpc_server(services[SERVICES - 1], "grpc", "ring.Ring/Start"),
            calls: pairs
                .into_iter()
                .map(|(from, to)| catalog.rpc_call(from, to, "grpc", "ring.Ring/Next"))
                .collect(),
            work: catalog.internal(services[0], "step"),
            first: services[0],
        }
    }

    /// Round the ring so many spans deep.
    pub(super) fn deep(&self, scene: &mut Scene<'_>, spans: usize) {
        let mut instance = scene.pick(self.first);
        let mut open: Vec<Open> = vec![scene.begin(self.root, instance)];
        scene.work(1_000);
        for call in self.calls.iter().cycle().take(spans.saturating_sub(1) / 2) {
            open.push(scene.open(call.client, instance));
            scene.work(1_000);
            instance = scene.pick(call.callee);
            open.push(scene.open(call.server, instance));
            scene.work(1_000);
        }
        while let Some(span) = open.pop() {
            scene.work(1_000);
            scene.close(span, failure::NONE);
        }
    }

    /// So many children of one parent, one after the other.
    pub(super) fn wide(&self, scene: &mut Scene<'_>, children: usize) {
        let instance = scene.pick(self.first);
        let root = scene.begin(self.root, instance);
        self.steps(scene, instance, children);
        scene.close(root, failure::NONE);
    }

    /// So many spans in all: a client, a server and ninety-eight steps of it, again and again.
    pub(super) fn huge(&self, scene: &mut Scene<'_>, spans: usize) {
        // The last service of the ring calls the first.
        let call = self.calls[SERVICES - 1];
        let last = self.calls[SERVICES - 2].callee;
        let last = scene.pick(last);
        let root = scene.begin(self.enter_last, last);
        for _ in 0..spans / 100 {
            scene.call(call, last, [2_000, 0], |scene, first| {
                self.steps(scene, first, 98);
                failure::NONE
            });
        }
        scene.close(root, failure::NONE);
    }

    fn steps(&self, scene: &mut Scene<'_>, instance: u32, steps: usize) {
        for _ in 0..steps {
            let step = scene.open(self.work, instance);
            let ns = scene.random.around(1_000);
            scene.work(ns);
            scene.close(step, failure::NONE);
        }
    }
}

/// The three kinds in turn.
#[derive(Debug)]
pub(super) struct Chain {
    ground: Ground,
    ring: Ring,
}

impl Chain {
    pub(super) fn new(schedule: Schedule) -> Chain {
        let mut catalog = Catalog::new();
        let ring = Ring::add(&mut catalog);
        Chain { ground: Ground { catalog, schedule }, ring }
    }
}

impl World for Chain {
    fn ground(&self) -> &Ground {
        &self.ground
    }

    fn block_requests(&self) -> u64 {
        1
    }

    fn tell(&self, scene: &mut Scene<'_>, request: u64) {
        // One of a million spans, then deep and wide ones in turn.
        match request {
            2 => self.ring.huge(scene, HUGE),
            n if n % 2 == 0 => self.ring.deep(scene, DEEP),
            _ => self.ring.wide(scene, WIDE),
        }
    }
}
