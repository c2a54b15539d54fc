//! Tests of the kernel: the examples of the definitions as pictures, and laws over random traces.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod order_trace;
mod picture;
