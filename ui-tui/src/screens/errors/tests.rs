//! Keys and pictures of the error paths.

use crate::action::Place;
use crate::testing::signals::{answer, check_any_keys, check_pictures, hostile, session};

#[test]
fn error_paths_look_as_they_did() {
    check_pictures(Place::Errors, "", "errors");
}

#[test]
fn from_a_service_to_where_its_errors_begin() {
    let mut s = session(Place::Services, (80, 24), "ansi");
    s.press("X");
    s.settle();
    let text = s.text();
    assert!(s.crumbs().ends_with("> errors"), "{}", s.crumbs());
    assert!(text.contains("UpstreamTimeout"), "{text}");
    // `GET /quote` does not touch the service under the cursor.
    assert!(!text.contains("GET /quote"), "{text}");
    s.press("x");
    assert!(s.crumbs().contains("> trace 4bf92f35"), "{}", s.crumbs());
}

#[test]
fn a_path_opens_its_traces_and_paths_are_found_and_grouped() {
    let mut s = session(Place::Errors, (120, 40), "ansi");
    s.press("v s e");
    assert!(s.text().contains("Errors by type"), "{}", s.text());
    s.press("/");
    s.type_text("deadlock");
    s.press("enter");
    let text = s.text();
    assert!(text.contains("410 errors on 1 path"), "{text}");
    s.press("enter");
    assert!(s.crumbs().ends_with("errors > traces"), "{}", s.crumbs());
    assert!(s.text().contains("status=error service=checkout"), "{}", s.text());
}

#[test]
fn failed_traces_are_compared_with_good_ones() {
    let mut s = session(Place::Errors, (120, 40), "ansi");
    s.press("d");
    let text = s.text();
    assert!(s.crumbs().ends_with("errors > good -> failed"), "{}", s.crumbs());
    assert!(text.contains("What is different in failed"), "{text}");
    s.press("tab x");
    assert!(s.crumbs().ends_with("> trace 4bf92f35"), "{}", s.crumbs());
    s.press("esc");
    s.check("compare/sets-120x40");
}

#[test]
fn any_keys_on_any_size() {
    check_any_keys(Place::Errors, answer);
    check_any_keys(Place::Errors, hostile);
}
