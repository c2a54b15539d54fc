//! Parts add up, whatever is shown of them.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use api::sql::SqlAnswer;

use super::parts::{Part, Parts};
use crate::action::Place;
use crate::request::{Outcome, Request};
use crate::testing::signals::answer;
use crate::testing::{Canned, SIZES, Session};

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

/// Whether the parts of the period before are asked for.
fn is_before(request: &Request) -> bool {
    request.call.body.windows(5).any(|bytes| bytes == b"15:30")
}

/// As ever, but that nothing had come in the period before.
fn young(request: &Request) -> Option<Outcome> {
    match is_before(request) {
        true => Some(request.read(serde_json::to_vec(&SqlAnswer::default()).unwrap())),
        false => answer(request),
    }
}

/// As ever, but that the largest part was as large before.
fn slow_as_ever(request: &Request) -> Option<Outcome> {
    if !is_before(request) {
        return answer(request);
    }
    let part = serde_json::json!({"part": "payment  POST /charge", "mean_ms": 1_310.0});
    let rows = vec![part.as_object().cloned().unwrap()];
    Some(request.read(serde_json::to_vec(&SqlAnswer { rows, ..SqlAnswer::default() }).unwrap()))
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
    let cases: [(Canned, &str); 2] =
        [(answer, "payment  POST /charge"), (slow_as_ever, "checkout  PlaceOrder")];
    for (canned, part) in cases {
        let mut session = Session::at(Place::Services, SIZES[1], "ansi", canned);
        session.settle();
        session.press("enter");
        session.settle();
        assert!(session.text().contains(&format!("▌{part}")), "{}", session.text());
    }
}
