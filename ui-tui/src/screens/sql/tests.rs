//! Statements are found, bound and charted as they are written.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use api::sql::Field;

use super::*;

#[test]
fn the_statement_at_the_cursor_runs() {
    let text = "SELECT 1; SELECT ';' AS x;\n-- a ; b\nSELECT 3";
    let check = |byte: usize, expected: &str| {
        assert_eq!(statement::around(text, byte), expected, "at {byte}");
    };
    check(0, "SELECT 1");
    check(8, "SELECT 1");
    check(15, "SELECT ';' AS x");
    check(text.len(), "-- a ; b\nSELECT 3");
    assert_eq!(statement::around("SELECT 1;  ", 11), "SELECT 1");
    assert_eq!(statement::around("SELECT 'open", 3), "SELECT 'open");
}

#[test]
fn binds_are_replaced_outside_of_quotes() {
    let sql = "SELECT ':from' FROM t WHERE a >= :from AND b::bigint < :to AND :filter -- :to";
    assert_eq!(
        statement::bound(sql, "F", "T", "(x)"),
        "SELECT ':from' FROM t WHERE a >= F AND b::bigint < T AND (x) -- :to"
    );
}

#[test]
fn statements_are_laid_out_by_clause() {
    let sql =
        "SELECT a,  count(*) FROM t LEFT JOIN (SELECT b FROM u WHERE c) v ON x WHERE y GROUP BY 1";
    assert_eq!(
        statement::laid_out(sql),
        "SELECT a, count(*)\nFROM t\nLEFT JOIN (SELECT b FROM u WHERE c) v ON x\nWHERE y\nGROUP BY 1"
    );
}

fn answer(kinds: &[(&str, &str)], rows: &[&str]) -> SqlAnswer {
    let field = |(name, kind): &(&str, &str)| Field { name: (*name).into(), kind: (*kind).into() };
    let row = |text: &&str| serde_json::from_str(text).unwrap();
    SqlAnswer {
        schema: kinds.iter().map(field).collect(),
        rows: rows.iter().map(row).collect(),
        ..SqlAnswer::default()
    }
}

#[test]
fn a_result_suggests_its_chart() {
    let title = |answer: &SqlAnswer| Plot::of(answer).map(|plot| plot.title().to_owned());
    let time = [("t", "timestamp"), ("who", "text"), ("n", "bigint")];
    let rows = [
        r#"{"t":"2026-11-22T15:00:00Z","who":"a","n":1}"#,
        r#"{"t":"2026-11-22T15:01:00Z","who":"b","n":2}"#,
    ];
    assert_eq!(title(&answer(&time, &rows)).as_deref(), Some("n over t by who"));
    assert_eq!(title(&answer(&time[1..], &rows)).as_deref(), Some("n by who"));
    let numbers = [("a", "double"), ("b", "bigint")];
    let rows = [r#"{"a":1.0,"b":2}"#, r#"{"a":2.0,"b":3}"#];
    assert_eq!(title(&answer(&numbers, &rows)).as_deref(), Some("a against b"));
    assert_eq!(title(&answer(&numbers[..1], &rows)), None);
    assert_eq!(title(&answer(&time, &[])), None);
}
