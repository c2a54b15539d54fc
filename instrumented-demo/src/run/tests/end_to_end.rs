//! One run of the whole system, looked at from many sides.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;

use opentelemetry_proto::tonic::metrics::v1::{exemplar, metric};

use super::customer::Customer;
use crate::run::{self, Options, Ports};
use crate::telemetry::Settings;
use crate::test_collector::{Arrived, CLIENT, CONSUMER, Collector, SERVER, attribute};
use crate::topology::{Role, Shop, TOPICS, expected_edges};

/// What arrived from a run in which everything was used.
fn arrived() -> &'static Arrived {
    static ARRIVED: OnceLock<Arrived> = OnceLock::new();
    ARRIVED.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(play(Options::default()))
    })
}

async fn play(options: Options) -> Arrived {
    let collector = Collector::start().await;
    let telemetry = Settings { endpoint: Some(collector.endpoint.clone()), ..options.telemetry };
    let options = Options { ports: Ports::Free, rate_per_s: 0.0, telemetry, ..options };
    let running = run::start(options).await.unwrap();
    Customer::use_everything(running.gateway_addr()).await;
    let wanted: BTreeSet<_> = TOPICS
        .iter()
        .flat_map(|topic| topic.consumers.iter().map(|role| (role.name(), topic.name)))
        .collect();
    collector
        .until("a message for each consumer", |arrived| {
            let spans = arrived.spans.iter().filter(|(_, span)| span.kind == CONSUMER);
            let seen: BTreeSet<_> = spans
                .map(|(service, span)| (service.as_str(), span.name.trim_start_matches("process ")))
                .collect();
            wanted.is_subset(&seen)
        })
        .await;
    let ended = running.stop().await;
    assert_eq!(ended.losses, Vec::<String>::new());
    collector.arrived()
}

fn instrumented() -> BTreeSet<&'static str> {
    let roles = Shop::All.roles();
    roles.into_iter().filter(|role| role.is_instrumented()).map(Role::name).collect()
}

#[test]
fn every_service_sends_every_signal_and_nobody_else_does() {
    let [spans, logs, metrics] = arrived().services();
    assert_eq!(spans, instrumented());
    assert_eq!(metrics, instrumented());
    assert!(logs.is_subset(&instrumented()), "{logs:?}");
    for quiet in instrumented().difference(&logs) {
        assert_eq!(*quiet, "cache", "{quiet} writes no log");
    }
}

#[test]
fn the_edges_are_those_of_the_topology() {
    let seen = arrived().edges();
    let expected: BTreeSet<_> = expected_edges(Shop::All).into_iter().collect();
    let missing: Vec<_> = expected.difference(&seen).collect();
    let extra: Vec<_> = seen.difference(&expected).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}\nextra {extra:#?}");
}

#[test]
fn every_parent_arrives() {
    let by_id = arrived().by_id();
    let orphans: Vec<_> = arrived()
        .spans
        .iter()
        .filter(|(_, span)| !span.parent_span_id.is_empty())
        .filter(|(_, span)| !by_id.contains_key(span.parent_span_id.as_slice()))
        .map(|(service, span)| (service, &span.name))
        .collect();
    assert_eq!(orphans, Vec::new());
}

#[test]
fn logs_belong_to_traces_that_exist() {
    let traces: BTreeSet<_> =
        arrived().spans.iter().map(|(_, span)| span.trace_id.as_slice()).collect();
    let logs = &arrived().logs;
    let joined = logs.iter().filter(|(_, log)| traces.contains(log.trace_id.as_slice())).count();
    // The registry tells of new instances outside of any request.
    let outside = logs.iter().filter(|(service, _)| service == "registry").count();
    let inside = logs.len() - outside;
    assert!(joined * 100 >= inside * 99, "{joined} of {inside} lines have a trace");
    let correlated = logs.iter().filter(|(_, log)| {
        log.trace_id.is_empty() || attribute(&log.attributes, "correlationId").is_some()
    });
    assert_eq!(correlated.count(), logs.len());
}

/// Seconds of the span that a histogram is about, by metric.
fn seconds_of_spans() -> HashMap<Vec<u8>, f64> {
    let seconds = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9
    };
    arrived().spans.iter().map(|(_, span)| (span.span_id.clone(), seconds(span))).collect()
}

/// Exemplars of the explicit histograms of this name: value and span of each.
fn exemplars(name: &str) -> Vec<(f64, Vec<u8>)> {
    let mut found = Vec::new();
    for (_, metric) in arrived().metrics.iter().filter(|(_, metric)| metric.name == name) {
        let Some(metric::Data::Histogram(histogram)) = &metric.data else { continue };
        for point in &histogram.data_points {
            for exemplar in &point.exemplars {
                let Some(exemplar::Value::AsDouble(value)) = exemplar.value else { continue };
                found.push((value, exemplar.span_id.clone()));
            }
        }
    }
    found
}

fn bucket(bounds: &[f64], value: f64) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

#[test]
fn exemplars_name_spans_that_took_as_long() {
    let seconds = seconds_of_spans();
    for name in ["http.server.request.duration", "http_request_duration_seconds"] {
        let exemplars = exemplars(name);
        assert!(!exemplars.is_empty(), "{name} has no exemplars");
        for (value, span) in &exemplars {
            let of_span = seconds.get(span).unwrap_or_else(|| panic!("{name}: no such span"));
            assert!((of_span - value).abs() < 1e-8, "{name}: {of_span} against {value}");
        }
    }
}

#[test]
fn every_bucket_that_is_not_empty_has_an_exemplar() {
    type Key = (String, Vec<String>);
    let mut counts: BTreeMap<Key, Vec<u64>> = BTreeMap::new();
    let mut shown: BTreeMap<Key, BTreeSet<usize>> = BTreeMap::new();
    let name = "http.server.request.duration";
    // Look-ups in the background ask the registry not to be sampled, and have no span to show.
    let of_requests = |pair: &&(String, opentelemetry_proto::tonic::metrics::v1::Metric)| {
        pair.1.name == name && pair.0 != "registry"
    };
    for (service, metric) in arrived().metrics.iter().filter(of_requests) {
        let Some(metric::Data::Histogram(histogram)) = &metric.data else { continue };
        for point in &histogram.data_points {
            let mut labels: Vec<_> =
                point.attributes.iter().map(|attribute| format!("{attribute:?}")).collect();
            labels.sort();
            labels.push(point.start_time_unix_nano.to_string());
            let key = (service.clone(), labels);
            let values = point.exemplars.iter().filter_map(|exemplar| match exemplar.value {
                Some(exemplar::Value::AsDouble(value)) => Some(value),
                _ => None,
            });
            let buckets = values.map(|value| bucket(&point.explicit_bounds, value));
            shown.entry(key.clone()).or_default().extend(buckets);
            counts.insert(key, point.bucket_counts.clone());
        }
    }
    assert!(!counts.is_empty());
    for (key, counts) in counts {
        let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        let filled: BTreeSet<_> = filled.map(|(bucket, _)| bucket).collect();
        assert!(filled.is_subset(&shown[&key]), "{key:?}: {filled:?} against {:?}", shown[&key]);
    }
}

#[test]
fn every_client_span_says_how_long_it_waits() {
    let silent: BTreeSet<_> = arrived()
        .spans
        .iter()
        .filter(|(_, span)| span.kind == CLIENT)
        .filter(|(_, span)| attribute(&span.attributes, "call.timeout_ms").is_none())
        .map(|(service, span)| (service, &span.name))
        .collect();
    assert_eq!(silent, BTreeSet::new());
}

#[test]
fn no_route_holds_an_id() {
    for (service, span) in arrived().spans.iter().filter(|(_, span)| span.kind == SERVER) {
        let route = attribute(&span.attributes, "http.route").unwrap_or_default();
        let has_id = ["u1", "sku-", "o-"].iter().any(|id| route.contains(id));
        assert!(!has_id, "{service}: {route}");
        assert!(!span.name.contains("sku-") && !span.name.contains("/o-"), "{}", span.name);
    }
}

#[test]
fn the_truth_is_nowhere_in_telemetry() {
    let words = arrived().words.to_lowercase();
    for word in ["scenario", "chaos", "inject", "ground_truth", "fault", "knob", "culprit"] {
        let found = words.find(word).map(|at| &words[at.saturating_sub(60)..at + 60]);
        assert_eq!(found, None, "{word}");
    }
    for scenario in &crate::scenarios::ALL {
        assert!(!words.contains(&format!("\"{}\"", scenario.name)), "{}", scenario.name);
    }
}

#[test]
fn no_secret_is_in_telemetry() {
    let words = &arrived().words;
    for secret in [crate::topology::PARTNER_KEY, "Bearer ", "authorization"] {
        assert!(!words.contains(secret), "{secret}");
    }
}

#[test]
fn resources_say_who_owns_what() {
    for resource in &arrived().resources {
        let get = |key| attribute(&resource.attributes, key).unwrap_or_default();
        let role = Role::by_name(&get("service.name")).unwrap();
        assert_eq!((get("team").as_str(), get("domain").as_str()), {
            let facts = role.facts();
            (facts.team, facts.domain)
        });
        for key in ["service.instance.id", "service.version", "host.name", "process.pid"] {
            assert_ne!(get(key), "", "{key}");
        }
    }
}

#[test]
fn one_saga_joins_the_traces_of_an_order() {
    let mut traces: BTreeMap<String, BTreeSet<&[u8]>> = BTreeMap::new();
    for (_, span) in &arrived().spans {
        if let Some(saga) = attribute(&span.attributes, "saga.id") {
            traces.entry(saga).or_default().insert(&span.trace_id);
        }
    }
    assert_eq!(traces.len(), 24);
    for (saga, traces) in traces {
        assert!(traces.len() >= 2, "{saga} is in {} traces", traces.len());
    }
}
