//! One query's share of the engine's memory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use datafusion::common::{Result, resources_datafusion_err};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// Delegates to the common pool and stops at a limit of its own.
#[derive(Debug)]
pub(crate) struct QueryPool {
    common: Arc<dyn MemoryPool>,
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

impl QueryPool {
    pub(crate) fn new(common: Arc<dyn MemoryPool>, limit_bytes: usize) -> QueryPool {
        QueryPool { common, limit_bytes, used_bytes: AtomicUsize::new(0) }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query pool of {} bytes", self.limit_bytes)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }
    fn register(&self, consumer: &MemoryConsumer) {
        self.common.register(consumer);
    }
    fn unregister(&self, consumer: &MemoryConsumer) {
        self.common.unregister(consumer);
    }
    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used_bytes.fetch_add(additional, Relaxed);
        self.common.grow(reservation, additional);
    }
    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used_bytes.fetch_sub(shrink, Relaxed);
        self.common.shrink(reservation, shrink);
    }
    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let used = self.used_bytes.fetch_add(additional, Relaxed) + additional;
        let grown = if used > self.limit_bytes {
            Err(resources_datafusion_err!(
                "the query needs more than its {} bytes of memory for {}",
                self.limit_bytes,
                reservation.consumer().name()
            ))
        } else {
            self.common.try_grow(reservation, additional)
        };
        if grown.is_err() {
            self.used_bytes.fetch_sub(additional, Relaxed);
        }
        grown
    }
    fn reserved(&self) -> usize {
        self.used_bytes.load(Relaxed)
    }
    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit_bytes)
    }
}
