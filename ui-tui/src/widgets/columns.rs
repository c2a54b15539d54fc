//! Upright bars over several rows: distributions, volumes by kind.

use super::Pen;
use super::sparkline::level_glyph;
use crate::theme::Role;

/// A bar: its parts from the bottom up.
pub type Parts = Vec<(f64, Role)>;

/// Draws one bar a column, the largest as high as the pen. A part marked as [`Role::Error`] is drawn
/// with `x` where there is no colour to tell it by.
pub fn columns(pen: &mut Pen<'_>, bars: &[Parts]) {
    let height = pen.height();
    let whole = |parts: &Parts| parts.iter().map(|(v, _)| v.max(0.0)).sum::<f64>();
    let highest = bars.iter().map(whole).fold(0.0, f64::max);
    if highest <= 0.0 || !highest.is_finite() {
        return;
    }
    let eighths = f64::from(height) * 8.0;
    for (x, parts) in bars.iter().enumerate().take(pen.width().into()) {
        let mut below = 0.0;
        for (value, role) in parts {
            let from = below / highest * eighths;
            below += value.max(0.0);
            let to = below / highest * eighths;
            if *value > 0.0 {
                part(pen, x as u16, from.round() as u32, to.round() as u32, *role);
            }
        }
    }
}

/// A part of a bar, in eighths from the bottom; at least one.
fn part(pen: &mut Pen<'_>, x: u16, from: u32, to: u32, role: Role) {
    let height = u32::from(pen.height());
    let to = to.max(from + 1).min(height * 8);
    let errors_as_letters = role == Role::Error && pen.theme().depth() == crate::theme::Depth::None;
    for row in from / 8..to.div_ceil(8) {
        let filled = (to - row * 8).min(8);
        let y = (height - 1 - row) as u16;
        let glyph = match filled {
            _ if errors_as_letters => 'x',
            8 => '█',
            eighths => level_glyph(pen, eighths as usize - 1),
        };
        // A cell has one colour: that of the part which begins in it, unless errors are there already.
        pen.put(x, y, glyph, role);
    }
}
