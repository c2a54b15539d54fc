//! The one way from a widget to cells: clipped to its area, text only if it is safe, glyphs as the
//! terminal has them.

use ratatui::buffer::{Buffer, CellWidth};
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;

use super::Piece;
use crate::safe_text::SafeText;
use crate::theme::{Role, Theme};

/// Draws into a part of a buffer. Places are counted from the part's upper left corner; what lies
/// outside is not drawn.
#[derive(Debug)]
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    theme: &'a Theme,
}

impl<'a> Pen<'a> {
    /// Draws into that part of the buffer.
    pub fn new(buffer: &'a mut Buffer, area: Rect, theme: &'a Theme) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area, theme }
    }

    /// A part of this part.
    pub fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Pen<'_> {
        let x = self.area.x.saturating_add(x.min(self.area.width));
        let y = self.area.y.saturating_add(y.min(self.area.height));
        let area = Rect { x, y, width, height }.intersection(self.area);
        Pen { buffer: self.buffer, area, theme: self.theme }
    }

    /// Columns.
    pub fn width(&self) -> u16 {
        self.area.width
    }

    /// Rows.
    pub fn height(&self) -> u16 {
        self.area.height
    }

    /// Where it draws, in the buffer.
    pub fn area(&self) -> Rect {
        self.area
    }

    /// True when there is no cell to draw into.
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// How this terminal shows things.
    pub fn theme(&self) -> &'a Theme {
        self.theme
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// One glyph, or its plain stand-in.
    pub fn glyph(&mut self, x: u16, y: u16, glyph: char, style: impl Into<Style>) {
        let glyph = self.theme.glyphs.pick(glyph);
        if let Some(cell) = self.cell(x, y) {
            cell.set_char(glyph).set_style(style);
        }
    }

    /// One glyph in the style of a role.
    pub fn put(&mut self, x: u16, y: u16, glyph: char, role: Role) {
        self.glyph(x, y, glyph, self.style(role));
    }

    /// The same glyph along a row.
    pub fn row(&mut self, x: u16, y: u16, width: u16, glyph: char, role: Role) {
        for x in x..x.saturating_add(width).min(self.width()) {
            self.put(x, y, glyph, role);
        }
    }

    /// Text within `width` columns; what does not fit ends in an ellipsis. Gives the columns used.
    pub fn text(&mut self, x: u16, y: u16, width: u16, text: &SafeText, role: Role) -> u16 {
        self.styled(x, y, width, text, self.style(role))
    }

    /// The same in any style.
    pub fn styled(&mut self, x: u16, y: u16, width: u16, text: &SafeText, style: Style) -> u16 {
        let width = width.min(self.width().saturating_sub(x));
        let fitting = text.fit(usize::from(width), self.theme.glyphs.ellipsis());
        let plain = !self.theme.glyphs.unicode;
        let mut used = 0;
        for sign in fitting.graphemes(true) {
            let columns = sign.cell_width();
            if plain && !sign.is_ascii() {
                let glyph = sign.chars().next().unwrap_or('?');
                for at in 0..columns {
                    self.glyph(x + used + at, y, glyph, style);
                }
            } else if let Some(cell) = self.cell(x + used, y) {
                cell.set_symbol(sign).set_style(style);
                for at in 1..columns {
                    if let Some(behind) = self.cell(x + used + at, y) {
                        behind.reset();
                        behind.set_style(style);
                    }
                }
            }
            used += columns;
        }
        used
    }

    /// Text that ends at the right of `width` columns.
    pub fn right(&mut self, x: u16, y: u16, width: u16, text: &SafeText, role: Role) {
        let taken = u16::try_from(text.width()).unwrap_or(u16::MAX).min(width);
        self.text(x + (width - taken), y, taken, text, role);
    }

    /// Texts one behind the other, as far as they fit. Gives the columns used.
    pub fn pieces(&mut self, x: u16, y: u16, width: u16, pieces: &[Piece]) -> u16 {
        let mut used = 0;
        for (text, role) in pieces {
            used += self.text(x + used, y, width.saturating_sub(used), text, *role);
        }
        used
    }

    /// Adds a style to what stands there.
    pub fn restyle(&mut self, x: u16, y: u16, width: u16, height: u16, style: Style) {
        let area = self.part(x, y, width, height).area;
        self.buffer.set_style(area, style);
    }

    /// Empties everything and gives it the style of text.
    pub fn clear(&mut self) {
        let style = self.style(Role::Text);
        for y in 0..self.height() {
            for x in 0..self.width() {
                if let Some(cell) = self.cell(x, y) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    fn cell(&mut self, x: u16, y: u16) -> Option<&mut ratatui::buffer::Cell> {
        if x >= self.area.width || y >= self.area.height {
            return None;
        }
        self.buffer.cell_mut((self.area.x + x, self.area.y + y))
    }
}
