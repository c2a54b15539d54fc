//! The sequences are pinned: a changed one would change every interval ever shown.

use super::*;

#[test]
fn the_sequence_is_the_published_one() {
    // From the reference implementation (prng.di.unimi.it/splitmix64.c), seed 1234567.
    let mut random = SplitMix64::new(1_234_567);
    let drawn: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
    assert_eq!(drawn, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
}

#[test]
fn numbers_below_an_end_cover_it_evenly() {
    let mut random = SplitMix64::new(7);
    let mut seen = [0_u32; 5];
    for _ in 0..50_000 {
        seen[random.below(5)] += 1;
    }
    assert!(seen.iter().all(|n| (9_500..10_500).contains(n)), "{seen:?}");
    assert_eq!(random.below(0), 0);
    assert_eq!(random.below(1), 0);
}

#[test]
fn a_shuffle_keeps_the_items_and_follows_from_the_seed() {
    let shuffled = |seed| {
        let mut items: Vec<u32> = (0..20).collect();
        SplitMix64::new(seed).shuffle(&mut items);
        items
    };
    assert_eq!(shuffled(3), shuffled(3));
    assert_ne!(shuffled(3), shuffled(4));
    let mut sorted = shuffled(3);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..20).collect::<Vec<u32>>());
}

#[test]
fn a_seed_tells_the_arguments_apart() {
    assert_eq!(seed_of(&["ab", "c"]), seed_of(&["ab", "c"]));
    assert_ne!(seed_of(&["ab", "c"]), seed_of(&["a", "bc"]));
    assert_ne!(seed_of(&["a"]), seed_of(&["a", ""]));
    assert_ne!(seed_of(&["a", "b"]), seed_of(&["b", "a"]));
}
