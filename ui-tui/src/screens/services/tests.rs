//! The list is sorted as it says, and the cursor stays on its row.

use crate::action::Place;
use crate::testing::Session;

/// The names in the order shown.
fn names(session: &Session) -> Vec<String> {
    let text = session.text();
    let rows = text.lines().skip(4).take_while(|line| !line.contains('*') || line.contains("/s"));
    rows.filter_map(|line| line.split_whitespace().find(|w| w.len() > 3).map(str::to_owned))
        .take(4)
        .collect()
}

#[test]
fn the_worst_comes_first_and_the_order_turns() {
    let mut session = Session::incident(Place::Services, (80, 24));
    assert_eq!(names(&session), ["gateway", "checkout", "payment", "cart"]);
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
    assert_eq!(seen, ["checkout", "payment", "postgres", "gateway"]);
}
