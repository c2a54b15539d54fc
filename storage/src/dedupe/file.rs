//! The `.fp` file: fingerprints that outlive their WAL segment.
//!
//! Little endian: magic `OTLKFPS` and a zero, version as 4 bytes, number of entries as 4 bytes; each
//! entry 16 bytes of fingerprint and 8 of `received_ns`; CRC32C of all before it.

use super::Remembered;

/// Ending of the file's name, behind the segment's.
pub(crate) const SUFFIX: &str = ".fp";

const MAGIC: [u8; 8] = *b"OTLKFPS\0";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 24;

/// The file's bytes.
pub(crate) fn encode(entries: &[Remembered]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + entries.len() * ENTRY_BYTES + 4);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for entry in entries {
        out.extend_from_slice(&entry.fingerprint);
        out.extend_from_slice(&entry.received_ns.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// The entries, in the order they were written; `None` unless every byte is right.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Remembered>> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    let (header, entries) = body.split_first_chunk::<HEADER_BYTES>()?;
    let count = (entries.len() / ENTRY_BYTES) as u32;
    let expected = [&MAGIC[..], &VERSION.to_le_bytes(), &count.to_le_bytes()].concat();
    let whole = entries.len().is_multiple_of(ENTRY_BYTES) && header[..] == expected;
    if !whole || crc32c::crc32c(body).to_le_bytes() != *crc {
        return None;
    }
    Some(entries.chunks_exact(ENTRY_BYTES).map(entry).collect())
}

fn entry(bytes: &[u8]) -> Remembered {
    let mut fingerprint = [0; 16];
    let mut received = [0; 8];
    fingerprint.copy_from_slice(&bytes[..16]);
    received.copy_from_slice(&bytes[16..ENTRY_BYTES]);
    Remembered { fingerprint, received_ns: i64::from_le_bytes(received), seq: 0 }
}
