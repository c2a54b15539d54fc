//! Shards, and changes that hold wholly or not at all.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sqlx::Row;

use super::store::{Change, Shard};
use super::*;
use crate::db::DbError;
use crate::roles::tests::alone;
use crate::wire::bodies::Item;
use crate::wire::bus::Event;

fn order(id: &str, customer: &str) -> Order {
    Order {
        order_id: id.to_owned(),
        customer_id: customer.to_owned(),
        status: "created".to_owned(),
        total_cents: 100,
        items: vec![Item { sku: "sku-1".to_owned(), quantity: 1 }],
    }
}

async fn count(store: &Store, shard: Shard, table: &str) -> i64 {
    let query = sqlx::query(shard.sql(&format!("SELECT count(*) FROM {{s}}.{table}")));
    let row = store.connect(shard).await.unwrap().fetch_optional("SELECT", query).await.unwrap();
    row.unwrap().get(0)
}

/// Makes an order with its event, and says in the end whether it should hold.
async fn make(store: &Store, order: &Order, holds: bool) -> Result<(), DbError> {
    let shard = Shard::of(&order.customer_id);
    let mut connection = store.connect(shard).await?;
    let transaction = connection.begin().await?;
    let mut change = Change { transaction, shard, writer: "w" };
    change.insert(order).await?;
    change.append(&order.order_id, &["OrderCreated", "OrderCharged"]).await?;
    let event = Event::new("orders", "OrderCreated", &order.order_id, &());
    change.post(event, "{}".to_owned()).await?;
    if holds {
        change.transaction.commit().await?;
    }
    Ok(())
}

#[test]
fn unit_customers_spread_over_shards() {
    let mut counts = HashMap::new();
    for number in 1..=crate::topology::USERS {
        let shard = format!("{:?}", Shard::of(&format!("u{number}")));
        *counts.entry(shard).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), crate::topology::SHARDS);
    assert!(counts.values().all(|count| (75..=175).contains(count)), "{counts:?}");
}

#[tokio::test]
async fn integration_order_event_and_outbox_hold_together() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&alone(Role::Order, folder.path())).await.unwrap();
    let shard = Shard::of("u1");
    make(&store, &order("o-1", "u1"), false).await.unwrap();
    for table in ["orders", "events", "outbox"] {
        assert_eq!(count(&store, shard, table).await, 0, "{table}");
    }
    make(&store, &order("o-1", "u1"), true).await.unwrap();
    for (table, expected) in [("orders", 1), ("events", 2), ("outbox", 1)] {
        assert_eq!(count(&store, shard, table).await, expected, "{table}");
    }
    assert!(make(&store, &order("o-1", "u1"), true).await.is_err(), "an id is taken once");
    assert_eq!(count(&store, shard, "events").await, 2);
}

#[tokio::test]
async fn integration_an_order_is_found_with_and_without_its_customer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&alone(Role::Order, folder.path())).await.unwrap();
    for number in 1..=12 {
        let made = order(&format!("o-{number}"), &format!("u{number}"));
        make(&store, &made, true).await.unwrap();
        assert_eq!(store.find(&made.order_id).await.unwrap().as_ref(), Some(&made));
        let found = store.find_of(&made.customer_id, &made.order_id).await.unwrap();
        assert_eq!(found, Some(made));
    }
    assert_eq!(store.find("o-13").await.unwrap(), None);
    assert_eq!(store.of_customer("u3").await.unwrap().len(), 1);
}
