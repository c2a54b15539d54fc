//! What the processes of a run use.

use crate::usage::Meter;

/// What one process uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Usage {
    /// The instance, or `all` where all of them are one process.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Memory that is resident.
    pub resident_bytes: u64,
    /// Time on processors since it started.
    pub cpu_seconds: f64,
}

/// Measures processes. Those that are gone are left out.
pub(super) fn measure(processes: &[(String, u32)]) -> Vec<Usage> {
    processes.iter().filter_map(|(name, pid)| usage(name, *pid)).collect()
}

fn usage(name: &str, pid: u32) -> Option<Usage> {
    let meter = Meter::of_process(pid);
    Some(Usage {
        name: name.to_owned(),
        pid,
        resident_bytes: meter.memory_bytes()?,
        cpu_seconds: meter.cpu()?.total_s(),
    })
}
