//! All that can wake the explorer, and the names of keys.

use std::fmt;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::request::Outcome;
use crate::slot::Ticket;

#[cfg(test)]
mod tests;

/// The two clocks, read by the runtime and given with each event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Now {
    /// Milliseconds since the start; never runs backwards.
    pub(crate) mono_ms: u64,
    /// Nanoseconds since the Unix epoch.
    pub(crate) unix_ns: i64,
}

/// What happened. Nothing else changes the state of the explorer.
#[derive(Debug)]
pub(crate) enum Event {
    /// A key was pressed.
    Key(Key),
    /// The mouse did something at a cell.
    Mouse(Mouse),
    /// Text was pasted; it is never read as keys.
    Paste(String),
    /// The terminal has another size.
    Resize {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// The terminal was given or lost the focus.
    Focus(bool),
    /// The time asked for by [`crate::app::App::wake_at_ms`] has come.
    Tick,
    /// A request was answered or failed.
    Answer(Ticket, Outcome),
    /// A file was written, or why not.
    Wrote(Result<String, String>),
    /// The process was asked to stop, as by the shell's job control.
    Stop,
    /// The process was asked to end.
    Terminate,
}

/// A key with its modifiers, in the form in which the action table writes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) code: KeyCode,
    pub(crate) ctrl: bool,
    pub(crate) alt: bool,
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Key {
        let code = match event.code {
            // With ctrl the terminal may send either case.
            KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => {
                KeyCode::Char(c.to_ascii_lowercase())
            }
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            code => code,
        };
        Key {
            code,
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
        }
    }
}

/// Keys that have a name of their own.
const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("space", KeyCode::Char(' ')),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
];

impl Key {
    /// Reads `x`, `G`, `enter`, `f5`, `ctrl-d`, `alt-right`.
    pub(crate) fn parse(text: &str) -> Option<Key> {
        let (ctrl, rest) = text.strip_prefix("ctrl-").map_or((false, text), |rest| (true, rest));
        let (alt, rest) = rest.strip_prefix("alt-").map_or((false, rest), |rest| (true, rest));
        let code = named(rest).or_else(|| function(rest)).or_else(|| single(rest))?;
        Some(Key { code, ctrl, alt })
    }

    /// The character typed, if the key types one.
    pub(crate) fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }
}

fn named(text: &str) -> Option<KeyCode> {
    NAMED.iter().find(|(name, _)| *name == text).map(|(_, code)| *code)
}

fn function(text: &str) -> Option<KeyCode> {
    text.strip_prefix('f')?.parse().ok().map(KeyCode::F)
}

fn single(text: &str) -> Option<KeyCode> {
    let mut chars = text.chars();
    let c = chars.next()?;
    chars.next().is_none().then_some(KeyCode::Char(c))
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("ctrl-")?;
        }
        if self.alt {
            f.write_str("alt-")?;
        }
        match (NAMED.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::Char(c)) => write!(f, "{c}"),
            (None, KeyCode::F(n)) => write!(f, "f{n}"),
            (None, _) => f.write_str("?"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What the mouse did, at which cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mouse {
    pub(crate) x: u16,
    pub(crate) y: u16,
    pub(crate) did: Gesture,
}

/// The gestures that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gesture {
    /// The left button went down.
    Press,
    /// It moved while held.
    Drag,
    /// It was let go.
    Release,
    /// The right button went down.
    Menu,
    /// The wheel turned by so many steps, down positive; with ctrl held it zooms.
    Wheel { steps: i16, ctrl: bool },
}
