//! Frames over frames: width is time or weight, a row below is what was called.

use super::Pen;
use crate::safe_text::SafeText;
use crate::theme::Role;

/// A frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its row; 0 is the uppermost.
    pub level: u16,
    /// Begin, from 0 to 1 of what is shown.
    pub from: f64,
    /// End.
    pub to: f64,
    /// What stands in it, as far as it fits.
    pub label: SafeText,
    /// What it means.
    pub role: Role,
    /// It is under the cursor.
    pub is_cursor: bool,
}

/// Draws frames, of which `first_level` is the uppermost row. Each begins with `▏`; frames narrower than a
/// column leave it to the one that begins there first.
pub fn flame(pen: &mut Pen<'_>, frames: &[Frame], first_level: u16) {
    let width = f64::from(pen.width());
    for frame in frames {
        let Some(y) = frame.level.checked_sub(first_level).filter(|y| *y < pen.height()) else {
            continue;
        };
        if frame.to <= 0.0 || frame.from >= 1.0 {
            continue;
        }
        let x = (frame.from.max(0.0) * width) as u16;
        let end = ((frame.to.min(1.0) * width).round() as u16).max(x + 1).min(pen.width());
        pen.put(x, y, '▏', frame.role);
        pen.text(x + 1, y, end.saturating_sub(x + 1), &frame.label, frame.role);
        if frame.is_cursor {
            pen.restyle(x, y, end.saturating_sub(x), 1, pen.style(Role::Cursor));
        }
    }
}
