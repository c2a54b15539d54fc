//! What arrives and from whom, how it is kept, how far it reaches.

use api::time;
use api::views::{
    GapRow, Ingest, IngestAnswer, IngestSignal, RejectRow, Sender, StoreRow, Watermark,
    WatermarkAnswer, WatermarkRow,
};
use arrow_array::PrimitiveArray;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use schemas::columns as c;
use schemas::{Signal, Table};
use serde::Deserialize;
use storage::Snapshot;

use super::ranges::{Grid, MINUTE_NS, between, closed, ends_ns, instant_ns};
use super::{Answers, Asking, INSTANCE};
use crate::QueryError;
use crate::views::quoted;

const BINS_DEFAULT: u64 = 30;
const SENDERS_MAX: usize = 1_000;
const GAPS_MAX: u64 = 100;
const DAY_NS: i64 = 86_400_000_000_000;
/// A sender is silent after so many of its usual pauses, each of this length at least.
const PAUSES_SILENT: f64 = 3.0;
const PAUSE_MIN_NS: f64 = 5e9;

impl Answers for Ingest {
    async fn answer(self, asking: &mut Asking) -> Result<IngestAnswer, QueryError> {
        let range = closed(self.from, self.to, asking.now_ns, 15 * MINUTE_NS)?;
        let grid = Grid::over(&range, self.bins.unwrap_or(BINS_DEFAULT))?;
        let ends = ends_ns(&range)?;
        let rejects = rejects(asking, ends.1).await?;
        let mut answer = IngestAnswer {
            bins: grid.bins(),
            signals: signals(asking, ends, grid, &rejects).await?,
            senders: senders(asking, ends).await?,
            rejects,
            store: asking.whole(WAL.to_owned()).await?.pop().map(Wal::row).unwrap_or_default(),
            tables: asking.whole(TABLES.to_owned()).await?,
            gaps: gaps(asking).await?,
            range,
            ..IngestAnswer::default()
        };
        answer.basis = std::mem::take(&mut asking.basis);
        Ok(answer)
    }
}

/// Records of all signals by their arrival, with what else is asked of each.
fn arrivals(ends: (i64, i64), columns: &str) -> String {
    let of = |table: Table| {
        let at = match table {
            Table::Spans => "epoch_ns(start_time) + duration_ns".to_owned(),
            other => format!("epoch_ns({})", other.time_column()),
        };
        format!(
            "SELECT {} AS signal, ingested_at, epoch_ns(ingested_at) - ({at}) AS lag_ns{columns} \
             FROM {} WHERE {}",
            quoted(table.signal().name()),
            table.name(),
            between(ends, c::INGESTED_AT)
        )
    };
    let with_service = Table::ALL.into_iter().filter(|table| table.has_attributes());
    with_service.map(of).collect::<Vec<_>>().join(" UNION ALL ")
}

/// The last minute, as a condition.
fn lately((_, to_ns): (i64, i64)) -> String {
    format!("ingested_at >= {}", time::sql_literal(to_ns.saturating_sub(MINUTE_NS)))
}

async fn signals(
    asking: &mut Asking,
    ends: (i64, i64),
    grid: Grid,
    rejects: &[RejectRow],
) -> Result<Vec<IngestSignal>, QueryError> {
    #[derive(Deserialize)]
    struct Found {
        signal: String,
        bin: Option<i64>,
        records: u64,
        per_second: f64,
        lag_p50_ms: Option<f64>,
        lag_p99_ms: Option<f64>,
        last_seen: Option<String>,
    }
    let sql = format!(
        "SELECT signal, bin, count(*) AS records, \
         count(*) FILTER (WHERE {}) / 60.0 AS per_second, p50(lag_ns) / 1e6 AS lag_p50_ms, \
         p99(lag_ns) / 1e6 AS lag_p99_ms, max(ingested_at) AS last_seen \
         FROM (SELECT *, {} AS bin FROM ({})) \
         GROUP BY GROUPING SETS ((signal), (signal, bin)) ORDER BY signal, bin",
        lately(ends),
        grid.column_of(c::INGESTED_AT),
        arrivals(ends, "")
    );
    let found: Vec<Found> = asking.whole(sql).await?;
    let of = |signal: Signal| {
        let own = || found.iter().filter(|row| row.signal == signal.name());
        let whole = own().find(|row| row.bin.is_none());
        let refused = rejects.iter().filter(|row| row.signal == signal.name());
        IngestSignal {
            signal: signal.name().to_owned(),
            records: whole.map_or(0, |row| row.records),
            per_second: whole.map_or(0.0, |row| row.per_second),
            rejected: refused.map(|row| row.count).sum(),
            lag_p50_ms: whole.and_then(|row| row.lag_p50_ms),
            lag_p99_ms: whole.and_then(|row| row.lag_p99_ms),
            last_seen: whole.and_then(|row| row.last_seen.clone()),
            trend: grid.fill(own().filter_map(|row| Some((row.bin?, row.records)))),
        }
    };
    Ok(Signal::ALL.map(of).into())
}

async fn senders(asking: &mut Asking, ends: (i64, i64)) -> Result<Vec<Sender>, QueryError> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(flatten)]
        sender: Sender,
        arrivals: u64,
        first_seen: String,
    }
    let sdk = "resource['telemetry.sdk.language'] || ' ' || resource['telemetry.sdk.version']";
    let count =
        |signal: Signal| format!("count(*) FILTER (WHERE signal = {})", quoted(signal.name()));
    let sql = format!(
        "SELECT service_name, max(ingested_at) AS last_seen, min(ingested_at) AS first_seen, \
         {} AS spans, {} AS logs, {} AS points, \
         count(*) FILTER (WHERE {}) / 60.0 AS per_second, max(sdk) AS sdk, \
         count(DISTINCT instance) AS instances, count(DISTINCT ingested_at) AS arrivals, \
         FALSE AS is_silent FROM ({}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {SENDERS_MAX}",
        count(Signal::Traces),
        count(Signal::Logs),
        count(Signal::Metrics),
        lately(ends),
        arrivals(ends, &format!(", service_name, {INSTANCE} AS instance, {sdk} AS sdk"))
    );
    let found: Vec<Found> = asking.whole(sql).await?;
    let judged = |Found { mut sender, arrivals, first_seen }: Found| {
        let (first, last) = (instant_ns(&first_seen)?, instant_ns(&sender.last_seen)?);
        let pause_ns = (last - first) as f64 / (arrivals.max(2) - 1) as f64;
        let silence_ns = (ends.1 - last) as f64;
        sender.is_silent = arrivals > 2 && silence_ns > PAUSES_SILENT * pause_ns.max(PAUSE_MIN_NS);
        Ok(sender)
    };
    found.into_iter().map(judged).collect()
}

/// Since the day before the end.
async fn rejects(asking: &mut Asking, to_ns: i64) -> Result<Vec<RejectRow>, QueryError> {
    let yesterday = time::format(to_ns.saturating_sub(DAY_NS));
    let day = yesterday.split('T').next().unwrap_or_default();
    let sql = format!(
        "SELECT day, signal, reason, \"count\" FROM system.rejects WHERE day >= {} \
         ORDER BY \"count\" DESC, day, signal, reason",
        quoted(day)
    );
    asking.whole(sql).await
}

async fn gaps(asking: &mut Asking) -> Result<Vec<GapRow>, QueryError> {
    let sql = format!(
        "SELECT time, table_name, rows, cause FROM system.data_loss \
         ORDER BY time DESC LIMIT {GAPS_MAX}"
    );
    asking.whole(sql).await
}

const WAL: &str = "SELECT segments, bytes, syncs, sync_ns, deduplicated, oldest_live, \
                   free_disk_bytes, recovering_bytes, read_only_reason FROM system.wal";

const TABLES: &str = "SELECT b.table_name, live_rows, live_bytes, files, file_rows, file_bytes, \
                      oldest FROM system.buffers b LEFT JOIN (SELECT table_name, min(min_time) \
                      AS oldest FROM system.files GROUP BY 1) f ON f.table_name = b.table_name \
                      ORDER BY b.table_name";

#[derive(Deserialize)]
struct Wal {
    segments: u64,
    bytes: u64,
    syncs: u64,
    sync_ns: u64,
    deduplicated: u64,
    oldest_live: Option<String>,
    free_disk_bytes: u64,
    recovering_bytes: Option<u64>,
    read_only_reason: Option<String>,
}

impl Wal {
    fn row(self) -> StoreRow {
        let sync_mean_ms = (self.syncs > 0).then(|| self.sync_ns as f64 / self.syncs as f64 / 1e6);
        StoreRow {
            segments: self.segments,
            bytes: self.bytes,
            syncs: self.syncs,
            sync_mean_ms,
            deduplicated: self.deduplicated,
            oldest_live: self.oldest_live,
            free_disk_bytes: self.free_disk_bytes,
            recovering_bytes: self.recovering_bytes,
            read_only_reason: self.read_only_reason,
        }
    }
}

/// Read from the snapshot and not by a statement: it is asked every second.
impl Answers for Watermark {
    async fn answer(self, asking: &mut Asking) -> Result<WatermarkAnswer, QueryError> {
        let store = asking.engine.store();
        let snapshot = store.snapshot();
        let rows = Table::ALL.map(|table| {
            let live = snapshot.live(table).iter().map(|batch| batch.rows.num_rows() as u64);
            let files = snapshot.files(table).iter().map(|file| file.rows);
            WatermarkRow {
                table_name: table.name().to_owned(),
                oldest: oldest_ns(&snapshot, table).map(time::format),
                newest: newest_ns(&snapshot, table).map(time::format),
                rows: live.sum::<u64>() + files.sum::<u64>(),
            }
        });
        let basis = std::mem::take(&mut asking.basis);
        Ok(WatermarkAnswer { seq: store.stats().wal_next_seq, rows: rows.into(), basis })
    }
}

/// The latest time of a row of the table.
pub(super) fn newest_ns(snapshot: &Snapshot, table: Table) -> Option<i64> {
    let files = snapshot.files(table).iter().map(|file| file.max_time_ns).max();
    let live = live_times(snapshot, table).filter_map(|times| times.iter().flatten().max());
    files.max(live.max())
}

/// The earliest.
fn oldest_ns(snapshot: &Snapshot, table: Table) -> Option<i64> {
    let files = snapshot.files(table).iter().map(|file| file.min_time_ns);
    let live = live_times(snapshot, table).filter_map(|times| times.iter().flatten().min());
    files.chain(live).min()
}

/// Times of the rows that are in no file yet.
fn live_times(
    snapshot: &Snapshot,
    table: Table,
) -> impl Iterator<Item = &PrimitiveArray<TimestampNanosecondType>> {
    snapshot.live(table).iter().filter_map(move |batch| {
        let times = batch.rows.column_by_name(table.time_column())?;
        times.as_primitive_opt::<TimestampNanosecondType>()
    })
}
