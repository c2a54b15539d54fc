//! The four layers of the gateway. From outside to inside: rate limit, authentication, logging, circuit
//! breaker; each writes an event on the span of the request, and counts whom it turns away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use opentelemetry::KeyValue;
use tower::ServiceBuilder;

use super::super::{Instance, audit};
use crate::resilience::{Breaker, BreakerPolicy, Rate, RateLimiter};
use crate::telemetry::names::own;
use crate::telemetry::{event, seconds_since, set_own};
use crate::topology::{PARTNER_KEY, ROUTES, Role};
use crate::wire::bodies::Session;
use crate::wire::{Ask, Fault, facts, write_line};

/// What one customer may ask for.
const RATE: Rate = Rate { per_second: 100.0, burst: 200.0 };
/// Customers whose rates are kept apart.
const KEYS_MAX: usize = 10_000;
/// Keys of partners and what they are called. Never written anywhere.
const PARTNER_KEYS: [(&str, &str); 2] =
    [(PARTNER_KEY, "partner-north"), ("pk-demo-b20c44", "partner-south")];
/// Routes for those who are nobody yet.
const OPEN: [&str; 1] = ["/api/users/login"];

/// What the layers share.
#[derive(Clone)]
struct Gate {
    gateway: Arc<Instance>,
    limiter: Arc<Mutex<RateLimiter>>,
    breakers: Arc<Mutex<HashMap<Role, Breaker>>>,
}

/// Puts the layers around the routes. A `ServiceBuilder` runs from top to bottom.
pub(super) fn layers(routes: Router, gateway: &Arc<Instance>) -> Router {
    let gate = Gate {
        gateway: gateway.clone(),
        limiter: Arc::new(Mutex::new(RateLimiter::new(RATE, KEYS_MAX, Instant::now()))),
        breakers: Arc::default(),
    };
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(gate.clone(), limit))
        .layer(from_fn_with_state(gate.clone(), authenticate))
        .layer(from_fn_with_state(gate.clone(), log))
        .layer(from_fn_with_state(gate, break_circuit));
    routes.layer(layers)
}

impl Gate {
    /// Notes that a layer turned a request away.
    fn rejected(&self, layer: &'static str, error_type: &'static str) {
        let attributes = [KeyValue::new("layer", layer), KeyValue::new("error.type", error_type)];
        self.gateway.telemetry.instruments().rejected.add(1, &attributes);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Who asks, before anybody has looked whether it is true.
fn claimed(headers: &HeaderMap) -> &str {
    text(headers, "x-user-id").or(text(headers, "x-api-key")).unwrap_or("anonymous")
}

/// What customers say about themselves, as attributes of the request.
const TOLD: [(&str, &str); 3] =
    [("x-tenant", own::TENANT_ID), ("x-region", own::REGION), ("x-app-version", own::APP_VERSION)];

async fn limit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    for (header, attribute) in TOLD {
        if let Some(value) = text(request.headers(), header) {
            set_own(attribute, value.to_owned());
        }
    }
    let taken = {
        let mut limiter = gate.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.take(claimed(request.headers()), Instant::now())
    };
    let Err(wait) = taken else { return next.run(request).await };
    event("rate_limit.exceeded", Vec::new());
    gate.rejected("rate_limit", "rate_limited");
    let fault = Fault::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests");
    let mut response = fault.into_response();
    let after = HeaderValue::from(RateLimiter::retry_after_s(wait));
    response.headers_mut().insert(header::RETRY_AFTER, after);
    response
}

async fn authenticate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_default();
    if OPEN.contains(&route.as_str()) {
        return next.run(request).await;
    }
    let (headers, method) = (request.headers().clone(), request.method().clone());
    match gate.admit(&headers, &method, &route).await {
        Ok(()) => next.run(request).await,
        Err(fault) => {
            let attributes = vec![KeyValue::new("error.type", fault.error_type)];
            event("authentication.refused", attributes);
            gate.rejected("authentication", fault.error_type);
            audit!(claimed(&headers), route.as_str(), "refused");
            fault.into_response()
        }
    }
}

impl Gate {
    /// Whether the caller is known, and allowed to use the route.
    async fn admit(&self, headers: &HeaderMap, method: &Method, route: &str) -> Result<(), Fault> {
        let session = self.session(headers).await?;
        facts().set_user(&session.user_id);
        let needed = ROUTES.iter().find(|r| r.path == route && r.method == method.as_str());
        let scope = needed.map_or("", |route| route.scope);
        if scope.is_empty() || session.scopes.iter().any(|has| has == scope) {
            return Ok(());
        }
        Err(Fault::new(StatusCode::FORBIDDEN, "scope_missing", format!("{scope} is needed")))
    }

    async fn session(&self, headers: &HeaderMap) -> Result<Session, Fault> {
        let unknown =
            |message: &str| Fault::new(StatusCode::UNAUTHORIZED, "unauthenticated", message);
        if let Some(key) = text(headers, "x-api-key") {
            let partner = PARTNER_KEYS.iter().find(|(known, _)| *known == key);
            let (_, name) = partner.ok_or_else(|| unknown("the key is not known"))?;
            return Ok(Session { user_id: (*name).to_owned(), scopes: vec!["partner".to_owned()] });
        }
        let user = text(headers, "x-user-id").ok_or_else(|| unknown("nobody is named"))?;
        let bearer = text(headers, "authorization").and_then(|text| text.strip_prefix("Bearer "));
        let ask = Ask::get(Role::User, "/sessions/{id}", format!("/sessions/{user}"));
        match self.gateway.caller.ask(ask.bearer(bearer.map(str::to_owned))).await {
            Ok(answer) => answer.json(),
            Err(fault) if fault.status == StatusCode::NOT_FOUND => Err(unknown("no such customer")),
            Err(fault) => Err(fault),
        }
    }
}

async fn log(State(_): State<Gate>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let what = format!("{} {}", request.method(), route.as_deref().unwrap_or("unknown"));
    let started = Instant::now();
    let response = next.run(request).await;
    write_line(&facts(), &what, response.status(), seconds_since(started));
    event("request.logged", Vec::new());
    response
}

/// The service that a route leads to.
pub(super) fn target(route: &str) -> Role {
    match route.split('/').nth(2) {
        Some("users") => Role::User,
        Some("orders") => Role::Order,
        _ => Role::Inventory,
    }
}

async fn break_circuit(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let target = target(route.as_deref().unwrap_or_default());
    let admitted = gate.with_breaker(target, |breaker| breaker.admit(Instant::now()));
    let admission = match admitted {
        Ok(admission) => admission,
        Err(refused) => {
            event("circuit_breaker.open", vec![KeyValue::new("target", target.name())]);
            gate.rejected("circuit_breaker", "circuit_open");
            let message =
                format!("{target} failed too often; {} ms more", refused.retry_after.as_millis());
            return Fault::new(StatusCode::SERVICE_UNAVAILABLE, "circuit_open", message)
                .into_response();
        }
    };
    let permit = Leave { gate: &gate, target, permit: Some(admission.permit) };
    let response = next.run(request).await;
    permit.record(!response.status().is_server_error());
    response
}

impl Gate {
    fn with_breaker<T>(&self, target: Role, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Breaker::new(BreakerPolicy::default(), Instant::now());
        act(breakers.entry(target).or_insert_with(new))
    }
}

/// Leave of the breaker, given back also when nobody waits for the answer any more.
struct Leave<'a> {
    gate: &'a Gate,
    target: Role,
    permit: Option<crate::resilience::Permit>,
}

impl Leave<'_> {
    fn record(mut self, ok: bool) {
        let Some(permit) = self.permit.take() else { return };
        let now = Instant::now();
        let change = self.gate.with_breaker(self.target, |breaker| breaker.record(permit, ok, now));
        if let Some(change) = change {
            let attributes = vec![
                KeyValue::new("target", self.target.name()),
                KeyValue::new("from", change.from.name()),
                KeyValue::new("to", change.to.name()),
            ];
            event("circuit_breaker.changed", attributes);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.gate.with_breaker(self.target, |breaker| breaker.abandon(permit));
        }
    }
}
