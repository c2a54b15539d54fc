//! What servers answer, and what is counted of it.

use serde_json::json;

use super::*;

#[test]
fn rejected_records_are_read_from_every_signal() {
    for (answer, expected) in [
        (json!({}), (0, "")),
        (json!({"partialSuccess": {}}), (0, "")),
        (json!({"partialSuccess": {"rejectedSpans": "3", "errorMessage": "no"}}), (3, "no")),
        (json!({"partialSuccess": {"rejectedLogRecords": 2}}), (2, "")),
        (json!({"partialSuccess": {"rejectedDataPoints": "1"}}), (1, "")),
    ] {
        let (rejected, message) = rejected_in_json(&answer["partialSuccess"]);
        assert_eq!((rejected, message.as_str()), expected);
    }
}

#[test]
fn error_bodies_are_readable() {
    assert_eq!(readable(br#"{"code":3,"message":"not JSON"}"#), "not JSON");
    assert_eq!(readable(b"\x08\x03\x12\x08too long"), "too long");
}

#[test]
fn totals_add_up() {
    let mut totals = Totals::default();
    let path = Path::new("f");
    totals.add(path, "line 1", 10, Outcome::Stored { rejected: 3, message: "x".into() });
    totals.add(path, "line 2", 5, Outcome::Refused("y".into()));
    totals.add(path, "line 3", 0, Outcome::Refused("undecodable".into()));
    assert_eq!((totals.accepted, totals.rejected, totals.unread, totals.requests), (7, 8, 1, 3));
}
