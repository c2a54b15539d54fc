//! The attributes of a span: the stable semantic conventions, and the current ones where there are
//! no stable ones (RPC, messaging).

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::layout::Customer;
use super::plan::{Plan, Role};
use super::topology::{
    Endpoint, Failure, PROVIDER_ADDRESS, PROVIDER_PORT, Protocol, Statement, TOPIC_NAME,
    TOPIC_SYSTEM, int, text,
};

/// All attributes of a span.
pub(super) fn of(plan: &Plan, customer: Customer) -> Vec<KeyValue> {
    let mut attributes = match plan.role {
        Role::Server(endpoint) | Role::Client(endpoint) => call(plan, endpoint, customer),
        Role::Provider => provider(plan.failure),
        Role::Database(statement) => database(statement, plan.failure),
        Role::Internal(_) => vec![],
        Role::Send => message("send", customer),
        Role::Process => {
            let mut attributes = message("process", customer);
            attributes.push(text("messaging.consumer.group.name", plan.service.name()));
            attributes
        }
    };
    attributes.push(customer.correlation());
    attributes
}

/// The HTTP status that a call was answered with.
pub(super) fn http_status(plan: &Plan, method: &str) -> i64 {
    let success = if method == "POST" { 201 } else { 200 };
    plan.failure.map_or(success, |failure| failure.http_status)
}

fn call(plan: &Plan, endpoint: &Endpoint, customer: Customer) -> Vec<KeyValue> {
    let (address, port) = (endpoint.service.name(), endpoint.service.port());
    let mut attributes = vec![text("server.address", address), int("server.port", port)];
    let Protocol::Http(method, route) = endpoint.protocol else {
        let status = plan.failure.map_or("OK", |failure| failure.grpc_status);
        attributes.extend([
            text("rpc.system.name", "grpc"),
            text("rpc.method", endpoint.name),
            text("rpc.response.status_code", status),
        ]);
        attributes.extend(plan.failure.map(|failure| text("error.type", failure.grpc_status)));
        return attributes;
    };
    let status = http_status(plan, method);
    let path = route.replace("{id}", &customer.order.to_string());
    attributes
        .extend([text("http.request.method", method), int("http.response.status_code", status)]);
    if matches!(plan.role, Role::Server(_)) {
        attributes.extend([
            text("http.route", route),
            text("url.path", path),
            text("url.scheme", "http"),
        ]);
    } else {
        attributes.extend([
            text("url.full", format!("http://{address}:{port}{path}")),
            text("url.template", route),
        ]);
    }
    attributes.extend(plan.failure.map(|_| text("error.type", status.to_string())));
    attributes
}

fn provider(failure: Option<&Failure>) -> Vec<KeyValue> {
    let status = failure.map_or(200, |failure| failure.http_status);
    let mut attributes = vec![
        text("http.request.method", "POST"),
        int("http.response.status_code", status),
        text("server.address", PROVIDER_ADDRESS),
        int("server.port", PROVIDER_PORT),
        text("url.full", format!("https://{PROVIDER_ADDRESS}/v1/charges")),
    ];
    attributes.extend(failure.map(|_| text("error.type", status.to_string())));
    attributes
}

fn database(statement: &Statement, failure: Option<&Failure>) -> Vec<KeyValue> {
    let mut attributes = vec![
        text("db.system.name", "sqlite"),
        text("db.namespace", statement.namespace),
        text("db.operation.name", statement.operation),
        text("db.collection.name", statement.table),
        text("db.query.summary", statement.summary),
        text("db.query.text", statement.text),
    ];
    attributes.extend(failure.map(|failure| text("error.type", failure.exception)));
    attributes
}

fn message(operation: &str, customer: Customer) -> Vec<KeyValue> {
    vec![
        text("messaging.system", TOPIC_SYSTEM),
        text("messaging.destination.name", TOPIC_NAME),
        text("messaging.operation.type", operation),
        text("messaging.operation.name", operation),
        text("messaging.message.id", customer.message_id()),
    ]
}
