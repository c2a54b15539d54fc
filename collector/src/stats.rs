//! Own counters: what came in, what was left out and why, which services were seen.
//!
//! Names follow the OpenTelemetry Collector's own metrics where it has the same thing, so that
//! existing dashboards work; the rest is `otlake_…`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow_array::cast::AsArray;
use parking_lot::Mutex;
use schemas::{Batch, Signal, Table, columns};
use storage::Encoding;

use crate::admit::Budget;
use crate::answers::{Condition, TABLE};
use crate::rejects::{Reason, Rejects};

/// How a request reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// gRPC, on either port.
    Grpc,
    /// OTLP/HTTP, on either port.
    Http,
    /// A file, read by `otlake import`.
    File,
}

impl Transport {
    /// Every transport, in the order of its index.
    pub const ALL: [Transport; 3] = [Transport::Grpc, Transport::Http, Transport::File];

    /// The word in labels.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::Http => "http",
            Transport::File => "file",
        }
    }
}

/// The counters of one collector. Cheap to add to from any thread.
#[derive(Debug, Default)]
pub struct CollectorStats {
    sources: [[[Source; 2]; 3]; 3],
    rejected: [[AtomicU64; Reason::COUNT]; 3],
    refused: [[AtomicU64; TABLE.len()]; 3],
    /// Connections open now.
    pub connections: AtomicU64,
    /// Connections accepted.
    pub connections_accepted: AtomicU64,
    /// Connections closed at once because there were too many.
    pub connections_refused: AtomicU64,
    /// Connections that began with a TLS hello, which these ports do not speak.
    pub tls_hellos: AtomicU64,
    /// Connections that sent nothing, or no whole request head, in time.
    pub connections_silent: AtomicU64,
    /// Failed attempts to accept a connection, mostly for lack of file descriptors.
    pub accept_errors: AtomicU64,
    /// Bodies that came too slowly.
    pub bodies_slow: AtomicU64,
    /// Bodies whose client went away.
    pub bodies_gone: AtomicU64,
    /// Requests whose client went away while the store was writing them: stored or not, uncounted.
    pub abandoned: AtomicU64,
    /// Panics of the decoder.
    pub decoder_panics: AtomicU64,
    /// Set once, by the intake that owns it.
    budget: OnceLock<Arc<Budget>>,
    services: Mutex<Services>,
}

/// Counters of one signal by one transport in one encoding.
#[derive(Debug, Default)]
struct Source {
    requests: AtomicU64,
    wire_bytes: AtomicU64,
    decoded_bytes: AtomicU64,
    decode_ns: AtomicU64,
    accepted: AtomicU64,
    /// Decoded well, but the store did not take them.
    unstored: AtomicU64,
    deduplicated: AtomicU64,
}

/// Where a request came from, as far as counters care.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) signal: Signal,
    pub(crate) transport: Transport,
    pub(crate) encoding: Encoding,
}

/// One service that sent data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSeen {
    /// `service.name` of the resource.
    pub name: String,
    /// When its last accepted record arrived, ns since the epoch.
    pub last_seen_ns: i64,
    /// Records accepted since the start, by [`Signal::index`].
    pub records: [u64; 3],
}

#[derive(Debug, Default)]
struct Services {
    by_name: HashMap<Box<str>, Service>,
    /// Records of services the map had no room for.
    overflow_records: u64,
    swept_ns: i64,
}

#[derive(Debug, Default)]
struct Service {
    last_seen_ns: i64,
    records: [u64; 3],
    warned_ns: Option<i64>,
}

const SERVICES_MAX: usize = 1000;
/// A service silent for this long may give its place to a new one.
const SERVICE_SILENT_NS: i64 = 600_000_000_000;
/// A client logs every warning it gets, so each service gets one a minute.
const WARN_EVERY_NS: i64 = 60_000_000_000;

impl CollectorStats {
    /// The services seen, by name. At most 1,000 are kept.
    pub fn services(&self) -> Vec<ServiceSeen> {
        let services = self.services.lock();
        let mut seen: Vec<ServiceSeen> = services
            .by_name
            .iter()
            .map(|(name, s)| ServiceSeen {
                name: name.to_string(),
                last_seen_ns: s.last_seen_ns,
                records: s.records,
            })
            .collect();
        seen.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        seen
    }

    /// Records accepted of a signal, by all ways.
    pub fn accepted(&self, signal: Signal) -> u64 {
        self.sum(signal, |s| &s.accepted)
    }

    /// Records of a signal left out by data rules.
    pub fn rejected(&self, signal: Signal) -> u64 {
        self.rejected[signal.index()].iter().map(|n| n.load(Relaxed)).sum()
    }

    /// Requests of a signal recognised as a repeat of a durable one.
    pub fn deduplicated(&self, signal: Signal) -> u64 {
        self.sum(signal, |s| &s.deduplicated)
    }

    /// Whole requests answered with an error, by condition.
    pub fn refused(&self, condition: Condition) -> u64 {
        self.refused.iter().map(|t| t[condition as usize].load(Relaxed)).sum()
    }

    /// Bytes of OTLP after decompression, of all signals.
    pub fn decoded_bytes(&self) -> u64 {
        Signal::ALL.into_iter().map(|s| self.sum(s, |s| &s.decoded_bytes)).sum()
    }

    /// Bytes of requests being handled.
    pub fn in_flight_bytes(&self) -> usize {
        self.budget.get().map_or(0, |b| b.in_flight_bytes())
    }

    /// Bytes that requests being handled may take.
    pub fn budget_bytes(&self) -> usize {
        self.budget.get().map_or(0, |b| b.capacity_bytes())
    }

    /// Lets the gauges show this budget. Only the first call counts.
    pub(crate) fn watch(&self, budget: Arc<Budget>) {
        let _ = self.budget.set(budget);
    }

    pub(crate) fn count_refused(&self, transport: Transport, condition: Condition) {
        add(&self.refused[transport as usize][condition as usize], 1);
    }

    pub(crate) fn count_received(&self, origin: Origin, wire_bytes: usize) {
        let source = self.source(origin);
        add(&source.requests, 1);
        add(&source.wire_bytes, wire_bytes as u64);
    }

    pub(crate) fn count_decoded(&self, origin: Origin, decoded_bytes: usize, took: Duration) {
        let source = self.source(origin);
        add(&source.decoded_bytes, decoded_bytes as u64);
        add(&source.decode_ns, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count_accepted(&self, origin: Origin, records: u32) {
        add(&self.source(origin).accepted, u64::from(records));
    }

    pub(crate) fn count_unstored(&self, origin: Origin, records: u32) {
        add(&self.source(origin).unstored, u64::from(records));
    }

    pub(crate) fn count_deduplicated(&self, origin: Origin) {
        add(&self.source(origin).deduplicated, 1);
    }

    pub(crate) fn count_rejects(&self, signal: Signal, rejects: &Rejects) {
        for (reason, n) in rejects.counts() {
            add(&self.rejected[signal.index()][reason as usize], u64::from(n));
        }
    }

    /// Remembers which services the records are of.
    pub(crate) fn count_services(&self, tally: &ServiceTally, now_ns: i64) {
        let mut services = self.services.lock();
        for (name, records) in &tally.runs {
            services.seen(name, tally.signal, *records, now_ns);
        }
        services.overflow_records += tally.unnamed;
    }

    /// Whether this request's service may be warned again, and if so remembers that it was.
    pub(crate) fn may_warn(&self, tally: &ServiceTally, now_ns: i64) -> bool {
        let mut services = self.services.lock();
        let service = tally.runs.first().and_then(|(name, _)| services.by_name.get_mut(&**name));
        let Some(service) = service else { return false };
        let due = service.warned_ns.is_none_or(|then| now_ns - then >= WARN_EVERY_NS);
        if due {
            service.warned_ns = Some(now_ns);
        }
        due
    }

    fn source(&self, origin: Origin) -> &Source {
        let Origin { signal, transport, encoding } = origin;
        &self.sources[signal.index()][transport as usize][encoding_index(encoding)]
    }

    fn sum(&self, signal: Signal, counter: impl Fn(&Source) -> &AtomicU64) -> u64 {
        let sources = self.sources[signal.index()].iter().flatten();
        sources.map(|s| counter(s).load(Relaxed)).sum()
    }
}

impl Services {
    fn seen(&mut self, name: &str, signal: Signal, records: u64, now_ns: i64) {
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= SERVICES_MAX {
                self.sweep(now_ns);
            }
            if self.by_name.len() >= SERVICES_MAX {
                self.overflow_records += records;
                return;
            }
            self.by_name.insert(name.into(), Service::default());
        }
        if let Some(service) = self.by_name.get_mut(name) {
            service.last_seen_ns = now_ns;
            service.records[signal.index()] += records;
        }
    }

    /// Forgets the silent; at most once a minute, so that a flood of names cannot make it expensive.
    fn sweep(&mut self, now_ns: i64) {
        if now_ns - self.swept_ns >= WARN_EVERY_NS {
            self.swept_ns = now_ns;
            self.by_name.retain(|_, s| now_ns - s.last_seen_ns < SERVICE_SILENT_NS);
        }
    }
}

/// How many records of which service a request holds.
#[derive(Debug)]
pub(crate) struct ServiceTally {
    signal: Signal,
    runs: Vec<(String, u64)>,
    /// Records behind the bound on distinct services of one request.
    unnamed: u64,
}

/// Distinct runs of service names counted per request; gateways send some dozens.
const RUNS_MAX: usize = 256;

impl ServiceTally {
    /// Walks the service names of the rows. Rows of one resource stand together and share their bytes,
    /// so this compares 16 bytes a row.
    pub(crate) fn of(signal: Signal, batches: &[Batch]) -> ServiceTally {
        let mut tally = ServiceTally { signal, runs: Vec::new(), unnamed: 0 };
        for batch in batches.iter().filter(|b| b.table != Table::MetricExemplars) {
            let names = batch.rows.column_by_name(columns::SERVICE_NAME);
            let Some(names) = names.and_then(|c| c.as_string_view_opt()) else { continue };
            let mut first = 0;
            for run in names.views().chunk_by(|a, b| a == b) {
                tally.add(names.value(first), run.len() as u64);
                first += run.len();
            }
        }
        tally
    }

    fn add(&mut self, name: &str, records: u64) {
        if let Some((_, n)) = self.runs.iter_mut().find(|(known, _)| known == name) {
            *n += records;
        } else if self.runs.len() < RUNS_MAX {
            self.runs.push((name.to_owned(), records));
        } else {
            self.unnamed += records;
        }
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}

fn encoding_index(encoding: Encoding) -> usize {
    match encoding {
        Encoding::Protobuf => 0,
        Encoding::Json => 1,
    }
}

const ENCODINGS: [&str; 2] = ["protobuf", "json"];
const RECORDS: [&str; 3] = ["spans", "metric_points", "log_records"];

/// A counter of [`Source`] as a metric.
type SourceMetric = (&'static str, &'static str, f64, fn(&Source) -> &AtomicU64);
/// A plain counter or gauge.
type PlainMetric = (&'static str, &'static str, &'static str, fn(&CollectorStats) -> &AtomicU64);

const SOURCE_METRICS: [SourceMetric; 5] = [
    ("otlake_receiver_requests_total", "Export requests read.", 1.0, |s| &s.requests),
    ("otlake_receiver_wire_bytes_total", "Request bytes as sent.", 1.0, |s| &s.wire_bytes),
    ("otlake_receiver_decoded_bytes_total", "Request bytes after decompression.", 1.0, |s| {
        &s.decoded_bytes
    }),
    ("otlake_receiver_decode_seconds_total", "Time spent decoding.", 1e-9, |s| &s.decode_ns),
    (
        "otlake_receiver_requests_deduplicated_total",
        "Requests recognised as a repeat of a durable one and not stored again.",
        1.0,
        |s| &s.deduplicated,
    ),
];

#[rustfmt::skip]
const PLAIN_METRICS: [PlainMetric; 10] = [
    ("otlake_receiver_connections", "gauge", "Connections open.", |s| &s.connections),
    ("otlake_receiver_connections_accepted_total", "counter", "Connections accepted.", |s| &s.connections_accepted),
    ("otlake_receiver_connections_refused_total", "counter", "Connections closed at once because there were too many.", |s| &s.connections_refused),
    ("otlake_receiver_connections_silent_total", "counter", "Connections closed because no request came in time.", |s| &s.connections_silent),
    ("otlake_receiver_tls_hellos_total", "counter", "Connections that began with TLS, which these ports do not speak.", |s| &s.tls_hellos),
    ("otlake_receiver_accept_errors_total", "counter", "Failed attempts to accept a connection.", |s| &s.accept_errors),
    ("otlake_receiver_bodies_slow_total", "counter", "Requests dropped because their body came too slowly.", |s| &s.bodies_slow),
    ("otlake_receiver_bodies_gone_total", "counter", "Requests whose client went away before their end.", |s| &s.bodies_gone),
    ("otlake_receiver_requests_abandoned_total", "counter", "Requests whose client went away while they were written.", |s| &s.abandoned),
    ("otlake_receiver_decoder_panics_total", "counter", "Panics of the decoder, each answered.", |s| &s.decoder_panics),
];

impl CollectorStats {
    /// Appends all counters in the Prometheus text format.
    pub fn render_prometheus(&self, out: &mut String) {
        self.render_records(out);
        for (name, help, scale, counter) in SOURCE_METRICS {
            head(out, name, "counter", help);
            self.each_source(|labels, source| {
                let n = counter(source).load(Relaxed);
                if n > 0 {
                    line(out, name, labels, n as f64 * scale);
                }
            });
        }
        self.render_rejected(out);
        self.render_refused(out);
        for (name, kind, help, counter) in PLAIN_METRICS {
            head(out, name, kind, help);
            line(out, name, "", counter(self).load(Relaxed) as f64);
        }
        let (services, overflow) = {
            let services = self.services.lock();
            (services.by_name.len(), services.overflow_records)
        };
        for (name, kind, help, value) in [
            (
                "otlake_receiver_in_flight_bytes",
                "gauge",
                "Bytes of requests being handled.",
                self.in_flight_bytes() as f64,
            ),
            (
                "otlake_receiver_budget_bytes",
                "gauge",
                "Bytes that requests being handled may take.",
                self.budget_bytes() as f64,
            ),
            ("otlake_receiver_services", "gauge", "Services known by name.", services as f64),
            (
                "otlake_receiver_services_overflow_records_total",
                "counter",
                "Records of services beyond those known by name.",
                overflow as f64,
            ),
        ] {
            head(out, name, kind, help);
            line(out, name, "", value);
        }
    }

    fn render_records(&self, out: &mut String) {
        type Count = fn(&Source) -> &AtomicU64;
        let kinds: [(&str, &str, Count); 2] = [
            ("accepted", "accepted and durable", |s| &s.accepted),
            ("refused", "that were decoded but not stored", |s| &s.unstored),
        ];
        for signal in Signal::ALL {
            for (word, meaning, counter) in kinds {
                let records = RECORDS[signal.index()];
                let name = format!("otelcol_receiver_{word}_{records}");
                head(out, &name, "counter", &format!("Number of {records} {meaning}."));
                for transport in Transport::ALL {
                    let sources = &self.sources[signal.index()][transport as usize];
                    let n: u64 = sources.iter().map(|s| counter(s).load(Relaxed)).sum();
                    let labels = format!("receiver=\"otlp\",transport=\"{}\"", transport.name());
                    line(out, &name, &labels, n as f64);
                }
            }
        }
    }

    fn render_rejected(&self, out: &mut String) {
        let name = "otlake_receiver_records_rejected_total";
        head(out, name, "counter", "Records left out by data rules.");
        for signal in Signal::ALL {
            for reason in Reason::ALL {
                let n = self.rejected[signal.index()][reason as usize].load(Relaxed);
                if n > 0 {
                    let labels =
                        format!("signal=\"{}\",reason=\"{}\"", signal.name(), reason.name());
                    line(out, name, &labels, n as f64);
                }
            }
        }
    }

    fn render_refused(&self, out: &mut String) {
        let name = "otlake_receiver_requests_refused_total";
        head(out, name, "counter", "Whole requests answered with an error.");
        for transport in Transport::ALL {
            for row in &TABLE {
                let n = self.refused[transport as usize][row.condition as usize].load(Relaxed);
                if n > 0 {
                    let labels =
                        format!("transport=\"{}\",reason=\"{}\"", transport.name(), row.name);
                    line(out, name, &labels, n as f64);
                }
            }
        }
    }

    fn each_source(&self, mut each: impl FnMut(&str, &Source)) {
        for signal in Signal::ALL {
            for transport in Transport::ALL {
                for (encoding, source) in
                    ENCODINGS.iter().zip(&self.sources[signal.index()][transport as usize])
                {
                    let labels = format!(
                        "signal=\"{}\",transport=\"{}\",encoding=\"{encoding}\"",
                        signal.name(),
                        transport.name()
                    );
                    each(&labels, source);
                }
            }
        }
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &str, value: f64) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        _ => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

#[cfg(test)]
mod tests;
