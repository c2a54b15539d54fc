//! Keys and pictures of comparisons.

use crate::action::Place;
use crate::testing::signals::session;

#[test]
fn two_marked_traces_are_compared() {
    for (size, look, name) in [
        ((80, 24), "ansi", "80x24"),
        ((120, 40), "ansi", "120x40"),
        ((200, 60), "ansi", "200x60"),
        ((80, 24), "mono", "80x24-mono"),
        ((80, 24), "ascii", "80x24-ascii"),
    ] {
        let mut s = session(Place::Traces, size, look);
        s.press("space j j space d");
        s.settle();
        assert!(s.crumbs().starts_with("traces > "), "{}", s.crumbs());
        s.check(&format!("compare/{name}"));
    }
}

#[test]
fn the_cursor_begins_at_the_largest_difference() {
    let mut s = session(Place::Traces, (120, 40), "ansi");
    s.press("space j j space d");
    let text = s.text();
    let cursor = text.lines().find(|l| l.contains('▌')).unwrap_or_default().to_owned();
    assert!(cursor.contains("payment Charge") && cursor.contains("+655 ms"), "{text}");
    assert!(text.contains("added") && text.contains("removed"), "{text}");
    assert!(text.contains("+1.39 s in all"), "{text}");
    // Sorted by size, the cursor stands there too.
    s.press("v");
    let text = s.text();
    let rows: Vec<&str> = text.lines().filter(|l| l.contains(" ms")).collect();
    assert!(rows.iter().any(|l| l.contains("payment Charge")), "{text}");
}
