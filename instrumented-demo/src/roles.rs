//! The roles of the system, one file each, and what every instance of a role has.

mod cache;
mod event_bus;
mod gateway;
mod inventory;
mod legacy_tax;
mod notification;
mod order;
mod order_query;
mod payment;
mod pricing;
mod psp;
mod registry;
mod shipping;
mod smtp;
#[cfg(test)]
mod tests;
mod user;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::middleware::from_fn_with_state;
use bytes::Bytes;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::{Context, KeyValue};
use rustls::ServerConfig;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::faults::{Fate, Knobs, Leaking, strain};
use crate::identity::{self, Issuer};
use crate::telemetry::Telemetry;
use crate::topology::Role;
use crate::wire::{self, Ask, Caller, Fault, Served, bodies};

/// How often an instance says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How often an instance says that it is there before it serves unheard, and the time between.
const ENTRIES_MAX: usize = 10;
const ENTRY_PAUSE: Duration = Duration::from_millis(100);

/// What tokens are signed with, and what the gateway shows to get one. It lies open, as the whole
/// system listens on loopback only; no telemetry has it.
const TOKEN_SECRET: &[u8] = b"of this demo alone";
const GATEWAY_CLIENT: (&str, &str) = ("gateway", "gateway-of-this-demo");
/// What the gateway is allowed to by its token.
const ORDERS_SCOPE: &str = "orders";

/// One instance of a role.
#[derive(Debug)]
pub struct Instance {
    /// What it does.
    pub role: Role,
    /// `service.instance.id`.
    pub id: String,
    /// The roles that run beside it.
    pub roles: Vec<Role>,
    /// What it says about itself.
    pub telemetry: Arc<Telemetry>,
    /// How it reaches others.
    pub caller: Caller,
    /// What is wrong with it.
    pub knobs: Knobs,
    /// Where it and its like keep their databases.
    pub folder: PathBuf,
    /// Seed of what it draws by chance.
    pub seed: u64,
    /// What it shows to callers, and asks of them.
    papers: Option<Arc<ServerConfig>>,
    /// Its death by its own doing.
    pub death: Death,
    leaking: Mutex<Leaking>,
    turns: AtomicUsize,
    /// From now on the registry hears no more of it.
    is_leaving: AtomicBool,
}

/// Told when an instance ends by itself, as by a crash.
#[derive(Clone, Debug, Default)]
pub struct Death(Arc<Notify>);

impl Death {
    /// The instance ends, now.
    pub fn strike(&self) {
        self.0.notify_one();
    }

    /// Waits for it.
    pub async fn struck(&self) {
        self.0.notified().await;
    }
}

/// What an instance is made of.
#[derive(Debug)]
pub struct Parts {
    /// See [`Instance::role`].
    pub role: Role,
    /// See [`Instance::id`].
    pub id: String,
    /// See [`Instance::roles`].
    pub roles: Vec<Role>,
    /// See [`Instance::telemetry`].
    pub telemetry: Arc<Telemetry>,
    /// See [`Instance::caller`].
    pub caller: Caller,
    /// See [`Instance::knobs`].
    pub knobs: Knobs,
    /// See [`Instance::folder`].
    pub folder: PathBuf,
    /// See [`Instance::seed`].
    pub seed: u64,
    /// What it shows to callers, and asks of them; nothing, if none.
    pub papers: Option<Arc<ServerConfig>>,
}

impl Instance {
    /// Puts one together.
    pub fn new(parts: Parts) -> Instance {
        let Parts { role, id, roles, telemetry, caller, knobs, folder, seed, papers } = parts;
        Instance {
            role,
            id,
            roles,
            telemetry,
            caller,
            knobs,
            folder,
            seed,
            papers,
            death: Death::default(),
            leaking: Mutex::default(),
            turns: AtomicUsize::new(0),
            is_leaving: AtomicBool::new(false),
        }
    }

    /// Whether a role runs.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Notes a message, which may cost memory that is never given back, and in the end the instance.
    pub fn note_message(&self) {
        let leak = self.knobs.read().leak;
        let mut leaking = self.leaking.lock().unwrap_or_else(PoisonError::into_inner);
        if leaking.message(leak) == Fate::Dies {
            self.death.strike();
        }
    }

    /// The next of `count` things, in turn.
    pub(crate) fn turn(&self, count: usize) -> usize {
        self.turns.fetch_add(1, Ordering::Relaxed) % count.max(1)
    }

    /// Lets itself be forgotten; who knows it is served as before.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    fn served(self: &Arc<Instance>) -> Served {
        Served {
            telemetry: self.telemetry.clone(),
            role: self.role.facts(),
            knobs: self.knobs.clone(),
            writes_lines: self.role != Role::Gateway,
        }
    }

    /// Serves until it is dropped. `ready` is told when requests will be answered.
    pub async fn serve(
        self: Arc<Instance>,
        listener: TcpListener,
        ready: impl FnOnce(),
    ) -> anyhow::Result<()> {
        let address = listener.local_addr()?;
        let router = self.router().await?;
        self.enter(address).await;
        tokio::spawn(heartbeat(self.clone(), address));
        tokio::spawn(strain(self.knobs.clone()));
        ready();
        match self.role {
            Role::Cache => cache::serve(self, listener).await,
            Role::Smtp => smtp::serve(listener).await,
            _ => {
                let listener = identity::Listener::new(listener, self.papers.clone());
                axum::serve(listener, router).await?;
            }
        }
        Ok(())
    }

    async fn router(self: &Arc<Instance>) -> anyhow::Result<Router> {
        let router = match self.role {
            Role::Gateway => gateway::router(self),
            Role::User => user::router(self).await?,
            Role::Order => order::router(self).await?,
            Role::Inventory => inventory::router(self).await?,
            Role::Payment => payment::router(self).await?,
            Role::Pricing => pricing::router(self).await?,
            Role::Shipping => shipping::router(self),
            Role::OrderQuery => order_query::router(self).await?,
            Role::Notification => notification::router(self),
            Role::EventBus => event_bus::router(self).await?,
            Role::Registry => registry::router(self),
            Role::Psp => psp::router(self),
            Role::LegacyTax => legacy_tax::router(self),
            Role::Cache | Role::Smtp => Router::new(),
        };
        Ok(router)
    }

    /// A router whose requests are traced.
    fn traced(self: &Arc<Instance>, router: Router) -> Router {
        router.layer(from_fn_with_state(self.served(), wire::traced))
    }

    /// Registers until it is heard, since who is ready is called, and on a busy machine the first word
    /// comes too late. Without a registry it serves those who know its address.
    async fn enter(&self, address: SocketAddr) {
        for _ in 0..ENTRIES_MAX {
            if self.register(address).await {
                return;
            }
            // One that refuses answers at once, and needs the time to come up.
            tokio::time::sleep(ENTRY_PAUSE).await;
        }
    }

    /// Whether the registry has heard it, or need not.
    async fn register(&self, address: SocketAddr) -> bool {
        let known = self.caller.fixed_address(Role::Registry);
        let Some(registry) = known.filter(|_| self.role.is_instrumented()) else { return true };
        if self.role == Role::Registry {
            return true;
        }
        let body = bodies::Instance { id: self.id.clone(), address: address.to_string() };
        let path = format!("/instances/{}", self.role.name());
        let ask = Ask::post(Role::Registry, "/instances/{service}", path, &body);
        let answer = self.caller.ask_quietly(ask, registry).await;
        answer.is_ok_and(|answer| (200..300).contains(&answer.status))
    }
}

async fn heartbeat(instance: Arc<Instance>, address: SocketAddr) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        if instance.is_leaving.load(Ordering::Acquire) {
            return;
        }
        // Not heard: the next beat says the same.
        instance.register(address).await;
    }
}

/// Who issues tokens and knows its own: user-service issues, others verify.
fn issuer() -> Issuer {
    Issuer::new(TOKEN_SECRET).with_client(GATEWAY_CLIENT.0, GATEWAY_CLIENT.1, &[ORDERS_SCOPE])
}

/// The body of a request.
fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| Fault::bad_request(format!("the body cannot be read: {error}")))
}

/// Seconds since 1970.
fn now_s() -> u64 {
    now_ms().unsigned_abs() / 1_000
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as i64
}

/// The current context with one more entry in its baggage.
fn with_baggage(key: &'static str, value: &str) -> Context {
    Context::map_current(|context| {
        let kept = context.baggage().iter();
        let mut entries: Vec<_> =
            kept.map(|(key, (value, _))| KeyValue::new(key.clone(), value.clone())).collect();
        entries.push(KeyValue::new(key, value.to_owned()));
        context.with_baggage(entries)
    })
}

/// Says in the audit stream who did what.
macro_rules! audit {
    ($who:expr, $what:expr, $decision:expr) => {
        ::tracing::info!(
            target: "audit",
            correlationId = $crate::telemetry::correlation_id(),
            who = $who,
            what = $what,
            decision = $decision,
            "{} {}", $what, $decision
        )
    };
}
pub(crate) use audit;
