//! Keys and pictures of the metrics.

use super::entry::in_unit;
use crate::action::Place;
use crate::testing::signals::{answer, check_any_keys, check_pictures, hostile, session};

#[test]
fn metrics_look_as_they_did() {
    check_pictures(Place::Metrics, "", "metrics");
}

#[test]
fn around_a_span_the_metric_of_the_fault_is_among_the_first() {
    let mut s = session(Place::Services, (120, 40), "ansi");
    s.press("x L M");
    s.settle();
    let text = s.text();
    assert!(s.crumbs().ends_with("> metrics"), "{}", s.crumbs());
    let place = text.lines().position(|l| l.contains("payment.pool.waiters"));
    assert!(place.is_some_and(|line| line < 6), "{text}");
    assert!(text.contains("0 -> 447"), "{text}");
    s.check("metrics/around-a-span-120x40");
}

#[test]
fn a_chart_leads_to_the_trace_of_an_exemplar() {
    let mut s = session(Place::Metrics, (80, 24), "ansi");
    s.press("enter x");
    assert!(s.crumbs().starts_with("metrics > trace 4bf92f35"), "{}", s.crumbs());
}

#[test]
fn the_cursor_of_the_chart_tells_values() {
    let mut s = session(Place::Metrics, (80, 24), "ansi");
    s.press("enter l l");
    assert!(s.text().contains("p99 1.95 s"), "{}", s.text());
    s.press("v");
    assert!(s.text().contains("mean 700 ms"), "{}", s.text());
    s.press("T");
    assert!(s.crumbs().ends_with("> traces"), "{}", s.crumbs());
}

#[test]
fn values_have_their_unit() {
    for (value, unit, is_rate, expected) in [
        (0.31, "s", false, "310 ms"),
        (1_950.0, "ms", false, "1.95 s"),
        (212_000_000.0, "By", false, "212 MB"),
        (212.4, "{request}", true, "212/s"),
        (0.31, "1", false, "0.31"),
        (3.0, "Cel", false, "3 Cel"),
        (3.0, "s", true, "3 s/s"),
        (f64::NAN, "s", false, "-"),
    ] {
        assert_eq!(in_unit(value, unit, is_rate), expected);
    }
}

#[test]
fn any_keys_on_any_size() {
    check_any_keys(Place::Metrics, answer);
    check_any_keys(Place::Metrics, hostile);
}
