//! Section 12 of the definitions: errors, their roles and paths.

use super::picture::{Ran, ms, run};

#[test]
fn what_an_error_is() {
    for (span, expected) in [
        ("V s 0-9", false),
        ("V s 0-9 err", true),
        ("V s 0-9 ok http=500", false),
        ("V s 0-9 http=500", true),
        ("V s 0-9 http=499", false),
        ("L s 0-9 http=503", true),
        ("L s 0-9 http=404", false),
        ("I s 0-9 http=500", true),
        ("L s 0-9 rpc=NOT_FOUND", true),
        ("L s 0-9 rpc=5", true),
        ("L s 0-9 rpc=OK", false),
        ("L s 0-9 rpc=0", false),
        ("V s 0-9 rpc=NOT_FOUND", false),
        ("V s 0-9 rpc=UNKNOWN", true),
        ("V s 0-9 rpc=4", true),
        ("V s 0-9 rpc=12", true),
        ("V s 0-9 rpc=INTERNAL", true),
        ("V s 0-9 rpc=14", true),
        ("V s 0-9 rpc=DATA_LOSS", true),
        ("V s 0-9 rpc=16", false),
        ("V s 0-9 rpc=CANCELLED", false),
        ("L s 0-9 ok rpc=INTERNAL", false),
    ] {
        let ran = run(&format!("x - {span}"));
        assert_eq!(ran.kernel.facts()[0].is_error, expected, "{span}");
        assert_eq!(ran.trace.errors, u32::from(expected), "{span}");
    }
}

fn roles(ran: &Ran) -> String {
    ran.each(|f| f.error_role.map_or("-".to_owned(), |role| format!("{role:?}")))
}

/// Paths as `spans (fatal) cost`, costliest first.
fn paths(ran: &Ran) -> Vec<String> {
    let found = ran.kernel.error_paths(&ran.picture.spans);
    found
        .iter()
        .map(|path| {
            let spans: Vec<&str> = path.spans.iter().map(|i| ran.id_at(Some(*i))).collect();
            assert_eq!(path.spans.last(), Some(&path.origin));
            assert!(path.spans.contains(&path.top));
            let fatal = if path.is_fatal { " fatal" } else { "" };
            format!("{}{fatal} {}", spans.join(" "), ms(path.cost_ns))
        })
        .collect()
}

/// The example of the definitions.
const TIMED_OUT: &str = "
    g  - V gateway 0-100 err
    c1 g L gateway 2-98 err
    o  c1 V order 4-96 err
    i  o I order 5-20
    x  i L order 6-10 err etype=refused
    p1 o L order 22-42 err
    s1 p1 V payment 24-40 err
    p2 o L order 45-95 err etype=timeout
    s2 p2 V payment 47-130";

#[test]
fn roles_of_the_example() {
    let ran = run(TIMED_OUT);
    assert_eq!(
        roles(&ran),
        "g Propagated, c1 Propagated, o Propagated, i Absorbed, x PeerOrigin, p1 Propagated, \
         s1 Origin, p2 TimeoutOrigin, s2 -",
    );
    assert_eq!(ran.ids_with(|f| f.is_fatal), "g c1 o p1 s1 p2");
    assert_eq!(ran.trace.errors, 7);
}

#[test]
fn paths_of_the_example() {
    let ran = run(TIMED_OUT);
    assert_eq!(
        paths(&ran),
        ["g c1 o p2 fatal 100", "g c1 o p1 s1 fatal 20", "g c1 o i x 4"],
        "the walk from the root first, then what it passed by",
    );
    let edge = ran.kernel.facts()[7].edge.unwrap();
    assert_eq!((ran.text(edge.source), ran.text(edge.target)), ("order", "payment"));
}

#[test]
fn first_role_that_fits() {
    for (case, picture, expected) in [
        ("refused", "c - L a 0-9 err", "c PeerOrigin"),
        ("timed out, no server", "c - L a 0-9 err etype=timeout", "c PeerOrigin"),
        (
            "the server was well",
            "c - L a 0-9 err etype=timeout\nv c V b 1-8",
            "c TimeoutOrigin, v -",
        ),
        (
            "the server failed later",
            "c - L a 0-9 err rpc=DEADLINE_EXCEEDED\nv c V b 1-12 err",
            "c TimeoutOrigin, v Origin",
        ),
        (
            "the server failed before",
            "c - L a 0-9 err rpc=4\nv c V b 1-8 err",
            "c Propagated, v Origin",
        ),
        ("cancelled", "c - L a 0-9 err rpc=1\nv c V b 1-8", "c TimeoutOrigin, v -"),
        ("not a timeout", "c - L a 0-9 err etype=500\nv c V b 1-8", "c Origin, v -"),
        ("began too late", "c - L a 0-9 err etype=timeout\nv c V b 9-12", "c TimeoutOrigin, v -"),
        ("a producer", "c - P a 0-9 err", "c Origin"),
        ("not waited for", "p - P a 0-9 err\nk p C b 10-20 err", "p Origin, k Origin"),
        ("got over it", "a - V s 0-9\nb a I s 1-2 err", "a Absorbed, b Origin"),
        (
            "a wrapper is no call",
            "w - L a 0-9 err\n1 w L a 1-3 err\n2 w L a 4-8 err",
            "w Propagated, 1 PeerOrigin, 2 PeerOrigin",
        ),
        ("a wrapper by itself", "w - L a 0-9 err\n1 w L a 1-3", "w Origin, 1 -"),
    ] {
        assert_eq!(roles(&run(picture)), expected, "{case}");
    }
}

#[test]
fn paths_stop_and_begin() {
    for (case, picture, expected) in [
        ("none", "a - V s 0-9", vec![]),
        ("alone", "a - V s 0-9 err", vec!["a fatal 9"]),
        (
            "the last one",
            "a - V s 0-9 err\nb a I s 1-5 err\nc a I s 5-8 err",
            vec!["a c fatal 9", "a b fatal 4"],
        ),
        // Its server failed as well: the timeout is told first, the failure beside it.
        (
            "below a timeout",
            "c - L a 0-9 err etype=timeout\nv c V b 1-12 err",
            vec!["c fatal 9", "c v fatal 8"],
        ),
        ("transport", "w - L a 0-9 err db=pg\n1 w L a 1-3 err", vec!["w fatal 9"]),
        (
            "each segment for itself",
            "p - P a 0-9 err\nk p C b 10-15 err",
            vec!["p fatal 9", "k fatal 5"],
        ),
    ] {
        assert_eq!(paths(&run(picture)), expected, "{case}");
    }
}

#[test]
fn signatures_go_by_text() {
    let signature = |picture: &str| {
        let ran = run(picture);
        ran.kernel.error_paths(&ran.picture.spans)[0].signature
    };
    let base = "a - V s 0-9 err name=x\nb a L s 1-5 err name=y etype=t";
    let expected = signature(base);
    assert_eq!(
        signature("q - I zz 0-1\na - V s 0-7 err name=x\nc a L s 1-5 err name=y etype=t"),
        expected
    );
    for (from, to) in [("etype=t", "etype=u"), ("name=y", "name=z"), ("L s", "L q")] {
        assert_ne!(signature(&base.replace(from, to)), expected, "{to}");
    }
}

#[test]
fn incomplete_traces() {
    // Without the server's half the gap becomes external and the error one of the peer.
    let ran = run("c - L a 0-9 err addr=b\nv c V b 1-8 err");
    assert_eq!(roles(&ran), "c Propagated, v Origin");
    assert_eq!(ran.each(|f| format!("{:?}", f.category)), "c Gap, v Own");
    let ran = run("c - L a 0-9 err addr=b");
    assert_eq!(roles(&ran), "c PeerOrigin");
    assert_eq!(ran.each(|f| format!("{:?}", f.category)), "c External");
}
