//! Marks, the typical trace, and what a rectangle asks for.

use crate::action::Place;
use crate::testing::Session;

#[test]
fn the_typical_trace_is_the_median_of_the_usual_root() {
    let mut session = Session::incident(Place::Traces, (80, 24));
    session.press("x");
    assert!(session.crumbs().starts_with("traces > trace 000000"), "{}", session.crumbs());
}

#[test]
fn two_are_marked_at_most() {
    let mut session = Session::incident(Place::Traces, (80, 24));
    session.press("space j space j space");
    assert!(session.text().contains("2 marked"), "{}", session.text());
    session.press("esc");
    assert!(!session.text().contains("2 marked"), "{}", session.text());
}

#[test]
fn a_rectangle_asks_for_the_traces_in_it() {
    let mut session = Session::incident(Place::Traces, (80, 24));
    session.press("tab space l l k space");
    assert_eq!(session.log, ["traces"]);
    assert!(session.text().contains("selected 15:45"), "{}", session.text());
    session.press("backtab esc");
    assert!(!session.text().contains("selected"), "{}", session.text());
}
