//! The only text a widget takes: what came from telemetry, a server or a file cannot move the
//! cursor, change colours, hide itself or reorder its neighbours.
//!
//! Every way to make a [`SafeText`] goes through [`SafeText::new`].

use std::borrow::Cow;
use std::fmt;

use ratatui::buffer::CellWidth;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthChar;

#[cfg(test)]
mod tests;

/// Stands for a sign that would act on the terminal or not be seen.
pub const HIDDEN: char = '\u{fffd}';
/// Stands for the end of a line.
pub const NEWLINE: char = '↵';
/// Marks that may stand on one letter; some scripts need three, hostile text has hundreds.
const MARKS_PER_SIGN: usize = 3;

/// Text that can be drawn as it is, in one line.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SafeText {
    text: Box<str>,
    width: usize,
}

impl SafeText {
    /// Makes any text safe: a control, bidirectional, zero-width or tag character becomes `�`, a
    /// tab a space, the end of a line `↵`.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::of(cleaned(text.as_ref()))
    }

    /// The first `columns` of a text, which may be very long: the rest is not looked at.
    pub fn start_of(text: &str, columns: usize) -> Self {
        // Each column takes a few signs at most; the factor leaves room for marks.
        let end = text.char_indices().nth(columns.saturating_mul(4)).map_or(text.len(), |(i, _)| i);
        let whole = Self::new(&text[..end]);
        if end == text.len() && whole.width <= columns {
            return whole;
        }
        let kept = whole.prefix(columns.saturating_sub(1)).to_owned();
        if columns == 0 { Self::default() } else { Self::of(Cow::Owned(kept + "…")) }
    }

    /// The begin and the end of a name, which tells it from others of its kind:
    /// `sqlite:ord…@shard-2`.
    pub fn both_ends(text: &str, columns: usize) -> Self {
        const SEEN: usize = 1_024;
        let whole = Self::start_of(text, columns.max(SEEN));
        if whole.width <= columns || columns < 3 {
            return Self::start_of(text, columns);
        }
        let end = (columns / 3).max(1);
        Self::of(Cow::Owned(format!("{}…{}", whole.prefix(columns - 1 - end), whole.suffix(end))))
    }

    fn of(text: Cow<'_, str>) -> Self {
        let width = drawn_width(&text);
        Self { text: text.into(), width }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Columns it takes.
    pub fn width(&self) -> usize {
        self.width
    }

    /// True when there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text within `columns`: whole, or cut and ended by `ellipsis`.
    pub fn fit(&self, columns: usize, ellipsis: char) -> Cow<'_, str> {
        match columns {
            _ if self.width <= columns => Cow::Borrowed(&self.text),
            0 => Cow::Borrowed(""),
            _ => Cow::Owned(format!("{}{ellipsis}", self.prefix(columns - 1))),
        }
    }

    /// The text within `columns` with its end kept: `…fig/payment.toml`.
    pub fn fit_end(&self, columns: usize, ellipsis: char) -> Cow<'_, str> {
        match columns {
            _ if self.width <= columns => Cow::Borrowed(&self.text),
            0 => Cow::Borrowed(""),
            _ => Cow::Owned(format!("{ellipsis}{}", self.suffix(columns - 1))),
        }
    }

    /// As many whole signs from the begin as fit.
    fn prefix(&self, columns: usize) -> &str {
        let mut used = 0;
        for (at, sign) in self.text.grapheme_indices(true) {
            used += usize::from(sign.cell_width());
            if used > columns {
                return &self.text[..at];
            }
        }
        &self.text
    }

    /// As many whole signs from the end as fit.
    fn suffix(&self, columns: usize) -> &str {
        let mut used = 0;
        for (at, sign) in self.text.grapheme_indices(true).rev() {
            used += usize::from(sign.cell_width());
            if used > columns {
                return &self.text[at + sign.len()..];
            }
        }
        &self.text
    }

    /// Both texts, one behind the other.
    pub fn then(&self, other: &SafeText) -> Self {
        Self::of(Cow::Owned(format!("{}{}", self.text, other.text)))
    }

    /// Cut into lines of at most `columns`, between words where there is a gap in the last third.
    pub fn wrapped(&self, columns: usize) -> Vec<SafeText> {
        let mut lines = Vec::new();
        let mut rest = self.clone();
        while columns > 1 && rest.width > columns {
            let fits = match rest.prefix(columns) {
                // One sign wider than a line: better broken than endless.
                "" => &rest.text[..rest.text.chars().next().map_or(0, char::len_utf8)],
                fits => fits,
            };
            let gap = fits.rfind(' ').filter(|gap| *gap * 3 >= fits.len() * 2);
            let end = gap.map_or(fits.len(), |gap| gap + 1);
            let tail = Self::of(Cow::Borrowed(&rest.text[end..]));
            lines.push(Self::of(Cow::Borrowed(fits[..end].trim_end())));
            rest = tail;
        }
        lines.push(rest);
        lines
    }
}

impl fmt::Debug for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for SafeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl From<&str> for SafeText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for SafeText {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&String> for SafeText {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl From<&SafeText> for SafeText {
    fn from(text: &SafeText) -> Self {
        text.clone()
    }
}

/// Columns that a buffer gives to a text: sign by sign, as it draws them.
fn drawn_width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.graphemes(true).map(|sign| usize::from(sign.cell_width())).sum()
}

fn cleaned(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '\r' if signs.peek() == Some(&'\n') => continue,
            '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push(NEWLINE),
            '\t' => out.push(' '),
            // Only chooses between two looks of the sign before, and terminals disagree on the width.
            '\u{fe0e}' | '\u{fe0f}' => continue,
            hidden if is_hidden(hidden) => out.push(HIDDEN),
            mark if mark.width() == Some(0) => {
                marks += 1;
                match marks {
                    _ if marks <= MARKS_PER_SIGN && !out.is_empty() => out.push(mark),
                    1 => out.push(HIDDEN),
                    _ if marks == MARKS_PER_SIGN + 1 => out.push(HIDDEN),
                    _ => {}
                }
                continue;
            }
            other => out.push(other),
        }
        marks = 0;
    }
    Cow::Owned(out)
}

/// Characters that act on the terminal, turn the direction of the line, or take no room though
/// they change the text.
fn is_hidden(sign: char) -> bool {
    sign.is_control()
        || matches!(sign,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
