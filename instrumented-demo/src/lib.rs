//! A microservice system that sends OpenTelemetry data, with faults whose culprits are known.

pub mod faults;
pub mod resilience;
pub mod telemetry;
pub mod topology;
pub mod db;
pub mod roles;
pub mod wire;
