//! The generator: requests of a made-up system as OTLP, the same bytes for the same seed, and beside
//! them the exact answers to what can be asked of them.
//!
//! There are no sockets and no clock. Request `n` is a function of seed and `n` alone, so threads
//! change nothing; spans go straight into protobuf. A [`Preset`] says which system it is; on the shop,
//! which is the demo's own, a scenario may act.

mod answers;
mod args;
mod catalog;
mod chain;
mod course;
mod dirt;
mod encode;
mod failure;
mod fetch;
mod mesh;
mod metrics;
mod random;
mod schedule;
mod shop;
mod sink;
mod skew;
mod stream;
#[cfg(test)]
mod tests;
mod trace;
mod wire;
mod world;

use std::ops::Range;

use clap::ValueEnum;

pub use answers::{Answers, Edge, ErrorOrigin, Root};
pub use args::{Args, run};
pub use dirt::{Dirt, Rate, Rates};
pub use encode::Requests;
pub use sink::{Files, Nowhere, Sink};

use crate::scenarios::Scenario;
use crate::truth::Record;
use chain::Chain;
use course::Course;
use dirt::Dirty;
use fetch::Fetch;
use mesh::Mesh;
use schedule::{MINUTE_NS, Schedule};
use shop::Shop;
use skew::Skew;
use stream::Signals;
use world::World;

/// Of a case: warm-up, twice as long a baseline, twice as long a fault, recovery.
const FAULT_SIXTHS: Range<u64> = 3..5;
const SHOP_MINUTES: u64 = 6;
const CHAIN_REQUESTS: u64 = 6;
/// The scenario whose mechanism is the number of requests.
const MORE_TRAFFIC: u8 = 28;
/// One of a thousand of a billion, and how a span says so: `ot=th` is 2⁵⁶ · (1 − 1/1000) in hex.
const DAY_REQUESTS: u64 = 1_000_000;
const DAY_TRACE_STATE: &str = "ot=th:ffbe76c8b43958";

/// A signal of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Signal {
    /// Spans
    Traces,
    /// Log records
    Logs,
    /// Data points
    Metrics,
}

/// Which system sends the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// The demo's own services; the only one with scenarios, logs and metrics
    #[value(alias = "shop-13")]
    Shop,
    /// The shop over 24 hours, one of a thousand of a billion requests
    #[value(name = "day-1e9")]
    Day1e9,
    /// 500 services: entries, middle layers and many leaves, two to six levels deep
    #[value(name = "alibaba-500")]
    Alibaba500,
    /// 700 services behind a few entries
    #[value(name = "netflix-700")]
    Netflix700,
    /// 1,000 services in 40 domains; errors that nobody minds in 29 % of the good requests
    #[value(name = "uber-1000")]
    Uber1000,
    /// Four levels and thousands of spans to a request, one span to a call
    MetaFetch,
    /// Ten of 2,000 methods take 58 % of the calls, 1.1 % of the calls 89 % of the time
    RpcSkew,
    /// 10,000 levels, 100,000 children of one parent, a million spans in a trace
    DeepChain,
    /// A small system whose data is damaged in every way
    Dirty,
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which system.
    pub preset: Preset,
    /// What is wrong in it.
    pub scenario: Option<&'static Scenario>,
    /// The same seed makes the same bytes.
    pub seed: u64,
    /// Start of the first request, nanoseconds since 1970.
    pub start_ns: u64,
    /// For how long requests come; the preset's own length where it is left out.
    pub minutes: Option<u64>,
    /// How many requests there are; as many as the rate gives where it is left out.
    pub requests: Option<u64>,
    /// Requests a second.
    pub rate: u64,
    /// How often what kind of damage is done; of the preset `dirty` alone.
    pub rates: Rates,
    /// Threads that make them.
    pub threads: usize,
    /// What of it is sent.
    pub signals: Vec<Signal>,
}

impl Default for Options {
    /// Six minutes of the shop at 40 requests a second, with nothing wrong.
    fn default() -> Options {
        Options {
            preset: Preset::Shop,
            scenario: None,
            seed: 1,
            start_ns: 1_748_779_200_000_000_000,
            minutes: None,
            requests: None,
            rate: 40,
            rates: Rates::default(),
            threads: 1,
            signals: vec![Signal::Traces, Signal::Logs, Signal::Metrics],
        }
    }
}

/// What was generated.
#[derive(Debug)]
pub struct Summary {
    /// The exact answers.
    pub answers: Answers,
    /// The truth about the fault that was played.
    pub record: Option<Record>,
    /// Requests and records of each signal that were handed over.
    pub sent: Sent,
}

/// Counts of what was handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Export requests.
    pub requests: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Spans.
    pub spans: u64,
    /// Log records.
    pub log_records: u64,
    /// Data points.
    pub data_points: u64,
}

/// Why nothing could be generated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only the shop has scenarios.
    #[error("only the preset shop has scenarios; leave out --scenario or --preset")]
    NoScenarios,
    /// The target of the data failed.
    #[error("the data could not be handed over: {0:#}")]
    Sink(anyhow::Error),
}

/// Makes all data and hands it over in its order. Blocks the thread; nothing is synced.
pub fn generate(options: &Options, sink: &mut dyn Sink) -> Result<Summary, Error> {
    if options.scenario.is_some() && options.preset != Preset::Shop {
        return Err(Error::NoScenarios);
    }
    let world = options.world();
    let signals = options.signals();
    let mut course = Course::new(&*world, signals);
    let keeps_roots = options.scenario.is_some();
    let take = |block| course.take(block, sink);
    stream::for_each_block(&*world, signals, keeps_roots, options.threads, take)
        .map_err(Error::Sink)?;
    course.end(sink).map_err(Error::Sink)?;
    Ok(course.summary(options))
}

impl Options {
    /// Moves the start so that the last request comes at a time.
    pub fn end_at(&mut self, end_ns: u64) {
        self.start_ns = end_ns.saturating_sub(self.world().schedule().end_ns - self.start_ns);
    }

    fn signals(&self) -> Signals {
        let has = |signal| self.signals.contains(&signal);
        Signals {
            traces: has(Signal::Traces),
            logs: has(Signal::Logs),
            metrics: has(Signal::Metrics),
        }
    }

    fn world(&self) -> Box<dyn World> {
        match self.preset {
            Preset::Shop => Box::new(self.shop()),
            Preset::Alibaba500 => Box::new(Mesh::new(mesh::ALIBABA_500, self.even(SHOP_MINUTES))),
            Preset::Netflix700 => Box::new(Mesh::new(mesh::NETFLIX_700, self.even(SHOP_MINUTES))),
            Preset::Uber1000 => Box::new(Mesh::new(mesh::UBER_1000, self.even(SHOP_MINUTES))),
            Preset::MetaFetch => Box::new(Fetch::new(self.even(1))),
            Preset::RpcSkew => Box::new(Skew::new(self.even(SHOP_MINUTES))),
            Preset::DeepChain => Box::new(Chain::new(self.some(CHAIN_REQUESTS))),
            Preset::Dirty => Box::new(Dirty::new(self.even(SHOP_MINUTES), self.rates)),
            Preset::Day1e9 => {
                let requests = self.requests.unwrap_or(DAY_REQUESTS);
                let schedule = Schedule::day(self.seed, self.start_ns, requests);
                Box::new(Shop::new(schedule).sampled(DAY_TRACE_STATE))
            }
        }
    }

    /// Requests at the rate, for some minutes where nothing else was said.
    fn even(&self, minutes: u64) -> Schedule {
        let minutes = self.minutes.unwrap_or(minutes);
        self.some_in(minutes, minutes * 60 * self.rate)
    }

    /// So many requests in a minute where nothing else was said.
    fn some(&self, requests: u64) -> Schedule {
        self.some_in(self.minutes.unwrap_or(1), requests)
    }

    fn some_in(&self, minutes: u64, requests: u64) -> Schedule {
        let requests = self.requests.unwrap_or(requests);
        Schedule::even(self.seed, self.start_ns, minutes * MINUTE_NS, requests)
    }

    fn shop(&self) -> Shop {
        let schedule = self.even(SHOP_MINUTES);
        let (requests, len_ns) = (schedule.requests, schedule.end_ns - schedule.start_ns);
        let fault_ns = len_ns / 6 * FAULT_SIXTHS.start..len_ns / 6 * FAULT_SIXTHS.end;
        let Some(scenario) = self.scenario else {
            return Shop::new(schedule);
        };
        let factor = if scenario.id == MORE_TRAFFIC { 3 } else { 1 };
        let rest = requests - requests / 6 * 5;
        let sections = [
            (fault_ns.start, requests / 6 * 3),
            (fault_ns.end - fault_ns.start, requests / 6 * 2 * factor),
            (len_ns - fault_ns.end, rest),
        ];
        let schedule = Schedule::new(self.seed, self.start_ns, sections);
        let window_ns = self.start_ns + fault_ns.start..self.start_ns + fault_ns.end;
        Shop::new(schedule).with(scenario, window_ns)
    }
}

impl Preset {
    /// Its name in commands.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
