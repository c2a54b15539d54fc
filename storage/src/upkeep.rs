//! What happens without being asked: disk watermarks, retention, saved counters, catalog copies.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::store::Inner;
use crate::{DiskLimits, durable, layout, retention::Steadiness};

/// How often the free space is looked at.
const TICK: Duration = Duration::from_secs(1);
const REJECTS_EVERY: Duration = Duration::from_secs(10);
const RETENTION_EVERY: Duration = Duration::from_secs(60);
const COPY_EVERY: Duration = Duration::from_secs(3600);

/// Runs until the store closes.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut steadiness = Steadiness::new(&inner.clock);
    let started = inner.clock.monotonic();
    let mut rejects = Every::new(REJECTS_EVERY, started);
    let mut retention = Every::new(RETENTION_EVERY, started);
    let mut copy = Every::new(COPY_EVERY, started);
    loop {
        tokio::select! {
            () = inner.closing() => return,
            _ = tick.tick() => {}
        }
        let now = inner.clock.monotonic();
        inner.watch_disk();
        if let Ok(writer) = inner.writer()
            && writer.refusal.lock().is_none()
        {
            writer.catalog.share().await;
        }
        if rejects.due(now) {
            report("saving reject counts", inner.persist_rejects().await);
        }
        if retention.due(now) {
            if steadiness.trusted(&inner.clock) {
                report("removing old files", inner.expire().await);
            }
            report("unlinking removed files", inner.unlink_removed().await);
        }
        if copy.due(now)
            && let Ok(writer) = inner.writer()
        {
            report("saving the catalog", writer.catalog.save_copy(inner.clock.wall_ns()).await);
        }
    }
}

fn report(what: &str, done: Result<(), crate::StorageError>) {
    if let Err(why) = done {
        tracing::warn!(%why, "{what} failed; it is tried again");
    }
}

struct Every {
    interval: Duration,
    last: Duration,
}

impl Every {
    fn new(interval: Duration, started: Duration) -> Every {
        Every { interval, last: started }
    }

    fn due(&mut self, now: Duration) -> bool {
        let due = now.saturating_sub(self.last) >= self.interval;
        if due {
            self.last = now;
        }
        due
    }
}

/// Free and total bytes of the disk that holds a path.
pub(crate) fn disk_space(path: &Path) -> io::Result<(u64, u64)> {
    let disk = rustix::fs::statvfs(path)?;
    Ok((disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

impl DiskLimits {
    fn refuse_below(&self, total: u64) -> u64 {
        (total / 100 * self.refuse_percent).max(self.refuse_bytes)
    }

    fn low_below(&self, total: u64) -> u64 {
        (total / 100 * self.low_percent).max(self.low_bytes)
    }
}

impl Inner {
    /// Refuses requests while the disk is nearly full, and takes them again once it is not.
    pub(crate) fn watch_disk(&self) {
        let Ok(writer) = self.writer() else { return };
        let (free, total) = match disk_space(&self.config.dir) {
            Ok(space) => space,
            Err(why) => {
                tracing::warn!(%why, "reading the free disk space failed");
                return;
            }
        };
        self.counters.free_disk_bytes.store(free, Ordering::Relaxed);
        let limits = &self.config.disk;
        let limit = limits.refuse_below(total);
        let mut refusal = writer.refusal.lock();
        // Giving the ballast up frees its size, which alone must not count as healed.
        let margin = if refusal.is_some() { 2 * limits.ballast_bytes } else { 0 };
        if free < limit.saturating_add(margin) {
            if refusal.is_none() {
                let reason = format!(
                    "the disk has {free} bytes free, requests need {limit}; delete files or lower the retention"
                );
                tracing::error!(reason, "refusing requests");
                writer.wal.set_refuse(Some(reason.clone()));
                *refusal = Some(reason);
                self.drop_ballast();
            }
        } else if refusal.take().is_some() {
            tracing::info!("the disk has space again; taking requests");
            writer.wal.set_refuse(None);
            self.make_ballast();
        }
    }

    pub(crate) fn disk_is_low(&self) -> bool {
        disk_space(&self.config.dir)
            .is_ok_and(|(free, total)| free < self.config.disk.low_below(total))
    }

    /// Keeps space that [`Self::drop_ballast`] can give back.
    pub(crate) fn make_ballast(&self) {
        let path = layout::ballast(&self.config.dir);
        let bytes = self.config.disk.ballast_bytes;
        let there = std::fs::metadata(&path).is_ok_and(|m| m.len() == bytes);
        if bytes == 0 || there {
            return;
        }
        let made = durable::write_file_durably(&path, |file: &mut File| {
            Ok(rustix::fs::fallocate(&*file, rustix::fs::FallocateFlags::empty(), 0, bytes)?)
        });
        if let Err(why) = made {
            tracing::warn!(path = %path.display(), %why, "reserving disk space failed");
        }
    }

    fn drop_ballast(&self) {
        let path = layout::ballast(&self.config.dir);
        if let Err(why) = durable::remove_durably(&path) {
            tracing::warn!(path = %path.display(), %why, "giving up reserved disk space failed");
        }
    }
}
