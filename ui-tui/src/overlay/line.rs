//! One line of typed text. Editing, undo included, is the text area's.

use ratatui::crossterm::event::KeyCode;
use ratatui_textarea::{CursorMove, Input, Key as Pressed, TextArea};

use crate::event::Key;
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::Pen;

/// Characters of a line at most; what is pasted beyond is dropped.
const CHARS_MAX: usize = 4_000;

/// A line with its cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    area: TextArea<'static>,
}

impl Line {
    /// A line with a text, the cursor behind it.
    pub(crate) fn new(text: &str) -> Line {
        let mut area = TextArea::new(vec![one_line(text)]);
        area.move_cursor(CursorMove::End);
        Line { area }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        self.area.lines().first().map_or("", String::as_str)
    }

    /// Characters in front of the cursor.
    pub(crate) fn position(&self) -> usize {
        let cursor = self.area.cursor();
        cursor.1
    }

    /// Takes a key that edits or moves within the line; true when the text changed.
    pub(crate) fn key(&mut self, key: Key) -> bool {
        match pressed(key) {
            Some(input) if !matches!(input.key, Pressed::Enter | Pressed::Tab) => {
                // Ctrl-M is Enter in the text area.
                if input.ctrl && input.key == Pressed::Char('m') {
                    return false;
                }
                self.area.input(input)
            }
            _ => false,
        }
    }

    /// Inserts text at the cursor.
    pub(crate) fn insert(&mut self, text: &str) {
        let room = CHARS_MAX.saturating_sub(self.text().chars().count());
        let text: String = one_line(text).chars().take(room).collect();
        self.area.insert_str(text);
    }

    /// Puts a text in the place of some characters; the cursor goes behind it.
    pub(crate) fn replace(&mut self, from: usize, to: usize, with: &str) {
        let chars: Vec<char> = self.text().chars().collect();
        let from = from.min(chars.len());
        let to = to.clamp(from, chars.len());
        let head: String = chars[..from].iter().collect();
        let tail: String = chars[to..].iter().collect();
        *self = Line::new(&format!("{head}{with}{tail}"));
        let back = tail.chars().count();
        (0..back).for_each(|_| self.area.move_cursor(CursorMove::Back));
    }

    /// Draws the text and its cursor; a long one shows the part around the cursor.
    pub(crate) fn draw(&self, pen: &mut Pen<'_>, (x, y): (u16, u16), width: u16) {
        let width = width.min(pen.width().saturating_sub(x));
        if width == 0 {
            return;
        }
        let at = self.position();
        let skip = (at + 1).saturating_sub(usize::from(width));
        let seen: String = self.text().chars().skip(skip).take(usize::from(width)).collect();
        pen.row(x, y, width, ' ', Role::Text);
        pen.text(x, y, width, &SafeText::new(&seen), Role::Text);
        let before: String = seen.chars().take(at - skip).collect();
        let column = u16::try_from(SafeText::new(before).width()).unwrap_or(0).min(width - 1);
        let under = seen.chars().nth(at - skip).unwrap_or(' ');
        pen.text(x + column, y, 1, &SafeText::new(under.to_string()), Role::Cursor);
        pen.restyle(x + column, y, 1, 1, pen.style(Role::Cursor));
    }
}

/// A key as the text area reads it; `None` for keys it has no use for.
pub(crate) fn pressed(key: Key) -> Option<Input> {
    let of = match key.code {
        KeyCode::Char(c) => Pressed::Char(c),
        KeyCode::Backspace => Pressed::Backspace,
        KeyCode::Delete => Pressed::Delete,
        KeyCode::Left => Pressed::Left,
        KeyCode::Right => Pressed::Right,
        KeyCode::Up => Pressed::Up,
        KeyCode::Down => Pressed::Down,
        KeyCode::Home => Pressed::Home,
        KeyCode::End => Pressed::End,
        KeyCode::PageUp => Pressed::PageUp,
        KeyCode::PageDown => Pressed::PageDown,
        KeyCode::Enter => Pressed::Enter,
        KeyCode::Tab => Pressed::Tab,
        _ => return None,
    };
    Some(Input { key: of, ctrl: key.ctrl, alt: key.alt, shift: false })
}

fn one_line(text: &str) -> String {
    let spaced = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(CHARS_MAX).map(spaced).collect::<String>()
}
