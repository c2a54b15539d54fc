//! Durable, queryable telemetry: WAL, live rows, Parquet files, catalog, snapshots, retention.
//!
//! A request's bytes go into the WAL and are synced before [`Store::append`] returns; its decoded
//! rows are visible in every [`Snapshot`] taken afterwards. Generations of live rows become sorted
//! Parquet files, committed to the catalog together with the WAL range they cover. This crate knows
//! no OTLP: decoding is a function handed in at [`Store::open`].
#![warn(missing_docs)]

mod bloom;
mod buffer;
mod catalog;
mod clock;
mod config;
mod dedupe;
mod durable;
mod error;
mod flush;
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod layout;
mod lock;
mod order;
mod parquet_file;
mod recovery;
mod rejects;
mod request;
mod retention;
mod rows;
mod scrub;
mod snapshot;
mod stats;
mod store;
mod sweep;
#[cfg(test)]
mod tests;
mod upkeep;
mod verify;
mod wal;

pub use bloom::Blooms;
pub use catalog::facts::{Bound, ColumnFacts, DataFile, NewFile, Promotion};
pub use config::{DiskLimits, StoreConfig};
pub use error::StorageError;
pub use keys::AttributeKey;
pub use order::{SortKey, sort_rows};
pub use request::{Append, Appended, Encoding, Fingerprint, Replay, Replayed};
pub use rows::{memory_bytes, union_schema};
pub use scrub::Scrubbed;
pub use snapshot::{DataLoss, Snapshot};
pub use stats::StoreStats;
pub use store::Store;
pub use verify::{Finding, VerifyReport, check_file, verify_dir};
