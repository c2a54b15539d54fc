//! Terms are written so that the line reads them back.

use super::*;

#[test]
fn values_are_quoted_where_needed() {
    for (key, value, include, expected) in [
        ("service", "checkout", true, "service=checkout"),
        ("op", "POST /orders", true, "op=\"POST /orders\""),
        ("op", "say \"hi\" \\", false, "-op=\"say \\\"hi\\\" \\\\\""),
        ("x", "-1", true, "x=\"-1\""),
        ("x", "", true, "x=\"\""),
    ] {
        assert_eq!(term(key, value, include), expected);
    }
}

#[test]
fn terms_are_added_once_and_bind_to_the_whole() {
    assert_eq!(with("", "a=1"), "a=1");
    assert_eq!(with("a=1", "b=2"), "a=1 b=2");
    assert_eq!(with("a=1 b=2", "a=1"), "a=1 b=2");
    assert_eq!(with("a=1 or b=2", "c=3"), "(a=1 or b=2) c=3");
}
