//! Requests of rows that can be told apart, a replay that makes the same rows, and what is visible.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Int64Array, RecordBatch, StringViewArray,
    TimestampNanosecondArray, UInt32Array, new_null_array,
};
use arrow_schema::{Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::attributes::{Owner, promoted};
use schemas::columns::{self as c, Kind};
use schemas::{Batch, KeyFacts, Keys, Signal, Table, type_bits};

use crate::{
    Append, Appended, DiskLimits, Encoding, Replay, Replayed, Snapshot, StorageError, Store,
    StoreConfig,
};

/// Some moment in the middle of a window.
pub(crate) const NOON_NS: i64 = 1_795_348_900_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

/// One span as the tests make it: its number is its duration and decides about the rest.
pub(crate) fn span_row(number: u64, columns: &mut Columns) {
    let trace = u128::from(number / 4).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    columns.trace_id.push(trace.to_be_bytes());
    columns.span_id.push(number.to_be_bytes());
    columns.start.push(NOON_NS + (number as i64 % 977) * SECOND_NS - number as i64 % 13);
    columns.duration.push(number as i64);
    columns.service.push(format!("service-{}", number % 5));
    columns
        .route
        .push(number.is_multiple_of(3).then(|| format!("/a/rather/long/route/{}", number % 7)));
}

#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) trace_id: Vec<[u8; 16]>,
    pub(crate) span_id: Vec<[u8; 8]>,
    pub(crate) start: Vec<i64>,
    pub(crate) duration: Vec<i64>,
    pub(crate) service: Vec<String>,
    pub(crate) route: Vec<Option<String>>,
}

/// Spans in their live shape.
pub(crate) fn spans(numbers: &[u64], received_ns: i64) -> Batch {
    let mut columns = Columns::default();
    numbers.iter().for_each(|number| span_row(*number, &mut columns));
    batch_of(Table::Spans, &columns, received_ns)
}

/// Fills the named columns; required ones get zeros and texts, the others nulls.
pub(crate) fn batch_of(table: Table, columns: &Columns, received_ns: i64) -> Batch {
    let rows = columns.duration.len();
    let text =
        |values: &[String]| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(values)) };
    let array = |column: &c::Column| -> ArrayRef {
        match (column.name, column.kind) {
            (c::TRACE_ID | c::SERIES_ID, _) => {
                Arc::new(FixedSizeBinaryArray::try_from_iter(columns.trace_id.iter()).unwrap())
            }
            (c::SPAN_ID, _) => {
                Arc::new(FixedSizeBinaryArray::try_from_iter(columns.span_id.iter()).unwrap())
            }
            (c::START_TIME | c::TIME, _) => {
                Arc::new(TimestampNanosecondArray::from(columns.start.clone()))
            }
            (c::DURATION_NS, _) => Arc::new(Int64Array::from(columns.duration.clone())),
            (c::SERVICE_NAME, _) => text(&columns.service),
            (c::INGESTED_AT, _) => {
                Arc::new(TimestampNanosecondArray::from(vec![received_ns; rows]))
            }
            _ if column.nullable => new_null_array(&column.kind.data_type(), rows),
            (_, Kind::Text) => text(&vec!["constant".to_owned(); rows]),
            (_, Kind::UInt32) => Arc::new(UInt32Array::from(vec![0; rows])),
            (name, kind) => arrow_cast::cast(&Int64Array::from(vec![0; rows]), &kind.data_type())
                .unwrap_or_else(|_| panic!("no value for {name}")),
        }
    };
    let mut arrays: Vec<ArrayRef> = table.columns().iter().map(array).collect();
    let mut fields: Vec<Arc<Field>> = table.schema().fields().iter().cloned().collect();
    let mut keys = Keys::default();
    if table == Table::Spans && columns.route.iter().any(Option::is_some) {
        let route = promoted(Owner::Record, "http.route").unwrap();
        fields.push(Arc::new(route.field()));
        arrays.push(Arc::new(
            columns.route.iter().map(|r| r.as_deref()).collect::<StringViewArray>(),
        ));
        let rows = columns.route.iter().flatten().count() as u64;
        keys.record.insert("http.route".to_owned(), KeyFacts { types: type_bits::STRING, rows });
    }
    Batch {
        table,
        rows: RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap(),
        keys,
    }
}

/// A request of spans. The payload is the numbers, so that [`replay`] makes the same rows.
pub(crate) fn request(numbers: &[u64]) -> Append {
    let payload: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&blake3::hash(&payload).as_bytes()[..16]);
    Append {
        signal: Signal::Traces,
        encoding: Encoding::Protobuf,
        payload: payload.into(),
        fingerprint,
        received_ns: NOON_NS,
        accepted: numbers.len() as u32,
        batches: vec![spans(numbers, NOON_NS)],
    }
}

/// Decodes the payloads of [`request`]; a number of `u64::MAX` panics, an odd length is an error.
pub(crate) fn replay() -> Replay {
    Arc::new(|_, _, payload, received_ns| {
        if payload.len() % 8 != 0 {
            return Err("odd length".to_owned());
        }
        let numbers: Vec<u64> = payload
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
            .collect();
        assert!(!numbers.contains(&u64::MAX), "a number that no decoder survives");
        Ok(Replayed { accepted: numbers.len() as u32, batches: vec![spans(&numbers, received_ns)] })
    })
}

/// A store that flushes when it is told to.
pub(crate) fn config(dir: &Path) -> StoreConfig {
    StoreConfig {
        flush_age: Duration::from_secs(3600),
        wal_segment_bytes: 256 << 10,
        // The requests of the tests arrived at NOON_NS, long ago by the clock of a later start.
        retry_window: Duration::from_secs(100 * 365 * 86_400),
        disk: DiskLimits {
            low_percent: 0,
            low_bytes: 0,
            refuse_percent: 0,
            refuse_bytes: 0,
            ballast_bytes: 0,
        },
        ..StoreConfig::new(dir)
    }
}

/// Opens a store, waiting for one that was just dropped to let go, and for its replay.
pub(crate) async fn open(config: StoreConfig) -> Arc<Store> {
    let mut tries = 0;
    loop {
        match Store::open(config.clone(), replay()).await {
            Ok(store) => {
                store.recovered().await;
                return store;
            }
            Err(StorageError::Locked { .. }) if tries < 1000 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(why) => panic!("{why}"),
        }
    }
}

pub(crate) async fn append(store: &Store, numbers: &[u64]) {
    let answer = store.append(request(numbers)).await.unwrap();
    assert!(matches!(answer, Appended::Stored { .. }), "{answer:?}");
}

/// The numbers of all spans of a snapshot, sorted.
pub(crate) fn visible(snapshot: &Snapshot) -> Vec<u64> {
    let mut numbers: Vec<u64> = snapshot
        .live(Table::Spans)
        .iter()
        .flat_map(|batch| numbers_of(&batch.rows))
        .chain(
            snapshot
                .files(Table::Spans)
                .iter()
                .flat_map(|file| read(&file.path).iter().flat_map(numbers_of).collect::<Vec<_>>()),
        )
        .collect();
    numbers.sort_unstable();
    numbers
}

pub(crate) fn numbers_of(rows: &RecordBatch) -> Vec<u64> {
    let column = rows.column_by_name(c::DURATION_NS).unwrap().as_primitive::<Int64Type>();
    column.values().iter().map(|n| *n as u64).collect()
}

/// All rows of a file.
pub(crate) fn read(path: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}
