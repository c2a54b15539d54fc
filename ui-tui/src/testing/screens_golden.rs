//! Every screen in three sizes, compared with pictures.

use super::{SIZES, Session, incident, size_name};
use crate::action::Place;

/// A place, the keys pressed there, and the name of its pictures.
const SCREENS: [(Place, &str, &str); 8] = [
    (Place::Services, "", "services"),
    (Place::Services, "enter", "service"),
    (Place::Traces, "", "traces"),
    (Place::Services, "x", "trace"),
    (Place::Services, "x v", "flame"),
    (Place::Sql, "f5", "sql"),
    (Place::Services, "i", "why"),
    (Place::Services, "?", "help"),
];

#[test]
fn screens_look_as_they_did() {
    for (place, keys, name) in SCREENS {
        for size in SIZES {
            let mut session = Session::incident(place, size);
            session.press(keys);
            session.settle();
            session.check(&format!("{name}/{}", size_name(size)));
        }
    }
}

#[test]
fn screens_look_right_without_colour_and_in_ascii() {
    for (place, keys, name) in SCREENS {
        for look in ["mono", "ascii", "rich"] {
            let mut session = Session::at(place, (80, 24), look, incident::answer);
            session.settle();
            session.press(keys);
            session.settle();
            session.check(&format!("{name}/80x24-{look}"));
        }
    }
}

#[test]
fn an_error_differs_from_a_good_row_without_colour() {
    let mut session = Session::at(Place::Services, (80, 24), "mono", incident::answer);
    session.settle();
    let text = session.text();
    let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(line("checkout").contains("x checkout"), "{text}");
    assert!(line("cart").contains("  cart"), "{text}");
}
