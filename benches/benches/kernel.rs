//! The trace kernel on one core: nanoseconds per span for ordinary traces (the target is 400 or
//! less), and for one trace of a million spans. `cargo bench -p benches --bench kernel`.
#![allow(missing_docs)] // criterion's macros

use analysis::{Kernel, Kind, Link, Span, Symbol, Target};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const SEED: u64 = 11;
const TRACES: usize = 2_000;
const SERVICES: usize = 8;
const HUGE: usize = 1_000_000;

/// Texts that spans refer to.
struct Words {
    services: Vec<Symbol>,
    hosts: Vec<Symbol>,
    names: Vec<Symbol>,
    sqlite: Symbol,
    bus: Symbol,
    topic: Symbol,
}

impl Words {
    fn new(kernel: &mut Kernel) -> Words {
        let symbols = kernel.symbols_mut();
        let mut many = |what: &str, n: usize| {
            (0..n).map(|i| symbols.intern(&format!("{what}-{i}"))).collect::<Vec<_>>()
        };
        let (services, hosts, names) =
            (many("service", SERVICES), many("host", SERVICES), many("operation", 64));
        let [sqlite, bus, topic] = ["sqlite", "bus", "orders"].map(|text| symbols.intern(text));
        Words { services, hosts, names, sqlite, bus, topic }
    }
}

/// A trace that grows as requests do: servers call databases and other services, and send messages.
struct Grower<'a> {
    words: &'a Words,
    random: &'a mut StdRng,
    spans: Vec<Span>,
    links: Vec<Link>,
}

impl Grower<'_> {
    fn span(&mut self, parent: u64, kind: Kind, service: usize, from: i64, len: i64) -> Span {
        Span {
            span_id: self.random.random(),
            parent_id: parent,
            start_ns: from,
            duration_ns: len,
            kind,
            service: self.words.services[service],
            name: self.words.names[self.random.random_range(0..64)],
            instance: self.words.hosts[service],
            clock: self.words.hosts[service],
            links_from: self.links.len() as u32,
            ..Span::default()
        }
    }

    /// A server and up to `size` spans below it.
    fn serve(&mut self, parent: u64, service: usize, from: i64, len: i64, size: usize) {
        let server = self.span(parent, Kind::Server, service, from, len);
        self.spans.push(server);
        let calls = self.random.random_range(1..4usize);
        let step = len / (calls as i64 + 1);
        let mut left = size.saturating_sub(1);
        for call in 0..calls as i64 {
            let (at, call_len) = (from + step / 4 + call * step, step * 3 / 4);
            match self.random.random_range(0..10) {
                _ if left == 0 => break,
                0..4 => {
                    let mut span = self.span(server.span_id, Kind::Client, service, at, call_len);
                    span.target = Target { db_system: self.words.sqlite, ..Target::default() };
                    self.spans.push(span);
                    left -= 1;
                }
                4..5 => {
                    self.send(server.span_id, service, at, call_len);
                    left = left.saturating_sub(2);
                }
                _ => {
                    let span = self.span(server.span_id, Kind::Client, service, at, call_len);
                    self.spans.push(span);
                    let callee = (service + 1) % SERVICES;
                    let share = left / 2 + 1;
                    let (at, len) = (at + call_len / 8, call_len * 3 / 4);
                    self.serve(span.span_id, callee, at, len, share);
                    left = left.saturating_sub(share + 1);
                }
            }
        }
    }

    fn send(&mut self, parent: u64, service: usize, at: i64, len: i64) {
        let target = Target {
            messaging_system: self.words.bus,
            messaging_destination: self.words.topic,
            ..Target::default()
        };
        let producer = self.span(parent, Kind::Producer, service, at, len);
        self.spans.push(Span { target, ..producer });
        let consumer = self.span(
            producer.span_id,
            Kind::Consumer,
            (service + 3) % SERVICES,
            at + 2 * len,
            len,
        );
        self.links.push(Link { trace_id: 1, span_id: producer.span_id });
        self.spans.push(Span { target, links_len: 1, ..consumer });
    }
}

fn trace(words: &Words, random: &mut StdRng) -> (Vec<Span>, Vec<Link>) {
    loop {
        let mut grower = Grower { words, random, spans: Vec::new(), links: Vec::new() };
        grower.serve(0, 0, 1_700_000_000_000_000_000, 200_000_000, 48);
        if (10..=50).contains(&grower.spans.len()) {
            return (grower.spans, grower.links);
        }
    }
}

fn ordinary(criterion: &mut Criterion) {
    let mut kernel = Kernel::default();
    let words = Words::new(&mut kernel);
    let mut random = StdRng::seed_from_u64(SEED);
    let traces: Vec<_> = (0..TRACES).map(|_| trace(&words, &mut random)).collect();
    let spans: usize = traces.iter().map(|(spans, _)| spans.len()).sum();
    let mut group = criterion.benchmark_group("kernel");
    group.throughput(Throughput::Elements(spans as u64));
    group.bench_function("traces of 10 to 50 spans", |bencher| {
        bencher.iter(|| {
            for (spans, links) in &traces {
                std::hint::black_box(kernel.run(1, spans, links));
            }
        });
    });
    group.finish();
}

fn huge(criterion: &mut Criterion) {
    let chain: Vec<Span> = (0..HUGE)
        .map(|i| Span {
            span_id: i as u64 + 1,
            parent_id: i as u64,
            start_ns: i as i64,
            duration_ns: 2 * (HUGE - i) as i64,
            ..Span::default()
        })
        .collect();
    let star: Vec<Span> = chain
        .iter()
        .map(|span| Span {
            parent_id: u64::from(span.span_id != 1),
            duration_ns: if span.span_id == 1 { HUGE as i64 } else { 1 },
            ..*span
        })
        .collect();
    let mut group = criterion.benchmark_group("kernel, a million spans");
    group.throughput(Throughput::Elements(HUGE as u64)).sample_size(10);
    for (name, spans) in [("chain", chain), ("star", star)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                Kernel::default,
                |kernel| std::hint::black_box(kernel.run(1, &spans, &[])),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, ordinary, huge);
criterion_main!(benches);
