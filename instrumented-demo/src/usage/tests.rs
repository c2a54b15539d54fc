//! The texts of `/proc`, and a look at ourselves.

use super::*;

#[test]
fn unit_times_are_counted_behind_the_name() {
    let stat = "77 (a) b (c) S 1 77 77 0 -1 4194304 6 0 0 0 250 50 3 4 20 0 5 0 1 2 3";
    assert_eq!(cpu(stat), Some(Cpu { user_s: 2.5, system_s: 0.5 }));
    for broken in ["", "77 (a) S 1", "77 (a) S 1 77 77 0 -1 4194304 6 0 0 0 x 50"] {
        assert_eq!(cpu(broken), None, "{broken}");
    }
}

#[test]
fn unit_memory_is_read_from_its_line() {
    let status = "Name:\totlake\nVmPeak:\t  900 kB\nVmRSS:\t     128 kB\nThreads:\t3\n";
    assert_eq!(kib_line(status, "VmRSS:"), Some(128 * 1024));
    assert_eq!(kib_line(status, "Pss:"), None);
    assert_eq!(kib_line("VmRSS: 1 MB", "VmRSS:"), None);
}

#[test]
fn unit_a_process_has_memory_and_a_thread_has_none() {
    let process = Meter::of_process(std::process::id());
    assert!(process.memory_bytes().is_some_and(|bytes| bytes > 1 << 20));
    assert!(process.share_bytes().is_none_or(|bytes| bytes > 1 << 20));
    let thread = Meter::of_this_thread().expect("a thread can be looked at");
    assert_eq!(thread.memory_bytes(), None);
    let (of_thread, of_process) = (thread.cpu().expect("time"), process.cpu().expect("time"));
    assert!(of_thread.total_s() <= of_process.total_s());
}
