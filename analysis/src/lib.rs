//! What the spans of a trace say: where its time went, who called whom, where its errors began.
//!
//! [`kernel::Kernel`] takes the spans of one trace and says for each what is not written in it: its
//! place in the tree, its own time, its share of the critical path, whom it called, which part it
//! had in an error. It is a pure function: no IO, no clock, no randomness, and the order of the
//! input changes nothing.
//!
//! The other modules are the formulas of the views over many traces: plain numbers in, plain numbers
//! out. What is random in them ([`bootstrap`]) follows from a seed.
#![warn(missing_docs)]

pub mod bootstrap;
pub mod breakdown;
pub mod causes;
pub mod compare;
pub mod detectors;
pub mod diff;
pub mod facts;
mod hash;
pub mod kernel;
pub mod normalize;
pub mod path_times;
pub mod random;
pub mod sampling;
pub mod span;
pub mod stats;
pub mod symbols;
pub mod tail;

pub use facts::{Category, Edge, EdgeKind, ErrorRole, NodeKind, SpanFacts, TraceFacts};
pub use kernel::{
    ErrorPath, Kernel, Options, Pattern, PatternRule, Piece, PieceKind, SkewMode, Window,
    WindowBuilder,
};
pub use span::{Kind, Link, Span, Status, Target};
pub use symbols::{Symbol, Symbols};

#[cfg(test)]
mod tests;
