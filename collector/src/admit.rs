//! Bytes in flight: one budget, taken before a body is read.
//!
//! A request charges what it is about to hold: its bytes on the wire, what they decompress to, the
//! rows being built. New requests live on three quarters of the budget; the last quarter is kept for
//! those already inside, so that half-read requests cannot block each other. Who finds no room waits
//! a moment, which slows the sender through flow control, and is refused only then.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The byte budget of a collector.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What anyone may take, first come first served.
    open: Arc<Semaphore>,
    /// What only requests inside may take.
    reserve: Arc<Semaphore>,
    capacity_bytes: usize,
    wait: Duration,
}

/// No room within the time a request may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

/// What one request holds of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    open: OwnedSemaphorePermit,
    reserve: Option<OwnedSemaphorePermit>,
    budget: Arc<Budget>,
}

impl Budget {
    pub(crate) fn new(capacity_bytes: usize, wait: Duration) -> Arc<Budget> {
        let capacity_bytes = capacity_bytes.min(Semaphore::MAX_PERMITS);
        let reserve = capacity_bytes / 4;
        Arc::new(Budget {
            open: Arc::new(Semaphore::new(capacity_bytes - reserve)),
            reserve: Arc::new(Semaphore::new(reserve)),
            capacity_bytes,
            wait,
        })
    }

    /// The largest single step that can ever be granted to a request inside.
    pub(crate) fn step_bytes_max(&self) -> usize {
        self.capacity_bytes / 4
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        self.capacity_bytes
    }

    pub(crate) fn in_flight_bytes(&self) -> usize {
        let free = self.open.available_permits() + self.reserve.available_permits();
        self.capacity_bytes.saturating_sub(free)
    }

    /// Lets a new request in, waiting for room no longer than `wait`.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        bytes: usize,
        wait: Duration,
    ) -> Result<Charge, NoRoom> {
        let open = Arc::clone(&self.open).acquire_many_owned(permits(bytes)?);
        match tokio::time::timeout(wait, open).await {
            Ok(Ok(open)) => Ok(Charge { open, reserve: None, budget: Arc::clone(self) }),
            Ok(Err(_)) | Err(_) => Err(NoRoom),
        }
    }
}

impl Charge {
    /// Takes more if that needs no waiting.
    pub(crate) fn try_grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let n = permits(bytes)?;
        let Budget { open, reserve, .. } = &*self.budget;
        match Arc::clone(open).try_acquire_many_owned(n) {
            Ok(more) => self.open.merge(more),
            Err(TryAcquireError::Closed | TryAcquireError::NoPermits) => {
                let more = Arc::clone(reserve).try_acquire_many_owned(n).map_err(|_| NoRoom)?;
                self.keep_reserve(more);
            }
        }
        Ok(())
    }

    /// Takes more, waiting for room as long as the budget allows. Cancel-safe.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if self.try_grow(bytes).is_ok() {
            return Ok(());
        }
        let n = permits(bytes)?;
        let open = Arc::clone(&self.budget.open).acquire_many_owned(n);
        let reserve = Arc::clone(&self.budget.reserve).acquire_many_owned(n);
        let either = async {
            tokio::select! { more = open => (more, true), more = reserve => (more, false) }
        };
        match tokio::time::timeout(self.budget.wait, either).await {
            Ok((Ok(more), true)) => self.open.merge(more),
            Ok((Ok(more), false)) => self.keep_reserve(more),
            Ok((Err(_), _)) | Err(_) => return Err(NoRoom),
        }
        Ok(())
    }

    /// Gives some back, what was taken from the reserve first.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let mut left = bytes;
        if let Some(reserve) = &mut self.reserve {
            let n = left.min(reserve.num_permits());
            drop(reserve.split(n));
            left -= n;
        }
        drop(self.open.split(left.min(self.open.num_permits())));
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.open.num_permits() + self.reserve.as_ref().map_or(0, |r| r.num_permits())
    }

    fn keep_reserve(&mut self, more: OwnedSemaphorePermit) {
        match &mut self.reserve {
            Some(reserve) => reserve.merge(more),
            None => self.reserve = Some(more),
        }
    }
}

fn permits(bytes: usize) -> Result<u32, NoRoom> {
    u32::try_from(bytes).map_err(|_| NoRoom)
}

#[cfg(test)]
mod tests;
