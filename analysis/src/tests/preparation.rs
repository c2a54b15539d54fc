//! Section 2 of the definitions: duplicates, parents, cycles, the root.

use super::picture::{Ran, run};

/// `id parent`, in order of the picture.
fn parents(ran: &Ran) -> String {
    ran.each(|f| ran.id_at(f.parent).to_owned())
}

#[track_caller]
fn check(picture: &str, parents_expected: &str, root: &str, counts: [u32; 4]) {
    let ran = run(picture);
    assert_eq!(parents(&ran), parents_expected);
    assert_eq!(ran.id_at(ran.trace.root), root, "root");
    let trace = ran.trace;
    let actual = [trace.spans, trace.duplicates, trace.orphans, trace.cycles];
    assert_eq!(actual, counts, "spans, duplicates, orphans, cycles");
    assert_eq!(ran.ids_with(|f| f.is_orphan).split_whitespace().count() as u32, trace.orphans);
}

#[test]
fn duplicates() {
    for (case, picture, expected) in [
        ("the longest", "x - I s 10-20\nx - I t 10-28\nx - I t 10-28", "x out, x 18 t, x out"),
        ("then the earliest", "x - I s 11-21\nx - I t 10-20", "x out, x 10 t"),
        ("then the smaller hash", "x - I s 1-2 hash=9\nx - I t 1-2 hash=3", "x out, x 1 t"),
        ("kinds are kept apart", "x - I s 10-20\nx - P s 10-20", "x 10 s, x 10 topic"),
    ] {
        let ran = run(picture);
        let shown = ran.each(|f| {
            if f.is_duplicate {
                return "out".to_owned();
            }
            format!("{} {}", super::picture::ms(f.self_ns), ran.text(f.charged_to))
        });
        assert_eq!(shown, expected, "{case}");
    }
}

#[test]
fn the_same_row_again_loses_nothing_but_another_row_does() {
    for (picture, expected) in [
        ("x - V s 10-20 hash=1\nx - V s 10-20 hash=1", true),
        ("x - V s 10-20 hash=1\nx - V s 10-20 hash=2", false),
        ("x - V s 10-20 hash=1\nx - V s 10-21 hash=1", false),
        ("x - V s 10-20\ny x I s 11-12", true),
        ("x - V s 10-20\ny z I s 11-12", false),
        ("x z V s 10-20", false),
    ] {
        assert_eq!(run(picture).trace.is_whole, expected, "{picture}");
    }
}

#[test]
fn parents_and_orphans() {
    check("a - V s 0-9\nb a I s 1-2\nc b I s 1-2", "a -, b a, c b", "a", [3, 0, 0, 0]);
    check("b gone I s 1-2\nc b I s 1-2", "b -, c b", "b", [2, 0, 1, 0]);
    check("a a I s 1-2", "a -", "a", [1, 0, 1, 0]);
}

/// Zipkin gives both sides of a call one id.
#[test]
fn shared_ids() {
    let ran = run("
        r - V front 0-90
        x r L front 1-80
        x r V back  2-70
        f x I front 1-2
        i x I back  3-60
        y x V third 4-9");
    assert_eq!(ran.each(|f| f.parent.map_or(-1, i64::from).to_string()), {
        "r -1, x 0, x 1, f 1, i 2, y 2"
    });
    assert_eq!(ran.trace.duplicates, 0);
    assert_eq!(ran.edges().lines().nth(1), Some("front→back Call client 79 server 68 gap 11"));
}

#[test]
fn cycles_are_cut_at_the_earliest() {
    check("a c I s 5-9\nb a I s 6-9\nc b I s 7-9", "a -, b a, c b", "a", [3, 0, 1, 1]);
    check("b c I s 5-9\na b I s 5-9\nc a I s 5-9", "b c, a -, c a", "a", [3, 0, 1, 1]);
    // Beside a tree, with a tail that leads into the cycle.
    check(
        "r - V s 0-9\na b I s 5-9\nb a I s 6-9\nt b I s 7-8",
        "r -, a -, b a, t b",
        "r",
        [4, 0, 1, 1],
    );
}

#[test]
fn the_root() {
    for (picture, root) in [
        ("b - I s 2-3\na - I s 1-3", "a"),
        ("b - I s 1-3\na - I s 1-4", "a"),
        ("b - I s 1-3\na - I s 1-3", "a"),
        ("a gone I s 0-9\nb - I s 1-3", "b"),
        ("a gone I s 2-9\nb gone I s 1-3", "b"),
    ] {
        let ran = run(picture);
        assert_eq!(ran.id_at(ran.trace.root), root, "{picture}");
    }
}

#[test]
fn nothing_is_a_trace_too() {
    let mut ran = run("");
    assert_eq!(ran.trace, crate::TraceFacts::default());
    assert_eq!(ran.path(), "");
    assert!(ran.kernel.end_to_end(&[]).is_empty());
    assert!(ran.kernel.error_paths(&[]).is_empty());
}
