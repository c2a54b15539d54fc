//! Large made-up systems: some hundred services in layers, a few of which everyone calls.
//!
//! Calls go to deeper layers only, so there is no cycle. Who is called is drawn by Zipf's law within a
//! layer, which gives the heavy-tailed fan-in of real systems.

use super::catalog::{Call, Catalog, Owner, Statement};
use super::failure::{self, FAILURES, FailureId};
use super::random::{Random, Weights};
use super::schedule::Schedule;
use super::trace::Scene;
use super::world::{Ground, World};

#[cfg(test)]
mod tests;

/// Spans of a request at most; beyond, calls are left out.
const SPANS_MAX: usize = 20_000;
/// Calls of one endpoint at most.
const CALLS_MAX: usize = 64;
/// Layers between the entries and the leaves.
const MIDDLE_LAYERS: usize = 4;
/// Share of the calls that are made 2 to 4 times in a row, in a million.
const REPEATED: u32 = 162_000;

/// What a system looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) services: usize,
    /// Shares of the services in percent; the rest are leaves.
    pub(super) entries: usize,
    pub(super) middles: usize,
    /// Domains that the services belong to; 0 for none.
    pub(super) domains: usize,
    /// Calls of an endpoint, a few of which have four times as many.
    pub(super) fan_out: u64,
    /// Share of the endpoints whose calls run side by side, in a million.
    pub(super) parallel: u32,
    /// Share of the requests in which a call fails and nobody above minds, in a million.
    pub(super) absorbed: u32,
    /// Share of the requests that fail, in a million.
    pub(super) failed: u32,
}

/// 500 services; layers, depths and repeated calls as published of Alibaba's.
pub(super) const ALIBABA_500: Shape = Shape {
    services: 500,
    entries: 13,
    middles: 48,
    domains: 0,
    fan_out: 3,
    parallel: 350_000,
    absorbed: 20_000,
    failed: 5_000,
};

/// 700 services behind a few entries.
pub(super) const NETFLIX_700: Shape =
    Shape { services: 700, entries: 4, middles: 51, parallel: 600_000, ..ALIBABA_500 };

/// 1,000 services in 40 domains; of the requests that do well, 29 % hold an error.
pub(super) const UBER_1000: Shape = Shape {
    services: 1_000,
    entries: 6,
    middles: 54,
    domains: 40,
    absorbed: 290_000,
    ..ALIBABA_500
};

/// A small one, to be damaged.
pub(super) const SMALL: Shape = Shape { services: 60, ..ALIBABA_500 };

/// An operation that a service offers.
#[derive(Clone, Debug)]
struct Endpoint {
    median_ns: u64,
    is_parallel: bool,
    legs: Vec<Leg>,
    /// Statements to the service's own database.
    statements: Vec<u32>,
}

/// A call that an endpoint makes.
#[derive(Clone, Copy, Debug)]
struct Leg {
    call: Call,
    endpoint: usize,
    /// In how many of a million requests.
    per_million: u32,
    is_repeated: bool,
}

/// A system of some shape.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) ground: Ground,
    endpoints: Vec<Endpoint>,
    /// Server operation and endpoint of each way in.
    entries: Vec<(u32, usize)>,
    popularity: Weights,
    shape: Shape,
}

/// How a request will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing fails, or nothing any more.
    Good,
    /// One call is to fail, and its caller does without it.
    Absorbed,
    /// One call is to fail, and all above with it.
    Failed,
}

/// A layer's services and how often each is chosen.
struct Layer {
    /// Endpoints of its services, the most popular first.
    endpoints: Vec<usize>,
    popularity: Weights,
    /// An endpoint of each service that nobody calls so far.
    uncalled: Vec<usize>,
}

impl Mesh {
    pub(super) fn new(shape: Shape, schedule: Schedule) -> Mesh {
        Builder::new(shape, schedule.seed).build(schedule)
    }

    /// A call of an endpoint. Depth is bounded by the layers.
    fn call(&self, scene: &mut Scene<'_>, leg: Leg, from: u32, fate: &mut Fate) -> FailureId {
        let ways_ns = [200_000, 150_000].map(|median_ns| scene.random.around(median_ns));
        scene.call(leg.call, from, ways_ns, |scene, instance| {
            self.serve(scene, leg.endpoint, instance, fate)
        })
    }

    /// What an endpoint does for a request.
    fn serve(
        &self,
        scene: &mut Scene<'_>,
        endpoint: usize,
        instance: u32,
        fate: &mut Fate,
    ) -> FailureId {
        let endpoint = &self.endpoints[endpoint];
        let ns = scene.random.around(endpoint.median_ns);
        scene.work(ns);
        let is_last = endpoint.legs.is_empty();
        if is_last && *fate != Fate::Good {
            return failure::UNAVAILABLE;
        }
        for statement in &endpoint.statements {
            let open = scene.open(*statement, instance);
            let ns = scene.random.widely_around(1_500_000);
            scene.work(ns);
            scene.close(open, failure::NONE);
        }
        let failure = self.call_all(scene, endpoint, instance, fate);
        let ns = scene.random.around(endpoint.median_ns / 2);
        scene.work(ns);
        failure
    }

    fn call_all(
        &self,
        scene: &mut Scene<'_>,
        endpoint: &Endpoint,
        from: u32,
        fate: &mut Fate,
    ) -> FailureId {
        if endpoint.legs.is_empty() {
            return failure::NONE;
        }
        // Which legs are called, one after the other.
        let mut calls = [0_u8; CALLS_MAX];
        let mut count = 0;
        for (nth, leg) in (0..).zip(&endpoint.legs) {
            let is_made = scene.random.chance(leg.per_million)
                && scene.trace.spans.len() + 2 * count < SPANS_MAX;
            let times = if leg.is_repeated { scene.random.between(2, 5) as usize } else { 1 };
            let end = (count + times).min(CALLS_MAX);
            if is_made {
                calls[count..end].fill(nth);
                count = end;
            }
        }
        let mut worst = failure::NONE;
        let mut make = |scene: &mut Scene<'_>, nth: usize| {
            let leg = endpoint.legs[usize::from(calls[nth])];
            let failure = self.call(scene, leg, from, fate);
            if failure == failure::NONE {
                return;
            }
            if *fate == Fate::Absorbed {
                *fate = Fate::Good;
            } else {
                worst = FAILURES[usize::from(failure)].above;
            }
        };
        if endpoint.is_parallel {
            scene.fan_out(count, make);
        } else {
            (0..count).for_each(|nth| make(scene, nth));
        }
        // Once a request has failed it fails no further.
        if worst != failure::NONE {
            *fate = Fate::Good;
        }
        worst
    }

    fn fate(&self, random: &mut Random) -> Fate {
        match random.below(1_000_000) as u32 {
            draw if draw < self.shape.failed => Fate::Failed,
            draw if draw < self.shape.failed + self.shape.absorbed => Fate::Absorbed,
            _ => Fate::Good,
        }
    }
}

impl World for Mesh {
    fn ground(&self) -> &Ground {
        &self.ground
    }

    fn block_requests(&self) -> u64 {
        1024
    }

    fn tell(&self, scene: &mut Scene<'_>, _request: u64) {
        let mut fate = self.fate(&mut scene.random);
        let (op, endpoint) = self.entries[self.popularity.pick(&mut scene.random)];
        let instance = scene.pick(self.ground.catalog.ops[op as usize].service);
        let root = scene.begin(op, instance);
        let failure = self.serve(scene, endpoint, instance, &mut fate);
        scene.close(root, failure);
    }
}

/// Makes a system, from the leaves up.
struct Builder {
    shape: Shape,
    random: Random,
    catalog: Catalog,
    endpoints: Vec<Endpoint>,
    /// Service and name of each endpoint.
    names: Vec<(u32, String)>,
}

impl Builder {
    fn new(shape: Shape, seed: u64) -> Builder {
        Builder {
            shape,
            random: Random::new(seed, 0x0003_e541),
            catalog: Catalog::new(),
            endpoints: Vec::new(),
            names: Vec::new(),
        }
    }

    fn build(mut self, schedule: Schedule) -> Mesh {
        let entries = self.shape.services * self.shape.entries / 100;
        let middles = self.shape.services * self.shape.middles / 100;
        let leaves = self.shape.services - entries - middles;
        let mut layers = vec![self.layer(leaves, "leaf", &mut [])];
        for nth in (0..MIDDLE_LAYERS).rev() {
            let services = middles / MIDDLE_LAYERS + usize::from(nth < middles % MIDDLE_LAYERS);
            let layer = self.layer(services, "middle", &mut layers);
            layers.insert(0, layer);
        }
        let entries = self.layer(entries, "entry", &mut layers);
        let ways_in: Vec<(u32, usize)> = entries
            .endpoints
            .iter()
            .map(|endpoint| {
                let (service, name) = self.names[*endpoint].clone();
                (self.catalog.rpc_server(service, "grpc", &name), *endpoint)
            })
            .collect();
        Mesh {
            ground: Ground { catalog: self.catalog, schedule },
            endpoints: self.endpoints,
            popularity: Weights::zipf(ways_in.len()),
            entries: ways_in,
            shape: self.shape,
        }
    }

    /// A layer of services that call the layers below, the next one most.
    fn layer(&mut self, services: usize, kind: &str, below: &mut [Layer]) -> Layer {
        let (mut endpoints, mut uncalled) = (Vec::new(), Vec::new());
        for _ in 0..services {
            let service = self.service(kind);
            let offered = self.random.between(1, 4);
            uncalled.push(self.endpoints.len());
            for number in 0..offered {
                endpoints.push(self.endpoint(service, number, below));
            }
        }
        let popularity = Weights::zipf(endpoints.len());
        Layer { endpoints, popularity, uncalled }
    }

    fn service(&mut self, kind: &str) -> u32 {
        let number = self.catalog.services.len();
        let name = format!("{kind}-{number:03}");
        let domain = match self.shape.domains {
            0 => String::new(),
            domains => format!("domain-{:02}", number * domains / self.shape.services),
        };
        let team = format!("team-{:02}", number % 25);
        let instances = self.random.pick(&[1, 2, 2, 3, 3, 3, 4, 6]);
        let hosts = (0..instances).map(|_| self.random.below(20) as u8);
        self.catalog.made_up(&name, 10_000, Owner { team: &team, domain: &domain }, hosts)
    }

    fn endpoint(&mut self, service: u32, number: u64, below: &mut [Layer]) -> usize {
        let name = format!("mesh.{}/Method{number}", self.catalog.services[service as usize].name);
        let is_leaf = below.is_empty();
        let legs = self.legs(service, below);
        let has_store = self.random.chance(if is_leaf { 600_000 } else { 150_000 });
        let statements = if has_store { vec![self.statement(service)] } else { Vec::new() };
        self.endpoints.push(Endpoint {
            median_ns: self.random.widely_around(if is_leaf { 400_000 } else { 800_000 }),
            is_parallel: self.random.chance(self.shape.parallel),
            legs,
            statements,
        });
        self.names.push((service, name));
        self.endpoints.len() - 1
    }

    fn legs(&mut self, service: u32, below: &mut [Layer]) -> Vec<Leg> {
        if below.is_empty() {
            return Vec::new();
        }
        let is_broad = self.random.chance(60_000);
        let most = self.shape.fan_out * if is_broad { 4 } else { 1 };
        let count = self.random.between(1, most + 1);
        (0..count)
            .map(|_| {
                let endpoint = self.choose(below);
                self.leg(service, endpoint)
            })
            .collect()
    }

    /// An endpoint of the next layer in half of the cases, else of any below; one that nobody calls
    /// first, else a popular one.
    fn choose(&mut self, below: &mut [Layer]) -> usize {
        let is_next = self.random.chance(500_000);
        let depth = if is_next { 0 } else { self.random.below(below.len() as u64) };
        let layer = &mut below[depth as usize];
        let is_new = self.random.chance(600_000);
        match layer.uncalled.pop() {
            Some(endpoint) if is_new => endpoint,
            put_back => {
                layer.uncalled.extend(put_back);
                layer.endpoints[layer.popularity.pick(&mut self.random)]
            }
        }
    }

    fn leg(&mut self, from: u32, endpoint: usize) -> Leg {
        let (callee, name) = self.names[endpoint].clone();
        Leg {
            call: self.catalog.rpc_call(from, callee, "grpc", &name),
            endpoint,
            per_million: self.random.pick(&[1_000_000, 900_000, 500_000, 300_000]),
            is_repeated: self.random.chance(REPEATED),
        }
    }

    fn statement(&mut self, service: u32) -> u32 {
        let name = self.catalog.services[service as usize].name.clone();
        let text = "SELECT * FROM items WHERE id = ?";
        let statement =
            Statement { namespace: &name, address: "", operation: "SELECT", table: "items", text };
        self.catalog.database(service, statement)
    }
}
