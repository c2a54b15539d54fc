//! The fuzz targets' promises on random bytes, and every input that once broke one.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

#[test]
fn random_bytes_break_no_promise() {
    for seed in 0..4_000 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut data = vec![0; random.random_range(0..600)];
        random.fill(&mut data[..]);
        read_damaged(&data);
        data.splice(0..0, frame::MAGIC);
        read_as_segment(&data);
        read_as_payload(&data);
    }
}

#[test]
fn lengths_beyond_the_segment_cost_no_later_frame() {
    let frames: Vec<_> = (1..=6).map(|seq| Input(&[3, 1, 2, 3]).frame(seq)).collect();
    let (mut bytes, places) = written(&frames, Seed::new(&SEGMENT));
    // The second of two damaged neighbours is met by the search; it claims all that may be searched.
    let claim = (4 * bytes.len() - frame::HEADER_BYTES) as u32;
    for damaged in [0, 1, 3, 4] {
        bytes[places[damaged].start + 8..][..4].copy_from_slice(&claim.to_le_bytes());
    }
    let found = Reader::new(Bytes::from(bytes), &SEGMENT, 1).filter_map(|found| match found {
        Found::Frame(raw) => Some(raw.header.seq),
        Found::Damage(_) => None,
    });
    assert_eq!(found.collect::<Vec<_>>(), [3, 6]);
}
