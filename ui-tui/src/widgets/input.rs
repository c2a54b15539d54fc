//! A line of text that is edited: the filter line, the palette's question, a time range.

use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation;

use super::Pen;
use crate::safe_text::SafeText;
use crate::theme::Role;

/// Longest text that is taken.
pub const LENGTH_MAX: usize = 4096;

/// A text with a cursor between its signs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    text: String,
    /// In bytes, between two signs.
    cursor: usize,
}

/// What an edit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// One sign back.
    Left,
    /// One sign on.
    Right,
    /// One word back.
    WordLeft,
    /// One word on.
    WordRight,
    /// To the begin.
    Home,
    /// To the end.
    End,
    /// Removes the sign before the cursor.
    Backspace,
    /// Removes the sign behind it.
    Delete,
    /// Removes the word before it.
    DeleteWord,
    /// Removes all before it.
    DeleteToStart,
    /// Removes all behind it.
    DeleteToEnd,
}

impl Input {
    /// A text with the cursor behind it.
    pub fn new(text: &str) -> Self {
        let mut input = Self::default();
        input.insert(text);
        input
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The part before the cursor.
    pub fn before_cursor(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Characters before the cursor.
    pub fn position(&self) -> usize {
        self.before_cursor().chars().count()
    }

    /// True without text.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Another text, with the cursor behind it.
    pub fn set(&mut self, text: &str) {
        *self = Self::new(text);
    }

    /// Puts a text in at the cursor; line ends become spaces, and what is too long is left out.
    pub fn insert(&mut self, text: &str) {
        let room = LENGTH_MAX.saturating_sub(self.text.len());
        let mut one_line = String::with_capacity(text.len().min(room));
        for sign in text.chars() {
            let sign = if sign.is_control() { ' ' } else { sign };
            if one_line.len() + sign.len_utf8() > room {
                break;
            }
            one_line.push(sign);
        }
        self.text.insert_str(self.cursor, &one_line);
        self.cursor += one_line.len();
    }

    /// Puts a text in place of the characters from `from` to `to`; the cursor stands behind it.
    pub fn replace(&mut self, from: usize, to: usize, text: &str) {
        let byte = |at: usize| self.text.char_indices().nth(at).map_or(self.text.len(), |(b, _)| b);
        let (from, to) = (byte(from), byte(to.max(from)));
        self.text.replace_range(from..to, "");
        self.cursor = from;
        self.insert(text);
    }

    /// Moves or removes.
    pub fn edit(&mut self, edit: Edit) {
        let (left, right) = (self.sign_left(), self.sign_right());
        match edit {
            Edit::Left => self.cursor = left,
            Edit::Right => self.cursor = right,
            Edit::WordLeft => self.cursor = self.word_left(),
            Edit::WordRight => self.cursor = self.word_right(),
            Edit::Home => self.cursor = 0,
            Edit::End => self.cursor = self.text.len(),
            Edit::Backspace => self.remove(left, self.cursor),
            Edit::Delete => self.remove(self.cursor, right),
            Edit::DeleteWord => self.remove(self.word_left(), self.cursor),
            Edit::DeleteToStart => self.remove(0, self.cursor),
            Edit::DeleteToEnd => self.remove(self.cursor, self.text.len()),
        }
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn sign_left(&self) -> usize {
        self.before_cursor().grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn sign_right(&self) -> usize {
        let behind = &self.text[self.cursor..];
        self.cursor + behind.graphemes(true).next().map_or(0, str::len)
    }

    fn word_left(&self) -> usize {
        let words = self.before_cursor().unicode_word_indices();
        words.map(|(at, _)| at).next_back().unwrap_or(0)
    }

    fn word_right(&self) -> usize {
        let behind = &self.text[self.cursor..];
        let word = behind.unicode_word_indices().next();
        word.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }

    /// Draws the text so that the cursor is seen, with what is wrong underlined: from a character, and
    /// how many.
    pub fn render(&self, pen: &mut Pen<'_>, wrong: Option<(usize, usize)>) {
        let width = usize::from(pen.width());
        if width == 0 {
            return;
        }
        let safe = |text: &str| SafeText::new(text);
        let before = safe(self.before_cursor());
        // The cursor needs a column behind the text.
        let hidden = (before.width() + 1).saturating_sub(width);
        let (mut x, mut at) = (0usize, 0);
        for sign in self.text.graphemes(true) {
            let shown = safe(sign);
            let role = match wrong {
                Some((from, length)) if (from..from + length).contains(&at) => Role::Error,
                _ => Role::Text,
            };
            if x >= hidden {
                let room = (width - (x - hidden).min(width)) as u16;
                if usize::from(room) >= shown.width() {
                    pen.text((x - hidden) as u16, 0, room, &shown, role);
                }
            }
            x += shown.width();
            at += sign.chars().count();
        }
        let cursor = before.width().saturating_sub(hidden) as u16;
        let style: Style = pen.style(Role::Cursor);
        pen.restyle(cursor, 0, 1, 1, style);
    }
}
