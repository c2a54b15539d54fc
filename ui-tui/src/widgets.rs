//! What screens are drawn with. A widget knows nothing of telemetry: it takes [`SafeText`], names
//! [`Role`]s, draws into a [`Pen`] and changes nothing.
//!
//! Every widget draws at any size, none included, and has a plain form for terminals without the
//! glyphs it would like.

use crate::safe_text::SafeText;
use crate::theme::Role;

pub mod bars;
pub mod chart;
pub mod columns;
pub mod flame;
pub mod heatmap;
pub mod input;
pub mod map;
pub mod pen;
pub mod sparkline;
pub mod table;
pub mod waterfall;

#[cfg(test)]
pub(crate) mod tests;

pub use pen::Pen;

/// What stands in front of a row: a glyph first, a colour second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing to say.
    #[default]
    None,
    /// Failed.
    Error,
    /// Where the failure began.
    Origin,
    /// Degraded.
    Degraded,
    /// Waiting, or not settled yet.
    Waiting,
    /// The parent did not arrive.
    Orphan,
    /// Asynchronous, or reached by a link.
    Async,
}

impl Mark {
    /// Its glyph.
    pub fn glyph(self) -> char {
        match self {
            Mark::None => ' ',
            Mark::Error => 'x',
            Mark::Origin => 'X',
            Mark::Degraded => '!',
            Mark::Waiting => '~',
            Mark::Orphan => '?',
            Mark::Async => '┄',
        }
    }

    /// Its role.
    pub fn role(self) -> Role {
        match self {
            Mark::None => Role::Text,
            Mark::Error | Mark::Origin => Role::Error,
            Mark::Degraded | Mark::Waiting | Mark::Orphan => Role::Warn,
            Mark::Async => Role::Async,
        }
    }
}

/// A text with what it means.
pub type Piece = (SafeText, Role);

/// A text with what it means.
pub fn piece(text: impl Into<SafeText>, role: Role) -> Piece {
    (text.into(), role)
}

/// The first row to show of `len`, so that the cursor is seen: as little away from `first` as
/// possible, and no empty rows behind the last while there are others to show.
pub fn first_visible(first: usize, cursor: usize, height: usize, len: usize) -> usize {
    if height == 0 || len <= height {
        return 0;
    }
    let cursor = cursor.min(len - 1);
    let lowest = (cursor + 1).saturating_sub(height);
    first.clamp(lowest, cursor).min(len - height)
}
