//! Calls as unevenly spread as published of Google's: the ten most called methods take 58 % of the
//! calls, the hundred most called 91 %, and a few seldom called ones nearly all of the time.

use super::catalog::{Call, Catalog, Resource};
use super::failure;
use super::random::Weights;
use super::schedule::Schedule;
use super::stream::World;
use super::trace::{Scene, Trace};

const SERVICES: usize = 100;
/// Methods of each group, the share of the calls that they have together in thousandths, and how
/// long a call of them takes at the median.
const GROUPS: [(usize, u64, u64); 4] = [
    (10, 580, 400_000),
    (90, 330, 400_000),
    (1_700, 79, 400_000),
    // 1.1 % of the calls, 89 % of the time.
    (200, 11, 290_000_000),
];
/// Calls of a request.
const CALLS: u64 = 13;

/// A driver that calls methods.
#[derive(Debug)]
pub(super) struct Skew {
    catalog: Catalog,
    root: u32,
    methods: Vec<(Call, u64)>,
    popularity: Weights,
    seed: u64,
    schedule: Schedule,
}

impl Skew {
    pub(super) fn new(schedule: Schedule) -> Skew {
        let mut catalog = Catalog::new();
        let driver = add(&mut catalog, "driver");
        let root = catalog.internal(driver, "run batch");
        let services: Vec<u32> =
            (0..SERVICES).map(|nth| add(&mut catalog, &format!("rpc-{nth:02}"))).collect();
        let mut methods = Vec::new();
        let mut weights = Vec::new();
        for (count, share, median_ns) in GROUPS {
            for _ in 0..count {
                let number = methods.len();
                let callee = services[number % SERVICES];
                let name = format!("rpc.Service{:02}/Method{number}", number % SERVICES);
                methods.push((catalog.rpc_call(driver, callee, "grpc", &name), median_ns));
                weights.push(1_000_000 * share / count as u64);
            }
        }
        let popularity = Weights::new(weights);
        Skew { catalog, root, methods, popularity, seed: schedule.seed, schedule }
    }
}

fn add(catalog: &mut Catalog, name: &str) -> u32 {
    let service = catalog.service(name, 7000 + catalog.services.len() as u16);
    for number in 1..=3u8 {
        let of = Resource { namespace: "", version: "1.0.0", host: number, team: name, domain: "" };
        catalog.instance(service, format!("{name}-{number}"), &of);
    }
    service
}

impl World for Skew {
    fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    fn requests(&self) -> u64 {
        self.schedule.requests
    }

    fn block_requests(&self) -> u64 {
        1024
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
        let driver = scene.pick(0);
        let root = scene.begin(self.root, driver);
        for _ in 0..CALLS {
            let (call, median_ns) = self.methods[self.popularity.pick(&mut scene.random)];
            let client = scene.open(call.client, driver);
            scene.work(60_000);
            let instance = scene.pick(call.callee);
            let server = scene.open(call.server, instance);
            let ns = scene.random.around(median_ns);
            scene.work(ns);
            scene.close(server, failure::NONE);
            scene.work(40_000);
            scene.close(client, failure::NONE);
            scene.work(20_000);
        }
        scene.close(root, failure::NONE);
    }
}
