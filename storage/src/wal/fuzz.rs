//! What reading arbitrary bytes must hold to. Called by the fuzz target `wal_reader`.

use std::ops::Range;

use bytes::Bytes;
use schemas::Signal;

use super::frame::{self, Compression, Header, Seed};
use super::reader::{Found, Reader};
use super::segment::{self, SegmentHeader};
use crate::Encoding;

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

/// A segment that was written whole and damaged afterwards: only what was written is found, nothing
/// before the first damage is lost, and of few damaged frames none costs an intact one.
pub(crate) fn read_damaged(data: &[u8]) {
    let mut input = Input(data);
    let frames: Vec<_> = (1..=u64::from(input.byte() % 16)).map(|seq| input.frame(seq)).collect();
    let uuid = secret(data);
    let (whole, places) = written(&frames, Seed::new(&uuid));
    let bytes = input.damage(whole.clone());
    let is_intact = |place: &Range<usize>| bytes[place.clone()] == whole[place.clone()];
    let intact: Vec<u64> =
        (1..).zip(&places).filter(|(_, place)| is_intact(place)).map(|(seq, _)| seq).collect();
    let before_damage = (1..).zip(&intact).take_while(|(seq, kept)| seq == *kept).count();
    let mut found = Vec::new();
    for one in Reader::new(Bytes::from(bytes.clone()), &uuid, 1) {
        let Found::Frame(raw) = one else { continue };
        let (header, payload) = &frames[raw.header.seq as usize - 1];
        assert_eq!((&raw.header, &raw.stored[..]), (header, *payload));
        found.push(raw.header.seq);
    }
    assert!(found.starts_with(&intact[..before_damage]), "{found:?} of {intact:?}");
    let few = frames.len() - intact.len() <= DAMAGED_MAX;
    if few && !holds_other_magic(&bytes, &places) {
        assert_eq!(found, intact);
    }
}

/// The uuid of a segment: random, so that nobody can send a payload with a valid frame in it. A
/// constant one the fuzzer learns to forge.
fn secret(data: &[u8]) -> [u8; 16] {
    let mut uuid = [0; 16];
    blake3::Hasher::new().update(data).finalize_xof().fill(&mut uuid);
    uuid
}

/// Damaged frames that the reader's budget suffices for, whatever lengths they claim.
const DAMAGED_MAX: usize = 3;

/// A segment of these frames, and where each lies, without its padding.
fn written(frames: &[(Header, &[u8])], seed: Seed) -> (Vec<u8>, Vec<Range<usize>>) {
    let mut bytes = vec![0; segment::HEADER_BYTES];
    let mut places = Vec::new();
    for (header, payload) in frames {
        let start = bytes.len();
        bytes.extend_from_slice(&header.encode(seed, payload).0);
        bytes.extend_from_slice(payload);
        places.push(start..bytes.len());
        bytes.resize(bytes.len().next_multiple_of(frame::ALIGNMENT), 0);
    }
    (bytes, places)
}

/// Whether something looks like a frame and is none.
fn holds_other_magic(bytes: &[u8], places: &[Range<usize>]) -> bool {
    let aligned = (segment::HEADER_BYTES..bytes.len()).step_by(frame::ALIGNMENT);
    let mut magic = aligned.filter(|at| bytes[*at..].starts_with(&frame::MAGIC));
    magic.any(|at| places.iter().all(|place| place.start != at))
}

/// Bytes of the fuzzer as decisions; zeros once they are used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// Overwrites some bytes behind the segment's header.
    fn damage(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let frames = &mut bytes[segment::HEADER_BYTES..];
        if frames.is_empty() {
            return bytes;
        }
        for _ in 0..self.byte() % 8 {
            let at = usize::from(self.byte()) << 8 | usize::from(self.byte());
            frames[at % frames.len()] = self.byte();
        }
        bytes
    }

    fn frame(&mut self, seq: u64) -> (Header, &'a [u8]) {
        let len = usize::from(self.byte()).min(self.0.len());
        let (payload, rest) = self.0.split_at(len);
        self.0 = rest;
        let header = Header {
            payload_bytes: payload.len() as u32,
            seq,
            received_ns: 1,
            signal: Signal::Logs,
            encoding: Encoding::Json,
            compression: Compression::None,
            accepted: 1,
            fingerprint: [9; 16],
        };
        (header, payload)
    }
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

#[cfg(test)]
mod tests;
