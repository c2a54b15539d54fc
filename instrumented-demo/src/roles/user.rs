//! Customers and their sessions: written to a primary database, read from replicas that follow it.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use moka::sync::Cache;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use tokio::sync::Notify;

use super::{Instance, audit, issuer, now_ms, now_s, read};
use crate::db::{Connection, Database, DbError, Files};
use crate::topology::{REPLICAS, USERS};
use crate::wire::bodies::{Item, Login, Session, Token, TokenRequest, User};
use crate::wire::{Fault, facts, json};

const CONNECTIONS_MAX: u32 = 10;
/// How often replicas look for changes, and how many they take at once.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
const CHANGES_MAX: i64 = 500;
/// How long a reader waits for a replica to have what was just written here, and how often.
const CATCH_UP_PAUSE: Duration = Duration::from_millis(25);
const CATCH_UP_TRIES: u32 = 4;
/// Own writes that are remembered, and for how long.
const WRITES_REMEMBERED: u64 = 10_000;
const WRITES_TTL: Duration = Duration::from_secs(60);
const TOKEN_SECONDS: u64 = 3_600;
/// How long the token of a service holds.
const SERVICE_TOKEN_SECONDS: u64 = 20;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, name TEXT NOT NULL, region TEXT NOT NULL,
        cart_items INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS changes (sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL, cart_items INTEGER NOT NULL, version INTEGER NOT NULL,
        at_ms INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS applied (one INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
    INSERT OR IGNORE INTO applied VALUES (1, 0);";
const PRIMARY: &str = "primary";
const REPLICA_ADDRESSES: [&str; REPLICAS] = ["replica-1", "replica-2"];
const SCOPES: [&str; 5] =
    ["inventory:read", "users:read", "users:write", "orders:read", "orders:write"];

#[derive(Clone)]
struct Users {
    instance: Arc<Instance>,
    primary: Database,
    replicas: Arc<[Database]>,
    /// Versions written by this instance, by customer.
    written: Cache<String, i64>,
    /// Told when there is something to follow.
    changed: Arc<Notify>,
}

pub(super) async fn router(instance: &Arc<Instance>) -> anyhow::Result<Router> {
    let users = Users::open(instance.clone()).await?;
    tokio::spawn(users.clone().follow());
    tokio::spawn({
        let primary = users.primary.clone();
        async move { primary.hold_locks("UPDATE users SET version = version WHERE id = 'u1'").await }
    });
    let routes = Router::new()
        .route("/users/{id}", get(view))
        .route("/users/{id}/cart", post(fill_cart))
        .route("/sessions/{id}", get(session))
        .route("/login", post(log_in))
        .route("/tokens", post(issue_token))
        .with_state(users);
    Ok(instance.traced(routes))
}

impl Users {
    async fn open(instance: Arc<Instance>) -> Result<Users, DbError> {
        let primary = open(&instance, PRIMARY).await?;
        let mut replicas = Vec::new();
        for address in REPLICA_ADDRESSES {
            replicas.push(open(&instance, address).await?);
        }
        let written =
            Cache::builder().max_capacity(WRITES_REMEMBERED).time_to_live(WRITES_TTL).build();
        let (replicas, changed) = (replicas.into(), Arc::default());
        Ok(Users { instance, primary, replicas, written, changed })
    }

    /// A replica, in turn.
    async fn reader(&self) -> Result<Connection, DbError> {
        self.replicas[self.instance.turn(self.replicas.len())].connect().await
    }

    /// A customer from a replica, or from the primary where the replica is too far behind.
    async fn find(&self, id: &str) -> Result<Option<User>, DbError> {
        let newest = self.written.get(id).unwrap_or(0);
        let mut replica = self.reader().await?;
        for _ in 0..CATCH_UP_TRIES {
            let row = select(&mut replica, id).await?;
            let is_new = row.as_ref().is_none_or(|row| row.get::<i64, _>("version") >= newest);
            if is_new {
                return Ok(row.map(|row| user(&row)));
            }
            tokio::time::sleep(CATCH_UP_PAUSE).await;
        }
        drop(replica);
        let row = select(&mut self.primary.connect().await?, id).await?;
        Ok(row.map(|row| user(&row)))
    }

    /// Replicas follow the primary, each as far behind as its knob says.
    async fn follow(self) {
        loop {
            // Told or not: looks at the latest after a while.
            let _ = tokio::time::timeout(FOLLOW_EVERY, self.changed.notified()).await;
            for number in 0..self.replicas.len() {
                // What fails is tried again at the next turn.
                let _ = self.follow_one(number).await;
            }
        }
    }

    async fn follow_one(&self, number: usize) -> Result<(), DbError> {
        let lag = self.instance.knobs.read().replica_lag;
        let lag = lag.filter(|lag| usize::from(lag.replica) == number + 1);
        let until_ms = now_ms() - lag.map_or(0, |lag| lag.lag_ms as i64);
        let mut replica = self.replicas[number].connect().await?;
        let applied = sqlx::query("SELECT sequence FROM applied WHERE one = 1");
        let applied = replica.fetch_optional("SELECT applied", applied).await?;
        let applied: i64 = applied.map_or(0, |row| row.get(0));
        let changes = sqlx::query(
            "SELECT sequence, id, cart_items, version FROM changes
             WHERE sequence > ? AND at_ms <= ? ORDER BY sequence LIMIT ?",
        );
        let changes = changes.bind(applied).bind(until_ms).bind(CHANGES_MAX);
        let changes = self.primary.connect().await?.fetch_all("SELECT changes", changes).await?;
        let Some(last) = changes.last().map(|row| row.get::<i64, _>("sequence")) else {
            return Ok(());
        };
        let mut transaction = replica.begin().await?;
        for row in &changes {
            let update = sqlx::query(
                "UPDATE users SET cart_items = ?, version = ? WHERE id = ? AND version < ?",
            );
            let (items, version) = (row.get::<i64, _>("cart_items"), row.get::<i64, _>("version"));
            let update = update.bind(items).bind(version).bind(row.get::<String, _>("id"));
            transaction.execute("UPDATE users", update.bind(version)).await?;
        }
        let done = sqlx::query("UPDATE applied SET sequence = max(sequence, ?)").bind(last);
        transaction.execute("UPDATE applied", done).await?;
        transaction.commit().await
    }
}

/// Opens the primary or a replica.
async fn open(instance: &Instance, address: &'static str) -> Result<Database, DbError> {
    let mut files = Files::one(&instance.folder, "users", CONNECTIONS_MAX);
    files.main = instance.folder.join(format!("users-{address}.sqlite"));
    files.address = Some(address);
    let schema = format!("{SCHEMA}{}", seed_users());
    Database::open(files, &instance.telemetry, &instance.knobs, &schema).await
}

/// The primary as another service opens it that should not.
pub(super) async fn open_primary(instance: &Instance) -> Result<Database, DbError> {
    open(instance, PRIMARY).await
}

/// Customers that are there from the start, the same in every file.
fn seed_users() -> String {
    format!(
        "INSERT OR IGNORE INTO users
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {USERS})
         SELECT 'u' || i, 'Customer ' || i,
                CASE i % 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' ELSE 'ap' END, 0, 0 FROM n;"
    )
}

async fn select(connection: &mut Connection, id: &str) -> Result<Option<SqliteRow>, DbError> {
    let query = sqlx::query("SELECT id, name, region, cart_items, version FROM users WHERE id = ?");
    connection.fetch_optional("SELECT users", query.bind(id.to_owned())).await
}

fn user(row: &SqliteRow) -> User {
    User {
        user_id: row.get("id"),
        name: row.get("name"),
        region: row.get("region"),
        cart_items: row.get("cart_items"),
    }
}

fn missing(id: &str) -> Fault {
    Fault::not_found(format!("there is no customer {id}"))
}

async fn view(State(users): State<Users>, Path(id): Path<String>) -> Result<Response, Fault> {
    facts().set_user(&id);
    let user = users.find(&id).await?.ok_or_else(|| missing(&id))?;
    Ok(json(StatusCode::OK, &user))
}

async fn session(State(users): State<Users>, Path(id): Path<String>) -> Result<Response, Fault> {
    facts().set_user(&id);
    let row = select(&mut users.reader().await?, &id).await?;
    row.ok_or_else(|| missing(&id))?;
    let scopes = SCOPES.iter().map(|scope| (*scope).to_owned()).collect();
    Ok(json(StatusCode::OK, &Session { user_id: id, scopes }))
}

async fn log_in(State(users): State<Users>, body: Bytes) -> Result<Response, Fault> {
    let login: Login = read(&body)?;
    facts().set_user(&login.user_id);
    let row = select(&mut users.reader().await?, &login.user_id).await?;
    row.ok_or_else(|| missing(&login.user_id))?;
    audit!(login.user_id.as_str(), "log in", "allowed");
    let access_token = uuid::Uuid::new_v4().simple().to_string();
    Ok(json(StatusCode::OK, &Token { access_token, expires_in: TOKEN_SECONDS }))
}

/// Tokens by client credentials.
async fn issue_token(State(users): State<Users>, body: Bytes) -> Result<Response, Fault> {
    let asked: TokenRequest = read(&body)?;
    let is_late = users.instance.knobs.read().token_expired;
    let expires_in = if is_late { 0 } else { SERVICE_TOKEN_SECONDS };
    let client = (asked.client_id.as_str(), asked.client_secret.as_str());
    let granted = issuer().grant(client, &asked.scope, now_s(), expires_in);
    audit!(client.0, "issue token", if granted.is_ok() { "done" } else { "refused" });
    let access_token = granted.map_err(|refusal| {
        Fault::new(StatusCode::UNAUTHORIZED, "client_refused", refusal.to_string())
    })?;
    Ok(json(StatusCode::OK, &Token { access_token, expires_in }))
}

async fn fill_cart(
    State(users): State<Users>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Fault> {
    facts().set_user(&id);
    let item: Item = read(&body)?;
    let mut primary = users.primary.connect().await?;
    let mut transaction = primary.begin().await?;
    let update = sqlx::query(
        "UPDATE users SET cart_items = cart_items + ?, version = version + 1 WHERE id = ?
         RETURNING id, name, region, cart_items, version",
    );
    let update = update.bind(i64::from(item.quantity)).bind(id.clone());
    let row = transaction.fetch_optional("UPDATE users", update).await?;
    let row = row.ok_or_else(|| missing(&id))?;
    let (user, version) = (user(&row), row.get::<i64, _>("version"));
    let change =
        sqlx::query("INSERT INTO changes (id, cart_items, version, at_ms) VALUES (?, ?, ?, ?)");
    let change = change.bind(id.clone()).bind(user.cart_items).bind(version).bind(now_ms());
    transaction.execute("INSERT changes", change).await?;
    transaction.commit().await?;
    users.written.insert(id.clone(), version);
    audit!(id.as_str(), "fill cart", "done");
    users.changed.notify_one();
    Ok(json(StatusCode::OK, &user))
}
