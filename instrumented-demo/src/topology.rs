//! What the system consists of: roles, their ports, who owns them, how many instances run, the routes
//! of the gateway, and the edges that a service map has to show.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Instances of a scaled role at most.
pub const INSTANCES_MAX: usize = 6;

/// A part of the system; each of its instances is a server of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Where requests come in.
    Gateway,
    /// Customers and their sessions.
    User,
    /// Orders, their events and their saga.
    Order,
    /// What is in stock.
    Inventory,
    /// Charges cards.
    Payment,
    /// What an order costs.
    Pricing,
    /// Rates and shipments.
    Shipping,
    /// Orders as they are read.
    OrderQuery,
    /// Writes to customers.
    Notification,
    /// Topics and consumer groups.
    EventBus,
    /// Key and value, for a while.
    Cache,
    /// Who runs where.
    Registry,
    /// The payment provider outside: no telemetry, no headers.
    Psp,
    /// A hop that passes headers on and sends nothing.
    LegacyTax,
    /// Takes mail: no telemetry.
    Smtp,
}

/// How a role is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with JSON.
    Http,
    /// gRPC.
    Grpc,
    /// A line of text each way.
    Lines,
    /// It listens for nobody but the health check.
    Nothing,
}

/// What is known about a role.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// `service.name`, and the host name that callers use.
    pub name: &'static str,
    /// The port of the article, for the first instance.
    pub port: u16,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Instances by default.
    pub instances: usize,
    /// Resource attribute `team`.
    pub team: &'static str,
    /// Resource attribute `domain`.
    pub domain: &'static str,
    /// Resource attribute `service.version`.
    pub version: &'static str,
}

const fn facts(
    (name, port, protocol): (&'static str, u16, Protocol),
    instances: usize,
    (team, domain): (&'static str, &'static str),
    version: &'static str,
) -> Facts {
    Facts { name, port, protocol, instances, team, domain, version }
}

impl Role {
    /// All of them, in the order in which they start.
    pub const ALL: [Role; 15] = [
        Role::Registry,
        Role::Psp,
        Role::Smtp,
        Role::Cache,
        Role::EventBus,
        Role::User,
        Role::LegacyTax,
        Role::Pricing,
        Role::Payment,
        Role::Shipping,
        Role::Inventory,
        Role::Order,
        Role::OrderQuery,
        Role::Notification,
        Role::Gateway,
    ];

    /// The facts about it.
    pub const fn facts(self) -> Facts {
        use Protocol::{Grpc, Http, Lines, Nothing};
        match self {
            Role::Gateway => facts(("gateway", 8080, Http), 1, ("edge", "entry"), "2.3.0"),
            Role::User => facts(("user-service", 3000, Http), 2, ("accounts", "customer"), "3.1.2"),
            Role::Order => facts(("order-service", 3001, Http), 3, ("checkout", "sales"), "1.4.0"),
            Role::Inventory => {
                facts(("inventory-service", 3002, Http), 2, ("warehouse", "supply"), "1.9.4")
            }
            Role::Payment => {
                facts(("payment-service", 3003, Grpc), 2, ("payments", "sales"), "4.0.1")
            }
            Role::Pricing => {
                facts(("pricing-service", 3004, Grpc), 3, ("catalogue", "sales"), "2.2.0")
            }
            Role::Shipping => {
                facts(("shipping-service", 3005, Http), 1, ("warehouse", "supply"), "0.8.2")
            }
            Role::OrderQuery => {
                facts(("order-query", 3006, Http), 1, ("checkout", "sales"), "1.1.0")
            }
            Role::Notification => {
                facts(("notification-service", 3007, Nothing), 1, ("accounts", "customer"), "1.0.7")
            }
            Role::EventBus => {
                facts(("event-bus", 3100, Grpc), 1, ("platform", "platform"), "1.2.0")
            }
            Role::Cache => facts(("cache", 3101, Lines), 1, ("platform", "platform"), "1.0.3"),
            Role::Registry => facts(("registry", 3102, Http), 1, ("platform", "platform"), "1.0.1"),
            Role::Psp => facts(("psp", 3900, Http), 1, ("", ""), ""),
            Role::LegacyTax => facts(("legacy-tax", 3901, Http), 1, ("", ""), ""),
            Role::Smtp => facts(("smtp", 3902, Lines), 1, ("", ""), ""),
        }
    }

    /// `service.name`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The role of this `service.name`.
    pub fn by_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Whether callers within the system and it show each other papers, where there are any:
    /// customers and systems outside have none, and the cache speaks plainly.
    pub const fn shows_papers(self) -> bool {
        self.is_instrumented() && !matches!(self, Role::Gateway | Role::Cache)
    }

    /// Whether it gets more instances under load: where there are several, and none reads a topic, so
    /// that one can go and no message is delivered again for it.
    pub fn is_scaled(self) -> bool {
        let reads = TOPICS.iter().any(|topic| topic.consumers.contains(&self));
        self.facts().instances > 1 && !reads
    }

    /// Whether it sends telemetry.
    pub const fn is_instrumented(self) -> bool {
        !matches!(self, Role::Psp | Role::LegacyTax | Role::Smtp)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which roles run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shop {
    /// Gateway, user, order, inventory, payment and the bus.
    #[serde(rename = "shop-5")]
    Five,
    /// All of them.
    #[default]
    All,
}

impl Shop {
    /// The roles, in the order in which they start.
    pub fn roles(self) -> Vec<Role> {
        let all = Role::ALL.into_iter();
        match self {
            Shop::All => all.collect(),
            Shop::Five => all.filter(|role| Shop::FIVE.contains(role)).collect(),
        }
    }

    const FIVE: [Role; 6] =
        [Role::EventBus, Role::User, Role::Payment, Role::Inventory, Role::Order, Role::Gateway];
}

/// A route that customers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, `POST`.
    pub method: &'static str,
    /// Template of the path; never an id.
    pub path: &'static str,
    /// What the caller has to be allowed to.
    pub scope: &'static str,
}

const fn route(method: &'static str, path: &'static str, scope: &'static str) -> Route {
    Route { method, path, scope }
}

/// The routes of the gateway. Callers name themselves with `x-user-id` and `authorization: Bearer …`;
/// partners with `x-api-key` on their own route.
pub const ROUTES: [Route; 10] = [
    route("GET", "/api/inventory", "inventory:read"),
    route("GET", "/api/inventory/{sku}", "inventory:read"),
    route("GET", "/api/users/{id}", "users:read"),
    route("POST", "/api/users/{id}/cart", "users:write"),
    route("POST", "/api/orders", "orders:write"),
    route("GET", "/api/orders", "orders:read"),
    route("GET", "/api/orders/{id}", "orders:read"),
    route("POST", "/api/orders/{id}/payment", "orders:write"),
    route("POST", "/api/users/login", ""),
    route("GET", "/api/partners/stock", "partner"),
];

/// What a partner shows at its route.
pub const PARTNER_KEY: &str = "pk-demo-7f3a91";

/// Customers that exist, `u1` and on.
pub const USERS: u32 = 500;
/// Items that exist, `sku-1` and on.
pub const ITEMS: u32 = 200;
/// Shards of the order database.
pub const SHARDS: usize = 4;

/// The shard in which a customer's orders lie.
pub fn shard_of(customer: &str) -> usize {
    let hash = customer.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // Neighbours differ in few bits of this hash; a multiplication spreads them to the highest.
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize % SHARDS
}

/// Replicas of the user database.
pub const REPLICAS: usize = 2;

/// `messaging.system` of the bus.
pub const BUS_SYSTEM: &str = "bus";

/// A topic of the bus and who reads it.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// Its name.
    pub name: &'static str,
    /// Who writes to it.
    pub producer: Role,
    /// The groups that read it; a group is named after its role.
    pub consumers: &'static [Role],
}

/// All topics.
pub const TOPICS: [Topic; 3] = [
    Topic {
        name: "orders",
        producer: Role::Order,
        consumers: &[Role::Inventory, Role::OrderQuery],
    },
    Topic { name: "stock", producer: Role::Inventory, consumers: &[Role::Order] },
    Topic { name: "notifications", producer: Role::Order, consumers: &[Role::Notification] },
];

/// An edge that a service map has to show. Databases, topics and systems outside stand for
/// themselves: `sqlite:users@primary`, `bus:orders`, `psp:3900`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// Who calls.
    pub caller: String,
    /// Who is called.
    pub callee: String,
    /// Set where producer and consumer meet by a link alone.
    pub is_by_link: bool,
}

/// Calls from one role to another that its code makes.
const CALLS: [(Role, Role); 16] = [
    (Role::Gateway, Role::User),
    (Role::Gateway, Role::Order),
    (Role::Gateway, Role::Inventory),
    (Role::Gateway, Role::OrderQuery),
    (Role::Order, Role::Pricing),
    (Role::Order, Role::Payment),
    (Role::Order, Role::Shipping),
    // The hop in between shows nothing of itself; the call arrives at user-service.
    (Role::Order, Role::User),
    (Role::Order, Role::EventBus),
    (Role::Inventory, Role::EventBus),
    (Role::Payment, Role::Psp),
    (Role::Notification, Role::Smtp),
    (Role::Gateway, Role::Registry),
    (Role::Order, Role::Registry),
    (Role::Inventory, Role::Registry),
    (Role::Pricing, Role::Registry),
];

/// Who opens connections to whom among these roles: the calls, and the hops that no map shows.
pub fn connections(roles: &[Role]) -> Vec<(Role, Role)> {
    let hops = [(Role::Order, Role::LegacyTax), (Role::LegacyTax, Role::User)];
    let caches = [Role::Order, Role::Inventory, Role::Pricing].map(|role| (role, Role::Cache));
    let readers = [Role::Notification, Role::OrderQuery].map(|role| (role, Role::EventBus));
    let calls = CALLS.into_iter().filter(|call| *call != (Role::Order, Role::User));
    let all = calls.chain(hops).chain(caches).chain(readers);
    all.filter(|(a, b)| roles.contains(a) && roles.contains(b)).collect()
}

/// Databases and caches, by the node that they make.
fn stores(role: Role) -> Vec<String> {
    let plain = |name: &str| vec![format!("sqlite:{name}")];
    let mut stores = match role {
        Role::User => {
            let replicas = (1..=REPLICAS).map(|n| format!("sqlite:users@replica-{n}"));
            std::iter::once("sqlite:users@primary".to_owned()).chain(replicas).collect()
        }
        Role::Order => (0..SHARDS).map(|n| format!("sqlite:orders@shard-{n}")).collect(),
        Role::Inventory => plain("inventory"),
        Role::Payment => plain("payments"),
        Role::Pricing => plain("prices"),
        Role::OrderQuery => plain("order-view"),
        Role::EventBus => plain("event-log"),
        _ => Vec::new(),
    };
    if matches!(role, Role::Order | Role::Inventory | Role::Pricing) {
        stores.push(Role::Cache.name().to_owned());
    }
    stores
}

/// The edges that a run of these roles has to show, and no others but the customers' `user→gateway`.
pub fn expected_edges(shop: Shop) -> Vec<Edge> {
    let roles = shop.roles();
    let edge = |caller: &str, callee: String, is_by_link| Edge {
        caller: caller.to_owned(),
        callee,
        is_by_link,
    };
    let mut edges = Vec::new();
    for (caller, callee) in CALLS {
        let hop = (caller, callee) == (Role::Order, Role::User);
        let both = roles.contains(&caller) && roles.contains(&callee);
        if both && (!hop || roles.contains(&Role::LegacyTax)) {
            edges.push(edge(caller.name(), node(callee), false));
        }
    }
    for &role in &roles {
        let present = |store: &String| *store != "cache" || roles.contains(&Role::Cache);
        let stores = stores(role).into_iter().filter(present);
        edges.extend(stores.map(|store| edge(role.name(), store, false)));
    }
    for topic in TOPICS {
        let consumers: Vec<_> = topic.consumers.iter().filter(|r| roles.contains(r)).collect();
        if !roles.contains(&topic.producer) {
            continue;
        }
        let node = format!("{BUS_SYSTEM}:{}", topic.name);
        edges.push(edge(topic.producer.name(), node.clone(), false));
        for consumer in consumers {
            let mut edge = edge(&node, consumer.name().to_owned(), false);
            edge.is_by_link = true;
            edges.push(edge);
        }
    }
    edges.sort();
    edges.dedup();
    edges
}

/// What a role is called on the map: the service, or the address that was asked for.
fn node(role: Role) -> String {
    let facts = role.facts();
    if role.is_instrumented() {
        facts.name.to_owned()
    } else {
        format!("{}:{}", facts.name, facts.port)
    }
}
