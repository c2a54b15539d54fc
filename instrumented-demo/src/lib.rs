//! A microservice system that sends OpenTelemetry data, with faults whose culprits are known.

// So that files shared with `tests/` name this crate as those do.
#[cfg(test)]
extern crate self as instrumented_demo;

pub mod autoscale;
pub mod chaos;
pub mod db;
pub mod faults;
pub mod identity;
pub mod load;
pub mod proxy;
pub mod resilience;
pub mod roles;
pub mod run;
pub mod scenarios;
pub mod sim;
pub mod telemetry;
#[cfg(test)]
mod test_collector;
pub mod topology;
pub mod truth;
pub mod usage;
pub mod wire;
