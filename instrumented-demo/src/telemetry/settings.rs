//! Where telemetry goes and how often, from the options of a run and the usual `OTEL_…` variables.

#[cfg(test)]
mod tests;

use std::env;
use std::time::Duration;

use anyhow::{Context as _, bail};
use opentelemetry_sdk::metrics::Temporality;
use serde::{Deserialize, Serialize};
use tonic::metadata::{MetadataKey, MetadataMap};

use super::names::Semconv;

const GRPC_ENDPOINT: &str = "http://127.0.0.1:4317";
const HTTP_ENDPOINT: &str = "http://127.0.0.1:4318";
/// Delays for a lively screen; the SDK's own are 5 s, 1 s and 60 s.
const SPANS_DELAY_MS: u64 = 1_000;
const LOGS_DELAY_MS: u64 = 1_000;
const METRICS_DELAY_MS: u64 = 5_000;
const TIMEOUT_MS: u64 = 10_000;

/// What a run asks for. What is not set comes from the environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Where to send all signals, as `http://host:port`.
    pub endpoint: Option<String>,
    /// Which names to send.
    pub semconv: Semconv,
    /// Whether consumers also take the producer as parent, and not only as link.
    pub consumers_are_children: bool,
    /// Whether log lines go to the standard output as well.
    pub stdout_logs: bool,
}

/// One of the three kinds of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points of metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    fn word(self) -> &'static str {
        match self {
            Signal::Traces => "TRACES",
            Signal::Metrics => "METRICS",
            Signal::Logs => "LOGS",
        }
    }

    /// Where it goes below an endpoint for all signals, over HTTP.
    fn path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }

    /// The variable that sets the delay between exports, and what it is when unset.
    fn delay(self) -> (&'static str, u64) {
        match self {
            Signal::Traces => ("OTEL_BSP_SCHEDULE_DELAY", SPANS_DELAY_MS),
            Signal::Metrics => ("OTEL_METRIC_EXPORT_INTERVAL", METRICS_DELAY_MS),
            Signal::Logs => ("OTEL_BLRP_SCHEDULE_DELAY", LOGS_DELAY_MS),
        }
    }
}

/// The environment, so that tests can have their own.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of the process; empty values count as unset, as the specification says.
pub fn process_environment(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// How requests are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP/1.1.
    HttpProtobuf,
}

/// How one signal is sent.
#[derive(Clone, Debug)]
pub struct Route {
    /// How its requests are carried.
    pub protocol: Protocol,
    /// `http://host:port`; over HTTP with the path.
    pub endpoint: String,
    /// Headers of each request.
    pub metadata: MetadataMap,
    /// How long a request may take.
    pub timeout: Duration,
    /// Time between exports.
    pub delay: Duration,
}

impl Settings {
    /// How a signal is sent.
    pub fn route(&self, signal: Signal, lookup: Lookup<'_>) -> anyhow::Result<Route> {
        let own = |what: &str| lookup(&format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.word()));
        let general = |what: &str| lookup(&format!("OTEL_EXPORTER_OTLP_{what}"));
        let of_signal = |what: &str| own(what).or_else(|| general(what));
        let protocol = protocol(of_signal("PROTOCOL").as_deref())?;
        // An endpoint of one signal is taken as it is; one of all signals gets its path.
        let own_endpoint = own("ENDPOINT").filter(|_| self.endpoint.is_none());
        let endpoint = match (own_endpoint, protocol) {
            (Some(own), _) => with_scheme(&own)?,
            (None, protocol) => {
                let all = self.endpoint.clone().or_else(|| general("ENDPOINT"));
                let (default, path) = match protocol {
                    Protocol::Grpc => (GRPC_ENDPOINT, ""),
                    Protocol::HttpProtobuf => (HTTP_ENDPOINT, signal.path()),
                };
                with_scheme(all.as_deref().unwrap_or(default))? + path
            }
        };
        let (variable, default_ms) = signal.delay();
        Ok(Route {
            protocol,
            endpoint,
            metadata: headers(&of_signal("HEADERS").unwrap_or_default())?,
            timeout: milliseconds(of_signal("TIMEOUT"), TIMEOUT_MS)?,
            delay: milliseconds(lookup(variable), default_ms)?,
        })
    }
}

/// How sums are sent.
pub(super) fn temporality(lookup: Lookup<'_>) -> Temporality {
    lookup("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// Whether the variables switch all telemetry off.
pub(super) fn is_disabled(lookup: Lookup<'_>) -> bool {
    lookup("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

fn protocol(text: Option<&str>) -> anyhow::Result<Protocol> {
    match text.map(str::trim) {
        None | Some("grpc") => Ok(Protocol::Grpc),
        Some("http/protobuf") => Ok(Protocol::HttpProtobuf),
        Some(other) => bail!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is {other}, but the demo speaks grpc and http/protobuf"
        ),
    }
}

fn with_scheme(endpoint: &str) -> anyhow::Result<String> {
    let endpoint = endpoint.trim().trim_end_matches('/');
    match endpoint.split_once("://") {
        None => Ok(format!("http://{endpoint}")),
        Some(("http", _)) => Ok(endpoint.to_owned()),
        Some((scheme, _)) => bail!(
            "the endpoint {endpoint} has the scheme {scheme}, but the demo sends over plain http \
             only; point it at a collector on this machine"
        ),
    }
}

fn milliseconds(text: Option<String>, default: u64) -> anyhow::Result<Duration> {
    let Some(text) = text else { return Ok(Duration::from_millis(default)) };
    let number = text.trim().parse().with_context(|| format!("{text:?} is no milliseconds"))?;
    Ok(Duration::from_millis(number))
}

/// `key=value,key=value`, with values percent-encoded.
fn headers(text: &str) -> anyhow::Result<MetadataMap> {
    let mut map = MetadataMap::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (key, value) =
            pair.split_once('=').with_context(|| format!("the header {pair:?} has no ="))?;
        let key = MetadataKey::from_bytes(key.trim().to_ascii_lowercase().as_bytes())
            .with_context(|| format!("{key:?} is no name of a header"))?;
        let value = percent_decoded(value.trim());
        map.insert(key, value.parse().context("the value of a header has odd characters")?);
    }
    Ok(map)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = (first == b'%').then(|| tail.get(..2)).flatten();
        let byte = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(first), rest = tail).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
