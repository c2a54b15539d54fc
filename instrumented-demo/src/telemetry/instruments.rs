//! The instruments of one instance. Those that measure durations also feed the reservoir of exemplars.

use std::sync::Arc;

use opentelemetry::metrics::{self, Counter, Histogram, UpDownCounter};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

use super::exemplars::{Buckets, Reservoir};
use super::names::metrics as names;
use crate::usage::Meter;

/// Bounds of the conventions for HTTP, in seconds.
pub(super) const STABLE_BOUNDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Bounds of the article: everything below 100 ms is one bucket.
pub(super) const ARTICLE_BOUNDS: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0];
/// Bounds of the conventions for databases and pools.
const DB_BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Most buckets of an exponential histogram, and its finest scale.
const EXPONENTIAL: Aggregation =
    Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true };

/// A histogram of seconds that keeps exemplars.
#[derive(Clone, Debug)]
pub struct Seconds {
    name: &'static str,
    buckets: Buckets,
    histogram: Histogram<f64>,
    reservoir: Arc<Reservoir>,
}

impl Seconds {
    /// Records a duration measured in the current context.
    pub fn record(&self, seconds: f64, attributes: &[KeyValue]) {
        Context::map_current(|context| self.record_in(context, seconds, attributes));
    }

    /// Records a duration measured in a context.
    pub fn record_in(&self, context: &Context, seconds: f64, attributes: &[KeyValue]) {
        self.histogram.record(seconds, attributes);
        self.reservoir.offer(self.name, &self.buckets, seconds, attributes, context);
    }
}

/// All instruments of an instance.
#[derive(Debug)]
pub struct Instruments {
    /// Seconds of a request on its server, thrice.
    pub server: Server,
    /// Seconds a client waited.
    pub client: Seconds,
    /// Seconds of a call over gRPC on its server.
    pub rpc_server: Seconds,
    /// Seconds of a call over gRPC on its client.
    pub rpc_client: Seconds,
    /// Seconds of a statement.
    pub database: Seconds,
    /// Seconds waited for a connection.
    pub pool_wait: Seconds,
    /// Seconds a connection was used.
    pub pool_use: Seconds,
    /// Requests that gave up waiting for a connection.
    pub pool_timeouts: Counter<u64>,
    /// Requests that wait for a connection.
    pub pool_pending: UpDownCounter<i64>,
    /// Seconds of handling a message.
    pub process: Seconds,
    /// Messages written.
    pub sent: Counter<u64>,
    /// Messages read.
    pub consumed: Counter<u64>,
    /// Messages that had been handled before.
    pub duplicates: Counter<u64>,
    /// Answers of the cache.
    pub cache_lookups: Counter<u64>,
    /// Requests turned away.
    pub rejected: Counter<u64>,
    /// For gauges that a role observes itself.
    pub meter: metrics::Meter,
}

/// The three histograms of the same requests, and how many are in flight.
#[derive(Debug)]
pub struct Server {
    stable: Seconds,
    exponential: Seconds,
    article: Seconds,
    /// Requests in flight.
    pub active: UpDownCounter<i64>,
}

impl Server {
    /// Records a request in all three.
    pub fn record(
        &self,
        context: &Context,
        seconds: f64,
        stable: &[KeyValue],
        article: &[KeyValue],
    ) {
        self.stable.record_in(context, seconds, stable);
        self.exponential.record_in(context, seconds, stable);
        self.article.record_in(context, seconds, article);
    }
}

/// Gives the exponential histogram its aggregation.
pub(super) fn exponential_view(instrument: &Instrument) -> Option<Stream> {
    (instrument.name() == names::SERVER_DURATION_EXPONENTIAL)
        .then(|| Stream::builder().with_aggregation(EXPONENTIAL).build().ok())
        .flatten()
}

impl Instruments {
    pub(super) fn new(meter: metrics::Meter, reservoir: &Arc<Reservoir>) -> Instruments {
        let seconds = |name, bounds| seconds(&meter, reservoir, name, bounds);
        let count = |name, unit: &'static str| meter.u64_counter(name).with_unit(unit).build();
        let level =
            |name, unit: &'static str| meter.i64_up_down_counter(name).with_unit(unit).build();
        Instruments {
            server: Server {
                stable: seconds(names::SERVER_DURATION, Buckets::Explicit(STABLE_BOUNDS)),
                exponential: seconds(names::SERVER_DURATION_EXPONENTIAL, Buckets::Exponential),
                article: seconds(names::ARTICLE_DURATION, Buckets::Explicit(ARTICLE_BOUNDS)),
                active: level(names::ACTIVE_REQUESTS, "{request}"),
            },
            client: seconds(names::CLIENT_DURATION, Buckets::Explicit(STABLE_BOUNDS)),
            rpc_server: seconds(names::RPC_SERVER_DURATION, Buckets::Explicit(STABLE_BOUNDS)),
            rpc_client: seconds(names::RPC_CLIENT_DURATION, Buckets::Explicit(STABLE_BOUNDS)),
            database: seconds(names::DB_DURATION, Buckets::Explicit(DB_BOUNDS)),
            pool_wait: seconds(names::POOL_WAIT, Buckets::Explicit(DB_BOUNDS)),
            pool_use: seconds(names::POOL_USE, Buckets::Explicit(DB_BOUNDS)),
            pool_timeouts: count(names::POOL_TIMEOUTS, "{timeout}"),
            pool_pending: level(names::POOL_PENDING, "{request}"),
            process: seconds(names::PROCESS_DURATION, Buckets::Explicit(STABLE_BOUNDS)),
            sent: count(names::MESSAGES_SENT, "{message}"),
            consumed: count(names::MESSAGES_CONSUMED, "{message}"),
            duplicates: count(names::DUPLICATES, "{message}"),
            cache_lookups: count(names::CACHE_LOOKUPS, "{lookup}"),
            rejected: count(names::REJECTED, "{request}"),
            meter: meter.clone(),
        }
    }

    /// Time and memory of what the instance runs in, looked at with each export.
    pub fn observe_usage(&self, meter: Meter) {
        let of_cpu = meter.clone();
        let cpu = self.meter.f64_observable_counter(names::PROCESS_CPU).with_unit("s");
        let _ = cpu
            .with_callback(move |observer| {
                let Some(cpu) = of_cpu.cpu() else { return };
                for (mode, seconds) in [("user", cpu.user_s), ("system", cpu.system_s)] {
                    observer.observe(seconds, &[KeyValue::new("cpu.mode", mode)]);
                }
            })
            .build();
        if meter.memory_bytes().is_none() {
            return;
        }
        let memory = self.meter.i64_observable_up_down_counter(names::PROCESS_MEMORY);
        let _ = memory
            .with_unit("By")
            .with_callback(move |observer| {
                let bytes = meter.memory_bytes().and_then(|bytes| i64::try_from(bytes).ok());
                bytes.into_iter().for_each(|bytes| observer.observe(bytes, &[]));
            })
            .build();
    }

    /// A gauge that is asked for its values at each export.
    pub fn gauge<F>(&self, name: &'static str, unit: &'static str, observe: F)
    where
        F: Fn(&mut dyn FnMut(i64, Vec<KeyValue>)) + Send + Sync + 'static,
    {
        let gauge = self.meter.i64_observable_gauge(name).with_unit(unit);
        let _ = gauge
            .with_callback(move |observer| {
                observe(&mut |value, attributes| observer.observe(value, &attributes));
            })
            .build();
    }
}

fn seconds(
    meter: &metrics::Meter,
    reservoir: &Arc<Reservoir>,
    name: &'static str,
    buckets: Buckets,
) -> Seconds {
    let histogram = meter.f64_histogram(name).with_unit("s");
    let histogram = match buckets {
        Buckets::Explicit(bounds) => histogram.with_boundaries(bounds.to_vec()),
        Buckets::Exponential => histogram,
    };
    Seconds { name, buckets, histogram: histogram.build(), reservoir: reservoir.clone() }
}
