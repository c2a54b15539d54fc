//! A microservice system that sends OpenTelemetry data, with faults whose culprits are known.

pub mod faults;
pub mod resilience;
