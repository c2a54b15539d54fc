//! One block against the whole filter, as Parquet's own reader takes it.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::sync::Arc;

use parquet::bloom_filter::Sbbf;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use schemas::Table;

use super::*;
use crate::tests::support::{append, config, open};

/// The filters of a file's row groups, read by Parquet.
fn filters(path: &std::path::Path) -> Vec<Sbbf> {
    let options = ReadOptionsBuilder::new().build();
    let file = SerializedFileReader::new_with_options(File::open(path).unwrap(), options).unwrap();
    let of_group = |group: &parquet::file::metadata::RowGroupMetaData| {
        let chunk = group.columns().iter().find(|c| c.column_path().string() == c::TRACE_ID);
        let chunk_reader = Arc::new(File::open(path).unwrap());
        Sbbf::read_from_column_chunk(chunk.unwrap(), &*chunk_reader).unwrap().unwrap()
    };
    file.metadata().row_groups().iter().map(of_group).collect()
}

/// As a start finds it: nothing is known beside the catalog.
fn forgotten(file: &DataFile) -> DataFile {
    DataFile { blooms: Blooms::default(), ..file.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_answers_like_the_whole_filter() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    append(&store, &(0..8000).collect::<Vec<_>>()).await;
    store.flush().await.unwrap();
    let snapshot = store.snapshot();
    let mut random = StdRng::seed_from_u64(7);
    let mut absent = 0;
    for file in snapshot.files(Table::Spans) {
        let filters = filters(&file.path);
        let forgotten = forgotten(file);
        for number in (0..2000_u128).step_by(9) {
            // Those of the rows, most of which lie in one of the files, and as many others.
            let of_row = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
            let mut other = [0; 16];
            random.fill_bytes(&mut other);
            for id in [of_row.to_be_bytes(), other] {
                let expected = filters.iter().any(|filter| filter.check(id.as_slice()));
                assert_eq!(file.may_have_trace(&[id]), expected, "{id:?}");
                assert_eq!(forgotten.may_have_trace(&[id]), expected, "{id:?}");
                absent += usize::from(!expected);
            }
        }
    }
    let files = snapshot.files(Table::Spans).len();
    assert!(absent > files * 200, "{absent} of {files} files times 446");
    let found = |number: u128| {
        let id = number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes();
        snapshot.files(Table::Spans).iter().any(|file| file.may_have_trace(&[[9; 16], id]))
    };
    assert!((0..2000).all(found));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_may_have_any_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(config(dir.path())).await;
    append(&store, &[1, 2, 3]).await;
    store.flush().await.unwrap();
    let file = store.snapshot().files(Table::Spans)[0].clone();
    assert!(!file.may_have_trace(&[[9; 16]]));
    let bytes = std::fs::read(&file.path).unwrap();
    for kept in [0, 4, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file.path, &bytes[..kept]).unwrap();
        assert!(forgotten(&file).may_have_trace(&[[9; 16]]), "{kept} bytes");
    }
    std::fs::remove_file(&file.path).unwrap();
    assert!(file.may_have_trace(&[[9; 16]]));
}
