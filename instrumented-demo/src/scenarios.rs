//! The faults that the demo can play: what each one does, who is to blame for it, and which view has
//! to say so.
//!
//! One table for the live system, the generator and the scoring. Nothing of it ever goes into
//! telemetry; it goes into the records of [`crate::truth`].

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use CulpritKind::{Attribute, Db, Edge, External, Instance, Nobody, Service, Topic, UpstreamLoad};

/// One fault, or one control in which there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its number, S1 to S30.
    pub id: u8,
    /// Its name in commands.
    pub name: &'static str,
    /// What a person reads in a list.
    pub title: &'static str,
    /// Who is to blame. An instance or a replica is drawn when the scenario starts: then this is the
    /// service or database that it belongs to, and [`crate::truth::Record`] has the one drawn.
    pub culprit: Blame,
    /// Others to blame, and what makes it worse.
    pub also: &'static [Blame],
    /// What happens, in one sentence.
    pub mechanism: &'static str,
    /// The views that have to put the culprit first.
    pub views: &'static [View],
    /// Root operations that suffer, as `name`, or as `service name` where several services have one
    /// of the name.
    pub roots: &'static [&'static str],
    /// Whether no service may be blamed.
    pub control: bool,
}

/// A culprit as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blame {
    /// What it is.
    pub kind: CulpritKind,
    /// Its name, as the node of the service map has it; an edge is `caller→callee`.
    pub name: &'static str,
}

/// What can be to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CulpritKind {
    /// A service.
    Service,
    /// One instance of a service.
    Instance,
    /// The way from a caller to a callee.
    Edge,
    /// A database.
    Db,
    /// A topic of the bus.
    Topic,
    /// A node that sends no telemetry.
    External,
    /// A value of an attribute, as `key=value`.
    Attribute,
    /// More requests than before, and nothing broken.
    UpstreamLoad,
    /// Nothing is wrong.
    Nobody,
}

/// A place where people look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The SQL view, or `sql` for a question of one's own.
    pub name: &'static str,
    /// What in it shows the culprit.
    pub detail: &'static str,
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail {
            "" => f.write_str(self.name),
            detail => write!(f, "{}: {detail}", self.name),
        }
    }
}

impl Scenario {
    /// The scenario of this number.
    pub fn by_id(id: u8) -> Option<&'static Scenario> {
        ALL.iter().find(|scenario| scenario.id == id)
    }

    /// The scenario of this name.
    pub fn by_name(name: &str) -> Option<&'static Scenario> {
        ALL.iter().find(|scenario| scenario.name == name)
    }

    /// The scenario that a person means by a number (`4`, `S4`) or a name (`slow_network`).
    pub fn find(text: &str) -> Option<&'static Scenario> {
        let digits = text.strip_prefix(['S', 's']).unwrap_or(text);
        let by_id = digits.parse().ok().and_then(Scenario::by_id);
        by_id.or_else(|| Scenario::by_name(&text.replace('-', "_")))
    }

    /// All who are to blame.
    pub fn culprits(&self) -> impl Iterator<Item = Blame> {
        std::iter::once(self.culprit).chain(self.also.iter().copied())
    }
}

const fn blame(kind: CulpritKind, name: &'static str) -> Blame {
    Blame { kind, name }
}

const fn view(name: &'static str, detail: &'static str) -> View {
    View { name, detail }
}

const PLACE: &str = "POST /api/orders";
const LOOK_UP: &str = "GET /api/orders/{id}";
const LIST: &str = "GET /api/orders";
const ITEMS: &str = "GET /api/inventory/{sku}";
const PROFILE: &str = "GET /api/users/{id}";

/// All scenarios, in the order of their numbers.
pub static ALL: [Scenario; 30] = [
    Scenario {
        id: 1,
        name: "small_pool",
        title: "The connection pool of the order database shrinks",
        culprit: blame(Service, "order-service"),
        also: &[],
        mechanism: "order-service gets a pool of 2 instead of 20 connections; requests wait for one",
        views: &[view("bottlenecks", "saturation"), view("latency_breakdown", "db.pool.acquire")],
        roots: &[PLACE, LOOK_UP],
        control: false,
    },
    Scenario {
        id: 2,
        name: "slow_index",
        title: "The index on the price table is gone",
        culprit: blame(Db, "sqlite:prices"),
        also: &[],
        mechanism: "look-ups of prices scan the whole table",
        views: &[view("latency_breakdown", "db"), view("compare_spans", "db.query.summary")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 3,
        name: "long_lock",
        title: "A long write transaction holds the inventory database",
        culprit: blame(Db, "sqlite:inventory"),
        also: &[],
        mechanism: "writers wait for the lock, and some give up with \"database is locked\"",
        views: &[view("latency_breakdown", "db"), view("error_paths", "database is locked")],
        roots: &["inventory-service process orders"],
        control: false,
    },
    Scenario {
        id: 4,
        name: "slow_network",
        title: "The network between order and payment is slow",
        culprit: blame(Edge, "order-service→payment-service"),
        also: &[],
        mechanism: "each call takes 80 ± 20 ms longer on its way",
        views: &[view("rank_causes", "gap of the edge")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 5,
        name: "connection_resets",
        title: "Connections from the gateway to the users break",
        culprit: blame(Edge, "gateway→user-service"),
        also: &[],
        mechanism: "5 % of the calls end with a reset connection",
        views: &[view("error_paths", "origin is the edge")],
        roots: &[PLACE, LOOK_UP, PROFILE],
        control: false,
    },
    Scenario {
        id: 6,
        name: "few_workers",
        title: "Shipping has too few workers",
        culprit: blame(Service, "shipping-service"),
        also: &[],
        mechanism: "3 instead of 16 workers; requests queue before they are served",
        views: &[view("bottlenecks", "concurrency_limit")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 7,
        name: "cpu_spike",
        title: "One instance of pricing is short of CPU",
        culprit: blame(Instance, "pricing-service"),
        also: &[],
        mechanism: "a busy loop takes most of the instance's thread",
        views: &[view("bottlenecks", "instance_outlier")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 8,
        name: "memory_leak",
        title: "Notification leaks memory until it dies",
        culprit: blame(Service, "notification-service"),
        also: &[],
        mechanism: "a buffer is kept for each message; at its limit the instance ends and comes back",
        views: &[view("rank_causes", "restarts"), view("service_map", "lag")],
        roots: &["notification-service process notifications"],
        control: false,
    },
    Scenario {
        id: 9,
        name: "terminated",
        title: "Payment is killed and comes back",
        culprit: blame(Service, "payment-service"),
        also: &[],
        mechanism: "connections are refused for 10 s at a time",
        views: &[view("error_paths", "peer_origin without a server span")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 10,
        name: "pauses",
        title: "One instance of inventory stands still again and again",
        culprit: blame(Instance, "inventory-service"),
        also: &[],
        mechanism: "the instance pauses for 800 ms every 5 s",
        views: &[view("tail_attribution", "p99 by instance")],
        roots: &[ITEMS, PLACE],
        control: false,
    },
    Scenario {
        id: 11,
        name: "slow_provider",
        title: "The payment provider is slow",
        culprit: blame(External, "psp:3900"),
        also: &[],
        mechanism: "the provider answers in 2 s",
        views: &[view("latency_breakdown", "external")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 12,
        name: "dead_address",
        title: "The registry hands out an address where nobody listens",
        culprit: blame(Service, "registry"),
        also: &[blame(Edge, "order-service→shipping-service")],
        mechanism: "order-service is told a dead address of shipping-service",
        views: &[view("error_paths", "connection refused at the edge")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 13,
        name: "retry_storm",
        title: "Payment fails, and order makes it worse",
        culprit: blame(Service, "payment-service"),
        also: &[blame(Service, "order-service")],
        mechanism: "30 % of the charges fail and are tried 3 times, with no pause and no budget",
        views: &[view("bottlenecks", "retry_amplification")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 14,
        name: "lost_event",
        title: "Order dies between saving and publishing",
        culprit: blame(Service, "order-service"),
        also: &[],
        mechanism: "without an outbox some orders are saved whose event is never published",
        views: &[view("sql", "orders without a reservation")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 15,
        name: "replica_lag",
        title: "A replica of the user database lags behind",
        culprit: blame(Db, "sqlite:users"),
        also: &[],
        mechanism: "the replica is 30 s behind; reads from it do not find what was just written",
        views: &[view("compare_spans", "the replica")],
        roots: &[PROFILE],
        control: false,
    },
    Scenario {
        id: 16,
        name: "hot_shard",
        title: "One customer makes half of the orders",
        culprit: blame(Db, "sqlite:orders"),
        also: &[blame(Attribute, "customer.id")],
        mechanism: "all of the customer's orders meet in one shard, whose writer they wait for",
        views: &[view("compare_spans", "shard and customer"), view("latency_breakdown", "db")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 17,
        name: "slow_consumer",
        title: "Inventory handles messages slowly",
        culprit: blame(Service, "inventory-service"),
        also: &[blame(Topic, "bus:orders")],
        mechanism: "each message takes 500 ms, so messages lie longer and longer",
        views: &[view("service_map", "lag")],
        roots: &["inventory-service process orders"],
        control: false,
    },
    Scenario {
        id: 18,
        name: "n_plus_one",
        title: "Pricing asks its database once for each item",
        culprit: blame(Service, "pricing-service"),
        also: &[],
        mechanism: "one query for each item instead of one for all",
        views: &[view("bottlenecks", "n_plus_one")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 19,
        name: "shared_database",
        title: "A second service reads the user database",
        culprit: blame(Db, "sqlite:users@primary"),
        also: &[],
        mechanism: "order-service joins with the tables of user-service, and both wait for each other",
        views: &[view("bottlenecks", "shared_database")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 20,
        name: "bad_version",
        title: "One of three order instances has a new version",
        culprit: blame(Attribute, "service.version=1.4.1"),
        also: &[blame(Instance, "order-service")],
        mechanism: "version 1.4.1 is slow on one route",
        views: &[
            view("compare_spans", "service.version and http.route"),
            view("bottlenecks", "instance_outlier"),
        ],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 21,
        name: "expired_certificate",
        title: "The certificate of inventory has expired",
        culprit: blame(Edge, "gateway→inventory-service"),
        also: &[],
        mechanism: "new connections fail in the TLS handshake",
        views: &[view("error_paths", "ends at TLS")],
        roots: &[ITEMS],
        control: false,
    },
    Scenario {
        id: 22,
        name: "expired_token",
        title: "The token that the gateway uses has expired",
        culprit: blame(Service, "user-service"),
        also: &[],
        mechanism: "user-service issues tokens whose time is over, so calls to order-service end with 401",
        views: &[view("error_paths", "ends at 401")],
        roots: &[PLACE, LOOK_UP],
        control: false,
    },
    Scenario {
        id: 23,
        name: "short_timeout",
        title: "Order gives up before pricing can answer",
        culprit: blame(Edge, "order-service→pricing-service"),
        also: &[],
        mechanism: "the caller's timeout of 200 ms is below the callee's p95",
        views: &[view("error_paths", "timeout_origin"), view("bottlenecks", "timeout_mismatch")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 24,
        name: "serial_calls",
        title: "Calls that ran side by side follow each other",
        culprit: blame(Service, "order-service"),
        also: &[],
        mechanism: "order-service asks for price, tax and shipping one after the other",
        views: &[view("bottlenecks", "serial_fanout")],
        roots: &[PLACE],
        control: false,
    },
    Scenario {
        id: 25,
        name: "cold_cache",
        title: "The cache keeps nothing",
        culprit: blame(Service, "cache"),
        also: &[],
        mechanism: "the cache is flushed and its TTL is 0; every look-up goes on to a database",
        views: &[view("latency_breakdown", "shift to db"), view("sql", "hit ratio")],
        roots: &[ITEMS, PLACE],
        control: false,
    },
    Scenario {
        id: 26,
        name: "poison_message",
        title: "A message that nobody can handle comes again and again",
        culprit: blame(Topic, "bus:notifications"),
        also: &[blame(Service, "notification-service")],
        mechanism: "the consumer fails, the bus delivers again, for ever",
        views: &[view("error_paths", "redeliveries")],
        roots: &["notification-service process notifications"],
        control: false,
    },
    Scenario {
        id: 27,
        name: "clock_ahead",
        title: "Control: the clock of one host is 40 ms ahead",
        culprit: blame(Nobody, "nobody"),
        also: &[],
        mechanism: "all times of one host are shifted; nothing takes longer",
        views: &[view("service_map", "unchanged after correction")],
        roots: &[],
        control: true,
    },
    Scenario {
        id: 28,
        name: "more_traffic",
        title: "Control: three times the traffic, nothing broken",
        culprit: blame(UpstreamLoad, "upstream-load"),
        also: &[],
        mechanism: "three times as many requests come, and everything gets somewhat slower",
        views: &[view("rank_causes", "upstream-load")],
        roots: &[PLACE, LOOK_UP, LIST, ITEMS, PROFILE],
        control: true,
    },
    Scenario {
        id: 29,
        name: "calm",
        title: "Control: nothing happens",
        culprit: blame(Nobody, "nobody"),
        also: &[],
        mechanism: "nothing changes",
        views: &[view("rank_causes", "empty")],
        roots: &[],
        control: true,
    },
    Scenario {
        id: 30,
        name: "two_at_once",
        title: "The price index is gone, and payment is killed",
        culprit: blame(Db, "sqlite:prices"),
        also: &[blame(Service, "payment-service")],
        mechanism: "slow_index and terminated at the same time",
        views: &[view("rank_causes", "both among the first three")],
        roots: &[PLACE],
        control: false,
    },
];
