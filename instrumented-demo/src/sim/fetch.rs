//! Wide and shallow requests, as published of Meta's fetches: half of them have 900 spans, a tenth
//! 5,000, none is deeper than four levels. Each call has one span, on the side that serves it.

use super::catalog::{Catalog, Owner};
use super::failure;
use super::random::Random;
use super::schedule::Schedule;
use super::trace::Scene;
use super::world::{Ground, World};

#[cfg(test)]
mod tests;

/// Services of the levels below the root.
const SERVICES: [usize; 3] = [6, 20, 40];
/// Spans of a request at some quantiles, in thousandths.
const SIZES: [(u64, u64); 8] = [
    (0, 4),
    (100, 150),
    (250, 370),
    (500, 900),
    (750, 2_200),
    (900, 5_000),
    (990, 20_000),
    (1000, 50_000),
];

/// Services that fetch for one another.
#[derive(Debug)]
pub(super) struct Fetch {
    ground: Ground,
    root: u32,
    /// By level and service of it, one operation for each service that calls.
    levels: [Vec<Vec<u32>>; 3],
}

impl Fetch {
    pub(super) fn new(schedule: Schedule) -> Fetch {
        let mut catalog = Catalog::new();
        let web = add(&mut catalog, "web", 3);
        let root = catalog.rpc_server(web, "grpc", "fetch.Web/Page");
        let mut callers = vec![web];
        let levels = [("aggregate", 0), ("fetch", 1), ("store", 2)].map(|(kind, level)| {
            let services: Vec<u32> = (0..SERVICES[level])
                .map(|nth| add(&mut catalog, &format!("{kind}-{nth:02}"), 4))
                .collect();
            let from = std::mem::replace(&mut callers, services.clone());
            let ops = |service: &u32| {
                let method = format!("fetch.{kind}/Get");
                from.iter().map(|from| catalog.called_server(*from, *service, &method)).collect()
            };
            services.iter().map(ops).collect()
        });
        Fetch { ground: Ground { catalog, schedule }, root, levels }
    }

    /// A call at a level, with so many spans in all, at least one.
    fn call(&self, scene: &mut Scene<'_>, level: usize, caller: usize, spans: u64) {
        let service = scene.random.below(SERVICES[level] as u64) as usize;
        let op = self.levels[level][service][caller];
        let instance = scene.pick(self.ground.catalog.ops[op as usize].service);
        let server = scene.open(op, instance);
        let ns = scene.random.around(300_000);
        scene.work(ns);
        self.fetch(scene, level + 1, service, spans - 1);
        scene.close(server, failure::NONE);
    }

    /// So many spans below the open one, side by side.
    fn fetch(&self, scene: &mut Scene<'_>, level: usize, caller: usize, spans: u64) {
        if spans == 0 {
            return;
        }
        // Few aggregators, then the widest level, then one call from every second of it.
        let calls = match level {
            0 => (spans / 60).clamp(1, 40),
            1 => (2 * spans / 3).max(1),
            _ => spans,
        };
        scene.fan_out(calls as usize, |scene, nth| {
            let nth = nth as u64;
            let share = spans * (nth + 1) / calls - spans * nth / calls;
            let is_deepest = level + 1 == SERVICES.len();
            self.call(scene, level, caller, if is_deepest { 1 } else { share });
        });
        let ns = scene.random.around(200_000);
        scene.work(ns);
    }
}

fn add(catalog: &mut Catalog, name: &str, instances: u8) -> u32 {
    let nth = catalog.services.len() as u8;
    let hosts = (1..=instances).map(|number| number * 5 + nth % 5);
    catalog.made_up(name, 9000, Owner { team: name, domain: "" }, hosts)
}

/// How many spans a request has.
fn size(random: &mut Random) -> u64 {
    let draw = random.below(1000);
    let after = SIZES.partition_point(|(quantile, _)| *quantile <= draw);
    let ((low, from), (high, to)) = (SIZES[after - 1], SIZES[after]);
    from + (to - from) * (draw - low) / (high - low)
}

impl World for Fetch {
    fn ground(&self) -> &Ground {
        &self.ground
    }

    fn block_requests(&self) -> u64 {
        32
    }

    fn tell(&self, scene: &mut Scene<'_>, _request: u64) {
        let spans = size(&mut scene.random);
        let web = scene.pick(0);
        let root = scene.begin(self.root, web);
        let ns = scene.random.around(1_000_000);
        scene.work(ns);
        self.fetch(scene, 0, 0, spans - 1);
        scene.close(root, failure::NONE);
    }
}
