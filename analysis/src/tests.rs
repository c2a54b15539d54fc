//! Tests of the kernel: the examples of the definitions as pictures, and laws over random traces.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod categories;
mod clocks;
mod errors;
mod huge;
mod laws;
mod map;
mod oracle;
mod order_trace;
mod paths;
mod patterns;
mod picture;
mod preparation;
mod random;
mod segments;
