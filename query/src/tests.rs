//! Tests of the attribute mechanism over hand-made files and live batches.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod damaged;
mod differential;
mod explain;
mod fixture;
mod large;
mod newest;
mod one_trace;
mod settled;
