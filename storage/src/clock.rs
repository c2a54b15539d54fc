//! Time as a handle: the wall clock and the monotonic one, or both set by hand in tests.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the store reads the time.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The machine's clocks; the instant is when the process opened the store.
    System(Instant),
    /// Set by a test.
    #[cfg(test)]
    Manual(std::sync::Arc<Manual>),
}

impl Clock {
    pub(crate) fn system() -> Clock {
        Clock::System(Instant::now())
    }

    /// Nanoseconds since the Unix epoch, as the wall clock has it.
    pub(crate) fn wall_ns(&self) -> i64 {
        match self {
            Clock::System(_) => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)),
            #[cfg(test)]
            Clock::Manual(manual) => manual.wall_ns.load(std::sync::atomic::Ordering::SeqCst),
        }
    }

    /// Time since some fixed moment of this process; never jumps.
    pub(crate) fn monotonic(&self) -> Duration {
        match self {
            Clock::System(start) => start.elapsed(),
            #[cfg(test)]
            Clock::Manual(manual) => {
                Duration::from_nanos(manual.monotonic_ns.load(std::sync::atomic::Ordering::SeqCst))
            }
        }
    }
}

/// The hands of a test's clock.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Manual {
    pub(crate) wall_ns: std::sync::atomic::AtomicI64,
    pub(crate) monotonic_ns: std::sync::atomic::AtomicU64,
}

#[cfg(test)]
impl Manual {
    /// Lets time pass on both clocks.
    pub(crate) fn advance(&self, by: Duration) {
        use std::sync::atomic::Ordering::SeqCst;
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.wall_ns.fetch_add(i64::try_from(ns).unwrap_or(i64::MAX), SeqCst);
        self.monotonic_ns.fetch_add(ns, SeqCst);
    }
}
