//! The tree is walked, folded and searched by keys.

use super::model::Wanted;
use crate::action::Place;
use crate::testing::Session;

/// The span under the cursor after keys pressed on the trace of the incident.
fn check(keys: &str, span: &str) {
    let mut session = Session::incident(Place::Services, (120, 40));
    session.press("x");
    session.press(keys);
    let subject = session.app.top().screen.subject(&session.app.top_look());
    assert_eq!(subject.operation.as_deref(), Some(span), "after {keys}:\n{}", session.text());
}

#[test]
fn keys_walk_the_tree() {
    check("", "Charge");
    check("g", "POST /checkout");
    check("g J", "PlaceOrder");
    check("g J J", "Charge");
    check("g e", "PlaceOrder");
    check("G E", "POST /v1/charge");
    check("h h", "PlaceOrder");
    check("g J l }", "GetProduct");
    check("g l l }", "GetProduct");
    check("g l l } {", "GetCart");
}

#[test]
fn a_word_is_found_and_the_next_one() {
    let mut session = Session::incident(Place::Services, (120, 40));
    session.press("x /");
    session.type_text("service=postgres");
    session.press("enter");
    let span = |session: &Session| {
        session.app.top().screen.subject(&session.app.top_look()).operation.unwrap_or_default()
    };
    let first = span(&session);
    session.press("n");
    let second = span(&session);
    session.press("n");
    assert_eq!((first.as_str(), second.as_str()), ("INSERT orders", "UPDATE stock"));
    assert_eq!(span(&session), first);
}

#[test]
fn words_are_read_as_texts_and_values() {
    assert_eq!(
        Wanted::read("Acme status=\"ERROR\" =x"),
        [
            Wanted::Text("acme".into()),
            Wanted::Is("status".into(), "error".into()),
            Wanted::Text("=x".into())
        ]
    );
}

#[test]
fn the_critical_path_alone_and_all_again() {
    let mut session = Session::incident(Place::Services, (120, 40));
    session.press("x P");
    assert!(!session.text().contains("ship"), "{}", session.text());
    session.press("P");
    assert!(session.text().contains("shipping"), "{}", session.text());
}

#[test]
fn logs_of_the_span_then_of_the_trace() {
    let mut session = Session::incident(Place::Services, (120, 40));
    session.press("x e");
    session.press("A");
    assert!(session.text().contains("Logs  5 of the trace"), "{}", session.text());
    assert!(session.text().contains("acquiring connection"), "{}", session.text());
}
