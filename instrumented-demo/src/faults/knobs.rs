//! The knobs of an instance: what is wrong with it at the moment. Roles read them on their way.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use crate::proxy::Delay;
use crate::resilience::RetryPolicy;

/// The settings of one instance, replaced while it runs. Reading costs an atomic or two.
#[derive(Clone, Debug, Default)]
pub struct Knobs(Arc<ArcSwap<Settings>>);

impl Knobs {
    /// Nothing is wrong.
    pub fn new() -> Knobs {
        Knobs::default()
    }

    /// What holds now. A role reads once per request and so never sees half a change.
    pub fn read(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    /// What holds from now on.
    pub fn replace(&self, settings: Settings) {
        self.0.store(Arc::new(settings));
    }
}

/// One thing that can be wrong with an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// See [`Settings::db_pool_size`].
    DbPoolSize(u32),
    /// See [`Settings::db_index_dropped`].
    DbIndexDropped,
    /// See [`Settings::db_lock_hold`].
    DbLockHold(LockHold),
    /// See [`Settings::worker_pool_size`].
    WorkerPoolSize(usize),
    /// See [`Settings::cpu_spin_percent`].
    CpuSpinPercent(u8),
    /// See [`Settings::leak`].
    Leak(Leak),
    /// See [`Settings::pause`].
    Pause(Pause),
    /// See [`Settings::answer_delay`].
    AnswerDelay(Delay),
    /// See [`Settings::dead_address_of`].
    DeadAddressOf(String),
    /// See [`Settings::error_percent`].
    ErrorPercent(u8),
    /// See [`Settings::retry`].
    Retry(RetryPolicy),
    /// See [`Settings::no_outbox`].
    NoOutbox,
    /// See [`Settings::crash_before_publish`].
    CrashBeforePublish,
    /// See [`Settings::replica_lag`].
    ReplicaLag(ReplicaLag),
    /// See [`Settings::consumer_delay_ms`].
    ConsumerDelayMs(u64),
    /// See [`Settings::n_plus_one`].
    NPlusOne,
    /// See [`Settings::call_per_item`].
    CallPerItem,
    /// See [`Settings::reads_user_db`].
    ReadsUserDb,
    /// See [`Settings::version`].
    Version(String),
    /// See [`Settings::route_burn`].
    RouteBurn(RouteBurn),
    /// See [`Settings::certificate_expired`].
    CertificateExpired,
    /// See [`Settings::token_expired`].
    TokenExpired,
    /// See [`Settings::client_timeout`].
    ClientTimeout(ClientTimeout),
    /// See [`Settings::serial_fanout`].
    SerialFanout,
    /// See [`Settings::cache_ttl_ms`].
    CacheTtlMs(u64),
    /// See [`Settings::poison`].
    Poison,
    /// See [`Settings::clock_offset_ms`].
    ClockOffsetMs(i64),
}

/// All knobs of an instance. The default is a healthy one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Connections the database pool gives out.
    pub db_pool_size: Option<u32>,
    /// The index that the hot query needs is not there. Who reads this drops it, and makes it anew
    /// when it reads that the knob is back.
    pub db_index_dropped: bool,
    /// A transaction that writes and then stays open, again and again.
    pub db_lock_hold: Option<LockHold>,
    /// Workers of the service itself.
    pub worker_pool_size: Option<usize>,
    /// Share of each slice of time that the instance's thread spins.
    pub cpu_spin_percent: Option<u8>,
    /// Memory that is kept per message, up to the death of the instance.
    pub leak: Option<Leak>,
    /// The instance stops for a while, again and again.
    pub pause: Option<Pause>,
    /// The answer waits so long before it goes out: for the provider outside, and for a callee that
    /// waits on something outside. Drawn anew for each.
    pub answer_delay: Option<Delay>,
    /// The registry answers with an address where nobody listens, for this service.
    pub dead_address_of: Option<String>,
    /// Share of the calls that fail by themselves.
    pub error_percent: Option<u8>,
    /// How this instance tries its calls again.
    pub retry: Option<RetryPolicy>,
    /// Orders are saved and then published, instead of both in one transaction.
    pub no_outbox: bool,
    /// The instance dies between saving and publishing the next order.
    pub crash_before_publish: bool,
    /// A replica that is behind.
    pub replica_lag: Option<ReplicaLag>,
    /// The consumer takes so much longer for each message.
    pub consumer_delay_ms: Option<u64>,
    /// One query per item instead of one for all.
    pub n_plus_one: bool,
    /// One call per item instead of one for all.
    pub call_per_item: bool,
    /// This service reads the user database by itself.
    pub reads_user_db: bool,
    /// The version the instance runs as; it takes effect when the instance starts.
    pub version: Option<String>,
    /// A route that costs more.
    pub route_burn: Option<RouteBurn>,
    /// New connections to the instance see a certificate that has expired.
    pub certificate_expired: bool,
    /// The issuer hands out tokens that have expired.
    pub token_expired: bool,
    /// Calls to a target are given up early.
    pub client_timeout: Option<ClientTimeout>,
    /// Calls that could go side by side go one after the other.
    pub serial_fanout: bool,
    /// How long the cache keeps an entry; 0 keeps none, and flushes what there is.
    pub cache_ttl_ms: Option<u64>,
    /// The consumer cannot handle the message it saw first under this setting, and asks for it
    /// again and again.
    pub poison: bool,
    /// The instance's clock is ahead by so much.
    pub clock_offset_ms: i64,
}

/// A transaction that holds the write lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHold {
    /// How long each stays open.
    pub hold_ms: u64,
    /// How much later the next begins, from begin to begin.
    pub every_ms: u64,
}

/// Memory that is never given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// Kept per message.
    pub bytes_per_message: usize,
    /// At so much the instance dies.
    pub limit_bytes: usize,
}

/// A stop of the whole instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// How long each lasts.
    pub pause_ms: u64,
    /// How much later the next begins, from begin to begin.
    pub every_ms: u64,
}

/// A replica behind its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaLag {
    /// Which replica, from 1.
    pub replica: u8,
    /// How far behind.
    pub lag_ms: u64,
}

/// Processor time that requests of one route cost beside their work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteBurn {
    /// The route template, as in `http.route`.
    pub route: String,
    /// Milliseconds of spinning.
    pub burn_ms: u64,
}

/// A caller's patience with one callee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientTimeout {
    /// The callee's service name.
    pub target: String,
    /// How long it is waited for.
    pub timeout_ms: u64,
}

/// The settings in which exactly these knobs are turned. Of two of a kind the last one holds.
impl FromIterator<Knob> for Settings {
    fn from_iter<I: IntoIterator<Item = Knob>>(knobs: I) -> Settings {
        let mut settings = Settings::default();
        knobs.into_iter().for_each(|knob| settings.turn(knob));
        settings
    }
}

impl Settings {
    fn turn(&mut self, knob: Knob) {
        match knob {
            Knob::DbPoolSize(size) => self.db_pool_size = Some(size),
            Knob::DbIndexDropped => self.db_index_dropped = true,
            Knob::DbLockHold(hold) => self.db_lock_hold = Some(hold),
            Knob::WorkerPoolSize(size) => self.worker_pool_size = Some(size),
            Knob::CpuSpinPercent(percent) => self.cpu_spin_percent = Some(percent),
            Knob::Leak(leak) => self.leak = Some(leak),
            Knob::Pause(pause) => self.pause = Some(pause),
            Knob::AnswerDelay(delay) => self.answer_delay = Some(delay),
            Knob::DeadAddressOf(service) => self.dead_address_of = Some(service),
            Knob::ErrorPercent(percent) => self.error_percent = Some(percent),
            Knob::Retry(policy) => self.retry = Some(policy),
            Knob::NoOutbox => self.no_outbox = true,
            Knob::CrashBeforePublish => self.crash_before_publish = true,
            Knob::ReplicaLag(lag) => self.replica_lag = Some(lag),
            Knob::ConsumerDelayMs(ms) => self.consumer_delay_ms = Some(ms),
            Knob::NPlusOne => self.n_plus_one = true,
            Knob::CallPerItem => self.call_per_item = true,
            Knob::ReadsUserDb => self.reads_user_db = true,
            Knob::Version(version) => self.version = Some(version),
            Knob::RouteBurn(burn) => self.route_burn = Some(burn),
            Knob::CertificateExpired => self.certificate_expired = true,
            Knob::TokenExpired => self.token_expired = true,
            Knob::ClientTimeout(timeout) => self.client_timeout = Some(timeout),
            Knob::SerialFanout => self.serial_fanout = true,
            Knob::CacheTtlMs(ms) => self.cache_ttl_ms = Some(ms),
            Knob::Poison => self.poison = true,
            Knob::ClockOffsetMs(ms) => self.clock_offset_ms = ms,
        }
    }
}
