//! What is encoded is decoded again; anything else is no frame.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use super::*;

const SEGMENT: [u8; 16] = [7; 16];

fn header(payload: &[u8]) -> Header {
    Header {
        payload_bytes: payload.len() as u32,
        seq: u64::MAX - 1,
        received_ns: -5,
        signal: Signal::Logs,
        encoding: Encoding::Json,
        compression: Compression::None,
        accepted: 3,
        fingerprint: *b"0123456789abcdef",
    }
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let (head, _) = header(payload).encode(Seed::new(&SEGMENT), payload);
    let mut frame = head.to_vec();
    frame.extend_from_slice(payload);
    frame.resize(frame_bytes(payload.len()), 0);
    frame
}

#[test]
fn round_trip() {
    for payload in [&b""[..], b"a", b"12345678", &[0; 1000]] {
        let bytes = frame(payload);
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        let (fields, stored, _) = Header::decode(Seed::new(&SEGMENT), &bytes).unwrap();
        assert_eq!((fields.frame_bytes(), stored), (bytes.len(), payload));
        assert_eq!(fields, header(payload));
    }
}

#[test]
fn every_flipped_bit_is_seen() {
    let bytes = frame(b"payload!");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(Seed::new(&SEGMENT), &flipped).is_none(), "bit {bit}");
    }
}

#[test]
fn another_segments_frame_is_none() {
    assert!(Header::decode(Seed::new(&[8; 16]), &frame(b"old")).is_none());
}

#[test]
fn every_cut_is_seen() {
    let bytes = frame(b"12345678");
    for length in 0..bytes.len() {
        assert!(Header::decode(Seed::new(&SEGMENT), &bytes[..length]).is_none(), "cut at {length}");
    }
}

#[test]
fn compression_is_used_where_it_helps() {
    let noise: Vec<u8> =
        (0..2048u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let noise = blake3_stream(&noise);
    for (payload, expected) in [
        (vec![b'a'; 511], Compression::None),
        (vec![b'a'; 512], Compression::Lz4),
        (noise, Compression::None),
    ] {
        let (compression, stored) = compress(payload.clone().into());
        assert_eq!(compression, expected);
        assert_eq!(decompress(compression, stored).unwrap(), payload);
    }
}

fn blake3_stream(seed: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 2048];
    blake3::Hasher::new().update(seed).finalize_xof().fill(&mut out);
    out
}

#[test]
fn lying_sizes_are_refused() {
    for stored in [&b""[..], &[0, 1], &[255, 255, 255, 255, 0], &[0, 0, 0, 15, 1, 2]] {
        assert!(decompress(Compression::Lz4, Bytes::copy_from_slice(stored)).is_err());
    }
}
