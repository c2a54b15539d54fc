//! Overlays: how they are opened, and what follows from what is done in them.

use super::App;
use crate::effect::Effect;
use crate::event::{Key, Mouse};
use crate::export;
use crate::kept::Change;
use crate::overlay::filter::FilterLine;
use crate::overlay::palette::Palette;
use crate::overlay::time::TimePicker;
use crate::overlay::why::Why;
use crate::overlay::{Deed, Form, Next, Overlay};

impl App {
    pub(super) fn key_over(&mut self, key: Key) {
        let now = self.now;
        let Some(over) = self.overlays.last_mut() else { return };
        let next = over.key(key, now, &mut self.out);
        self.after(next);
    }

    pub(super) fn paste_over(&mut self, text: &str) {
        if let Some(over) = self.overlays.last_mut() {
            over.paste(text, self.now);
        }
    }

    pub(super) fn press_over(&mut self, mouse: Mouse) {
        let screen = ratatui::layout::Rect::new(0, 0, self.size.0, self.size.1);
        let Some(over) = self.overlays.last_mut() else { return };
        let next = over.click(mouse.x, mouse.y, screen);
        self.after(next);
    }

    pub(super) fn wheel_over(&mut self, down: bool) {
        if let Some(key) = Key::parse(if down { "down" } else { "up" }) {
            self.key_over(key);
        }
    }

    fn after(&mut self, next: Next) {
        match next {
            Next::Stay => {}
            Next::Close => self.close_over(),
            Next::Act(action) => self.act_generally(action),
            Next::Do(deed) => {
                self.close_over();
                self.carry_out(deed);
            }
        }
    }

    fn close_over(&mut self) {
        if let Some(mut over) = self.overlays.pop() {
            over.cancel(&mut self.out);
        }
    }

    fn carry_out(&mut self, deed: Deed) {
        match deed {
            Deed::Act(action) => self.act(action),
            Deed::Filter(text) => self.apply_filter(&text),
            Deed::Scope(range, compare) => {
                let mut scope = self.top().scope.clone();
                self.fits &= scope.range == range;
                (scope.range, scope.compare) = (range, compare);
                self.set_scope(scope);
            }
            Deed::Export(form) => self.export(form),
            Deed::Open(text) => self.open_pasted(&text),
            Deed::Copy(text) => self.copy_text(text),
        }
    }

    pub(crate) fn apply_filter(&mut self, text: &str) {
        if !text.is_empty() && self.kept.filters.last().is_none_or(|last| last != text) {
            self.change_kept(Change::Filter(text.to_owned()));
        }
        if !self.with_top(false, |screen, cx| screen.find(text, cx)) {
            self.set_filter(text);
        }
    }

    pub(super) fn open_filter(&mut self) {
        let view = self.top();
        let table = view.screen.filters();
        let text = view.screen.filter_line(&self.top_look());
        let mut line = FilterLine::new(&text, table, view.fixed, self.kept.filters.clone());
        line.changed(self.now);
        self.open_over(Overlay::Filter(Box::new(line)));
    }

    pub(super) fn open_palette(&mut self) {
        let layer = self.top().screen.layer();
        self.open_over(Overlay::Palette(Palette::new(layer)));
    }

    pub(super) fn open_help(&mut self) {
        let layer = self.top().screen.layer();
        self.open_over(Overlay::Palette(Palette::help(layer)));
    }

    pub(super) fn open_time(&mut self) {
        let scope = &self.top().scope;
        let picker = TimePicker::new(scope.range, scope.compare, self.look.zone.clone());
        self.open_over(Overlay::Time(picker));
    }

    pub(super) fn open_why(&mut self) {
        self.open_over(Overlay::Why(Why::default()));
    }

    fn export(&mut self, form: Form) {
        match export::effect(self, form) {
            Ok(effect) => {
                if matches!(effect, Effect::Download { .. }) {
                    self.say("writing …");
                }
                self.out.effects.push(effect);
            }
            Err(text) => self.say(text),
        }
    }
}
