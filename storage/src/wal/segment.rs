//! Segment files: the header page, names, and the one that is open for writing.
//!
//! A segment is `<first sequence, 20 digits>-<uuid, 32 hex digits>.wal`, preallocated, and written
//! in place, so that a write seldom changes the file's size. Its first 4096 bytes are the header,
//! little endian; frames follow it. Freed segments wait as `….spare` to be used again.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `OTLKWAL` and a zero |
//! | 8 | 2 | version, 1 |
//! | 10 | 6 | 0 |
//! | 16 | 16 | uuid |
//! | 32 | 8 | writer, 0 |
//! | 40 | 8 | first sequence |
//! | 48 | 16 | uuid of the segment before, zeros for none |
//! | 64 | 8 | last sequence of the segment before |
//! | 72 | 8 | end of its last durable frame, bytes from the start of the file |
//! | 80 | 4 | CRC of that frame |
//! | 84 | 40 | 0 |
//! | 124 | 4 | CRC32C over bytes 0 to 124; this place never changes with the version |

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use rustix::io::{Errno, pwritev};
use uuid::Uuid;

use super::frame::Seed;
use crate::durable::{open_private, rename_durably, temporary_name};

/// Bytes before the first frame: a page, so that no frame shares a block with the header.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Ending of a segment's name.
pub(crate) const SUFFIX: &str = ".wal";
/// Ending of a file that waits to become a segment.
pub(crate) const SPARE_SUFFIX: &str = ".spare";

const MAGIC: [u8; 8] = *b"OTLKWAL\0";
const VERSION: u16 = 1;
const CRC_OFFSET: usize = 124;
/// `IOV_MAX` of Linux.
const SLICES_MAX: usize = 1024;

/// Where a segment's durable frames end. The next segment's header records it, which makes a
/// missing segment, a missing end and a tail that was cut before three different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) uuid: [u8; 16],
    pub(crate) last_seq: u64,
    pub(crate) end: u64,
    pub(crate) crc: u32,
}

/// The fields of a segment's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) uuid: [u8; 16],
    pub(crate) first_seq: u64,
    pub(crate) previous: Tail,
}

/// What the first bytes of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Header(SegmentHeader),
    /// Whole, and of a version this program does not know.
    Newer(u16),
    Damaged,
}

impl SegmentHeader {
    /// A header for a new segment behind `previous`.
    pub(crate) fn new(first_seq: u64, previous: Tail) -> SegmentHeader {
        SegmentHeader { uuid: *Uuid::new_v4().as_bytes(), first_seq, previous }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[16..32].copy_from_slice(&self.uuid);
        out[40..48].copy_from_slice(&self.first_seq.to_le_bytes());
        out[48..64].copy_from_slice(&self.previous.uuid);
        out[64..72].copy_from_slice(&self.previous.last_seq.to_le_bytes());
        out[72..80].copy_from_slice(&self.previous.end.to_le_bytes());
        out[80..84].copy_from_slice(&self.previous.crc.to_le_bytes());
        let crc = crc32c::crc32c(&out[..CRC_OFFSET]);
        out[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Decoded {
        let Some(head) = bytes.first_chunk::<{ CRC_OFFSET + 4 }>() else {
            return Decoded::Damaged;
        };
        let crc = crc32c::crc32c(&head[..CRC_OFFSET]);
        if head[..8] != MAGIC || head[CRC_OFFSET..] != crc.to_le_bytes() {
            return Decoded::Damaged;
        }
        match u16::from_le_bytes([head[8], head[9]]) {
            VERSION => Decoded::Header(SegmentHeader::fields(head)),
            newer => Decoded::Newer(newer),
        }
    }

    fn fields(head: &[u8; CRC_OFFSET + 4]) -> SegmentHeader {
        SegmentHeader {
            uuid: array(head, 16),
            first_seq: u64::from_le_bytes(array(head, 40)),
            previous: Tail {
                uuid: array(head, 48),
                last_seq: u64::from_le_bytes(array(head, 64)),
                end: u64::from_le_bytes(array(head, 72)),
                crc: u32::from_le_bytes(array(head, 80)),
            },
        }
    }

    /// The file name, from which a damaged header's uuid and first sequence can be had again.
    pub(crate) fn file_name(&self) -> String {
        format!("{:020}-{}{SUFFIX}", self.first_seq, Uuid::from_bytes(self.uuid).simple())
    }
}

/// First sequence and uuid out of a segment's file name.
pub(crate) fn parse_name(name: &str) -> Option<(u64, [u8; 16])> {
    let (first_seq, uuid) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((first_seq.parse().ok()?, *Uuid::try_parse(uuid).ok()?.as_bytes()))
}

/// The segment that frames are appended to.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    pub(crate) path: PathBuf,
    pub(crate) seed: Seed,
    pub(crate) tail: Tail,
    pub(crate) capacity_bytes: u64,
}

impl Segment {
    /// Makes a durable segment of at least that size, out of `spare` where there is one.
    pub(crate) fn create(
        dir: &Path,
        header: &SegmentHeader,
        capacity_bytes: u64,
        spare: Option<PathBuf>,
    ) -> io::Result<Segment> {
        let path = dir.join(header.file_name());
        let reused = spare.and_then(|spare| {
            OpenOptions::new().read(true).write(true).open(&spare).ok().map(|file| (file, spare))
        });
        let (file, source) = match reused {
            Some(reused) => reused,
            None => {
                let temporary = temporary_name(&path);
                (open_private(&temporary)?, temporary)
            }
        };
        let created = allocate(&file, capacity_bytes)
            .and_then(|()| file.write_all_at(&header.encode(), 0))
            .and_then(|()| file.sync_all())
            .and_then(|()| rename_durably(&source, &path));
        if let Err(error) = created {
            // Best effort: the sweep at start removes what stays.
            let _ = std::fs::remove_file(&source);
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let end = HEADER_BYTES as u64;
        let tail = Tail { uuid: header.uuid, last_seq: header.first_seq - 1, end, crc: 0 };
        Ok(Segment { file, path, seed: Seed::new(&header.uuid), tail, capacity_bytes })
    }

    /// Whether no frame is durable in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.tail.end == HEADER_BYTES as u64
    }

    /// Whether as many bytes fit behind the last frame.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        self.tail.end + bytes <= self.capacity_bytes
    }

    /// Writes whole frames behind the last one and syncs them. After an error the file must not be
    /// used again: the kernel may have dropped the pages and report the next sync as a success.
    pub(crate) fn append(
        &mut self,
        frames: &mut [IoSlice<'_>],
        last: (u64, u32),
    ) -> io::Result<()> {
        let end = write_all_at(&self.file, frames, self.tail.end)?;
        #[cfg(test)]
        super::tests::faults::before_sync(&self.path)?;
        fdatasync(&self.file)?;
        self.tail = Tail { uuid: self.tail.uuid, last_seq: last.0, end, crc: last.1 };
        Ok(())
    }
}

/// Gives the file its full size, so that appends neither run out of space nor grow it.
fn allocate(file: &File, capacity_bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() >= capacity_bytes {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), 0, capacity_bytes) {
        // Some file systems cannot; the disk watermarks then stand alone.
        Err(Errno::OPNOTSUPP) => file.set_len(capacity_bytes),
        done => Ok(done?),
    }
}

fn write_all_at(file: &File, mut slices: &mut [IoSlice<'_>], mut at: u64) -> io::Result<u64> {
    while !slices.is_empty() {
        let count = slices.len().min(SLICES_MAX);
        match pwritev(file, &slices[..count], at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(at)
}

/// `N` bytes at an offset that the caller knows to be inside.
fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[offset..offset + N]);
    out
}
