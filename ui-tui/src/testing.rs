//! How the explorer is tested: keys in, effects and pictures out, without terminal, server or clock.
//!
//! A [`Session`] drives [`update`] and answers what is asked from canned answers, which go through the
//! same reading as those of a server. Pictures are compared with files in `golden/`; `UPDATE=1` writes
//! them anew.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::path::Path;

use api::client::ClientError;
use api::sql::Problem;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::action::{Action, Place};
use crate::app::{App, Appearance, frame, update};
use crate::effect::Effect;
use crate::event::{Event, Key, Now};
use crate::request::{Outcome, Request};
use crate::scope::Scope;
use crate::screens;
use crate::slot::Ticket;
use crate::theme::{Depth, Glyphs, ThemeName};
use crate::widgets::tests::{glyphs, styles};

mod actions;
mod documents;
pub(crate) mod incident;
mod properties;
mod pty;
mod screens_golden;
pub(crate) mod signals;
mod states;

/// 2026-11-22 15:59:46 UTC.
pub(crate) const NOW_NS: i64 = 1_795_363_186_000_000_000;

/// The sizes of the pictures.
pub(crate) const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// A size in the name of a picture.
fn size_name((width, height): (u16, u16)) -> String {
    format!("{width}x{height}")
}

/// What is answered to a request.
pub(crate) type Canned = fn(&Request) -> Option<Outcome>;

/// An explorer with the keys pressed so far.
pub(crate) struct Session {
    pub(crate) app: App,
    now: Now,
    canned: Canned,
    /// Asked and not answered yet.
    pub(crate) asked: VecDeque<(Ticket, Request)>,
    /// Every request asked since the last look, in short form.
    pub(crate) log: Vec<String>,
    /// Effects besides questions.
    pub(crate) done: Vec<Effect>,
}

/// Looks of a terminal, by name.
pub(crate) fn appearance(look: &str) -> Appearance {
    match look {
        "rich" => Appearance::new(ThemeName::Dark, Depth::TrueColor, Glyphs::default()),
        "ansi" => Appearance::new(ThemeName::Ansi, Depth::Ansi16, Glyphs::default()),
        "mono" => Appearance::new(ThemeName::Mono, Depth::None, Glyphs::default()),
        "ascii" => Appearance::new(ThemeName::Mono, Depth::None, Glyphs::ASCII),
        other => panic!("no look {other}"),
    }
}

impl Session {
    /// An explorer at a place, in a terminal of that size.
    pub(crate) fn at(place: Place, size: (u16, u16), look: &str, canned: Canned) -> Session {
        let now = Now { mono_ms: 0, unix_ns: NOW_NS };
        let screen = screens::root(place);
        let app = App::new(appearance(look), screen, place, Scope::default(), now);
        let mut session =
            Session { app, now, canned, asked: VecDeque::new(), log: Vec::new(), done: Vec::new() };
        session.event(Event::Resize { width: size.0, height: size.1 });
        session
    }

    /// The incident of the specification, all questions answered.
    pub(crate) fn incident(place: Place, size: (u16, u16)) -> Session {
        let mut session = Session::at(place, size, "ansi", incident::answer);
        session.settle();
        session
    }

    /// Lets something happen; what is asked waits for [`Session::answer_all`].
    pub(crate) fn event(&mut self, event: Event) {
        for effect in update(&mut self.app, self.now, event) {
            match effect {
                Effect::Ask { ticket, request, .. } => {
                    self.log.push(short(&request));
                    self.asked.push_back((ticket, request));
                }
                Effect::Cancel(ticket) => self.asked.retain(|(asked, _)| *asked != ticket),
                other => self.done.push(other),
            }
        }
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.unix_ns += i64::try_from(ms).unwrap() * 1_000_000;
        self.event(Event::Tick);
    }

    /// Answers what is asked, and what is asked then, until nothing is.
    pub(crate) fn answer_all(&mut self) {
        for _ in 0..100 {
            let Some((ticket, request)) = self.asked.pop_front() else { return };
            self.now.mono_ms += 40;
            let outcome = (self.canned)(&request).unwrap_or_else(|| refused(&request));
            self.event(Event::Answer(ticket, outcome));
        }
        panic!("questions without end: {:?}", self.log);
    }

    /// Answers, lets the cursor rest, and answers what is asked for then.
    pub(crate) fn settle(&mut self) {
        self.answer_all();
        self.wait(200);
        self.answer_all();
        self.log.clear();
    }

    /// Presses keys, separated by spaces, and answers after each.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.split(' ').filter(|key| !key.is_empty()) {
            let key = Key::parse(key).unwrap_or_else(|| panic!("no key {key}"));
            self.event(Event::Key(key));
            self.answer_all();
        }
    }

    /// Lets an action happen, as the palette does, and answers.
    pub(crate) fn act(&mut self, action: Action) {
        self.app.act(action);
        self.event(Event::Focus(true));
        self.answer_all();
    }

    /// Presses one key and leaves open what is asked.
    pub(crate) fn press_unanswered(&mut self, key: &str) {
        self.event(Event::Key(Key::parse(key).unwrap()));
    }

    /// From now on answers come from elsewhere.
    pub(crate) fn become_online(&mut self, canned: Canned) {
        self.canned = canned;
    }

    /// Types text as keys.
    pub(crate) fn type_text(&mut self, text: &str) {
        for c in text.chars() {
            self.event(Event::Key(
                Key::parse(&c.to_string()).unwrap_or_else(|| Key::parse("space").unwrap()),
            ));
        }
    }

    /// The screen as it would be drawn.
    pub(crate) fn drawn(&self) -> Buffer {
        let (width, height) = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| frame::render(&self.app, frame)).unwrap();
        terminal.backend().buffer().clone()
    }

    /// The glyphs of the screen.
    pub(crate) fn text(&self) -> String {
        glyphs(&self.drawn())
    }

    /// Where one is: the breadcrumb.
    pub(crate) fn crumbs(&self) -> String {
        self.app.crumbs().collect::<Vec<_>>().join(" > ")
    }

    /// Compares glyphs and styles with a file.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) {
        let buffer = self.drawn();
        check_golden(name, &format!("{}\n--\n{}\n", glyphs(&buffer), styles(&buffer)));
    }
}

/// `GET` path without ids of time, so that logs read well.
fn short(request: &Request) -> String {
    let path = request.call.path.split('?').next().unwrap_or("");
    path.trim_start_matches("/api/v1/").to_owned()
}

/// As a server refuses.
pub(crate) fn refused(request: &Request) -> Outcome {
    Err(ClientError::Refused(Problem {
        code: "test".into(),
        status: 400,
        message: format!("nothing is canned for {}", short(request)),
        ..Problem::default()
    }))
}

/// Compares a text with `golden/<name>.txt`, or writes it there when `UPDATE` is set.
#[track_caller]
pub(crate) fn check_golden(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        return std::fs::write(&file, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    if expected != actual {
        panic!("{} differs; UPDATE=1 writes it anew. Now:\n{actual}", file.display());
    }
}
