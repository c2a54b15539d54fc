//! What the processes of a run use.

use std::fmt::Write as _;

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
    /// Its part of the memory: what processes share, as their program, is divided among them.
    pub share_bytes: u64,
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
        share_bytes: meter.share_bytes()?,
        cpu_seconds: meter.cpu()?.total_s(),
    })
}

/// A line for each process, and one for all of several.
pub fn footprint_table(usage: &[Usage]) -> String {
    let mut table = String::new();
    let mut line = |cells: [&str; 5]| {
        let [name, pid, resident, share, cpu] = cells;
        // Text takes whatever is written.
        let _ = writeln!(table, "{name:<24} {pid:>8} {resident:>12} {share:>10} {cpu:>9}");
    };
    let mb = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    let seconds = |seconds: f64| format!("{seconds:.2}");
    line(["process", "pid", "resident MB", "share MB", "cpu s"]);
    for one in usage {
        let (resident, share) = (mb(one.resident_bytes), mb(one.share_bytes));
        line([&one.name, &one.pid.to_string(), &resident, &share, &seconds(one.cpu_seconds)]);
    }
    if usage.len() > 1 {
        // What they share is resident in each of them, so those figures have no sum.
        let share = mb(usage.iter().map(|one| one.share_bytes).sum());
        line(["all", "", "", &share, &seconds(usage.iter().map(|one| one.cpu_seconds).sum())]);
    }
    table
}
