//! The server side of HTTP: a span, three histograms and a log line around each request, and answers
//! as JSON.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, Version, header};
use opentelemetry::KeyValue;
use opentelemetry::metrics::UpDownCounter;
use opentelemetry::trace::SpanKind;
use rand::Rng;
use serde::Serialize;

use super::bodies::Problem;
use super::request::{Received, received_deadline};
use super::{Facts, Fault};
use crate::faults::{self, Knobs};
use crate::say;
use crate::telemetry::names::{self, ROUTE_UNKNOWN};
use crate::telemetry::{Telemetry, Work};
use crate::topology::Facts as RoleFacts;

/// What a server is traced with.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its telemetry.
    pub telemetry: Arc<Telemetry>,
    /// The role it plays.
    pub role: RoleFacts,
    /// What is wrong with it.
    pub knobs: Knobs,
    /// Whether each request gets its log line here. The gateway has a layer of its own for that.
    pub writes_lines: bool,
}

impl Served {
    /// What befalls a request before it is handled, as the knobs have it.
    pub(super) async fn befall(&self, route: &str) -> Result<(), Fault> {
        let settings = self.knobs.read();
        if let Some(burn) = settings.route_burn.as_ref().filter(|burn| burn.route == route) {
            faults::burn(Duration::from_millis(burn.burn_ms));
        }
        if let Some(delay) = settings.answer_delay {
            let delay = delay.draw(&mut rand::rng());
            tokio::time::sleep(delay).await;
        }
        match settings.error_percent {
            Some(percent) if rand::rng().random_range(0..100) < percent => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Err(Fault::new(status, "overloaded", "no capacity left"))
            }
            _ => Ok(()),
        }
    }
}

/// The value of `error.type` of a response, for the span around it.
#[derive(Clone, Copy, Debug)]
pub struct ErrorType(pub &'static str);

/// A layer: traces a request.
pub async fn traced(State(served): State<Served>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let seen = Seen::of(&request, route);
    let (mut work, facts) = start(&served, &seen, &request);
    let _active = InFlight::enter(&served, &seen);
    let handled = async {
        match served.befall(seen.route.as_deref().unwrap_or_default()).await {
            Ok(()) => next.run(request).await,
            Err(fault) => problem(&fault),
        }
    };
    let response = work.run(handled).await;
    let seconds = work.seconds();
    seen.finish(&served, &work, &response, seconds);
    // The line of a request that is not traced would name a trace that nobody has.
    if served.writes_lines && work.is_sampled() {
        let _inside = work.context().clone().attach();
        seen.write_line(&facts, response.status(), seconds);
    }
    work.end();
    response
}

/// What is noted of a request before it is handled.
struct Seen {
    method: String,
    route: Option<String>,
}

impl Seen {
    fn of(request: &Request, route: Option<String>) -> Seen {
        Seen { method: request.method().to_string(), route }
    }

    fn name(&self) -> String {
        match &self.route {
            Some(route) => format!("{} {route}", self.method),
            None => self.method.clone(),
        }
    }

    fn finish(&self, served: &Served, work: &Work, response: &Response, seconds: f64) {
        let status = response.status();
        let error = response.extensions().get::<ErrorType>().map(|error| error.0);
        let error = error.or_else(|| {
            status.is_server_error().then(|| super::http::status_text(status.as_u16()))
        });
        work.set(names::HTTP_STATUS, i64::from(status.as_u16()));
        match error {
            Some(error) if status.is_server_error() => work.fail(error, ""),
            Some(error) => work.set(names::ERROR_TYPE, error),
            None => {}
        }
        self.measure(served, work, status, error, seconds);
    }

    fn measure(
        &self,
        served: &Served,
        work: &Work,
        status: StatusCode,
        error: Option<&'static str>,
        seconds: f64,
    ) {
        let telemetry = &served.telemetry;
        let number = i64::from(status.as_u16());
        let mut stable = vec![
            telemetry.attribute(names::HTTP_METHOD, self.method.clone()),
            telemetry.attribute(names::HTTP_STATUS, number),
            telemetry.attribute(names::URL_SCHEME, "http"),
        ];
        if let Some(route) = &self.route {
            stable.push(telemetry.attribute(names::HTTP_ROUTE, route.clone()));
        }
        if let Some(error) = error.filter(|_| status.is_server_error()) {
            stable.push(telemetry.attribute(names::ERROR_TYPE, error));
        }
        let route = self.route.clone().unwrap_or_else(|| ROUTE_UNKNOWN.to_owned());
        let article = [
            KeyValue::new("method", self.method.clone()),
            KeyValue::new("route", route),
            KeyValue::new("status", number.to_string()),
        ];
        let instruments = telemetry.instruments();
        instruments.server.record(work.context(), seconds, &stable, &article);
    }

    fn write_line(&self, facts: &Facts, status: StatusCode, seconds: f64) {
        write_line(facts, &self.name(), status, seconds);
    }
}

/// The article's log line of a request.
pub fn write_line(facts: &Facts, what: &str, status: StatusCode, seconds: f64) {
    let (user, order) = facts.known();
    let (user, order) = (user.as_deref(), order.as_deref());
    let duration = (seconds * 1e6).round() / 1e3;
    let number = status.as_u16();
    if status.is_server_error() {
        say!(error, userId = user, orderId = order, duration, status = number, "{what} failed");
    } else {
        say!(info, userId = user, orderId = order, duration, status = number, "{what} handled");
    }
}

fn start(served: &Served, seen: &Seen, request: &Request) -> (Work, Facts) {
    let telemetry = &served.telemetry;
    let host = host(request.headers().get(header::HOST), &served.role, request.uri().authority());
    let version = if request.version() == Version::HTTP_2 { "2" } else { "1.1" };
    let mut plan = telemetry
        .span(SpanKind::Server, seen.name())
        .below(telemetry.extract(&Received(request.headers())))
        .with(names::HTTP_METHOD, seen.method.clone())
        .with(names::URL_SCHEME, "http")
        .with(names::URL_PATH, request.uri().path().to_owned())
        .with(names::SERVER_ADDRESS, host.0)
        .with(names::SERVER_PORT, i64::from(host.1))
        .with(names::PROTOCOL_VERSION, version);
    if let Some(route) = &seen.route {
        plan = plan.with(names::HTTP_ROUTE, route.clone());
    }
    let mut work = plan.start();
    let facts = Facts::default();
    work.carry(received_deadline(request.headers()));
    work.carry(facts.clone());
    (work, facts)
}

/// The name and port that the caller asked for.
pub(super) fn host(
    header: Option<&HeaderValue>,
    role: &RoleFacts,
    authority: Option<&http::uri::Authority>,
) -> (String, u16) {
    let given = header.and_then(|value| value.to_str().ok());
    let given = given.or(authority.map(http::uri::Authority::as_str)).unwrap_or_default();
    let (name, port) = given.rsplit_once(':').unwrap_or((given, ""));
    let name = if name.is_empty() { role.name } else { name };
    (name.to_owned(), port.parse().unwrap_or(role.port))
}

/// Counts a request while it is handled, however it ends.
struct InFlight {
    counter: UpDownCounter<i64>,
    attributes: [KeyValue; 2],
}

impl InFlight {
    fn enter(served: &Served, seen: &Seen) -> InFlight {
        let telemetry = &served.telemetry;
        let attributes = [
            telemetry.attribute(names::HTTP_METHOD, seen.method.clone()),
            telemetry.attribute(names::URL_SCHEME, "http"),
        ];
        let counter = telemetry.instruments().server.active.clone();
        counter.add(1, &attributes);
        InFlight { counter, attributes }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counter.add(-1, &self.attributes);
    }
}

/// An answer as JSON.
pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// An error as JSON.
pub fn problem(fault: &Fault) -> Response {
    let body = Problem { error: fault.error_type.to_owned(), message: fault.message.clone() };
    let mut response = json(fault.status, &body);
    response.extensions_mut().insert(ErrorType(fault.error_type));
    response
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        problem(&self)
    }
}
