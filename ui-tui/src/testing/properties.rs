//! What must hold whatever is pressed and however answers come.

use api::client::ClientError;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use ratatui::crossterm::event::KeyCode;

use super::{Session, incident};
use crate::action::{ACTIONS, Place};
use crate::event::{Event, Gesture, Key, Mouse};
use crate::request::Request;

fn keys() -> Vec<Key> {
    let named = ACTIONS.iter().flat_map(|entry| entry.keys.split(' ')).filter_map(Key::parse);
    let typed =
        "abc0 =~().*\"'".chars().map(|c| Key { code: KeyCode::Char(c), ctrl: false, alt: false });
    named.chain(typed).collect()
}

fn random_event(rng: &mut StdRng, keys: &[Key]) -> Event {
    match rng.random_range(0..100) {
        0..70 => Event::Key(keys[rng.random_range(0..keys.len())]),
        70..80 => Event::Mouse(Mouse {
            x: rng.random_range(0..320),
            y: rng.random_range(0..110),
            did: match rng.random_range(0..5) {
                0 => Gesture::Press,
                1 => Gesture::Drag,
                2 => Gesture::Release,
                3 => Gesture::Menu,
                _ => Gesture::Wheel { steps: rng.random_range(-5..5), ctrl: rng.random() },
            },
        }),
        80..86 => {
            Event::Resize { width: rng.random_range(1..300), height: rng.random_range(1..100) }
        }
        86..88 => Event::Paste("service=\u{1b}[31m\n\u{202e}x".repeat(rng.random_range(1..50))),
        88..90 => Event::Focus(rng.random()),
        _ => Event::Tick,
    }
}

/// Answers in any order, twice, with errors, and to tickets that are long gone.
fn answer_somehow(session: &mut Session, rng: &mut StdRng) {
    if session.asked.is_empty() {
        return;
    }
    let at = rng.random_range(0..session.asked.len());
    let (ticket, request) = session.asked[at].clone();
    let outcome = match rng.random_range(0..8) {
        0 => Err(ClientError::Unreachable { url: "http://x".into(), cause: "refused".into() }),
        1 => Err(ClientError::Garbled("half of it".into())),
        2 => incident::hostile(&request).unwrap_or(Err(ClientError::Garbled("no".into()))),
        3 => incident::nothing(&request).unwrap_or(Err(ClientError::Garbled("no".into()))),
        _ => incident::answer(&request).unwrap_or(Err(ClientError::Garbled("no".into()))),
    };
    if rng.random_range(0..4) > 0 {
        session.asked.remove(at);
    }
    session.event(Event::Answer(ticket, outcome));
}

fn check_laws(session: &Session) {
    assert!(session.app.depth() <= 24, "the stack is bounded");
    assert!(session.app.overlays.len() <= 8, "overlays are bounded");
    let mut tickets: Vec<_> = session.app.top().slots.iter().filter_map(|s| s.ticket()).collect();
    let len = tickets.len();
    tickets.sort();
    tickets.dedup();
    assert_eq!(tickets.len(), len, "a ticket belongs to one slot");
    assert!(session.app.top().focus < session.app.top().screen.layout(session.app.body()).len());
}

#[test]
fn whatever_is_pressed_nothing_breaks() {
    const SEEDS: u64 = 10;
    const STEPS: usize = 1_000;
    let keys = keys();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut session = Session::at(Place::Services, (80, 24), "ansi", |_| None);
        for step in 0..STEPS {
            session.event(random_event(&mut rng, &keys));
            if rng.random_range(0..3) > 0 {
                answer_somehow(&mut session, &mut rng);
            }
            if rng.random_range(0..10) == 0 {
                session.wait(rng.random_range(1..40_000));
            }
            check_laws(&session);
            if step % 20 == 0 {
                session.drawn();
            }
        }
    }
}

#[test]
fn every_size_is_drawn() {
    for (place, keys) in [
        (Place::Services, ""),
        (Place::Services, "enter"),
        (Place::Services, "x"),
        (Place::Services, "x v"),
        (Place::Traces, ""),
        (Place::Sql, "f5"),
        (Place::Services, "?"),
        (Place::Services, "/"),
        (Place::Services, "t"),
        (Place::Services, "y"),
        (Place::Services, "i"),
    ] {
        let mut session = Session::incident(place, (80, 24));
        session.press(keys);
        for width in [1, 2, 3, 10, 39, 40, 41, 57, 79, 110, 300] {
            for height in [1, 2, 9, 10, 11, 15, 16, 17, 23, 100] {
                session.event(Event::Resize { width, height });
                session.drawn();
            }
        }
    }
}

fn never(_: &Request) -> Option<crate::request::Outcome> {
    None
}

/// A source that never answers: each key is a frame, and Ctrl-C twice ends it.
#[test]
fn nothing_waits_for_an_answer() {
    let mut session = Session::at(Place::Services, (120, 40), "ansi", never);
    let walk = "j enter tab j x esc 3 j s enter e tab esc / a esc t esc 6 esc 1 d v k";
    let mut keys = 0;
    while keys < 200 {
        for key in walk.split(' ') {
            session.event(Event::Key(Key::parse(key).unwrap()));
            session.app.take_dirty();
            session.drawn();
            keys += 1;
        }
    }
    session.press_unanswered("ctrl-c");
    assert!(session.done.is_empty());
    session.press_unanswered("ctrl-c");
    assert_eq!(session.done.last(), Some(&crate::effect::Effect::Quit));
}

/// Once all is answered and nothing moves, nothing is drawn and no timer runs.
#[test]
fn an_idle_explorer_rests() {
    let mut session = Session::incident(Place::Services, (80, 24));
    session.press("p");
    session.wait(10_000);
    session.app.take_dirty();
    assert_eq!(session.app.wake_at_ms(), None);
    session.event(Event::Key(Key::parse("ctrl-x").unwrap()));
    assert!(!session.app.is_dirty(), "a key that means nothing draws nothing");
    session.event(Event::Mouse(Mouse { x: 5, y: 5, did: Gesture::Drag }));
    assert!(!session.app.is_dirty());
}
