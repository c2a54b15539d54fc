//! Paths of questions, and the list of endpoints.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fmt::Write as _;

use super::*;

fn check_path(question: &impl Question, options: &Options, expected: &str) {
    assert_eq!(question.path(options), expected);
}

#[test]
fn a_question_becomes_a_path() {
    let plain = Options::default();
    let all =
        Options { sql: Some(true), limit: Some(5), timeout_s: Some(1.5), ..Options::default() };
    check_path(&Services::default(), &plain, "/api/v1/services");
    let breakdown = Breakdown {
        from: Some("15m".into()),
        root: Some("POST /api/orders".into()),
        ..Breakdown::default()
    };
    check_path(&breakdown, &plain, "/api/v1/breakdown?from=15m&root=POST%20%2Fapi%2Forders");
    let trace = Trace { trace_id: Some("ab".into()) };
    check_path(&trace, &all, "/api/v1/traces/ab?limit=5&sql=true&timeout_s=1.5");
    let value = Correlation { value: Some("a/b ü?&".into()), ..Correlation::default() };
    check_path(&value, &plain, "/api/v1/correlation/a%2Fb%20%C3%BC%3F%26");
}

#[test]
fn every_endpoint_is_told_apart_and_explained() {
    let mut paths: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), ENDPOINTS.len());
    for endpoint in ENDPOINTS {
        assert!(endpoint.doc.trim().ends_with('.'), "{}", endpoint.path);
        for parameter in endpoint.parameters {
            assert!(!parameter.doc.is_empty(), "{} {}", endpoint.path, parameter.name);
            let is_taken_by_all = OPTIONS.iter().any(|option| option.name == parameter.name);
            assert!(!is_taken_by_all, "{} {}", endpoint.path, parameter.name);
        }
    }
}

#[test]
fn attributes_are_read_from_text_and_from_objects() {
    for attributes in [r#""{\"a\":1}""#, r#"{"a":1}"#] {
        let text = format!(r#"{{"time":"t","name":"n","attributes":{attributes}}}"#);
        let event: SpanEvent = serde_json::from_str(&text).unwrap();
        assert_eq!(event.attributes, Some(serde_json::json!({"a": 1})), "{attributes}");
    }
}

#[test]
fn a_skeleton_is_the_same_behind_the_wire() {
    let id = |n: u64| format!("{n:016x}");
    let columns = SkeletonColumns {
        parent: vec![NO_PARENT, 0, 1, 0, NO_PARENT],
        subtree_end: vec![4, 3, 3, 4, 5],
        depth: vec![0, 1, 2, 1, 0],
        start_ns: vec![5, 10, 8, 1_000_000_000, 0],
        duration_ns: vec![9; 5],
        self_ns: vec![0, 1, 2, 3, 4],
        gap_ns: vec![0; 5],
        critical_ns: vec![0; 5],
        flags: vec![span_flags::ERROR; 5],
        kind: vec![2; 5],
        name: vec![0; 5],
        service: vec![0; 5],
        peer: vec![NO_PARENT, 0, 0, NO_PARENT, 0],
        span_id: (0..5).map(id).collect(),
        names: vec!["GET /".into()],
        services: vec!["gateway".into()],
    };
    let sent = serde_json::to_value(&columns).unwrap();
    assert_eq!(sent["up"], serde_json::json!([0, 1, 1, 3, 0]));
    assert_eq!(sent["size"], serde_json::json!([4, 2, 1, 1, 1]));
    assert_eq!(sent["after_ns"], serde_json::json!([5, 5, -2, 999_999_995, 0]));
    assert_eq!(serde_json::from_value::<SkeletonColumns>(sent).unwrap(), columns);
    let mut odd = serde_json::to_value(&columns).unwrap();
    // Lists of other lengths and rows above the first are read; what draws refuses them.
    (odd["up"], odd["after_ns"]) = (serde_json::json!([7]), serde_json::json!([]));
    assert_eq!(serde_json::from_value::<SkeletonColumns>(odd.clone()).unwrap().parent.len(), 1);
    odd["span_id"] = "äöü".into();
    assert!(serde_json::from_value::<SkeletonColumns>(odd).is_err());
}

/// The reference of `docs/api.md`: every endpoint with its parameters.
fn reference() -> String {
    let mut text = String::new();
    let table = |text: &mut String, parameters: &[Parameter]| {
        text.push_str("| parameter | is | |\n|---|---|---|\n");
        for Parameter { name, kind, doc } in parameters {
            let kind = format!("{kind:?}").to_lowercase();
            writeln!(text, "| `{name}` | {kind} | {} |", doc.trim()).unwrap();
        }
        text.push('\n');
    };
    text.push_str("### Every endpoint\n\n");
    table(&mut text, OPTIONS);
    for endpoint in ENDPOINTS {
        writeln!(text, "### `GET {}`\n\n{}\n", endpoint.path, endpoint.doc.trim()).unwrap();
        table(&mut text, endpoint.parameters);
    }
    text
}

#[test]
fn the_documentation_lists_every_endpoint() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mark = "<!-- generated from api/src/views.rs: UPDATE=1 cargo test -p api -->\n\n";
    let (head, found) = text.split_once(mark).unwrap();
    let expected = reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{head}{mark}{}\n", expected.trim_end())).unwrap();
        return;
    }
    assert_eq!(found.trim_end(), expected.trim_end(), "UPDATE=1 rewrites docs/api.md");
}
