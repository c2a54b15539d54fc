//! Turns the many small files of a closed window into few sorted ones.
//!
//! A flush writes a file about once a minute; once a window is closed and its last generation has
//! been flushed, its files are merged. [`plan`] chooses what to merge and knows no IO, [`merge`]
//! brings their rows into order, [`conserve`] refuses an output that lost or gained a row, [`run`] drives them
//! beside ingest. A merge replaces its inputs in one catalog transaction or not at all, so that it
//! can be stopped anywhere.
#![warn(missing_docs)]

mod conserve;
mod error;
mod merge;
mod plan;
mod run;

pub use error::CompactError;
pub use plan::Policy;
pub use run::{Compacted, compact_once, run};

#[cfg(test)]
#[allow(clippy::unwrap_used)] // only tests build rows by hand
mod rows;
