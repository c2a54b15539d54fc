//! The explorer's state and the one function that changes it.
//!
//! [`update`] is pure: it reads no clock, no terminal and no network. What is to be done outside
//! comes back as [`Effect`]s. `frame::render` only reads.

use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use crate::action::{self, Action, Place};
use crate::effect::Effect;
use crate::event::{Event, Key, Now};
use crate::kept::{Change, Kept};
use crate::overlay::Overlay;
use crate::request::Outcome;
use crate::scope::Scope;
use crate::screens::{self, Cx, Go, Look, Screen, View};
use crate::slot::{Outbox, Ticket};
use crate::theme::{Depth, Glyphs, Theme, ThemeName};

pub(crate) mod frame;
mod general;
mod live;
mod mouse;
mod over;
#[cfg(test)]
mod tests;

use live::Live;
use mouse::Held;

/// Views on one stack at most; the oldest above the first makes way.
const STACK_MAX: usize = 24;
/// How long a message stays.
const NOTE_MS: u64 = 4_000;
/// A second Ctrl-C within this time quits.
const INTERRUPT_MS: u64 = 2_000;

/// Everything the explorer knows.
#[derive(Debug)]
pub(crate) struct App {
    /// One stack of views a place; the first is always there.
    tabs: Vec<Tab>,
    current: usize,
    /// What lies over the view, the last on top.
    pub(crate) overlays: Vec<Overlay>,
    pub(crate) size: (u16, u16),
    pub(crate) now: Now,
    pub(crate) look: Appearance,
    note: Option<Note>,
    pub(crate) live: Live,
    held: Option<Held>,
    /// Bookmarks, filters and statements.
    kept: Kept,
    /// Nobody has chosen a range yet, so the first view takes one that fits the data.
    fits: bool,
    interrupted_ms: Option<u64>,
    out: Outbox,
    dirty: bool,
}

/// The views behind one number key.
#[derive(Debug)]
struct Tab {
    place: Place,
    /// Never empty.
    views: Vec<View>,
    /// Views that were left by going back, the next one last.
    forward: Vec<View>,
}

/// How things look here.
#[derive(Debug)]
pub(crate) struct Appearance {
    pub(crate) name: ThemeName,
    pub(crate) depth: Depth,
    pub(crate) glyphs: Glyphs,
    pub(crate) theme: Theme,
    pub(crate) mouse: bool,
    /// In which times are shown and read.
    pub(crate) zone: TimeZone,
    /// That of the person, while UTC is shown.
    own_zone: TimeZone,
}

impl Appearance {
    pub(crate) fn new(name: ThemeName, depth: Depth, glyphs: Glyphs) -> Appearance {
        let theme = Theme::new(name, depth, glyphs);
        let (zone, own_zone) = (TimeZone::UTC, TimeZone::UTC);
        Appearance { name, depth, glyphs, theme, mouse: true, zone, own_zone }
    }

    /// Shows times in a zone.
    pub(crate) fn in_zone(self, zone: TimeZone) -> Appearance {
        Appearance { zone: zone.clone(), own_zone: zone, ..self }
    }

    /// From the zone of the person to UTC, or back.
    fn turn_zone(&mut self) {
        self.zone = if self.zone == TimeZone::UTC { self.own_zone.clone() } else { TimeZone::UTC };
    }
}

#[derive(Debug)]
struct Note {
    text: String,
    until_ms: u64,
}

impl App {
    /// An explorer that opens at a place, with a scope. The first event must be a [`Event::Resize`].
    pub(crate) fn new(
        look: Appearance,
        screen: Box<dyn Screen>,
        place: Place,
        scope: Scope,
        now: Now,
    ) -> App {
        let view = View::new(screen, scope, now);
        App {
            tabs: vec![Tab { place, views: vec![view], forward: Vec::new() }],
            current: 0,
            overlays: Vec::new(),
            size: (0, 0),
            now,
            look,
            note: None,
            live: Live::default(),
            held: None,
            kept: Kept::default(),
            fits: false,
            interrupted_ms: None,
            out: Outbox::default(),
            dirty: true,
        }
    }

    /// Begins with what an earlier one kept.
    pub(crate) fn keep(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// Keeps something more, here and over restarts.
    fn change_kept(&mut self, change: Change) {
        self.kept.change(&change);
        self.out.effects.push(Effect::Keep(change));
    }

    /// Lets the first view take a range that fits the data, until a person chooses one.
    pub(crate) fn fit_range(&mut self) {
        self.fits = true;
    }

    /// The view on the screen.
    pub(crate) fn top(&self) -> &View {
        let views = &self.tabs[self.current].views;
        &views[views.len() - 1]
    }

    /// The words of the breadcrumb.
    pub(crate) fn crumbs(&self) -> impl Iterator<Item = String> {
        self.tabs[self.current].views.iter().map(|view| view.screen.crumb())
    }

    /// Number of views on the stack.
    pub(crate) fn depth(&self) -> usize {
        self.tabs[self.current].views.len()
    }

    /// What the view on the screen reads.
    pub(crate) fn top_look(&self) -> Look<'_> {
        self.top().look(self.now, &self.look)
    }

    /// The message of the moment.
    pub(crate) fn note(&self) -> Option<&str> {
        self.note.as_ref().map(|note| note.text.as_str())
    }

    /// Whether something changed since this was last asked.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Whether something changed since [`App::take_dirty`].
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Has everything drawn again.
    pub(crate) fn redraw(&mut self) {
        self.dirty = true;
    }

    /// Takes the text that comes back from the person's editor.
    pub(crate) fn edited(&mut self, text: Result<String, String>) {
        match text {
            Ok(text) => self.with_top(false, |screen, cx| screen.edited(&text, cx)),
            Err(error) => self.say(error),
        }
        self.dirty = true;
    }

    /// When a [`Event::Tick`] is wanted; without it nothing changes by itself.
    pub(crate) fn wake_at_ms(&self) -> Option<u64> {
        let slots = self.top().slots.iter().filter_map(|slot| slot.wake_at_ms(self.now)).min();
        let note = self.note.as_ref().map(|note| note.until_ms);
        let over = self.overlays.last().and_then(|over| over.wake_at_ms(self.now));
        [slots, note, over, self.live.wake_at_ms(self)].into_iter().flatten().min()
    }

    /// The area of the view between the lines above and the hints.
    pub(crate) fn body(&self) -> Rect {
        frame::body(self.size)
    }

    /// Shows a message for a moment.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.note = Some(Note { text: text.into(), until_ms: self.now.mono_ms + NOTE_MS });
    }

    fn tab(&mut self) -> &mut Tab {
        &mut self.tabs[self.current]
    }

    /// Lets the view on the screen do something, and follows what it wants of the explorer.
    fn with_top<R>(&mut self, fresh: bool, f: impl FnOnce(&mut dyn Screen, &mut Cx<'_>) -> R) -> R {
        let around = (self.now, self.body(), &self.kept);
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        let (result, go) = enter(&mut views[top], around, &mut self.out, fresh, f);
        self.follow(go);
        result
    }

    /// Asks for what the view on the screen shows. A range that moves is fixed anew.
    fn load(&mut self, fresh: bool) {
        let now = self.now;
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        views[top].fixed = views[top].scope.range.fixed(now);
        self.with_top(fresh, |screen, cx| screen.load(cx));
    }

    fn follow(&mut self, go: Vec<Go>) {
        for go in go {
            match go {
                Go::Push(screen, scope) => self.push(screen, scope),
                Go::Over(overlay) => self.open_over(overlay),
                Go::Say(text) => self.say(text),
                Go::Scope(scope) => self.set_scope(scope),
                Go::Keep(change) => self.change_kept(change),
                Go::Edit(text) => self.out.effects.push(Effect::Edit(text)),
            }
        }
    }

    /// Opens a screen on top of the view.
    fn push(&mut self, screen: Box<dyn Screen>, scope: Scope) {
        let view = View::new(screen, scope, self.now);
        self.rest();
        let tab = self.tab();
        tab.forward.clear();
        if tab.views.len() == STACK_MAX {
            tab.views.remove(1);
        }
        tab.views.push(view);
        self.load(false);
    }

    /// Gives up what the view on the screen has asked, because another takes its place.
    fn rest(&mut self) {
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        for slot in &mut views[top].slots {
            slot.cancel(&mut self.out);
        }
    }

    /// Asks for what a view that comes back is missing; what it has is not asked for again.
    fn resume(&mut self) {
        self.with_top(false, |screen, cx| screen.load(cx));
    }

    /// To the view before; false on the first one.
    fn back(&mut self) -> bool {
        if self.depth() < 2 {
            return false;
        }
        self.rest();
        let tab = self.tab();
        if let Some(view) = tab.views.pop() {
            tab.forward.push(view);
        }
        self.resume();
        true
    }

    fn forward(&mut self) -> bool {
        let Some(view) = self.tab().forward.pop() else { return false };
        self.rest();
        self.tab().views.push(view);
        self.resume();
        true
    }

    /// To the screen of a number key; on that screen back to its first view.
    fn go(&mut self, place: Place) {
        let scope = self.tabs[self.current].views[0].scope.clone();
        if self.tabs[self.current].place == place {
            while self.back() {}
            return;
        }
        if let Some(at) = self.tabs.iter().position(|tab| tab.place == place) {
            self.rest();
            self.current = at;
            if self.depth() == 1 && self.top().scope != scope {
                return self.set_scope(scope);
            }
            return self.resume();
        }
        self.rest();
        let view = View::new(screens::root(place), scope, self.now);
        self.tabs.push(Tab { place, views: vec![view], forward: Vec::new() });
        self.current = self.tabs.len() - 1;
        self.load(false);
    }

    /// The same screen about something else.
    fn set_scope(&mut self, scope: Scope) {
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        views[top].scope = scope;
        self.load(false);
    }

    fn open_over(&mut self, overlay: Overlay) {
        self.overlays.push(overlay);
    }

    fn copy(&mut self, text: String) {
        self.out.effects.push(Effect::Copy(text));
    }

    /// Hands an answer to the slot that waits for it, in whichever view.
    fn answer(&mut self, ticket: Ticket, outcome: &Outcome) {
        if self.answer_for_app(ticket, outcome) {
            return;
        }
        self.live.heard(outcome, self.now);
        let (now, body) = (self.now, self.body());
        let around = (now, body, &self.kept);
        for tab in &mut self.tabs {
            for view in tab.views.iter_mut().chain(&mut tab.forward) {
                let taken = view.slots.iter_mut().position(|s| s.answer(ticket, outcome, now));
                let Some(slot) = taken else { continue };
                let told = |screen: &mut dyn Screen, cx: &mut Cx<'_>| screen.told(slot, cx);
                let ((), go) = enter(view, around, &mut self.out, false, told);
                self.dirty = true;
                return self.follow(go);
            }
        }
    }

    /// Asks for the first view once it is known how many columns there are to ask for.
    fn resize(&mut self, width: u16, height: u16) {
        let is_first = self.size == (0, 0);
        self.size = (width, height);
        self.dirty = true;
        if is_first && self.fits {
            self.ask_watermark();
        } else if is_first {
            self.load(false);
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        self.note.take_if(|note| note.until_ms <= now.mono_ms);
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        for slot in &mut views[top].slots {
            slot.tick(now, &mut self.out);
        }
        if let Some(over) = self.overlays.last_mut() {
            over.tick(now, &mut self.out);
        }
        self.tick_live();
    }
}

/// Lets a view's screen do something.
fn enter<R>(
    view: &mut View,
    (now, body, kept): (Now, Rect, &Kept),
    out: &mut Outbox,
    fresh: bool,
    f: impl FnOnce(&mut dyn Screen, &mut Cx<'_>) -> R,
) -> (R, Vec<Go>) {
    let panes = view.panes(body);
    let heights: Vec<u16> = panes.iter().map(|pane| pane.height.saturating_sub(2)).collect();
    let widths: Vec<u16> = panes.iter().map(|pane| pane.width.saturating_sub(2)).collect();
    let mut go = Vec::new();
    let mut cx = Cx {
        now,
        kept,
        scope: &mut view.scope,
        fixed: view.fixed,
        slots: &mut view.slots,
        focus: &mut view.focus,
        out,
        go: &mut go,
        heights: &heights,
        widths: &widths,
        fresh,
    };
    let result = f(&mut *view.screen, &mut cx);
    (result, go)
}

/// Changes the state by an event and tells what is to be done.
pub(crate) fn update(app: &mut App, now: Now, event: Event) -> Vec<Effect> {
    app.now = now;
    match event {
        Event::Key(key) => app.key(key),
        Event::Mouse(mouse) => app.mouse(mouse),
        Event::Paste(text) => app.paste(&text),
        Event::Resize { width, height } => app.resize(width, height),
        Event::Focus(focused) => app.live.focused = focused,
        Event::Tick => {
            app.tick();
            app.dirty = true;
        }
        Event::Answer(ticket, outcome) => app.answer(ticket, &outcome),
        Event::Wrote(result) => {
            match result {
                // What is kept is written without a word.
                Ok(text) if text.is_empty() => {}
                result => app.say(result.unwrap_or_else(|error| format!("not written: {error}"))),
            }
            app.dirty = true;
        }
        Event::Stop => app.out.effects.push(Effect::Suspend),
        Event::Terminate => app.out.effects.push(Effect::Quit),
    }
    app.out.take()
}

impl App {
    /// A key goes to what lies on top, then to the screen, then to the action table.
    fn key(&mut self, key: Key) {
        let action = action::of_key(self.top().screen.layer(), key);
        if matches!(action, Some(Action::Interrupt | Action::Suspend)) {
            self.dirty = true;
            return self.act_if(action);
        }
        if !self.overlays.is_empty() {
            self.dirty = true;
            return self.key_over(key);
        }
        if self.with_top(false, |screen, cx| screen.key(key, cx)) {
            self.dirty = true;
            return;
        }
        self.act_if(action);
    }

    fn act_if(&mut self, action: Option<Action>) {
        let Some(action) = action else { return };
        self.dirty = true;
        self.act(action);
    }

    fn paste(&mut self, text: &str) {
        self.dirty = true;
        if !self.overlays.is_empty() {
            return self.paste_over(text);
        }
        if !self.with_top(false, |screen, cx| screen.paste(text, cx)) {
            self.open_pasted(text);
        }
    }

    /// Carries out an action, on the screen first, then on the explorer.
    pub(crate) fn act(&mut self, action: Action) {
        if !general::is_reserved(action)
            && self.with_top(false, |screen, cx| screen.act(action, cx))
        {
            return;
        }
        self.act_generally(action);
    }
}
