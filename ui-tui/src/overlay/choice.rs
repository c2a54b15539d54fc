//! One of a few, by its letter: the second key of `y` and `W`.

use ratatui::layout::Rect;

use super::{Deed, Next, middle};
use crate::event::Key;
use crate::pane::{Frame, framed};
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::Pen;

/// A list of letters with what they do.
#[derive(Debug)]
pub(crate) struct Choice {
    title: &'static str,
    rows: Vec<(char, String, Deed)>,
    at: usize,
}

impl Choice {
    pub(super) fn new(title: &'static str, rows: Vec<(char, String, Deed)>) -> Choice {
        Choice { title, rows, at: 0 }
    }

    pub(super) fn key(&mut self, key: Key) -> Next {
        let picked = key.typed().and_then(|c| self.rows.iter().position(|row| row.0 == c));
        match (picked, key.to_string().as_str()) {
            (Some(at), _) => Next::Do(self.rows[at].2.clone()),
            (None, "down") => self.step(1),
            (None, "up") => self.step(self.rows.len() - 1),
            (None, "enter") => Next::Do(self.rows[self.at].2.clone()),
            _ => Next::Close,
        }
    }

    fn step(&mut self, by: usize) -> Next {
        self.at = (self.at + by) % self.rows.len();
        Next::Stay
    }

    pub(super) fn click(&mut self, x: u16, y: u16, screen: Rect) -> Next {
        let area = self.area(screen);
        let row = usize::from(y.saturating_sub(area.y + 1));
        if !area.contains((x, y).into()) {
            return Next::Close;
        }
        self.rows.get(row).map_or(Next::Stay, |row| Next::Do(row.2.clone()))
    }

    fn area(&self, screen: Rect) -> Rect {
        let widest = self.rows.iter().map(|row| SafeText::new(&row.1).width()).max().unwrap_or(0);
        let width = u16::try_from(widest).unwrap_or(u16::MAX).saturating_add(8).max(48);
        middle(screen, width, self.rows.len() as u16 + 2)
    }

    pub(super) fn draw(&self, pen: &mut Pen<'_>) {
        let area = self.area(pen.area());
        let mut pen = pen.part(area.x, area.y, area.width, area.height);
        pen.clear();
        let title = self.title.to_owned();
        let note = "Esc".to_owned();
        let mut pen = framed(&mut pen, &Frame { title, note, focused: true, is_old: false });
        let width = pen.width();
        for (y, (letter, title, _)) in (0..).zip(&self.rows) {
            pen.text(1, y, 1, &letter.to_string().into(), Role::Accent);
            pen.text(4, y, width.saturating_sub(5), &title.into(), Role::Text);
            if usize::from(y) == self.at {
                pen.restyle(0, y, width, 1, pen.style(Role::Cursor));
            }
        }
    }
}
