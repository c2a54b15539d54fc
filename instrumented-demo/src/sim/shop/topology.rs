//! What the shop consists of: the demo's services, databases and topics.

use super::super::catalog::{Call, Catalog, NOTHING, Resource, Route, Statement};

/// Shards of the order database.
pub(super) const SHARDS: usize = 4;
/// Replicas of the user database.
pub(super) const REPLICAS: usize = 2;
/// The version that one instance of order-service gets.
pub(super) const NEXT_VERSION: &str = "1.4.1";

/// Services by their places in the catalog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Services {
    pub(super) gateway: u32,
    pub(super) user: u32,
    pub(super) order: u32,
    pub(super) inventory: u32,
    pub(super) payment: u32,
    pub(super) pricing: u32,
    pub(super) shipping: u32,
    pub(super) query: u32,
    pub(super) notification: u32,
    pub(super) bus: u32,
    pub(super) cache: u32,
    pub(super) registry: u32,
}

/// Instances that run only while something is wrong.
#[derive(Clone, Debug)]
pub(super) struct Spares {
    /// Instances of order-service with another version, one for each.
    pub(super) order: Vec<u32>,
    /// Instances after a restart.
    pub(super) payment: Vec<u32>,
    pub(super) notification: u32,
}

/// Operations by their places in the catalog.
#[derive(Clone, Debug)]
pub(super) struct Ops {
    // The gateway's routes.
    pub(super) post_order: u32,
    pub(super) get_order: u32,
    pub(super) list_orders: u32,
    pub(super) get_item: u32,
    pub(super) get_user: u32,
    // Calls.
    pub(super) gateway_user: Call,
    pub(super) gateway_place: Call,
    pub(super) gateway_order: Call,
    pub(super) gateway_query: Call,
    pub(super) gateway_inventory: Call,
    pub(super) order_quote: Call,
    /// The client's side of the same with a short timeout.
    pub(super) hasty_quote: u32,
    pub(super) order_tax: Call,
    pub(super) order_shipping: Call,
    pub(super) order_charge: Call,
    pub(super) order_publish: Call,
    pub(super) order_lookup: Call,
    pub(super) order_cache: Call,
    pub(super) pricing_cache: Call,
    pub(super) inventory_cache: Call,
    pub(super) psp: u32,
    // Statements.
    pub(super) select_user: [u32; REPLICAS],
    pub(super) select_user_primary: u32,
    pub(super) select_region: u32,
    pub(super) insert_order: [u32; SHARDS],
    pub(super) select_order: [u32; SHARDS],
    pub(super) insert_event: [u32; SHARDS],
    pub(super) select_foreign_user: u32,
    pub(super) select_prices: u32,
    pub(super) select_price: u32,
    pub(super) insert_payment: u32,
    pub(super) update_payment: u32,
    pub(super) select_stock: u32,
    pub(super) update_stock: u32,
    pub(super) insert_view: u32,
    pub(super) select_views: u32,
    // Work inside.
    pub(super) acquire: u32,
    pub(super) discounts: u32,
    pub(super) carriers: [u32; 3],
    pub(super) send_mail: u32,
    // Messages.
    pub(super) send: u32,
    pub(super) reserve: u32,
    pub(super) project: u32,
    pub(super) notify: u32,
}

/// Name, port, instances, version, team, domain.
type Facts = (&'static str, u16, u8, &'static str, &'static str, &'static str);

const FACTS: [Facts; 12] = [
    ("gateway", 8080, 1, "3.2.0", "edge", "platform"),
    ("user-service", 3000, 2, "2.7.1", "accounts", "customers"),
    ("order-service", 3001, 3, "1.4.0", "checkout", "orders"),
    ("inventory-service", 3002, 2, "1.9.4", "warehouse", "fulfilment"),
    ("payment-service", 3003, 2, "4.1.0", "checkout", "orders"),
    ("pricing-service", 3004, 3, "1.6.0", "catalogue", "orders"),
    ("shipping-service", 3005, 1, "0.8.2", "warehouse", "fulfilment"),
    ("order-query", 3006, 1, "1.1.0", "checkout", "orders"),
    ("notification-service", 3007, 1, "2.0.3", "accounts", "customers"),
    ("event-bus", 3100, 1, "0.5.0", "platform", "platform"),
    ("cache", 3101, 1, "1.0.1", "platform", "platform"),
    ("registry", 3102, 1, "1.0.0", "platform", "platform"),
];

const fn route(method: &'static str, route: &'static str) -> Route {
    Route { method, route }
}

fn statement<'a>(
    namespace: &'a str,
    operation: &'a str,
    table: &'a str,
    text: &'a str,
) -> Statement<'a> {
    Statement { namespace, operation, table, text }
}

pub(super) fn build() -> (Catalog, Services, Spares, Ops) {
    let mut catalog = Catalog::new();
    let places = FACTS.map(|facts| add_service(&mut catalog, facts));
    let [gateway, user, order, inventory, payment, pricing, shipping, query, ..] = places;
    let [.., notification, bus, cache, registry] = places;
    let services = Services {
        gateway,
        user,
        order,
        inventory,
        payment,
        pricing,
        shipping,
        query,
        notification,
        bus,
        cache,
        registry,
    };
    let spares = add_spares(&mut catalog, &services);
    let ops = add_ops(&mut catalog, &services);
    (catalog, services, spares, ops)
}

fn resource(facts: Facts, host: u8) -> Resource<'static> {
    let (_, _, _, version, team, domain) = facts;
    Resource { namespace: "shop", version, host: host % 3, team, domain }
}

fn add_service(catalog: &mut Catalog, facts: Facts) -> u32 {
    let (name, port, instances, ..) = facts;
    let service = catalog.service(name, port);
    for number in 1..=instances {
        let host = catalog.instances.len() as u8;
        catalog.instance(service, format!("{name}-{number}"), &resource(facts, host));
    }
    service
}

fn add_spares(catalog: &mut Catalog, services: &Services) -> Spares {
    let mut spares = |service: u32, version: Option<&'static str>| -> Vec<u32> {
        let running = catalog.services[service as usize].instances.clone();
        let of = |place: u32| {
            let of = &catalog.instances[place as usize];
            let mut resource = resource(FACTS[service as usize], of.host);
            resource.version = version.unwrap_or(resource.version);
            let (id, resource) = (of.id.clone(), resource);
            catalog.spare_instance(service, id, &resource)
        };
        running.into_iter().map(of).collect()
    };
    Spares {
        order: spares(services.order, Some(NEXT_VERSION)),
        payment: spares(services.payment, None),
        notification: spares(services.notification, None)[0],
    }
}

fn add_ops(catalog: &mut Catalog, services: &Services) -> Ops {
    let Services { gateway, user, order, inventory, payment, pricing, .. } = *services;
    let Services { shipping, query, notification, bus, cache, registry, .. } = *services;
    let c = catalog;
    let order_quote = c.rpc_call(order, pricing, "grpc", "shop.Pricing/Quote");
    Ops {
        post_order: c.http_server(gateway, route("POST", "/api/orders")),
        get_order: c.http_server(gateway, route("GET", "/api/orders/{id}")),
        list_orders: c.http_server(gateway, route("GET", "/api/orders")),
        get_item: c.http_server(gateway, route("GET", "/api/inventory/{sku}")),
        get_user: c.http_server(gateway, route("GET", "/api/users/{id}")),
        gateway_user: c.http_call(gateway, user, route("GET", "/users/{id}")),
        gateway_place: c.http_call(gateway, order, route("POST", "/orders")),
        gateway_order: c.http_call(gateway, order, route("GET", "/orders/{id}")),
        gateway_query: c.http_call(gateway, query, route("GET", "/orders")),
        gateway_inventory: c.http_call(gateway, inventory, route("GET", "/inventory/{sku}")),
        hasty_quote: c.rpc_client(order, pricing, "grpc", "shop.Pricing/Quote", 200),
        order_quote,
        order_tax: tax(c, order, user),
        order_shipping: c.http_call(order, shipping, route("POST", "/quotes")),
        order_charge: c.rpc_call(order, payment, "grpc", "shop.Payment/Charge"),
        order_publish: c.rpc_call(order, bus, "grpc", "shop.Bus/Publish"),
        order_lookup: c.http_call(order, registry, route("GET", "/services/{name}")),
        order_cache: c.rpc_call(order, cache, "cache", "cache.Cache/Get"),
        pricing_cache: c.rpc_call(pricing, cache, "cache", "cache.Cache/Get"),
        inventory_cache: c.rpc_call(inventory, cache, "cache", "cache.Cache/Get"),
        psp: c.http_client(payment, NOTHING, ("psp", 3900), route("POST", "/v1/charges"), 4_000),
        select_user: ["users-replica-1", "users-replica-2"].map(|replica| {
            let text = "SELECT * FROM users WHERE id = ?";
            c.database(user, statement(replica, "SELECT", "users", text))
        }),
        select_user_primary: c.database(
            user,
            statement("users", "SELECT", "users", "SELECT * FROM users WHERE id = ?"),
        ),
        select_region: c.database(
            user,
            statement("users", "SELECT", "regions", "SELECT region FROM regions WHERE id = ?"),
        ),
        insert_order: shards(c, order, "INSERT", "orders", "INSERT INTO orders VALUES (?, ?, ?)"),
        select_order: shards(c, order, "SELECT", "orders", "SELECT * FROM orders WHERE id = ?"),
        insert_event: shards(c, order, "INSERT", "events", "INSERT INTO events VALUES (?, ?, ?)"),
        select_foreign_user: c.database(
            order,
            statement("users", "SELECT", "users", "SELECT name, address FROM users WHERE id = ?"),
        ),
        select_prices: c.database(
            pricing,
            statement("prices", "SELECT", "prices", "SELECT * FROM prices WHERE sku IN (?)"),
        ),
        select_price: c.database(
            pricing,
            statement("prices", "SELECT", "price", "SELECT * FROM prices WHERE sku = ?"),
        ),
        insert_payment: c.database(
            payment,
            statement("payments", "INSERT", "payments", "INSERT INTO payments VALUES (?, ?, ?)"),
        ),
        update_payment: c.database(
            payment,
            statement("payments", "UPDATE", "payments", "UPDATE payments SET state = ?"),
        ),
        select_stock: c.database(
            inventory,
            statement("inventory", "SELECT", "stock", "SELECT * FROM stock WHERE sku = ?"),
        ),
        update_stock: c.database(
            inventory,
            statement("inventory", "UPDATE", "stock", "UPDATE stock SET reserved = ?"),
        ),
        insert_view: c.database(
            query,
            statement("order-views", "INSERT", "views", "INSERT INTO views VALUES (?, ?, ?)"),
        ),
        select_views: c.database(
            query,
            statement("order-views", "SELECT", "views", "SELECT * FROM views WHERE customer = ?"),
        ),
        acquire: c.internal(order, "db.pool.acquire"),
        discounts: c.internal(pricing, "apply discounts"),
        carriers: ["ask carrier north", "ask carrier south", "ask carrier air"]
            .map(|name| c.internal(shipping, name)),
        send_mail: c.internal(notification, "send mail"),
        send: c.producer(order, "orders"),
        reserve: c.consumer(inventory, "orders"),
        project: c.consumer(query, "orders"),
        notify: c.consumer(notification, "orders"),
    }
}

/// The call of a service that sends nothing, but passes the context on to another one.
fn tax(catalog: &mut Catalog, order: u32, user: u32) -> Call {
    let client =
        catalog.http_client(order, user, ("legacy-tax", 3901), route("GET", "/tax/{id}"), 2_000);
    let server = catalog.http_server(user, route("GET", "/users/{id}/region"));
    Call { client, server, callee: user }
}

fn shards(
    catalog: &mut Catalog,
    order: u32,
    operation: &str,
    table: &str,
    text: &str,
) -> [u32; SHARDS] {
    std::array::from_fn(|shard| {
        let namespace = format!("orders-{shard}");
        catalog.database(order, statement(&namespace, operation, table, text))
    })
}
