//! Every screen in each of its states and in three sizes, compared with pictures.

use super::signals::{answer, hostile, nothing};
use super::{Canned, SIZES, Session, refused, size_name};
use crate::action::Place;

/// A screen: where one begins, the keys that lead there, the last of which opens it, and its name.
pub(super) type Screen = (Place, &'static str, &'static str, &'static str);

pub(super) const SCREENS: [Screen; 12] = [
    (Place::Services, "", "", "services"),
    (Place::Services, "", "enter", "service"),
    (Place::Map, "", "", "map"),
    (Place::Traces, "", "", "traces"),
    (Place::Services, "", "x", "trace"),
    (Place::Traces, "space j j space", "d", "compare"),
    (Place::Errors, "", "", "errors"),
    (Place::Logs, "", "", "logs"),
    (Place::Logs, "", "o", "log-patterns"),
    (Place::Metrics, "", "", "metrics"),
    (Place::Sql, "", "f5", "sql"),
    (Place::Ingest, "", "", "ingest"),
];

/// A state: its name, what is answered from then on, and how it comes about.
type State = (&'static str, Canned, fn(&mut Session));

const STATES: [State; 5] = [
    ("loading", |_| None, |session| session.wait(6_000)),
    ("empty", nothing, Session::settle),
    ("failed", |request| Some(refused(request)), Session::settle),
    ("hostile", hostile, Session::settle),
    ("stale", answer, grow_old),
];

fn grow_old(session: &mut Session) {
    session.settle();
    // In the editor of SQL, letters are text.
    let again = if session.crumbs() == "sql" { "f5" } else { "r" };
    session.press_unanswered(again);
    session.wait(2_500);
}

/// A screen whose own questions find such answers.
fn open((place, keys, last, _): Screen, size: (u16, u16), canned: Canned) -> Session {
    if last.is_empty() {
        return Session::at(place, size, "ansi", canned);
    }
    let mut session = Session::at(place, size, "ansi", answer);
    session.settle();
    session.press(keys);
    session.settle();
    session.become_online(canned);
    session.press_unanswered(last);
    session
}

#[test]
fn states_are_drawn() {
    for screen in SCREENS {
        for size in SIZES {
            for (state, canned, happens) in STATES {
                let mut session = open(screen, size, canned);
                happens(&mut session);
                session.check(&format!("{}/{state}-{}", screen.3, size_name(size)));
            }
        }
    }
}

#[test]
fn what_is_too_small_says_so() {
    for (place, name) in [(Place::Services, "services"), (Place::Traces, "traces")] {
        let mut session = Session::at(place, (39, 9), "ansi", answer);
        session.settle();
        session.check(&format!("{name}/small"));
    }
}
