//! Every attribute and metric name that the demo sends, in the form of today's conventions and in the
//! form they had before. One table, since the conventions for RPC and messaging still move.

#[cfg(test)]
mod tests;

use opentelemetry::Key;
use serde::{Deserialize, Serialize};

/// Which form of the names is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Semconv {
    /// Today's.
    #[default]
    New,
    /// Those of about 1.20, which many libraries still send.
    Old,
}

/// A name in both forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Today's.
    pub new: &'static str,
    /// The former one; the same where nothing changed.
    pub old: &'static str,
}

impl Name {
    /// The form asked for.
    pub const fn text(self, form: Semconv) -> &'static str {
        match form {
            Semconv::New => self.new,
            Semconv::Old => self.old,
        }
    }

    /// The form asked for, as a key.
    pub fn key(self, form: Semconv) -> Key {
        Key::from_static_str(self.text(form))
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $new:literal $(, formerly $old:literal)?;)*) => {
        $($(#[$doc])* pub const $name: Name = name($new, [$($old)?]);)*

        /// All of them, for tests.
        #[cfg(test)]
        pub(crate) const ALL: &[Name] = &[$($name),*];
    };
}

const fn name<const N: usize>(new: &'static str, old: [&'static str; N]) -> Name {
    Name { new, old: if N == 0 { new } else { old[0] } }
}

names! {
    /// HTTP method.
    HTTP_METHOD = "http.request.method", formerly "http.method";
    /// HTTP status.
    HTTP_STATUS = "http.response.status_code", formerly "http.status_code";
    /// Template of the path.
    HTTP_ROUTE = "http.route";
    /// How often a request was sent before.
    HTTP_RESEND_COUNT = "http.request.resend_count", formerly "http.resend_count";
    /// Path of a request, on servers.
    URL_PATH = "url.path", formerly "http.target";
    /// The whole address of a request, on clients.
    URL_FULL = "url.full", formerly "http.url";
    /// `http` or `https`.
    URL_SCHEME = "url.scheme", formerly "http.scheme";
    /// The name that was asked for.
    SERVER_ADDRESS = "server.address", formerly "net.peer.name";
    /// The port that was asked for.
    SERVER_PORT = "server.port", formerly "net.peer.port";
    /// The address that answered.
    PEER_ADDRESS = "network.peer.address", formerly "net.sock.peer.addr";
    /// The port that answered.
    PEER_PORT = "network.peer.port", formerly "net.sock.peer.port";
    /// `1.1` or `2`.
    PROTOCOL_VERSION = "network.protocol.version", formerly "http.flavor";
    /// What went wrong, of few values.
    ERROR_TYPE = "error.type";
    /// `grpc`.
    RPC_SYSTEM = "rpc.system.name", formerly "rpc.system";
    /// `package.Service/Method`; formerly the method alone.
    RPC_METHOD = "rpc.method";
    /// Formerly the service alone.
    RPC_SERVICE = "rpc.service";
    /// `OK`; formerly its number.
    RPC_STATUS = "rpc.response.status_code", formerly "rpc.grpc.status_code";
    /// The kind of database.
    DB_SYSTEM = "db.system.name", formerly "db.system";
    /// The database.
    DB_NAMESPACE = "db.namespace", formerly "db.name";
    /// Verb and table.
    DB_SUMMARY = "db.query.summary", formerly "db.statement";
    /// Name of a pool.
    POOL_NAME = "db.client.connection.pool.name", formerly "pool.name";
    /// `used` or `idle`.
    POOL_STATE = "db.client.connection.state", formerly "state";
    /// The bus.
    MESSAGING_SYSTEM = "messaging.system";
    /// Topic.
    MESSAGING_DESTINATION = "messaging.destination.name";
    /// `send`, `receive`, `process`.
    MESSAGING_OPERATION_TYPE = "messaging.operation.type", formerly "messaging.operation";
    /// The same in the words of the bus.
    MESSAGING_OPERATION_NAME = "messaging.operation.name";
    /// Who reads together.
    MESSAGING_GROUP = "messaging.consumer.group.name", formerly "messaging.kafka.consumer.group";
    /// Id of a message.
    MESSAGING_ID = "messaging.message.id";
    /// Messages of a batch.
    MESSAGING_BATCH = "messaging.batch.message_count";
    /// Partition of a topic.
    MESSAGING_PARTITION = "messaging.destination.partition.id", formerly "messaging.kafka.destination.partition";
}

/// Attributes of our own, for which there is no convention.
pub mod own {
    /// How long the caller waits, on every client span.
    pub const TIMEOUT_MS: &str = "call.timeout_ms";
    /// The customer that an order is of.
    pub const CUSTOMER_ID: &str = "customer.id";
    /// The order.
    pub const ORDER_ID: &str = "order.id";
    /// One saga, over all its traces.
    pub const SAGA_ID: &str = "saga.id";
    /// Session of a customer.
    pub const SESSION_ID: &str = "session.id";
    /// What a caller calls its own request.
    pub const CORRELATION_ID: &str = "correlation.id";
    /// On whose behalf a customer asks.
    pub const TENANT_ID: &str = "tenant.id";
    /// Region of a customer.
    pub const REGION: &str = "customer.region";
    /// Version of the app that asked.
    pub const APP_VERSION: &str = "app.version";
    /// Whether a look-up in the cache found something.
    pub const CACHE_HIT: &str = "cache.hit";
    /// How often a message was delivered before.
    pub const REDELIVERIES: &str = "messaging.bus.redelivery_count";
}

/// Metrics, with their units.
pub mod metrics {
    /// Seconds a server needed: the convention's buckets.
    pub const SERVER_DURATION: &str = "http.server.request.duration";
    /// The same with exponential buckets.
    pub const SERVER_DURATION_EXPONENTIAL: &str = "http.server.request.duration.exponential";
    /// The same as the article has it.
    pub const ARTICLE_DURATION: &str = "http_request_duration_seconds";
    /// Seconds a client waited.
    pub const CLIENT_DURATION: &str = "http.client.request.duration";
    /// Requests in flight.
    pub const ACTIVE_REQUESTS: &str = "http.server.active_requests";
    /// Seconds of a call over gRPC, on its server.
    pub const RPC_SERVER_DURATION: &str = "rpc.server.call.duration";
    /// Seconds of a call over gRPC, on its client.
    pub const RPC_CLIENT_DURATION: &str = "rpc.client.call.duration";
    /// Seconds of a statement.
    pub const DB_DURATION: &str = "db.client.operation.duration";
    /// Connections by state.
    pub const POOL_COUNT: &str = "db.client.connection.count";
    /// Most connections allowed.
    pub const POOL_MAX: &str = "db.client.connection.max";
    /// Requests that wait for a connection.
    pub const POOL_PENDING: &str = "db.client.connection.pending_requests";
    /// Requests that gave up waiting.
    pub const POOL_TIMEOUTS: &str = "db.client.connection.timeouts";
    /// Seconds waited for a connection.
    pub const POOL_WAIT: &str = "db.client.connection.wait_time";
    /// Seconds a connection was used.
    pub const POOL_USE: &str = "db.client.connection.use_time";
    /// Messages written.
    pub const MESSAGES_SENT: &str = "messaging.client.sent.messages";
    /// Messages read.
    pub const MESSAGES_CONSUMED: &str = "messaging.client.consumed.messages";
    /// Seconds of handling a message.
    pub const PROCESS_DURATION: &str = "messaging.process.duration";
    /// Messages of a topic that a group has not finished.
    pub const GROUP_LAG: &str = "messaging.consumer.group.lag";
    /// Messages that had been handled before.
    pub const DUPLICATES: &str = "messaging.consumer.duplicates";
    /// Events saved and not yet published.
    pub const OUTBOX_LAG: &str = "outbox.pending";
    /// Answers of the cache.
    pub const CACHE_LOOKUPS: &str = "cache.lookups";
    /// Entries of the cache.
    pub const CACHE_ENTRIES: &str = "cache.entries";
    /// Seconds on processors.
    pub const PROCESS_CPU: &str = "process.cpu.time";
    /// Resident bytes.
    pub const PROCESS_MEMORY: &str = "process.memory.usage";
    /// Instances that a scaled service has.
    pub const INSTANCES_CURRENT: &str = "autoscaler.instances.current";
    /// Instances that it should have.
    pub const INSTANCES_DESIRED: &str = "autoscaler.instances.desired";
    /// Instances that are alive.
    pub const REGISTRY_INSTANCES: &str = "registry.instances";
    /// Requests turned away, by layer.
    pub const REJECTED: &str = "middleware.rejected_requests";
    /// Circuit breakers by state.
    pub const BREAKER_STATE: &str = "circuit_breaker.state";
    /// Calls in a bulkhead.
    pub const BULKHEAD_IN_USE: &str = "bulkhead.in_use";
    /// Calls that wait for a bulkhead.
    pub const BULKHEAD_PENDING: &str = "bulkhead.pending";
}

/// The value that `http.route` has where no route matched, as the article writes it.
pub const ROUTE_UNKNOWN: &str = "unknown";
