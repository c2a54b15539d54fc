//! The bulkhead: so many calls to a target at once, so many waiting, and no more.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Calls that may wait, as a multiple of those that may run.
const PENDING_PER_SLOT: usize = 2;

/// A number of slots and a queue in front of them, first come, first served. It may be resized
/// while in use: fewer slots take effect as calls end.
#[derive(Clone, Debug)]
pub struct Bulkhead(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    size: usize,
    in_use: usize,
    queue: VecDeque<oneshot::Sender<Slot>>,
}

/// How full a bulkhead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupancy {
    /// Slots there are.
    pub size: usize,
    /// Calls that run.
    pub in_use: usize,
    /// Calls that wait.
    pub pending: usize,
}

/// The queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} calls run and {} wait, no more may", .0.in_use, .0.pending)]
pub struct BulkheadFull(pub Occupancy);

/// A place to run in, given back when dropped.
#[derive(Debug)]
pub struct Slot(Option<Bulkhead>);

impl Bulkhead {
    /// A bulkhead with room for `size` calls, at least one.
    pub fn new(size: usize) -> Bulkhead {
        let inner = Inner { size: size.max(1), in_use: 0, queue: VecDeque::new() };
        Bulkhead(Arc::new(Mutex::new(inner)))
    }

    /// Waits for a slot. Refuses at once when as many wait as may. Cancel safe.
    pub async fn enter(&self) -> Result<Slot, BulkheadFull> {
        match self.try_enter()? {
            Entry::Now(slot) => Ok(slot),
            Entry::Wait(turn) => match turn.await {
                Ok(slot) => Ok(slot),
                // Only a bulkhead that nobody holds drops its queue, and `self` holds it.
                Err(_) => Err(BulkheadFull(self.occupancy())),
            },
        }
    }

    /// How full it is.
    pub fn occupancy(&self) -> Occupancy {
        self.lock().occupancy()
    }

    /// Changes the number of slots, at least one.
    pub fn resize(&self, size: usize) {
        self.lock().size = size.max(1);
        self.hand_out();
    }

    fn try_enter(&self) -> Result<Entry, BulkheadFull> {
        let mut inner = self.lock();
        inner.queue.retain(|waiting| !waiting.is_closed());
        if inner.in_use < inner.size {
            inner.in_use += 1;
            return Ok(Entry::Now(Slot(Some(self.clone()))));
        }
        if inner.queue.len() >= inner.size * PENDING_PER_SLOT {
            return Err(BulkheadFull(inner.occupancy()));
        }
        let (give, turn) = oneshot::channel();
        inner.queue.push_back(give);
        Ok(Entry::Wait(turn))
    }

    /// Gives free slots to those who wait. A caller that has gone leaves its slot to the next.
    fn hand_out(&self) {
        while let Some(next) = self.take_turn() {
            if let Err(mut slot) = next.send(Slot(Some(self.clone()))) {
                slot.0 = None;
                self.lock().in_use -= 1;
            }
        }
    }

    fn take_turn(&self) -> Option<oneshot::Sender<Slot>> {
        let mut inner = self.lock();
        if inner.in_use >= inner.size {
            return None;
        }
        let next = inner.queue.pop_front()?;
        inner.in_use += 1;
        Some(next)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Entry {
    Now(Slot),
    Wait(oneshot::Receiver<Slot>),
}

impl Inner {
    fn occupancy(&self) -> Occupancy {
        let pending = self.queue.iter().filter(|waiting| !waiting.is_closed()).count();
        Occupancy { size: self.size, in_use: self.in_use, pending }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(bulkhead) = self.0.take() {
            bulkhead.lock().in_use -= 1;
            bulkhead.hand_out();
        }
    }
}
