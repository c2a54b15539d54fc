//! Folding, groups and jumps over pictures of traces; laws over random ones; what a server may send.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use api::views::{PathPiece, SkeletonColumns};
use proptest::prelude::*;

use super::*;

/// A trace from lines: indentation is depth; `name start duration [x] [*critical]`.
pub(crate) fn picture(text: &str) -> Skeleton {
    let mut builder = Builder::default();
    let mut open: Vec<(usize, u32)> = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        let (service, name) = words[0].split_once('/').unwrap_or(("svc", words[0]));
        open.retain(|(i, _)| *i < indent);
        let mut node = Node {
            parent: open.last().map_or(NO_ROW, |(_, row)| *row),
            start_ns: words[1].parse::<i64>().unwrap() * 1_000_000,
            duration_ns: words[2].parse::<i64>().unwrap() * 1_000_000,
            ..Node::default()
        };
        for word in &words[3..] {
            match *word {
                "x" => node.flags |= flags::ERROR,
                "X" => node.flags |= flags::ERROR | flags::ORIGIN,
                "async" => node.flags |= flags::ASYNC,
                "~" => node.flags |= flags::WAITING,
                "?" => node.flags |= flags::ORPHAN,
                path => {
                    node.critical_ns = path[1..].parse::<i64>().unwrap() * 1_000_000;
                    node.self_ns = node.critical_ns;
                }
            }
        }
        let row = builder.push(node, name, service);
        open.push((indent, row));
    }
    builder.build()
}

/// The rows that are seen, one a line.
fn seen(rows: &SpanRows) -> String {
    let s = rows.skeleton();
    (0..rows.len())
        .map(|at| {
            let indent = "  ".repeat(rows.depth(at).into());
            let fold = match rows.is_folded(at) {
                Some(true) => "> ",
                Some(false) => "v ",
                None => "",
            };
            let text = match rows.shown(at).unwrap() {
                Shown::Span(row) => s.name(row as usize).to_owned(),
                Shown::Group(group) => {
                    let g = rows.group(group);
                    format!("{} {}x", s.name(g.members[0] as usize), g.members.len())
                }
            };
            format!("{indent}{fold}{text}")
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn check(rows: &SpanRows, expected: &str) {
    let expected: Vec<&str> = expected.lines().filter(|l| !l.trim().is_empty()).collect();
    let indent = expected.iter().map(|l| l.len() - l.trim_start().len()).min().unwrap_or(0);
    let expected: Vec<&str> = expected.iter().map(|l| &l[indent..]).collect();
    assert_eq!(seen(rows), expected.join("\n"));
}

const SHOP: &str = "
    checkout 0 100 x *5
      cart 1 4
      product 5 3
      product 8 3
        sql 9 1
      product 11 9
      reserve 12 2
      product 20 3 x
      charge 30 60 x *10
        acme 40 50 X *50
";

fn shop() -> SpanRows {
    SpanRows::new(Arc::new(picture(SHOP)), None)
}

#[test]
fn a_small_trace_opens_unfolded_and_folds() {
    let mut rows = shop();
    assert_eq!(rows.len(), 10);
    rows.fold(0, true);
    check(&rows, "> checkout");
    rows.fold_all(false);
    rows.set_grouping(true);
    check(
        &rows,
        "
        v checkout
          cart
          > product 4x
          reserve
          v charge
            acme
        ",
    );
    rows.fold(2, false);
    check(
        &rows,
        "
        v checkout
          cart
          v product 4x
            product
            v product
              sql
            product
            product
          reserve
          v charge
            acme
        ",
    );
    let Some(Shown::Group(group)) = rows.shown(2) else { panic!("no group") };
    let group = rows.group(group);
    assert_eq!((group.p50_ns, group.max_ns, group.failed), (3_000_000, 9_000_000, 1));
}

#[test]
fn the_critical_path_alone() {
    let mut rows = shop();
    rows.set_path_only(true);
    check(&rows, "v checkout\n  v charge\n    acme");
    // What is asked for is shown, though it is off the path.
    let cart = 1;
    assert_eq!(rows.show(cart), Some(1));
    assert!(!rows.is_path_only());
}

#[test]
fn jumps_go_to_errors_children_and_siblings() {
    let rows = shop();
    let s = Arc::clone(rows.skeleton());
    let named = |row: Option<u32>| row.map_or("-", |r| s.name(r as usize)).to_owned();
    assert_eq!(named(rows.guilty()), "acme");
    assert_eq!(named(rows.next_flagged(0, flags::ERROR, true)), "product");
    assert_eq!(named(rows.next_flagged(9, flags::ERROR, true)), "checkout");
    assert_eq!(named(rows.next_flagged(0, flags::ERROR, false)), "acme");
    assert_eq!(named(rows.next_flagged(0, flags::ORPHAN, true)), "-");
    assert_eq!(named(rows.slowest_child(0)), "charge");
    assert_eq!(named(rows.slowest_child(9)), "-");
    assert_eq!(named(rows.sibling(1, true)), "product");
    assert_eq!(named(rows.sibling(1, false)), "-");
    assert_eq!(named(rows.sibling(0, true)), "-");
}

#[test]
fn hidden_rows_are_found_at_what_hides_them() {
    let mut rows = shop();
    rows.set_grouping(true);
    let sql = rows.skeleton().names.iter().position(|n| n == "sql").unwrap();
    let row = (0..10).find(|r| rows.skeleton().name[*r] as usize == sql).unwrap() as u32;
    assert_eq!(rows.place(row), Some(2));
    let at = rows.show(row).unwrap();
    assert_eq!(rows.shown(at), Some(Shown::Span(row)));
}

#[test]
fn a_large_trace_opens_where_it_matters() {
    let mut text = String::from("root 0 1000 *100\n  slow 0 900 *900\n    inner 0 800 *800\n");
    for i in 0..300 {
        text.push_str(&format!("  branch{i} {i} 2\n    leaf 1 1\n"));
    }
    text.push_str("  bad 990 5\n    deep 991 4\n      worst 992 2 X\n");
    let rows = SpanRows::new(Arc::new(picture(&text)), None);
    let shown = seen(&rows);
    assert!(
        shown.starts_with("v root\n  v slow\n    inner\n  > branch0\n  > branch1\n"),
        "{shown}"
    );
    assert!(shown.ends_with("  v bad\n    v deep\n      worst"), "{shown}");
}

#[test]
fn the_density_counts_running_spans() {
    let s = picture("a 0 100\n  b 0 50\n  c 50 50\n  d 75 25");
    let (from, to) = s.window_ns();
    assert_eq!(density(&s, from, to, 4), [2, 2, 3, 3]);
    assert_eq!(density(&s, 0, 0, 4), [0; 4]);
    assert!(density(&s, 0, 1, 0).is_empty());
}

fn span(id: u8, parent: u8, start: i64, name: &str) -> TraceSpan {
    let hex = |n: u8| format!("{n:016x}");
    TraceSpan {
        span_id: hex(id),
        parent_span_id: (parent > 0).then(|| hex(parent)),
        start_time: format!("2026-11-22T15:54:11.{start:03}Z"),
        duration_ns: 10_000_000,
        service_name: "svc".into(),
        name: name.into(),
        ..TraceSpan::default()
    }
}

use api::views::{TraceAnswer, TraceSpan};

#[test]
fn damaged_traces_show_their_damage() {
    let answer = TraceAnswer {
        spans: vec![
            span(3, 2, 20, "late child"),
            span(1, 0, 0, "root"),
            span(2, 1, 10, "child"),
            span(2, 1, 10, "child again"),
            span(5, 9, 30, "orphan"),
            span(6, 9, 31, "orphan too"),
            span(7, 8, 40, "circle"),
            span(8, 7, 41, "circle back"),
        ],
        ..TraceAnswer::default()
    };
    let rows = SpanRows::new(Arc::new(Skeleton::of_trace(&answer)), None);
    check(
        &rows,
        "
        v root
          v child
            late child
        v parent 00000000 not received
          orphan
          orphan too
        v circle
          circle back
        ",
    );
    let s = rows.skeleton();
    assert_eq!(s.duplicates, 1);
    assert!(s.has(3, flags::MISSING) && s.has(6, flags::CUT));
    assert_eq!(s.row_of("0000000000000006"), Some(5));
}

#[test]
fn a_long_stretch_of_own_time_is_a_row() {
    let mut root = span(1, 0, 0, "charge");
    root.duration_ns = 1_000_000_000;
    let piece = PathPiece {
        segment_id: root.span_id.clone(),
        span_id: root.span_id.clone(),
        from_ns: 100_000_000,
        to_ns: 700_000_000,
        category: "self".into(),
        ..PathPiece::default()
    };
    let answer = TraceAnswer {
        spans: vec![root, span(2, 1, 800, "acme")],
        critical_path: vec![piece],
        ..TraceAnswer::default()
    };
    let s = Skeleton::of_trace(&answer);
    assert_eq!((s.name(1), s.start_ns[1], s.duration_ns[1]), ("waiting", 100_000_000, 600_000_000));
    assert!(s.has(1, flags::WAITING) && !s.is_span(1));
}

fn columns(of: &Skeleton) -> SkeletonColumns {
    SkeletonColumns {
        parent: of.parent.clone(),
        subtree_end: of.subtree_end.clone(),
        depth: of.depth.clone(),
        start_ns: of.start_ns.clone(),
        duration_ns: of.duration_ns.clone(),
        self_ns: of.self_ns.clone(),
        gap_ns: of.gap_ns.clone(),
        critical_ns: of.critical_ns.clone(),
        flags: of.flags.clone(),
        name: of.name.clone(),
        service: of.service.clone(),
        span_id: of.span_id.iter().map(|id| format!("{:016x}", u64::from_be_bytes(*id))).collect(),
        names: of.names.clone(),
        services: of.services.clone(),
        ..SkeletonColumns::default()
    }
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let whole = picture(SHOP);
    assert_eq!(Skeleton::of_columns(columns(&whole)).unwrap(), whole);
    let refused = |change: fn(&mut SkeletonColumns)| {
        let mut bad = columns(&picture(SHOP));
        change(&mut bad);
        assert!(Skeleton::of_columns(bad).is_err());
    };
    refused(|c| c.depth.truncate(2));
    refused(|c| c.subtree_end[0] = 0);
    refused(|c| c.subtree_end[3] = 99);
    refused(|c| c.parent[2] = 1);
    refused(|c| c.parent[1] = NO_ROW);
}

/// Any parents at all, the node itself and later ones included.
fn any_trace() -> impl Strategy<Value = Skeleton> {
    prop::collection::vec((0u32..60, 0i64..50, 0i64..20, 0u32..3, any::<bool>()), 0..60).prop_map(
        |spans| {
            let mut builder = Builder::default();
            for (parent, start, duration, name, bad) in spans {
                let node = Node {
                    parent,
                    start_ns: start,
                    duration_ns: duration,
                    critical_ns: i64::from(bad),
                    flags: if bad { flags::ERROR } else { 0 },
                    ..Node::default()
                };
                builder.push(node, &format!("n{name}"), "s");
            }
            builder.build()
        },
    )
}

proptest! {
    #[test]
    fn any_trace_is_a_tree_and_folds(s in any_trace(), steps in prop::collection::vec((0usize..8, 0usize..80), 0..12)) {
        prop_assert_eq!(s.check(), Ok(()));
        let len = s.len();
        let mut rows = SpanRows::new(Arc::new(s), None);
        for (step, at) in steps {
            match step {
                0 => rows.fold(at, true),
                1 => rows.fold(at, false),
                2 => rows.fold_all(true),
                3 => rows.fold_all(false),
                4 => rows.set_grouping(at % 2 == 0),
                5 => rows.set_path_only(at % 2 == 0),
                6 if at < len => {
                    let place = rows.show(at as u32).unwrap();
                    prop_assert_eq!(rows.shown(place), Some(Shown::Span(at as u32)));
                }
                _ => {
                    rows.next_flagged(at as u32, flags::ERROR, at % 2 == 0);
                }
            }
            let mut spans: Vec<u32> = (0..rows.len())
                .filter_map(|at| match rows.shown(at) {
                    Some(Shown::Span(row)) => Some(row),
                    _ => None,
                })
                .collect();
            spans.sort_unstable();
            let all = spans.len();
            spans.dedup();
            prop_assert_eq!(spans.len(), all, "a row is listed twice");
        }
        rows.set_path_only(false);
        rows.set_grouping(false);
        rows.fold_all(false);
        prop_assert_eq!(rows.len(), len);
    }
}
