//! Orders as they are read: a table that the events of the bus fill.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Instance;
use crate::db::{Database, Files};
use crate::wire::bodies::{Order, OrderClosed, OrderCreated};
use crate::wire::bus::{self, Received};
use crate::wire::{Fault, facts, json};

const CONNECTIONS_MAX: u32 = 10;
const ORDERS_MAX: i64 = 20;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL,
        status TEXT NOT NULL, total_cents INTEGER NOT NULL, items TEXT NOT NULL,
        created_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS orders_by_customer ON orders (customer_id, created_ms);";

#[derive(Clone)]
struct View {
    database: Database,
}

pub(super) async fn router(instance: &Arc<Instance>) -> anyhow::Result<Router> {
    let files = Files::one(&instance.folder, "order-view", CONNECTIONS_MAX);
    let database = Database::open(files, &instance.telemetry, &instance.knobs, SCHEMA).await?;
    let view = View { database };
    tokio::spawn(bus::consume(instance.clone(), "orders", view.clone(), apply));
    let routes =
        Router::new().route("/orders", get(list)).route("/orders/{id}", get(find)).with_state(view);
    Ok(instance.traced(routes))
}

fn order(row: &SqliteRow) -> Order {
    Order {
        order_id: row.get("id"),
        customer_id: row.get("customer_id"),
        status: row.get("status"),
        total_cents: row.get("total_cents"),
        items: serde_json::from_str(row.get("items")).unwrap_or_default(),
    }
}

async fn list(
    State(view): State<View>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Fault> {
    let customer = query.get("customerId").cloned().unwrap_or_default();
    facts().set_user(&customer);
    let statement = sqlx::query(
        "SELECT id, customer_id, status, total_cents, items FROM orders
         WHERE customer_id = ? ORDER BY created_ms DESC LIMIT ?",
    );
    let statement = statement.bind(customer).bind(ORDERS_MAX);
    let rows = view.database.connect().await?.fetch_all("SELECT orders", statement).await?;
    Ok(json(StatusCode::OK, &rows.iter().map(order).collect::<Vec<_>>()))
}

async fn find(State(view): State<View>, Path(id): Path<String>) -> Result<Response, Fault> {
    facts().set_order(&id);
    let statement =
        sqlx::query("SELECT id, customer_id, status, total_cents, items FROM orders WHERE id = ?");
    let statement = statement.bind(id.clone());
    let row = view.database.connect().await?.fetch_optional("SELECT orders", statement).await?;
    let row = row.ok_or_else(|| Fault::not_found(format!("no order {id} was heard of")))?;
    Ok(json(StatusCode::OK, &order(&row)))
}

/// Events come in the order of their key, but perhaps twice: each says how things are, not what to add.
async fn apply(view: View, received: Received) -> Result<(), Fault> {
    let statement = match received.name.as_str() {
        "OrderCreated" => {
            let created: OrderCreated = received.body()?;
            let items = serde_json::to_string(&created.items).unwrap_or_default();
            sqlx::query(
                "INSERT INTO orders (id, customer_id, status, total_cents, items, created_ms)
                 VALUES (?, ?, 'created', ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(created.order_id)
            .bind(created.customer_id)
            .bind(created.total_cents)
            .bind(items)
            .bind(created.timestamp)
        }
        "OrderConfirmed" | "OrderCancelled" => {
            let closed: OrderClosed = received.body()?;
            let confirmed = received.name == "OrderConfirmed";
            let status = if confirmed { "confirmed" } else { "cancelled" };
            sqlx::query("UPDATE orders SET status = ? WHERE id = ?")
                .bind(status)
                .bind(closed.order_id)
        }
        _ => return Ok(()),
    };
    view.database.connect().await?.execute("UPSERT orders", statement).await?;
    Ok(())
}
