//! Random traces, as tidy and as dirty as they come: overlaps, overflow, ties, no length, all kinds,
//! duplicates, orphans, cycles, shared ids, wrong clocks, errors, messages.
//!
//! `OTLAKE_TRACES` sets how many a test looks at, `OTLAKE_SEED` repeats a run.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::picture::TRACE;
use crate::{Kernel, Kind, Link, Options, SkewMode, Span, Status, Symbol, Target};

const KINDS: [Kind; 6] =
    [Kind::Unspecified, Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer];

/// An id that no span has.
const GONE: u64 = u64::MAX;

/// A trace as the kernel takes it.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
    pub(super) links: Vec<Link>,
}

/// How traces are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Most spans of nearly all traces, and of the few large ones.
    pub(super) spans: usize,
    pub(super) spans_max: usize,
    /// Times lie below this; small ones make ties.
    pub(super) time_max: i64,
    /// Whether rows are missing, doubled or wrong.
    pub(super) is_dirty: bool,
}

pub(super) const DIRTY: Shape = Shape { spans: 40, spans_max: 1_000, time_max: 0, is_dirty: true };

/// Tells how to repeat a trace that failed.
struct OnPanic(u64);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("repeat with OTLAKE_TRACES=1 OTLAKE_SEED={}", self.0);
        }
    }
}

/// Calls a test with random numbers, once for each trace.
pub(super) fn each(test: impl Fn(&mut StdRng)) {
    let variable = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed: u64 = variable("OTLAKE_SEED").unwrap_or_else(rand::random);
    let traces: u64 = variable("OTLAKE_TRACES").unwrap_or(2_000);
    println!("seed {seed}, {traces} traces");
    for number in 0..traces {
        let seed = seed.wrapping_add(number);
        let _told = OnPanic(seed);
        test(&mut StdRng::seed_from_u64(seed));
    }
}

/// Options of all sorts.
pub(super) fn options(random: &mut StdRng) -> Options {
    Options {
        tolerance_ns: *[0, 0, 1, 7].choose(random).unwrap(),
        tolerance_share: *[0.0, 0.01, 0.1].choose(random).unwrap(),
        skew: *[SkewMode::Off, SkewMode::Trace, SkewMode::Window].choose(random).unwrap(),
        skew_max_ns: *[30, i64::MAX].choose(random).unwrap(),
    }
}

/// Makes traces with words of one kernel.
pub(super) struct Maker {
    services: Vec<Symbol>,
    names: Vec<Symbol>,
    clocks: Vec<Symbol>,
    statuses: Vec<Symbol>,
    operations: Vec<Symbol>,
}

impl Maker {
    /// Kernels get the same symbols.
    pub(super) fn new(kernel: &mut Kernel) -> Maker {
        let symbols = kernel.symbols_mut();
        let mut words = |words: &[&str]| -> Vec<Symbol> {
            words.iter().map(|word| symbols.intern(word)).collect()
        };
        Maker {
            services: words(&["order", "payment", "pricing", ""]),
            names: words(&["get", "put", "sqlite", "bus", ""]),
            clocks: words(&["x", "y", "z", ""]),
            statuses: words(&["timeout", "OK", "INTERNAL", "5", "", "", ""]),
            operations: words(&["create", "send", "receive", "process", "settle", "", "", ""]),
        }
    }

    pub(super) fn trace(&self, random: &mut StdRng, shape: Shape) -> Trace {
        let most = if random.random_ratio(1, 50) { shape.spans_max } else { shape.spans };
        let len = random.random_range(1..=most);
        let times = if shape.time_max > 0 {
            shape.time_max
        } else {
            *[12, 60, 100_000].choose(random).unwrap()
        };
        // How far back a parent lies at most: chains, bushes, stars.
        let reach = *[1, 3, len, len].choose(random).unwrap();
        let mut trace = Trace { spans: Vec::new(), links: Vec::new() };
        for number in 0..len {
            let span = self.span(random, &mut trace, number, reach, times);
            trace.spans.push(span);
        }
        if shape.is_dirty {
            self.soil(random, &mut trace);
        }
        trace.spans.shuffle(random);
        trace
    }

    fn span(
        &self,
        random: &mut StdRng,
        trace: &mut Trace,
        number: usize,
        reach: usize,
        times: i64,
    ) -> Span {
        let parent = (number > 0)
            .then(|| random.random_range(number.saturating_sub(reach)..number))
            .map(|parent| trace.spans[parent]);
        let (start_ns, duration_ns) = self.times(random, parent.as_ref(), times);
        let links_from = trace.links.len() as u32;
        if number > 0 && random.random_ratio(1, 8) {
            for _ in 0..random.random_range(1..4) {
                let span_id = trace.spans[random.random_range(0..number)].span_id;
                let trace_id = if random.random_ratio(1, 4) { TRACE + 1 } else { TRACE };
                trace.links.push(Link { trace_id, span_id });
            }
        }
        let service = match parent {
            Some(parent) if random.random_ratio(1, 2) => parent.service,
            _ => *self.services.choose(random).unwrap(),
        };
        Span {
            span_id: 1 + 7 * number as u64,
            parent_id: parent.map_or(0, |parent| parent.span_id),
            start_ns,
            duration_ns,
            kind: self.kind(random, parent.as_ref()),
            status: *[Status::Unset, Status::Unset, Status::Ok, Status::Error]
                .choose(random)
                .unwrap(),
            service,
            name: *self.names.choose(random).unwrap(),
            instance: *self.clocks.choose(random).unwrap(),
            clock: *self.clocks.choose(random).unwrap(),
            row_hash: random.random(),
            target: self.target(random),
            links_from,
            links_len: trace.links.len() as u32 - links_from,
        }
    }

    /// Mostly what belongs together: servers below clients, consumers below producers.
    fn kind(&self, random: &mut StdRng, parent: Option<&Span>) -> Kind {
        let fitting = match parent.map(|parent| parent.kind) {
            Some(Kind::Client) => Kind::Server,
            Some(Kind::Server) => Kind::Client,
            Some(Kind::Producer) => Kind::Consumer,
            _ => Kind::Internal,
        };
        if random.random_ratio(1, 2) { fitting } else { *KINDS.choose(random).unwrap() }
    }

    /// Mostly within the parent, with ties at its ends; else anywhere.
    fn times(&self, random: &mut StdRng, parent: Option<&Span>, times: i64) -> (i64, i64) {
        if random.random_ratio(1, 12) {
            return (random.random_range(0..times), 0);
        }
        let Some(parent) = parent.filter(|_| random.random_ratio(4, 5)) else {
            let start = random.random_range(0..times);
            return (start, random.random_range(0..times));
        };
        let end = parent.start_ns + parent.duration_ns;
        let from = random.random_range(parent.start_ns..=end);
        let to = match random.random_range(0..4) {
            0 => end,
            1 => end + random.random_range(0..times),
            _ => random.random_range(from..=end),
        };
        (from, (to - from).max(0))
    }

    fn target(&self, random: &mut StdRng) -> Target {
        let mut some = |words: &[Symbol]| {
            if random.random_ratio(1, 4) { *words.choose(random).unwrap() } else { Symbol::NONE }
        };
        let mut target = Target {
            db_system: some(&self.names),
            db_namespace: some(&self.names),
            messaging_system: some(&self.names),
            messaging_destination: some(&self.names),
            messaging_operation: some(&self.operations),
            server_address: some(&self.names),
            peer_service: some(&self.services),
            peer_address: some(&self.names),
            url_host: some(&self.names),
            error_type: some(&self.statuses),
            rpc_status: some(&self.statuses),
            statement: some(&self.names),
            ..Target::default()
        };
        target.server_port = random.random_range(0..2) * 80;
        target.http_status = *[0, 0, 0, 200, 404, 500].choose(random).unwrap();
        target.resend_count = u32::from(random.random_ratio(1, 30));
        target
    }

    /// Rows again, rows as others know them, parents that are not there, go round or are the row.
    fn soil(&self, random: &mut StdRng, trace: &mut Trace) {
        let rows = trace.spans.len();
        for _ in 0..random.random_range(0..=rows.div_ceil(8)) {
            let mut span = *trace.spans.choose(random).unwrap();
            let at = random.random_range(0..rows);
            match random.random_range(0..9) {
                0 => trace.spans.push(span),
                1 => {
                    span.duration_ns += random.random_range(0..3);
                    span.row_hash = random.random();
                    trace.spans.push(span);
                }
                2 => {
                    span.kind = if span.kind == Kind::Client { Kind::Server } else { Kind::Client };
                    span.row_hash = random.random();
                    trace.spans.push(span);
                }
                3 => trace.spans[at].parent_id = span.span_id,
                4 => trace.spans[at].parent_id = trace.spans[at].span_id,
                5 => trace.spans[at].parent_id = GONE,
                6 => trace.spans[at].parent_id = 0,
                7 => trace.spans[at].span_id = 0,
                _ if rows > 1 => {
                    trace.spans.swap_remove(at);
                    return;
                }
                _ => {}
            }
            // A row that differs has another hash.
            trace.spans[at].row_hash = random.random();
        }
    }
}
