//! The contracts of the wire, and how errors are told apart.

mod contract;
mod unit;
