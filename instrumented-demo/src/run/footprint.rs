//! What processes use, as the system tells it.

use std::fs;

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

/// Ticks in a second, as `/proc` counts: the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Measures processes. Those that are gone are left out.
pub(super) fn measure(processes: &[(String, u32)]) -> Vec<Usage> {
    processes.iter().filter_map(|(name, pid)| usage(name, *pid)).collect()
}

fn usage(name: &str, pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(Usage {
        name: name.to_owned(),
        pid,
        resident_bytes: resident_bytes(&status)?,
        cpu_seconds: cpu_seconds(&stat)?,
    })
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// The name may hold spaces and parentheses, so fields are counted behind its end.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).take(2);
    let (user, system): (f64, f64) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}
