//! Pools and locks as the services see them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sqlx::Row;

use super::*;
use crate::faults::Knob;
use crate::telemetry::Identity;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x INTEGER);";

async fn database(folder: &Path, connections_max: u32) -> Database {
    let identity = Identity {
        service: "test",
        instance: "test-1".to_owned(),
        version: "1".to_owned(),
        host: "host-a".to_owned(),
        team: "t",
        domain: "d",
    };
    let files = Files::one(folder, "t", connections_max);
    let telemetry = Arc::new(Telemetry::silent(identity));
    Database::open(files, &telemetry, &Knobs::new(), SCHEMA).await.unwrap()
}

async fn count(database: &Database) -> i64 {
    let mut connection = database.connect().await.unwrap();
    let row = connection.fetch_optional("SELECT t", sqlx::query("SELECT count(*) FROM t")).await;
    row.unwrap().unwrap().get(0)
}

fn insert() -> Statement {
    sqlx::query("INSERT INTO t (x) VALUES (1)")
}

#[tokio::test]
async fn integration_a_transaction_holds_wholly_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path(), 2).await;
    let mut connection = database.connect().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute("INSERT t", insert()).await.unwrap();
    drop(transaction);
    assert_eq!(count(&database).await, 0);
    let mut transaction = connection.begin().await.unwrap();
    transaction.execute("INSERT t", insert()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(count(&database).await, 1);
}

#[tokio::test]
async fn integration_who_waits_too_long_for_the_writer_is_told_that_it_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path(), 2).await;
    let mut first = database.connect().await.unwrap();
    let held = first.begin().await.unwrap();
    let mut second = database.connect().await.unwrap();
    let error = second.begin().await.map(|_| ()).unwrap_err();
    assert!(matches!(error, DbError::Locked), "{error:?}");
    let fault = Fault::from(error);
    assert_eq!((fault.status.as_u16(), fault.error_type), (503, "SQLITE_BUSY"));
    assert_eq!(fault.message, "database is locked");
    drop(held);
    assert!(second.begin().await.is_ok());
}

#[tokio::test]
async fn integration_a_smaller_pool_makes_others_wait() {
    let folder = tempfile::tempdir().unwrap();
    let database = database(folder.path(), 5).await;
    database.inner.knobs.replace([Knob::DbPoolSize(1)].into_iter().collect());
    let held = database.connect().await.unwrap();
    assert_eq!(database.inner.size.load(Ordering::Relaxed), 1);
    assert_eq!(database.inner.used.load(Ordering::Relaxed), 1);
    let waiting = database.connect();
    tokio::pin!(waiting);
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "there was one more");
    drop(held);
    assert!(waiting.await.is_ok());
    assert_eq!(database.inner.pending.load(Ordering::Relaxed), 0);
}
