//! Every screen in three sizes and in its states, compared with pictures.

use super::{Session, incident, refused};
use crate::action::Place;
use crate::event::Event;
use crate::request::Request;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

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

fn size_name((width, height): (u16, u16)) -> String {
    format!("{width}x{height}")
}

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

fn never(_: &Request) -> Option<crate::request::Outcome> {
    None
}

#[test]
fn states_are_drawn() {
    for (place, name) in [(Place::Services, "services"), (Place::Traces, "traces")] {
        let size = (80, 24);
        let mut loading = Session::at(place, size, "ansi", never);
        loading.wait(6_000);
        loading.check(&format!("{name}/loading"));

        let mut empty = Session::at(place, size, "ansi", incident::nothing);
        empty.settle();
        empty.check(&format!("{name}/empty"));

        let mut failed = Session::at(place, size, "ansi", |request| Some(refused(request)));
        failed.settle();
        failed.check(&format!("{name}/failed"));

        let mut stale = Session::incident(place, size);
        stale.press_unanswered("r");
        stale.wait(2_500);
        stale.check(&format!("{name}/stale"));

        let mut hostile = Session::at(place, size, "ansi", incident::hostile);
        hostile.settle();
        hostile.check(&format!("{name}/hostile"));

        let mut small = Session::incident(place, (39, 9));
        small.event(Event::Resize { width: 39, height: 9 });
        small.check(&format!("{name}/small"));
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
