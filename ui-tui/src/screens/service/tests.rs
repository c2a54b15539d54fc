//! Parts add up, whatever is shown of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use api::sql::SqlAnswer;

use super::parts::{Part, Parts};
use crate::action::Place;
use crate::request::{Outcome, Request};
use crate::testing::signals::answer;
use crate::testing::{SIZES, Session};

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

/// As ever, but that nothing had come in the period before.
fn young(request: &Request) -> Option<Outcome> {
    let is_before = request.call.body.windows(5).any(|bytes| bytes == b"15:30");
    match is_before {
        true => Some(request.read(serde_json::to_vec(&SqlAnswer::default()).unwrap())),
        false => answer(request),
    }
}

#[test]
fn a_selection_without_a_period_before_is_held_against_the_rest() {
    let mut session = Session::at(Place::Services, SIZES[1], "ansi", young);
    session.settle();
    session.press("enter");
    session.settle();
    let text = session.text();
    assert!(text.contains("was: the rest") && !text.contains("was 0 ms"), "{text}");
}

#[test]
fn the_cursor_begins_at_the_part_that_has_grown_most() {
    let mut session = Session::at(Place::Services, SIZES[1], "ansi", answer);
    session.settle();
    session.press("enter");
    session.settle();
    assert!(session.text().contains("▌payment  POST /charge"), "{}", session.text());
}
