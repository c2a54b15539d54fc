//! What the shop consists of: services, their replicas, databases, endpoints, statements.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::{Fault, ShopOptions};

/// A service of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    Gateway,
    User,
    Order,
    Pricing,
    Payment,
    Inventory,
    Shipping,
}

impl Service {
    const ALL: [Service; 7] = [
        Service::Gateway,
        Service::User,
        Service::Order,
        Service::Pricing,
        Service::Payment,
        Service::Inventory,
        Service::Shipping,
    ];

    /// `service.name`, which is also the address that callers ask for.
    pub(super) fn name(self) -> &'static str {
        self.facts().0
    }

    pub(super) fn port(self) -> i64 {
        self.facts().1
    }

    /// Name, port, replicas, version, team.
    fn facts(self) -> (&'static str, i64, usize, &'static str, &'static str) {
        match self {
            Service::Gateway => ("gateway", 8080, 2, "3.2.0", "edge"),
            Service::User => ("user", 3000, 3, "2.7.1", "accounts"),
            Service::Order => ("order", 3001, 3, "5.0.3", "checkout"),
            Service::Inventory => ("inventory", 3002, 2, "1.9.4", "warehouse"),
            Service::Payment => ("payment", 3003, 2, "4.1.0", "checkout"),
            Service::Pricing => ("pricing", 3004, 3, "1.4.0", "catalogue"),
            Service::Shipping => ("shipping", 3005, 2, "0.8.2", "warehouse"),
        }
    }
}

/// The version that [`Fault::SlowService`] brings.
pub(super) const SLOW_VERSION: &str = "1.4.1";
/// The instance that [`Fault::BadInstance`] slows down.
pub(super) const BAD_INSTANCE: &str = "user-2";

/// When an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Always,
    BeforeFault,
    InFault,
}

/// One running process of a service.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) service: Service,
    pub(super) id: String,
    pub(super) version: &'static str,
    /// When it began to count, nanoseconds since the epoch.
    pub(super) start_ns: u64,
    life: Life,
    host: u32,
    pid: i64,
}

impl Instance {
    pub(super) fn resource(&self) -> Resource {
        let (name, _, _, _, team) = self.service.facts();
        Resource {
            attributes: vec![
                text("service.name", name),
                text("service.version", self.version),
                text("service.instance.id", &*self.id),
                text("deployment.environment.name", "production"),
                text("host.name", format!("host-{}", self.host)),
                int("process.pid", self.pid),
                text("team", team),
                text("telemetry.sdk.language", "rust"),
                text("telemetry.sdk.name", "opentelemetry"),
                text("telemetry.sdk.version", "0.33.0"),
            ],
            ..Resource::default()
        }
    }
}

/// All instances that run at some time.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    instances: Vec<Instance>,
}

impl Fleet {
    pub(super) fn new(options: &ShopOptions) -> Fleet {
        let mut fleet = Fleet { instances: Vec::new() };
        let is_replaced =
            |service| service == Service::Pricing && options.fault == Some(Fault::SlowService);
        for service in Service::ALL {
            let (_, _, replicas, version, _) = service.facts();
            for number in 1..=replicas {
                let goes = is_replaced(service) && number > 1;
                let life = if goes { Life::BeforeFault } else { Life::Always };
                fleet.add(options, service, number, version, life);
            }
        }
        // Behind all others, so that those are the same with and without the fault.
        for service in Service::ALL.into_iter().filter(|service| is_replaced(*service)) {
            let (_, _, replicas, _, _) = service.facts();
            for number in replicas + 1..2 * replicas {
                fleet.add(options, service, number, SLOW_VERSION, Life::InFault);
            }
        }
        fleet
    }

    fn add(
        &mut self,
        options: &ShopOptions,
        service: Service,
        number: usize,
        version: &'static str,
        life: Life,
    ) {
        let place = u32::try_from(self.instances.len()).unwrap_or(u32::MAX);
        self.instances.push(Instance {
            service,
            id: format!("{}-{number}", service.name()),
            version,
            start_ns: match life {
                Life::InFault => options.fault_from_ns(),
                Life::Always | Life::BeforeFault => options.start_ns,
            },
            life,
            host: 1 + place % options.hosts.max(1),
            pid: 4000 + 17 * i64::from(place),
        });
    }

    pub(super) fn get(&self, index: usize) -> &Instance {
        &self.instances[index]
    }

    /// Indexes of a service's instances that run inside or outside the fault's window.
    pub(super) fn running(
        &self,
        service: Service,
        in_fault: bool,
    ) -> impl Iterator<Item = usize> + '_ {
        let not_running = if in_fault { Life::BeforeFault } else { Life::InFault };
        let is_up = move |i: &Instance| i.service == service && i.life != not_running;
        self.instances.iter().enumerate().filter(move |(_, i)| is_up(i)).map(|(index, _)| index)
    }
}

/// How an endpoint is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// With method and route.
    Http(&'static str, &'static str),
    Grpc,
}

/// What a service offers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) service: Service,
    pub(super) protocol: Protocol,
    /// Name of the spans on both sides.
    pub(super) name: &'static str,
}

const fn http(
    service: Service,
    method: &'static str,
    route: &'static str,
    name: &'static str,
) -> Endpoint {
    Endpoint { service, protocol: Protocol::Http(method, route), name }
}

const fn grpc(service: Service, name: &'static str) -> Endpoint {
    Endpoint { service, protocol: Protocol::Grpc, name }
}

pub(super) static ORDERS_POST: Endpoint =
    http(Service::Gateway, "POST", "/api/orders", "POST /api/orders");
pub(super) static ITEMS_GET: Endpoint =
    http(Service::Gateway, "GET", "/api/items", "GET /api/items");
pub(super) static ORDER_GET: Endpoint =
    http(Service::Gateway, "GET", "/api/orders/{id}", "GET /api/orders/{id}");
pub(super) static USER: Endpoint = http(Service::User, "GET", "/users/{id}", "GET /users/{id}");
pub(super) static PLACE: Endpoint = http(Service::Order, "POST", "/orders", "POST /orders");
pub(super) static LOOK_UP: Endpoint =
    http(Service::Order, "GET", "/orders/{id}", "GET /orders/{id}");
pub(super) static RESERVE: Endpoint =
    http(Service::Inventory, "POST", "/reservations", "POST /reservations");
pub(super) static STOCK: Endpoint = http(Service::Inventory, "GET", "/items", "GET /items");
pub(super) static SHIPMENT: Endpoint =
    http(Service::Shipping, "GET", "/shipments/{id}", "GET /shipments/{id}");
pub(super) static QUOTE: Endpoint = grpc(Service::Pricing, "shop.Pricing/Quote");
pub(super) static PRICE_LIST: Endpoint = grpc(Service::Pricing, "shop.Pricing/PriceList");
pub(super) static CHARGE: Endpoint = grpc(Service::Payment, "shop.Payment/Charge");
pub(super) static PAYMENT_STATUS: Endpoint = grpc(Service::Payment, "shop.Payment/Status");

/// Name of the node that the outside payment provider is.
pub(super) const PROVIDER: &str = "psp.example.com:443";
pub(super) const PROVIDER_ADDRESS: &str = "psp.example.com";
pub(super) const PROVIDER_PORT: i64 = 443;

/// Name of the node that the topic is: messaging system and destination.
pub(super) const TOPIC: &str = "bus:orders";
pub(super) const TOPIC_SYSTEM: &str = "bus";
pub(super) const TOPIC_NAME: &str = "orders";

/// A statement that a service sends to its database.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Name of the node that the database is: system and namespace.
    pub(super) node: &'static str,
    pub(super) namespace: &'static str,
    pub(super) operation: &'static str,
    pub(super) table: &'static str,
    /// Operation and table, also the span's name.
    pub(super) summary: &'static str,
    pub(super) text: &'static str,
}

/// A [`Statement`]; the macro joins the texts that repeat each other.
macro_rules! statement {
    ($name:ident, $namespace:literal, $operation:literal, $table:literal, $text:literal) => {
        pub(super) static $name: Statement = Statement {
            node: concat!("sqlite:", $namespace),
            namespace: $namespace,
            operation: $operation,
            table: $table,
            summary: concat!($operation, " ", $table),
            text: $text,
        };
    };
}

statement!(SELECT_USER, "user", "SELECT", "users", "SELECT * FROM users WHERE id = ?");
statement!(SELECT_CART, "orders", "SELECT", "carts", "SELECT * FROM carts WHERE user_id = ?");
statement!(SELECT_ORDER, "orders", "SELECT", "orders", "SELECT * FROM orders WHERE id = ?");
statement!(INSERT_ORDER, "orders", "INSERT", "orders", "INSERT INTO orders VALUES (?, ?, ?)");
statement!(SELECT_PRICES, "pricing", "SELECT", "prices", "SELECT * FROM prices WHERE sku IN (?)");
statement!(INSERT_PAYMENT, "payment", "INSERT", "payments", "INSERT INTO payments VALUES (?, ?)");
statement!(UPDATE_PAYMENT, "payment", "UPDATE", "payments", "UPDATE payments SET state = ?");
statement!(SELECT_PAYMENT, "payment", "SELECT", "payments", "SELECT * FROM payments WHERE id = ?");
statement!(SELECT_ITEMS, "inventory", "SELECT", "items", "SELECT * FROM items LIMIT ?");
statement!(SELECT_STOCK, "inventory", "SELECT", "stock", "SELECT * FROM stock WHERE sku = ?");
statement!(UPDATE_STOCK, "inventory", "UPDATE", "stock", "UPDATE stock SET reserved = ?");
statement!(SELECT_SHIPMENT, "shipping", "SELECT", "parcels", "SELECT * FROM parcels WHERE id = ?");
statement!(INSERT_SHIPMENT, "shipping", "INSERT", "parcels", "INSERT INTO parcels VALUES (?, ?)");

/// Why a call fails. Each hop tells it in the words of its own protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) http_status: i64,
    pub(super) grpc_status: &'static str,
    /// Name of the exception, and `error.type` where no protocol has a better one.
    pub(super) exception: &'static str,
    pub(super) message: &'static str,
    /// Whether a caller tries again.
    pub(super) is_transient: bool,
}

pub(super) static PROVIDER_DOWN: Failure = Failure {
    http_status: 503,
    grpc_status: "UNAVAILABLE",
    exception: "ProviderUnavailable",
    message: "the payment provider answered 503",
    is_transient: true,
};
pub(super) static NO_WORKER: Failure = Failure {
    http_status: 503,
    grpc_status: "UNAVAILABLE",
    exception: "NoFreeWorker",
    message: "no worker was free to take the charge",
    is_transient: true,
};
pub(super) static CURRENCY_UNKNOWN: Failure = Failure {
    http_status: 500,
    grpc_status: "INTERNAL",
    exception: "CurrencyUnknown",
    message: "no exchange rate for the currency of the cart",
    is_transient: false,
};
pub(super) static DATABASE_LOCKED: Failure = Failure {
    http_status: 500,
    grpc_status: "INTERNAL",
    exception: "SQLITE_BUSY",
    message: "database is locked",
    is_transient: false,
};

pub(super) fn any(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), key_strindex: 0 }
}

pub(super) fn int(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}
