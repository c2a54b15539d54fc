//! The bytes of one frame: a 64-byte header, the payload, zeros up to a multiple of 8.
//!
//! All integers are little endian.
//!
//! | offset | bytes | field | |
//! |---|---|---|---|
//! | 0 | 4 | magic | `OTWF` |
//! | 4 | 2 | version | 1 |
//! | 6 | 2 | flags | 0 |
//! | 8 | 4 | payload length | bytes as stored, without padding |
//! | 12 | 4 | tenant | 0 |
//! | 16 | 8 | sequence | one more than the frame before it in the segment |
//! | 24 | 8 | received | ns since the epoch |
//! | 32 | 1 | signal | 1 traces, 2 metrics, 3 logs |
//! | 33 | 1 | encoding | 1 protobuf, 2 JSON |
//! | 34 | 1 | compression | 0 none, 3 lz4 block behind its size as 4 bytes (1 and 2 are kept for gzip and zstd) |
//! | 35 | 1 | – | 0 |
//! | 36 | 4 | accepted | records of the request that were accepted |
//! | 40 | 16 | fingerprint | of tenant, signal, decompressed body |
//! | 56 | 4 | CRC32C | over segment uuid, header with this field 0, payload |
//! | 60 | 4 | – | 0 |
//!
//! The segment's uuid takes part in the checksum because a recycled segment holds old frames with
//! good checksums behind its tail; without it they would look like valid newer ones.

use bytes::Bytes;
use schemas::Signal;

use crate::{Encoding, Fingerprint};

/// Bytes of a frame's header.
pub(crate) const HEADER_BYTES: usize = 64;
/// Every frame starts at a multiple of this.
pub(crate) const ALIGNMENT: usize = 8;
/// Longest payload, decompressed or as stored. Admission bounds requests far below it; here it
/// bounds what a damaged length can make recovery allocate.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 256 << 20;

/// What every frame begins with.
pub(crate) const MAGIC: [u8; 4] = *b"OTWF";
const VERSION: u16 = 1;
const CRC_OFFSET: usize = 56;
/// Below this lz4 saves less than the call costs.
const COMPRESS_BYTES_MIN: usize = 512;
/// lz4 cannot expand further, so a larger declared size is a lie.
const LZ4_RATIO_MAX: usize = 255;

/// The fields of a frame's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload_bytes: u32,
    pub(crate) seq: u64,
    pub(crate) received_ns: i64,
    pub(crate) signal: Signal,
    pub(crate) encoding: Encoding,
    pub(crate) compression: Compression,
    pub(crate) accepted: u32,
    pub(crate) fingerprint: Fingerprint,
}

/// How a payload is stored. The discriminant is the byte in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Compression {
    None = 0,
    Lz4 = 3,
}

/// The part of a checksum that all frames of a segment share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(crate) fn new(segment: &[u8; 16]) -> Seed {
        Seed(crc32c::crc32c(segment))
    }

    fn crc(self, header: &[u8; HEADER_BYTES], payload: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, header), payload)
    }
}

impl Header {
    /// Bytes of the whole frame, padding included.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload_bytes as usize)
    }

    /// The header's bytes with their checksum, and that checksum.
    pub(crate) fn encode(&self, seed: Seed, payload: &[u8]) -> ([u8; HEADER_BYTES], u32) {
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&MAGIC);
        out[4..6].copy_from_slice(&VERSION.to_le_bytes());
        out[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        out[16..24].copy_from_slice(&self.seq.to_le_bytes());
        out[24..32].copy_from_slice(&self.received_ns.to_le_bytes());
        out[32] = self.signal as u8;
        out[33] = self.encoding as u8;
        out[34] = self.compression as u8;
        out[36..40].copy_from_slice(&self.accepted.to_le_bytes());
        out[40..56].copy_from_slice(&self.fingerprint);
        let crc = seed.crc(&out, payload);
        out[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        (out, crc)
    }

    /// Reads the frame that `bytes` begin with: header, stored payload, checksum. `None` unless
    /// every field is one this version writes and the checksum holds.
    pub(crate) fn decode(seed: Seed, bytes: &[u8]) -> Option<(Header, &[u8], u32)> {
        let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        let fields = Header::fields(header)?;
        let stored = bytes.get(HEADER_BYTES..HEADER_BYTES + fields.payload_bytes as usize)?;
        let crc = u32::from_le_bytes(array(header, CRC_OFFSET));
        let mut zeroed = *header;
        zeroed[CRC_OFFSET..CRC_OFFSET + 4].fill(0);
        (seed.crc(&zeroed, stored) == crc).then_some((fields, stored, crc))
    }

    /// The fields as they stand, when all are possible; the checksum is not looked at.
    pub(crate) fn fields(header: &[u8; HEADER_BYTES]) -> Option<Header> {
        let known = header[..4] == MAGIC && u16::from_le_bytes(array(header, 4)) == VERSION;
        let payload_bytes = u32::from_le_bytes(array(header, 8));
        if !known || payload_bytes as usize > PAYLOAD_BYTES_MAX {
            return None;
        }
        Some(Header {
            payload_bytes,
            seq: u64::from_le_bytes(array(header, 16)),
            received_ns: i64::from_le_bytes(array(header, 24)),
            signal: Signal::from_byte(header[32])?,
            encoding: encoding_of(header[33])?,
            compression: Compression::from_byte(header[34])?,
            accepted: u32::from_le_bytes(array(header, 36)),
            fingerprint: array(header, 40),
        })
    }
}

impl Compression {
    fn from_byte(byte: u8) -> Option<Compression> {
        [Compression::None, Compression::Lz4].into_iter().find(|c| *c as u8 == byte)
    }
}

/// Bytes of a frame with a stored payload of that length, padding included.
pub(crate) fn frame_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// The payload as it is stored: compressed where that saves at least an eighth.
pub(crate) fn compress(payload: Bytes) -> (Compression, Bytes) {
    if payload.len() < COMPRESS_BYTES_MIN {
        return (Compression::None, payload);
    }
    let compressed = lz4_flex::compress_prepend_size(&payload);
    if compressed.len() > payload.len() - payload.len() / 8 {
        return (Compression::None, payload);
    }
    (Compression::Lz4, compressed.into())
}

/// The payload as it was received, or why it cannot be had.
pub(crate) fn decompress(compression: Compression, stored: Bytes) -> Result<Bytes, String> {
    if compression == Compression::None {
        return Ok(stored);
    }
    let Some(size) = stored.first_chunk().map(|b| u32::from_le_bytes(*b) as usize) else {
        return Err("compressed payload without a size".to_owned());
    };
    if size > PAYLOAD_BYTES_MAX || size > stored.len().saturating_mul(LZ4_RATIO_MAX) {
        return Err(format!("compressed payload claims {size} bytes"));
    }
    match lz4_flex::decompress_size_prepended(&stored) {
        Ok(payload) => Ok(payload.into()),
        Err(error) => Err(format!("payload does not decompress: {error}")),
    }
}

fn encoding_of(byte: u8) -> Option<Encoding> {
    [Encoding::Protobuf, Encoding::Json].into_iter().find(|e| *e as u8 == byte)
}

/// `N` bytes at an offset that the caller knows to be inside.
fn array<const N: usize>(bytes: &[u8; HEADER_BYTES], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}

#[cfg(test)]
mod tests;
