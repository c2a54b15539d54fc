//! The bus: topics with partitions in an append-only table, consumer groups with offsets of their own,
//! delivery at least once.
//!
//! Partitions are dealt out to the members of a group that asked lately. Of one partition a group has
//! one message under way at a time, so that keys keep their order; what is not settled in time, or is
//! wanted again, is delivered again.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use opentelemetry::KeyValue;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::sync::Notify;

use super::Instance;
use crate::db::{Database, DbError, Files};
use crate::telemetry::names::metrics;
use crate::wire::proto::bus::{
    self as proto, Delivery, FetchReply, FetchRequest, Message, PublishReply, PublishRequest,
    SettleReply, SettleRequest,
};
use crate::wire::{Fault, grpc};

const CONNECTIONS_MAX: u32 = 10;
const PARTITIONS: u32 = 4;
/// A member that has not asked for so long is gone.
const MEMBER_LIFE: Duration = Duration::from_secs(3);
/// What is not settled after so long is delivered again.
const SETTLE_TIME: Duration = Duration::from_secs(15);
/// Pause before a message that was wanted again.
const AGAIN_PAUSE: Duration = Duration::from_millis(500);
/// Longest wait of a member for messages.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long messages are kept, and how often old ones are looked for.
const KEPT_NS: i64 = 600_000_000_000;
const TRIM_EVERY: Duration = Duration::from_secs(30);
/// Groups and members that are known.
const GROUPS_MAX: usize = 100;
const MEMBERS_MAX: usize = 100;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS messages (topic TEXT NOT NULL, partition INTEGER NOT NULL,
        place INTEGER NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,
        headers TEXT NOT NULL, payload TEXT NOT NULL, at_ns INTEGER NOT NULL,
        PRIMARY KEY (topic, partition, place)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS offsets (topic TEXT NOT NULL, group_name TEXT NOT NULL,
        partition INTEGER NOT NULL, settled INTEGER NOT NULL,
        PRIMARY KEY (topic, group_name, partition)) WITHOUT ROWID;";

#[derive(Clone)]
struct Bus {
    database: Database,
    groups: Arc<Mutex<HashMap<(String, String), Group>>>,
    news: Arc<Notify>,
}

/// A group reading a topic.
#[derive(Debug, Default)]
struct Group {
    members: HashMap<String, Instant>,
    under_way: HashMap<u32, UnderWay>,
    lag: u64,
}

/// A message that a member has.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    place: i64,
    /// Not handed out again before this moment.
    until: Instant,
    redeliveries: u32,
}

impl Group {
    /// Notes that a member asks, and forgets those that do not.
    fn hear(&mut self, member: &str, now: Instant) {
        self.members.retain(|_, heard| now.duration_since(*heard) < MEMBER_LIFE);
        if self.members.len() < MEMBERS_MAX {
            self.members.insert(member.to_owned(), now);
        }
    }

    /// The partitions of a member that have nothing under way.
    fn free(&self, member: &str, now: Instant) -> Vec<u32> {
        let mut members: Vec<&str> = self.members.keys().map(String::as_str).collect();
        members.sort_unstable();
        let is_free = |partition: &u32| {
            self.under_way.get(partition).is_none_or(|under_way| under_way.until <= now)
        };
        let owner = |partition: &u32| members.get(*partition as usize % members.len().max(1));
        let own = |partition: &u32| owner(partition) == Some(&member);
        (0..PARTITIONS).filter(own).filter(is_free).collect()
    }

    /// Hands a message out; says how often that happened before.
    fn hand_out(&mut self, partition: u32, place: i64, now: Instant) -> u32 {
        let before = self.under_way.get(&partition).filter(|known| known.place == place);
        let redeliveries = before.map_or(0, |known| known.redeliveries + 1);
        let under_way = UnderWay { place, until: now + SETTLE_TIME, redeliveries };
        self.under_way.insert(partition, under_way);
        redeliveries
    }

    /// Takes a message back; says whether it was the one under way.
    fn settle(&mut self, partition: u32, place: i64, again: bool, now: Instant) -> bool {
        match self.under_way.get_mut(&partition) {
            Some(known) if known.place == place => {
                if again {
                    known.until = now + AGAIN_PAUSE;
                } else {
                    self.under_way.remove(&partition);
                }
                true
            }
            _ => false,
        }
    }
}

pub(super) async fn router(instance: &Arc<Instance>) -> anyhow::Result<Router> {
    let files = Files::one(&instance.folder, "event-log", CONNECTIONS_MAX);
    let database = Database::open(files, &instance.telemetry, &instance.knobs, SCHEMA).await?;
    let bus = Bus { database, groups: Arc::default(), news: Arc::default() };
    let counted = bus.clone();
    instance.telemetry.instruments().gauge(metrics::GROUP_LAG, "{message}", move |observe| {
        for ((topic, group), lag) in counted.lags() {
            let attributes = [("messaging.destination.name", topic), ("group", group)];
            let attributes = attributes.map(|(key, value)| KeyValue::new(key, value));
            observe(lag as i64, attributes.to_vec());
        }
    });
    tokio::spawn(bus.clone().trim());
    let router = grpc::method(Router::new(), &instance.served(), proto::PUBLISH, &bus, publish);
    let router = grpc::quiet_method(router, proto::FETCH, &bus, fetch);
    Ok(grpc::quiet_method(router, proto::SETTLE, &bus, settle))
}

/// The partition of a key.
fn partition_of(key: &str) -> u32 {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash % u64::from(PARTITIONS)) as u32
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

async fn publish(bus: Bus, request: PublishRequest) -> Result<PublishReply, Fault> {
    let mut connection = bus.database.connect().await?;
    let mut transaction = connection.begin().await?;
    let mut stored = 0;
    for message in request.messages {
        let partition = partition_of(&message.key);
        let insert = sqlx::query(
            "INSERT INTO messages (topic, partition, place, id, key, name, headers, payload, at_ns)
             SELECT ?1, ?2, 1 + coalesce(max(place), 0), ?3, ?4, ?5, ?6, ?7, ?8
             FROM messages WHERE topic = ?1 AND partition = ?2",
        );
        let headers = serde_json::to_string(&message.headers).unwrap_or_default();
        let insert = insert
            .bind(request.topic.clone())
            .bind(partition)
            .bind(message.id)
            .bind(message.key)
            .bind(message.name)
            .bind(headers)
            .bind(message.payload)
            .bind(now_ns());
        transaction.execute("INSERT messages", insert).await?;
        stored += 1;
    }
    transaction.commit().await?;
    bus.news.notify_waiters();
    Ok(PublishReply { stored })
}

async fn fetch(bus: Bus, request: FetchRequest) -> Result<FetchReply, Fault> {
    let wait = Duration::from_millis(request.wait_ms.into()).min(WAIT_MAX);
    let until = tokio::time::Instant::now() + wait;
    loop {
        // Listens before it looks, so that no news comes in between.
        let news = bus.news.notified();
        tokio::pin!(news);
        news.as_mut().enable();
        let reply = bus.take(&request).await?;
        let is_over = tokio::time::Instant::now() >= until;
        if is_over || !reply.deliveries.is_empty() {
            return Ok(reply);
        }
        // Also looks when what others had may be taken again.
        let again = (tokio::time::Instant::now() + AGAIN_PAUSE).min(until);
        tokio::select! {
            () = news => {}
            () = tokio::time::sleep_until(again) => {}
        }
    }
}

async fn settle(bus: Bus, request: SettleRequest) -> Result<SettleReply, Fault> {
    for settled in &request.settled {
        let (topic, group) = (request.topic.clone(), request.group.clone());
        let is_known = bus.with_group(&topic, &group, |group| {
            group.settle(settled.partition, settled.offset, settled.again, Instant::now())
        });
        if !is_known || settled.again {
            continue;
        }
        let upsert = sqlx::query(
            "INSERT INTO offsets (topic, group_name, partition, settled) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET settled = max(settled, excluded.settled)",
        );
        let upsert = upsert.bind(topic).bind(group).bind(settled.partition).bind(settled.offset);
        bus.database.connect().await?.execute("UPSERT offsets", upsert).await?;
    }
    Ok(SettleReply {})
}

impl Bus {
    /// Forgets what is old, settled or not.
    async fn trim(self) {
        loop {
            tokio::time::sleep(TRIM_EVERY).await;
            let delete = sqlx::query("DELETE FROM messages WHERE at_ns < ?");
            let delete = delete.bind(now_ns().saturating_sub(KEPT_NS));
            if let Ok(mut connection) = self.database.connect().await {
                // What fails is tried again at the next turn.
                let _ = connection.execute("DELETE messages", delete).await;
            }
        }
    }

    fn with_group<T>(&self, topic: &str, group: &str, act: impl FnOnce(&mut Group) -> T) -> T {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (topic.to_owned(), group.to_owned());
        if groups.len() >= GROUPS_MAX && !groups.contains_key(&key) {
            return act(&mut Group::default());
        }
        act(groups.entry(key).or_default())
    }

    fn lags(&self) -> Vec<((String, String), u64)> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.iter().map(|(key, group)| (key.clone(), group.lag)).collect()
    }

    /// The next message of each partition that the member may have.
    async fn take(&self, request: &FetchRequest) -> Result<FetchReply, DbError> {
        let (topic, group) = (&request.topic, &request.group);
        let now = Instant::now();
        let free = self.with_group(topic, group, |group| {
            group.hear(&request.member, now);
            group.free(&request.member, now)
        });
        let mut reply = FetchReply::default();
        for row in self.heads(topic, group).await? {
            reply.lag += row.get::<i64, _>("behind") as u64;
            let partition: u32 = row.get("partition");
            if !free.contains(&partition) || reply.deliveries.len() as u32 >= request.messages_max {
                continue;
            }
            let mut delivery = delivery(&row);
            delivery.redeliveries = self
                .with_group(topic, group, |group| group.hand_out(partition, delivery.offset, now));
            reply.deliveries.push(delivery);
        }
        self.with_group(topic, group, |group| group.lag = reply.lag);
        if !reply.deliveries.is_empty() {
            reply.ready_ns = now_ns();
        }
        Ok(reply)
    }

    /// The first message of each partition that the group has not settled, and how many there are.
    async fn heads(&self, topic: &str, group: &str) -> Result<Vec<SqliteRow>, DbError> {
        let query = sqlx::query(
            "SELECT m.partition, m.place, m.id, m.key, m.name, m.headers, m.payload, m.at_ns,
                 (SELECT max(place) FROM messages
                  WHERE topic = m.topic AND partition = m.partition) - m.place + 1 AS behind
             FROM (SELECT 0 AS partition UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3)
                 AS p
             LEFT JOIN offsets AS o
                 ON o.topic = ?1 AND o.group_name = ?2 AND o.partition = p.partition
             JOIN messages AS m ON m.topic = ?1 AND m.partition = p.partition
                 AND m.place = coalesce(o.settled, 0) + 1",
        );
        let query = query.bind(topic.to_owned()).bind(group.to_owned());
        self.database.connect().await?.fetch_all("SELECT messages", query).await
    }
}

fn delivery(row: &SqliteRow) -> Delivery {
    let message = Message {
        id: row.get("id"),
        key: row.get("key"),
        name: row.get("name"),
        headers: serde_json::from_str(row.get("headers")).unwrap_or_default(),
        payload: row.get("payload"),
    };
    Delivery {
        message: Some(message),
        partition: row.get("partition"),
        offset: row.get("place"),
        redeliveries: 0,
        published_ns: row.get("at_ns"),
    }
}
