//! What durability costs: append (WAL frame, sync, publication) and flush (sort, encode, commit).
#![allow(clippy::unwrap_used)] // a bench that cannot run has nothing to say
#![allow(missing_docs)] // criterion's macros

use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::fill::{self, BATCH, Requests};
use collector::decode::{Decoder, Limits};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use schemas::Signal;
use storage::{Append, Store};
use tokio::runtime::Runtime;

/// Requests appended between two flushes: about a generation.
const GENERATION: u64 = 128;

struct Bench {
    runtime: Runtime,
    store: Arc<Store>,
    requests: Requests,
    decoder: Decoder,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(signal: Signal) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        Bench {
            store: runtime.block_on(fill::open(dir.path())).unwrap(),
            requests: Requests::new(signal),
            decoder: Decoder::new(Limits::default()),
            runtime,
            _dir: dir,
        }
    }

    /// Times of appending and of flushing a generation.
    fn generation(&mut self, requests: u64) -> (Duration, Duration) {
        let decoded: Vec<Append> =
            (0..requests).map(|_| self.requests.append(&mut self.decoder).unwrap()).collect();
        self.runtime.block_on(async {
            let began = Instant::now();
            for request in decoded {
                self.store.append(request).await.unwrap();
            }
            let appended = began.elapsed();
            let began = Instant::now();
            self.store.flush().await.unwrap();
            (appended, began.elapsed())
        })
    }
}

/// One request after the other, each with its own sync: the latency a lone client sees.
fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10).throughput(Throughput::Elements(BATCH.into()));
    for signal in Signal::ALL {
        let mut bench = Bench::new(signal);
        group.bench_function(signal.name(), |b| {
            b.iter_custom(|requests| {
                let whole = (0..requests / GENERATION).map(|_| bench.generation(GENERATION).0);
                whole.sum::<Duration>() + bench.generation(requests % GENERATION).0
            });
        });
    }
}

/// A generation of 65,536 records into sorted files.
fn flush(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flush");
    group.sample_size(10).throughput(Throughput::Elements(GENERATION * u64::from(BATCH)));
    for signal in Signal::ALL {
        let mut bench = Bench::new(signal);
        group.bench_function(signal.name(), |b| {
            b.iter_custom(|flushes| (0..flushes).map(|_| bench.generation(GENERATION).1).sum());
        });
    }
}

criterion_group!(benches, append, flush);
criterion_main!(benches);
