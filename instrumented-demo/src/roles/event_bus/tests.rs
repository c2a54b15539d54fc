//! Partitions, redelivery and the order of keys.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::roles::tests::alone;
use crate::topology::Role;
use crate::wire::proto::bus::Settled;

#[test]
fn unit_partitions_are_dealt_out_to_members_that_live() {
    let (mut group, start) = (Group::default(), Instant::now());
    group.hear("a", start);
    assert_eq!(group.free("a", start), [0, 1, 2, 3]);
    group.hear("b", start);
    assert_eq!(group.free("a", start), [0, 2]);
    assert_eq!(group.free("b", start), [1, 3]);
    assert_eq!(group.free("stranger", start), Vec::<u32>::new());
    let later = start + MEMBER_LIFE;
    group.hear("a", later);
    assert_eq!(group.free("a", later), [0, 1, 2, 3]);
}

#[test]
fn unit_what_is_not_settled_is_delivered_again() {
    let (mut group, start) = (Group::default(), Instant::now());
    group.hear("a", start);
    assert_eq!(group.hand_out(1, 7, start), 0);
    assert_eq!(group.free("a", start), [0, 2, 3]);
    assert!(!group.settle(1, 6, false, start), "another message");
    assert!(group.settle(1, 7, true, start));
    assert_eq!(group.free("a", start), [0, 2, 3], "not at once");
    assert_eq!(group.free("a", start + AGAIN_PAUSE), [0, 1, 2, 3]);
    assert_eq!(group.hand_out(1, 7, start + AGAIN_PAUSE), 1);
    let late = start + AGAIN_PAUSE + SETTLE_TIME;
    assert_eq!(group.hand_out(1, 7, late), 2);
    assert!(group.settle(1, 7, false, late));
    assert_eq!(group.hand_out(1, 8, late), 0);
}

#[test]
fn unit_keys_spread_over_partitions() {
    let mut counts = [0; PARTITIONS as usize];
    for number in 0..1_000 {
        counts[partition_of(&format!("o-{number}")) as usize] += 1;
    }
    assert!(counts.iter().all(|count| *count > 150), "{counts:?}");
}

async fn bus(folder: &std::path::Path) -> Bus {
    let instance = alone(Role::EventBus, folder);
    let files = Files::one(folder, "event-log", 2);
    let database = Database::open(files, &instance.telemetry, &instance.knobs, SCHEMA).await;
    Bus { database: database.unwrap(), groups: Arc::default(), news: Arc::default() }
}

async fn send(bus: &Bus, key: &str, payload: &str) {
    let message = Message {
        id: payload.to_owned(),
        key: key.to_owned(),
        payload: payload.to_owned(),
        ..Message::default()
    };
    let request = PublishRequest { topic: "t".to_owned(), messages: vec![message] };
    assert_eq!(publish(bus.clone(), request).await.unwrap().stored, 1);
}

async fn take(bus: &Bus, group: &str, wait_ms: u32) -> FetchReply {
    let request = FetchRequest {
        topic: "t".to_owned(),
        group: group.to_owned(),
        member: "m".to_owned(),
        messages_max: 10,
        wait_ms,
    };
    fetch(bus.clone(), request).await.unwrap()
}

fn payloads(reply: &FetchReply) -> Vec<&str> {
    let messages = reply.deliveries.iter().filter_map(|delivery| delivery.message.as_ref());
    messages.map(|message| message.payload.as_str()).collect()
}

#[tokio::test]
async fn integration_a_key_keeps_its_order_and_groups_are_apart() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(folder.path()).await;
    for payload in ["1", "2", "3"] {
        send(&bus, "one key", payload).await;
    }
    for expected in ["1", "2", "3"] {
        let reply = take(&bus, "g", 0).await;
        assert_eq!(payloads(&reply), [expected]);
        assert_eq!(payloads(&take(&bus, "g", 0).await), Vec::<&str>::new(), "one at a time");
        let delivery = &reply.deliveries[0];
        let settled =
            Settled { partition: delivery.partition, offset: delivery.offset, again: false };
        let request = SettleRequest {
            topic: "t".to_owned(),
            group: "g".to_owned(),
            member: "m".to_owned(),
            settled: vec![settled],
        };
        settle(bus.clone(), request).await.unwrap();
    }
    let other = take(&bus, "other", 0).await;
    assert_eq!((payloads(&other), other.lag), (vec!["1"], 3));
    assert_eq!(take(&bus, "g", 0).await.lag, 0);
}

#[tokio::test]
async fn integration_who_waits_is_told_of_news() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus(folder.path()).await;
    let (waited, ()) = tokio::join!(take(&bus, "g", 5_000), send(&bus, "k", "news"));
    assert_eq!(payloads(&waited), ["news"]);
    assert!(waited.ready_ns > 0);
}
