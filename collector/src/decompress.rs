//! Bounded decompression: the limit is on the output, and room is asked for before memory is taken.

use std::io::{self, Read};

use bytes::Bytes;

use crate::admit::NoRoom;

/// How a body is compressed. One list for both transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Identity,
    Gzip,
    Zstd,
    /// The zlib wrapper, as HTTP means it.
    Deflate,
    /// Block or framed, told apart by the frame's 10-byte header.
    Snappy,
    Lz4,
}

/// Why there is no decompressed body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// More than the limit comes out.
    TooLarge,
    /// The stream is corrupt, cut, or asks for a window beyond ours.
    Broken(String),
    /// The byte budget has no room.
    NoRoom,
}

const SNAPPY_FRAME_HEADER: &[u8; 10] = b"\xff\x06\x00\x00sNaPpY";
/// 8 MiB: what a zstd frame may ask us to keep.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Compression {
    /// What we tell a client that used another one.
    pub(crate) const ACCEPTED: &'static str = "gzip, zstd, deflate, snappy, lz4, identity";

    pub(crate) fn from_name(name: &str) -> Option<Compression> {
        const NAMES: [(&str, Compression); 10] = [
            ("gzip", Compression::Gzip),
            ("identity", Compression::Identity),
            ("", Compression::Identity),
            ("zstd", Compression::Zstd),
            ("deflate", Compression::Deflate),
            ("zlib", Compression::Deflate),
            ("snappy", Compression::Snappy),
            ("x-snappy-framed", Compression::Snappy),
            ("lz4", Compression::Lz4),
            ("x-gzip", Compression::Gzip),
        ];
        let name = name.trim();
        NAMES.iter().find(|(n, _)| name.eq_ignore_ascii_case(n)).map(|(_, c)| *c)
    }
}

/// Decompresses a whole body. `room` is called before each step with the bytes about to be allocated;
/// at most `bytes_max` come out.
pub(crate) fn decompress(
    compression: Compression,
    wire: &Bytes,
    bytes_max: usize,
    room: &mut dyn FnMut(usize) -> Result<(), NoRoom>,
) -> Result<Bytes, Failure> {
    let input: &[u8] = wire;
    let out = match compression {
        Compression::Identity if input.len() > bytes_max => return Err(Failure::TooLarge),
        Compression::Identity => return Ok(wire.clone()),
        // A gzip stream may have several members.
        Compression::Gzip => {
            drain(flate2::bufread::MultiGzDecoder::new(input), wire, bytes_max, room)?
        }
        Compression::Deflate => deflate(wire, bytes_max, room)?,
        Compression::Zstd => drain(zstd_reader(input)?, wire, bytes_max, room)?,
        Compression::Lz4 => lz4(wire, bytes_max, room)?,
        Compression::Snappy if input.starts_with(SNAPPY_FRAME_HEADER) => {
            drain(snap::read::FrameDecoder::new(input), wire, bytes_max, room)?
        }
        Compression::Snappy => snappy_block(input, bytes_max, room)?,
    };
    Ok(Bytes::from(out))
}

fn deflate(
    wire: &Bytes,
    bytes_max: usize,
    room: &mut dyn FnMut(usize) -> Result<(), NoRoom>,
) -> Result<Vec<u8>, Failure> {
    let mut decoder = flate2::bufread::ZlibDecoder::new(&wire[..]);
    let out = drain(&mut decoder, wire, bytes_max, room)?;
    match decoder.get_ref().len() {
        0 => Ok(out),
        n => Err(Failure::Broken(format!("{n} bytes follow the end of the zlib stream"))),
    }
}

/// The frame decoder takes a stream that is cut between two blocks for a whole one, so its end is
/// checked here: a zero block length, and behind it the checksum that the flags announce.
fn lz4(
    wire: &Bytes,
    bytes_max: usize,
    room: &mut dyn FnMut(usize) -> Result<(), NoRoom>,
) -> Result<Vec<u8>, Failure> {
    const FLAGS_AT: usize = 4;
    const CONTENT_CHECKSUM: u8 = 1 << 2;
    let mut decoder = lz4_flex::frame::FrameDecoder::new(&wire[..]);
    let out = drain(&mut decoder, wire, bytes_max, room)?;
    if !decoder.get_ref().is_empty() {
        return Err(Failure::Broken("bytes follow the end of the lz4 frame".to_owned()));
    }
    let has_checksum = wire.get(FLAGS_AT).is_some_and(|flags| flags & CONTENT_CHECKSUM != 0);
    let end = wire.len().saturating_sub(if has_checksum { 4 } else { 0 });
    if !wire[..end].ends_with(&[0; 4]) {
        return Err(Failure::Broken("the stream is cut".to_owned()));
    }
    Ok(out)
}

fn zstd_reader(input: &[u8]) -> Result<zstd::Decoder<'static, &[u8]>, Failure> {
    let mut decoder = zstd::Decoder::with_buffer(input).map_err(broken)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(broken)?;
    Ok(decoder)
}

fn snappy_block(
    input: &[u8],
    bytes_max: usize,
    room: &mut dyn FnMut(usize) -> Result<(), NoRoom>,
) -> Result<Vec<u8>, Failure> {
    let declared = snap::raw::decompress_len(input).map_err(broken)?;
    if declared > bytes_max {
        return Err(Failure::TooLarge);
    }
    room(declared).map_err(|NoRoom| Failure::NoRoom)?;
    snap::raw::Decoder::new().decompress_vec(input).map_err(broken)
}

/// Reads to the end in doubling steps, each asked for first; the first is what telemetry usually
/// unpacks to.
fn drain(
    mut reader: impl Read,
    wire: &Bytes,
    bytes_max: usize,
    room: &mut dyn FnMut(usize) -> Result<(), NoRoom>,
) -> Result<Vec<u8>, Failure> {
    // One byte more than allowed tells "exactly the limit" from "beyond it".
    let capacity_max = bytes_max.saturating_add(1);
    let mut out: Vec<u8> = Vec::new();
    let mut capacity = wire.len().saturating_mul(4).max(1024).min(capacity_max);
    loop {
        room(capacity - out.capacity().min(capacity)).map_err(|NoRoom| Failure::NoRoom)?;
        out.reserve_exact(capacity - out.len());
        let step = capacity - out.len();
        let read = reader.by_ref().take(step as u64).read_to_end(&mut out).map_err(broken)?;
        if out.len() > bytes_max {
            return Err(Failure::TooLarge);
        }
        if read < step {
            return Ok(out);
        }
        capacity = capacity.saturating_mul(2).min(capacity_max);
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error>>) -> Failure {
    let error: Box<dyn std::error::Error> = error.into();
    let cut = error.downcast_ref::<io::Error>().map(io::Error::kind);
    match cut {
        Some(io::ErrorKind::UnexpectedEof) => Failure::Broken("the stream is cut".to_owned()),
        _ => Failure::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
