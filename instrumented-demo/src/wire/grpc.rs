//! gRPC without generated code: one unary method at a time, with a span on either side.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::post;
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode, header};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use prost::Message;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::proto::Method;
use super::request::{Received, received_deadline};
use super::server::{Served, host, write_line};
use super::{Facts, Fault, Headers, WireError};
use crate::identity::Connector;
use crate::resilience::{Attempt, Deadline, Failure, TIME_LEFT_HEADER, Verdict};
use crate::telemetry::names::{self, Semconv, own};
use crate::telemetry::{Plan, Telemetry, Work};
use crate::topology::Role;

/// Codes that accuse the server, as the conventions have it.
const SERVER_FAULTS: [Code; 6] = [
    Code::Unknown,
    Code::DeadlineExceeded,
    Code::Unimplemented,
    Code::Internal,
    Code::Unavailable,
    Code::DataLoss,
];

/// Adds a method to a server. The handler gets the state and the message.
pub fn method<S, Q, A, F>(
    router: Router,
    served: &Served,
    method: Method,
    state: &S,
    handler: fn(S, Q) -> F,
) -> Router
where
    S: Clone + Send + Sync + 'static,
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Future<Output = Result<A, Fault>> + Send + 'static,
{
    let (served, state) = (served.clone(), state.clone());
    let route = post(move |request: Request| {
        let (served, state) = (served.clone(), state.clone());
        async move { serve(served, method, request, state, handler).await }
    });
    router.route(&format!("/{method}"), route)
}

/// Adds a method whose calls are not traced, as brokers do not trace those who wait for messages.
pub fn quiet_method<S, Q, A, F>(
    router: Router,
    method: Method,
    state: &S,
    handler: fn(S, Q) -> F,
) -> Router
where
    S: Clone + Send + Sync + 'static,
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Future<Output = Result<A, Fault>> + Send + 'static,
{
    let state = state.clone();
    let route = post(move |request: Request| {
        let state = state.clone();
        async move { answer(request, move |message| handler(state, message)).await }
    });
    router.route(&format!("/{method}"), route)
}

async fn serve<S, Q, A, F>(
    served: Served,
    method: Method,
    request: Request,
    state: S,
    handler: fn(S, Q) -> F,
) -> Response
where
    S: Send + 'static,
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Future<Output = Result<A, Fault>> + Send + 'static,
{
    let facts = Facts::default();
    let mut work = start_server(&served, method, &request);
    work.carry(received_deadline(request.headers()));
    work.carry(facts.clone());
    let befallen = work.run(served.befall(method)).await;
    let handle = move |message| async move {
        befallen?;
        handler(state, message).await
    };
    let response = work.run(answer(request, handle)).await;
    let seconds = work.seconds();
    let code = code_of(response.headers().get("grpc-status"));
    let telemetry = &served.telemetry;
    set_code(telemetry, &work, code);
    if SERVER_FAULTS.contains(&code) {
        work.fail(code_text(code), "");
    }
    let attributes = attributes(telemetry, method, code);
    telemetry.instruments().rpc_server.record_in(work.context(), seconds, &attributes);
    if served.writes_lines && work.is_sampled() {
        let _inside = work.context().clone().attach();
        write_line(&facts, method, http_status(code), seconds);
    }
    work.end();
    response
}

/// Reads the message, has it handled and writes the answer.
async fn answer<Q, A, F>(request: Request, handle: impl FnOnce(Q) -> F + Send + 'static) -> Response
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Future<Output = Result<A, Fault>> + Send + 'static,
{
    let mut handle = Some(handle);
    let service = tower::service_fn(move |request: tonic::Request<Q>| {
        let handled = handle.take().map(|handle| handle(request.into_inner()));
        async move {
            match handled {
                Some(handled) => handled.await.map(tonic::Response::new).map_err(status),
                None => Err(tonic::Status::internal("a call has one message")),
            }
        }
    });
    let mut server = tonic::server::Grpc::new(ProstCodec::<A, Q>::default());
    server.unary(service, request).await.map(Body::new)
}

fn start_server(served: &Served, method: Method, request: &Request) -> Work {
    let telemetry = &served.telemetry;
    let authority = request.uri().authority();
    let (name, port) = host(request.headers().get(header::HOST), &served.role, authority);
    let plan = telemetry
        .span(SpanKind::Server, method)
        .below(telemetry.extract(&Received(request.headers())))
        .with(names::SERVER_ADDRESS, name)
        .with(names::SERVER_PORT, i64::from(port));
    with_method(telemetry, plan, method).start()
}

fn with_method<'a>(telemetry: &Telemetry, plan: Plan<'a>, method: Method) -> Plan<'a> {
    let plan = plan.with(names::RPC_SYSTEM, "grpc");
    match (telemetry.semconv(), method.rsplit_once('/')) {
        (Semconv::Old, Some((service, name))) => {
            plan.with(names::RPC_SERVICE, service).with(names::RPC_METHOD, name)
        }
        _ => plan.with(names::RPC_METHOD, method),
    }
}

fn set_code(telemetry: &Telemetry, work: &Work, code: Code) {
    match telemetry.semconv() {
        Semconv::New => work.set(names::RPC_STATUS, code_text(code)),
        Semconv::Old => work.set(names::RPC_STATUS, i64::from(code as i32)),
    }
}

fn attributes(telemetry: &Telemetry, method: Method, code: Code) -> [KeyValue; 3] {
    [
        telemetry.attribute(names::RPC_SYSTEM, "grpc"),
        telemetry.attribute(names::RPC_METHOD, method),
        telemetry.attribute(names::RPC_STATUS, code_text(code)),
    ]
}

fn code_of(header: Option<&HeaderValue>) -> Code {
    header.map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Connections of one caller, one for each address.
#[derive(Debug, Default)]
pub(super) struct Channels(Mutex<HashMap<(Role, SocketAddr), Channel>>);

impl Channels {
    /// The connection to an address, made when it is first used.
    pub(super) fn to(
        &self,
        role: Role,
        address: SocketAddr,
        connector: Connector,
    ) -> Result<Channel, WireError> {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = channels.get(&(role, address)) {
            return Ok(channel.clone());
        }
        let facts = role.facts();
        let origin = format!("http://{}:{}", facts.name, facts.port).parse();
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let (Ok(endpoint), Ok(origin)) = (endpoint, origin) else {
            return Err(WireError::NoAddress);
        };
        let channel = endpoint.origin(origin).connect_with_connector_lazy(connector);
        channels.insert((role, address), channel.clone());
        Ok(channel)
    }
}

/// One attempt at a call, with its client span.
pub(super) async fn attempt<Q, A>(
    telemetry: &Telemetry,
    channel: Channel,
    (to, address): (Role, SocketAddr),
    method: Method,
    message: Q,
    attempt: Attempt,
) -> Result<A, WireError>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let work = start_client(telemetry, (to, address), method, attempt);
    let mut request = tonic::Request::new(message);
    let mut headers = std::mem::take(request.metadata_mut()).into_headers();
    telemetry.inject(work.context(), &mut Headers(&mut headers));
    if let Ok(left) = HeaderValue::try_from(Deadline::header_value(attempt.timeout)) {
        headers.insert(TIME_LEFT_HEADER, left);
    }
    *request.metadata_mut() = tonic::metadata::MetadataMap::from_headers(headers);
    let result = work.run(attempt.limit(send(channel, method, request))).await;
    finish(telemetry, method, work, &result);
    result
}

fn start_client(
    telemetry: &Telemetry,
    (to, address): (Role, SocketAddr),
    method: Method,
    attempt: Attempt,
) -> Work {
    let facts = to.facts();
    let mut plan = telemetry
        .span(SpanKind::Client, method)
        .with(names::SERVER_ADDRESS, facts.name)
        .with(names::SERVER_PORT, i64::from(facts.port))
        .with(names::PEER_ADDRESS, address.ip().to_string())
        .with(names::PEER_PORT, i64::from(address.port()))
        .with_own(own::TIMEOUT_MS, attempt.timeout.as_millis() as i64);
    if attempt.number > 1 {
        plan = plan.with(names::HTTP_RESEND_COUNT, i64::from(attempt.number) - 1);
    }
    with_method(telemetry, plan, method).start()
}

fn finish<A>(telemetry: &Telemetry, method: Method, mut work: Work, result: &Result<A, WireError>) {
    let seconds = work.seconds();
    let code = match result {
        Ok(_) => Code::Ok,
        Err(WireError::Rpc(code)) => *code,
        Err(WireError::Timeout) => Code::DeadlineExceeded,
        Err(_) => Code::Unavailable,
    };
    set_code(telemetry, &work, code);
    if let Err(error) = result {
        work.fail(error.error_type(), error.to_string());
    }
    let attributes = attributes(telemetry, method, code);
    telemetry.instruments().rpc_client.record_in(work.context(), seconds, &attributes);
    work.end();
}

/// Makes a call, with no span and no context but what the request has.
pub(super) async fn send<Q, A>(
    channel: Channel,
    method: Method,
    request: tonic::Request<Q>,
) -> Result<A, WireError>
where
    Q: Message + 'static,
    A: Message + Default + 'static,
{
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| WireError::of_transport(&error))?;
    let path = format!("/{method}").parse::<PathAndQuery>();
    let path = path.map_err(|error| WireError::Malformed(error.to_string()))?;
    let answered = client.unary(request, path, ProstCodec::<Q, A>::default()).await;
    answered.map(tonic::Response::into_inner).map_err(|status| error_of(&status))
}

/// A status that never came over the wire has the error of the connection inside.
fn error_of(status: &tonic::Status) -> WireError {
    match std::error::Error::source(status) {
        Some(cause) => WireError::of_transport(cause),
        None => WireError::Rpc(status.code()),
    }
}

/// A code as the conventions write it.
pub(super) fn code_text(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// What a code says about the callee.
pub(super) fn verdict(code: Code) -> Verdict {
    match code {
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted => Verdict::Transient,
        code if SERVER_FAULTS.contains(&code) => Verdict::Permanent,
        _ => Verdict::CallerFault,
    }
}

/// The HTTP status that says the same to a customer.
pub(super) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::FailedPrecondition => StatusCode::CONFLICT,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// The code that says the same over gRPC.
fn status(fault: Fault) -> tonic::Status {
    let code = match fault.status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::CONFLICT => Code::FailedPrecondition,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => Code::Unavailable,
        StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
        _ => Code::Internal,
    };
    tonic::Status::new(code, fault.message)
}
