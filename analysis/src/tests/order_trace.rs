//! The order trace of the definitions (T1), with every number they give for it.

use super::picture::{Ran, run};
use crate::facts::TraceFacts;

pub(super) const T1: &str = "
    g  -  V gateway   0-100 inst=g1
    c1 g  L gateway   4-94 inst=g1
    o  c1 V order     7-91 inst=o1
    p1 o  L order     10-34 inst=o1
    s1 p1 V pricing   13-31 inst=r1
    p2 o  L order     12-20 inst=o1 db=sqlite ns=orders
    p3 o  L order     36-80 inst=o1
    s3 p3 V payment   40-75 inst=y1
    d1 s3 L payment   45-60 inst=y1 db=sqlite ns=payment
    q  o  P order     82-85 inst=o1 msg=bus dest=orders
    k  q  C inventory 95-130 inst=i1 msg=bus dest=orders link=q
    d2 k  L inventory 100-120 inst=i1 db=sqlite ns=inventory
";

fn check(actual: &str, expected: &str) {
    assert_eq!(actual, expected);
}

fn sum(ran: &Ran, value: impl Fn(&crate::SpanFacts) -> Option<i64>) -> i64 {
    ran.kernel.facts().iter().filter_map(value).sum::<i64>() / super::picture::MS
}

#[test]
fn self_time() {
    let ran = run(T1);
    check(
        &ran.each_ms(|f| f.self_ns),
        "g 10, c1 6, o 13, p1 6, s1 18, p2 8, p3 9, s3 20, d1 15, q 3, k 15, d2 20",
    );
    assert_eq!(sum(&ran, |f| f.is_main.then_some(f.self_ns)), 108);
}

#[test]
fn critical_path() {
    let mut ran = run(T1);
    check(
        &ran.path(),
        "g 0-4, c1 4-7, o 7-10, p1 10-13, s1 13-31, p1 31-34, o 34-36, p3 36-40, s3 40-45, \
         d1 45-60, s3 60-75, p3 75-80, o 80-82, q 82-85, o 85-91, c1 91-94, g 94-100 | \
         k 0-5, d2 5-25, k 25-35",
    );
    check(
        &ran.each_ms(|f| f.critical_ns),
        "g 10, c1 6, o 13, p1 6, s1 18, p2 0, p3 9, s3 20, d1 15, q 3, k 15, d2 20",
    );
}

#[test]
fn gaps_and_categories() {
    let ran = run(T1);
    check(
        &ran.each(|f| f.gap_ns.map_or("-".into(), super::picture::ms)),
        "g -, c1 6, o -, p1 6, s1 -, p2 -, p3 9, s3 -, d1 -, q -, k -, d2 -",
    );
    check(
        &ran.each(|f| format!("{:?}", f.category)),
        "g Own, c1 Gap, o Own, p1 Gap, s1 Own, p2 Db, p3 Gap, s3 Own, d1 Db, q Queue, k Own, d2 Db",
    );
    use crate::Category::{Db, Gap, Own, Queue};
    for (category, expected) in [(Own, 61), (Gap, 21), (Db, 15), (Queue, 3)] {
        let of =
            |f: &crate::SpanFacts| (f.is_main && f.category == category).then_some(f.critical_ns);
        assert_eq!(sum(&ran, of), expected, "{category:?}");
    }
}

#[test]
fn peers_and_who_is_charged() {
    let ran = run(T1);
    check(
        &ran.each(|f| ran.text(f.peer).to_owned()),
        "g , c1 order, o , p1 pricing, s1 , p2 sqlite:orders, p3 payment, s3 , d1 sqlite:payment, \
         q bus:orders, k bus:orders, d2 sqlite:inventory",
    );
    for (charged, expected) in [
        ("gateway", 10),
        ("order", 19),
        ("pricing", 24),
        ("payment", 29),
        ("sqlite:payment", 15),
        ("bus:orders", 3),
    ] {
        let of = |f: &crate::SpanFacts| {
            (f.is_main && ran.text(f.charged_to) == charged).then_some(f.critical_ns)
        };
        assert_eq!(sum(&ran, of), expected, "{charged}");
    }
}

const EDGES: &str = "\
user→gateway Entry server 100
gateway→order Call client 90 server 84 gap 6
order→pricing Call client 24 server 18 gap 6
order→sqlite:orders Db client 8
order→payment Call client 44 server 35 gap 9
payment→sqlite:payment Db client 15
order→bus:orders Send client 3
bus:orders→inventory Receive server 35 gap 10
inventory→sqlite:inventory Db client 20";

#[test]
fn edges() {
    check(&run(T1).edges(), EDGES);
}

/// With the consumer in a trace of its own only the link is left; the lag then needs both traces.
#[test]
fn edges_across_traces() {
    let (first, second) = T1.split_at(T1.find("k  q").unwrap());
    let second = second.replace("k  q", "k  -").replace("link=q", "link=q@2");
    let both = format!("{}\n{}", run(first).edges(), run(&second).edges());
    check(&both, &EDGES.replace(" gap 10", ""));
}

#[test]
fn segments_and_tree() {
    let ran = run(T1);
    check(
        &ran.each(|f| ran.picture.ids[f.segment as usize].clone()),
        "g g, c1 g, o g, p1 g, s1 g, p2 g, p3 g, s3 g, d1 g, q g, k k, d2 k",
    );
    check(
        &ran.each(|f| format!("{}:{}-{}", f.depth, f.tree_left, f.tree_right)),
        "g 0:0-11, c1 1:1-11, o 2:2-11, p1 3:3-4, s1 4:4-4, p2 3:5-5, p3 3:6-8, s3 4:7-8, \
         d1 5:8-8, q 3:9-11, k 4:10-11, d2 5:11-11",
    );
    assert_eq!(
        ran.trace,
        TraceFacts {
            root: Some(0),
            is_whole: true,
            start_ns: 0,
            duration_ns: 100 * super::picture::MS,
            spans: 12,
            services: 5,
            depth: 5,
            segments: 1,
            ..TraceFacts::default()
        },
    );
}

#[test]
fn end_to_end() {
    let mut ran = run(T1);
    let pieces = ran.kernel.end_to_end(&ran.picture.spans);
    check(
        &ran.show(&pieces),
        "g 0-4, c1 4-7, o 7-10, p1 10-13, s1 13-31, p1 31-34, o 34-36, p3 36-40, s3 40-45, \
         d1 45-60, s3 60-75, p3 75-80, o 80-82, q 82-85 | queue k 85-95, k 95-100, d2 100-120, \
         k 120-130",
    );
}
