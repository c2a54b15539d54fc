//! What arrives, from whom, and how far the data reaches.

use serde::{Deserialize, Serialize};

use super::{Basis, Bins, TimeRange};

rows! {
    /// What arrives and how it is kept.
    IngestAnswer {
        /// What was asked about.
        range: TimeRange,
        /// Columns of the trends.
        bins: Bins,
        /// By signal.
        signals: Vec<IngestSignal>,
        /// By service, the latest first.
        senders: Vec<Sender>,
        /// Refused records by signal and reason, of the last two days.
        rejects: Vec<RejectRow>,
        /// The store.
        store: StoreRow,
        /// Tables by name.
        tables: Vec<TableRow>,
        /// Known gaps, the latest first, 100 at most.
        gaps: Vec<GapRow>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// Records of one signal.
    IngestSignal {
        /// `traces`, `logs` or `metrics`.
        signal: String,
        /// Records that arrived in the range.
        records: u64,
        /// Of these per second, over the last minute of the range.
        per_second: f64,
        /// Refused since yesterday.
        rejected: u64,
        /// From the time of a record to its arrival, for half of them.
        lag_p50_ms: Option<f64>,
        /// For 99 %.
        lag_p99_ms: Option<f64>,
        /// Arrival of the latest.
        last_seen: Option<String>,
        /// Records by column.
        trend: Vec<u64>,
    }
    /// A service that sends.
    Sender {
        /// Its name.
        service_name: String,
        /// Arrival of its latest record.
        last_seen: String,
        /// Spans in the range.
        spans: u64,
        /// Log records.
        logs: u64,
        /// Data points.
        points: u64,
        /// Of all records per second, over the last minute of the range.
        per_second: f64,
        /// Language and version of its SDK.
        sdk: Option<String>,
        /// Instances.
        instances: u64,
        /// Nothing came for three times the usual pause between its requests.
        is_silent: bool,
    }
    /// Refused records.
    RejectRow {
        /// Day of arrival, UTC.
        day: String,
        /// `traces`, `logs` or `metrics`.
        signal: String,
        /// Why.
        reason: String,
        /// How many.
        count: u64,
    }
    /// The state of the write-ahead log.
    StoreRow {
        /// Segments on disk.
        segments: u64,
        /// Bytes of the segments.
        bytes: u64,
        /// Syncs since the start.
        syncs: u64,
        /// Time of a sync in the mean.
        sync_mean_ms: Option<f64>,
        /// Requests that were retries of stored ones, since the start.
        deduplicated: u64,
        /// Arrival of the oldest row that is in no file.
        oldest_live: Option<String>,
        /// Free bytes of the file system.
        free_disk_bytes: u64,
        /// Bytes of old log still to be replayed.
        recovering_bytes: Option<u64>,
        /// Why nothing is accepted; absent when all is well.
        read_only_reason: Option<String>,
    }
    /// A table.
    TableRow {
        /// Its name.
        table_name: String,
        /// Rows in memory.
        live_rows: u64,
        /// Their memory.
        live_bytes: u64,
        /// Files.
        files: u64,
        /// Rows in files.
        file_rows: u64,
        /// Bytes of files.
        file_bytes: u64,
        /// Earliest time in a file.
        oldest: Option<String>,
    }
    /// A known gap.
    GapRow {
        /// When it was found.
        time: String,
        /// Table that lacks rows.
        table_name: Option<String>,
        /// Rows missing.
        rows: Option<u64>,
        /// What happened.
        cause: String,
    }
    /// How far the data reaches.
    WatermarkAnswer {
        /// Counts requests stored: nothing new has come as long as it stays the same.
        seq: u64,
        /// By table.
        rows: Vec<WatermarkRow>,
        /// What the answer is built on.
        #[serde(flatten)]
        basis: Basis,
    }
    /// The newest of a table.
    WatermarkRow {
        /// Its name.
        table_name: String,
        /// Earliest time of a row.
        #[serde(default)]
        oldest: Option<String>,
        /// Latest time of a row.
        newest: Option<String>,
        /// Rows.
        rows: u64,
    }
}
