//! Compressed bodies: whole, cut, damaged, too large, and bombs.
#![allow(clippy::unwrap_used)] // a failed set-up is a failed test

use std::io::Write;

use bytes::Bytes;

use super::{Compression, Failure, decompress};
use crate::admit::NoRoom;

const ALL: [Compression; 5] = [
    Compression::Gzip,
    Compression::Zstd,
    Compression::Deflate,
    Compression::Snappy,
    Compression::Lz4,
];

fn compress(compression: Compression, plain: &[u8]) -> Bytes {
    let level = flate2::Compression::fast();
    let out = match compression {
        Compression::Identity => plain.to_vec(),
        Compression::Gzip => {
            let mut e = flate2::write::GzEncoder::new(Vec::new(), level);
            e.write_all(plain).unwrap();
            e.finish().unwrap()
        }
        Compression::Deflate => {
            let mut e = flate2::write::ZlibEncoder::new(Vec::new(), level);
            e.write_all(plain).unwrap();
            e.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(plain, 1).unwrap(),
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        Compression::Lz4 => {
            let mut e = lz4_flex::frame::FrameEncoder::new(Vec::new());
            e.write_all(plain).unwrap();
            e.finish().unwrap()
        }
    };
    Bytes::from(out)
}

fn snappy_framed(plain: &[u8]) -> Bytes {
    let mut e = snap::write::FrameEncoder::new(Vec::new());
    e.write_all(plain).unwrap();
    Bytes::from(e.into_inner().unwrap())
}

fn unpack(compression: Compression, wire: &Bytes, bytes_max: usize) -> Result<Bytes, Failure> {
    decompress(compression, wire, bytes_max, &mut |_| Ok(()))
}

#[test]
fn round_trips_up_to_the_limit() {
    for size in [0, 1, 100, 1023, 1024, 1025, 70_000, 1_000_000] {
        let plain: Vec<u8> = (0..size).map(|i| (i * i / 7) as u8).collect();
        for compression in ALL {
            let wire = compress(compression, &plain);
            assert_eq!(unpack(compression, &wire, size).unwrap(), plain, "{compression:?} {size}");
            if size > 0 {
                let failure = unpack(compression, &wire, size - 1).unwrap_err();
                assert_eq!(failure, Failure::TooLarge, "{compression:?} {size}");
            }
        }
        let framed = snappy_framed(&plain);
        if size > 0 {
            assert_eq!(unpack(Compression::Snappy, &framed, size).unwrap(), plain);
        }
    }
}

#[test]
fn cut_or_damaged_streams_are_broken() {
    let plain: Vec<u8> = (0..10_000_u32).map(|i| (i * i / 7) as u8).collect();
    let mut wires: Vec<(Compression, Bytes)> =
        ALL.into_iter().map(|c| (c, compress(c, &plain))).collect();
    wires.push((Compression::Snappy, snappy_framed(&plain)));
    for (compression, wire) in wires {
        for end in [3, wire.len() / 2, wire.len() - 1] {
            let failure = unpack(compression, &wire.slice(..end), 1 << 20);
            assert!(matches!(failure, Err(Failure::Broken(_))), "{compression:?} cut at {end}");
        }
        let mut longer = wire.to_vec();
        longer.extend_from_slice(b"trailing");
        let failure = unpack(compression, &longer.into(), 1 << 20);
        assert!(matches!(failure, Err(Failure::Broken(_))), "{compression:?} with a tail");
    }
}

#[test]
fn bombs_take_no_more_room_than_the_limit() {
    let plain = vec![0; 8 << 20];
    for compression in ALL {
        let wire = compress(compression, &plain);
        let mut taken = 0;
        let failure = decompress(compression, &wire, 1 << 20, &mut |bytes| {
            taken += bytes;
            Ok(())
        });
        assert_eq!(failure, Err(Failure::TooLarge), "{compression:?}");
        assert!(taken <= (1 << 20) + 1, "{compression:?} took {taken}");
    }
}

#[test]
fn no_room_is_told_apart() {
    let wire = compress(Compression::Gzip, &[1; 100_000]);
    let mut left = 50_000_usize;
    let failure = decompress(Compression::Gzip, &wire, 1 << 20, &mut |bytes| {
        left = left.checked_sub(bytes).ok_or(NoRoom)?;
        Ok(())
    });
    assert_eq!(failure, Err(Failure::NoRoom));
}

#[test]
fn large_zstd_windows_are_refused() {
    for (window_log, allowed) in [(23, true), (24, false)] {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(window_log).unwrap();
        // Without the size in the header, the window is what the frame says it is.
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&[7; 100]).unwrap();
        encoder.flush().unwrap();
        let wire = Bytes::from(encoder.finish().unwrap());
        assert_eq!(unpack(Compression::Zstd, &wire, 1 << 20).is_ok(), allowed, "{window_log}");
    }
}

#[test]
fn a_huge_declared_snappy_length_allocates_nothing() {
    let declared = Bytes::from_static(b"\xff\xff\xff\xff\x0f");
    assert_eq!(unpack(Compression::Snappy, &declared, 1 << 20), Err(Failure::TooLarge));
}

#[test]
fn names() {
    let cases = [
        ("gzip", Some(Compression::Gzip)),
        (" GZip ", Some(Compression::Gzip)),
        ("", Some(Compression::Identity)),
        ("zlib", Some(Compression::Deflate)),
        ("x-snappy-framed", Some(Compression::Snappy)),
        ("br", None),
        ("gzip, gzip", None),
    ];
    for (name, expected) in cases {
        assert_eq!(Compression::from_name(name), expected, "{name}");
    }
}
