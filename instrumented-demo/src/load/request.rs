//! A planned step as an HTTP request to the gateway.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{Planned, Step};

/// What a session has got from earlier answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The last order.
    pub(super) order_id: Option<String>,
    /// What login gave.
    pub(super) token: Option<String>,
}

impl Step {
    /// The root operation, as the gateway names it.
    pub fn operation(self) -> &'static str {
        match self {
            Step::Login => "POST /api/users/login",
            Step::Browse => "GET /api/inventory",
            Step::View => "GET /api/inventory/{sku}",
            Step::Profile => "GET /api/users/{id}",
            Step::Add => "POST /api/users/{id}/cart",
            Step::Order => "POST /api/orders",
            Step::Pay => "POST /api/orders/{id}/payment",
            Step::LookUp => "GET /api/orders/{id}",
            Step::List => "GET /api/orders",
            Step::Partner => "GET /api/partners/stock",
        }
    }
}

/// Method, path and body of a step. Who has no order, as it failed, looks at the list instead.
fn parts(planned: &Planned, order_id: Option<&str>) -> (Method, String, Option<Value>) {
    let user = format!("u{}", planned.user);
    let sku = planned.items.first().map_or_else(String::new, |item| format!("sku-{}", item.item));
    let items: Vec<Value> = planned
        .items
        .iter()
        .map(|item| json!({ "sku": format!("sku-{}", item.item), "quantity": item.quantity }))
        .collect();
    match (planned.step, order_id) {
        (Step::Login, _) => {
            (Method::POST, "/api/users/login".to_owned(), Some(json!({ "userId": user })))
        }
        (Step::Browse, _) => (Method::GET, "/api/inventory".to_owned(), None),
        (Step::View, _) => (Method::GET, format!("/api/inventory/{sku}"), None),
        (Step::Profile, _) => (Method::GET, format!("/api/users/{user}"), None),
        (Step::Add, _) => {
            (Method::POST, format!("/api/users/{user}/cart"), items.into_iter().next())
        }
        (Step::Order, _) => {
            let body = json!({ "customerId": user, "region": planned.region, "items": items });
            (Method::POST, "/api/orders".to_owned(), Some(body))
        }
        (Step::Pay, Some(id)) => {
            (Method::POST, format!("/api/orders/{id}/payment"), Some(json!({ "method": "card" })))
        }
        (Step::LookUp, Some(id)) => (Method::GET, format!("/api/orders/{id}"), None),
        (Step::Pay | Step::LookUp | Step::List, _) => {
            (Method::GET, format!("/api/orders?customerId={user}"), None)
        }
        (Step::Partner, _) => (Method::GET, format!("/api/partners/stock?sku={sku}"), None),
    }
}

/// The request, without trace context: the customer is no part of the system, so the gateway makes
/// the root.
pub(super) fn build(
    planned: &Planned,
    gateway: std::net::SocketAddr,
    memory: &Memory,
    api_key: &str,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let (method, path, body) = parts(planned, memory.order_id.as_deref());
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{gateway}{path}"))
        .header("x-user-id", format!("u{}", planned.user))
        .header("x-tenant", format!("tenant-{}", planned.tenant))
        .header("x-region", planned.region)
        .header("x-app-version", planned.app_version);
    if planned.session > 0 {
        request = request.header("baggage", format!("session.id=s{}", planned.session));
    }
    if planned.step == Step::Partner {
        request = request.header("x-api-key", api_key);
    } else if let Some(token) = &memory.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string()))),
        None => request.body(Full::default()),
    }
}
