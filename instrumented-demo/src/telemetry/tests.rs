//! Contexts on their way, and who an instance says it is.

use std::collections::HashMap;

use opentelemetry::trace::SpanKind;

use super::*;
use crate::topology::Role;

fn telemetry() -> Telemetry {
    let facts = Role::Order.facts();
    let identity = Identity {
        service: facts.name,
        instance: "order-service-1".to_owned(),
        version: "1.4.0".to_owned(),
        host: "host-a".to_owned(),
        team: facts.team,
        domain: facts.domain,
    };
    Telemetry::silent(identity)
}

#[test]
fn unit_a_context_survives_its_headers() {
    let telemetry = telemetry();
    let headers = HashMap::from([
        (
            "traceparent".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        ),
        ("tracestate".to_owned(), "ot=th:8".to_owned()),
        ("baggage".to_owned(), "session.id=s1,correlation.id=c-7".to_owned()),
    ]);
    let context = telemetry.extract(&headers);
    let mut again = HashMap::new();
    telemetry.inject(&context, &mut again);
    for key in ["traceparent", "tracestate"] {
        assert_eq!(again.get(key), headers.get(key));
    }
    let mut entries: Vec<_> = again["baggage"].split(',').collect();
    entries.sort_unstable();
    assert_eq!(entries, ["correlation.id=c-7", "session.id=s1"]);
}

#[test]
fn unit_the_correlation_is_what_the_caller_says_or_else_the_trace() {
    let telemetry = telemetry();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut headers = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
    let of = |headers: &HashMap<String, String>| {
        let _inside = telemetry.extract(headers).attach();
        correlation_id()
    };
    assert_eq!(of(&headers).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    headers.insert("baggage".to_owned(), "correlation.id=c-7".to_owned());
    assert_eq!(of(&headers).as_deref(), Some("c-7"));
    assert_eq!(of(&HashMap::new()), None);
}

#[test]
fn unit_a_root_keeps_the_baggage_and_not_the_parent() {
    let telemetry = telemetry();
    let headers = HashMap::from([
        (
            "traceparent".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        ),
        ("baggage".to_owned(), "session.id=s1".to_owned()),
    ]);
    let parent = telemetry.extract(&headers);
    let work = telemetry.span(SpanKind::Consumer, "process").below(parent).as_root().start();
    let span = work.context().span().span_context().clone();
    assert_ne!(span.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        work.context().baggage().get("session.id").map(ToString::to_string).as_deref(),
        Some("s1")
    );
}
