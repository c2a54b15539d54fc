//! Requests of a world to export requests: in blocks, on several threads, always in the same order.
//!
//! A block is so many requests of the world, whoever makes it; thread `n` of `t` makes the blocks
//! `n`, `n + t`, …, and hands them over through a channel of its own. The one who takes them goes
//! round the channels, so no thread runs ahead by more than a few blocks.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use super::answers::Tally;
use super::catalog::{Catalog, Kind, NOTHING};
use super::encode::{self, Batcher, Requests};
use super::metrics::Measurement;
use super::trace::{Scene, Trace};
use super::world::World;

/// Blocks of a thread that wait to be taken.
const WAITING_MAX: usize = 2;
/// Threads at most.
pub(super) const THREADS_MAX: usize = 64;

/// Which signals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signals {
    pub(super) traces: bool,
    pub(super) logs: bool,
    pub(super) metrics: bool,
}

/// What some requests of the world made.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) spans: Requests,
    pub(super) logs: Requests,
    /// Requests that arrive some blocks later.
    pub(super) late: Requests,
    pub(super) measurements: Vec<Measurement>,
    pub(super) tally: Tally,
    /// Start of the last request of the block.
    pub(super) reached_ns: u64,
    /// Root operation, start, duration and failure of each trace.
    pub(super) roots: Vec<RootSpan>,
}

/// A trace as its user saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RootSpan {
    pub(super) op: u32,
    pub(super) start_ns: u64,
    pub(super) duration_ns: u64,
    pub(super) is_error: bool,
}

/// Makes blocks.
#[derive(Debug)]
pub(super) struct Maker<'a> {
    pub(super) catalog: &'a Catalog,
    signals: Signals,
    keeps_roots: bool,
    pub(super) spans: Batcher,
    pub(super) late: Batcher,
    logs: Batcher,
    pub(super) block: Block,
}

impl<'a> Maker<'a> {
    pub(super) fn new(catalog: &'a Catalog, signals: Signals, keeps_roots: bool) -> Maker<'a> {
        let batcher = || Batcher::new(catalog.instances.len());
        Maker {
            catalog,
            signals,
            keeps_roots,
            spans: batcher(),
            late: batcher(),
            logs: batcher(),
            block: Block::default(),
        }
    }

    /// The block of this number.
    pub(super) fn make(&mut self, world: &dyn World, block: u64, trace: &mut Trace) -> Block {
        self.block = Block { tally: Tally::new(self.catalog), ..Block::default() };
        let from = block * world.block_requests();
        let schedule = world.schedule();
        let to = (from + world.block_requests()).min(schedule.requests);
        for request in from..to {
            let at_ns = schedule.at_ns(request);
            let mut scene = Scene::new(self.catalog, trace, schedule.seed, request, at_ns);
            world.tell(&mut scene, request);
            trace.settle(self.catalog);
            self.block.tally.count(self.catalog, trace);
            self.note(trace);
            if self.signals.traces {
                world.send(request, trace, self);
            }
        }
        self.block.spans = self.spans.take(self.catalog);
        self.block.late = self.late.take(self.catalog);
        self.block.logs = self.logs.take(self.catalog);
        std::mem::take(&mut self.block)
    }

    /// Encodes the spans of a request as they were told.
    pub(super) fn send_all(&mut self, trace: &Trace) {
        let catalog = self.catalog;
        for span in trace.spans.iter().filter(|span| span.is_sent) {
            self.spans.add(catalog, span.instance, |out| encode::span(out, catalog, trace, span));
        }
    }

    /// What else is known of a request: its roots, log lines and measurements.
    fn note(&mut self, trace: &Trace) {
        let catalog = self.catalog;
        if let Some(first) = trace.spans.first() {
            self.block.reached_ns = self.block.reached_ns.max(first.start_ns);
        }
        for span in &trace.spans {
            let op = &catalog.ops[span.op as usize];
            if self.keeps_roots && span.parent == NOTHING {
                self.block.roots.push(RootSpan {
                    op: span.op,
                    start_ns: span.start_ns,
                    duration_ns: span.duration_ns(),
                    is_error: span.is_error,
                });
            }
            if self.signals.logs && span.is_sent {
                encode::log_of(&mut self.logs, catalog, trace, span);
            }
            if self.signals.metrics && op.kind == Kind::Server && op.route.is_some() {
                self.block.measurements.push(Measurement::of(trace, span));
            }
        }
    }
}

/// Makes all blocks of a world and hands them over in their order, until one is refused.
pub(super) fn for_each_block<E>(
    world: &dyn World,
    signals: Signals,
    keeps_roots: bool,
    threads: usize,
    mut take: impl FnMut(Block) -> Result<(), E>,
) -> Result<(), E> {
    let blocks = world.schedule().requests.div_ceil(world.block_requests().max(1));
    let threads = threads.clamp(1, THREADS_MAX);
    thread::scope(|scope| {
        let workers: Vec<Receiver<Block>> = (0..threads)
            .map(|nth| {
                let (sender, receiver) = sync_channel(WAITING_MAX);
                let nths = (nth as u64..blocks).step_by(threads);
                spawn(scope, world, signals, keeps_roots, nths, sender);
                receiver
            })
            .collect();
        for block in 0..blocks {
            // A worker ends early only by a panic, which the scope passes on.
            let Ok(block) = workers[(block % threads as u64) as usize].recv() else { break };
            take(block)?;
        }
        Ok(())
    })
}

fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    world: &'scope dyn World,
    signals: Signals,
    keeps_roots: bool,
    blocks: impl Iterator<Item = u64> + Send + 'scope,
    sender: SyncSender<Block>,
) {
    scope.spawn(move || {
        let mut maker = Maker::new(world.catalog(), signals, keeps_roots);
        let mut trace = Trace::default();
        for block in blocks {
            // Nobody takes blocks any more when the other end has failed.
            if sender.send(maker.make(world, block, &mut trace)).is_err() {
                break;
            }
        }
    });
}
