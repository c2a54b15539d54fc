//! A line of eighths: the course of a value in one row.

use super::Pen;
use crate::theme::Role;

const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN: [char; 8] = ['_', '.', ',', '-', '=', '+', '*', '#'];

/// The glyph of a level from 0 to 7.
pub(super) fn level_glyph(pen: &Pen<'_>, level: usize) -> char {
    let level = level.min(7);
    if pen.theme().glyphs.eighths { EIGHTHS[level] } else { PLAIN[level] }
}

/// Draws values over `width` columns. The scale begins at zero unless a value is below; a missing value is a gap.
pub fn sparkline(
    pen: &mut Pen<'_>,
    (x, y): (u16, u16),
    width: u16,
    values: &[Option<f64>],
    role: Role,
) {
    let fitted = fit(values, usize::from(width));
    let known = || fitted.iter().flatten().copied();
    let low = known().fold(0.0, f64::min);
    let high = known().fold(low, f64::max);
    // A short series stands at the right, where now is.
    let start = usize::from(width).saturating_sub(fitted.len());
    for (at, value) in fitted.iter().enumerate() {
        let Some(value) = value else { continue };
        let share = if high > low { (value - low) / (high - low) } else { 0.0 };
        let glyph = level_glyph(pen, (share * 7.999) as usize);
        pen.put(x + (start + at) as u16, y, glyph, role);
    }
}

/// At most `width` values: the largest of those that share a column, since peaks are what is
/// looked for.
pub fn fit(values: &[Option<f64>], width: usize) -> Vec<Option<f64>> {
    let finite = |v: &Option<f64>| v.filter(|v| v.is_finite());
    if values.len() <= width {
        return values.iter().map(finite).collect();
    }
    (0..width)
        .map(|column| {
            let from = column * values.len() / width;
            let to = ((column + 1) * values.len() / width).max(from + 1);
            values[from..to].iter().filter_map(finite).reduce(f64::max)
        })
        .collect()
}
