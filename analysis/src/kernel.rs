//! The kernel: one pass over the spans of one trace.

use crate::facts::{SpanFacts, TraceFacts};
use crate::span::{Link, Span};
use crate::symbols::{Symbol, Symbols};

/// How the kernel reads a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Overlap of siblings on the path that is forgiven, in nanoseconds.
    pub tolerance_ns: i64,
    /// The same as a share of the parent; the larger one counts.
    pub tolerance_share: f64,
    /// How clocks are corrected.
    pub skew: SkewMode,
    /// A larger correction than this is refused.
    pub skew_max_ns: i64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            tolerance_ns: 0,
            tolerance_share: 0.01,
            skew: SkewMode::Window,
            skew_max_ns: 10_000_000_000,
        }
    }
}

/// How clocks are corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkewMode {
    /// Not at all.
    Off,
    /// From the trace alone.
    Trace,
    /// From all calls of the minute between the same hosts, else from the trace.
    Window,
}

/// One run after another; buffers are kept between runs.
#[derive(Debug, Default)]
pub struct Kernel {
    symbols: Symbols,
    facts: Vec<SpanFacts>,
}

impl Kernel {
    /// A kernel with empty tables.
    pub fn new(_: Options) -> Kernel {
        Kernel::default()
    }

    /// The texts that spans refer to.
    pub fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The same, to add texts.
    pub fn symbols_mut(&mut self) -> &mut Symbols {
        &mut self.symbols
    }

    /// Runs over the spans of one trace, in any order.
    pub fn run(&mut self, _trace_id: u128, spans: &[Span], _links: &[Link]) -> TraceFacts {
        self.facts.clear();
        self.facts.resize(spans.len(), SpanFacts { peer: Symbol::NONE, ..SpanFacts::default() });
        TraceFacts::default()
    }

    /// Of the last run, one for each input span.
    pub fn facts(&self) -> &[SpanFacts] {
        &self.facts
    }
}
