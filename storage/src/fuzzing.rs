//! Entry points of the fuzz targets under `fuzz/`; no part of the API.

/// Reads arbitrary bytes as everything the log's directory can hold. Panics on a broken promise.
pub fn wal_reader(data: &[u8]) {
    crate::wal::fuzz::read_as_segment(data);
    crate::wal::fuzz::read_damaged(data);
    crate::wal::fuzz::read_as_payload(data);
    let _ = crate::dedupe::decode(data);
}
