//! Horizontal bars in eighths of a cell: shares, differences to both sides, stretches of time.

use ratatui::style::Modifier;

use super::Pen;
use crate::theme::Role;

/// Blocks that grow from the left, by eighths.
const LEFT: [char; 9] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// A stretch of a row in eighths of a cell, from inclusive, to exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Begin.
    pub from: u32,
    /// End.
    pub to: u32,
}

impl Stretch {
    /// `from` to `to` of `whole`, over `width` cells; at least one eighth, and within the row.
    pub fn of(from: f64, to: f64, whole: f64, width: u16) -> Self {
        let eighths = f64::from(width) * 8.0;
        let place = |at: f64| {
            let share = if whole > 0.0 { at / whole } else { 0.0 };
            (share.clamp(0.0, 1.0) * eighths).round() as u32
        };
        let last = u32::from(width) * 8;
        let from = place(from).min(last.saturating_sub(1));
        Self { from, to: place(to).clamp((from + 1).min(last), last.max(1)) }
    }
}

/// Draws a stretch: whole cells with `fill`, its ends in eighths. The left end is the inverse of what is
/// missing there, since there are no blocks that grow from the right.
pub fn stretch(pen: &mut Pen<'_>, (x, y): (u16, u16), s: Stretch, fill: char, role: Role) {
    let style = pen.style(role);
    for cell in s.from / 8..s.to.div_ceil(8) {
        let from = s.from.saturating_sub(cell * 8);
        let to = (s.to - cell * 8).min(8);
        let at = x + cell as u16;
        if !pen.theme().glyphs.eighths {
            let glyph = if to - from >= 4 { fill } else { '▏' };
            pen.glyph(at, y, glyph, style);
            continue;
        }
        match (from, to) {
            (0, 8) => pen.glyph(at, y, fill, style),
            (0, _) => pen.glyph(at, y, LEFT[to as usize], style),
            // Reverse video shows the eighths that are left free in the colour of the ground.
            (_, 8) => {
                let style = style.add_modifier(Modifier::REVERSED);
                pen.glyph(at, y, LEFT[from as usize], style);
            }
            // Free at both ends: the nearest of what there is.
            (4.., _) => pen.glyph(at, y, '▐', style),
            _ => pen.glyph(at, y, LEFT[(to - from) as usize], style),
        }
    }
}

/// A share of a row of `width` cells; nothing for none, at least an eighth for some.
pub fn bar(pen: &mut Pen<'_>, at: (u16, u16), width: u16, share: f64, role: Role) {
    if share > 0.0 && share.is_finite() && width > 0 {
        stretch(pen, at, Stretch::of(0.0, share, 1.0, width), '█', role);
    }
}

/// A value from -1 to 1 to one side of a middle line: less to the left, more to the right.
pub fn both_ways(pen: &mut Pen<'_>, (x, y): (u16, u16), width: u16, value: f64) {
    let middle = width / 2;
    let size = value.abs().min(1.0);
    if value > 0.0 {
        bar(pen, (x + middle + 1, y), width - middle - 1, size, Role::Change(4));
    } else if value < 0.0 && middle > 0 {
        let whole = f64::from(middle);
        let s = Stretch::of(whole * (1.0 - size), whole, whole, middle);
        stretch(pen, (x, y), s, '█', Role::Change(0));
    }
    pen.put(x + middle, y, '│', Role::Border);
}
