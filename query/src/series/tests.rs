//! Growth of histograms and their quantiles.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn explicit(counts: &[u64]) -> Counts {
    Counts::Explicit { bounds: vec![1.0, 2.0, 4.0], counts: counts.to_vec() }
}

fn exponential(scale: i32, positive: &[(i32, u64)]) -> Counts {
    Counts::Exponential {
        scale,
        zero: 0,
        positive: positive.iter().copied().collect(),
        negative: BTreeMap::new(),
    }
}

#[test]
fn growth_is_told_from_a_new_beginning() {
    assert_eq!(explicit(&[1, 5, 2, 0]).since(&explicit(&[1, 2, 2, 0])), explicit(&[0, 3, 0, 0]));
    assert_eq!(explicit(&[1, 1, 0, 0]).since(&explicit(&[1, 2, 2, 0])), explicit(&[1, 1, 0, 0]));
    let finer = exponential(1, &[(4, 2), (5, 3), (-1, 1)]);
    assert_eq!(
        exponential(0, &[(2, 6), (-1, 1)]).since(&finer),
        exponential(0, &[(2, 1), (-1, 0)])
    );
    assert_eq!(finer.since(&exponential(0, &[(2, 1)])), finer);
    assert_eq!(explicit(&[1, 1, 0, 0]).since(&finer), explicit(&[1, 1, 0, 0]));
}

fn check(counts: &Counts, max: Option<f64>, q: f64, expected: f64) {
    let found = quantile(&mut counts.buckets(None, max), q).unwrap();
    assert!((found - expected).abs() < 1e-9, "{counts:?} {q}: {found}");
}

#[test]
fn quantiles_lie_within_their_bucket() {
    check(&explicit(&[10, 0, 0, 0]), None, 0.5, 0.5);
    check(&explicit(&[0, 10, 10, 0]), None, 0.5, 2.0);
    check(&explicit(&[0, 10, 10, 0]), None, 0.75, 3.0);
    check(&explicit(&[0, 0, 0, 4]), Some(6.0), 1.0, 6.0);
    check(&explicit(&[0, 0, 0, 4]), None, 0.5, 4.0);
    let open = Counts::Explicit { bounds: vec![1.0, f64::INFINITY], counts: vec![0, 4] };
    check(&open, Some(3.0), 0.5, 2.0);
    check(&exponential(0, &[(1, 4)]), None, 0.5, 8_f64.sqrt());
    check(&exponential(0, &[(0, 1), (10, 1)]), None, 1.0, 2_048.0);
    assert_eq!(quantile(&mut [], 0.5), None);
}

#[test]
fn quantiles_of_overlapping_buckets_rise_with_the_share() {
    let bucket = |low: f64, high: f64, count| Bucket { low, high, count, by_ratio: false };
    let mut same = vec![bucket(0.0, 1.0, 3), bucket(1.0, 2.0, 1), bucket(0.0, 1.0, 5)];
    assert!((quantile(&mut same, 0.5).unwrap() - 4.5 / 8.0).abs() < 1e-9);
    let mut others = vec![bucket(0.0, 4.0, 4), bucket(1.0, 2.0, 4), bucket(3.0, 3.0, 2)];
    let shares = (0..=20).map(|i| f64::from(i) / 20.0);
    let lines: Vec<f64> = shares.map(|q| quantile(&mut others, q).unwrap()).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    assert!(lines[0].abs() < 1e-9 && (lines[20] - 4.0).abs() < 1e-9, "{lines:?}");
}
