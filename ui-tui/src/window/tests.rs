//! The cursor stays on the screen, in range, and on its row.

use proptest::prelude::*;

use super::*;

#[test]
fn the_cursor_scrolls_only_at_the_edge() {
    let mut list = List::default();
    let mut seen = Vec::new();
    for action in [Action::Down, Action::Down, Action::Down, Action::Up, Action::Up, Action::Up] {
        list.act(action, 10, 3);
        seen.push((list.at, list.window(10, 3)));
    }
    assert_eq!(seen, [(1, 0..3), (2, 0..3), (3, 1..4), (2, 1..4), (1, 1..4), (0, 0..3)]);
    list.act(Action::Bottom, 10, 3);
    assert_eq!(list.window(10, 3), 7..10);
}

#[test]
fn the_cursor_follows_its_row() {
    let mut list = List::default();
    list.to(1, 3, 10);
    list.hold("b");
    list.find(["x", "y", "b", "c"].into_iter());
    assert_eq!(list.at(4), Some(2));
    list.find(["x", "y"].into_iter());
    assert_eq!(list.at(2), Some(1));
    assert_eq!(list.at(0), None);
}

#[test]
fn the_next_one_goes_round() {
    let errors = [false, true, false, true];
    let next = |from, forward| next_where(from, 4, forward, |at| errors[at]);
    assert_eq!((next(1, true), next(3, true), next(1, false)), (Some(3), Some(1), Some(3)));
    assert_eq!(next_where(0, 0, true, |_| true), None);
}

proptest! {
    #[test]
    fn the_window_holds_the_cursor(
        moves in prop::collection::vec((0usize..9, 0usize..40, 0usize..20), 1..60)
    ) {
        const ALL: [Action; 8] = [
            Action::Up, Action::Down, Action::Top, Action::Bottom,
            Action::HalfDown, Action::HalfUp, Action::PageDown, Action::PageUp,
        ];
        let mut list = List::default();
        for (action, len, height) in moves {
            match ALL.get(action) {
                Some(action) => { list.act(*action, len, height); }
                None => { list.click(7, len, height); }
            }
            let window = list.window(len, height);
            prop_assert!(window.len() <= height && window.end <= len);
            if let Some(at) = list.at(len).filter(|_| height > 0) {
                prop_assert!(window.contains(&at), "{at} in {window:?}");
            }
        }
    }
}
