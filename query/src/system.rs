//! `system.*` and `attribute_keys`: what the store and the engine know about themselves, as tables.
//! Each is made when a statement names it, from the statement's snapshot and the counters of that
//! moment.

mod build;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::Result;
use datafusion::datasource::MemTable;
use schemas::{Signal, Table};
use storage::{Snapshot, StoreStats};

use crate::{Engine, EngineConfig};
use build::Rows;

/// The tables beside the stored ones that need no prefix.
pub(crate) const MAIN_TABLES: &[&str] = &["attribute_keys"];
/// The tables of the schema `system`.
pub(crate) const SYSTEM_TABLES: &[&str] =
    &["buffers", "data_loss", "files", "limits", "queries", "rejects", "wal"];

/// Where the tables get what a snapshot does not hold.
#[derive(Clone)]
pub(crate) struct Info(Arc<Engine>);

impl Info {
    pub(crate) fn new(engine: &Arc<Engine>) -> Info {
        Info(Arc::clone(engine))
    }
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Info")
    }
}

/// One of [`MAIN_TABLES`].
pub(crate) fn main_table(
    name: &str,
    _: &Info,
    snapshot: &Arc<Snapshot>,
) -> Result<Option<Arc<dyn TableProvider>>> {
    match name {
        "attribute_keys" => provide(attribute_keys(snapshot)),
        _ => Ok(None),
    }
}

/// One of [`SYSTEM_TABLES`].
pub(crate) fn system_table(
    name: &str,
    info: &Info,
    snapshot: &Arc<Snapshot>,
) -> Result<Option<Arc<dyn TableProvider>>> {
    let engine = &info.0;
    provide(match name {
        "buffers" => buffers(snapshot, &engine.store().stats()),
        "data_loss" => data_loss(snapshot),
        "files" => files(snapshot),
        "limits" => limits(engine.config()),
        "queries" => queries(engine.running()),
        "rejects" => rejects(engine.store().rejects()),
        "wal" => wal(&engine.store().stats()),
        _ => return Ok(None),
    })
}

fn provide(rows: Rows) -> Result<Option<Arc<dyn TableProvider>>> {
    let batch = rows.finish()?;
    Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
}

/// One row a sealed file.
fn files(snapshot: &Snapshot) -> Rows {
    let mut rows = Rows::new(&[
        ("table_name text", "table whose rows it holds"),
        ("name text", "path below the data directory"),
        ("level bigint", "how often its rows have been merged"),
        ("rows bigint", "rows"),
        ("bytes bigint", "size of the file"),
        ("min_time timestamp", "earliest time of its rows"),
        ("max_time timestamp", "latest time of its rows"),
        ("first_seq bigint", "first WAL frame whose rows it holds, null when merged"),
        ("last_seq bigint", "last WAL frame whose rows it holds"),
        ("promoted bigint", "attribute keys that are columns of their own"),
    ]);
    for file in Table::ALL.iter().flat_map(|table| snapshot.files(*table)) {
        rows.text(Some(file.table.name()));
        rows.text(Some(&file.name));
        rows.int(Some(file.level));
        rows.int(Some(file.rows));
        rows.int(Some(file.bytes));
        rows.time(Some(file.min_time_ns));
        rows.time(Some(file.max_time_ns));
        rows.int(file.seq.map(|s| s.0));
        rows.int(file.seq.map(|s| s.1));
        rows.int(Some(file.promoted.len() as u64));
    }
    rows
}

/// One row a table: what is not in files yet.
fn buffers(snapshot: &Snapshot, stats: &StoreStats) -> Rows {
    let mut rows = Rows::new(&[
        ("table_name text", "table"),
        ("live_rows bigint", "rows in memory, durable in the WAL"),
        ("live_bytes bigint", "memory of these rows"),
        ("files bigint", "sealed files"),
        ("file_rows bigint", "rows in files"),
        ("file_bytes bigint", "bytes of files"),
    ]);
    for table in Table::ALL {
        let live = snapshot.live(table);
        let live_bytes = live.iter().map(|b| storage::memory_bytes(&b.rows) as u64);
        rows.text(Some(table.name()));
        rows.int(Some(live.iter().map(|b| b.rows.num_rows() as u64).sum::<u64>()));
        rows.int(Some(live_bytes.sum::<u64>()));
        rows.int(Some(stats.files[table.index()]));
        rows.int(Some(stats.file_rows[table.index()]));
        rows.int(Some(stats.file_bytes[table.index()]));
    }
    rows
}

/// One row: the state of the write-ahead log.
fn wal(stats: &StoreStats) -> Rows {
    let mut rows = Rows::new(&[
        ("segments bigint", "segments on disk"),
        ("bytes bigint", "bytes of the segments"),
        ("next_seq bigint", "sequence number of the next frame"),
        ("frames bigint", "frames written since the start"),
        ("syncs bigint", "fdatasync calls since the start"),
        ("sync_ns bigint", "time spent in them"),
        ("torn_tail_bytes bigint", "bytes cut off at the last start, never acknowledged"),
        ("deduplicated bigint", "requests that were byte-identical retries"),
        ("oldest_live timestamp", "arrival of the oldest row that is in no file"),
        ("free_disk_bytes bigint", "free bytes of the file system"),
        ("recovering_bytes bigint", "bytes of old WAL still to be replayed, null when none"),
        ("read_only_reason text", "why nothing is accepted, null when all is well"),
    ]);
    for value in [
        stats.wal_segments,
        stats.wal_bytes,
        stats.wal_next_seq,
        stats.wal_frames,
        stats.wal_syncs,
        stats.wal_sync_ns_total,
        stats.wal_torn_tail_bytes,
        stats.deduplicated,
    ] {
        rows.int(Some(value));
    }
    rows.time(stats.oldest_live_ns);
    rows.int(Some(stats.free_disk_bytes));
    rows.int(stats.recovering_bytes);
    rows.text(stats.read_only_reason.as_deref());
    rows
}

/// One row a day, signal and reason: what was not stored.
fn rejects(counts: Vec<(String, Signal, String, u64)>) -> Rows {
    let mut rows = Rows::new(&[
        ("day text", "day of arrival, UTC"),
        ("signal text", "traces, metrics or logs"),
        ("reason text", "why"),
        ("count bigint", "records"),
    ]);
    for (day, signal, reason, count) in counts {
        rows.text(Some(&day));
        rows.text(Some(signal.name()));
        rows.text(Some(&reason));
        rows.int(Some(count));
    }
    rows
}

/// One row a known gap.
fn data_loss(snapshot: &Snapshot) -> Rows {
    let mut rows = Rows::new(&[
        ("time timestamp", "when it was found"),
        ("table_name text", "table, null when not known"),
        ("file text", "damaged file"),
        ("first_seq bigint", "first missing WAL frame"),
        ("last_seq bigint", "last missing WAL frame"),
        ("min_time timestamp", "earliest time of the missing rows"),
        ("max_time timestamp", "latest time of the missing rows"),
        ("rows bigint", "missing rows, null when not known"),
        ("cause text", "what happened"),
    ]);
    for gap in snapshot.gaps() {
        rows.time(Some(gap.time_ns));
        rows.text(gap.table.map(Table::name));
        rows.text(gap.file.as_deref());
        rows.int(gap.seq.map(|s| s.0));
        rows.int(gap.seq.map(|s| s.1));
        rows.time(gap.min_time_ns);
        rows.time(gap.max_time_ns);
        rows.int(gap.rows);
        rows.text(Some(&gap.cause));
    }
    rows
}

/// One row a running query, this one included.
fn queries(running: Vec<(String, String, f64)>) -> Rows {
    let mut rows = Rows::new(&[
        ("query_id text", "for DELETE /api/v1/queries/{id}"),
        ("sql text", "the statement"),
        ("seconds double", "since it was asked"),
    ]);
    for (id, sql, seconds) in running {
        rows.text(Some(&id));
        rows.text(Some(&sql));
        rows.double(seconds);
    }
    rows
}

/// One row a limit in force.
fn limits(config: &EngineConfig) -> Rows {
    let mut rows = Rows::new(&[
        ("name text", "limit, as errors name it"),
        ("value bigint", "value in force"),
        ("doc text", "what it bounds"),
    ]);
    let engine = [
        ("memory_bytes", config.memory_bytes as u64, "memory of all queries together"),
        ("query_memory_bytes", config.query_memory_bytes as u64, "memory of one query"),
        ("timeout_ms", config.timeout.as_millis() as u64, "time of one query"),
        ("rows", config.rows_max, "rows of one answer"),
        ("running", config.concurrent as u64, "queries that run at the same time"),
        ("waiting", config.waiting_max as u64, "queries that wait for a place"),
        ("wait_ms", config.wait.as_millis() as u64, "time a query waits for a place"),
        ("spill_bytes", config.spill_bytes, "spilled bytes of all queries together"),
        ("body_bytes", crate::limits::BODY_BYTES_MAX as u64, "bytes of a request's body"),
    ];
    for (name, value, doc) in engine.into_iter().chain(config.guard.rows()) {
        rows.text(Some(name));
        rows.int(Some(value));
        rows.text(Some(doc));
    }
    rows
}

/// One row a table, scope and attribute key, over files and live rows.
fn attribute_keys(snapshot: &Snapshot) -> Rows {
    let mut rows = Rows::new(&[
        ("table_name text", "table"),
        ("scope text", "record, resource or scope: whose attribute it is"),
        ("key text", "the key, as in attributes['key']"),
        ("types text", "types the values had, with commas"),
        ("rows bigint", "rows that have the key"),
    ]);
    for table in Table::ALL {
        let mut keys = schemas::Keys::default();
        snapshot.files(table).iter().for_each(|file| keys.merge(&file.keys));
        snapshot.live(table).iter().for_each(|batch| keys.merge(&batch.keys));
        let scopes = [("record", keys.record), ("resource", keys.resource), ("scope", keys.scope)];
        for (scope, set) in scopes {
            for (key, facts) in set {
                rows.text(Some(table.name()));
                rows.text(Some(scope));
                rows.text(Some(&key));
                rows.text(Some(&type_names(facts.types)));
                rows.int(Some(facts.rows));
            }
        }
    }
    rows
}

fn type_names(types: u8) -> String {
    let known = schemas::type_bits::NAMES.iter().filter(|(bit, _)| types & bit != 0);
    known.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}
