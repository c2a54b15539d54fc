//! What a row is: the tables of otlake, column by column, and the names that SQL gives to OTLP.
//!
//! This crate is the only place where a column name stands as a literal. The Arrow schema of a live
//! batch, the encodings of a Parquet file, the DuckDB views and the SQL reference are all read off
//! the tables below. It knows Arrow types and nothing else: no IO, no engine, no OTLP messages.
#![warn(missing_docs)]

pub mod attributes;
mod batch;
pub mod columns;
pub mod derived;
mod exemplars;
pub mod ids;
pub mod json;
mod logs;
mod metrics;
pub mod semantic;
mod spans;
mod table;
#[cfg(test)]
mod tests;
pub mod version;

pub use batch::{Batch, KeyFacts, KeySet, Keys, type_bits};
pub use columns::{Column, Encoding, Kind, Statistics};
pub use table::{Signal, Table};
