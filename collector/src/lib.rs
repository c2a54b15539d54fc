//! OTLP in, batches out: the doors, decoding, admission and answers.
//!
//! [`Collector`] opens two ports that both speak OTLP/gRPC and OTLP/HTTP. A request passes `listen` →
//! `grpc` or `http` → `body` (read within the byte budget of `admit`) → [`Intake`] (decompress, decode,
//! append, acknowledge) → `answers`. This crate knows neither the query engine nor the files.
#![warn(missing_docs)]

mod admit;
mod answers;
mod body;
mod config;
mod cors;
pub mod decode;
mod decompress;
mod doors;
pub mod export;
pub mod files;
mod grpc;
mod http;
mod intake;
mod intern;
mod listen;
pub mod rejects;
mod stats;
#[cfg(test)]
mod testing;

pub use answers::{Condition, Refusal, Retry, Row, TABLE};
pub use config::{CollectorConfig, Timeouts};
pub use decode::replay;
pub use intake::{Accepted, ExportOptions, Intake, Outcome};
pub use listen::{Collector, CollectorError};
pub use stats::{CollectorStats, ServiceSeen, Transport};
