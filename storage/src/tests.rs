//! The whole store against a real directory: every acknowledged row is visible exactly once, and
//! nothing that a directory holds stops it from opening.
#![allow(clippy::unwrap_used)] // a test may stop at the first surprise

mod damage;
mod exactly_once;
mod files;
pub(crate) mod support;
