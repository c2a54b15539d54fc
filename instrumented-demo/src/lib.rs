//! A microservice system that sends OpenTelemetry data, with faults whose culprits are known.

pub mod scenarios;
pub mod sim;
pub mod truth;
