//! Shares of ranks.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::Zipf;

#[test]
fn unit_ranks_come_in_proportion() {
    let seed = 4;
    println!("seed {seed}");
    let zipf = Zipf::new(200, 1.1);
    let mut random = StdRng::seed_from_u64(seed);
    let mut counts = [0_u32; 201];
    (0..100_000).for_each(|_| counts[zipf.draw(&mut random) as usize] += 1);
    assert_eq!(counts[0], 0);
    for rank in [2_u32, 3, 10] {
        let ratio = f64::from(counts[1]) / f64::from(counts[rank as usize]);
        let expected = f64::from(rank).powf(1.1);
        assert!((ratio / expected - 1.0).abs() < 0.1, "rank {rank}: {ratio}");
    }
    assert!(counts[200] > 0);
}

#[test]
fn unit_one_thing_is_always_drawn() {
    let mut random = StdRng::seed_from_u64(1);
    assert!((0..10).all(|_| Zipf::new(1, 1.1).draw(&mut random) == 1));
    assert!((0..10).all(|_| Zipf::new(0, 1.1).draw(&mut random) == 1));
}
