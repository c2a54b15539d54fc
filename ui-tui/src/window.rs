//! The cursor of a list and the slice of it that is on the screen.
//!
//! The cursor belongs to a row, not to a place: after a refresh it stands on the same row, wherever
//! that has gone. Only the visible slice is ever made into cells.

use std::ops::Range;

use crate::action::Action;

#[cfg(test)]
mod tests;

/// Cursor and scroll position of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    at: usize,
    top: usize,
    /// Identity of the row under the cursor.
    key: Option<String>,
}

impl List {
    /// The row under the cursor, if there is any row.
    pub(crate) fn at(&self, len: usize) -> Option<usize> {
        (len > 0).then(|| self.at.min(len - 1))
    }

    /// The rows on the screen: `height` of them at most, the cursor among them.
    pub(crate) fn window(&self, len: usize, height: usize) -> Range<usize> {
        let Some(at) = self.at(len) else { return 0..0 };
        if height == 0 {
            return at..at;
        }
        let lowest = (at + 1).saturating_sub(height);
        let last = len.saturating_sub(height);
        let top = self.top.clamp(lowest, at).min(last.max(lowest));
        top..len.min(top + height)
    }

    /// Puts the cursor on a row and keeps it on the screen.
    pub(crate) fn to(&mut self, at: usize, len: usize, height: usize) {
        self.at = at.min(len.saturating_sub(1));
        self.top = self.window(len, height).start;
    }

    /// Puts the cursor on a row of the screen; true when it stood there already.
    pub(crate) fn click(&mut self, row: usize, len: usize, height: usize) -> bool {
        let window = self.window(len, height);
        let at = window.start + row;
        let was_there = window.contains(&at) && self.at(len) == Some(at);
        if window.contains(&at) {
            self.to(at, len, height);
        }
        was_there
    }

    /// Carries out an action that moves; false when it is none.
    pub(crate) fn act(&mut self, action: Action, len: usize, height: usize) -> bool {
        let at = self.at.min(len.saturating_sub(1));
        let half = (height / 2).max(1);
        let to = match action {
            Action::Up => at.saturating_sub(1),
            Action::Down => at + 1,
            Action::Top => 0,
            Action::Bottom => len.saturating_sub(1),
            Action::HalfDown => at + half,
            Action::HalfUp => at.saturating_sub(half),
            Action::PageDown => at + height.max(1),
            Action::PageUp => at.saturating_sub(height.max(1)),
            _ => return false,
        };
        self.to(to, len, height);
        true
    }

    /// Remembers whose row the cursor stands on.
    pub(crate) fn hold(&mut self, key: impl Into<String>) {
        self.key = Some(key.into());
    }

    /// Forgets the row: the next answer puts the cursor where it likes.
    pub(crate) fn release(&mut self) {
        *self = List::default();
    }

    /// Finds the held row again among new ones; without it the cursor keeps its place.
    pub(crate) fn find<'a>(&mut self, mut keys: impl Iterator<Item = &'a str>) {
        let Some(held) = &self.key else { return };
        if let Some(at) = keys.position(|key| key == held) {
            self.at = at;
        }
    }
}

/// The next place, going round, at which something holds.
pub(crate) fn next_where(
    from: usize,
    len: usize,
    forward: bool,
    holds: impl Fn(usize) -> bool,
) -> Option<usize> {
    let step = |n: usize| if forward { (from + n) % len } else { (from + len - n % len) % len };
    (1..=len).map(step).find(|at| holds(*at))
}
