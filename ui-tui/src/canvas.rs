//! What a screen draws on: cells, a theme, and the frame around a pane.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::safe_text::SafeText;
use crate::theme::{Role, Theme};

/// A buffer with the theme to draw in.
#[derive(Debug)]
pub(crate) struct Canvas<'a> {
    pub(crate) buf: &'a mut Buffer,
    pub(crate) theme: &'a Theme,
}

/// What stands around a pane.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    /// Left in the upper border.
    pub(crate) title: String,
    /// Right in the upper border.
    pub(crate) note: String,
    /// The pane has the keys.
    pub(crate) focused: bool,
    /// What it shows is being replaced.
    pub(crate) is_old: bool,
}

impl Canvas<'_> {
    /// Draws a text within a number of cells and returns how many it took.
    pub(crate) fn text(&mut self, x: u16, y: u16, width: u16, text: &SafeText, role: Role) -> u16 {
        if !self.buf.area.contains((x, y).into()) {
            return 0;
        }
        let width = width.min(self.buf.area.right() - x);
        let text = text.fit(usize::from(width), self.theme.glyphs.ellipsis());
        let style = self.theme.style(role);
        let shown = self.shown(&text);
        let (end, _) = self.buf.set_stringn(x, y, shown, usize::from(width), style);
        end - x
    }

    /// As [`Canvas::text`] for words of our own.
    pub(crate) fn words(&mut self, x: u16, y: u16, width: u16, words: &str, role: Role) -> u16 {
        self.text(x, y, width, &SafeText::new(words), role)
    }

    /// Draws a text so that it ends at the right edge of an area's row.
    pub(crate) fn right(&mut self, area: Rect, y: u16, text: &SafeText, role: Role) -> u16 {
        let width = u16::try_from(text.width()).unwrap_or(u16::MAX).min(area.width);
        self.text(area.right() - width, y, width, text, role)
    }

    /// The text with the glyphs that this terminal has.
    fn shown(&self, text: &str) -> String {
        text.chars().map(|c| self.theme.glyphs.pick(c)).collect()
    }

    /// Fills an area with the style of a role and spaces.
    pub(crate) fn clear(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        for position in area.intersection(self.buf.area).positions() {
            self.buf[position].reset();
            self.buf[position].set_style(style);
        }
    }

    /// Gives an area's cells the style of a role on top of what they have.
    pub(crate) fn tint(&mut self, area: Rect, role: Role) {
        self.buf.set_style(area.intersection(self.buf.area), self.theme.style(role));
    }

    /// Draws the frame of a pane and returns what is within.
    pub(crate) fn frame(&mut self, area: Rect, frame: &Frame) -> Rect {
        let area = area.intersection(self.buf.area);
        if area.width < 2 || area.height < 2 {
            return Rect::ZERO;
        }
        let role = if frame.focused { Role::Focus } else { Role::Border };
        self.borders(area, role);
        let room = area.width.saturating_sub(4);
        let note = SafeText::new(&frame.note);
        let note_width = u16::try_from(note.width()).unwrap_or(u16::MAX);
        let note_fits = note_width > 0 && note_width + 6 <= room;
        let title_room = if note_fits { room - note_width - 3 } else { room };
        let title = if frame.is_old { Role::Dim } else { Role::Title };
        self.captioned(area.x + 1, area.y, title_room, &frame.title, title);
        if note_fits {
            let x = area.right() - note_width - 3;
            self.captioned(x, area.y, note_width, &frame.note, Role::Dim);
        }
        Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
    }

    fn captioned(&mut self, x: u16, y: u16, width: u16, words: &str, role: Role) {
        if words.is_empty() || width == 0 {
            return;
        }
        self.words(x, y, 1, " ", role);
        let used = self.words(x + 1, y, width, words, role);
        self.words(x + 1 + used, y, 1, " ", role);
    }

    fn borders(&mut self, area: Rect, role: Role) {
        let (left, right) = (area.x, area.right() - 1);
        let (top, bottom) = (area.y, area.bottom() - 1);
        for x in left + 1..right {
            self.words(x, top, 1, "─", role);
            self.words(x, bottom, 1, "─", role);
        }
        for y in top + 1..bottom {
            self.words(left, y, 1, "│", role);
            self.words(right, y, 1, "│", role);
        }
        for (x, y, corner) in
            [(left, top, "┌"), (right, top, "┐"), (left, bottom, "└"), (right, bottom, "┘")]
        {
            self.words(x, y, 1, corner, role);
        }
    }
}
