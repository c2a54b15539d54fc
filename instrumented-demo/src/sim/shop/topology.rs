//! What the shop consists of: the demo's services, databases and topics, as the generator has them.

use super::super::catalog::{Call, Catalog, NOTHING, Resource, Route, Statement};
use crate::topology::{REPLICAS, Role, SHARDS};

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
    pub(super) gateway_token: Call,
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
    pub(super) inventory_publish: Call,
    /// Look-ups in the registry.
    pub(super) gateway_lookup: Call,
    pub(super) order_lookup: Call,
    pub(super) inventory_lookup: Call,
    pub(super) pricing_lookup: Call,
    pub(super) order_cache: Call,
    pub(super) pricing_cache: Call,
    pub(super) inventory_cache: Call,
    pub(super) psp: u32,
    pub(super) smtp: u32,
    pub(super) db: Statements,
    // Work inside.
    pub(super) acquire: u32,
    pub(super) discounts: u32,
    pub(super) carriers: [u32; 3],
    // Messages.
    pub(super) send_order: u32,
    pub(super) send_stock: u32,
    pub(super) send_notification: u32,
    pub(super) reserve: u32,
    pub(super) project: u32,
    pub(super) settle: u32,
    pub(super) notify: u32,
}

/// Statements to databases, by their places in the catalog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statements {
    pub(super) select_user: [u32; REPLICAS],
    pub(super) select_user_primary: u32,
    pub(super) select_region: u32,
    pub(super) insert_order: [u32; SHARDS],
    pub(super) select_order: [u32; SHARDS],
    pub(super) insert_event: [u32; SHARDS],
    pub(super) update_order: [u32; SHARDS],
    pub(super) select_foreign_user: u32,
    pub(super) select_prices: u32,
    pub(super) select_price: u32,
    pub(super) insert_payment: u32,
    pub(super) update_payment: u32,
    pub(super) select_stock: u32,
    pub(super) update_stock: u32,
    pub(super) insert_view: u32,
    pub(super) select_views: u32,
    pub(super) insert_message: u32,
}

/// The roles that send telemetry, in the order of the catalog.
const ROLES: [Role; 12] = [
    Role::Gateway,
    Role::User,
    Role::Order,
    Role::Inventory,
    Role::Payment,
    Role::Pricing,
    Role::Shipping,
    Role::OrderQuery,
    Role::Notification,
    Role::EventBus,
    Role::Cache,
    Role::Registry,
];

const LOOK_UP: Route = route("GET", "/services/{name}");

const fn route(method: &'static str, route: &'static str) -> Route {
    Route { method, route }
}

/// A statement to the database of a namespace, or to the part of it that is after an `@`.
fn statement<'a>(
    database: &'a str,
    operation: &'a str,
    table: &'a str,
    text: &'a str,
) -> Statement<'a> {
    let (namespace, address) = database.split_once('@').unwrap_or((database, ""));
    Statement { namespace, address, operation, table, text }
}

pub(super) fn build() -> (Catalog, Services, Spares, Ops) {
    let mut catalog = Catalog::new();
    let places = ROLES.map(|role| add_service(&mut catalog, role));
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

fn resource(role: Role, host: u8) -> Resource<'static> {
    let facts = role.facts();
    Resource {
        namespace: "shop",
        version: facts.version,
        host: host % 3,
        team: facts.team,
        domain: facts.domain,
    }
}

fn add_service(catalog: &mut Catalog, role: Role) -> u32 {
    let facts = role.facts();
    let service = catalog.service(facts.name, facts.port);
    for number in 1..=facts.instances {
        let host = catalog.instances.len() as u8;
        catalog.instance(service, format!("{}-{number}", facts.name), &resource(role, host));
    }
    service
}

fn add_spares(catalog: &mut Catalog, services: &Services) -> Spares {
    let mut spares = |service: u32, version: Option<&'static str>| -> Vec<u32> {
        let running = catalog.services[service as usize].instances.clone();
        let of = |place: u32| {
            let of = &catalog.instances[place as usize];
            let mut resource = resource(ROLES[service as usize], of.host);
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
    let psp_address = (Role::Psp.name(), Role::Psp.facts().port);
    let tax_address = (Role::LegacyTax.name(), Role::LegacyTax.facts().port);
    let order_quote = c.rpc_call(order, pricing, "grpc", "shop.Pricing/Quote");
    Ops {
        post_order: c.http_server(gateway, route("POST", "/api/orders")),
        get_order: c.http_server(gateway, route("GET", "/api/orders/{id}")),
        list_orders: c.http_server(gateway, route("GET", "/api/orders")),
        get_item: c.http_server(gateway, route("GET", "/api/inventory/{sku}")),
        get_user: c.http_server(gateway, route("GET", "/api/users/{id}")),
        gateway_user: c.http_call(gateway, user, route("GET", "/users/{id}")),
        gateway_token: c.http_call(gateway, user, route("POST", "/tokens")),
        gateway_place: c.http_call(gateway, order, route("POST", "/orders")),
        gateway_order: c.http_call(gateway, order, route("GET", "/orders/{id}")),
        gateway_query: c.http_call(gateway, query, route("GET", "/orders")),
        gateway_inventory: c.http_call(gateway, inventory, route("GET", "/inventory/{sku}")),
        hasty_quote: c.rpc_client(order, pricing, "grpc", "shop.Pricing/Quote", 200),
        order_quote,
        order_tax: tax(c, order, user, tax_address),
        order_shipping: c.http_call(order, shipping, route("POST", "/quotes")),
        order_charge: c.rpc_call(order, payment, "grpc", "shop.Payment/Charge"),
        order_publish: c.rpc_call(order, bus, "grpc", "shop.Bus/Publish"),
        inventory_publish: c.rpc_call(inventory, bus, "grpc", "shop.Bus/Publish"),
        gateway_lookup: c.http_call(gateway, registry, LOOK_UP),
        order_lookup: c.http_call(order, registry, LOOK_UP),
        inventory_lookup: c.http_call(inventory, registry, LOOK_UP),
        pricing_lookup: c.http_call(pricing, registry, LOOK_UP),
        order_cache: c.rpc_call(order, cache, "cache", "cache.Cache/Get"),
        pricing_cache: c.rpc_call(pricing, cache, "cache", "cache.Cache/Get"),
        inventory_cache: c.rpc_call(inventory, cache, "cache", "cache.Cache/Get"),
        psp: c.http_client(payment, NOTHING, psp_address, route("POST", "/v1/charges"), 4_000),
        smtp: c.external(notification, (Role::Smtp.name(), Role::Smtp.facts().port), "send mail"),
        db: add_statements(c, services),
        acquire: c.internal(order, "db.pool.acquire"),
        discounts: c.internal(pricing, "apply discounts"),
        carriers: ["ask carrier north", "ask carrier south", "ask carrier air"]
            .map(|name| c.internal(shipping, name)),
        send_order: c.producer(order, "orders"),
        send_stock: c.producer(inventory, "stock"),
        send_notification: c.producer(order, "notifications"),
        reserve: c.consumer(inventory, "orders"),
        project: c.consumer(query, "orders"),
        settle: c.consumer(order, "stock"),
        notify: c.consumer(notification, "notifications"),
    }
}

fn add_statements(c: &mut Catalog, services: &Services) -> Statements {
    let Services { user, order, inventory, payment, pricing, query, bus, .. } = *services;
    Statements {
        select_user: std::array::from_fn(|replica| {
            let database = format!("users@replica-{}", replica + 1);
            let text = "SELECT * FROM users WHERE id = ?";
            c.database(user, statement(&database, "SELECT", "users", text))
        }),
        select_user_primary: ask(
            c,
            user,
            ["users@primary", "SELECT", "users"],
            "SELECT * FROM users WHERE id = ?",
        ),
        select_region: ask(
            c,
            user,
            ["users@primary", "SELECT", "regions"],
            "SELECT region FROM regions WHERE id = ?",
        ),
        insert_order: shards(c, order, "INSERT", "orders", "INSERT INTO orders VALUES (?, ?, ?)"),
        select_order: shards(c, order, "SELECT", "orders", "SELECT * FROM orders WHERE id = ?"),
        insert_event: shards(c, order, "INSERT", "events", "INSERT INTO events VALUES (?, ?, ?)"),
        update_order: shards(c, order, "UPDATE", "orders", "UPDATE orders SET status = ?"),
        select_foreign_user: ask(
            c,
            order,
            ["users@primary", "SELECT", "users"],
            "SELECT name, address FROM users WHERE id = ?",
        ),
        select_prices: ask(
            c,
            pricing,
            ["prices", "SELECT", "prices"],
            "SELECT * FROM prices WHERE sku IN (?)",
        ),
        select_price: ask(
            c,
            pricing,
            ["prices", "SELECT", "price"],
            "SELECT * FROM prices WHERE sku = ?",
        ),
        insert_payment: ask(
            c,
            payment,
            ["payments", "INSERT", "payments"],
            "INSERT INTO payments VALUES (?, ?, ?)",
        ),
        update_payment: ask(
            c,
            payment,
            ["payments", "UPDATE", "payments"],
            "UPDATE payments SET state = ?",
        ),
        select_stock: ask(
            c,
            inventory,
            ["inventory", "SELECT", "stock"],
            "SELECT * FROM stock WHERE sku = ?",
        ),
        update_stock: ask(
            c,
            inventory,
            ["inventory", "UPDATE", "stock"],
            "UPDATE stock SET reserved = ?",
        ),
        insert_view: ask(
            c,
            query,
            ["order-view", "INSERT", "views"],
            "INSERT INTO views VALUES (?, ?, ?)",
        ),
        select_views: ask(
            c,
            query,
            ["order-view", "SELECT", "views"],
            "SELECT * FROM views WHERE customer = ?",
        ),
        insert_message: ask(
            c,
            bus,
            ["event-log", "INSERT", "messages"],
            "INSERT INTO messages VALUES (?, ?, ?)",
        ),
    }
}

/// A statement of a service: database, verb, table and text.
fn ask(c: &mut Catalog, service: u32, [database, verb, table]: [&str; 3], text: &str) -> u32 {
    c.database(service, statement(database, verb, table, text))
}

/// The call of a service that sends nothing, but passes the context on to another one.
fn tax(catalog: &mut Catalog, order: u32, user: u32, address: (&str, u16)) -> Call {
    let client = catalog.http_client(order, user, address, route("GET", "/tax/{id}"), 2_000);
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
        let database = format!("orders@shard-{shard}");
        catalog.database(order, statement(&database, operation, table, text))
    })
}
