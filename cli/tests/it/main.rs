//! The product as its users see it: the built binary, its ports, its files, its output.
//!
//! This is the only integration binary of the workspace, so that the engine is linked once.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cancel;
mod cli;
mod demo;
mod documents;
mod explorer;
mod ingest;
mod prompt;
mod restart;
mod screens;
mod shop;
mod slt;
mod support;
mod transfer;
mod views;
