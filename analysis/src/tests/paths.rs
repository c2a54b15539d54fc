//! Section 7 of the definitions: the critical path and the way through messages.

use super::picture::{ms, run, run_strict};

#[track_caller]
fn check(picture: &str, strict: &str, tolerant: &str) {
    for (mut ran, expected) in [(run_strict(picture), strict), (run(picture), tolerant)] {
        assert_eq!(ran.path(), expected, "{picture}");
    }
}

#[test]
fn edge_cases() {
    let touching = "P 0-5, A 5-40, B 40-75, C 75-90";
    check("P - I s 0-90\nA P I s 5-40\nB P I s 40-75\nC P I s 75-90", touching, touching);
    let ties = "P 0-20, Y 20-30, P 30-50";
    check("P - I s 0-50\nX P I s 10-30\nY P I s 20-30\nZ P I s 30-30", ties, ties);
    check(
        "P - I s 0-1000\nA P L s 100-500\nS A V t 103-498\nB P I s 494-900",
        "P 0-494, B 494-900, P 900-1000",
        "P 0-100, A 100-103, S 103-494, B 494-900, P 900-1000",
    );
    let waits_not = "P 0-30, B 30-60";
    check("P - I s 0-60\nA P I s 10-50\nB P I s 30-60", waits_not, waits_not);
    // A span without length parts nothing.
    check("P - I s 0-50\nZ P I s 30-30\nY Z I s 30-30", "P 0-50", "P 0-50");
    check("P - I s 7-7", "", "");
    check("P - I s 20-60\nZ P I s 5-5", "P 0-40", "P 0-40");
}

#[test]
fn path_time_may_be_more_than_self_time() {
    let ran = run("P - I s 0-60\nA P I s 10-50\nB P I s 30-60");
    assert_eq!(ran.each_ms(|f| f.critical_ns), "P 30, A 0, B 30");
    assert_eq!(ran.each_ms(|f| f.self_ns), "P 10, A 40, B 30");
}

#[test]
fn ties_go_to_the_smaller_id() {
    for picture in
        ["P - I s 0-9\nB P I s 2-5\nA P I s 2-5", "P - I s 0-9\nA P I s 2-5\nB P I s 2-5"]
    {
        check(picture, "P 0-2, A 2-5, P 5-9", "P 0-2, A 2-5, P 5-9");
    }
}

#[test]
fn deep_chain() {
    let n = 50;
    let lines: Vec<String> = (0..n)
        .map(|i| {
            let parent = if i == 0 { "-".into() } else { format!("{:03}", i - 1) };
            format!("{i:03} {parent} I s {i}-{}", 2 * n - i)
        })
        .collect();
    let ran = run_strict(&lines.join("\n"));
    assert!(ran.kernel.facts().iter().all(|f| ms(f.critical_ns) == "2"));
}

#[test]
fn segments_follow_by_start() {
    let mut ran = run("P - P s 0-10\nZ P C t 30-40\nA P C t 20-25\nO gone I s 5-6");
    assert_eq!(ran.path(), "P 0-10 | O 0-1 | A 0-5 | Z 0-10");
}

/// The way back from the segment that ended last.
#[track_caller]
fn check_way(picture: &str, expected: &str) {
    let mut ran = run(picture);
    let pieces = ran.kernel.end_to_end(&ran.picture.spans);
    assert_eq!(ran.show(&pieces), expected, "{picture}");
}

#[test]
fn way_through_messages() {
    // By link only.
    check_way(
        "a - V s 0-50\nq a P s 20-30\nk - C t 60-80 link=q",
        "a 0-20, q 20-30 | queue k 30-60, k 60-80",
    );
    // Over two messages.
    check_way(
        "a - V s 0-50\nq a P s 20-30\nk q C t 40-60\nr k P t 50-55\nm r C u 70-90",
        "a 0-20, q 20-30 | queue k 30-40, k 40-50, r 50-55 | queue m 55-70, m 70-90",
    );
    // What ran before the message was sent counts, what ran beside it does not.
    check_way(
        "a - V s 0-50\nb a I s 5-15\nc a I s 10-45\nq a P s 20-30\nk q C t 40-60",
        "a 0-5, b 5-15, a 15-20, q 20-30 | queue k 30-40, k 40-60",
    );
    // Taken before it was sent, by the clocks: no wait.
    check_way("a - V s 0-50\nq a P s 20-30\nk q C t 28-60", "a 0-20, q 20-30 | k 30-62");
    // Sent after its parent had ended: the message's own segment, then no more.
    check_way("a - V s 0-5\nq a P s 20-30\nk q C t 40-60", "q 0-10 | queue k 10-20, k 20-40");
    // Of a batch the message that was sent last.
    check_way(
        "a - V s 0-50\np a P s 5-10\nq a P s 20-30\nk - C t 40-60 link=p link=q",
        "a 0-5, p 5-10, a 10-20, q 20-30 | queue k 30-40, k 40-60",
    );
    // Without a message the path of the segment.
    check_way("a - V s 0-50\nb a I s 20-30", "a 0-20, b 20-30, a 30-50");
    // Two consumers that wait for each other.
    check_way(
        "k - C s 0-10 link=r\nq k P s 2-4\nm - C t 20-30 link=q\nr m P t 22-24",
        "k 0-2, q 2-4 | queue m 4-20, m 20-22, r 22-24, m 24-30",
    );
}

#[test]
fn way_from_another_segment() {
    let mut ran = run("a - V s 0-50\nq a P s 20-30\nk q C t 40-60\nm q C u 50-90\nd m I u 60-70");
    for (from, expected) in [
        (0, "a 0-20, q 20-30, a 30-50"),
        (2, "a 0-20, q 20-30 | queue k 30-40, k 40-60"),
        (4, "a 0-20, q 20-30 | queue m 30-50, m 50-60, d 60-70, m 70-90"),
    ] {
        let pieces = ran.kernel.end_to_end_from(from, &ran.picture.spans);
        assert_eq!(ran.show(&pieces), expected);
    }
}
