//! A world: what does not change in it, when its requests come, and what happens in each.

use super::catalog::Catalog;
use super::metrics::Pool;
use super::schedule::Schedule;
use super::stream::Maker;
use super::trace::{Scene, Trace};
use crate::truth::Record;

/// What every world has.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) catalog: Catalog,
    pub(super) schedule: Schedule,
}

/// Something that tells requests.
pub(super) trait World: Sync {
    /// What does not change, and when requests come.
    fn ground(&self) -> &Ground;
    /// How many requests make a block.
    fn block_requests(&self) -> u64;
    /// Tells a request in an empty scene.
    fn tell(&self, scene: &mut Scene<'_>, request: u64);
    /// What the truth says of the fault that is played.
    fn record(&self) -> Option<Record> {
        None
    }
    /// Whether the answers are to be found in the data as they are.
    fn is_exact(&self) -> bool {
        true
    }
    /// Connection pools at a time.
    fn pools(&self, _now_ns: u64) -> Vec<Pool<'static>> {
        Vec::new()
    }
    /// Encodes the spans of a request; a world may damage them on the way.
    fn send(&self, _request: u64, trace: &Trace, block: &mut Maker<'_>) {
        block.send_all(trace);
    }

    /// See [`Ground::catalog`].
    fn catalog(&self) -> &Catalog {
        &self.ground().catalog
    }

    /// See [`Ground::schedule`].
    fn schedule(&self) -> &Schedule {
        &self.ground().schedule
    }
}
