//! What questions cost over files: counting, attribute look-ups of each kind, grouping.
#![allow(clippy::unwrap_used)] // a bench that cannot run has nothing to say
#![allow(missing_docs)] // criterion's macros

use std::sync::Arc;

use api::sql::SqlRequest;
use benches::fill::{self, BATCH, Requests};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use query::{Engine, EngineConfig};
use schemas::Signal;
use tokio::runtime::Runtime;

/// Half a million spans.
const REQUESTS: u64 = 1_024;

/// Question and what it exercises.
const QUESTIONS: [(&str, &str); 7] = [
    ("count", "select count(*) from spans"),
    ("promoted text", "select count(*) from spans where attributes['http.route'] = '/orders/{id}'"),
    (
        "promoted int",
        "select count(*) from spans where attributes['http.response.status_code']::bigint >= 500",
    ),
    ("resource", "select count(*) from spans where resource['service.version'] = '2.4.1'"),
    ("residual", "select count(*) from spans where attributes['customer.id'] = 'c-000001'"),
    ("absent", "select count(*) from spans where attributes['no.such.key'] = 'x'"),
    ("group", "select service_name, count(*), max(duration_ns) from spans group by service_name"),
];

fn scan(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let engine = runtime.block_on(async {
        let store = fill::open(dir.path()).await.unwrap();
        fill::fill(&store, &mut Requests::new(Signal::Traces), REQUESTS).await.unwrap();
        Engine::new(store, EngineConfig::new(dir.path().join("spill"))).unwrap()
    });
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(10).throughput(Throughput::Elements(REQUESTS * u64::from(BATCH)));
    for (name, question) in QUESTIONS {
        group.bench_function(name, |b| b.iter(|| runtime.block_on(ask(&engine, question))));
    }
}

/// Rows of the answer.
async fn ask(engine: &Arc<Engine>, question: &str) -> usize {
    let request = SqlRequest { sql: question.to_owned(), ..SqlRequest::default() };
    let mut answer = engine.sql(request).await.unwrap();
    let mut rows = 0;
    while let Some(batch) = answer.next().await {
        rows += batch.unwrap().num_rows();
    }
    rows
}

criterion_group!(benches, scan);
criterion_main!(benches);
