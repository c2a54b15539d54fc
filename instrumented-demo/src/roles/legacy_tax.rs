//! A hop from before: it asks user-service where a customer lives, with the headers it was asked with,
//! and says nothing about itself.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};

use super::Instance;
use crate::resilience::Failure;
use crate::topology::Role;
use crate::wire::bodies::{Tax, User};
use crate::wire::{Fault, json};

pub(super) fn router(instance: &Arc<Instance>) -> Router {
    Router::new().route("/tax/{customer}", get(tax)).with_state(instance.clone())
}

async fn tax(
    State(legacy): State<Arc<Instance>>,
    Path(customer): Path<String>,
    mut headers: HeaderMap,
) -> Result<Response, Fault> {
    headers.remove(header::HOST);
    let answer = legacy.caller.pass_on(Role::User, format!("/users/{customer}"), headers).await;
    let answer = answer.map_err(|error| {
        Fault::new(StatusCode::BAD_GATEWAY, error.error_type(), error.to_string())
    })?;
    if answer.status != 200 {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
        return Err(Fault::new(status, "upstream", "the customer is not known"));
    }
    let user: User = answer.json()?;
    let rate_per_mille = match user.region.as_str() {
        "eu" => 190,
        "us" => 70,
        _ => 100,
    };
    Ok(json(StatusCode::OK, &Tax { rate_per_mille }))
}
