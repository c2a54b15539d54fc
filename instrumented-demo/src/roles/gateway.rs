//! Where customers come in: four layers in the article's order (rate limit, authentication, logging,
//! circuit breaker), and the routes to the services behind.

mod middleware;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use uuid::Uuid;

use super::{GATEWAY_CLIENT, Instance, ORDERS_SCOPE, audit, read};
use crate::telemetry::names::own;
use crate::telemetry::set_own;
use crate::topology::Role;
use crate::wire::bodies::{Hold, Login, Order, PlaceOrder, Token, TokenRequest};
use crate::wire::{Answer, Ask, Fault, facts};

type Shared = State<Gateway>;

/// What the handlers share.
#[derive(Clone, Debug)]
struct Gateway {
    instance: Arc<Instance>,
    token: Arc<Mutex<Option<Held>>>,
}

/// A token, and until when it may be used.
#[derive(Clone, Debug)]
struct Held {
    token: String,
    until: Instant,
}
type Answered = Result<Response, Fault>;

/// The routes behind their layers.
pub(super) fn router(instance: &Arc<Instance>) -> Router {
    let routes = Router::new()
        .route("/api/inventory", get(list_items))
        .route("/api/inventory/{sku}", get(view_item))
        .route("/api/users/{id}", get(view_user))
        .route("/api/users/{id}/cart", post(fill_cart))
        .route("/api/users/login", post(log_in))
        .route("/api/orders", get(list_orders).post(place_order))
        .route("/api/orders/{id}", get(view_order))
        .route("/api/orders/{id}/payment", post(pay))
        .route("/api/partners/stock", get(partner_stock))
        .with_state(Gateway { instance: instance.clone(), token: Arc::default() });
    instance.traced(middleware::layers(routes, instance))
}

impl Gateway {
    /// Asks order-service, with the token that it wants to see.
    async fn ask_orders(&self, ask: Ask) -> Result<Answer, Fault> {
        let token = self.token().await?;
        self.instance.caller.ask(ask.bearer(Some(token))).await
    }

    /// The token at hand, or a new one. Two that ask at once get two, which does no harm.
    async fn token(&self) -> Result<String, Fault> {
        let held = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held.filter(|held| Instant::now() < held.until) {
            return Ok(held.token);
        }
        let (client_id, client_secret) = GATEWAY_CLIENT;
        let request = TokenRequest {
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            scope: ORDERS_SCOPE.to_owned(),
        };
        let ask = Ask::post(Role::User, "/tokens", "/tokens", &request).idempotent();
        let granted: Token = self.instance.caller.ask(ask).await?.json()?;
        let use_for = Duration::from_secs(granted.expires_in) / 2;
        let held = Held { token: granted.access_token.clone(), until: Instant::now() + use_for };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
        Ok(granted.access_token)
    }
}

/// Hands an answer on as it came.
fn pass(answer: Answer) -> Response {
    let mut response = Response::new(answer.body.into());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

async fn list_items(
    State(gateway): Shared,
    Query(query): Query<HashMap<String, String>>,
) -> Answered {
    let page = query.get("page").and_then(|page| page.parse::<u32>().ok()).unwrap_or(0);
    let ask = Ask::get(Role::Inventory, "/items", format!("/items?page={page}"));
    gateway.instance.caller.ask(ask).await.map(pass)
}

async fn view_item(State(gateway): Shared, Path(sku): Path<String>) -> Answered {
    let ask = Ask::get(Role::Inventory, "/items/{sku}", format!("/items/{sku}"));
    gateway.instance.caller.ask(ask).await.map(pass)
}

async fn partner_stock(State(gateway): Shared) -> Answered {
    let ask = Ask::get(Role::Inventory, "/items", "/items?page=0");
    gateway.instance.caller.ask(ask).await.map(pass)
}

async fn view_user(State(gateway): Shared, Path(id): Path<String>) -> Answered {
    let ask = Ask::get(Role::User, "/users/{id}", format!("/users/{id}"));
    gateway.instance.caller.ask(ask).await.map(pass)
}

async fn fill_cart(State(gateway): Shared, Path(id): Path<String>, body: Bytes) -> Answered {
    let item: crate::wire::bodies::Item = read(&body)?;
    audit!(id.as_str(), "fill cart", "allowed");
    let ask = Ask::post(Role::User, "/users/{id}/cart", format!("/users/{id}/cart"), &item);
    gateway.instance.caller.ask(ask).await.map(pass)
}

async fn log_in(State(gateway): Shared, body: Bytes) -> Answered {
    let login: Login = read(&body)?;
    let ask = Ask::post(Role::User, "/login", "/login", &login).idempotent();
    gateway.instance.caller.ask(ask).await.map(pass)
}

/// Keeps the items first, so that nobody pays for what cannot be sent.
async fn place_order(State(gateway): Shared, body: Bytes) -> Answered {
    let mut order: PlaceOrder = read(&body)?;
    if order.items.is_empty() {
        return Err(Fault::bad_request("an order has at least one item"));
    }
    let id = order.order_id.get_or_insert_with(|| format!("o-{}", Uuid::new_v4().simple())).clone();
    facts().set_order(&id);
    set_own(own::ORDER_ID, id.clone());
    set_own(own::CUSTOMER_ID, order.customer_id.clone());
    audit!(order.customer_id.as_str(), "place order", "allowed");
    let hold = Hold { order_id: id, items: order.items.clone() };
    let ask = Ask::post(Role::Inventory, "/holds", "/holds", &hold).idempotent();
    gateway.instance.caller.ask(ask).await?;
    let ask = Ask::post(Role::Order, "/orders", "/orders", &order).idempotent();
    gateway.ask_orders(ask).await.map(pass)
}

async fn list_orders(
    State(gateway): Shared,
    Query(query): Query<HashMap<String, String>>,
) -> Answered {
    let known = facts().known().0.unwrap_or_default();
    let customer = query.get("customerId").cloned().unwrap_or(known);
    if !gateway.instance.has(Role::OrderQuery) {
        let ask = Ask::get(Role::Order, "/orders", format!("/orders?customerId={customer}"));
        return gateway.ask_orders(ask).await.map(pass);
    }
    let ask = Ask::get(Role::OrderQuery, "/orders", format!("/orders?customerId={customer}"));
    gateway.instance.caller.ask(ask).await.map(pass)
}

/// Asks the read model, and the service itself where that has not heard of the order yet.
async fn view_order(State(gateway): Shared, Path(id): Path<String>) -> Answered {
    facts().set_order(&id);
    if gateway.instance.has(Role::OrderQuery) {
        let ask = Ask::get(Role::OrderQuery, "/orders/{id}", format!("/orders/{id}"));
        match gateway.instance.caller.ask(ask).await {
            Err(fault) if fault.status == StatusCode::NOT_FOUND => {}
            answer => return answer.map(pass),
        }
    }
    let customer = facts().known().0.unwrap_or_default();
    let path = format!("/orders/{id}?customerId={customer}");
    let ask = Ask::get(Role::Order, "/orders/{id}", path);
    let answer = gateway.ask_orders(ask).await?;
    let order: Order = answer.json()?;
    facts().set_user(&order.customer_id);
    Ok(pass(answer))
}

async fn pay(State(gateway): Shared, Path(id): Path<String>) -> Answered {
    facts().set_order(&id);
    let who = facts().known().0.unwrap_or_default();
    audit!(who.as_str(), "pay order", "allowed");
    let path = format!("/orders/{id}/payment?customerId={who}");
    let ask = Ask::post(Role::Order, "/orders/{id}/payment", path, &serde_json::json!({}));
    let ask = ask.idempotent();
    gateway.ask_orders(ask).await.map(pass)
}
