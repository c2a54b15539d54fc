//! What is pasted opens what it names, and nothing else does.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn check(text: &str, word: &str, of: Option<&str>, span: Option<&str>) {
    let target = read(text).unwrap_or_else(|| panic!("`{text}` names nothing"));
    assert_eq!((target.word.as_str(), target.of.as_deref()), (word, of), "{text}");
    assert_eq!(target.span.as_deref(), span, "{text}");
}

#[test]
fn ids_open_traces() {
    check(TRACE, "trace", Some(TRACE), None);
    check(&TRACE.to_uppercase(), "trace", Some(TRACE), None);
    check(&format!("00-{TRACE}-{SPAN}-01"), "trace", Some(TRACE), Some(SPAN));
    check(&format!("traceparent: 00-{TRACE}-{SPAN}-01"), "trace", Some(TRACE), Some(SPAN));
    let log = format!("{{\"body\":\"x\",\"trace_id\":\"{TRACE}\",\"span_id\":\"{SPAN}\"}}");
    check(&log, "trace", Some(TRACE), Some(SPAN));
    check(&format!("otlake:trace/{TRACE}?span={SPAN}"), "trace", Some(TRACE), Some(SPAN));
}

#[test]
fn a_link_names_two_traces() {
    let text = format!("otlake:compare/{TRACE}-{TRACE}");
    let ids = format!("{TRACE}-{TRACE}");
    check(&text, "compare", Some(&ids), None);
    let screen = read(&text).and_then(|target| target.screen()).unwrap();
    assert_eq!(screen.link(), format!("compare/{ids}"));
    assert!(read("otlake:compare/x").unwrap().screen().is_none());
}

#[test]
fn other_texts_open_nothing() {
    for text in ["", "hello", "00-12-34-01", "otlake:nothing", "{\"trace_id\":\"short\"}", "[1"] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_filter_survives_the_way() {
    let filter = "op=\"POST /orders\" dur>250ms & ü%";
    let text = format!("otlake:services?f={}&t=1h", encoded(filter));
    let target = read(&text).unwrap();
    assert_eq!(target.filter.as_deref(), Some(filter));
    assert_eq!(target.range.as_deref(), Some("1h"));
    assert!(!text.contains(' '));
}
