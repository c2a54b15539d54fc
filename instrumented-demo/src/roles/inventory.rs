//! What is in stock: items are held for an order that is about to be made, and reserved when the bus
//! says that it was.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Instance, audit, cache, now_ms, read};
use crate::db::{Database, DbError, Files, Transaction};
use crate::say;
use crate::topology::ITEMS;
use crate::wire::bodies::{Hold, Item, OrderClosed, OrderCreated, Stock, StockAnswer};
use crate::wire::bus::{self, Event, Received};
use crate::wire::{Fault, facts, json};

const CONNECTIONS_MAX: u32 = 10;
const PAGE: u32 = 20;
const AVAILABLE: u32 = 1_000_000;
const ITEM_TTL: Duration = Duration::from_secs(5);
/// Holds whose order never came are given back after this time.
const HOLD_MS: i64 = 60_000;
const SWEEP_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Inventory {
    instance: Arc<Instance>,
    database: Database,
}

pub(super) async fn router(instance: &Arc<Instance>) -> anyhow::Result<Router> {
    let files = Files::one(&instance.folder, "inventory", CONNECTIONS_MAX);
    let database = Database::open(files, &instance.telemetry, &instance.knobs, &schema()).await?;
    let inventory = Inventory { instance: instance.clone(), database };
    tokio::spawn(bus::consume(instance.clone(), "orders", inventory.clone(), handle));
    tokio::spawn(inventory.clone().sweep());
    let locked = inventory.database.clone();
    tokio::spawn(async move {
        locked.hold_locks("UPDATE items SET available = available WHERE sku = 'sku-1'").await;
    });
    let routes = Router::new()
        .route("/items", get(list))
        .route("/items/{sku}", get(view))
        .route("/holds", post(hold))
        .with_state(inventory);
    Ok(instance.traced(routes))
}

fn schema() -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS items (sku TEXT PRIMARY KEY, title TEXT NOT NULL,
             number INTEGER NOT NULL, available INTEGER NOT NULL) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS holds (order_id TEXT NOT NULL, sku TEXT NOT NULL,
             quantity INTEGER NOT NULL, state TEXT NOT NULL, at_ms INTEGER NOT NULL,
             PRIMARY KEY (order_id, sku)) WITHOUT ROWID;
         INSERT OR IGNORE INTO items
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ITEMS})
         SELECT 'sku-' || i, 'Item ' || i, i, {AVAILABLE} FROM n;"
    )
}

fn stock(row: &SqliteRow) -> Stock {
    Stock { sku: row.get("sku"), title: row.get("title"), available: row.get("available") }
}

impl Inventory {
    /// Takes items from the stock; without all of them none are taken.
    async fn take(&self, order_id: &str, items: &[Item], state: &str) -> Result<bool, DbError> {
        let mut connection = self.database.connect().await?;
        let mut transaction = connection.begin().await?;
        for item in items {
            if !take_one(&mut transaction, order_id, item, state).await? {
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Turns the items that are held into reserved ones; says whether there were any.
    async fn reserve_held(&self, order_id: &str) -> Result<bool, DbError> {
        let update = sqlx::query("UPDATE holds SET state = 'reserved' WHERE order_id = ?");
        let mut connection = self.database.connect().await?;
        let changed = connection.execute("UPDATE holds", update.bind(order_id.to_owned())).await?;
        Ok(changed > 0)
    }

    /// Forgets what was kept for an order; back into the stock, or out of the house.
    async fn release(&self, order_id: &str, back: bool) -> Result<(), DbError> {
        let mut connection = self.database.connect().await?;
        let mut transaction = connection.begin().await?;
        let id = order_id.to_owned();
        if back {
            let give_back = sqlx::query(
                "UPDATE items SET available = available + held.quantity
                 FROM (SELECT sku, quantity FROM holds WHERE order_id = ?) AS held
                 WHERE items.sku = held.sku",
            );
            transaction.execute("UPDATE items", give_back.bind(id.clone())).await?;
        }
        let delete = sqlx::query("DELETE FROM holds WHERE order_id = ?").bind(id);
        transaction.execute("DELETE holds", delete).await?;
        transaction.commit().await
    }

    /// Gives back what was held for orders that never came.
    async fn sweep(self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let expired = sqlx::query(
                "SELECT DISTINCT order_id FROM holds WHERE state = 'held' AND at_ms < ? LIMIT 100",
            );
            let Ok(mut connection) = self.database.connect().await else { continue };
            let expired = expired.bind(now_ms() - HOLD_MS);
            let expired = connection.fetch_all("SELECT holds", expired).await.unwrap_or_default();
            drop(connection);
            for row in expired {
                let order_id: String = row.get(0);
                if self.release(&order_id, true).await.is_ok() {
                    say!(warn, orderId = order_id, "held items were given back");
                }
            }
        }
    }

    async fn reserve(&self, order: OrderCreated) -> Result<(), Fault> {
        let has_all = self.reserve_held(&order.order_id).await?
            || self.take(&order.order_id, &order.items, "reserved").await?;
        let name = if has_all { "StockReserved" } else { "StockRejected" };
        let (user, id) = (order.customer_id.as_str(), order.order_id.as_str());
        say!(info, userId = user, orderId = id, "{name}");
        audit!(user, "reserve stock", if has_all { "done" } else { "refused" });
        let (order_id, customer_id) = (order.order_id.clone(), order.customer_id);
        let answer = StockAnswer { order_id, customer_id, timestamp: now_ms() };
        bus::publish(&self.instance, Event::new("stock", name, &order.order_id, &answer)).await
    }
}

async fn take_one(
    transaction: &mut Transaction<'_>,
    order_id: &str,
    item: &Item,
    state: &str,
) -> Result<bool, DbError> {
    let quantity = i64::from(item.quantity);
    let insert = sqlx::query(
        "INSERT INTO holds (order_id, sku, quantity, state, at_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    );
    let insert = insert.bind(order_id.to_owned()).bind(item.sku.clone());
    let insert = insert.bind(quantity).bind(state.to_owned()).bind(now_ms());
    if transaction.execute("INSERT holds", insert).await? == 0 {
        // Asked before.
        return Ok(true);
    }
    let update =
        sqlx::query("UPDATE items SET available = available - ? WHERE sku = ? AND available >= ?");
    let update = update.bind(quantity).bind(item.sku.clone()).bind(quantity);
    Ok(transaction.execute("UPDATE items", update).await? > 0)
}

async fn list(
    State(inventory): State<Inventory>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Fault> {
    let page: u32 = query.get("page").and_then(|page| page.parse().ok()).unwrap_or(0);
    let statement = sqlx::query(
        "SELECT sku, title, available FROM items WHERE number > ? AND number <= ? ORDER BY number",
    );
    let from = page.saturating_mul(PAGE);
    let statement = statement.bind(i64::from(from)).bind(i64::from(from.saturating_add(PAGE)));
    let mut connection = inventory.database.connect().await?;
    let rows = connection.fetch_all("SELECT items", statement).await?;
    Ok(json(StatusCode::OK, &rows.iter().map(stock).collect::<Vec<_>>()))
}

async fn view(
    State(inventory): State<Inventory>,
    Path(sku): Path<String>,
) -> Result<Response, Fault> {
    let key = format!("item:{sku}");
    if let Some(known) = cache::get(&inventory.instance, &key).await
        && let Ok(stock) = serde_json::from_str::<Stock>(&known)
    {
        return Ok(json(StatusCode::OK, &stock));
    }
    let statement = sqlx::query("SELECT sku, title, available FROM items WHERE sku = ?");
    let mut connection = inventory.database.connect().await?;
    let row = connection.fetch_optional("SELECT items", statement.bind(sku.clone())).await?;
    drop(connection);
    let row = row.ok_or_else(|| Fault::not_found(format!("there is no item {sku}")))?;
    let stock = stock(&row);
    let text = serde_json::to_string(&stock).unwrap_or_default();
    cache::set(&inventory.instance, &key, ITEM_TTL, &text).await;
    Ok(json(StatusCode::OK, &stock))
}

async fn hold(State(inventory): State<Inventory>, body: Bytes) -> Result<Response, Fault> {
    let hold: Hold = read(&body)?;
    facts().set_order(&hold.order_id);
    if inventory.take(&hold.order_id, &hold.items, "held").await? {
        return Ok(json(StatusCode::CREATED, &serde_json::json!({})));
    }
    Err(Fault::conflict("out_of_stock", "not all items can be had"))
}

async fn handle(inventory: Inventory, received: Received) -> Result<(), Fault> {
    match received.name.as_str() {
        "OrderCreated" => inventory.reserve(received.body()?).await,
        "OrderConfirmed" => {
            let closed: OrderClosed = received.body()?;
            Ok(inventory.release(&closed.order_id, false).await?)
        }
        "OrderCancelled" => {
            let closed: OrderClosed = received.body()?;
            Ok(inventory.release(&closed.order_id, true).await?)
        }
        _ => Ok(()),
    }
}
