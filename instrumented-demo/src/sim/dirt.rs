//! Data as it really comes: spans lost, repeated, late, out of order, with wrong clocks and ids.
//!
//! A small mesh is told as ever, and damaged on its way. Each kind of damage has its own rate, and is
//! counted.

use std::str::FromStr;

use clap::ValueEnum;

use super::catalog::{Catalog, Kind, NOTHING, Resource};
use super::chain::{DEEP, HUGE, Ring, WIDE};
use super::encode::{self, Ids};
use super::mesh::{Mesh, SMALL};
use super::random::Random;
use super::schedule::Schedule;
use super::stream::Maker;
use super::trace::{Scene, Span, Trace};
use super::world::{Ground, World};

#[cfg(test)]
mod tests;

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Dirt {
    /// A span with children is lost
    LostParent,
    /// A span comes twice
    Duplicate,
    /// A span comes twice, with two ends
    DifferingDuplicate,
    /// A server has the id of its client
    SharedId,
    /// A span comes much later than the others of its trace
    Late,
    /// A span takes no time
    ZeroLength,
    /// A child ends after its parent
    Outliving,
    /// A child starts before its parent
    Early,
    /// A span ends before it starts
    ClockBack,
    /// A span has lost its parent's id
    ManyRoots,
    /// Two spans are each other's parents
    Cycle,
    /// A span has a kind that nobody knows
    UnknownKind,
    /// A span comes from a service without a name
    Nameless,
    /// The clock of one host is wrong for a request
    Skew,
    /// A request is 10,000 levels deep
    DeepChain,
    /// A span of a request has 100,000 children
    WideParent,
    /// A request has a million spans
    HugeTrace,
}

/// Damage to single spans; the rest is to requests.
const OF_SPANS: usize = 13;
const KINDS: usize = 17;
/// Of a million spans or requests, in the order of the kinds. A trace of a million spans comes only
/// when it is asked for.
const RATES: [u32; KINDS] = [
    3_000, 5_000, 2_000, 5_000, 5_000, 5_000, 3_000, 3_000, 1_000, 1_000, 500, 1_000, 1_000,
    20_000, 500, 200, 0,
];
/// Apart from the draws of the story.
const SALT: u64 = 0x0000_d124;
const UNKNOWN_KIND: u64 = 17;
const HOSTS: usize = 20;

/// How often each kind of damage is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates([u32; KINDS]);

impl Default for Rates {
    fn default() -> Rates {
        Rates(RATES)
    }
}

impl Rates {
    /// Nothing is damaged.
    pub const NONE: Rates = Rates([0; KINDS]);

    /// Sets one rate, in a million spans or requests.
    pub fn set(&mut self, rate: Rate) {
        self.0[rate.kind as usize] = rate.per_million;
    }

    fn of(&self, kind: Dirt) -> u32 {
        self.0[kind as usize]
    }

    /// The damage that a draw stands for.
    fn pick(&self, random: &mut Random) -> Option<Dirt> {
        let mut draw = random.below(1_000_000) as u32;
        Dirt::value_variants()[..OF_SPANS].iter().copied().find(|kind| {
            let is_it = draw < self.of(*kind);
            draw = draw.saturating_sub(self.of(*kind));
            is_it
        })
    }
}

/// One rate, written `late=10000`: so many of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    kind: Dirt,
    per_million: u32,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let (kind, rate) = text.split_once('=').ok_or("write it as late=10000")?;
        let kinds = || {
            let names = Dirt::value_variants().iter().map(|kind| kind.name());
            format!("no such damage; they are {}", names.collect::<Vec<_>>().join(", "))
        };
        let kind = Dirt::from_str(kind, false).map_err(|_| kinds())?;
        match rate.parse() {
            Ok(per_million) if per_million <= 1_000_000 => Ok(Rate { kind, per_million }),
            _ => Err("the rate is a number up to 1000000".to_owned()),
        }
    }
}

impl Dirt {
    /// Its name in commands and answers.
    pub fn name(self) -> &'static str {
        match self {
            Dirt::LostParent => "lost-parent",
            Dirt::Duplicate => "duplicate",
            Dirt::DifferingDuplicate => "differing-duplicate",
            Dirt::SharedId => "shared-id",
            Dirt::Late => "late",
            Dirt::ZeroLength => "zero-length",
            Dirt::Outliving => "outliving",
            Dirt::Early => "early",
            Dirt::ClockBack => "clock-back",
            Dirt::ManyRoots => "many-roots",
            Dirt::Cycle => "cycle",
            Dirt::UnknownKind => "unknown-kind",
            Dirt::Nameless => "nameless",
            Dirt::Skew => "skew",
            Dirt::DeepChain => "deep-chain",
            Dirt::WideParent => "wide-parent",
            Dirt::HugeTrace => "huge-trace",
        }
    }
}

/// A mesh whose data is damaged.
#[derive(Debug)]
pub(super) struct Dirty {
    mesh: Mesh,
    ring: Ring,
    /// The instance without a service name.
    nameless: u32,
    rates: Rates,
    seed: u64,
}

impl Dirty {
    pub(super) fn new(schedule: Schedule, rates: Rates) -> Dirty {
        let seed = schedule.seed;
        let mut mesh = Mesh::new(SMALL, schedule);
        let ring = Ring::add(&mut mesh.ground.catalog);
        let service = mesh.ground.catalog.service("", 0);
        let of = Resource { namespace: "", version: "", host: 0, team: "", domain: "" };
        let nameless = mesh.ground.catalog.instance(service, "nameless-1".to_owned(), &of);
        Dirty { mesh, ring, nameless, rates, seed }
    }

    /// What is special about a request as a whole.
    fn of_request(&self, random: &mut Random) -> Option<Dirt> {
        let kinds = [Dirt::Skew, Dirt::DeepChain, Dirt::WideParent, Dirt::HugeTrace];
        let mut found = None;
        for kind in kinds {
            if random.chance(self.rates.of(kind)) {
                found = Some(kind);
            }
        }
        found
    }
}

impl World for Dirty {
    fn ground(&self) -> &Ground {
        self.mesh.ground()
    }

    fn block_requests(&self) -> u64 {
        256
    }

    fn is_exact(&self) -> bool {
        self.rates == Rates::NONE
    }

    fn tell(&self, scene: &mut Scene<'_>, request: u64) {
        let mut random = Random::new(self.seed ^ SALT, request);
        let of_request = self.of_request(&mut random);
        match of_request {
            None => self.mesh.tell(scene, request),
            Some(Dirt::Skew) => {
                self.mesh.tell(scene, request);
                let shifts_ns = &mut scene.trace.clock_shift_ns;
                shifts_ns.resize(HOSTS, 0);
                let shift_ns = random.between(1_000_000, 500_000_000) as i64;
                let host = random.below(HOSTS as u64) as usize;
                shifts_ns[host] = if random.chance(500_000) { shift_ns } else { -shift_ns };
            }
            Some(Dirt::DeepChain) => self.ring.deep(scene, DEEP),
            Some(Dirt::WideParent) => self.ring.wide(scene, WIDE),
            Some(_) => self.ring.huge(scene, HUGE),
        }
    }

    fn send(&self, request: u64, trace: &Trace, block: &mut Maker<'_>) {
        let mut random = Random::new(self.seed ^ SALT, request);
        if let Some(kind) = self.of_request(&mut random) {
            *block.block.tally.dirt.entry(kind.name()).or_default() += 1;
        }
        Wreck::new(self, trace, &mut random).send(block);
    }
}

/// The damage to the spans of one request.
struct Wreck<'a> {
    world: &'a Dirty,
    trace: &'a Trace,
    /// By span: what is done to it, its id, and its parent's id.
    marks: Vec<Option<Dirt>>,
    ids: Vec<u64>,
    parents: Vec<u64>,
    /// How far times are moved.
    moves_ns: Vec<u64>,
}

impl<'a> Wreck<'a> {
    /// Decides what is done to which span; never the same to a parent and its child, whose damage
    /// could cancel out.
    fn new(world: &'a Dirty, trace: &'a Trace, random: &mut Random) -> Wreck<'a> {
        let catalog = world.mesh.catalog();
        let mut has_children = vec![false; trace.spans.len()];
        for span in trace.spans.iter().filter(|span| span.parent != NOTHING) {
            has_children[span.parent as usize] = true;
        }
        let mut marks: Vec<Option<Dirt>> = Vec::with_capacity(trace.spans.len());
        for (span, has_children) in trace.spans.iter().zip(has_children) {
            let above = marks.get(span.parent as usize).copied().flatten();
            let mark = world.rates.pick(random);
            let is_possible = |mark: &Dirt| {
                above != Some(*mark) && fits(*mark, catalog, trace, span, has_children)
            };
            marks.push(mark.filter(is_possible));
        }
        let moves = trace.spans.iter().map(|_| random.between(1_000_000, 50_000_000));
        let mut wreck = Wreck {
            world,
            trace,
            moves_ns: moves.collect(),
            marks,
            ids: trace.spans.iter().map(|span| span.id).collect(),
            parents: Vec::new(),
        };
        wreck.share_ids();
        wreck.parents = (0..trace.spans.len()).map(|place| wreck.parent_id(place)).collect();
        wreck.close_cycles();
        wreck
    }

    /// Parents come before children, so a shared id is passed on.
    fn share_ids(&mut self) {
        for (place, span) in self.trace.spans.iter().enumerate() {
            if self.marks[place] == Some(Dirt::SharedId) {
                self.ids[place] = self.ids[span.parent as usize];
            }
        }
    }

    fn parent_id(&self, place: usize) -> u64 {
        let span = &self.trace.spans[place];
        let id_of = |place: u32| self.ids.get(place as usize).copied().unwrap_or(0);
        match self.marks[place] {
            Some(Dirt::ManyRoots) => 0,
            // The server says of its parent what the client says.
            Some(Dirt::SharedId) => id_of(self.trace.spans[span.parent as usize].parent),
            _ => id_of(span.parent),
        }
    }

    fn close_cycles(&mut self) {
        for place in 0..self.marks.len() {
            if self.marks[place] == Some(Dirt::Cycle) {
                let parent = self.trace.spans[place].parent as usize;
                self.parents[parent] = self.ids[place];
            }
        }
    }

    fn send(&self, block: &mut Maker<'_>) {
        for place in 0..self.marks.len() {
            if let Some(mark) = self.marks[place] {
                *block.block.tally.dirt.entry(mark.name()).or_default() += 1;
            }
            if self.marks[place] == Some(Dirt::LostParent) {
                continue;
            }
            self.send_one(block, place, &self.damaged(place));
            match self.marks[place] {
                Some(Dirt::Duplicate) => self.send_one(block, place, &self.trace.spans[place]),
                Some(Dirt::DifferingDuplicate) => {
                    let mut span = self.trace.spans[place];
                    span.end_ns += self.moves_ns[place];
                    self.send_one(block, place, &span);
                }
                _ => {}
            }
        }
    }

    /// A span with the times and the instance that its damage gives it.
    fn damaged(&self, place: usize) -> Span {
        let mut span = self.trace.spans[place];
        let parent = self.trace.spans.get(span.parent as usize).copied().unwrap_or(span);
        let move_ns = self.moves_ns[place];
        match self.marks[place] {
            Some(Dirt::ZeroLength) => span.end_ns = span.start_ns,
            Some(Dirt::Outliving) => span.end_ns = parent.end_ns + move_ns,
            Some(Dirt::Early) => span.start_ns = parent.start_ns - move_ns,
            Some(Dirt::ClockBack) => span.end_ns = span.start_ns - move_ns,
            Some(Dirt::Nameless) => span.instance = self.world.nameless,
            _ => {}
        }
        span
    }

    fn send_one(&self, block: &mut Maker<'_>, place: usize, span: &Span) {
        let ids = Ids {
            trace: self.trace.ids[span.trace as usize],
            span: self.ids[place],
            parent: self.parents[place],
        };
        let mark = self.marks[place];
        let (catalog, trace) = (block.catalog, self.trace);
        let batcher = if mark == Some(Dirt::Late) { &mut block.late } else { &mut block.spans };
        batcher.add(catalog, span.instance, |out| {
            let kind = (mark == Some(Dirt::UnknownKind)).then_some(UNKNOWN_KIND);
            encode::span_as(out, catalog, trace, span, ids, kind);
        });
    }
}

/// Whether a kind of damage can be done to a span.
fn fits(kind: Dirt, catalog: &Catalog, trace: &Trace, span: &Span, has_children: bool) -> bool {
    let parent = trace.spans.get(span.parent as usize);
    match kind {
        Dirt::LostParent => has_children,
        Dirt::SharedId => catalog.ops[span.op as usize].kind == Kind::Server && parent.is_some(),
        Dirt::Outliving | Dirt::Early | Dirt::ManyRoots => parent.is_some(),
        // The parent's own parent must be there to be replaced.
        Dirt::Cycle => parent.is_some_and(|parent| parent.parent != NOTHING),
        _ => true,
    }
}
