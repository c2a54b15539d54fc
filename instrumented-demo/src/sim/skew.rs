//! Calls as unevenly spread as published of Google's: the ten most called methods take 58 % of the
//! calls, the hundred most called 91 %, and a few seldom called ones nearly all of the time.

use super::catalog::{Call, Catalog, Owner};
use super::failure;
use super::random::Weights;
use super::schedule::Schedule;
use super::trace::Scene;
use super::world::{Ground, World};

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
    ground: Ground,
    root: u32,
    methods: Vec<(Call, u64)>,
    popularity: Weights,
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
        Skew { ground: Ground { catalog, schedule }, root, methods, popularity }
    }
}

fn add(catalog: &mut Catalog, name: &str) -> u32 {
    catalog.made_up(name, 7000, Owner { team: name, domain: "" }, 1..=3)
}

impl World for Skew {
    fn ground(&self) -> &Ground {
        &self.ground
    }

    fn block_requests(&self) -> u64 {
        1024
    }

    fn tell(&self, scene: &mut Scene<'_>, _request: u64) {
        let driver = scene.pick(0);
        let root = scene.begin(self.root, driver);
        for _ in 0..CALLS {
            let (call, median_ns) = self.methods[self.popularity.pick(&mut scene.random)];
            scene.call(call, driver, [60_000, 40_000], |scene, _| {
                let ns = scene.random.around(median_ns);
                scene.work(ns);
                failure::NONE
            });
            scene.work(20_000);
        }
        scene.close(root, failure::NONE);
    }
}
