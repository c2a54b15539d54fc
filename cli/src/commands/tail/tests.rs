//! Every row once, whatever the polls overlap.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::json;

use super::*;

fn row(second: u32, body: &str) -> Map<String, Value> {
    let at = format!("2026-11-22T10:00:{second:02}.000000000Z");
    json!({"ingested_at": at, "at": at, "body": body}).as_object().unwrap().clone()
}

fn bodies(rows: Vec<Map<String, Value>>) -> Vec<String> {
    rows.iter().map(|row| text(row, c::BODY).to_owned()).collect()
}

#[test]
fn overlapping_polls_print_each_row_once() {
    let mut watch = Watch::new(Table::Logs, 0);
    let polls = [
        (vec![row(1, "a"), row(2, "b")], vec!["a", "b"]),
        (vec![row(1, "a"), row(2, "b")], vec![]),
        // A late row before the watermark, and a second one equal to a row already printed.
        (vec![row(1, "a"), row(1, "late"), row(2, "b"), row(2, "b")], vec!["late", "b"]),
        (vec![row(2, "b"), row(2, "b"), row(9, "c")], vec!["c"]),
    ];
    for (rows, expected) in polls {
        assert_eq!(bodies(watch.fresh(rows)), expected);
    }
}

#[test]
fn the_question_overlaps_but_never_goes_before_since() {
    let since_ns = time::parse("2026-11-22T10:00:00Z", 0).unwrap();
    let mut watch = Watch::new(Table::Spans, since_ns);
    assert!(watch.request(None).sql.contains(&time::sql_literal(since_ns)));
    watch.fresh(vec![row(30, "x")]);
    assert!(watch.request(None).sql.contains("2026-11-22T10:00:25.000000000"));
    let request = watch.request(Some("o'brien"));
    assert!(request.sql.contains("service_name = $1"));
    assert_eq!(request.params, Some(json!(["o'brien"])));
}

#[test]
fn hostile_text_is_shown_not_obeyed() {
    let screen = Screen { is_terminal: true, color: false, width: 80 };
    let line = log_line(screen, &row(1, "\u{1b}]0;title\u{7}"));
    assert!(line.ends_with("␛]0;title␇"), "{line}");
}
