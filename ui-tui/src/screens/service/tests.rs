//! Parts add up, whatever is shown of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::parts::{Part, Parts};

fn part(key: &str, mean_ms: f64) -> Part {
    Part { key: key.into(), mean_ms, ..Part::default() }
}

#[test]
fn parts_add_up_to_the_mean() {
    let many: Vec<Part> = (0..200).map(|n| part(&format!("p{n}"), f64::from(200 - n))).collect();
    let parts = Parts::of(many, Some(&[part("p0", 50.0), part("gone", 9.0)]));
    let sum: f64 = parts.rows.iter().map(|part| part.mean_ms).sum();
    let shares: f64 = parts.rows.iter().map(|part| part.share).sum();
    assert!((sum - parts.mean_ms).abs() < 1e-9 && (shares - 1.0).abs() < 1e-9);
    assert_eq!(parts.rows.len(), 60);
    assert_eq!(parts.rows.last().unwrap().key, "141 more");
    assert_eq!((parts.rows[0].before_ms, parts.rows[1].before_ms), (Some(50.0), Some(0.0)));
}
