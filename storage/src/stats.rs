//! Figures of a store for `status` and `/metrics`.

use std::sync::atomic::Ordering::Relaxed;

use schemas::Table;

use crate::Scrubbed;
use crate::store::Inner;

/// Figures of a store at one moment. Arrays have one slot a table, by `Table::index`.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    /// Rows in memory.
    pub live_rows: [u64; Table::COUNT],
    /// Memory of live rows.
    pub live_bytes: u64,
    /// Sealed files.
    pub files: [u64; Table::COUNT],
    /// Their size.
    pub file_bytes: [u64; Table::COUNT],
    /// Their rows.
    pub file_rows: [u64; Table::COUNT],
    /// WAL segments in use.
    pub wal_segments: u64,
    /// Size of their files.
    pub wal_bytes: u64,
    /// Sequence number that the next request gets.
    pub wal_next_seq: u64,
    /// Frames written since the start.
    pub wal_frames: u64,
    /// Syncs since the start.
    pub wal_syncs: u64,
    /// Time spent in them.
    pub wal_sync_ns_total: u64,
    /// Bytes cut off the log's torn tail at the start.
    pub wal_torn_tail_bytes: u64,
    /// Syncs that failed since the start.
    pub wal_sync_failures: u64,
    /// Requests recognised as retries since the start.
    pub deduplicated: u64,
    /// Requests remembered, to know their retries.
    pub fingerprints: u64,
    /// Arrival of the oldest remembered request.
    pub oldest_fingerprint_ns: Option<i64>,
    /// Generations written to files since the start.
    pub flushes: u64,
    /// Flushes that failed and are tried again.
    pub flush_failures: u64,
    /// Arrival of the oldest live row.
    pub oldest_live_ns: Option<i64>,
    /// Free space of the disk.
    pub free_disk_bytes: u64,
    /// The comparison of files with their hashes since the start.
    pub scrubbed: Scrubbed,
    /// Some while old WAL is replayed: bytes outstanding.
    pub recovering_bytes: Option<u64>,
    /// Some(reason) when ingest is refused (disk full, sync failures): readiness is false.
    pub read_only_reason: Option<String>,
}

impl StoreStats {
    pub(crate) fn of(inner: &Inner) -> StoreStats {
        let snapshot = inner.buffer.snapshot();
        let live = inner.buffer.live();
        let counters = &inner.counters;
        let mut stats = StoreStats {
            live_bytes: live.bytes as u64,
            oldest_live_ns: live.oldest_ns,
            wal_torn_tail_bytes: counters.wal_torn_tail_bytes.load(Relaxed),
            flushes: counters.flushes.load(Relaxed),
            flush_failures: counters.flush_failures.load(Relaxed),
            free_disk_bytes: counters.free_disk_bytes.load(Relaxed),
            scrubbed: *inner.scrubbed.borrow(),
            recovering_bytes: snapshot.recovering_bytes(),
            ..StoreStats::default()
        };
        for table in Table::ALL {
            let i = table.index();
            let files = snapshot.files(table);
            stats.live_rows[i] =
                snapshot.live(table).iter().map(|b| b.rows.num_rows() as u64).sum();
            stats.files[i] = files.len() as u64;
            stats.file_bytes[i] = files.iter().map(|f| f.bytes).sum();
            stats.file_rows[i] = files.iter().map(|f| f.rows).sum();
        }
        match &inner.writer {
            None => stats.read_only_reason = Some("opened for reading only".to_owned()),
            Some(writer) => {
                let wal = writer.wal.stats();
                stats.wal_segments = wal.segments;
                stats.wal_bytes = wal.bytes;
                stats.wal_next_seq = wal.next_seq;
                stats.wal_frames = wal.frames;
                stats.wal_syncs = wal.syncs;
                stats.wal_sync_ns_total = wal.sync_ns_total;
                stats.wal_sync_failures = wal.sync_failures;
                stats.deduplicated = wal.deduplicated;
                stats.fingerprints = wal.fingerprints;
                stats.oldest_fingerprint_ns = wal.oldest_fingerprint_ns;
                stats.read_only_reason = wal.refusing;
            }
        }
        stats
    }
}
