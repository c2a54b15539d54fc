//! A damaged file costs its own rows, by name, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::sql::SqlRequest;
use futures::StreamExt;
use storage::{Append, Encoding, Store, StoreConfig};

use super::fixture::{Attributes, Row, batch};
use crate::{Engine, EngineConfig, QueryError};

async fn store(dir: &std::path::Path) -> Arc<Store> {
    let replay = Arc::new(|_, _, _: &[u8], _| Err("nothing is replayed here".to_owned()));
    Store::open(StoreConfig::new(dir), replay).await.unwrap()
}

async fn send(store: &Store, first: i64) {
    let rows: Vec<Row> = (first..first + 100)
        .map(|number| Row { number, service: "shop".into(), attributes: Attributes::new() })
        .collect();
    let request = Append {
        signal: schemas::Signal::Traces,
        encoding: Encoding::Protobuf,
        payload: bytes::Bytes::from(first.to_string()),
        fingerprint: [u8::try_from(first / 100).unwrap() + 1; 16],
        received_ns: 1_700_000_000_000_000_000,
        accepted: 100,
        batches: vec![batch(&rows, &BTreeSet::new()).0],
    };
    store.append(request).await.unwrap();
    store.flush().await.unwrap();
}

async fn ask(engine: &Arc<Engine>, sql: &str) -> Result<(u64, bool), QueryError> {
    let mut running = engine.sql(SqlRequest { sql: sql.into(), ..SqlRequest::default() }).await?;
    let mut rows = 0;
    while let Some(batch) = running.next().await {
        rows += batch?.num_rows() as u64;
    }
    Ok((rows, running.stats().partial))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_named_set_aside_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    send(&store, 0).await;
    send(&store, 100).await;
    let engine =
        Engine::new(Arc::clone(&store), EngineConfig::new(dir.path().join("spill"))).unwrap();
    let all = "SELECT duration_ns FROM spans";
    assert_eq!(ask(&engine, all).await, Ok((200, false)));
    let file = Arc::clone(&store.snapshot().files(schemas::Table::Spans)[0]);
    let mut bytes = std::fs::read(&file.path).unwrap();
    let footer = bytes.len() - usize::try_from(file.footer_bytes).unwrap() - 8;
    bytes[4..footer].fill(0xAA);
    std::fs::write(&file.path, bytes).unwrap();
    let error = ask(&engine, all).await.unwrap_err();
    assert_eq!((error.0.status, error.0.code.as_str()), (503, "unavailable"), "{error}");
    assert!(error.0.message.contains(&file.name), "{error}");
    assert_eq!(ask(&engine, all).await, Ok((100, true)));
    let lost = "SELECT * FROM system.data_loss WHERE rows = 100";
    assert_eq!(ask(&engine, lost).await, Ok((1, true)));
}
