//! What a world consists of: services, their instances, their operations and whom these call.
//!
//! What is the same on all spans of an operation is encoded once, when the world is built.

use std::collections::HashMap;

use super::failure::{FAILURES, FailureId, Outcome};
use super::wire;

/// No service, node or edge.
pub(super) const NOTHING: u32 = u32::MAX;
/// Tag and length of a request or of a scope: beyond 2²⁸ bytes there is none.
const OPEN_LEN_MAX: usize = 5;
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// Kind of a span, by its number in OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

/// What a span speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Plain,
    Http,
    Grpc,
    Db,
    Messaging,
}

const PROTOCOLS: [Protocol; 5] =
    [Protocol::Plain, Protocol::Http, Protocol::Grpc, Protocol::Db, Protocol::Messaging];
const KINDS: [Kind; 5] =
    [Kind::Internal, Kind::Server, Kind::Client, Kind::Producer, Kind::Consumer];

/// A node of the service map.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    pub(super) name: String,
}

/// What a node is, in the words of the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NodeKind {
    Service,
    Db,
    Topic,
    External,
    User,
}

impl NodeKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            NodeKind::Service => "service",
            NodeKind::Db => "db",
            NodeKind::Topic => "topic",
            NodeKind::External => "external",
            NodeKind::User => "user",
        }
    }
}

/// A service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) node: u32,
    pub(super) port: u16,
    /// Its instances that run when nothing is wrong.
    pub(super) instances: Vec<u32>,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) service: u32,
    pub(super) id: String,
    pub(super) host: u8,
    /// `resource` of a request, as a field of its first level.
    pub(super) resource: Vec<u8>,
}

/// What an instance says of itself.
#[derive(Clone, Debug)]
pub(super) struct Resource<'a> {
    pub(super) namespace: &'a str,
    pub(super) version: &'a str,
    pub(super) host: u8,
    pub(super) team: &'a str,
    pub(super) domain: &'a str,
}

/// Whose a service is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    pub(super) team: &'a str,
    pub(super) domain: &'a str,
}

/// An operation: a span name of a service on one side of a call.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) service: u32,
    pub(super) kind: Kind,
    pub(super) protocol: Protocol,
    pub(super) name: String,
    /// Node that the operation's own time on the path is charged to.
    pub(super) charged: u32,
    /// Edge of the map that a span of it yields; of a server, when it is a root.
    pub(super) edge: u32,
    /// Of an HTTP server: what its metrics say beside the status.
    pub(super) route: Option<Route>,
    pub(super) fields: Fields,
}

/// What is the same on all spans of an operation, encoded: one piece of memory, since systems have
/// thousands of operations and a span touches one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    head_len: usize,
    plain_len: usize,
}

impl Fields {
    /// Name and kind.
    pub(super) fn head(&self) -> &[u8] {
        &self.bytes[..self.head_len]
    }

    /// Attributes, however it went.
    pub(super) fn attributes(&self) -> &[u8] {
        &self.bytes[self.head_len..self.plain_len]
    }

    /// Attributes of a span that did well, beside the others.
    pub(super) fn success(&self) -> &[u8] {
        &self.bytes[self.plain_len..]
    }
}

/// An operation that is being described.
struct Draft {
    op: Op,
    attributes: Vec<u8>,
    success: Vec<u8>,
}

/// An endpoint in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) route: &'static str,
}

impl Route {
    pub(super) fn success(&self) -> u16 {
        if self.method == "POST" { 201 } else { 200 }
    }
}

/// Both sides of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) client: u32,
    pub(super) server: u32,
    /// Service that answers.
    pub(super) callee: u32,
}

/// A statement of a service to a database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement<'a> {
    pub(super) namespace: &'a str,
    /// The part of the database that is asked, where it has parts.
    pub(super) address: &'a str,
    pub(super) operation: &'a str,
    pub(super) table: &'a str,
    pub(super) text: &'a str,
}

/// Everything in a world that does not change.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) services: Vec<Service>,
    pub(super) instances: Vec<Instance>,
    pub(super) ops: Vec<Op>,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<(u32, u32)>,
    /// By protocol, kind and failure.
    outcomes: Vec<Outcome>,
    nodes_by_name: HashMap<Node, u32>,
    edges_by_ends: HashMap<(u32, u32), u32>,
    /// Node of callers from outside.
    user: u32,
    /// `trace_state` of all spans, as a field.
    pub(super) trace_state: Vec<u8>,
    scope: Vec<u8>,
    schema_url: Vec<u8>,
}

impl Catalog {
    pub(super) fn new() -> Catalog {
        let outcomes = PROTOCOLS.iter().flat_map(|protocol| {
            KINDS.iter().flat_map(|kind| FAILURES.iter().map(|f| f.outcome(*protocol, *kind)))
        });
        let mut catalog = Catalog {
            services: Vec::new(),
            instances: Vec::new(),
            ops: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            outcomes: outcomes.collect(),
            nodes_by_name: HashMap::new(),
            edges_by_ends: HashMap::new(),
            user: 0,
            trace_state: Vec::new(),
            scope: Vec::new(),
            schema_url: Vec::new(),
        };
        wire::message(&mut catalog.scope, 1, |out| {
            wire::text(out, 1, "shop.telemetry");
            wire::text(out, 2, "1.4.0");
        });
        wire::text(&mut catalog.schema_url, 3, SCHEMA_URL);
        catalog.user = catalog.node(NodeKind::User, "user");
        catalog
    }

    pub(super) fn node(&mut self, kind: NodeKind, name: &str) -> u32 {
        let node = Node { kind, name: name.to_owned() };
        let next = self.nodes.len() as u32;
        let place = *self.nodes_by_name.entry(node.clone()).or_insert(next);
        if place == next {
            self.nodes.push(node);
        }
        place
    }

    pub(super) fn edge(&mut self, from: u32, to: u32) -> u32 {
        let next = self.edges.len() as u32;
        let place = *self.edges_by_ends.entry((from, to)).or_insert(next);
        if place == next {
            self.edges.push((from, to));
        }
        place
    }

    pub(super) fn service(&mut self, name: &str, port: u16) -> u32 {
        let node = self.node(NodeKind::Service, name);
        let instances = Vec::new();
        self.services.push(Service { name: name.to_owned(), node, port, instances });
        self.services.len() as u32 - 1
    }

    /// An instance that no service knows of yet.
    pub(super) fn spare_instance(&mut self, service: u32, id: String, of: &Resource<'_>) -> u32 {
        let place = self.instances.len() as u32;
        let name = self.services[service as usize].name.clone();
        let mut resource = Vec::new();
        wire::long_message(&mut resource, 1, |out| {
            let host = format!("host-{}", char::from(b'a' + of.host % 26));
            let texts = [
                ("service.name", name.as_str()),
                ("service.namespace", of.namespace),
                ("service.version", of.version),
                ("service.instance.id", id.as_str()),
                ("deployment.environment.name", "production"),
                ("host.name", host.as_str()),
                ("team", of.team),
                ("domain", of.domain),
                ("telemetry.sdk.language", "rust"),
                ("telemetry.sdk.name", "opentelemetry"),
                ("telemetry.sdk.version", "0.33.1"),
            ];
            for (key, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
                wire::text_attribute(out, 1, key, [value, ""]);
            }
            wire::int_attribute(out, 1, "process.pid", 1000 + 7 * i64::from(place));
        });
        self.instances.push(Instance { service, id, host: of.host, resource });
        place
    }

    pub(super) fn instance(&mut self, service: u32, id: String, of: &Resource<'_>) -> u32 {
        let place = self.spare_instance(service, id, of);
        self.services[service as usize].instances.push(place);
        place
    }

    /// A service of a made-up system with an instance on each of these hosts. Ports go up from the
    /// first one.
    pub(super) fn made_up(
        &mut self,
        name: &str,
        port_first: u16,
        owner: Owner<'_>,
        hosts: impl IntoIterator<Item = u8>,
    ) -> u32 {
        let service = self.service(name, port_first + self.services.len() as u16);
        let Owner { team, domain } = owner;
        for (host, number) in hosts.into_iter().zip(1..) {
            let of = Resource { namespace: "", version: "1.0.0", host, team, domain };
            self.instance(service, format!("{name}-{number}"), &of);
        }
        service
    }

    /// How a failure shows on a span of an operation.
    pub(super) fn outcome(&self, op: &Op, failure: FailureId) -> &Outcome {
        let protocol = op.protocol as usize;
        let kind = op.kind as usize - 1;
        &self.outcomes[(protocol * KINDS.len() + kind) * FAILURES.len() + usize::from(failure)]
    }

    fn add(&mut self, draft: Draft) -> u32 {
        let Draft { mut op, attributes, success } = draft;
        let fields = &mut op.fields;
        wire::text(&mut fields.bytes, 5, &op.name);
        wire::uint(&mut fields.bytes, 6, op.kind as u64);
        fields.head_len = fields.bytes.len();
        fields.bytes.extend(attributes);
        fields.plain_len = fields.bytes.len();
        fields.bytes.extend(success);
        self.ops.push(op);
        self.ops.len() as u32 - 1
    }

    fn draft(&self, service: u32, kind: Kind, protocol: Protocol, name: String) -> Draft {
        let op = Op {
            service,
            kind,
            protocol,
            name,
            charged: self.services[service as usize].node,
            edge: NOTHING,
            route: None,
            fields: Fields::default(),
        };
        Draft { op, attributes: Vec::new(), success: Vec::new() }
    }

    pub(super) fn internal(&mut self, service: u32, name: &str) -> u32 {
        self.add(self.draft(service, Kind::Internal, Protocol::Plain, name.to_owned()))
    }

    pub(super) fn http_server(&mut self, service: u32, route: Route) -> u32 {
        let Route { method, route: path } = route;
        let mut draft =
            self.draft(service, Kind::Server, Protocol::Http, format!("{method} {path}"));
        draft.op.edge = self.edge(self.user, draft.op.charged);
        draft.op.route = Some(route);
        let Service { name, port, .. } = &self.services[service as usize];
        let out = &mut draft.attributes;
        wire::text_attribute(out, 9, "http.request.method", [method, ""]);
        wire::text_attribute(out, 9, "http.route", [path, ""]);
        wire::text_attribute(out, 9, "url.scheme", ["http", ""]);
        wire::text_attribute(out, 9, "server.address", [name, ""]);
        wire::int_attribute(out, 9, "server.port", i64::from(*port));
        let success = i64::from(route.success());
        wire::int_attribute(&mut draft.success, 9, "http.response.status_code", success);
        self.add(draft)
    }

    /// A call of a route of a service, which may be asked for at the address of another one.
    pub(super) fn http_client(
        &mut self,
        from: u32,
        callee: u32,
        at: (&str, u16),
        route: Route,
        timeout_ms: i64,
    ) -> u32 {
        let Route { method, route: path } = route;
        let mut draft = self.draft(from, Kind::Client, Protocol::Http, format!("{method} {path}"));
        let callee = self.services.get(callee as usize).map(|service| service.node);
        let callee =
            callee.unwrap_or_else(|| self.node(NodeKind::External, &format!("{}:{}", at.0, at.1)));
        draft.op.edge = self.edge(draft.op.charged, callee);
        draft.op.charged = callee;
        let out = &mut draft.attributes;
        wire::text_attribute(out, 9, "http.request.method", [method, ""]);
        wire::text_attribute(out, 9, "url.template", [path, ""]);
        wire::text_attribute(out, 9, "server.address", [at.0, ""]);
        wire::int_attribute(out, 9, "server.port", i64::from(at.1));
        wire::int_attribute(out, 9, "call.timeout_ms", timeout_ms);
        let success = i64::from(route.success());
        wire::int_attribute(&mut draft.success, 9, "http.response.status_code", success);
        self.add(draft)
    }

    pub(super) fn rpc_server(&mut self, service: u32, system: &str, method: &str) -> u32 {
        let mut draft = self.draft(service, Kind::Server, Protocol::Grpc, method.to_owned());
        draft.op.edge = self.edge(self.user, draft.op.charged);
        self.rpc(&mut draft, service, system);
        self.add(draft)
    }

    /// A server whose caller has no span: the edge follows from the server alone.
    pub(super) fn called_server(&mut self, from: u32, service: u32, method: &str) -> u32 {
        let op = self.rpc_server(service, "grpc", method);
        let ends = [from, service].map(|service| self.services[service as usize].node);
        self.ops[op as usize].edge = self.edge(ends[0], ends[1]);
        op
    }

    pub(super) fn rpc_client(
        &mut self,
        from: u32,
        callee: u32,
        system: &str,
        method: &str,
        timeout_ms: i64,
    ) -> u32 {
        let mut draft = self.draft(from, Kind::Client, Protocol::Grpc, method.to_owned());
        let callee_node = self.services[callee as usize].node;
        draft.op.edge = self.edge(draft.op.charged, callee_node);
        draft.op.charged = callee_node;
        self.rpc(&mut draft, callee, system);
        wire::int_attribute(&mut draft.attributes, 9, "call.timeout_ms", timeout_ms);
        self.add(draft)
    }

    fn rpc(&self, draft: &mut Draft, callee: u32, system: &str) {
        let Service { name, port, .. } = &self.services[callee as usize];
        let out = &mut draft.attributes;
        wire::text_attribute(out, 9, "rpc.system.name", [system, ""]);
        wire::text_attribute(out, 9, "rpc.method", [&draft.op.name, ""]);
        wire::text_attribute(out, 9, "server.address", [name, ""]);
        wire::int_attribute(out, 9, "server.port", i64::from(*port));
        wire::text_attribute(&mut draft.success, 9, "rpc.response.status_code", ["OK", ""]);
    }

    pub(super) fn database(&mut self, from: u32, statement: Statement<'_>) -> u32 {
        let Statement { namespace, address, operation, table, text } = statement;
        let summary = format!("{operation} {table}");
        let mut draft = self.draft(from, Kind::Client, Protocol::Db, summary);
        let at = if address.is_empty() { "" } else { "@" };
        let node = self.node(NodeKind::Db, &format!("sqlite:{namespace}{at}{address}"));
        draft.op.edge = self.edge(draft.op.charged, node);
        draft.op.charged = node;
        let out = &mut draft.attributes;
        let texts = [
            ("db.system.name", "sqlite"),
            ("db.namespace", namespace),
            ("server.address", address),
            ("db.operation.name", operation),
            ("db.collection.name", table),
            ("db.query.summary", &draft.op.name),
            ("db.query.text", text),
        ];
        for (key, value) in texts.into_iter().filter(|(_, value)| !value.is_empty()) {
            wire::text_attribute(out, 9, key, [value, ""]);
        }
        wire::int_attribute(out, 9, "call.timeout_ms", 5_000);
        self.add(draft)
    }

    /// A call of something outside that sends nothing, in no protocol that has conventions.
    pub(super) fn external(&mut self, from: u32, at: (&str, u16), name: &str) -> u32 {
        let mut draft = self.draft(from, Kind::Client, Protocol::Plain, name.to_owned());
        let node = self.node(NodeKind::External, &format!("{}:{}", at.0, at.1));
        draft.op.edge = self.edge(draft.op.charged, node);
        draft.op.charged = node;
        wire::text_attribute(&mut draft.attributes, 9, "server.address", [at.0, ""]);
        wire::int_attribute(&mut draft.attributes, 9, "server.port", i64::from(at.1));
        wire::int_attribute(&mut draft.attributes, 9, "call.timeout_ms", 2_000);
        self.add(draft)
    }

    pub(super) fn producer(&mut self, from: u32, topic: &str) -> u32 {
        let mut draft =
            self.draft(from, Kind::Producer, Protocol::Messaging, format!("send {topic}"));
        let node = self.topic(topic);
        draft.op.edge = self.edge(draft.op.charged, node);
        draft.op.charged = node;
        messaging(&mut draft.attributes, topic, "send");
        self.add(draft)
    }

    pub(super) fn consumer(&mut self, service: u32, topic: &str) -> u32 {
        let name = format!("process {topic}");
        let mut draft = self.draft(service, Kind::Consumer, Protocol::Messaging, name);
        let node = self.topic(topic);
        draft.op.edge = self.edge(node, draft.op.charged);
        messaging(&mut draft.attributes, topic, "process");
        let group = self.services[service as usize].name.as_str();
        wire::text_attribute(
            &mut draft.attributes,
            9,
            "messaging.consumer.group.name",
            [group, ""],
        );
        self.add(draft)
    }

    fn topic(&mut self, topic: &str) -> u32 {
        self.node(NodeKind::Topic, &format!("bus:{topic}"))
    }

    /// A call over HTTP with its server; the server's operation is made anew.
    pub(super) fn http_call(&mut self, from: u32, callee: u32, route: Route) -> Call {
        let Service { name, port, .. } = self.services[callee as usize].clone();
        let client = self.http_client(from, callee, (&name, port), route, 2_000);
        Call { client, server: self.http_server(callee, route), callee }
    }

    /// The same over gRPC or another system of remote calls.
    pub(super) fn rpc_call(&mut self, from: u32, callee: u32, system: &str, method: &str) -> Call {
        let client = self.rpc_client(from, callee, system, method, 5_000);
        Call { client, server: self.rpc_server(callee, system, method), callee }
    }

    /// Bytes that the beginning of a request of an instance takes at most.
    pub(super) fn head_len_max(&self, instance: u32) -> usize {
        let resource = &self.instances[instance as usize].resource;
        2 * OPEN_LEN_MAX + resource.len() + self.scope.len()
    }

    /// Makes a request of records of one instance, each a field of the scope already, that stand
    /// behind room for its beginning. Returns where it begins.
    pub(super) fn enclose(&self, bytes: &mut Vec<u8>, instance: u32) -> usize {
        let room = self.head_len_max(instance);
        let resource = &self.instances[instance as usize].resource;
        bytes.extend_from_slice(&self.schema_url);
        let scope_len = self.scope.len() + bytes.len() - room;
        bytes.extend_from_slice(&self.schema_url);
        let len = resource.len() + wire::field_len(2, scope_len) + self.schema_url.len();
        let mut head = Vec::with_capacity(room);
        wire::open(&mut head, 1, len);
        head.extend_from_slice(resource);
        wire::open(&mut head, 2, scope_len);
        head.extend_from_slice(&self.scope);
        let from = room - head.len();
        bytes[from..room].copy_from_slice(&head);
        from
    }
}

fn messaging(out: &mut Vec<u8>, topic: &str, operation: &str) {
    let texts = [
        ("messaging.system", "bus"),
        ("messaging.destination.name", topic),
        ("messaging.operation.type", operation),
        ("messaging.operation.name", operation),
    ];
    for (key, value) in texts {
        wire::text_attribute(out, 9, key, [value, ""]);
    }
}
