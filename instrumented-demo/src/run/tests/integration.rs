//! The gateway's layers in front of a small system.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use http::Method;
use serde_json::json;

use super::customer::Customer;
use crate::run::{self, Options, Ports, Running};
use crate::telemetry::Settings;
use crate::test_collector::{Arrived, Collector, SERVER, attribute};
use crate::topology::Shop;

async fn small() -> (Collector, Running) {
    small_with(Settings::default()).await
}

async fn small_with(telemetry: Settings) -> (Collector, Running) {
    let collector = Collector::start().await;
    let telemetry = Settings { endpoint: Some(collector.endpoint.clone()), ..telemetry };
    let options = Options {
        shop: Shop::Five,
        ports: Ports::Free,
        rate_per_s: 0.0,
        telemetry,
        ..Options::default()
    };
    (collector, run::start(options).await.unwrap())
}

/// `error.type` and events of the gateway's requests with this status.
fn gateway_spans(arrived: &Arrived, status: &str) -> Vec<(Option<String>, Vec<String>)> {
    let is_wanted = |span: &&(String, opentelemetry_proto::tonic::trace::v1::Span)| {
        let found = attribute(&span.1.attributes, "http.response.status_code");
        span.0 == "gateway" && span.1.kind == SERVER && found.as_deref() == Some(status)
    };
    let facts = |(_, span): &(String, opentelemetry_proto::tonic::trace::v1::Span)| {
        let events = span.events.iter().map(|event| event.name.clone()).collect();
        (attribute(&span.attributes, "error.type"), events)
    };
    arrived.spans.iter().filter(is_wanted).map(facts).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_nobody_is_told_so_and_has_no_line() {
    let (collector, running) = small().await;
    let customer = Customer::new(running.gateway_addr(), "u1");
    let nobody = customer.send(Method::GET, "/api/inventory", None, &[]).await;
    assert_eq!((nobody.status, &nobody.body["error"]), (401, &json!("unauthenticated")));
    let stranger = customer.send(Method::GET, "/api/inventory", None, &[("x-user-id", "u0")]).await;
    assert_eq!(stranger.status, 401);
    let forbidden =
        customer.send(Method::GET, "/api/partners/stock", None, &[("x-user-id", "u1")]).await;
    assert_eq!((forbidden.status, &forbidden.body["error"]), (403, &json!("scope_missing")));
    running.stop().await;
    let arrived = collector.arrived();
    let spans = gateway_spans(&arrived, "401");
    assert_eq!(spans.len(), 2);
    for (error, events) in spans {
        assert_eq!(error.as_deref(), Some("unauthenticated"));
        assert_eq!(events.last().map(String::as_str), Some("authentication.refused"));
    }
    // The log is inside of authentication; the audit is not.
    let lines = arrived.logs.iter().filter(|(service, _)| service == "gateway");
    assert!(lines.clone().count() > 0);
    for (_, line) in lines {
        assert_eq!(attribute(&line.attributes, "decision").as_deref(), Some("refused"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back_and_never_authenticated() {
    let (collector, running) = small().await;
    let customer = Customer::new(running.gateway_addr(), "u0");
    // All at once, so that no machine is too slow to be too fast.
    let asked = (0..600).map(|_| customer.get("/api/inventory"));
    let answers = futures::future::join_all(asked).await;
    let limited = answers.iter().find(|answer| answer.status == 429).expect("nobody was limited");
    assert!(limited.headers.contains_key("retry-after"));
    running.stop().await;
    let arrived = collector.arrived();
    let spans = gateway_spans(&arrived, "429");
    let expected = (Some("rate_limited".to_owned()), vec!["rate_limit.exceeded".to_owned()]);
    assert!(!spans.is_empty() && spans.iter().all(|span| *span == expected), "{spans:?}");
    let counted = arrived.metrics.iter().any(|(_, m)| m.name == "middleware.rejected_requests");
    assert!(counted, "nobody counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_makes_one_line_of_the_gateway() {
    let (collector, running) = small().await;
    let customer = Customer::new(running.gateway_addr(), "u7");
    assert_eq!(customer.get("/api/inventory/sku-3").await.status, 200);
    running.stop().await;
    let arrived = collector.arrived();
    let lines: Vec<_> = arrived.logs.iter().filter(|(service, _)| service == "gateway").collect();
    assert_eq!(lines.len(), 1);
    let line = &lines[0].1;
    assert_eq!(attribute(&line.attributes, "userId").as_deref(), Some("u7"));
    assert!(attribute(&line.attributes, "duration").is_some());
    let correlation = attribute(&line.attributes, "correlationId").unwrap();
    let hex: String = line.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(correlation, hex);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_too_often_is_left_alone() {
    use crate::faults::{Command, Knob, World};
    let (collector, running) = small().await;
    for instance in ["inventory-service-1", "inventory-service-2"] {
        let settings = Box::new([Knob::ErrorPercent(100)].into_iter().collect());
        let command = Command::Settings { instance: instance.to_owned(), settings };
        running.world().obey(command).await.unwrap();
    }
    let customer = Customer::new(running.gateway_addr(), "u7");
    let mut errors = Vec::new();
    for _ in 0..60 {
        let answer = customer.get("/api/inventory").await;
        assert_eq!(answer.status, 503);
        errors.push(answer.body["error"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(errors.last().map(String::as_str), Some("circuit_open"));
    // Users are not inventory: their breaker is closed.
    assert_eq!(customer.get("/api/users/u7").await.status, 200);
    running.stop().await;
    let spans = gateway_spans(&collector.arrived(), "503");
    let open = |(error, events): &&(Option<String>, Vec<String>)| {
        error.as_deref() == Some("circuit_open")
            && events.iter().any(|event| event == "circuit_breaker.open")
    };
    assert!(spans.iter().filter(open).count() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_makes_one_order() {
    let (_collector, running) = small().await;
    let customer = Customer::new(running.gateway_addr(), "u9");
    let body = json!({
        "orderId": "o-twice", "customerId": "u9", "items": [{ "sku": "sku-5", "quantity": 1 }],
    });
    let first = customer.ask(Method::POST, "/api/orders", Some(body.clone())).await;
    let second = customer.ask(Method::POST, "/api/orders", Some(body)).await;
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!(first.body, second.body);
    let orders = customer.get("/api/orders?customerId=u9").await;
    assert_eq!(orders.body.as_array().map(Vec::len), Some(1));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let (_collector, running) = small().await;
    let customer = Customer::new(running.gateway_addr(), "u9");
    let cases = [
        (json!({ "customerId": "u9", "items": [] }), 400),
        (json!({ "customerId": "u9" }), 400),
        (json!({ "customerId": "u9", "items": [], "extra": 1 }), 400),
        (json!({ "customerId": "u9", "items": [{ "sku": "sku-0", "quantity": 1 }] }), 409),
    ];
    for (body, expected) in cases {
        let answer = customer.ask(Method::POST, "/api/orders", Some(body.clone())).await;
        assert_eq!(answer.status, expected, "{body}");
    }
    assert_eq!(customer.get("/api/inventory/sku-0").await.status, 404);
    assert_eq!(customer.get("/api/orders/o-none").await.status, 404);
    assert_eq!(customer.get("/nothing/here").await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn former_names_are_sent_when_asked_for() {
    use crate::telemetry::names::Semconv;
    let settings = Settings { semconv: Semconv::Old, ..Settings::default() };
    let (collector, running) = small_with(settings).await;
    assert_eq!(Customer::new(running.gateway_addr(), "u3").order("sku-3").await.status, 201);
    running.stop().await;
    let arrived = collector.arrived();
    let mut keys = std::collections::BTreeSet::new();
    for (_, span) in &arrived.spans {
        keys.extend(span.attributes.iter().map(|attribute| attribute.key.as_str()));
    }
    for key in ["http.method", "http.status_code", "net.peer.name", "db.system", "rpc.service"] {
        assert!(keys.contains(key), "{key}: {keys:?}");
    }
    for name in crate::telemetry::names::ALL.iter().filter(|name| name.new != name.old) {
        assert!(!keys.contains(name.new), "{}", name.new);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_are_children_when_asked_for() {
    let settings = Settings { consumers_are_children: true, ..Settings::default() };
    let (collector, running) = small_with(settings).await;
    assert_eq!(Customer::new(running.gateway_addr(), "u3").order("sku-3").await.status, 201);
    let is_consumer = |span: &&(String, opentelemetry_proto::tonic::trace::v1::Span)| {
        span.1.kind == crate::test_collector::CONSUMER
    };
    collector.until("a consumer", |arrived| arrived.spans.iter().any(|s| is_consumer(&s))).await;
    running.stop().await;
    let arrived = collector.arrived();
    let by_id = arrived.by_id();
    for (service, span) in arrived.spans.iter().filter(is_consumer) {
        assert!(by_id.contains_key(span.parent_span_id.as_slice()), "{service}: {}", span.name);
        assert_eq!(span.links.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_opens_no_door() {
    use crate::faults::{Command, Knob, World};
    let (_collector, running) = small().await;
    for instance in ["user-service-1", "user-service-2"] {
        let settings = Box::new([Knob::TokenExpired].into_iter().collect());
        let command = Command::Settings { instance: instance.to_owned(), settings };
        running.world().obey(command).await.unwrap();
    }
    let customer = Customer::new(running.gateway_addr(), "u7");
    let placed = customer.order("sku-3").await;
    assert_eq!((placed.status, &placed.body["error"]), (401, &json!("401")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_used_is_named() {
    let endpoint = Some("https://far.example:4317".to_owned());
    let telemetry = Settings { endpoint, ..Settings::default() };
    let options = Options { shop: Shop::Five, ports: Ports::Free, telemetry, ..Options::default() };
    let error = format!("{:#}", run::start(options).await.unwrap_err());
    assert!(error.contains("did not start") && error.contains("plain http"), "{error}");
}
