//! Whether a trace may be in a file, by one block of its bloom filters instead of the file.
//!
//! The filters are Parquet's own, one a row group, which every reader of Parquet can use. A reader
//! takes a filter whole; to look into a thousand files for one trace, 32 bytes of each are enough:
//! those that its hash points at (<https://github.com/apache/parquet-format/blob/master/BloomFilter.md>).
//! Where the filters lie is known from writing a file; after a start it is read off the footer, once,
//! by the first who asks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use schemas::columns as c;
use twox_hash::XxHash64;

use crate::DataFile;
use crate::parquet_file::guarded;

/// Bytes of a block.
const BLOCK_BYTES: u64 = 32;

/// Where the filters of a file's trace ids lie. Two files are not different for it: it is a memory of
/// what their bytes say.
#[derive(Clone, Debug, Default)]
pub struct Blooms(OnceLock<Option<Box<[Place]>>>);

/// The bits of one row group's filter.
#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    /// A power of two.
    bytes: u64,
}

impl PartialEq for Blooms {
    fn eq(&self, _: &Blooms) -> bool {
        true
    }
}

impl Blooms {
    pub(crate) fn of(metadata: &ParquetMetaData) -> Blooms {
        Blooms(OnceLock::from(places(metadata)))
    }
}

impl DataFile {
    /// false: no row of the file has one of these trace ids. true: some row may have, or it cannot be
    /// told. Blocks on the disk for a few microseconds.
    pub fn may_have_trace(&self, ids: &[[u8; 16]]) -> bool {
        let Ok(file) = File::open(&self.path) else { return true };
        let Some(places) = self.blooms.0.get_or_init(|| read_places(&file)) else { return true };
        ids.iter().any(|id| places.iter().any(|place| place.may_have(&file, id)))
    }
}

impl Place {
    fn may_have(self, file: &File, id: &[u8; 16]) -> bool {
        let hash = XxHash64::oneshot(0, id);
        let block = ((hash >> 32) * (self.bytes / BLOCK_BYTES)) >> 32;
        let mut bits = [0; BLOCK_BYTES as usize];
        match file.read_exact_at(&mut bits, self.offset + block * BLOCK_BYTES) {
            // Of a filter of one block every hash points at that one.
            Ok(()) => Sbbf::new(&bits).check(id.as_slice()),
            Err(_) => true,
        }
    }
}

fn read_places(file: &File) -> Option<Box<[Place]>> {
    let read =
        || ParquetMetaDataReader::new().parse_and_finish(file).map_err(|why| why.to_string());
    places(&guarded(read).ok()?)
}

/// `None` unless every row group has a filter.
fn places(metadata: &ParquetMetaData) -> Option<Box<[Place]>> {
    let of_group = |group: &parquet::file::metadata::RowGroupMetaData| {
        let chunk =
            group.columns().iter().find(|chunk| chunk.column_path().string() == c::TRACE_ID)?;
        let offset = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
        let length = u64::try_from(chunk.bloom_filter_length()?).ok()?;
        // A header of a few bytes stands before the bits, whose number is a power of two.
        let bytes = 1 << length.checked_ilog2()?;
        (bytes >= BLOCK_BYTES).then_some(Place { offset: offset + length - bytes, bytes })
    };
    metadata.row_groups().iter().map(of_group).collect()
}

#[cfg(test)]
mod tests;
