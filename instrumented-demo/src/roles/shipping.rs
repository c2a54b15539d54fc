//! Rates and shipments, by a number of workers: who comes when all are busy waits outside.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;

use super::{Instance, audit, read};
use crate::resilience::Bulkhead;
use crate::wire::bodies::{ShipOrder, Shipment, ShippingRate};
use crate::wire::{Fault, facts, json};

/// Workers on a good day.
const WORKERS: usize = 16;
/// What the carriers outside take to answer; the worker waits for them.
const RATE_TIME: Duration = Duration::from_millis(15);
const LABEL_TIME: Duration = Duration::from_millis(60);
const RATE_CENTS: i64 = 490;

#[derive(Clone)]
struct Workers {
    instance: Arc<Instance>,
    places: Bulkhead,
}

pub(super) fn router(instance: &Arc<Instance>) -> Router {
    let workers = Workers { instance: instance.clone(), places: Bulkhead::new(WORKERS) };
    let routes = Router::new()
        .route("/rates/{region}", get(rate))
        .route("/shipments", post(ship))
        .with_state(instance.clone());
    // The queue stands in front of the server span: who waits is not being served.
    instance.traced(routes).layer(from_fn_with_state(workers, queue))
}

async fn queue(State(workers): State<Workers>, request: Request, next: Next) -> Response {
    let size = workers.instance.knobs.read().worker_pool_size.unwrap_or(WORKERS);
    if workers.places.occupancy().size != size {
        workers.places.resize(size);
    }
    match workers.places.enter().await {
        Ok(_place) => next.run(request).await,
        Err(full) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Fault::new(status, "workers_busy", full.to_string()).into_response()
        }
    }
}

async fn rate() -> Response {
    tokio::time::sleep(RATE_TIME).await;
    json(StatusCode::OK, &ShippingRate { amount_cents: RATE_CENTS })
}

async fn ship(body: Bytes) -> Result<Response, Fault> {
    let order: ShipOrder = read(&body)?;
    facts().set_order(&order.order_id);
    tokio::time::sleep(LABEL_TIME).await;
    audit!("order-service", "ship order", "done");
    let shipment_id = format!("sh-{}", order.order_id);
    Ok(json(StatusCode::CREATED, &Shipment { shipment_id, order_id: order.order_id }))
}
