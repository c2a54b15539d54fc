//! Frames of small traces, told as text.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::span_rows::tests::picture;

const SHOP: &str = "
    checkout 0 100 *10
      product 5 10 *10
        sql 6 5 *5
      charge 30 60 *40
        sql 40 10 *10
      product 92 8 *8
";

fn told(f: &Flames, s: &Skeleton) -> String {
    let ms = |ns: i64| ns / 1_000_000;
    let line = |n: &Node| {
        format!("{} {}..{} {} {}x", n.level, ms(n.from), ms(n.to), s.name(n.row as usize), n.calls)
    };
    f.nodes.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn by_time_parallel_spans_have_lanes() {
    let s = picture("a 0 100\n  b 0 50\n    d 10 10\n  c 20 60\n  e 60 10");
    let expected = "0 0..100 a 1x\n1 0..50 b 1x\n2 10..20 d 1x\n2 20..80 c 1x\n1 60..70 e 1x";
    let mut lines: Vec<&str> = expected.lines().collect();
    lines.sort_unstable();
    let f = Flames::by_time(&s);
    let text = told(&f, &s);
    let mut found: Vec<&str> = text.lines().collect();
    found.sort_unstable();
    assert_eq!(found, lines);
    assert_eq!(f.depth(), 3);
}

#[test]
fn equal_paths_are_one_frame_and_the_heaviest_is_left() {
    let s = picture(SHOP);
    let f = Flames::left_heavy(&s, Weight::Own);
    assert_eq!(
        told(&f, &s),
        "0 0..83 checkout 1x\n1 0..50 charge 1x\n1 50..73 product 2x\n2 0..10 sql 1x\n2 50..55 sql 1x"
    );
}

#[test]
fn a_sandwich_has_callers_above_and_callees_below() {
    let s = picture(SHOP);
    let sql = (0..s.len()).find(|r| s.name(*r) == "sql").unwrap() as u32;
    let (f, at) = Flames::sandwich(&s, Weight::Own, sql);
    assert_eq!(at, 2);
    assert_eq!(
        told(&f, &s),
        "0 0..10 checkout 1x\n0 10..15 checkout 1x\n1 0..10 charge 1x\n1 10..15 product 1x\n2 0..15 sql 2x"
    );
}

#[test]
fn a_chain_of_many_spans_does_not_recurse_and_crowds_share_columns() {
    let mut builder = crate::span_rows::Builder::default();
    for at in 0..50_000u32 {
        let node = crate::span_rows::Node {
            parent: at.checked_sub(1).unwrap_or(NO_ROW),
            start_ns: i64::from(at),
            duration_ns: 100_000 - i64::from(at),
            self_ns: 1,
            ..Default::default()
        };
        builder.push(node, "deep", "svc");
    }
    let s = builder.build();
    let f = Flames::left_heavy(&s, Weight::Own);
    assert_eq!(f.nodes.len(), 50_000);
    assert!(Flames::by_time(&s).seen(s.window_ns(), 80, 0..40).len() <= 40 * 80);
}
