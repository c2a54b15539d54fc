//! Nothing dangerous or hidden comes through; cutting never splits a sign and never hides itself.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

#[test]
fn hostile_text_becomes_visible_marks() {
    for (given, expected) in [
        ("plain text", "plain text"),
        ("übung 日本 ok", "übung 日本 ok"),
        ("a\u{1b}[31mred", "a�[31mred"),
        ("bell\u{7} back\u{8} del\u{7f} null\0", "bell� back� del� null�"),
        ("c1 \u{9b}31m", "c1 �31m"),
        ("line\nnext\r\nthird\rfourth", "line↵next↵third�fourth"),
        ("para\u{2028}sep\u{2029}nel\u{85}", "para↵sep↵nel↵"),
        ("tab\there", "tab here"),
        ("user\u{202e}gpj.exe", "user�gpj.exe"),
        ("iso\u{2066}late\u{2069}", "iso�late�"),
        ("zero\u{200b}width\u{200d}join\u{feff}", "zero�width�join�"),
        ("soft\u{ad}hyphen", "soft�hyphen"),
        ("tag\u{e0041}\u{e007f}", "tag��"),
        ("filler\u{3164}\u{115f}", "filler��"),
        ("heart \u{2764}\u{fe0f}", "heart \u{2764}"),
        ("e\u{301}", "e\u{301}"),
        ("\u{301}x", "�x"),
        ("z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}!", "z\u{300}\u{301}\u{302}�!"),
    ] {
        assert_eq!(SafeText::new(given).as_str(), expected, "{given:?}");
    }
}

#[test]
fn what_does_not_fit_ends_in_an_ellipsis() {
    for (text, columns, start, end) in [
        ("payment", 7, "payment", "payment"),
        ("payment", 6, "payme…", "…yment"),
        ("payment", 1, "…", "…"),
        ("payment", 0, "", ""),
        ("日本語", 6, "日本語", "日本語"),
        ("日本語", 5, "日本…", "…本語"),
        ("日本語", 4, "日…", "…語"),
        ("日本語", 2, "…", "…"),
    ] {
        let safe = SafeText::new(text);
        assert_eq!(safe.fit(columns, '…'), start, "{text} in {columns}");
        assert_eq!(safe.fit_end(columns, '…'), end, "{text} in {columns}");
    }
}

#[test]
fn a_long_text_is_read_only_as_far_as_it_is_shown() {
    let body = "x".repeat(1 << 20);
    assert_eq!(SafeText::start_of(&body, 8).as_str(), "xxxxxxx…");
    assert_eq!(SafeText::start_of("short", 8).as_str(), "short");
    assert_eq!(SafeText::start_of("short", 0).as_str(), "");
}

#[test]
fn long_text_wraps_between_words_where_it_can() {
    let wrap = |text: &str, columns| {
        let lines = SafeText::new(text).wrapped(columns);
        lines.iter().map(SafeText::to_string).collect::<Vec<_>>().join("|")
    };
    assert_eq!(wrap("upstream timeout after 600ms", 18), "upstream timeout|after 600ms");
    assert_eq!(wrap("abcdefghij", 4), "abcd|efgh|ij");
    assert_eq!(wrap("", 4), "");
    assert_eq!(wrap("abc", 1), "abc");
}

proptest! {
    #[test]
    fn any_text_is_safe_and_keeps_its_bounds(text in "\\PC*|.*", columns in 0usize..40) {
        let safe = SafeText::new(&text);
        prop_assert!(safe.as_str().chars().all(|c| !is_hidden(c)));
        prop_assert_eq!(safe.width(), drawn_width(safe.as_str()));
        for cut in [safe.fit(columns, '…'), safe.fit_end(columns, '…')] {
            prop_assert!(drawn_width(&cut) <= columns, "{cut:?} in {columns}");
            prop_assert!(safe.width() <= columns || columns == 0 || cut.contains('…'));
        }
        prop_assert_eq!(SafeText::new(safe.as_str()), safe.clone());
        prop_assert!(SafeText::start_of(&text, columns).width() <= columns);
        if columns > 1 {
            prop_assert!(safe.wrapped(columns).iter().all(|l| l.width() <= columns.max(2)));
        }
    }
}

#[test]
fn names_keep_both_ends() {
    for (columns, expected) in [
        (22, "sqlite:orders@shard-2*"),
        (21, "sqlite:orders…hard-2*"),
        (13, "sqlite:o…d-2*"),
        (3, "s…*"),
        (2, "s…"),
        (0, ""),
    ] {
        let fitted = SafeText::both_ends("sqlite:orders@shard-2*", columns);
        assert_eq!(fitted.as_str(), expected, "{columns}");
        assert!(fitted.width() <= columns);
    }
    assert!(SafeText::both_ends(&"w".repeat(1 << 20), 20).width() <= 20);
}
