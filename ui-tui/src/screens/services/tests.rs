//! The list is sorted as it says, and the cursor stays on its row.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use crate::action::Place;
use crate::testing::Session;

/// The first names in the order shown.
fn names(session: &Session) -> Vec<String> {
    let grid = session.app.top().screen.grid(&session.app.top_look()).unwrap();
    grid.rows.iter().map(|row| row[0].clone()).take(4).collect()
}

#[test]
fn the_worst_comes_first_and_the_order_turns() {
    let mut session = Session::incident(Place::Services, (80, 24));
    assert_eq!(names(&session), ["checkout", "payment", "gateway", "postgres"]);
    session.press("s");
    assert_eq!(names(&session)[0], "cart", "{}", session.text());
    session.press("S");
    assert_eq!(names(&session)[0], "shipping", "{}", session.text());
}

#[test]
fn the_cursor_stays_on_its_row() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press("j j");
    let name =
        |session: &Session| session.app.top().screen.subject(&session.app.top_look()).service;
    let before = name(&session);
    session.press("s s s");
    assert_eq!(name(&session), before);
    session.press("r");
    assert_eq!(name(&session), before);
}

#[test]
fn e_goes_from_problem_to_problem() {
    let mut session = Session::incident(Place::Services, (80, 24));
    let mut seen = Vec::new();
    for _ in 0..4 {
        session.press("e");
        let subject = session.app.top().screen.subject(&session.app.top_look());
        seen.push(subject.cell);
    }
    assert_eq!(seen, ["payment", "gateway", "postgres", "checkout"]);
}

#[test]
fn shares_of_errors_fit_their_column() {
    for (share, expected) in [(0.0, "0.00"), (0.031, "3.10"), (0.99994, "99.99"), (1.0, "100.0")] {
        assert_eq!(super::error_percent(share), expected);
    }
}
