//! The payment provider outside: it answers, and says nothing about itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;

use super::Instance;
use crate::wire::json;

/// What a charge takes on a good day. It lies outside, where nobody looks inside.
const ANSWER_MS: u64 = 12;

pub(super) fn router(instance: &Arc<Instance>) -> Router {
    Router::new().route("/charges", post(charge)).with_state(instance.clone())
}

async fn charge(State(psp): State<Arc<Instance>>) -> Response {
    let ms = psp.knobs.read().answer_delay_ms.unwrap_or(ANSWER_MS);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    json(StatusCode::OK, &serde_json::json!({ "status": "charged" }))
}
