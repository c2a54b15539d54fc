//! What lies over a view: closed, a stack of values and never flags, so that keys always go to what
//! is seen on top.

use ratatui::layout::Rect;

use crate::action::{Action, CopyAs};
use crate::app::App;
use crate::event::{Key, Now};
use crate::request::Outcome;
use crate::scope::{Compare, Range};
use crate::slot::{Outbox, Ticket};
use crate::widgets::Pen;

pub(crate) mod choice;
pub(crate) mod filter;
pub(crate) mod line;
pub(crate) mod palette;
pub(crate) mod time;
pub(crate) mod why;

use choice::Choice;
use filter::FilterLine;
use palette::Palette;
use time::TimePicker;
use why::Why;

/// One thing over the view.
#[derive(Debug)]
pub(crate) enum Overlay {
    /// Actions by words, or those of this view with their keys.
    Palette(Palette),
    /// One of a few, by a letter.
    Choice(Choice),
    /// The filter being edited.
    Filter(Box<FilterLine>),
    /// Range and comparison being chosen.
    Time(TimePicker),
    /// What the answers are built on.
    Why(Why),
}

/// What becomes of an overlay after a key.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// It stays.
    Stay,
    /// It is closed.
    Close,
    /// It is closed, and this is done.
    Do(Deed),
    /// It stays, and this is done.
    Act(Action),
}

/// What an overlay was for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    Act(Action),
    Filter(String),
    Scope(Range, Compare),
    Export(Form),
    /// Open what a text names.
    Open(String),
    /// Copy a text.
    Copy(String),
}

/// In which form rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Json,
    /// The statement's whole answer, encoded by the server.
    Arrow,
    /// Spans or log records, as their senders would send them.
    Otlp,
    /// The whole screen as a picture of text.
    Text,
    Svg,
}

impl Overlay {
    /// The forms in which rows can be written.
    pub(crate) fn export() -> Overlay {
        let row = |key, title: &str, form| (key, title.to_owned(), Deed::Export(form));
        Overlay::Choice(Choice::new(
            "Write to a file",
            vec![
                row('c', "rows as CSV", Form::Csv),
                row('j', "rows as JSON", Form::Json),
                row('a', "the whole answer as an Arrow stream", Form::Arrow),
                row('o', "spans or log records as OTLP", Form::Otlp),
                row('t', "this screen as text", Form::Text),
                row('v', "this screen as SVG", Form::Svg),
            ],
        ))
    }

    /// Texts that a screen offers to be copied, by a letter.
    pub(crate) fn texts(title: &'static str, texts: Vec<(char, &str, String)>) -> Overlay {
        let row =
            |(key, title, text): (char, &str, String)| (key, title.to_owned(), Deed::Copy(text));
        Overlay::Choice(Choice::new(title, texts.into_iter().map(row).collect()))
    }

    /// Views to go to.
    pub(crate) fn bookmarks(rows: Vec<(char, String, Deed)>) -> Overlay {
        Overlay::Choice(Choice::new("Bookmarks", rows))
    }

    /// What can be copied.
    pub(crate) fn copy() -> Overlay {
        let row = |key, title: &str, what| (key, title.to_owned(), Deed::Act(Action::Copy(what)));
        Overlay::Choice(Choice::new(
            "Copy",
            vec![
                row('y', "what is under the cursor", CopyAs::Cell),
                row('i', "trace id", CopyAs::TraceId),
                row('s', "span id", CopyAs::SpanId),
                row('j', "as JSON", CopyAs::Json),
                row('q', "the SQL of this view", CopyAs::Query),
                row('l', "a link to this view", CopyAs::Link),
                row('c', "the command that prints this", CopyAs::Command),
            ],
        ))
    }

    /// Takes a key.
    pub(crate) fn key(&mut self, key: Key, now: Now, out: &mut Outbox) -> Next {
        match self {
            Overlay::Palette(palette) => palette.key(key),
            Overlay::Choice(choice) => choice.key(key),
            Overlay::Filter(filter) => filter.key(key, now, out),
            Overlay::Time(time) => time.key(key, now),
            Overlay::Why(why) => why.key(key),
        }
    }

    /// Takes pasted text.
    pub(crate) fn paste(&mut self, text: &str, now: Now) {
        match self {
            Overlay::Palette(palette) => palette.paste(text),
            Overlay::Filter(filter) => filter.paste(text, now),
            Overlay::Time(time) => time.paste(text),
            Overlay::Choice(_) | Overlay::Why(_) => {}
        }
    }

    /// Draws it over everything else.
    pub(crate) fn draw(&self, app: &App, pen: &mut Pen<'_>) {
        match self {
            Overlay::Palette(palette) => palette.draw(pen),
            Overlay::Choice(choice) => choice.draw(pen),
            Overlay::Filter(filter) => filter.draw(app.now, pen),
            Overlay::Time(time) => time.draw(app.now, pen),
            Overlay::Why(why) => why.draw(app, pen),
        }
    }

    /// A row of it was clicked.
    pub(crate) fn click(&mut self, x: u16, y: u16, area: Rect) -> Next {
        match self {
            Overlay::Palette(palette) => palette.click(x, y, area),
            Overlay::Choice(choice) => choice.click(x, y, area),
            Overlay::Filter(_) | Overlay::Time(_) | Overlay::Why(_) => Next::Stay,
        }
    }

    /// Takes an answer if it waits for it.
    pub(crate) fn answer(&mut self, ticket: Ticket, outcome: &Outcome, now: Now) -> bool {
        match self {
            Overlay::Filter(filter) => filter.answer(ticket, outcome, now),
            _ => false,
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Outbox) {
        if let Overlay::Filter(filter) = self {
            filter.tick(now, out);
        }
    }

    /// When [`Overlay::tick`] has something to do.
    pub(crate) fn wake_at_ms(&self, now: Now) -> Option<u64> {
        match self {
            Overlay::Filter(filter) => filter.wake_at_ms(now),
            _ => None,
        }
    }

    /// Gives up what it asked.
    pub(crate) fn cancel(&mut self, out: &mut Outbox) {
        if let Overlay::Filter(filter) = self {
            filter.cancel(out);
        }
    }
}

/// An area in the middle of the screen, as large as wanted and possible.
pub(crate) fn middle(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect::new((area.width - width) / 2, (area.height - height) / 3, width, height)
}

/// The begin of a text, for a message.
pub(crate) fn start_of(text: &str) -> String {
    const SHOWN: usize = 48;
    let line = text.lines().next().unwrap_or("");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
