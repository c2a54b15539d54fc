//! Walks the frames of one segment and steps over damage, never past the recorded end.
//!
//! A frame is taken when its checksum holds and its sequence is the expected one. Otherwise the
//! reader walks on in steps of 8 bytes to the next frame whose checksum and sequence fit, and
//! reports the sequences between as damage. Where nothing valid follows it stops.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::frame::{ALIGNMENT, HEADER_BYTES, Header, MAGIC, Seed};
use super::segment;

/// Bytes that searching may checksum, as a multiple of the segment: payloads can hold what looks
/// like headers, each claiming a length, and must not make a search quadratic.
const SEARCH_FACTOR: usize = 4;

/// Iterates over what a segment holds.
#[derive(Debug)]
pub(crate) struct Reader {
    bytes: Bytes,
    seed: Seed,
    at: usize,
    first_seq: u64,
    next_seq: u64,
    search_budget_bytes: usize,
}

/// One thing the reader met.
#[derive(Debug)]
pub(crate) enum Found {
    Frame(Raw),
    /// Sequences whose frames cannot be read; later ones can.
    Damage(RangeInclusive<u64>),
}

/// A valid frame as stored.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) header: Header,
    pub(crate) stored: Bytes,
    pub(crate) crc: u32,
    /// Offset behind the frame.
    pub(crate) end: u64,
}

impl Reader {
    /// `bytes` are the segment up to where its frames may end, header included.
    pub(crate) fn new(bytes: Bytes, uuid: &[u8; 16], first_seq: u64) -> Reader {
        let search_budget_bytes = bytes.len().saturating_mul(SEARCH_FACTOR);
        let at = segment::HEADER_BYTES;
        let seed = Seed::new(uuid);
        Reader { bytes, seed, at, first_seq, next_seq: first_seq, search_budget_bytes }
    }

    /// The sequence expected next.
    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Offset behind the last valid frame.
    pub(crate) fn at(&self) -> u64 {
        self.at as u64
    }

    /// Once the reader has stopped: bytes of the frame that was begun here and never finished.
    /// Zeros are unused space; an older sequence is what a recycled file held before.
    pub(crate) fn torn_bytes(&self) -> u64 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
            return if rest.iter().all(|b| *b == 0) { 0 } else { rest.len() as u64 };
        };
        if header[..MAGIC.len()] != MAGIC {
            return 0;
        }
        match Header::fields(header) {
            Some(fields) if (1..self.first_seq).contains(&fields.seq) => 0,
            Some(fields) => fields.frame_bytes().min(rest.len()) as u64,
            None => HEADER_BYTES as u64,
        }
    }

    fn frame_at(&self, at: usize) -> Option<Raw> {
        let (header, stored, crc) = Header::decode(self.seed, self.bytes.get(at..)?)?;
        let start = at + HEADER_BYTES;
        let stored = self.bytes.slice(start..start + stored.len());
        let end = (at + header.frame_bytes()) as u64;
        Some(Raw { header, stored, crc, end })
    }

    /// The next place with a valid frame whose sequence can follow.
    fn search(&mut self) -> Option<(usize, u64)> {
        let mut at = self.at + ALIGNMENT;
        while at + HEADER_BYTES <= self.bytes.len() {
            if self.bytes[at..at + MAGIC.len()] == MAGIC {
                let lost_max = ((at - self.at) / HEADER_BYTES) as u64;
                let fits = self.next_seq..=self.next_seq.saturating_add(lost_max);
                if let Some(seq) = self.candidate(at).filter(|seq| fits.contains(seq)) {
                    return Some((at, seq));
                }
            }
            at += ALIGNMENT;
        }
        None
    }

    /// The sequence of the frame at a place that looks like one, while the budget lasts.
    fn candidate(&mut self, at: usize) -> Option<u64> {
        let rest = self.bytes.get(at..)?;
        let fields = Header::fields(rest.first_chunk()?)?;
        // Whoever claims more than there is costs nothing: it is no frame, and not checksummed.
        let claimed_bytes = HEADER_BYTES + fields.payload_bytes as usize;
        if claimed_bytes > rest.len() {
            return None;
        }
        self.search_budget_bytes = self.search_budget_bytes.checked_sub(claimed_bytes)?;
        self.frame_at(at).map(|raw| raw.header.seq)
    }
}

impl Iterator for Reader {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if let Some(raw) = self.frame_at(self.at).filter(|raw| raw.header.seq == self.next_seq) {
            self.at = raw.end as usize;
            self.next_seq = self.next_seq.saturating_add(1);
            return Some(Found::Frame(raw));
        }
        let (at, seq) = self.search()?;
        let lost = self.next_seq..=seq.saturating_sub(1);
        (self.at, self.next_seq) = (at, seq);
        if lost.is_empty() { self.next() } else { Some(Found::Damage(lost)) }
    }
}
