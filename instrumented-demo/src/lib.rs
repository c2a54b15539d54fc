//! A microservice system that sends OpenTelemetry data, with faults whose culprits are known.

pub mod autoscale;
pub mod chaos;
pub mod faults;
pub mod identity;
pub mod load;
pub mod proxy;
pub mod resilience;
pub mod scenarios;
pub mod truth;
