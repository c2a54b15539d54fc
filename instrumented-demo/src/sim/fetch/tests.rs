//! Requests are as large as they are published to be.

use super::*;

#[test]
fn unit_half_of_the_requests_have_900_spans_and_a_tenth_5000() {
    let mut random = Random::new(1, 1);
    let mut sizes: Vec<u64> = (0..20_000).map(|_| size(&mut random)).collect();
    sizes.sort_unstable();
    let at = |percent: usize| sizes[sizes.len() * percent / 100];
    for (percent, expected) in [(50, 900), (90, 5_000)] {
        let found = at(percent);
        assert!(found.abs_diff(expected) < expected / 20, "p{percent}: {found}");
    }
    assert!(sizes[0] >= 4 && at(99) <= 22_000);
}
