//! Replicas that follow, and one that is behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::faults::{Knob, ReplicaLag};
use crate::roles::tests::alone;
use crate::topology::Role;

async fn users(folder: &std::path::Path) -> Users {
    Users::open(alone(Role::User, folder)).await.unwrap()
}

async fn fill(users: &Users, quantity: u32) {
    let item = Item { sku: "sku-1".to_owned(), quantity };
    let body = Bytes::from(serde_json::to_vec(&item).unwrap());
    fill_cart(State(users.clone()), Path("u1".to_owned()), body).await.unwrap();
}

async fn items_of(users: &Users, replica: usize) -> i64 {
    let mut connection = users.replicas[replica].connect().await.unwrap();
    user(&select(&mut connection, "u1").await.unwrap().unwrap()).cart_items
}

#[tokio::test]
async fn integration_replicas_follow_and_a_late_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let users = users(folder.path()).await;
    fill(&users, 2).await;
    assert_eq!((items_of(&users, 0).await, items_of(&users, 1).await), (0, 0));
    users.follow_one(0).await.unwrap();
    users.follow_one(1).await.unwrap();
    assert_eq!((items_of(&users, 0).await, items_of(&users, 1).await), (2, 2));
    let lag = ReplicaLag { replica: 2, lag_ms: 60_000 };
    users.instance.knobs.replace([Knob::ReplicaLag(lag)].into_iter().collect());
    fill(&users, 3).await;
    users.follow_one(0).await.unwrap();
    users.follow_one(1).await.unwrap();
    assert_eq!((items_of(&users, 0).await, items_of(&users, 1).await), (5, 2));
    // Who wrote reads what was written, whichever replica is asked.
    for _ in 0..4 {
        assert_eq!(users.find("u1").await.unwrap().unwrap().cart_items, 5);
    }
}

#[tokio::test]
async fn integration_customers_are_there_from_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let users = users(folder.path()).await;
    assert!(users.find(&format!("u{USERS}")).await.unwrap().is_some());
    assert!(users.find("u0").await.unwrap().is_none());
    assert!(users.find(&format!("u{}", USERS + 1)).await.unwrap().is_none());
}
