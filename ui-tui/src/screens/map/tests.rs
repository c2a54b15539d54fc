//! Keys and pictures of the map.

use api::views::{EdgeRow, ServiceRow};

use super::model::{Model, NodeId};
use crate::action::Place;
use crate::effect::Effect;
use crate::testing::signals::{answer, check_any_keys, check_pictures, hostile, session};

#[test]
fn the_map_looks_as_it_did() {
    check_pictures(Place::Map, "", "map");
    check_pictures(Place::Map, "v", "map-list");
    check_pictures(Place::Map, "v v", "map-matrix");
}

#[test]
fn the_cursor_begins_on_the_worst_edge_and_its_exemplar_is_one_key_away() {
    let mut s = session(Place::Services, (80, 24), "ansi");
    s.press("2");
    s.settle();
    let text = s.text();
    assert!(text.contains("payment -> acme-eu-1 ext"), "{text}");
    s.press("x");
    assert!(s.crumbs().starts_with("map > trace 4bf92f35"), "{}", s.crumbs());
}

#[test]
fn one_walks_along_edges() {
    let mut s = session(Place::Map, (120, 40), "ansi");
    s.press("h");
    assert!(s.text().contains("checkout -> payment"), "{}", s.text());
    s.press("h");
    assert!(s.text().contains("gateway -> checkout"), "{}", s.text());
    s.press("l enter");
    assert!(s.crumbs().starts_with("map > checkout"), "{}", s.crumbs());
}

#[test]
fn a_focus_leaves_what_is_near() {
    let mut s = session(Place::Map, (120, 40), "ansi");
    s.press("/");
    s.type_text("cart");
    s.press("enter f -");
    let text = s.text();
    assert!(text.contains("Map near cart, 1 step"), "{text}");
    assert!(text.contains("3 nodes, 2 edges"), "{text}");
    s.press("esc");
    assert!(!s.text().contains("Map near cart"), "{}", s.text());
}

#[test]
fn the_map_is_copied_as_mermaid_and_dot() {
    let mut s = session(Place::Map, (120, 40), "ansi");
    s.press("y m y g");
    let copied: Vec<&str> = s
        .done
        .iter()
        .filter_map(|effect| match effect {
            Effect::Copy(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert!(copied[0].starts_with("flowchart LR\n") && copied[0].contains("==>"), "{}", copied[0]);
    assert!(copied[1].starts_with("digraph map {"), "{}", copied[1]);
}

#[test]
fn several_ways_between_two_nodes_are_one_edge() {
    let row = |kind: &str, calls, p99| EdgeRow {
        src: "a".into(),
        src_kind: "service".into(),
        dst: "b".into(),
        dst_kind: "service".into(),
        edge_kind: kind.into(),
        calls,
        per_second: 1.0,
        client_p99_ms: Some(p99),
        ..EdgeRow::default()
    };
    let user = EdgeRow { src: "user".into(), src_kind: "user".into(), ..row("entry", 9, 1.0) };
    let services =
        [ServiceRow { service_name: "b".into(), per_second: 7.0, ..ServiceRow::default() }];
    let model = Model::of(&[row("call", 3, 5.0), row("send", 4, 2.0), user], None, &services);
    assert_eq!((model.nodes.len(), model.edges.len()), (2, 1));
    let edge = &model.edges[0];
    assert_eq!((edge.calls, edge.p99_ms, edge.is_message), (7, Some(5.0), false));
    let b = NodeId { name: "b".into(), kind: "service".into() };
    assert_eq!(model.place(&b).map(|at| model.nodes[at].per_second), Some(7.0));
}

#[test]
fn any_keys_on_any_size() {
    check_any_keys(Place::Map, answer);
    check_any_keys(Place::Map, hostile);
}
