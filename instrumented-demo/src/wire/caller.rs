//! The client side of an instance: finds an instance of the callee, and calls it through the layers of
//! the edge to it, in any of the three protocols.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method};
use opentelemetry::trace::{SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use prost::Message;
use rustls::ClientConfig;
use serde::de::DeserializeOwned;

use super::discovery::{Discovery, Picked};
use super::grpc::{self, Channels};
use super::http::{self as http_attempt, HttpClient, Incoming, Outgoing};
use super::lines::Lines;
use super::{Addresses, Fault, Redirects, WireError, bodies, deadline, proto};
use crate::faults::Knobs;
use crate::identity::Connector;
use crate::resilience::{
    Attempt, BreakerPolicy, Call, Change, Edge, EdgePolicy, Failure, Observer, RetryPolicy, Stop,
};
use crate::telemetry::names::{self, metrics, own};
use crate::telemetry::{Telemetry, event};
use crate::topology::Role;

/// The context of work that nobody wants to see: its flag says that it is not sampled.
const UNSAMPLED: &str = "00-00000000000000000000000000000001-0000000000000001-00";

/// What a caller is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Who calls.
    pub caller: Role,
    /// What its calls are recorded with.
    pub telemetry: Arc<Telemetry>,
    /// What is wrong with it.
    pub knobs: Knobs,
    /// Addresses that need no registry.
    pub fixed: Addresses,
    /// Addresses that stand in for others.
    pub redirects: Redirects,
    /// What it shows to others; without papers nobody asks for any.
    pub papers: Option<Arc<ClientConfig>>,
    /// Decides which of several instances is called, and the pauses between attempts.
    pub seed: u64,
}

/// Calls other roles for one instance.
#[derive(Debug)]
pub struct Caller {
    setup: Setup,
    discovery: Discovery,
    edges: Arc<Mutex<HashMap<Role, Arc<Edge>>>>,
    http: Mutex<HashMap<Role, HttpClient>>,
    channels: Channels,
    lines: Lines,
    listener: Listener,
}

/// A request over HTTP.
#[derive(Clone, Debug)]
pub struct Ask {
    outgoing: Outgoing,
    is_idempotent: bool,
}

impl Ask {
    /// Reads something. `route` is the path's template.
    pub fn get(to: Role, route: &'static str, path: impl Into<String>) -> Ask {
        Ask::new(Method::GET, to, route, path.into(), Bytes::new(), true)
    }

    /// Changes something, with a JSON body. Not tried again unless [`Ask::idempotent`].
    pub fn post<T: serde::Serialize>(
        to: Role,
        route: &'static str,
        path: impl Into<String>,
        body: &T,
    ) -> Ask {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Ask::new(Method::POST, to, route, path.into(), body.into(), false)
    }

    fn new(
        method: Method,
        to: Role,
        route: &'static str,
        path: String,
        body: Bytes,
        is_idempotent: bool,
    ) -> Ask {
        let outgoing = Outgoing { to, method, route, path, body, bearer: None };
        Ask { outgoing, is_idempotent }
    }

    /// It may be made twice.
    pub fn idempotent(mut self) -> Ask {
        self.is_idempotent = true;
        self
    }

    /// With a token.
    pub fn bearer(mut self, token: Option<String>) -> Ask {
        self.outgoing.bearer = token;
        self
    }

    /// With another method.
    pub fn method(mut self, method: Method) -> Ask {
        self.outgoing.method = method;
        self
    }
}

/// An answer over HTTP.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let status = ::http::StatusCode::BAD_GATEWAY;
            Fault::new(status, "malformed", format!("the answer cannot be read: {error}"))
        })
    }
}

impl Caller {
    /// A caller that has called nobody yet.
    pub fn new(setup: Setup) -> Caller {
        let fixed = setup.fixed.clone();
        let discovery = Discovery::new(setup.caller, fixed, setup.redirects.clone(), setup.seed);
        let edges: Arc<Mutex<HashMap<Role, Arc<Edge>>>> = Arc::default();
        observe(&setup.telemetry, &edges);
        let listener = Listener;
        Caller {
            discovery,
            edges,
            http: Mutex::default(),
            channels: Channels::default(),
            lines: Lines::default(),
            listener,
            setup,
        }
    }

    /// The address of a role that needs no registry.
    pub fn fixed_address(&self, role: Role) -> Option<SocketAddr> {
        self.setup.fixed.of(role).first().copied()
    }

    /// Makes a request over HTTP.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, Fault> {
        let to = ask.outgoing.to;
        let edge = self.edge(to);
        let call = self.call(to, ask.is_idempotent);
        let outgoing = &ask.outgoing;
        let attempt = |attempt| self.attempt_http(outgoing, attempt);
        let incoming = edge.call(call, &self.listener, attempt).await?;
        Ok(Answer { status: incoming.status, body: incoming.body })
    }

    /// Makes a call over gRPC. All our methods may be called twice.
    pub async fn rpc<Q, A>(&self, to: Role, method: proto::Method, message: Q) -> Result<A, Fault>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let edge = self.edge(to);
        let attempt = |attempt| self.attempt_rpc(to, method, message.clone(), attempt);
        Ok(edge.call(self.call(to, true), &self.listener, attempt).await?)
    }

    /// Makes a call over gRPC of which nothing is recorded, however long it takes.
    pub async fn rpc_quietly<Q, A>(
        &self,
        to: Role,
        method: proto::Method,
        message: Q,
    ) -> Result<A, WireError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let picked = self.address(to).await?;
        let channel = self.channels.to(to, picked.address, self.connector(to))?;
        grpc::send(channel, method, tonic::Request::new(message)).await
    }

    /// Sends a line and waits for the answer. `name` is the span's; the context goes along if the
    /// callee knows what to do with it.
    pub async fn line(&self, to: Role, name: &'static str, line: String) -> Result<String, Fault> {
        let edge = self.edge(to);
        let line = &line;
        let attempt = |attempt| self.attempt_line(to, name, line, attempt);
        Ok(edge.call(self.call(to, true), &self.listener, attempt).await?)
    }

    /// Hands a request on as it came, with the headers it had: no span, no layers.
    pub async fn pass_on(
        &self,
        to: Role,
        path: String,
        headers: ::http::HeaderMap,
    ) -> Result<Answer, WireError> {
        let picked = self.address(to).await?;
        let (method, body) = (Method::GET, Bytes::new());
        let outgoing = Outgoing { to, method, route: "", path, body, bearer: None };
        let mut request = http_attempt::plain(&outgoing, picked.address);
        let own = request.headers().clone();
        request.headers_mut().extend(headers);
        request.headers_mut().extend(own);
        let incoming = http_attempt::send(&self.client(to), request).await?;
        Ok(Answer { status: incoming.status, body: incoming.body })
    }

    /// Sends a request of which nothing is recorded, neither here nor there, to an address.
    pub async fn ask_quietly(&self, ask: Ask, address: SocketAddr) -> Result<Answer, WireError> {
        let mut request = http_attempt::plain(&ask.outgoing, address);
        let unsampled = HeaderValue::from_static(UNSAMPLED);
        request.headers_mut().insert("traceparent", unsampled);
        let client = self.client(ask.outgoing.to);
        let sent = http_attempt::send(&client, request);
        let limit = Duration::from_secs(1);
        let sent = tokio::time::timeout(limit, sent).await;
        let incoming = sent.map_err(|_| WireError::Timeout)??;
        Ok(Answer { status: incoming.status, body: incoming.body })
    }

    /// How connections to a role are made.
    fn connector(&self, to: Role) -> Connector {
        let papers = self.setup.papers.as_ref().filter(|_| to.shows_papers());
        // All our names can stand in a certificate.
        let shown = papers.and_then(|papers| Connector::to(to.name(), papers.clone()).ok());
        shown.unwrap_or_else(Connector::plain)
    }

    fn client(&self, to: Role) -> HttpClient {
        let mut clients = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(to).or_insert_with(|| http_attempt::client(self.connector(to))).clone()
    }

    fn edge(&self, to: Role) -> Arc<Edge> {
        let mut edges = self.edges.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let seed = self.setup.seed ^ (to as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Arc::new(Edge::new(to.name(), policy(self.setup.caller, to), seed))
        };
        edges.entry(to).or_insert_with(new).clone()
    }

    fn call(&self, to: Role, is_idempotent: bool) -> Call {
        let settings = self.setup.knobs.read();
        let mut call = Call::new(deadline(), is_idempotent);
        let timeout = settings.client_timeout.as_ref().filter(|t| t.target == to.name());
        call.timeout = timeout.map(|t| Duration::from_millis(t.timeout_ms));
        call.retry = settings.retry;
        call
    }

    async fn attempt_http(
        &self,
        outgoing: &Outgoing,
        attempt: Attempt,
    ) -> Result<Incoming, WireError> {
        let picked = self.address(outgoing.to).await?;
        let (telemetry, address) = (&self.setup.telemetry, picked.address);
        let client = self.client(outgoing.to);
        let result = http_attempt::attempt(telemetry, &client, outgoing, address, attempt).await;
        self.note(outgoing.to, result.as_ref().err());
        result
    }

    async fn attempt_rpc<Q, A>(
        &self,
        to: Role,
        method: proto::Method,
        message: Q,
        attempt: Attempt,
    ) -> Result<A, WireError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let picked = self.address(to).await?;
        let channel = self.channels.to(to, picked.address, self.connector(to))?;
        let telemetry = &self.setup.telemetry;
        let at = (to, picked.address);
        let result = grpc::attempt(telemetry, channel, at, method, message, attempt).await;
        self.note(to, result.as_ref().err());
        result
    }

    async fn attempt_line(
        &self,
        to: Role,
        name: &'static str,
        line: &str,
        attempt: Attempt,
    ) -> Result<String, WireError> {
        let picked = self.address(to).await?;
        let facts = to.facts();
        let plan = self.setup.telemetry.span(SpanKind::Client, name);
        let work = plan
            .with(names::SERVER_ADDRESS, facts.name)
            .with(names::SERVER_PORT, i64::from(facts.port))
            .with(names::PEER_ADDRESS, picked.address.ip().to_string())
            .with(names::PEER_PORT, i64::from(picked.address.port()))
            .with_own(own::TIMEOUT_MS, attempt.timeout.as_millis() as i64)
            .start();
        let mut context = HashMap::new();
        self.setup.telemetry.inject(work.context(), &mut context);
        let parent = context.get("traceparent").filter(|_| to.is_instrumented());
        let line = format!("{} {line}", parent.map_or("-", String::as_str));
        let answer = work.run(attempt.limit(self.lines.ask(picked.address, &line))).await;
        if let Err(error) = &answer {
            work.fail(error.error_type(), error.to_string());
        }
        work.end();
        answer
    }

    /// Asks the registry anew where nobody listens.
    fn note(&self, to: Role, error: Option<&WireError>) {
        if error == Some(&WireError::Refused) {
            self.discovery.doubt(to);
        }
    }

    async fn address(&self, to: Role) -> Result<Picked, WireError> {
        if self.discovery.should_ask(to, Instant::now()) {
            self.look_up(to).await;
        }
        self.discovery.pick(to).ok_or(WireError::NoAddress)
    }

    /// Asks the registry. What goes wrong shows in the span; old addresses stay.
    async fn look_up(&self, role: Role) {
        let Some(&registry) = self.setup.fixed.of(Role::Registry).first() else { return };
        let path = format!("/instances/{}", role.name());
        let ask = Ask::get(Role::Registry, "/instances/{service}", path);
        let is_traced = Context::map_current(|context| context.span().span_context().is_valid());
        let answer = if is_traced {
            let attempt = Attempt { number: 1, timeout: Duration::from_secs(1) };
            let (telemetry, client) = (&self.setup.telemetry, self.client(Role::Registry));
            http_attempt::attempt(telemetry, &client, &ask.outgoing, registry, attempt)
                .await
                .map(|incoming| Answer { status: incoming.status, body: incoming.body })
        } else {
            self.ask_quietly(ask, registry).await
        };
        let instances = answer.ok().and_then(|answer| answer.json::<Vec<bodies::Instance>>().ok());
        let addresses = instances.into_iter().flatten();
        let addresses = addresses.filter_map(|instance| instance.address.parse().ok()).collect();
        self.discovery.learn(role, addresses, Instant::now());
    }
}

/// How long each callee is waited for: longer than it waits itself.
fn policy(caller: Role, to: Role) -> EdgePolicy {
    let timeout_ms = match to {
        Role::Order => 8_000,
        Role::Payment => 6_000,
        Role::Psp => 5_000,
        Role::Cache => 250,
        Role::Registry => 1_000,
        _ => 2_000,
    };
    let mut policy =
        EdgePolicy { timeout: Duration::from_millis(timeout_ms), ..EdgePolicy::default() };
    if caller == Role::Gateway {
        // The gateway has a breaker of its own, the last of its four layers.
        policy.breaker = BreakerPolicy { calls_min: u64::MAX, ..policy.breaker };
    }
    if to == Role::Cache {
        // A cache that does not answer is not asked twice: there is a database behind it.
        policy.retry = RetryPolicy::NEVER;
    }
    policy
}

/// Gauges of breakers and bulkheads.
fn observe(telemetry: &Telemetry, edges: &Arc<Mutex<HashMap<Role, Arc<Edge>>>>) {
    let all = |edges: &Arc<Mutex<HashMap<Role, Arc<Edge>>>>| {
        let edges = edges.lock().unwrap_or_else(PoisonError::into_inner);
        edges.values().cloned().collect::<Vec<_>>()
    };
    let target = |edge: &Edge| KeyValue::new("target", edge.target().to_owned());
    let instruments = telemetry.instruments();
    let shared = edges.clone();
    instruments.gauge(metrics::BREAKER_STATE, "{breaker}", move |observe| {
        for edge in all(&shared) {
            let state = KeyValue::new("state", edge.breaker_state().name());
            observe(1, vec![target(&edge), state]);
        }
    });
    let shared = edges.clone();
    instruments.gauge(metrics::BULKHEAD_IN_USE, "{call}", move |observe| {
        for edge in all(&shared) {
            observe(edge.occupancy().in_use as i64, vec![target(&edge)]);
        }
    });
    let shared = edges.clone();
    instruments.gauge(metrics::BULKHEAD_PENDING, "{call}", move |observe| {
        for edge in all(&shared) {
            observe(edge.occupancy().pending as i64, vec![target(&edge)]);
        }
    });
}

/// Writes what the layers do on the span of the caller.
#[derive(Clone, Copy, Debug)]
struct Listener;

impl Observer for Listener {
    fn breaker_changed(&self, target: &str, change: Change) {
        let (from, to) = (change.from.name(), change.to.name());
        let attributes = [("target", target), ("from", from), ("to", to)];
        event("circuit_breaker.changed", texts(attributes));
    }

    fn refused(&self, target: &str, error_type: &'static str) {
        event("call.refused", texts([("target", target), ("error.type", error_type)]));
    }

    fn retrying(&self, target: &str, next_attempt: u32, pause: Duration) {
        let mut attributes = texts([("target", target)]);
        attributes.push(KeyValue::new("attempt", i64::from(next_attempt)));
        attributes.push(KeyValue::new("pause_ms", pause.as_millis() as i64));
        event("call.retrying", attributes);
    }

    fn gave_up(&self, target: &str, why: Stop) {
        event("call.gave_up", texts([("target", target), ("reason", why.name())]));
    }
}

fn texts<const N: usize>(pairs: [(&'static str, &str); N]) -> Vec<KeyValue> {
    pairs.into_iter().map(|(key, value)| KeyValue::new(key, value.to_owned())).collect()
}
