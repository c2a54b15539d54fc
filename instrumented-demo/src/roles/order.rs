//! Orders: a saga over pricing, tax, shipping and payment, kept as events in one of four shards, and
//! published through an outbox.

mod outbox;
mod saga;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{StatusCode, header};
use opentelemetry::trace::FutureExt;
use tokio::sync::{Notify, OnceCell};

use super::{Instance, ORDERS_SCOPE, audit, cache, issuer, now_s, read, with_baggage};
use crate::db::Database;
use crate::telemetry::names::own;
use crate::telemetry::set_own;
use crate::topology::Role;
use crate::wire::bodies::{Order, Payment, PlaceOrder, StockAnswer};
use crate::wire::bus::{self, Received};
use crate::wire::proto::payment::{self, FindRequest, Receipt};
use crate::wire::{Fault, facts, json};
use store::Store;

#[derive(Clone)]
struct Orders {
    instance: Arc<Instance>,
    store: Store,
    /// Told when something is in the outbox.
    posted: Arc<Notify>,
    /// The database of user-service, which this service should leave alone.
    users: Arc<OnceCell<Database>>,
}

type Answered = Result<Response, Fault>;

pub(super) async fn router(instance: &Arc<Instance>) -> anyhow::Result<Router> {
    let store = Store::open(instance).await?;
    let (posted, users) = (Arc::default(), Arc::default());
    let orders = Orders { instance: instance.clone(), store, posted, users };
    tokio::spawn(outbox::relay(orders.clone()));
    tokio::spawn(bus::consume(instance.clone(), "stock", orders.clone(), hear_stock));
    let routes = Router::new()
        .route("/orders", get(list).post(place))
        .route("/orders/{id}", get(find))
        .route("/orders/{id}/payment", post(pay))
        .with_state(orders);
    Ok(instance.traced(routes.layer(from_fn(authorize))))
}

/// Lets those in who show a token for orders.
async fn authorize(request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = shown.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    let refuse = |error_type, message: String| {
        audit!("unknown", "use orders", "refused");
        Fault::new(StatusCode::UNAUTHORIZED, error_type, message).into_response()
    };
    match issuer().verify(token, now_s()) {
        Ok(claims) if claims.allow(ORDERS_SCOPE) => next.run(request).await,
        Ok(_) => refuse("scope_missing", format!("{ORDERS_SCOPE} is needed")),
        Err(error) => refuse(error.name(), error.to_string()),
    }
}

/// The saga that an order is; it joins the traces that belong to it.
fn saga_of(order_id: &str) -> String {
    format!("saga-{order_id}")
}

async fn place(State(orders): State<Orders>, body: Bytes) -> Answered {
    let request: PlaceOrder = read(&body)?;
    let order_id = request.order_id.clone().ok_or_else(|| {
        Fault::bad_request("an order comes with its id, so that asking twice makes one order")
    })?;
    facts().set_order(&order_id);
    facts().set_user(&request.customer_id);
    set_own(own::ORDER_ID, order_id.clone());
    set_own(own::CUSTOMER_ID, request.customer_id.clone());
    let saga = saga_of(&order_id);
    set_own(own::SAGA_ID, saga.clone());
    let context = with_baggage(own::SAGA_ID, &saga);
    let order = orders.place(order_id, request).with_context(context).await?;
    Ok(json(StatusCode::CREATED, &order))
}

async fn find(
    State(orders): State<Orders>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answered {
    facts().set_order(&id);
    let customer = query.get("customerId").map(String::as_str);
    Ok(json(StatusCode::OK, &orders.known(&id, customer).await?))
}

async fn list(
    State(orders): State<Orders>,
    Query(query): Query<HashMap<String, String>>,
) -> Answered {
    let customer = query.get("customerId").cloned().unwrap_or_default();
    facts().set_user(&customer);
    Ok(json(StatusCode::OK, &orders.store.of_customer(&customer).await?))
}

/// The receipt of an order. It was charged when it was placed, so this is for asking again.
async fn pay(
    State(orders): State<Orders>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answered {
    facts().set_order(&id);
    let order = orders.known(&id, query.get("customerId").map(String::as_str)).await?;
    if order.status == "cancelled" {
        return Err(Fault::conflict("order_cancelled", "the order was cancelled"));
    }
    let request = FindRequest { order_id: id.clone() };
    let caller = &orders.instance.caller;
    let receipt: Receipt = caller.rpc(Role::Payment, payment::FIND, request).await?;
    audit!(order.customer_id.as_str(), "pay order", "done");
    let Receipt { status, amount_cents, .. } = receipt;
    Ok(json(StatusCode::OK, &Payment { order_id: id, status, amount_cents }))
}

impl Orders {
    /// An order from the cache or its shard; whose it is says which shard that is.
    async fn known(&self, id: &str, customer: Option<&str>) -> Result<Order, Fault> {
        let key = format!("order:{id}");
        let cached = cache::get(&self.instance, &key).await;
        let order = match cached.and_then(|text| serde_json::from_str::<Order>(&text).ok()) {
            Some(order) => order,
            None => {
                let found = match customer {
                    Some(customer) => self.store.find_of(customer, id).await?,
                    None => self.store.find(id).await?,
                };
                found.ok_or_else(|| Fault::not_found(format!("there is no order {id}")))?
            }
        };
        facts().set_user(&order.customer_id);
        Ok(order)
    }

    /// Keeps an order that will not change any more in the cache.
    async fn remember(&self, order: &Order) {
        let text = serde_json::to_string(order).unwrap_or_default();
        cache::set(&self.instance, &format!("order:{}", order.order_id), store::ORDER_TTL, &text)
            .await;
    }
}

/// What the stock says to an order.
async fn hear_stock(orders: Orders, received: Received) -> Result<(), Fault> {
    let answer: StockAnswer = received.body()?;
    let context = with_baggage(own::SAGA_ID, &saga_of(&answer.order_id));
    orders.hear_stock(&received.name, &answer).with_context(context).await
}
