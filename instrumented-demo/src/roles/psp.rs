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
const ANSWER_TIME: Duration = Duration::from_millis(12);

pub(super) fn router(instance: &Arc<Instance>) -> Router {
    Router::new().route("/charges", post(charge)).with_state(instance.clone())
}

async fn charge(State(psp): State<Arc<Instance>>) -> Response {
    let delay = psp.knobs.read().answer_delay;
    let delay = delay.map_or(ANSWER_TIME, |delay| delay.draw(&mut rand::rng()));
    tokio::time::sleep(delay).await;
    json(StatusCode::OK, &serde_json::json!({ "status": "charged" }))
}
