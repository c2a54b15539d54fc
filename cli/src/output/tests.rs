//! Hostile text, escaped values, defaults.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::json;

use super::*;

fn check_safe(text: &str, expected: &str) {
    assert_eq!(safe(text), expected);
}

#[test]
fn nothing_a_terminal_obeys_passes() {
    check_safe("plain ünïcode 漢字", "plain ünïcode 漢字");
    check_safe("\u{1b}]52;c;AAAA\u{7}", "␛]52;c;AAAA␇");
    check_safe("a\tb\nc\r\u{7f}", "a    b␊c␍␡");
    check_safe("\u{9b}31m", "<U+009B>31m");
    check_safe("\u{202e}evil\u{2066}", "<U+202E>evil<U+2066>");
    check_safe("a\u{200b}b\u{feff}", "a<U+200B>b<U+FEFF>");
    check_safe("\u{e0041}", "<U+E0041>");
    check_safe(&format!("e{}x", "\u{301}".repeat(20)), &format!("e{}…x", "\u{301}".repeat(8)));
}

#[test]
fn random_text_leaves_no_control_character() {
    use rand::{Rng, SeedableRng};
    let seed: u64 = rand::rng().random();
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..40).map(|_| rng.random()).collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!safe(&text).chars().any(|c| c.is_control() || is_invisible(c)), "seed {seed}");
    }
}

fn field(name: &str, kind: &str) -> Field {
    Field { name: name.into(), kind: kind.into() }
}

fn rows() -> (Vec<Field>, Vec<Map<String, Value>>) {
    let row = json!({"n": 7, "name": "a\tb\u{1b}", "gone": null});
    let schema = vec![field("name", "text"), field("n", "bigint"), field("gone", "text")];
    (schema, vec![row.as_object().unwrap().clone()])
}

#[test]
fn tab_separated_values_escape_their_separators() {
    let (schema, rows) = rows();
    let mut out = Vec::new();
    write_tsv(&mut out, &schema, &rows).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "a\\tb\u{1b}\t7\tnull\n");
}

#[test]
fn a_table_aligns_and_sanitises() {
    let (schema, rows) = rows();
    let screen = Screen { is_terminal: false, color: false, width: 80 };
    let mut out = Vec::new();
    write_table(&mut out, screen, &schema, &rows).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("a    b␛") && text.contains("null"), "{text}");
}

#[test]
fn people_get_tables_and_programs_tabs() {
    let screen = |is_terminal| Screen { is_terminal, color: false, width: 80 };
    assert_eq!(RowFormat::or_default(None, screen(true)), RowFormat::Table);
    assert_eq!(RowFormat::or_default(None, screen(false)), RowFormat::Tsv);
    assert_eq!(RowFormat::or_default(Some(RowFormat::Csv), screen(true)), RowFormat::Csv);
}

#[test]
fn shares_are_bars() {
    for (share, expected) in
        [(0.0, ""), (0.5, "██"), (0.6, "██▌"), (1.0, "████"), (7.0, "████"), (f64::NAN, "")]
    {
        assert_eq!(bar(share, 4), expected, "{share}");
    }
}
