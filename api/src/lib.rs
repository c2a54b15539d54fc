//! What a screen can ask and what it is told: plain types, times, the HTTP client. No Arrow.
#![warn(missing_docs)]

pub mod ask;
pub mod client;
pub mod sql;
pub mod time;
pub mod views;
