//! Items are taken once, all or none, and can be given back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::roles::tests::alone;
use crate::topology::Role;

async fn inventory(folder: &std::path::Path) -> Inventory {
    let instance = alone(Role::Inventory, folder);
    let files = Files::one(folder, "inventory", 2);
    let opened = Database::open(files, &instance.telemetry, &instance.knobs, &schema()).await;
    Inventory { instance, database: opened.unwrap() }
}

async fn available(inventory: &Inventory, sku: &str) -> i64 {
    let query = sqlx::query("SELECT available FROM items WHERE sku = ?").bind(sku.to_owned());
    let mut connection = inventory.database.connect().await.unwrap();
    connection.fetch_optional("SELECT", query).await.unwrap().unwrap().get(0)
}

fn item(sku: &str, quantity: u32) -> Item {
    Item { sku: sku.to_owned(), quantity }
}

#[tokio::test]
async fn integration_items_are_taken_once_and_given_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = inventory(folder.path()).await;
    let all = i64::from(AVAILABLE);
    let items = [item("sku-1", 2), item("sku-2", 3)];
    for _ in 0..2 {
        assert!(inventory.take("o-1", &items, "held").await.unwrap());
        assert_eq!(available(&inventory, "sku-1").await, all - 2);
    }
    assert!(inventory.reserve_held("o-1").await.unwrap());
    for _ in 0..2 {
        inventory.release("o-1", true).await.unwrap();
        assert_eq!(available(&inventory, "sku-2").await, all);
    }
    assert!(!inventory.reserve_held("o-1").await.unwrap());
}

#[tokio::test]
async fn integration_without_all_items_none_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let inventory = inventory(folder.path()).await;
    let items = [item("sku-1", 2), item("sku-2", AVAILABLE + 1)];
    assert!(!inventory.take("o-1", &items, "held").await.unwrap());
    assert_eq!(available(&inventory, "sku-1").await, i64::from(AVAILABLE));
    assert!(!inventory.reserve_held("o-1").await.unwrap());
}
