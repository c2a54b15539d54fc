//! What a thread or a process uses, as the system tells it in `/proc`.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::PathBuf;

/// Ticks in a second, as `/proc` counts: the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Time on processors, in seconds since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cpu {
    /// In the program itself.
    pub user_s: f64,
    /// In the system, on its behalf.
    pub system_s: f64,
}

impl Cpu {
    /// Both together.
    pub fn total_s(self) -> f64 {
        self.user_s + self.system_s
    }
}

/// A thread or a process that can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    folder: PathBuf,
    /// Threads share their memory, so that of one is not known.
    has_memory: bool,
}

impl Meter {
    /// The process with this id.
    pub fn of_process(pid: u32) -> Meter {
        Meter { folder: format!("/proc/{pid}").into(), has_memory: true }
    }

    /// The thread that asks; nothing where the system does not tell.
    pub fn of_this_thread() -> Option<Meter> {
        let thread = fs::read_link("/proc/thread-self").ok()?;
        Some(Meter { folder: PathBuf::from("/proc").join(thread), has_memory: false })
    }

    /// Its time on processors; nothing once it is gone.
    pub fn cpu(&self) -> Option<Cpu> {
        cpu(&fs::read_to_string(self.folder.join("stat")).ok()?)
    }

    /// Its resident memory; nothing for a thread, and once it is gone.
    pub fn memory_bytes(&self) -> Option<u64> {
        if !self.has_memory {
            return None;
        }
        kib_line(&fs::read_to_string(self.folder.join("status")).ok()?, "VmRSS:")
    }

    /// Its part of the memory: what it shares with other processes, as their program, is divided
    /// among them.
    pub fn share_bytes(&self) -> Option<u64> {
        if !self.has_memory {
            return None;
        }
        kib_line(&fs::read_to_string(self.folder.join("smaps_rollup")).ok()?, "Pss:")
    }
}

/// The name may hold spaces and parentheses, so fields are counted behind its end.
fn cpu(stat: &str) -> Option<Cpu> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let mut seconds = || Some(times.next()?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(Cpu { user_s: seconds()?, system_s: seconds()? })
}

/// The bytes of a line such as `VmRSS:  128 kB`.
fn kib_line(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
