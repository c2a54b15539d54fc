//! A graph as a matrix: callers down, callees across; for graphs too large for lines.

use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::{Pen, first_visible};

/// Columns a callee takes.
const COLUMN: u16 = 3;

/// What joins two nodes.
pub type Joint = Option<(char, Role)>;

/// A matrix.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// Names of the nodes.
    pub names: &'a [SafeText],
    /// What joins a caller and a callee.
    pub joint: &'a dyn Fn(usize, usize) -> Joint,
    /// Caller and callee under the cursor.
    pub cursor: (usize, usize),
}

impl std::fmt::Debug for Matrix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matrix").field("names", &self.names.len()).finish()
    }
}

impl Matrix<'_> {
    /// Draws the part around the cursor.
    pub fn render(&self, pen: &mut Pen<'_>) {
        let widest = self.names.iter().map(SafeText::width).max().unwrap_or(0) as u16;
        let names = widest.min(pen.width() / 3);
        let columns = usize::from(pen.width().saturating_sub(names + 1) / COLUMN);
        let rows = usize::from(pen.height().saturating_sub(1));
        let tags = tags(self.names);
        let left = first_visible(0, self.cursor.1, columns, self.names.len());
        let top = first_visible(0, self.cursor.0, rows, self.names.len());
        for (at, callee) in (left..self.names.len()).take(columns).enumerate() {
            let x = names + 1 + at as u16 * COLUMN;
            let role = if callee == self.cursor.1 { Role::Accent } else { Role::Head };
            pen.text(x, 0, COLUMN - 1, &tags[callee], role);
        }
        for (line, caller) in (top..self.names.len()).take(rows).enumerate() {
            let y = line as u16 + 1;
            let role = if caller == self.cursor.0 { Role::Accent } else { Role::Text };
            pen.right(0, y, names, &self.names[caller], role);
            for (at, callee) in (left..self.names.len()).take(columns).enumerate() {
                let x = names + 1 + at as u16 * COLUMN;
                let (glyph, role) = match (self.joint)(caller, callee) {
                    _ if caller == callee => ('-', Role::Dim),
                    Some(joint) => joint,
                    None => ('·', Role::Dim),
                };
                pen.put(x, y, glyph, role);
                if (caller, callee) == self.cursor {
                    pen.restyle(x, y, COLUMN - 1, 1, pen.style(Role::Cursor));
                }
            }
        }
    }
}

/// Two letters for each name: its first, and the first of the others that tells it from the names before
/// it, as far as there is one.
pub fn tags(names: &[SafeText]) -> Vec<SafeText> {
    let mut tags: Vec<SafeText> = Vec::with_capacity(names.len());
    for name in names {
        let letters = || name.as_str().chars().filter(|c| c.is_alphanumeric());
        let first = letters().next().unwrap_or('?');
        let with = |second: char| SafeText::new(format!("{first}{second}"));
        let free = letters().skip(1).map(with).find(|tag| !tags.contains(tag));
        let plain: String = letters().take(2).collect();
        let plain = if plain.is_empty() { "??" } else { &plain };
        tags.push(free.unwrap_or_else(|| SafeText::new(plain)));
    }
    tags
}
