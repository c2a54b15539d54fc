//! The whole system against a receiver of telemetry: what arrives, and that nothing else does.

mod customer;
mod end_to_end;
mod integration;
mod scaling;
