//! Semicolons that end a statement and those that do not.

use super::*;

#[test]
fn semicolons_in_texts_and_comments_do_not_end_a_statement() {
    for (text, expected) in [
        ("select 1", vec!["select 1"]),
        ("select 1; select 2;", vec!["select 1", "select 2"]),
        (
            "select ';', ';;' ; -- a;b\n select \"x;\"",
            vec!["select ';', ';;'", "-- a;b\n select \"x;\""],
        ),
        ("select 'it''s; ok'; ;", vec!["select 'it''s; ok'"]),
        ("/* ; */ select 1 /*;*/;", vec!["/* ; */ select 1 /*;*/"]),
        ("-- nothing;", vec![]),
        ("", vec![]),
        ("select 'open;", vec!["select 'open;"]),
    ] {
        assert_eq!(split(text), expected, "{text}");
    }
}

#[test]
fn the_prompt_waits_for_a_semicolon() {
    for (text, expected) in [
        ("", true),
        ("-- note", true),
        ("select 1", false),
        ("select 1;", true),
        ("select 1; -- done", true),
        ("select ';", false),
        ("select 1; select 2", false),
    ] {
        assert_eq!(is_complete(text), expected, "{text}");
    }
}
