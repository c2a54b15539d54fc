//! Traces that break what recursion or squares hide: 10,000 levels deep, 100,000 children of one
//! parent, a million spans.

use super::catalog::{Call, Catalog, Resource};
use super::failure;
use super::schedule::Schedule;
use super::stream::World;
use super::trace::{Open, Scene, Trace};

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
                let name = format!("ring-{nth}");
                let service = catalog.service(&name, 6000 + nth as u16);
                let host = nth as u8;
                let of =
                    Resource { namespace: "", version: "1.0.0", host, team: "ring", domain: "" };
                catalog.instance(service, format!("{name}-1"), &of);
                service
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
        let (first, last) = (scene.pick(self.first), scene.pick(last));
        let root = scene.begin(self.enter_last, last);
        for _ in 0..spans / 100 {
            let client = scene.open(call.client, last);
            scene.work(2_000);
            let server = scene.open(call.server, first);
            self.steps(scene, first, 98);
            scene.close(server, failure::NONE);
            scene.close(client, failure::NONE);
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
    catalog: Catalog,
    ring: Ring,
    seed: u64,
    schedule: Schedule,
}

impl Chain {
    pub(super) fn new(schedule: Schedule) -> Chain {
        let mut catalog = Catalog::new();
        let ring = Ring::add(&mut catalog);
        Chain { catalog, ring, seed: schedule.seed, schedule }
    }
}

impl World for Chain {
    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn requests(&self) -> u64 {
        self.schedule.requests
    }

    fn block_requests(&self) -> u64 {
        1
    }

    fn start_ns(&self) -> u64 {
        self.schedule.start_ns
    }

    fn end_ns(&self) -> u64 {
        self.schedule.end_ns
    }

    fn tell(&self, request: u64, trace: &mut Trace) {
        let start_ns = self.schedule.at_ns(request);
        let mut scene = Scene::new(&self.catalog, trace, self.seed, request, start_ns);
        // One of a million spans, then deep and wide ones in turn.
        match request {
            2 => self.ring.huge(&mut scene, HUGE),
            n if n % 2 == 0 => self.ring.deep(&mut scene, DEEP),
            _ => self.ring.wide(&mut scene, WIDE),
        }
    }
}
