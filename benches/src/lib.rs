//! The load that otlake's figures are measured with: OTLP requests made of templates, sent over
//! gRPC or HTTP, counted, and compared with what SQL finds afterwards.
//!
//! The binary `load` sends them to a running server; the criterion benches take the same requests
//! straight into the crates; `benches/report` prints the figures of the design page.
#![warn(missing_docs)]

pub mod fill;
mod load;
mod model;
mod template;
mod wire;

pub use load::{Load, Report, run};
pub use template::Template;
pub use wire::{Door, sql};
