//! Endpoints, headers and delays from options and variables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::time::Duration;

use super::*;

fn route(settings: &Settings, signal: Signal, pairs: &[(&str, &str)]) -> anyhow::Result<Route> {
    let map: HashMap<_, _> =
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    settings.route(signal, &|name| map.get(name).cloned())
}

#[test]
fn unit_the_endpoint_comes_from_the_nearest_place() {
    let none = Settings::default();
    let given = Settings { endpoint: Some("127.0.0.1:9".to_owned()), ..Settings::default() };
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317/");
    let logs = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:4317");
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&Settings, Signal, Pairs<'_>, &str); 5] = [
        (&none, Signal::Traces, &[], "http://127.0.0.1:4317"),
        (&none, Signal::Traces, &[all], "http://all:4317"),
        (&none, Signal::Logs, &[all, logs], "http://logs:4317"),
        (&none, Signal::Metrics, &[all, logs], "http://all:4317"),
        (&given, Signal::Logs, &[all, logs], "http://127.0.0.1:9"),
    ];
    for (settings, signal, pairs, expected) in cases {
        assert_eq!(route(settings, signal, pairs).unwrap().endpoint, expected);
    }
}

#[test]
fn unit_over_http_each_signal_has_its_path() {
    let none = Settings::default();
    let given = Settings { endpoint: Some("127.0.0.1:9".to_owned()), ..Settings::default() };
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let grpc_logs = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc");
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318/base/");
    let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318/mine");
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&Settings, Signal, Pairs<'_>, &str); 6] = [
        (&none, Signal::Traces, &[http], "http://127.0.0.1:4318/v1/traces"),
        (&none, Signal::Metrics, &[http, all], "http://all:4318/base/v1/metrics"),
        (&none, Signal::Traces, &[http, all, traces], "http://traces:4318/mine"),
        (&none, Signal::Logs, &[http, all, traces], "http://all:4318/base/v1/logs"),
        (&given, Signal::Traces, &[http, all, traces], "http://127.0.0.1:9/v1/traces"),
        (&none, Signal::Logs, &[http, grpc_logs], "http://127.0.0.1:4317"),
    ];
    for (settings, signal, pairs, expected) in cases {
        assert_eq!(route(settings, signal, pairs).unwrap().endpoint, expected);
    }
}

#[test]
fn unit_what_cannot_be_done_is_said() {
    let cases = [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "grpc and http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://far:4317", "plain http"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "novalue", "no ="),
    ];
    for (name, value, expected) in cases {
        let error = route(&Settings::default(), Signal::Traces, &[(name, value)]).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn unit_headers_are_decoded() {
    let pairs = [("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=a%20b, x = 100%")];
    let metadata = route(&Settings::default(), Signal::Metrics, &pairs).unwrap().metadata;
    assert_eq!(metadata.get("api-key").unwrap(), "a b");
    assert_eq!(metadata.get("x").unwrap(), "100%");
}

#[test]
fn unit_delays_are_lively_unless_set() {
    let delay =
        |signal, pairs: &[(&str, &str)]| route(&Settings::default(), signal, pairs).unwrap().delay;
    let cases = [
        (Signal::Traces, "OTEL_BSP_SCHEDULE_DELAY", 1_000),
        (Signal::Logs, "OTEL_BLRP_SCHEDULE_DELAY", 1_000),
        (Signal::Metrics, "OTEL_METRIC_EXPORT_INTERVAL", 5_000),
    ];
    for (signal, variable, default_ms) in cases {
        assert_eq!(delay(signal, &[]), Duration::from_millis(default_ms));
        assert_eq!(delay(signal, &[(variable, "123")]), Duration::from_millis(123));
    }
}
