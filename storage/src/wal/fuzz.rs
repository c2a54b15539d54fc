//! What reading arbitrary bytes must hold to. Called by the fuzz target `wal_reader`.

use bytes::Bytes;

use super::frame::{self, Compression, Header, Seed};
use super::reader::{Found, Reader};
use super::segment::{self, SegmentHeader};

const SEGMENT: [u8; 16] = [7; 16];

/// Frames lie inside the bytes, in order, and sequences are either found or named.
pub(crate) fn read_as_segment(data: &[u8]) {
    let _ = SegmentHeader::decode(data);
    let mut bytes = vec![0; segment::HEADER_BYTES];
    bytes.extend_from_slice(data);
    seal_first(&mut bytes[segment::HEADER_BYTES..]);
    let end = bytes.len().next_multiple_of(frame::ALIGNMENT) as u64;
    let mut reader = Reader::new(Bytes::from(bytes), &SEGMENT, 1);
    let mut expected = 1;
    for found in reader.by_ref() {
        let seqs = match found {
            Found::Frame(raw) => raw.header.seq..=raw.header.seq,
            Found::Damage(lost) => lost,
        };
        assert_eq!(*seqs.start(), expected);
        expected = *seqs.end() + 1;
    }
    assert!(reader.at() <= end && reader.torn_bytes() <= end);
}

/// A lying size allocates nothing.
pub(crate) fn read_as_payload(data: &[u8]) {
    if let Ok(payload) = frame::decompress(Compression::Lz4, Bytes::copy_from_slice(data)) {
        assert!(payload.len() <= frame::PAYLOAD_BYTES_MAX);
    }
}

/// Gives the first frame a checksum that holds: no fuzzer finds one by chance.
fn seal_first(bytes: &mut [u8]) {
    let Some((head, rest)) = bytes.split_first_chunk_mut() else { return };
    let Some(fields) = Header::fields(head) else { return };
    let fields = Header { seq: 1, ..fields };
    if let Some(stored) = rest.get(..fields.payload_bytes as usize) {
        *head = fields.encode(Seed::new(&SEGMENT), stored).0;
    }
}
