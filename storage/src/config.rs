//! What a store is told when it is opened. Units stand in the names.

use std::path::PathBuf;
use std::time::Duration;

/// Where a store lives and how much it may use.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The data directory; made when missing.
    pub dir: PathBuf,
    /// Age at which an open generation is flushed.
    pub flush_age: Duration,
    /// Live bytes (of one signal) at which its generation is flushed early.
    pub flush_bytes: usize,
    /// Live bytes in all at which appends are refused as `Unavailable`.
    pub live_bytes_max: usize,
    /// Size of a WAL segment.
    pub wal_segment_bytes: u64,
    /// How long a byte-identical request is known as a retry; zero turns that off.
    pub retry_window: Duration,
    /// Age past which whole files are deleted.
    pub retain: Option<Duration>,
    /// Bytes of files past which the oldest windows are deleted.
    pub retain_bytes: Option<u64>,
    /// true: read the directory without lock or writes (`otlake sql --data`).
    pub read_only: bool,
    /// What is kept free on the disk.
    pub disk: DiskLimits,
}

impl StoreConfig {
    /// The defaults for a directory.
    pub fn new(dir: impl Into<PathBuf>) -> StoreConfig {
        StoreConfig {
            dir: dir.into(),
            flush_age: Duration::from_secs(60),
            flush_bytes: 64 << 20,
            live_bytes_max: 256 << 20,
            wal_segment_bytes: 64 << 20,
            retry_window: Duration::from_secs(15 * 60),
            retain: None,
            retain_bytes: None,
            read_only: false,
            disk: DiskLimits::default(),
        }
    }

    /// Live bytes at which nobody is let in any more. The last eighth is for requests that are
    /// already being decoded: to refuse those would waste the work.
    pub(crate) fn room_bytes(&self) -> usize {
        self.live_bytes_max - self.live_bytes_max / 8
    }
}

/// Free space below which work stops. A limit is the larger of its share and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLimits {
    /// Percent of the disk below which nothing that grows the directory is compacted.
    pub low_percent: u64,
    /// The same in bytes.
    pub low_bytes: u64,
    /// Percent of the disk below which requests are refused.
    pub refuse_percent: u64,
    /// The same in bytes.
    pub refuse_bytes: u64,
    /// Size of the file that is given up so that catalog and deletes still work on a full disk.
    pub ballast_bytes: u64,
}

impl Default for DiskLimits {
    fn default() -> DiskLimits {
        DiskLimits {
            low_percent: 5,
            low_bytes: 2 << 30,
            refuse_percent: 2,
            refuse_bytes: 512 << 20,
            ballast_bytes: 64 << 20,
        }
    }
}
