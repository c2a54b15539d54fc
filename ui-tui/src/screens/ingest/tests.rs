//! Keys and pictures of what arrives.

use crate::action::Place;
use crate::testing::signals::{answer, check_any_keys, check_pictures, hostile, session};

#[test]
fn what_arrives_looks_as_it_did() {
    check_pictures(Place::Ingest, "", "ingest");
}

#[test]
fn a_silent_sender_is_a_problem_and_opens() {
    let mut s = session(Place::Ingest, (80, 24), "ansi");
    s.press("e");
    let text = s.text();
    let cursor = text.lines().find(|l| l.contains('▌')).unwrap_or_default().to_owned();
    assert!(cursor.contains("! email") && cursor.contains("4 m"), "{text}");
    assert!(text.contains("trace_id has 8 bytes, 16 wanted"), "{text}");
    s.press("enter");
    assert!(s.crumbs().starts_with("ingest > email"), "{}", s.crumbs());
}

#[test]
fn any_keys_on_any_size() {
    check_any_keys(Place::Ingest, answer);
    check_any_keys(Place::Ingest, hostile);
}
