//! Sections 3 and 5 of the definitions: blocking children, segments, clipping, self time.

use super::picture::run;

/// Self time, critical time, overflow, and the first span of each one's segment.
#[track_caller]
fn check(picture: &str, own: &str, critical: &str, overflow: &str, segments: &str) {
    let ran = run(picture);
    assert_eq!(ran.each_ms(|f| f.self_ns), own, "self");
    assert_eq!(ran.each_ms(|f| f.critical_ns), critical, "critical");
    assert_eq!(ran.each_ms(|f| f.overflow_ns), overflow, "overflow");
    assert_eq!(ran.each(|f| ran.id_at(Some(f.segment)).to_owned()), segments, "segments");
}

#[test]
fn children_that_outlive_the_parent() {
    check(
        "P - I s 0-40\nA P I s 30-70\nG A I s 45-60\nN P I s 40-55",
        "P 30, A 25, G 15, N 15",
        "P 30, A 10, G 0, N 15",
        "P 0, A 30, G 15, N 0",
        "P P, A P, G P, N N",
    );
}

#[test]
fn children_that_begin_before_the_parent() {
    check(
        "P - I s 20-60\nA P I s 5-15\nB P I s 15-35",
        "P 25, A 10, B 20",
        "P 25, A 0, B 15",
        "P 0, A 10, B 5",
        "P P, A P, B P",
    );
}

#[test]
fn who_can_be_waited_for() {
    for (case, parent, child, is_blocking) in [
        ("an ordinary child", "I s 10-20", "I s 12-15", true),
        ("begins with the end", "I s 10-20", "I s 20-25", false),
        ("nothing at the end", "I s 10-20", "I s 20-20", true),
        ("begins later", "I s 10-20", "I s 21-25", false),
        ("nothing, later", "I s 10-20", "I s 21-21", false),
        ("in a span without length", "I s 10-10", "I s 10-15", false),
        ("outlives", "I s 10-20", "I s 19-95", true),
        ("before", "I s 10-20", "I s 1-5", true),
        ("a consumer below its producer", "P s 10-20", "C s 12-15", false),
        ("a consumer of another service", "I s 10-20", "C t 12-15", false),
        ("a consumer within one service", "I s 10-20", "C s 12-15", true),
        ("a server below a producer", "P s 10-20", "V t 12-15", true),
    ] {
        let ran = run(&format!("p - {parent}\nc p {child}"));
        let segments = ran.each(|f| ran.id_at(Some(f.segment)).to_owned());
        assert_eq!(segments, if is_blocking { "p p, c p" } else { "p p, c c" }, "{case}");
        assert_eq!(ran.trace.segments, u32::from(!is_blocking), "{case}");
    }
}

#[test]
fn orphans_and_second_roots_are_segments() {
    let ran = run("a - V s 0-9\nb - V s 1-5\nc gone I s 2-3\nd c I s 2-3");
    assert_eq!(ran.each(|f| ran.id_at(Some(f.segment)).to_owned()), "a a, b b, c c, d c");
    assert_eq!(ran.ids_with(|f| f.is_main), "a");
    assert_eq!(ran.trace.segments, 2);
}

#[test]
fn self_time() {
    for (case, picture, expected) in [
        ("touching", "p - I s 0-10\na p I s 2-5\nb p I s 5-7", "p 5, a 3, b 2"),
        ("side by side", "p - I s 0-10\na p I s 2-6\nb p I s 4-8", "p 4, a 4, b 4"),
        ("one within the other", "p - I s 0-10\na p I s 2-8\nb p I s 3-4", "p 4, a 6, b 1"),
        ("equal to the parent", "p - I s 0-10\na p I s 0-10", "p 0, a 10"),
        ("no length", "p - I s 0-10\na p I s 5-5", "p 10, a 0"),
        ("begins at 0", "p - I s 0-10\na p I s 0-4", "p 6, a 4"),
        ("before 1970", "p - I s -10-0\na p I s -7--2", "p 5, a 5"),
    ] {
        assert_eq!(run(picture).each_ms(|f| f.self_ns), expected, "{case}");
    }
}
