//! Keys and pictures of the logs.

use api::views::LogVolumeRow;

use super::lines::Volume;
use crate::action::Place;
use crate::testing::signals::{check_any_keys, check_pictures, hostile, session};

#[test]
fn logs_look_as_they_did() {
    check_pictures(Place::Logs, "", "logs");
    check_pictures(Place::Logs, "o", "log-patterns");
}

#[test]
fn from_a_line_to_its_pattern_and_back() {
    let mut s = session(Place::Logs, (80, 24), "ansi");
    s.press("j j j");
    assert!(s.text().contains("pattern"), "{}", s.text());
    s.press("o");
    let patterns = s.text();
    assert!(patterns.contains("4 patterns, 2 new"), "{patterns}");
    let cursor = patterns.lines().find(|l| l.contains('▌')).unwrap_or_default().to_owned();
    assert!(cursor.contains("upstream timeout"), "{patterns}");
    s.press("enter");
    assert!(s.text().contains("Logs like \"upstream timeout"), "{}", s.text());
    assert_eq!(s.log.last().map(String::as_str), Some("logs"));
    s.press("esc");
    assert!(!s.text().contains("Logs like"), "{}", s.text());
}

#[test]
fn a_pattern_has_an_exemplar_and_a_line_its_trace() {
    let mut s = session(Place::Logs, (80, 24), "ansi");
    s.press("o x");
    assert!(s.crumbs().starts_with("logs > trace 4bf92f35"), "{}", s.crumbs());
    s.press("esc esc T");
    assert!(s.crumbs().starts_with("logs > trace 4bf92f35"), "{}", s.crumbs());
}

#[test]
fn logs_of_a_span_are_counted_from_its_start() {
    let mut s = session(Place::Services, (80, 24), "ansi");
    s.press("x L");
    s.settle();
    let text = s.text();
    assert!(s.crumbs().ends_with("> logs"), "{}", s.crumbs());
    assert!(text.contains("Logs of this span"), "{text}");
    // The span begins 0.662 s behind the moment that is asked about.
    assert!(text.contains("+1.925 E"), "{text}");
    assert!(text.contains("nearby in the same instance"), "{text}");
    s.press("A");
    assert!(s.text().contains("Logs of this trace"), "{}", s.text());
    // The next error, though the cursor stands on the first line.
    s.press("g e");
    let text = s.text();
    let cursor = text.lines().find(|l| l.contains('▌')).unwrap_or_default();
    assert!(cursor.contains("upstream timeout"), "{text}");
}

#[test]
fn bars_stand_at_their_time() {
    let row = |second: i64, info| LogVolumeRow {
        time: api::time::format(second * 1_000_000_000),
        info,
        ..LogVolumeRow::default()
    };
    let rows = [row(0, 3), row(15, 4), row(60, 5)];
    let told = |width| {
        let volume = Volume::of(&rows, width, &jiff::tz::TimeZone::UTC);
        let sums = volume.bars.iter().map(|bar| bar.iter().map(|part| part.0).sum::<f64>());
        sums.map(|sum| format!("{}", sum as u64)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told(5), "3 4 0 0 5");
    assert_eq!(told(11), "3 3 4 4 0 0 0 0 5 5");
    assert_eq!(told(3), "3 4 0");
    assert!(Volume::of(&[], 9, &jiff::tz::TimeZone::UTC).bars.is_empty());
}

#[test]
fn any_keys_on_any_size() {
    check_any_keys(Place::Logs, crate::testing::signals::answer);
    check_any_keys(Place::Logs, hostile);
}
