//! A small shop with known answers: traces, logs and metrics of its services from a seed, and what
//! a right analysis must find in them.
//!
//! Seven services in several replicas, a database each, a topic, and a payment provider that sends
//! no spans. Each request is a plan first: a tree of steps with durations. The plan is laid
//! out in time for the telemetry, and counted for the [`Truth`]; so what is true is known before
//! there is a span. Calls follow each other or run in parallel with a clear winner, some fail and
//! are tried again, messages are handled after their producer has ended.
//!
//! In the last third of the time one [`Fault`] may act. Nothing in the telemetry names it.

mod attributes;
mod layout;
mod metrics;
mod plan;
mod story;
#[cfg(test)]
mod tests;
mod topology;
mod truth;

use std::collections::{BTreeMap, VecDeque};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub use truth::{
    Category, Culprit, Edge, EdgeTruth, ErrorOrigin, ErrorTruth, Harm, Operation, RootTruth,
    Subject, TraceTruth, Truth, USER,
};

use layout::Laid;
use metrics::Meters;
use plan::Plan;
use story::Story;
use topology::Fleet;

const MINUTE_NS: u64 = 60_000_000_000;
/// Time between two exports of an instance.
const EXPORT_NS: u64 = 10_000_000_000;
/// Records of one request, as an SDK's batch processor sends them.
const RECORDS_MAX: usize = 512;
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// How big a shop, when, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShopOptions {
    /// The same seed and options make the same bytes; a fault changes only its own third.
    pub seed: u64,
    /// Start of the first request, nanoseconds since the epoch.
    pub start_ns: u64,
    /// How long customers come.
    pub minutes: u32,
    /// How many come: exactly so many, at a random time within their share of the minute.
    pub requests_per_minute: u32,
    /// Hosts that the instances are spread over; all have the same clock.
    pub hosts: u32,
    /// What is wrong in the last third of the time.
    pub fault: Option<Fault>,
}

impl Default for ShopOptions {
    /// A quarter of an hour at two requests a second on one host, with nothing wrong.
    fn default() -> ShopOptions {
        ShopOptions {
            seed: 1,
            start_ns: 1_748_779_200_000_000_000,
            minutes: 15,
            requests_per_minute: 120,
            hosts: 1,
            fault: None,
        }
    }
}

impl ShopOptions {
    /// Customers in all.
    pub fn requests(&self) -> u64 {
        u64::from(self.minutes) * u64::from(self.requests_per_minute)
    }

    /// When the last minute ends, nanoseconds since the epoch.
    pub fn end_ns(&self) -> u64 {
        self.start_ns + u64::from(self.minutes) * MINUTE_NS
    }

    /// When the fault begins to act on new requests, nanoseconds since the epoch.
    pub fn fault_from_ns(&self) -> u64 {
        self.start_ns + u64::from(self.minutes) * MINUTE_NS / 3 * 2
    }
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The database of `payment` takes 80 ms longer for 60 % of the inserts.
    SlowDependency,
    /// The way from `order` to `payment` takes 40 ms longer in each direction.
    SlowNetwork,
    /// Two of three replicas of `pricing` get version 1.4.1, which takes 60 ms longer.
    SlowService,
    /// `payment` fails by itself in 35 % of the charges.
    ErrorsAt,
    /// `payment` refuses 60 % of the charges, and `order` tries up to four times without a pause.
    RetryStorm,
    /// `inventory` asks its database once for each of 8 to 20 items.
    NPlusOne,
    /// One of three replicas of `user` takes 50 ms longer.
    BadInstance,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 7] = [
        Fault::SlowDependency,
        Fault::SlowNetwork,
        Fault::SlowService,
        Fault::ErrorsAt,
        Fault::RetryStorm,
        Fault::NPlusOne,
        Fault::BadInstance,
    ];

    /// Its name in commands.
    pub fn name(self) -> &'static str {
        match self {
            Fault::SlowDependency => "slow-dependency",
            Fault::SlowNetwork => "slow-network",
            Fault::SlowService => "slow-service",
            Fault::ErrorsAt => "errors-at",
            Fault::RetryStorm => "retry-storm",
            Fault::NPlusOne => "n-plus-one",
            Fault::BadInstance => "bad-instance",
        }
    }

    /// The place to blame, the harm, and the attribute that tells the bad part from the good one.
    fn blame(self) -> (Subject, Harm, Option<(&'static str, &'static str)>) {
        let edge = |from, to| Subject::Edge(Edge { from, to });
        match self {
            Fault::SlowDependency => (edge("payment", "sqlite:payment"), Harm::Latency, None),
            Fault::SlowNetwork => (edge("order", "payment"), Harm::Latency, None),
            Fault::SlowService => {
                let version = Some(("service.version", topology::SLOW_VERSION));
                (Subject::Service("pricing"), Harm::Latency, version)
            }
            Fault::ErrorsAt | Fault::RetryStorm => (Subject::Service("payment"), Harm::Error, None),
            Fault::NPlusOne => {
                let query = Some(("db.query.summary", topology::SELECT_STOCK.summary));
                (Subject::Service("inventory"), Harm::Latency, query)
            }
            Fault::BadInstance => {
                let instance = Some(("service.instance.id", topology::BAD_INSTANCE));
                (Subject::Service("user"), Harm::Latency, instance)
            }
        }
    }
}

/// A whole shop in memory. A big one is better read from a [`Stream`].
#[derive(Clone, Debug, PartialEq)]
pub struct Shop {
    /// Everything that is sent, in the order in which it is.
    pub requests: Vec<Request>,
    /// What is to be found in it.
    pub truth: Truth,
}

/// One request of an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
    /// Data points.
    Metrics(ExportMetricsServiceRequest),
}

/// Makes a whole shop.
pub fn shop(options: ShopOptions) -> Shop {
    let mut stream = Stream::new(options);
    let requests = stream.by_ref().collect();
    Shop { requests, truth: stream.into_truth() }
}

/// The requests of a shop one after the other, made as they are asked for.
///
/// Instances export every ten seconds of the shop's time, spans and logs of the customers who came
/// in them, and metrics every minute. Requests of the very end reach a little beyond it; the last
/// collection of metrics has not seen those.
#[derive(Debug)]
pub struct Stream {
    options: ShopOptions,
    fleet: Fleet,
    meters: Meters,
    truth: Truth,
    ready: VecDeque<Request>,
    /// Customers who have come.
    served: u64,
    /// Start of the next ten seconds.
    now_ns: u64,
}

impl Stream {
    /// A shop that nobody has entered yet.
    pub fn new(options: ShopOptions) -> Stream {
        let culprit = options.fault.map(|fault| {
            let (subject, harm, attribute) = fault.blame();
            let window_ns = options.fault_from_ns()..options.end_ns();
            Culprit { subject, harm, attribute, window_ns, affected_traces: 0 }
        });
        Stream {
            options,
            fleet: Fleet::new(&options),
            meters: Meters::default(),
            truth: Truth { culprit, ..Truth::default() },
            ready: VecDeque::new(),
            served: 0,
            now_ns: options.start_ns,
        }
    }

    /// What is true of all requests taken so far and of those that wait to be taken.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The same, at the end.
    pub fn into_truth(self) -> Truth {
        self.truth
    }

    /// Everything that happens in the next ten seconds.
    fn advance(&mut self) {
        self.now_ns += EXPORT_NS;
        let mut spans: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
        let mut logs: BTreeMap<usize, Vec<LogRecord>> = BTreeMap::new();
        while self.served < self.options.requests() && self.slot_ns(self.served) < self.now_ns {
            self.serve(&mut spans, &mut logs);
        }
        for (instance, spans) in spans {
            let requests = spans.chunks(RECORDS_MAX).map(|c| traces(&self.fleet, instance, c));
            self.ready.extend(requests.map(Request::Traces));
        }
        for (instance, logs) in logs {
            let requests = logs.chunks(RECORDS_MAX).map(|c| log_records(&self.fleet, instance, c));
            self.ready.extend(requests.map(Request::Logs));
        }
        if (self.now_ns - self.options.start_ns).is_multiple_of(MINUTE_NS) {
            let collected = self.meters.collect(&self.fleet, self.now_ns);
            self.ready.extend(collected.into_iter().map(Request::Metrics));
        }
    }

    /// When a customer's share of the time begins.
    fn slot_ns(&self, customer: u64) -> u64 {
        let since_ns = u128::from(customer) * u128::from(MINUTE_NS)
            / u128::from(self.options.requests_per_minute.max(1));
        self.options.start_ns + u64::try_from(since_ns).unwrap_or(u64::MAX / 2)
    }

    /// Serves the next customer.
    fn serve(
        &mut self,
        spans: &mut BTreeMap<usize, Vec<Span>>,
        logs: &mut BTreeMap<usize, Vec<LogRecord>>,
    ) {
        // A generator for each, so that a fault changes no other customer.
        let mixed = self.options.seed ^ self.served.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut rng = StdRng::seed_from_u64(mixed);
        let slot_ns = self.slot_ns(self.served);
        let start_ns = rng.random_range(slot_ns..self.slot_ns(self.served + 1).max(slot_ns + 1));
        self.served += 1;
        let fault = self.options.fault.filter(|_| start_ns >= self.options.fault_from_ns());
        let mut story = Story { rng: &mut rng, fleet: &self.fleet, fault, is_affected: false };
        let plan = story.request();
        let is_affected = story.is_affected;
        let laid = layout::lay_out(&plan, start_ns, &mut rng);
        self.truth.count(&laid, is_affected);
        self.meters.record(laid.measurements);
        laid.spans.into_iter().for_each(|(i, span)| spans.entry(i).or_default().push(span));
        laid.logs.into_iter().for_each(|(i, log)| logs.entry(i).or_default().push(log));
    }
}

impl Iterator for Stream {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        while self.ready.is_empty() && self.now_ns < self.options.end_ns() {
            self.advance();
        }
        self.ready.pop_front()
    }
}

impl Truth {
    /// Counts the traces of one request in.
    fn count(&mut self, laid: &Laid<'_>, is_affected: bool) {
        for (nth, (trace_id, root, start_ns)) in laid.traces.iter().enumerate() {
            // The fault acts on the request, not on what is done for it later.
            let is_affected = is_affected && nth == 0;
            let trace = TraceTruth {
                trace_id: *trace_id,
                root: operation(root),
                start_ns: *start_ns,
                duration_ns: root.duration_ns(),
                is_error: root.failure.is_some(),
                is_affected,
            };
            self.add(root, trace);
            if let Some(culprit) = &mut self.culprit {
                culprit.affected_traces += u64::from(is_affected);
            }
        }
    }
}

fn operation(plan: &Plan) -> Operation {
    Operation { service: plan.service.name(), name: plan.name() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "shop.telemetry".to_owned(),
        version: "1.2.0".to_owned(),
        ..InstrumentationScope::default()
    }
}

fn traces(fleet: &Fleet, instance: usize, spans: &[Span]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(fleet.get(instance).resource()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans: spans.to_vec(),
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    }
}

fn log_records(fleet: &Fleet, instance: usize, logs: &[LogRecord]) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(fleet.get(instance).resource()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: logs.to_vec(),
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    }
}
