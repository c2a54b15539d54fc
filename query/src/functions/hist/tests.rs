//! Buckets against the definition, merging against the whole.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::buckets::{Hist, SCALE_MIN, index};
use super::column::{Hists, write};

fn hist(values: impl IntoIterator<Item = f64>) -> Hist {
    let mut hist = Hist::default();
    values.into_iter().for_each(|v| hist.add(v));
    hist
}

/// The histograms as one column, which is what merging reads.
fn column(hists: &[Hist]) -> ArrayRef {
    Arc::new(write(hists.iter()))
}

fn merged(parts: &[Hist]) -> Hist {
    let column = column(parts);
    let hists = Hists::new(&column).unwrap();
    let mut all = Hist::default();
    for row in 0..column.len() {
        if let Some(part) = hists.get(row).unwrap() {
            all.merge(part);
        }
    }
    all
}

/// A reproducible walk over values of all sizes and both signs.
fn values(n: u64) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..n)
        .map(|_| {
            // Small enough for sums below 2^53, which are exact in any order.
            let size = (next() % 36) as f64;
            let sign = if next() % 5 == 0 { -1.0 } else { 1.0 };
            (sign * size.exp2() * (1.0 + (next() % 1_000) as f64 / 1_000.0)).round()
        })
        .collect()
}

#[test]
fn every_power_of_two_and_its_neighbours() {
    for exponent in -1_074..=1_023_i32 {
        let power = f64::from(exponent).exp2();
        assert_eq!(index(power), 32 * exponent - 1, "2^{exponent}");
        // Subnormals have too few digits for a neighbour in the same bucket.
        if exponent >= -1_060 {
            assert_eq!(index(power.next_up()), 32 * exponent, "above 2^{exponent}");
            assert_eq!(index(power.next_down()), 32 * exponent - 1, "below 2^{exponent}");
        }
    }
    assert_eq!(index(f64::MAX), 32 * 1_024 - 1);
    assert_eq!(index(f64::from_bits(1)), 32 * -1_074 - 1);
}

#[test]
fn buckets_hold_what_their_bounds_say() {
    for value in values(10_000).into_iter().map(f64::abs).filter(|v| *v > 0.0) {
        let i = f64::from(index(value));
        let (below, above) = ((i / 32.0).exp2(), ((i + 1.0) / 32.0).exp2());
        // The bounds themselves are rounded here, the index is not.
        assert!(below * (1.0 - 1e-15) <= value && value <= above * (1.0 + 1e-15), "{value}");
    }
    // Every threshold within a power of two, from both sides.
    for k in 1..32 {
        let near = (f64::from(k) / 32.0).exp2();
        let indices = [near * (1.0 - 1e-15), near * (1.0 + 1e-15)].map(index);
        assert_eq!(indices, [k - 1, k]);
    }
}

#[test]
fn quantiles_are_within_one_percent_of_the_nearest_rank() {
    let mut sorted = values(5_000);
    let hist = hist(sorted.iter().copied());
    sorted.sort_by(f64::total_cmp);
    for q in [0.0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0] {
        let rank = ((q * 5_000.0_f64).ceil() as usize).clamp(1, 5_000);
        let (exact, found) = (sorted[rank - 1], hist.quantile(q).unwrap());
        assert!((found - exact).abs() <= 0.0109 * exact.abs(), "q {q}: {found} for {exact}");
    }
    assert_eq!(Hist::default().quantile(0.5), None);
}

#[test]
fn merging_parts_is_counting_the_whole() {
    let all = values(3_000);
    let whole = column(&[hist(all.iter().copied())]);
    for parts in [1, 2, 7, 100] {
        let parts: Vec<Hist> =
            all.chunks(all.len() / parts).map(|c| hist(c.iter().copied())).collect();
        assert_eq!(&column(&[merged(&parts)]), &whole);
        let backwards: Vec<Hist> = parts.into_iter().rev().collect();
        assert_eq!(&column(&[merged(&backwards)]), &whole);
    }
}

#[test]
fn what_is_no_finite_number_is_left_out() {
    let hist = hist([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2.0, 0.0, -0.0]);
    assert_eq!((hist.count, hist.zero, hist.min, hist.max), (3, 2, 0.0, 2.0));
}

#[test]
fn counts_up_to_a_value() {
    let hist = hist([-100.0, -1.0, 0.0, 1.0, 10.0, 100.0]);
    for (limit, expected) in [
        (-101.0, 0),
        (-100.0, 1),
        (-50.0, 1),
        (-0.5, 2),
        (0.0, 3),
        (0.5, 3),
        (1.0, 4),
        (99.0, 6),
        (90.0, 5),
        (f64::INFINITY, 6),
        (f64::NAN, 0),
    ] {
        assert_eq!(hist.count_le(limit), expected, "{limit}");
    }
}

#[test]
fn a_coarser_part_makes_the_whole_coarser() {
    let mut coarse = Hist { scale: 2, ..Hist::default() };
    values(500).into_iter().for_each(|v| coarse.add(v));
    let whole = merged(&[hist(values(500)), coarse.clone()]);
    assert_eq!((whole.scale, whole.count), (2, 1_000));
    assert_eq!(whole.positive.trimmed().1.len(), coarse.positive.trimmed().1.len());
    let mut coarsest = Hist { scale: SCALE_MIN, ..Hist::default() };
    coarsest.add(1e300);
    coarsest.add(1e-300);
    assert_eq!(merged(&[hist([1.0]), coarsest]).quantile(1.0), Some(1e300));
}
