//! Four shards of orders by hash of the customer, each a file of its own behind one pool: the state of
//! an order, its events, and the outbox, all changed in one transaction.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::super::{Instance, now_ms};
use crate::db::{Connection, Database, DbError, Files, Transaction};
use crate::topology::{SHARDS, shard_of};
use crate::wire::bodies::{Item, Order};
use crate::wire::bus::Event;

/// As many as the pool of one instance has on a good day.
const CONNECTIONS_MAX: u32 = 20;
const ORDERS_MAX: i64 = 20;
/// How long an order that has come to its end stays in the cache.
pub(super) const ORDER_TTL: Duration = Duration::from_secs(30);
const ADDRESSES: [&str; SHARDS] = ["shard-0", "shard-1", "shard-2", "shard-3"];

/// One shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard(usize);

impl Shard {
    pub(super) fn all() -> impl Iterator<Item = Shard> {
        (0..SHARDS).map(Shard)
    }

    /// The shard of a customer.
    pub(super) fn of(customer: &str) -> Shard {
        Shard(shard_of(customer))
    }

    fn address(self) -> &'static str {
        ADDRESSES[self.0]
    }

    /// A statement in the tables of this shard, which it writes as `{s}`.
    pub(super) fn sql(self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(text.replace("{s}", &format!("shard{}", self.0)))
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS {s}.orders (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL,
        status TEXT NOT NULL, total_cents INTEGER NOT NULL, items TEXT NOT NULL,
        created_ms INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS {s}.orders_by_customer ON orders (customer_id, created_ms);
    CREATE TABLE IF NOT EXISTS {s}.events (sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        order_id TEXT NOT NULL, name TEXT NOT NULL, at_ms INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS {s}.events_by_order ON events (order_id);
    CREATE TABLE IF NOT EXISTS {s}.outbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        writer TEXT NOT NULL, topic TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL,
        payload TEXT NOT NULL, headers TEXT NOT NULL, created_ms INTEGER NOT NULL,
        claimed_ms INTEGER NOT NULL DEFAULT 0);";

/// All shards.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) database: Database,
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

impl Store {
    pub(super) async fn open(instance: &Arc<Instance>) -> Result<Store, DbError> {
        // The main file stays empty: all tables are in the attached ones.
        let mut files = Files::one(&instance.folder, "orders", CONNECTIONS_MAX);
        files.attached = (0..SHARDS)
            .map(|n| (format!("shard{n}"), instance.folder.join(format!("orders-{n}.sqlite"))))
            .collect();
        let schema: String = Shard::all().map(|shard| shard.sql(SCHEMA).0).collect();
        let database = Database::open(files, &instance.telemetry, &instance.knobs, &schema).await?;
        Ok(Store { database })
    }

    pub(super) async fn connect(&self, shard: Shard) -> Result<Connection, DbError> {
        self.database.connect_at(Some(shard.address())).await
    }

    /// An order of any shard: its id does not say which.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Order>, DbError> {
        for shard in Shard::all() {
            let mut connection = self.connect(shard).await?;
            if let Some(order) = find(&mut connection, shard, id).await? {
                return Ok(Some(order));
            }
        }
        Ok(None)
    }

    /// An order of this customer.
    pub(super) async fn find_of(&self, customer: &str, id: &str) -> Result<Option<Order>, DbError> {
        let shard = Shard::of(customer);
        find(&mut self.connect(shard).await?, shard, id).await
    }

    /// The latest orders of a customer.
    pub(super) async fn of_customer(&self, customer: &str) -> Result<Vec<Order>, DbError> {
        let shard = Shard::of(customer);
        let query = sqlx::query(shard.sql(
            "SELECT id, customer_id, status, total_cents, items FROM {s}.orders
             WHERE customer_id = ? ORDER BY created_ms DESC LIMIT ?",
        ));
        let query = query.bind(customer.to_owned()).bind(ORDERS_MAX);
        let rows = self.connect(shard).await?.fetch_all("SELECT orders", query).await?;
        Ok(rows.iter().map(order).collect())
    }
}

async fn find(
    connection: &mut Connection,
    shard: Shard,
    id: &str,
) -> Result<Option<Order>, DbError> {
    let query = sqlx::query(
        shard
            .sql("SELECT id, customer_id, status, total_cents, items FROM {s}.orders WHERE id = ?"),
    );
    let row = connection.fetch_optional("SELECT orders", query.bind(id.to_owned())).await?;
    Ok(row.map(|row| order(&row)))
}

/// A change of one order: all of it holds, or nothing.
pub(super) struct Change<'a> {
    pub(super) transaction: Transaction<'a>,
    pub(super) shard: Shard,
    pub(super) writer: &'a str,
}

impl Change<'_> {
    pub(super) async fn insert(&mut self, order: &Order) -> Result<(), DbError> {
        let items: &Vec<Item> = &order.items;
        let items = serde_json::to_string(items).unwrap_or_default();
        let insert = sqlx::query(self.shard.sql(
            "INSERT INTO {s}.orders (id, customer_id, status, total_cents, items, created_ms)
             VALUES (?, ?, ?, ?, ?, ?)",
        ));
        let insert = insert
            .bind(order.order_id.clone())
            .bind(order.customer_id.clone())
            .bind(order.status.clone())
            .bind(order.total_cents)
            .bind(items)
            .bind(now_ms());
        self.transaction.execute("INSERT orders", insert).await?;
        Ok(())
    }

    /// Moves an order on; says whether it was still at `from`.
    pub(super) async fn advance(
        &mut self,
        id: &str,
        from: &str,
        to: &str,
    ) -> Result<bool, DbError> {
        let update = sqlx::query(
            self.shard.sql("UPDATE {s}.orders SET status = ? WHERE id = ? AND status = ?"),
        );
        let update = update.bind(to.to_owned()).bind(id.to_owned()).bind(from.to_owned());
        Ok(self.transaction.execute("UPDATE orders", update).await? > 0)
    }

    /// Appends to the events of an order.
    pub(super) async fn append(&mut self, id: &str, names: &[&str]) -> Result<(), DbError> {
        let marks = vec!["(?, ?, ?)"; names.len()].join(", ");
        let text = format!("INSERT INTO {{s}}.events (order_id, name, at_ms) VALUES {marks}");
        let mut insert = sqlx::query(self.shard.sql(&text));
        for name in names {
            insert = insert.bind(id.to_owned()).bind((*name).to_owned()).bind(now_ms());
        }
        self.transaction.execute("INSERT events", insert).await?;
        Ok(())
    }

    /// Puts an event into the outbox, with the context that it belongs to.
    pub(super) async fn post(&mut self, event: Event, headers: String) -> Result<(), DbError> {
        let insert = sqlx::query(self.shard.sql(
            "INSERT INTO {s}.outbox (writer, topic, name, key, payload, headers, created_ms)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        ));
        let insert = insert
            .bind(self.writer.to_owned())
            .bind(event.topic)
            .bind(event.name)
            .bind(event.key)
            .bind(event.payload)
            .bind(headers)
            .bind(now_ms());
        self.transaction.execute("INSERT outbox", insert).await?;
        Ok(())
    }
}
