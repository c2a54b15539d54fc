//! Questions over a snapshot: read-only SQL on DataFusion, the attribute mechanism, the HTTP API.
//!
//! [`Engine::sql`] is the only entrance: text, guard, plan, stream. Everything else is what a table
//! is ([`mod@table`]), how `attributes['k']` reaches a column ([`mod@attributes`]), what SQL can
//! call ([`mod@functions`]), and how answers travel ([`server`]).
#![warn(missing_docs)]

mod attributes;
mod change;
mod completion;
pub mod encode;
mod engine;
mod error;
mod filter;
mod functions;
mod guard;
mod limits;
mod series;
pub mod server;
mod system;
mod table;
mod traces;
mod views;

#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineConfig, Running};
pub use error::QueryError;
pub use limits::GuardLimits;
