//! The tree is walked, folded and searched by keys.

use api::views::{Basis, NO_PARENT, SkeletonAnswer, SkeletonColumns};

use super::Model;
use super::model::Wanted;
use crate::action::Place;
use crate::request::{Outcome, Request, Told};
use crate::testing::Session;
use crate::testing::incident::TRACE;

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

const SPANS: u32 = 1_000_000;

/// A root with chains of ten below it, a million spans in all, as a server sends it.
fn large(request: &Request) -> Option<Outcome> {
    if !request.call.path.contains("/skeleton") {
        return None;
    }
    let chain = |row: u32| row.saturating_sub(1) % 10;
    let rows = || 0..SPANS;
    let parent = |row: u32| match (row, chain(row)) {
        (0, _) => NO_PARENT,
        (_, 0) => 0,
        _ => row - 1,
    };
    let end = |row: u32| match row {
        0 => SPANS,
        _ => (row + 10 - chain(row)).min(SPANS),
    };
    let columns = SkeletonColumns {
        parent: rows().map(parent).collect(),
        subtree_end: rows().map(end).collect(),
        depth: rows().map(|row| if row == 0 { 0 } else { chain(row) as u16 + 1 }).collect(),
        start_ns: rows().map(|row| i64::from(row) * 1_000).collect(),
        duration_ns: rows().map(|row| if row == 0 { 1_000_000_000 } else { 900 }).collect(),
        self_ns: vec![100; SPANS as usize],
        gap_ns: vec![0; SPANS as usize],
        critical_ns: vec![0; SPANS as usize],
        flags: rows().map(|row| u16::from(row == 777_777)).collect(),
        kind: vec![1; SPANS as usize],
        name: vec![0; SPANS as usize],
        service: vec![0; SPANS as usize],
        peer: vec![NO_PARENT; SPANS as usize],
        span_id: rows().map(|row| format!("{row:016x}")).collect(),
        names: vec!["step \u{1b}[2J".into()],
        services: vec!["batch".into()],
    };
    let answer = SkeletonAnswer { columns, ..SkeletonAnswer::default() };
    Some(Ok(Told::new(Model::from(answer), Basis::default(), 0)))
}

/// The whole trace is refused, as where it does not fit into the memory of a query.
#[test]
fn a_trace_that_cannot_come_whole_comes_as_its_tree() {
    let mut session = Session::incident(Place::Services, (120, 40));
    session.press_unanswered("x");
    session.become_online(large);
    session.answer_all();
    assert!(session.text().contains("1,000,000 spans"), "{}", session.text());
}

#[test]
fn a_million_spans_are_walked_like_few() {
    let mut session = Session::incident(Place::Services, (120, 40));
    session.press_unanswered("x");
    // The whole trace does not come; so its tree is asked for.
    session.asked.clear();
    session.become_online(large);
    session.wait(300);
    session.answer_all();
    assert!(session.text().contains("1,000,000 spans"), "{}", session.text());
    session.press("e");
    let id = session.app.top().screen.subject(&session.app.top_look()).trace_id;
    assert_eq!(id.as_deref(), Some(TRACE));
    let text = session.text();
    assert!(text.contains("▌x") && !text.contains('\u{1b}'), "{text}");
    for keys in ["* G", "g", "v", "v", "v", "v", "P", "a", "J } {", "/"] {
        session.press(keys);
        assert!(session.text().contains("Waterfall") || keys.contains('v'), "{keys}");
    }
}
