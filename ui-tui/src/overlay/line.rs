//! The keys that edit a line of text.

use ratatui::crossterm::event::KeyCode;
use ratatui_textarea::{Input as Pressed, Key as Code};

use crate::event::Key;
use crate::widgets::input::{Edit, Input};

/// Takes a key that edits or moves within the line; true when the text changed.
pub(crate) fn take(line: &mut Input, key: Key) -> bool {
    let before = line.text().len();
    let word = key.ctrl || key.alt;
    let edit = match key.code {
        KeyCode::Left if word => Edit::WordLeft,
        KeyCode::Right if word => Edit::WordRight,
        KeyCode::Left => Edit::Left,
        KeyCode::Right => Edit::Right,
        KeyCode::Home => Edit::Home,
        KeyCode::End => Edit::End,
        KeyCode::Backspace if word => Edit::DeleteWord,
        KeyCode::Backspace => Edit::Backspace,
        KeyCode::Delete => Edit::Delete,
        KeyCode::Char('w') if key.ctrl => Edit::DeleteWord,
        KeyCode::Char('u') if key.ctrl => Edit::DeleteToStart,
        KeyCode::Char('k') if key.ctrl => Edit::DeleteToEnd,
        KeyCode::Char('e') if key.ctrl => Edit::End,
        _ => {
            let typed = key.typed().map(String::from);
            line.insert(typed.as_deref().unwrap_or(""));
            return line.text().len() != before;
        }
    };
    line.edit(edit);
    line.text().len() != before
}

/// A key as the text area of the SQL editor reads it; `None` for keys it has no use for.
pub(crate) fn pressed(key: Key) -> Option<Pressed> {
    let code = match key.code {
        KeyCode::Char(c) => Code::Char(c),
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        KeyCode::Enter => Code::Enter,
        KeyCode::Tab => Code::Tab,
        _ => return None,
    };
    Some(Pressed { key: code, ctrl: key.ctrl, alt: key.alt, shift: false })
}
