//! Reference values come from Python's `math.erfc`, from R's documentation, or by hand.
#![allow(clippy::unwrap_used)] // a failing test may panic

use proptest::prelude::*;

use super::*;

fn close(found: f64, expected: f64, error: f64) {
    assert!((found - expected).abs() <= error, "{found} is not {expected} ± {error}");
}

fn of(hits: u64, rows: u64) -> Proportion {
    Proportion { hits, rows }
}

#[test]
fn nearest_rank_is_one_of_the_values() {
    for (count, share, expected) in [
        (100, 0.99, 99),
        (100, 0.07, 7),
        (100, 0.0, 1),
        (100, 1.0, 100),
        (10, 0.4, 4),
        (10, 0.6, 6),
        (20, 0.95, 19),
        (8, 0.95, 8),
        (8, 0.05, 1),
        (1, 0.5, 1),
        (3, 0.5, 2),
    ] {
        let values: Vec<i64> = (1..=count).collect();
        assert_eq!(nearest_rank(&values, share), Some(expected), "{share} of {count}");
    }
    assert_eq!(nearest_rank::<i64>(&[], 0.5), None);
}

#[test]
fn a_weighted_rank_counts_a_value_as_often_as_it_stands_for() {
    let four = Weight::from_f64(4.0);
    let values = [(10, Weight::ONE), (20, four), (30, Weight::ONE)];
    for (share, expected) in [(0.1, 10), (0.2, 20), (0.5, 20), (0.83, 20), (0.84, 30), (1.0, 30)] {
        assert_eq!(weighted_rank(&values, share), Some(expected), "{share}");
    }
    assert_eq!(weighted_rank::<i64>(&[], 0.5), None);
}

#[test]
fn erfc_agrees_with_its_table() {
    for (x, expected) in [
        (0.0, 1.0),
        (0.1, 0.8875370839817152),
        (0.5, 0.4795001221869535),
        (1.0, 0.15729920705028513),
        (1.5, 0.033894853524689274),
        (1.9999, 0.004679802092970608),
        (2.0, 0.004677734981047265),
        (2.5, 0.0004069520174449589),
        (3.0, 2.2090496998585438e-05),
        (5.0, 1.5374597944280351e-12),
        (10.0, 2.088487583762545e-45),
        (20.0, 5.3958656116079005e-176),
        (26.0, 5.663192408856143e-296),
        (-1.0, 1.842700792949715),
        (-3.0, 1.9999779095030015),
    ] {
        assert!((erfc(x) / expected - 1.0).abs() < 1e-12, "erfc({x}) = {}", erfc(x));
    }
    assert_eq!(erfc(f64::INFINITY), 0.0);
    assert_eq!(erfc(f64::NEG_INFINITY), 2.0);
    assert!(erfc(f64::NAN).is_nan());
}

#[test]
fn the_robust_z_of_the_page() {
    let z = robust_z(&[10.0, 11.0, 10.4, 10.8, 30.0], 0.010);
    close(z[4], 32.4, 0.05);
    assert!(z[..4].iter().all(|z| z.abs() < 4.0));
    // All agree: one percent of the median, and the floor, keep a hair from being an outlier.
    close(robust_z(&[10.0, 10.0, 10.0, 10.1], 0.010)[3], 0.1 / 0.14826, 1e-9);
    close(robust_z(&[0.0, 0.0, 0.0, 0.010], 0.010)[3], 1.0 / 1.4826, 1e-9);
    assert_eq!(robust_z(&[0.0, 0.0, 0.0, 1.0], 0.0), [0.0; 4]);
    assert!(robust_z(&[], 0.010).is_empty());
}

#[test]
fn two_proportions_of_the_page() {
    close(two_proportion_z(of(36, 40), of(84, 360)).unwrap(), 8.73, 0.005);
    close(two_proportion_p(of(36, 40), of(84, 360)), 2.57e-18, 0.05e-18);
    assert_eq!(two_proportion_z(of(0, 40), of(0, 360)), None);
    assert_eq!(two_proportion_z(of(0, 0), of(1, 360)), None);
    assert_eq!(two_proportion_p(of(40, 40), of(360, 360)), 1.0);
}

#[test]
fn few_expected_hits_are_tested_exactly() {
    // Fisher's tea: 3 of 4 against 1 of 4 gives 34/70.
    close(two_proportion_p(of(3, 4), of(1, 4)), 34.0 / 70.0, 1e-12);
    // 5 of 40 against 0 of 360: C(40,5) ÷ C(400,5) = 658,008 ÷ 83,218,600,080.
    close(two_proportion_p(of(5, 40), of(0, 360)), 7.90698e-6, 1e-11);
    close(two_proportion_p(of(0, 360), of(5, 40)), 7.90698e-6, 1e-11);
    // A table so unlikely that its neighbours overflow is 0, not NaN.
    let p = two_proportion_p(of(4_000, 4_000), of(0, 4_000_000));
    assert!((0.0..1e-300).contains(&p), "{p}");
}

#[test]
fn benjamini_hochberg_by_hand() {
    let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005]);
    for (found, expected) in q.iter().zip([0.02, 0.04, 0.04, 0.02]) {
        close(*found, expected, 1e-12);
    }
    assert!(benjamini_hochberg(&[]).is_empty());
}

#[test]
fn mann_whitney_of_known_samples() {
    // The example of SciPy's documentation: U = 17, p = 0.1113 by the normal approximation.
    let found = mann_whitney(&[19, 22, 16, 29, 24], &[20, 11, 17, 12]).unwrap();
    assert_eq!(found.u, 17.0);
    close(found.p, 0.11134688653314041, 1e-12);
    // Ties: ranks 1.5 1.5 3.5 | 3.5 5.5 5.5, U = 0.5, variance 9/12·(7 − 18/30).
    let tied = mann_whitney(&[1, 1, 2], &[2, 3, 3]).unwrap();
    assert_eq!(tied.u, 0.5);
    close(tied.z, -3.5 / 4.8_f64.sqrt(), 1e-12);
    assert_eq!(mann_whitney(&[5, 5], &[5, 5, 5]).unwrap().p, 1.0);
    assert_eq!(mann_whitney(&[], &[1]), None);
}

#[test]
fn divergence_of_the_page() {
    close(jensen_shannon_bits(&[[36, 84], [4, 276]]).unwrap(), 0.3608, 5e-5);
    close(jensen_shannon_by_chance(2, 40, 360), 0.0050, 5e-5);
    close(jensen_shannon_bits(&[[13, 120], [14, 121], [13, 119]]).unwrap(), 0.0002, 5e-5);
    close(jensen_shannon_by_chance(3, 40, 360), 0.0100, 5e-5);
    // For equal sizes it is (k − 1) ÷ (2 n ln 2) with n of both sides together.
    close(jensen_shannon_by_chance(5, 300, 300), 4.0 / (2.0 * 600.0 * LN_2), 1e-15);
    assert_eq!(jensen_shannon_bits(&[[7, 0], [0, 3]]), Some(1.0));
    assert_eq!(jensen_shannon_bits(&[[7, 0], [1, 0]]), None);
}

#[test]
fn kolmogorov_smirnov_by_hand() {
    close(kolmogorov_smirnov(&[[1, 0], [1, 0], [0, 1], [0, 1]]).unwrap(), 1.0, 0.0);
    close(kolmogorov_smirnov(&[[2, 1], [1, 1], [1, 2]]).unwrap(), 0.25, 1e-12);
    assert_eq!(kolmogorov_smirnov(&[]), None);
}

proptest! {
    #[test]
    fn a_constant_weight_changes_no_rank(
        mut values in prop::collection::vec(any::<i64>(), 1..200),
        share in 0.0..=1.0_f64,
        weight in 1.0..1e6_f64,
    ) {
        values.sort_unstable();
        let weight = Weight::from_f64(weight.floor());
        let weighted: Vec<_> = values.iter().map(|value| (*value, weight)).collect();
        prop_assert_eq!(weighted_rank(&weighted, share), nearest_rank(&values, share));
    }

    #[test]
    fn swapping_the_sides_turns_the_sign_and_keeps_p(
        a in prop::collection::vec(0..50_i64, 1..60),
        b in prop::collection::vec(0..50_i64, 1..60),
    ) {
        let (there, back) = (mann_whitney(&a, &b).unwrap(), mann_whitney(&b, &a).unwrap());
        prop_assert!((there.p - back.p).abs() < 1e-12);
        prop_assert!((there.z + back.z).abs() < 1e-9);
        prop_assert!((there.u + back.u - (a.len() * b.len()) as f64).abs() < 1e-9);
        prop_assert!((0.0..=1.0).contains(&there.p));
    }

    #[test]
    fn p_is_a_probability_and_symmetric(x in 0..60_u64, n in 1..60_u64, y in 0..900_u64, m in 1..900_u64) {
        let (a, b) = (of(x.min(n), n), of(y.min(m), m));
        let p = two_proportion_p(a, b);
        prop_assert!((0.0..=1.0 + 1e-9).contains(&p), "{p}");
        prop_assert!((p - two_proportion_p(b, a)).abs() < 1e-9);
    }

    #[test]
    fn q_is_no_smaller_than_p_and_keeps_its_order(p in prop::collection::vec(0.0..=1.0_f64, 0..50)) {
        let q = benjamini_hochberg(&p);
        for i in 0..p.len() {
            prop_assert!(q[i] >= p[i] - 1e-12 && q[i] <= 1.0);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || q[i] <= q[j]);
            }
        }
    }
}
