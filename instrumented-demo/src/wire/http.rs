//! One attempt over HTTP/1.1, with its client span.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry::trace::SpanKind;

use super::{Headers, WireError};
use crate::identity::Connector;
use crate::resilience::{Attempt, Deadline, Failure, TIME_LEFT_HEADER};
use crate::telemetry::names::{self, own};
use crate::telemetry::{Telemetry, Work};
use crate::topology::Role;

/// Idle connections kept for each address.
const IDLE_MAX: usize = 16;
/// Answers are small; a larger one is an error of ours.
const BODY_MAX_BYTES: usize = 1 << 20;

pub(super) type HttpClient = Client<Connector, Full<Bytes>>;

pub(super) fn client(connector: Connector) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(IDLE_MAX)
        .build(connector)
}

/// A request over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) to: Role,
    pub(super) method: Method,
    /// Template of the path, for the span.
    pub(super) route: &'static str,
    pub(super) path: String,
    pub(super) body: Bytes,
    pub(super) bearer: Option<String>,
}

/// The status and body of an answer.
#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// Makes one attempt, and a span of it.
pub(super) async fn attempt(
    telemetry: &Telemetry,
    client: &HttpClient,
    outgoing: &Outgoing,
    address: SocketAddr,
    attempt: Attempt,
) -> Result<Incoming, WireError> {
    let work = start(telemetry, outgoing, address, attempt);
    let request = request(telemetry, outgoing, address, attempt, &work);
    let answer = work.run(attempt.limit(send(client, request))).await;
    let result = answer.and_then(|incoming| match incoming.status {
        0..=399 => Ok(incoming),
        status => Err(WireError::Status(status)),
    });
    finish(telemetry, outgoing, work, &result);
    result
}

fn start(
    telemetry: &Telemetry,
    outgoing: &Outgoing,
    address: SocketAddr,
    attempt: Attempt,
) -> Work {
    let facts = outgoing.to.facts();
    let url = format!("http://{}:{}{}", facts.name, facts.port, outgoing.path);
    let mut plan = telemetry
        .span(SpanKind::Client, format!("{} {}", outgoing.method, outgoing.route))
        .with(names::HTTP_METHOD, outgoing.method.to_string())
        .with(names::URL_FULL, url)
        .with(names::SERVER_ADDRESS, facts.name)
        .with(names::SERVER_PORT, i64::from(facts.port))
        .with(names::PEER_ADDRESS, address.ip().to_string())
        .with(names::PEER_PORT, i64::from(address.port()))
        .with(names::PROTOCOL_VERSION, "1.1")
        .with_own(own::TIMEOUT_MS, attempt.timeout.as_millis() as i64);
    if attempt.number > 1 {
        plan = plan.with(names::HTTP_RESEND_COUNT, i64::from(attempt.number) - 1);
    }
    plan.start()
}

fn request(
    telemetry: &Telemetry,
    outgoing: &Outgoing,
    address: SocketAddr,
    attempt: Attempt,
    work: &Work,
) -> Request<Full<Bytes>> {
    let mut request = plain(outgoing, address);
    // What lies outside gets no headers of ours.
    if outgoing.to != Role::Psp {
        let headers = request.headers_mut();
        telemetry.inject(work.context(), &mut Headers(headers));
        if let Ok(left) = HeaderValue::try_from(Deadline::header_value(attempt.timeout)) {
            headers.insert(TIME_LEFT_HEADER, left);
        }
    }
    request
}

/// A request without any context.
pub(super) fn plain(outgoing: &Outgoing, address: SocketAddr) -> Request<Full<Bytes>> {
    let facts = outgoing.to.facts();
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = format!("http://{address}{}", outgoing.path).parse().unwrap_or_default();
    let host = HeaderValue::try_from(format!("{}:{}", facts.name, facts.port));
    let bearer = outgoing.bearer.as_ref();
    let bearer = bearer.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
    let headers = request.headers_mut();
    if let Ok(host) = host {
        headers.insert(header::HOST, host);
    }
    if let Some(bearer) = bearer {
        headers.insert(header::AUTHORIZATION, bearer);
    }
    if !outgoing.body.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    request
}

/// Sends a request and reads the whole answer.
pub(super) async fn send(
    client: &HttpClient,
    request: Request<Full<Bytes>>,
) -> Result<Incoming, WireError> {
    let response =
        client.request(request).await.map_err(|error| WireError::of_transport(&error))?;
    let status = response.status().as_u16();
    let body = http_body_util::Limited::new(response.into_body(), BODY_MAX_BYTES);
    let body = body.collect().await.map_err(|error| WireError::of_transport(error.as_ref()))?;
    Ok(Incoming { status, body: body.to_bytes() })
}

fn finish(
    telemetry: &Telemetry,
    outgoing: &Outgoing,
    mut work: Work,
    result: &Result<Incoming, WireError>,
) {
    let seconds = work.seconds();
    let facts = outgoing.to.facts();
    let mut attributes = vec![
        telemetry.attribute(names::HTTP_METHOD, outgoing.method.to_string()),
        telemetry.attribute(names::SERVER_ADDRESS, facts.name),
        telemetry.attribute(names::SERVER_PORT, i64::from(facts.port)),
    ];
    let status = match result {
        Ok(incoming) => Some(incoming.status),
        Err(WireError::Status(status)) => Some(*status),
        Err(_) => None,
    };
    if let Some(status) = status {
        work.set(names::HTTP_STATUS, i64::from(status));
        attributes.push(telemetry.attribute(names::HTTP_STATUS, i64::from(status)));
    }
    if let Err(error) = result {
        work.fail(error.error_type(), error.to_string());
        attributes.push(telemetry.attribute(names::ERROR_TYPE, error.error_type()));
    }
    telemetry.instruments().client.record_in(work.context(), seconds, &attributes);
    work.end();
}

/// A status as a word that lives as long as the program.
pub(super) fn status_text(status: u16) -> &'static str {
    const KNOWN: [(u16, &str); 13] = [
        (400, "400"),
        (401, "401"),
        (402, "402"),
        (403, "403"),
        (404, "404"),
        (409, "409"),
        (413, "413"),
        (429, "429"),
        (500, "500"),
        (501, "501"),
        (502, "502"),
        (503, "503"),
        (504, "504"),
    ];
    KNOWN.iter().find(|(number, _)| *number == status).map_or("_OTHER", |(_, text)| text)
}
