//! Every table can be made, with rows of the right types.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use schemas::{Batch, KeyFacts, Keys, Signal, Table, type_bits};
use storage::{DataFile, Snapshot, StoreStats};

use super::*;
use crate::encode::{Encoder, Format, Options};

fn check(rows: Rows, expected: &str) {
    let batch = rows.finish().unwrap();
    let mut csv = Encoder::new(Format::Csv, &batch.schema(), Options::default()).unwrap();
    let mut out = Vec::new();
    csv.start(&mut out);
    csv.rows(&batch, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap().replace("\r\n", "|"), expected);
}

fn keys(key: &str, types: u8, rows: u64) -> Keys {
    Keys { record: [(key.to_owned(), KeyFacts { types, rows })].into(), ..Keys::default() }
}

fn snapshot() -> Snapshot {
    let file = DataFile {
        id: 1,
        table: Table::Logs,
        path: PathBuf::from("/data/files/logs/1.parquet"),
        name: "files/logs/1.parquet".into(),
        level: 0,
        window: (0, 1),
        min_time_ns: 1,
        max_time_ns: 2,
        rows: 3,
        bytes: 4,
        footer_bytes: 5,
        seq: Some((6, 7)),
        columns: Default::default(),
        promoted: Default::default(),
        keys: keys("a", type_bits::INT, 2),
        keys_complete: true,
        blooms: Default::default(),
    };
    let live = Batch {
        table: Table::Logs,
        rows: RecordBatch::new_empty(Table::Logs.schema()),
        keys: keys("a", type_bits::STRING, 1),
    };
    let mut files: [Vec<Arc<DataFile>>; Table::COUNT] = Default::default();
    let mut buffers: [Vec<Arc<Batch>>; Table::COUNT] = Default::default();
    files[Table::Logs.index()].push(Arc::new(file));
    buffers[Table::Logs.index()].push(Arc::new(live));
    Snapshot::from_parts(files, buffers)
}

#[test]
fn tables_show_what_is_known() {
    let snapshot = snapshot();
    check(
        files(&snapshot),
        "table_name,name,level,rows,bytes,min_time,max_time,first_seq,last_seq,promoted|\
         logs,files/logs/1.parquet,0,3,4,1970-01-01T00:00:00.000000001Z,\
         1970-01-01T00:00:00.000000002Z,6,7,0|",
    );
    check(
        attribute_keys(&snapshot),
        "table_name,scope,key,types,rows|logs,record,a,\"string,int\",3|",
    );
    check(
        rejects(vec![("2024-01-01".into(), Signal::Logs, "too_large".into(), 2)]),
        "day,signal,reason,count|2024-01-01,logs,too_large,2|",
    );
    check(
        queries(vec![("q1".into(), "SELECT 1".into(), 0.5)]),
        "query_id,sql,seconds|q1,SELECT 1,0.5|",
    );
}

#[test]
fn every_table_has_rows_of_its_columns() {
    let stats = StoreStats::default();
    let config = EngineConfig::new(PathBuf::new());
    for (rows, expected) in
        [(buffers(&snapshot(), &stats), Table::COUNT), (wal(&stats), 1), (limits(&config), 19)]
    {
        assert_eq!(rows.finish().unwrap().num_rows(), expected);
    }
}
