//! The table of updates: what every action does on every screen, as it stands when it opens.
//!
//! A line says where one is afterwards, what is asked, what is wanted of the outside, what lies over the
//! screen, what is said; or that only the picture is another one, or nothing happens.

use std::fmt::Write as _;

use super::signals::answer;
use super::states::{SCREENS, Screen};
use super::{SIZES, Session, check_golden};
use crate::action::{self, Action, Entry};
use crate::effect::Effect;

/// Actions of a screen's own that do nothing where it opens, with the reason.
const IDLE: [(&str, &str); 0] = [];

fn opened((place, keys, last, _): Screen) -> Session {
    let mut session = Session::at(place, SIZES[1], "ansi", answer);
    session.settle();
    session.press(keys);
    session.press(last);
    session.settle();
    session.done.clear();
    session
}

fn word(effect: &Effect) -> String {
    match effect {
        Effect::Copy(_) => "copies".to_owned(),
        Effect::Write { name, .. } | Effect::Download { name, .. } => format!("writes {name}"),
        Effect::Edit(_) => "opens the editor".to_owned(),
        Effect::Keep(_) => "keeps".to_owned(),
        Effect::Mouse(on) => format!("mouse {on}"),
        Effect::Suspend => "suspends".to_owned(),
        Effect::Quit => "quits".to_owned(),
        Effect::Ask { .. } | Effect::Cancel(_) => unreachable!("the session takes questions"),
    }
}

/// What an action does, in words.
fn outcome(screen: Screen, action: Action) -> String {
    let mut session = opened(screen);
    let (picture, crumbs) = (session.drawn(), session.crumbs());
    session.act(action);
    let mut said = Vec::new();
    if session.crumbs() != crumbs {
        said.push(format!("to {}", session.crumbs()));
    }
    if !session.log.is_empty() {
        said.push(format!("asks {}", session.log.join(" ")));
    }
    said.extend(session.done.iter().map(word));
    if !session.app.overlays.is_empty() {
        said.push("opens something over it".to_owned());
    }
    if let Some(note) = session.app.note() {
        said.push(format!("says: {note}"));
    }
    if said.is_empty() && session.drawn() != picture {
        said.push("is drawn anew".to_owned());
    }
    if said.is_empty() { "nothing".to_owned() } else { said.join("; ") }
}

fn line(entry: &Entry, outcome: &str) -> String {
    let key = if entry.key().is_empty() { "-" } else { entry.key() };
    format!("{key:<10} {:<22} {outcome}", format!("{:?}", entry.action))
}

#[test]
fn every_action_does_what_the_table_says() {
    let mut table = String::new();
    let mut idle = Vec::new();
    for screen in SCREENS {
        let layer = opened(screen).app.top().screen.layer();
        // Writing into a String cannot fail.
        let _ = writeln!(table, "\n{}", screen.3);
        for entry in action::holding(layer) {
            let outcome = outcome(screen, entry.action);
            let is_idle = outcome == "nothing" || outcome.contains("nothing to do with that here");
            if is_idle && entry.layer == layer {
                idle.push((screen.3, entry.title));
            }
            let _ = writeln!(table, "{}", line(entry, &outcome));
        }
    }
    assert_eq!(idle, IDLE, "a screen's own action that does nothing");
    check_golden("actions", &table);
}
