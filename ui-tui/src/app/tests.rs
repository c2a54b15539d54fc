//! Keys change the state as they should, and ask what they should.

use crate::action::Place;
use crate::effect::Effect;
use crate::testing::{Session, incident, signals};

/// Presses keys on a place of the incident: where one ends, and what is asked on the way.
fn check(place: Place, keys: &str, crumbs: &str, asked: &str) {
    let mut session = Session::incident(place, (80, 24));
    session.press(keys);
    assert_eq!(session.crumbs(), crumbs, "{keys}");
    assert_eq!(session.log.join(" "), asked, "{keys}");
}

#[test]
fn keys_lead_where_they_say() {
    let trace = format!("services > trace {}", &incident::TRACE[..8]);
    check(Place::Services, "x", &trace, &format!("traces/{}", incident::TRACE));
    check(Place::Services, "j j k", "services", "");
    check(Place::Services, "3", "traces", "traces heatmap");
    check(Place::Services, "3 1", "services", "traces heatmap");
    check(Place::Services, "3 1 3", "traces", "traces heatmap");
    check(Place::Services, "esc", "services", "");
    check(Place::Services, "r", "services", "services");
    check(Place::Services, "-", "services", "services");
    check(Place::Traces, "s", "traces", "traces");
}

#[test]
fn the_way_from_a_slow_service_to_its_trace_and_back_asks_once() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press("enter");
    assert_eq!(session.crumbs(), "services > checkout");
    assert!(session.log.contains(&"compare".to_owned()), "{:?}", session.log);
    let text = session.text();
    assert!(text.contains("payment  POST /charge"), "{text}");
    assert!(text.contains("payment.provider"), "{text}");
    session.press("x");
    let text = session.text();
    let cursor = text.lines().find(|line| line.contains('▌')).unwrap_or_default();
    assert!(cursor.contains("Charge") || cursor.contains("charge"), "{text}");
    session.log.clear();
    session.press("esc esc");
    assert_eq!(
        (session.crumbs().as_str(), session.log.len()),
        ("services", 0),
        "{:?}",
        session.log
    );
    session.press("alt-right alt-right");
    assert_eq!(session.app.depth(), 3);
    assert_eq!(session.log.len(), 0, "{:?}", session.log);
}

#[test]
fn the_filter_narrows_and_comes_back() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press("f");
    assert_eq!(session.app.top().scope.filter, "service=checkout");
    session.press("/");
    session.type_text("dur>1s");
    session.press("enter");
    assert_eq!(session.app.top().scope.filter, "service=checkout dur>1s");
    session.press("/ ctrl-u enter");
    assert_eq!(session.app.top().scope.filter, "");
    session.press("/ up enter");
    assert_eq!(session.app.top().scope.filter, "service=checkout dur>1s");
}

#[test]
fn the_range_is_typed_and_shifted() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press("t");
    session.type_text("14:00..14:30");
    session.press("enter");
    assert_eq!(
        session.app.top().scope.range.words(&jiff::tz::TimeZone::UTC),
        "2026-11-22 14:00..14:30"
    );
    session.press("<");
    assert_eq!(
        session.app.top().scope.range.words(&jiff::tz::TimeZone::UTC),
        "2026-11-22 13:30..14:00"
    );
    session.press("0");
    assert_eq!(session.app.top().scope.range.words(&jiff::tz::TimeZone::UTC), "last 15m");
}

#[test]
fn copies_and_files_are_effects() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press("y i");
    assert_eq!(session.done, [Effect::Copy(incident::TRACE.into())]);
    session.press("W c");
    let Some(Effect::Write { name, bytes }) = session.done.last() else {
        panic!("nothing written")
    };
    assert_eq!(name, "otlake-services-20261122T155946.csv");
    assert!(String::from_utf8_lossy(bytes).starts_with("service,per_second"), "{name}");
    session.press("y l");
    assert_eq!(session.done.last(), Some(&Effect::Copy("otlake:services?t=15m".into())));
}

#[test]
fn a_pasted_id_opens_its_trace() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press(":");
    session.type_text(incident::TRACE);
    session.press("enter");
    assert_eq!(session.crumbs(), format!("services > trace {}", &incident::TRACE[..8]));
}

#[test]
fn the_palette_runs_what_it_finds() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press(":");
    session.type_text("ingest");
    assert!(session.text().contains("is my data arriving"));
    session.press("esc :");
    session.type_text("zoom out");
    session.press("enter");
    assert_eq!(session.app.top().scope.range.words(&jiff::tz::TimeZone::UTC), "last 1h");
}

#[test]
fn the_sql_of_a_view_is_shown_and_runs() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press("Q");
    assert_eq!(session.crumbs(), "services > sql");
    assert!(session.text().contains("FROM spans"), "{}", session.text());
    session.log.clear();
    session.press("f5");
    assert_eq!(session.log, ["sql"]);
}

#[test]
fn a_server_that_is_gone_is_tried_again_and_comes_back() {
    let mut session = Session::at(Place::Services, (80, 24), "ansi", |_| {
        Some(Err(api::client::ClientError::Unreachable { url: "u".into(), cause: "c".into() }))
    });
    session.answer_all();
    assert!(session.text().contains("offline"), "{}", session.text());
    session.log.clear();
    session.wait(600);
    assert_eq!(session.log, ["watermark"]);
    session.become_online(incident::answer);
    session.answer_all();
    assert!(!session.text().contains("offline"));
    assert!(session.text().contains("checkout"), "{}", session.text());
}

/// The acceptance path: slow service, where the time goes, exemplar, its logs, its metrics, and back.
#[test]
fn four_keys_lead_from_the_slow_service_to_the_metric_of_its_fault() {
    for size in [(80, 24), (120, 40), (200, 60)] {
        let mut session = Session::at(Place::Services, size, "ansi", signals::answer);
        session.settle();
        let row_1 = session.text().lines().nth(4).unwrap_or_default().to_owned();
        assert!(row_1.contains("x checkout") && row_1.contains("p99 x5.1"), "{row_1}");
        session.press("enter");
        let text = session.text();
        assert!(text.contains("mean of the selection 1.85 s"), "{text}");
        assert!(text.contains("payment.provider"), "{text}");
        session.press("x");
        let text = session.text();
        assert!(text.contains("▌~") || text.contains("▌x") || text.contains("▌X"), "{text}");
        session.press("L");
        assert!(session.text().contains("upstream timeout after 600ms"), "{}", session.text());
        session.press("M");
        session.settle();
        assert!(session.text().contains("payment.pool"), "{}", session.text());
        session.press("esc esc esc esc");
        assert_eq!(session.crumbs(), "services");
        assert_eq!(session.log, Vec::<String>::new(), "nothing is asked on the way back");
    }
}
