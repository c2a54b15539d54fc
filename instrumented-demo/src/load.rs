//! The customers: which requests come when, decided before the run, and sent at those times however
//! slow the answers are.
//!
//! An open loop. A customer who waits before asking again sends less to a slow system and hides its
//! queue; these do not wait, and latency counts from the moment at which a request was meant to be
//! sent. What cannot be sent because too many are under way is counted, not postponed.

mod arrivals;
mod plan;
mod report;
mod request;
mod runner;
mod zipf;

pub use arrivals::{Surge, Traffic};
pub use plan::{Change, Item, Options, Plan, Planned, Step};
pub use report::{Histogram, Report, Tally};
pub use runner::{Customers, run};
