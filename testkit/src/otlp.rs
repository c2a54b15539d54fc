//! OTLP requests from a seed: the same seed and options make the same requests.
//!
//! Everything made here is valid, so that a collector must accept all of it and lose nothing.
//! [`Style::Plausible`] looks like telemetry of a shop; [`Style::Wild`] uses every field, every type
//! of value and every legal oddity.

mod logs;
mod metrics;
mod plausible;
mod spans;
#[cfg(test)]
mod tests;
mod values;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{EntityRef, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What the data looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Services, routes and attributes as real senders have them.
    Plausible,
    /// Every field and every legal oddity.
    Wild,
}

/// How much of what to make.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What the data looks like.
    pub style: Style,
    /// Resources of a request.
    pub resources: usize,
    /// Scopes of a resource.
    pub scopes: usize,
    /// Spans, log records or metrics of a scope.
    pub records: usize,
    /// Attributes of a record (at most so many when wild).
    pub attributes: usize,
    /// The time around which records happen, nanoseconds since the epoch.
    pub now_ns: u64,
}

/// 2025-06-01 12:00 UTC.
const NOW_NS: u64 = 1_748_779_200_000_000_000;

impl Options {
    /// One resource with one scope of 512 records, as an SDK's batch processor sends it.
    pub fn plausible() -> Options {
        Options {
            style: Style::Plausible,
            resources: 1,
            scopes: 1,
            records: 512,
            attributes: 10,
            now_ns: NOW_NS,
        }
    }

    /// A few records of everything, repeated resources and scopes included.
    pub fn wild() -> Options {
        Options {
            style: Style::Wild,
            resources: 3,
            scopes: 2,
            records: 4,
            attributes: 6,
            now_ns: NOW_NS,
        }
    }
}

/// Makes requests, one after the other, all different.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    options: Options,
    rng: StdRng,
    /// Points made so far; no two have the same time, so that each exemplar has one point.
    points: u64,
}

impl Generator {
    /// A generator; say the seed when a test fails.
    pub fn new(seed: u64, options: Options) -> Generator {
        Generator { seed, options, rng: StdRng::seed_from_u64(seed), points: 0 }
    }

    /// The seed it was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next request of spans.
    pub fn traces(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.many(self.options.resources, |g| ResourceSpans {
            resource: g.resource(),
            scope_spans: g.many(g.options.scopes, |g| ScopeSpans {
                scope: g.scope(),
                spans: g.spans(),
                schema_url: g.schema_url(),
            }),
            schema_url: g.schema_url(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    /// The next request of log records.
    pub fn logs(&mut self) -> ExportLogsServiceRequest {
        let resource_logs = self.many(self.options.resources, |g| ResourceLogs {
            resource: g.resource(),
            scope_logs: g.many(g.options.scopes, |g| ScopeLogs {
                scope: g.scope(),
                log_records: g.many(g.options.records, Generator::log_record),
                schema_url: g.schema_url(),
            }),
            schema_url: g.schema_url(),
        });
        ExportLogsServiceRequest { resource_logs }
    }

    /// The next request of metrics.
    pub fn metrics(&mut self) -> ExportMetricsServiceRequest {
        let resource_metrics = self.many(self.options.resources, |g| ResourceMetrics {
            resource: g.resource(),
            scope_metrics: g.many(g.options.scopes, |g| ScopeMetrics {
                scope: g.scope(),
                metrics: g.metric_list(),
                schema_url: g.schema_url(),
            }),
            schema_url: g.schema_url(),
        });
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn is_wild(&self) -> bool {
        self.options.style == Style::Wild
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())]
    }

    /// Exactly `count` items, or when wild any number up to it.
    fn many<T>(&mut self, count: usize, mut make: impl FnMut(&mut Generator) -> T) -> Vec<T> {
        let count = if self.is_wild() { self.rng.random_range(0..=count) } else { count };
        (0..count).map(|_| make(self)).collect()
    }

    fn resource(&mut self) -> Option<Resource> {
        if !self.is_wild() {
            return Some(self.plausible_resource());
        }
        if self.chance(0.1) {
            return None;
        }
        Some(Resource {
            attributes: self.wild_attributes(),
            dropped_attributes_count: self.wild_count(),
            entity_refs: if self.chance(0.3) {
                self.many(3, Generator::entity_ref)
            } else {
                vec![]
            },
        })
    }

    fn entity_ref(&mut self) -> EntityRef {
        EntityRef {
            schema_url: self.wild_text(),
            r#type: self.wild_text(),
            id_keys: self.many(3, Generator::wild_key),
            description_keys: self.many(2, Generator::wild_key),
        }
    }

    fn scope(&mut self) -> Option<InstrumentationScope> {
        if !self.is_wild() {
            return Some(self.plausible_scope());
        }
        if self.chance(0.1) {
            return None;
        }
        Some(InstrumentationScope {
            name: self.wild_text(),
            version: self.wild_text(),
            attributes: if self.chance(0.4) { self.wild_attributes() } else { vec![] },
            dropped_attributes_count: self.wild_count(),
        })
    }

    fn schema_url(&mut self) -> String {
        if self.is_wild() && self.chance(0.5) {
            return self.wild_text();
        }
        "https://opentelemetry.io/schemas/1.37.0".to_owned()
    }
}
