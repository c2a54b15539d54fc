//! What is remembered, for how long, and what happens at the bounds.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use super::*;

fn entry(n: u64, received_ns: i64) -> Remembered {
    Remembered { fingerprint: fingerprint(n), received_ns, seq: n }
}

fn fingerprint(n: u64) -> Fingerprint {
    u128::from(n).to_le_bytes()
}

/// Inserts (n, received) pairs, then asks for n at a time.
fn check_contains(index: Index, entries: &[(u64, i64)], asked: &[(u64, i64, bool)]) {
    let mut index = index;
    entries.iter().for_each(|(n, received_ns)| index.insert(entry(*n, *received_ns)));
    for (n, now_ns, expected) in asked {
        assert_eq!(index.contains(&fingerprint(*n), *now_ns), *expected, "{n} at {now_ns}");
    }
}

#[test]
fn the_window_bounds_what_is_known() {
    let index = || Index::new(10, 1 << 20);
    check_contains(index(), &[(1, 100)], &[(1, 100, true), (1, 110, true), (1, 111, false)]);
    check_contains(index(), &[(1, 100)], &[(2, 100, false), (1, 50, true)]);
    // Stored again after its window: the newer time counts.
    check_contains(index(), &[(1, 100), (1, 120)], &[(1, 125, true)]);
    check_contains(Index::new(0, 1 << 20), &[(1, 100)], &[(1, 100, false)]);
}

#[test]
fn memory_bounds_what_is_known() {
    let two = Index::new(1000, 2 * ENTRY_BYTES);
    check_contains(two, &[(1, 1), (2, 2), (3, 3)], &[(1, 3, false), (2, 3, true), (3, 3, true)]);
}

#[test]
fn entries_of_a_segment_survive_the_file() {
    let mut index = Index::new(1000, 1 << 20);
    index.insert(Remembered { seq: 0, ..entry(9, 1) });
    (1..=6).for_each(|n| index.insert(entry(n, n as i64)));
    let saved = index.of_segment(2, 4);
    assert_eq!(saved.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3, 4]);
    let loaded = decode(&encode(&saved)).unwrap();
    let without_seq: Vec<_> = saved.iter().map(|e| Remembered { seq: 0, ..*e }).collect();
    assert_eq!(loaded, without_seq);
}

#[test]
fn damaged_files_are_seen() {
    let bytes = encode(&[entry(1, 1), entry(2, 2)]);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode(&flipped), None, "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert_eq!(decode(&bytes[..length]), None, "cut at {length}");
    }
}

#[test]
fn copies_wait_for_the_first() {
    let dedupe = Dedupe::new(Index::new(1000, 1 << 20), 1);
    assert!(matches!(dedupe.admit(fingerprint(1), 0), Admission::New));
    let Admission::Waiting(mut copy) = dedupe.admit(fingerprint(1), 0) else {
        panic!("not waiting")
    };
    assert!(matches!(dedupe.admit(fingerprint(1), 0), Admission::Full));
    dedupe.stored([entry(1, 0)].into_iter());
    assert_eq!(copy.try_recv().unwrap(), Ok(()));
    assert!(matches!(dedupe.admit(fingerprint(1), 0), Admission::Duplicate));
}

#[test]
fn a_failed_request_is_new_again() {
    let dedupe = Dedupe::new(Index::new(1000, 1 << 20), 8);
    assert!(matches!(dedupe.admit(fingerprint(1), 0), Admission::New));
    let Admission::Waiting(mut copy) = dedupe.admit(fingerprint(1), 0) else {
        panic!("not waiting")
    };
    dedupe.failed(&fingerprint(1), &Refusal::full());
    assert_eq!(copy.try_recv().unwrap(), Err(Refusal::full()));
    assert!(matches!(dedupe.admit(fingerprint(1), 0), Admission::New));
}
