//! The relay of the outbox: publishes what was saved, in its order, below the work that saved it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::FutureExt;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::super::now_ms;
use super::Orders;
use super::store::Shard;
use crate::db::DbError;
use crate::telemetry::names::metrics;
use crate::topology::TOPICS;
use crate::wire::bus::{self, Event};

/// How often the relay looks without being told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events that are taken at once.
const BATCH_MAX: i64 = 32;
/// A claim that led to nothing ends after this time.
const CLAIM_MS: i64 = 5_000;
/// Events of an instance that has not published them for so long are anybody's.
const ORPHAN_MS: i64 = 5_000;

/// Publishes for ever.
pub(super) async fn relay(orders: Orders) {
    let pending = Arc::new(AtomicI64::new(0));
    let seen = pending.clone();
    let instruments = orders.instance.telemetry.instruments();
    instruments.gauge(metrics::OUTBOX_LAG, "{event}", move |observe| {
        observe(seen.load(Ordering::Relaxed), Vec::new());
    });
    loop {
        // Told or not: looks at the latest after a while.
        let _ = tokio::time::timeout(LOOK_EVERY, orders.posted.notified()).await;
        let mut left = 0;
        for shard in Shard::all() {
            left += orders.publish_from(shard).await.unwrap_or(0);
        }
        pending.store(left, Ordering::Relaxed);
    }
}

impl Orders {
    /// Publishes what waits in a shard; says how much could not be.
    async fn publish_from(&self, shard: Shard) -> Result<i64, DbError> {
        let claimed = self.claim(shard).await?;
        for (place, row) in claimed.iter().enumerate() {
            let context = self.context_of(row);
            if bus::publish(&self.instance, event(row)).with_context(context).await.is_err() {
                // Later events must not overtake; the claim ends by itself.
                return Ok((claimed.len() - place) as i64);
            }
            self.forget(shard, row.get("sequence")).await?;
        }
        Ok(0)
    }

    async fn claim(&self, shard: Shard) -> Result<Vec<SqliteRow>, DbError> {
        let now = now_ms();
        let mut connection = self.store.connect(shard).await?;
        // Looks first, without the lock of the writer: mostly there is nothing.
        let any = sqlx::query(shard.sql("SELECT 1 FROM {s}.outbox LIMIT 1"));
        if connection.fetch_optional("SELECT outbox", any).await?.is_none() {
            return Ok(Vec::new());
        }
        let claim = sqlx::query(shard.sql(
            "UPDATE {s}.outbox SET claimed_ms = ?1 WHERE sequence IN (
                 SELECT sequence FROM {s}.outbox
                 WHERE claimed_ms < ?2 AND (writer = ?3 OR created_ms < ?4)
                 ORDER BY sequence LIMIT ?5)
             RETURNING sequence, topic, name, key, payload, headers",
        ));
        let claim = claim
            .bind(now)
            .bind(now - CLAIM_MS)
            .bind(self.instance.id.clone())
            .bind(now - ORPHAN_MS)
            .bind(BATCH_MAX);
        let mut rows = connection.fetch_all("UPDATE outbox", claim).await?;
        rows.sort_by_key(|row| row.get::<i64, _>("sequence"));
        Ok(rows)
    }

    async fn forget(&self, shard: Shard, sequence: i64) -> Result<(), DbError> {
        let delete = sqlx::query(shard.sql("DELETE FROM {s}.outbox WHERE sequence = ?"));
        let mut connection = self.store.connect(shard).await?;
        connection.execute("DELETE outbox", delete.bind(sequence)).await?;
        Ok(())
    }

    fn context_of(&self, row: &SqliteRow) -> Context {
        let headers: HashMap<String, String> =
            serde_json::from_str(row.get("headers")).unwrap_or_default();
        self.instance.telemetry.extract(&headers)
    }
}

fn event(row: &SqliteRow) -> Event {
    let topic: String = row.get("topic");
    let topic = TOPICS.iter().map(|known| known.name).find(|known| *known == topic);
    Event {
        topic: topic.unwrap_or("orders"),
        name: row.get("name"),
        key: row.get("key"),
        payload: row.get("payload"),
    }
}
