//! The screens: what each must be able to do, and how they are opened.
//!
//! A screen has its own state and none of the rest: the [`View`] around it holds scope, slots and
//! focus. It changes in `load`, `told`, `act` and their like, and only reads in `draw`.

use std::fmt;
use std::sync::Arc;

use api::views::Basis;
use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use crate::action::{Action, Layer, Place};
use crate::app::Appearance;
use crate::event::{Key, Now};
use crate::kept::{Change, Kept};
use crate::overlay::{Overlay, filter};
use crate::pane::{self, Frame};
use crate::request::Request;
use crate::scope::{Fixed, Scope};
use crate::slot::{Outbox, Slot, State};
use crate::theme::Theme;
use crate::widgets::Pen;
use crate::widgets::table::{self, Column};

pub(crate) mod compare;
pub(crate) mod errors;
pub(crate) mod heat;
pub(crate) mod ingest;
pub(crate) mod logs;
pub(crate) mod map;
pub(crate) mod metrics;
pub(crate) mod service;
pub(crate) mod services;
pub(crate) mod sql;
pub(crate) mod trace;
pub(crate) mod traces;

/// One screen on the stack with what it is about and what it has asked.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) screen: Box<dyn Screen>,
    pub(crate) scope: Scope,
    /// The scope's range as it was when the data was asked for.
    pub(crate) fixed: Fixed,
    pub(crate) slots: Vec<Slot>,
    /// Pane that has the keys.
    pub(crate) focus: usize,
    /// That pane is shown alone.
    pub(crate) alone: bool,
}

impl View {
    pub(crate) fn new(screen: Box<dyn Screen>, scope: Scope, now: Now) -> View {
        let slots = (0..screen.slots()).map(|_| Slot::default()).collect();
        let fixed = scope.range.fixed(now);
        View { screen, scope, fixed, slots, focus: 0, alone: false }
    }

    /// What the screen reads of it.
    pub(crate) fn look<'a>(&'a self, now: Now, how: &'a Appearance) -> Look<'a> {
        Look {
            scope: &self.scope,
            fixed: self.fixed,
            slots: &self.slots,
            focus: self.focus,
            now,
            theme: &how.theme,
            zone: &how.zone,
        }
    }

    /// Where the panes are; those that do not fit, or make way for one alone, have no area.
    pub(crate) fn panes(&self, body: Rect) -> Vec<Rect> {
        let mut panes = self.screen.layout(body);
        if self.alone {
            for (at, pane) in panes.iter_mut().enumerate() {
                *pane = if at == self.focus { body } else { Rect::ZERO };
            }
        }
        panes
    }
}

/// What a screen may change and use while it handles something.
pub(crate) struct Cx<'a> {
    pub(crate) now: Now,
    pub(crate) kept: &'a Kept,
    pub(crate) scope: &'a mut Scope,
    pub(crate) fixed: Fixed,
    pub(crate) slots: &'a mut [Slot],
    pub(crate) focus: &'a mut usize,
    pub(crate) out: &'a mut Outbox,
    /// What is to happen to the explorer as a whole, in order.
    pub(crate) go: &'a mut Vec<Go>,
    /// Rows within each pane.
    pub(crate) heights: &'a [u16],
    /// Columns within each pane.
    pub(crate) widths: &'a [u16],
    /// Ask even for what is known.
    pub(crate) fresh: bool,
}

impl Cx<'_> {
    /// Asks unless it is asked or known already.
    pub(crate) fn ask(&mut self, slot: usize, request: Request) {
        if self.fresh {
            self.slots[slot].ask_fresh(request, self.now, self.out);
        } else {
            self.slots[slot].want(request, self.now, self.out);
        }
    }

    /// Asks once the cursor has rested.
    pub(crate) fn ask_soon(&mut self, slot: usize, request: Request) {
        const REST_MS: u64 = 150;
        self.slots[slot].want_after(request, REST_MS, self.now);
    }

    /// Opens a screen on top, with a scope.
    pub(crate) fn push(&mut self, screen: Box<dyn Screen>, scope: Scope) {
        self.go.push(Go::Push(screen, scope));
    }

    /// Tells something in one line.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.go.push(Go::Say(text.into()));
    }

    /// Rows within a pane.
    pub(crate) fn height(&self, pane: usize) -> usize {
        self.heights.get(pane).copied().unwrap_or(0).into()
    }

    /// What a screen reads, held on to while it changes something.
    pub(crate) fn share<T: std::any::Any + Send + Sync>(&self, slot: usize) -> Option<Arc<T>> {
        self.slots.get(slot)?.share()
    }

    /// What a screen reads.
    pub(crate) fn get<T: std::any::Any + Send + Sync>(&self, slot: usize) -> Option<&T> {
        self.slots.get(slot)?.get()
    }
}

/// What a screen wants of the explorer.
#[derive(Debug)]
pub(crate) enum Go {
    /// A screen on top.
    Push(Box<dyn Screen>, Scope),
    /// Something over the screen.
    Over(Overlay),
    /// One line for a moment.
    Say(String),
    /// The same screen about something else.
    Scope(Scope),
    /// A text into the person's editor.
    Edit(String),
    /// Something to be kept over restarts.
    Keep(Change),
}

/// What a screen reads while it draws or answers about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) fixed: Fixed,
    pub(crate) slots: &'a [Slot],
    pub(crate) focus: usize,
    pub(crate) now: Now,
    pub(crate) theme: &'a Theme,
    /// In which times are shown.
    pub(crate) zone: &'a TimeZone,
}

impl<'a> Look<'a> {
    /// The data of a slot.
    pub(crate) fn get<T: std::any::Any + Send + Sync>(&self, slot: usize) -> Option<&'a T> {
        self.slots.get(slot)?.get()
    }

    /// Where a slot's question stands.
    pub(crate) fn state(&self, slot: usize) -> State<'a> {
        self.slots.get(slot).map_or(State::Idle, |slot| slot.state(self.now))
    }

    /// Draws the frame of a pane that shows a slot.
    pub(crate) fn framed<'p>(
        &self,
        pen: &'p mut Pen<'_>,
        (pane, slot): (usize, usize),
        title: &str,
        note: &str,
    ) -> Pen<'p> {
        let is_old = matches!(self.state(slot), State::Loading { for_ms } if for_ms >= 300);
        let (title, note) = (title.to_owned(), note.to_owned());
        pane::framed(pen, &Frame { title, note, focused: pane == self.focus, is_old })
    }

    /// Draws what a slot says besides its data, and gives both when there is data.
    pub(crate) fn data<'p, T: std::any::Any + Send + Sync>(
        &self,
        pen: &'p mut Pen<'_>,
        slot: usize,
    ) -> Option<(Pen<'p>, &'a T)> {
        let data = self.get(slot);
        let pen = pane::state(pen, self.slots.get(slot)?, self.now)?;
        Some((pen, data?))
    }
}

/// What is under the cursor, as far as it is known: pivots, copies and filters start from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Subject {
    pub(crate) service: Option<String>,
    pub(crate) operation: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) trace_id: Option<String>,
    pub(crate) span_id: Option<String>,
    /// A moment that matters, such as the start of a span.
    pub(crate) at_ns: Option<i64>,
    /// Key and value that a filter can take.
    pub(crate) term: Option<(String, String)>,
    /// The cell as text.
    pub(crate) cell: String,
    /// All of it as JSON.
    pub(crate) json: Option<String>,
}

/// Rows as they are seen, to be written to a file, read aloud or compared in a test.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Grid {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// One screen.
pub(crate) trait Screen: fmt::Debug + Send {
    /// The rows of the action table that hold.
    fn layer(&self) -> Layer;
    /// Its word in the breadcrumb.
    fn crumb(&self) -> String;
    /// Number of questions it has.
    fn slots(&self) -> usize;
    /// Where its panes are within the body of the screen; the order is that of Tab.
    fn layout(&self, body: Rect) -> Vec<Rect>;
    /// Asks for what it shows.
    fn load(&mut self, cx: &mut Cx<'_>);
    /// Draws a pane.
    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>);

    /// One of its questions was answered or failed.
    fn told(&mut self, _slot: usize, _cx: &mut Cx<'_>) {}
    /// Carries out an action; false when it is not for this screen.
    fn act(&mut self, _action: Action, _cx: &mut Cx<'_>) -> bool {
        false
    }
    /// Takes a key before the action table sees it, such as in an editor.
    fn key(&mut self, _key: Key, _cx: &mut Cx<'_>) -> bool {
        false
    }
    /// Takes pasted text.
    fn paste(&mut self, _text: &str, _cx: &mut Cx<'_>) -> bool {
        false
    }
    /// A cell within a pane was clicked; true when it was already under the cursor.
    fn click(&mut self, _pane: usize, _x: u16, _y: u16, _cx: &mut Cx<'_>) -> bool {
        false
    }
    /// A rectangle was dragged in a pane, from and to cells within it.
    fn drag(&mut self, _pane: usize, _from: (u16, u16), _to: (u16, u16), _cx: &mut Cx<'_>) {}
    /// What is under the cursor.
    fn subject(&self, _look: &Look<'_>) -> Subject {
        Subject::default()
    }
    /// Facts in row 1, besides those of the answer.
    fn facts(&self, _look: &Look<'_>) -> Vec<String> {
        Vec::new()
    }
    /// Right in row 0 in place of the range.
    fn place_in_time(&self, _look: &Look<'_>) -> Option<String> {
        None
    }
    /// What stands for the filter in row 1.
    fn filter_line(&self, look: &Look<'_>) -> String {
        look.scope.filter.clone()
    }
    /// What the filter line is over: `spans`, `traces`, `logs`, `metrics`; none: it finds within
    /// what is on the screen.
    fn filters(&self) -> Option<&'static str> {
        Some("spans")
    }
    /// Finds a text within what is on the screen; false when the filter is to be the scope's.
    fn find(&mut self, _text: &str, _cx: &mut Cx<'_>) -> bool {
        false
    }
    /// The rows as they are seen.
    fn grid(&self, _look: &Look<'_>) -> Option<Grid> {
        None
    }
    /// The records that are seen, as one OTLP request in JSON.
    fn otlp(&self, _look: &Look<'_>) -> Option<String> {
        None
    }
    /// Data that moves with the clock is asked for again in live mode.
    fn is_live(&self) -> bool {
        true
    }
    /// As a link names it, such as `services` or `trace/4bf9…`.
    fn link(&self) -> String;
    /// Statements of its own, beside those behind its answers.
    fn statements(&self, _look: &Look<'_>) -> Vec<String> {
        Vec::new()
    }
    /// A text that the person edited elsewhere.
    fn edited(&mut self, _text: &str, _cx: &mut Cx<'_>) {}
}

/// The screen that a key opens.
pub(crate) fn root(place: Place) -> Box<dyn Screen> {
    match place {
        Place::Services => Box::new(services::Services::default()),
        Place::Traces => Box::new(traces::Traces::default()),
        Place::Sql => Box::new(sql::Sql::default()),
        Place::Errors => errors::open(None),
        Place::Ingest => ingest::open(),
        Place::Logs => logs::open(logs::Of::Scope),
        Place::Map => map::open(None),
        Place::Metrics => metrics::open(metrics::About::default()),
    }
}

/// The screen of another signal about what is under the cursor.
pub(crate) fn pivot(place: Place, subject: &Subject, scope: &Scope) -> (Box<dyn Screen>, Scope) {
    let of_service = || match &subject.service {
        Some(service) => scope.and(&filter::term("service", service, true)),
        None => scope.clone(),
    };
    let screen = match place {
        Place::Errors => errors::open(subject.service.as_deref()),
        Place::Logs => {
            let of = logs::of_subject(subject);
            let scope = if of == logs::Of::Scope { of_service() } else { scope.clone() };
            return (logs::open(of), scope);
        }
        Place::Traces => return (root(place), of_service()),
        Place::Map => map::open(subject.service.as_deref()),
        Place::Metrics => metrics::open(metrics::about(subject)),
        other => root(other),
    };
    (screen, scope.clone())
}

/// What the answers of a view are built on, the first that there is.
pub(crate) fn basis<'a>(look: &Look<'a>) -> Option<&'a Basis> {
    look.slots.iter().find_map(|slot| slot.told()).map(|told| &*told.basis)
}

/// The column of a table whose head stands at a place.
pub(crate) fn column_at(columns: &[Column], width: u16, x: u16) -> Option<usize> {
    let placed = table::place(columns, width);
    placed.iter().find(|p| (p.x..=p.x + p.width).contains(&x)).map(|p| p.column)
}
