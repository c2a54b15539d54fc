//! Copying through the terminal (OSC 52), which works over SSH and has no acknowledgement, or through
//! the host's own tool. Only a key press copies.

use std::fmt;

use crossterm::Command;
use crossterm::clipboard::CopyToClipboard;

#[cfg(test)]
mod tests;

/// Terminals drop longer sequences without a word (the strictest of the widespread ones at 74,994
/// bytes of text); what is longer goes to a file, whose path is copied.
pub const BYTES_MAX: usize = 64 * 1024;

/// The way to the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The terminal carries it.
    Terminal,
    /// A program of the host does.
    Host(&'static [&'static str]),
}

/// What is known of the surroundings.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `SSH_TTY` or `SSH_CONNECTION` is set: the host's clipboard is not the one before the user.
    pub is_remote: bool,
    /// `WAYLAND_DISPLAY` is set.
    pub has_wayland: bool,
    /// `DISPLAY` is set.
    pub has_x11: bool,
    /// It is a Mac.
    pub is_mac: bool,
}

impl Surroundings {
    /// By the environment.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).is_some_and(|v| !v.is_empty());
        Self {
            is_remote: set("SSH_TTY") || set("SSH_CONNECTION"),
            has_wayland: set("WAYLAND_DISPLAY"),
            has_x11: set("DISPLAY"),
            is_mac: cfg!(target_os = "macos"),
        }
    }

    /// The way that reaches the clipboard of the person at the keyboard.
    pub fn way(&self) -> Way {
        match self {
            Self { is_remote: true, .. } => Way::Terminal,
            Self { is_mac: true, .. } => Way::Host(&["pbcopy"]),
            Self { has_wayland: true, .. } => Way::Host(&["wl-copy"]),
            Self { has_x11: true, .. } => Way::Host(&["xclip", "-selection", "clipboard"]),
            _ => Way::Terminal,
        }
    }
}

/// The text is too long for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// Its length.
    pub bytes: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes are more than a terminal takes ({BYTES_MAX})", self.bytes)
    }
}

impl std::error::Error for TooLong {}

/// The sequence that asks the terminal to put a text onto its clipboard.
pub fn sequence(text: &str) -> Result<String, TooLong> {
    if text.len() > BYTES_MAX {
        return Err(TooLong { bytes: text.len() });
    }
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = CopyToClipboard::to_clipboard_from(text).write_ansi(&mut out);
    Ok(out)
}
