//! Actions that mean the same on every screen.

use super::{App, INTERRUPT_MS};
use crate::action::{Action, CopyAs, Place};
use crate::effect::Effect;
use crate::kept::{Bookmark, Change};
use crate::link;
use crate::overlay::{self, Deed, Overlay};
use crate::scope::Range;
use crate::screens::{self, Subject};
use crate::theme::{THEMES, Theme};

/// Actions that no screen may take for itself.
pub(super) fn is_reserved(action: Action) -> bool {
    matches!(action, Action::Interrupt | Action::Leave | Action::Go(_) | Action::Suspend)
}

impl App {
    pub(super) fn act_generally(&mut self, action: Action) {
        match action {
            Action::Go(place) => self.go(place),
            Action::Pivot(place) => self.pivot(place),
            Action::Back => {
                self.back();
            }
            Action::Forward => {
                self.forward();
            }
            Action::Leave => self.leave(),
            Action::Interrupt => self.interrupt(),
            Action::Suspend => self.out.effects.push(Effect::Suspend),
            Action::NextPane => self.turn_focus(true),
            Action::PreviousPane => self.turn_focus(false),
            Action::Maximise => self.maximise(),
            Action::Refresh | Action::RefreshExact => self.load(true),
            Action::Live => self.turn_live(),
            Action::NextTheme => self.next_theme(),
            Action::Bookmark => self.bookmark(),
            Action::Bookmarks => self.open_bookmarks(),
            Action::NextZone => self.next_zone(),
            Action::ToggleMouse => self.turn_mouse(),
            Action::Exemplar => self.exemplar(),
            Action::Include => self.narrow_by_term(true),
            Action::Exclude => self.narrow_by_term(false),
            Action::Copy(what) => self.copy_as(what),
            Action::Export => self.open_over(Overlay::export()),
            Action::Help => self.open_help(),
            Action::Palette => self.open_palette(),
            Action::Filter => self.open_filter(),
            Action::Time => self.open_time(),
            Action::Why => self.open_why(),
            Action::CopyMenu => self.open_over(Overlay::copy()),
            Action::ShowSql => self.show_sql(),
            other => self.move_range(other),
        }
    }

    /// Actions on the range. Whatever is left over does nothing here; of keys that move, everybody sees
    /// that at the end of a list.
    fn move_range(&mut self, action: Action) {
        use Action as A;
        let (range, now) = (self.top().scope.range, self.now);
        let moved = match action {
            Action::ZoomIn => range.narrower(),
            Action::ZoomOut => range.wider(),
            Action::ZoomReset => Range::default(),
            Action::EarlierRange => range.shifted(now, -1, 1),
            Action::LaterRange => range.shifted(now, 1, 1),
            Action::PanLeft => range.shifted(now, -1, 4),
            Action::PanRight => range.shifted(now, 1, 4),
            A::Up | A::Down | A::Left | A::Right | A::Top | A::Bottom => return,
            A::HalfUp | A::HalfDown | A::PageUp | A::PageDown => return,
            _ => return self.say("nothing to do with that here, ? lists what there is"),
        };
        self.set_range(moved);
    }

    pub(crate) fn set_range(&mut self, range: Range) {
        let mut scope = self.top().scope.clone();
        if scope.range != range {
            self.fits = false;
            scope.range = range;
            self.set_scope(scope);
        }
    }

    /// Another filter for the view; the screen behind is asked again.
    pub(crate) fn set_filter(&mut self, filter: &str) {
        let mut scope = self.top().scope.clone();
        scope.filter = filter.trim().to_owned();
        self.set_scope(scope);
    }

    /// What is under the cursor.
    pub(crate) fn subject(&self) -> Subject {
        self.top().screen.subject(&self.top_look())
    }

    fn pivot(&mut self, place: Place) {
        let (subject, scope) = (self.subject(), self.top().scope.clone());
        let (screen, scope) = screens::pivot(place, &subject, &scope);
        self.push(screen, scope);
    }

    fn exemplar(&mut self) {
        let subject = self.subject();
        let Some(id) = subject.trace_id else { return self.say("no trace here") };
        let scope = self.top().scope.clone();
        self.push(screens::trace::open(&id, subject.span_id.as_deref()), scope);
    }

    fn narrow_by_term(&mut self, include: bool) {
        let Some((key, value)) = self.subject().term else {
            return self.say("no value under the cursor");
        };
        let term = overlay::filter::term(&key, &value, include);
        let filter = overlay::filter::with(&self.top().scope.filter, &term);
        self.set_filter(&filter);
    }

    fn leave(&mut self) {
        if !self.back() {
            self.out.effects.push(Effect::Quit);
        }
    }

    /// Gives up everything under way; a second time within two seconds quits.
    fn interrupt(&mut self) {
        let now_ms = self.now.mono_ms;
        if self.interrupted_ms.is_some_and(|at| now_ms.saturating_sub(at) < INTERRUPT_MS) {
            return self.out.effects.push(Effect::Quit);
        }
        self.interrupted_ms = Some(now_ms);
        let under_way = self.top().slots.iter().filter(|slot| slot.ticket().is_some()).count();
        self.rest();
        self.say(match under_way {
            0 => "Ctrl-C again quits".to_owned(),
            n => format!("{n} cancelled; Ctrl-C again quits, r asks again"),
        });
    }

    fn turn_focus(&mut self, forward: bool) {
        let body = self.body();
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        let panes = views[top].screen.layout(body);
        let from = views[top].focus;
        let next =
            crate::window::next_where(from, panes.len(), forward, |at| !panes[at].is_empty());
        views[top].focus = next.unwrap_or(0);
    }

    fn maximise(&mut self) {
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        views[top].alone = !views[top].alone;
    }

    fn next_theme(&mut self) {
        let at = THEMES.iter().position(|(_, theme)| *theme == self.look.name).unwrap_or(0);
        let (word, name) = THEMES[(at + 1) % THEMES.len()];
        self.look.name = name;
        self.look.theme = Theme::new(name, self.look.depth, self.look.glyphs);
        self.say(format!("theme {word}"));
    }

    /// Keeps the view, or forgets it where it is kept.
    fn bookmark(&mut self) {
        let link = link::of(self.top());
        if self.kept.bookmarks.iter().any(|held| held.link == link) {
            self.change_kept(Change::Forget(link));
            return self.say("no bookmark any more");
        }
        let mut name = self.crumbs().collect::<Vec<_>>().join(" > ");
        let scope = &self.top().scope;
        name += &format!("  {}", scope.range.words(&self.look.zone));
        if !scope.filter.is_empty() {
            name += &format!("  {}", scope.filter);
        }
        self.change_kept(Change::Bookmark(Bookmark { name, link }));
        self.say("bookmarked; ' goes to bookmarks, b forgets it");
    }

    fn open_bookmarks(&mut self) {
        let newest = self.kept.bookmarks.iter().rev().zip('a'..='z');
        let rows: Vec<(char, String, Deed)> = newest
            .map(|(held, letter)| (letter, held.name.clone(), Deed::Open(held.link.clone())))
            .collect();
        if rows.is_empty() {
            return self.say("no bookmarks yet: b makes one of a view");
        }
        self.open_over(Overlay::bookmarks(rows));
    }

    fn next_zone(&mut self) {
        self.look.turn_zone();
        if let Some(Overlay::Time(picker)) = self.overlays.last_mut() {
            picker.set_zone(self.look.zone.clone());
        }
        self.say(format!("times in {}", self.look.zone.iana_name().unwrap_or("UTC")));
    }

    fn turn_mouse(&mut self) {
        self.look.mouse = !self.look.mouse;
        self.out.effects.push(Effect::Mouse(self.look.mouse));
        self.say(if self.look.mouse { "mouse on" } else { "mouse off" });
    }

    pub(crate) fn copy_as(&mut self, what: CopyAs) {
        let subject = self.subject();
        let text = match what {
            CopyAs::Cell => Some(subject.cell).filter(|cell| !cell.is_empty()),
            CopyAs::TraceId => subject.trace_id,
            CopyAs::SpanId => subject.span_id,
            CopyAs::Json => subject.json,
            CopyAs::Query => Some(self.statements().join(";\n\n")).filter(|sql| !sql.is_empty()),
            CopyAs::Link => Some(link::of(self.top())),
            CopyAs::Command => Some(link::command(self.top())),
        };
        match text {
            Some(text) => self.copy_text(text),
            None => self.say("nothing of that here"),
        }
    }

    /// Copies a text and says so.
    pub(crate) fn copy_text(&mut self, text: String) {
        self.say(format!("copied: {}", overlay::start_of(&text)));
        self.copy(text);
    }

    /// The statements behind the view: its own, then those of its answers.
    pub(crate) fn statements(&self) -> Vec<String> {
        let look = self.top_look();
        let mut statements = self.top().screen.statements(&look);
        for told in look.slots.iter().filter_map(|slot| slot.told()) {
            for sql in &told.basis.sql {
                if !statements.contains(sql) {
                    statements.push(sql.clone());
                }
            }
        }
        statements
    }

    fn show_sql(&mut self) {
        let statements = self.statements();
        if statements.is_empty() {
            return self.say("no statement yet");
        }
        let scope = self.top().scope.clone();
        self.push(Box::new(screens::sql::Sql::showing(&statements)), scope);
    }

    /// Opens what a pasted text names: a trace id, a `traceparent`, a link, a log line in JSON.
    pub(super) fn open_pasted(&mut self, text: &str) {
        match link::read(text) {
            Some(target) => self.open_link(&target),
            None => self.say("no trace id or link in what was pasted"),
        }
    }

    /// Opens what a link names.
    pub(crate) fn open_link(&mut self, target: &link::Target) {
        let mut scope = self.top().scope.clone();
        target.apply(&mut scope, self.now);
        match target.screen() {
            Some(screen) => self.push(screen, scope),
            None => self.say("this link names no screen"),
        }
    }
}
