//! What tests share: OTLP data made from a seed, a shop with known answers, hand-written examples,
//! and equality of requests.
//!
//! It knows OTLP's messages and nothing of ours that changes them, so that a test of the collector
//! compares with something the collector had no part in.
#![warn(missing_docs)]

pub mod compare;
pub mod examples;
pub mod otlp;
pub mod shop;
