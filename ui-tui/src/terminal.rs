//! The terminal: taken over at the start, and given back as it was on every way out.
//!
//! `ratatui::restore` ends raw mode and the alternate screen and nothing else. Here also the mouse,
//! bracketed paste, reports of the focus, the cursor and a synchronized update that was begun are
//! put back, when the guard is dropped and before a panic is reported.

use std::io::{self, Stdout, Write};

use crossterm::{Command, execute, queue, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// Terminal drawn on by ratatui.
pub(crate) type Screen = Terminal<CrosstermBackend<Stdout>>;

/// Owns the terminal; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    /// What is drawn on.
    pub(crate) screen: Screen,
    mouse: bool,
}

impl Guard {
    /// Takes the terminal over and installs the hook that gives it back before a panic is told.
    pub(crate) fn take(mouse: bool) -> io::Result<Guard> {
        restore_on_panic();
        let guard = Guard { screen: Terminal::new(CrosstermBackend::new(io::stdout()))?, mouse };
        enter(mouse)?;
        Ok(guard)
    }

    /// Gives the terminal back for a while: for an editor, or to be suspended.
    pub(crate) fn lend(&mut self) -> io::Result<()> {
        leave()
    }

    /// Takes it over again; all is drawn anew.
    pub(crate) fn take_back(&mut self) -> io::Result<()> {
        enter(self.mouse)?;
        // One that knows of nothing drawn. Its own `clear` would ask where the cursor is, and the
        // answer goes to whoever reads the keys.
        self.screen = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        execute!(io::stdout(), terminal::Clear(terminal::ClearType::All))
    }

    /// Writes a sequence that draws nothing.
    pub(crate) fn write(&mut self, sequence: &str) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(sequence.as_bytes())?;
        out.flush()
    }

    /// Switches the reports of the mouse on or off.
    pub(crate) fn mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on { execute!(io::stdout(), MouseOn) } else { execute!(io::stdout(), MouseOff) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = leave();
    }
}

fn enter(mouse: bool) -> io::Result<()> {
    terminal::enable_raw_mode()?;
    let mut out = io::stdout();
    queue!(
        out,
        terminal::EnterAlternateScreen,
        crossterm::event::EnableBracketedPaste,
        crossterm::event::EnableFocusChange,
        crossterm::cursor::Hide
    )?;
    if mouse {
        queue!(out, MouseOn)?;
    }
    out.flush()
}

/// All modes off, whichever were on: each of these is harmless when it was not.
pub(crate) fn leave() -> io::Result<()> {
    let mut out = io::stdout();
    queue!(
        out,
        terminal::EndSynchronizedUpdate,
        MouseOff,
        crossterm::event::DisableFocusChange,
        crossterm::event::DisableBracketedPaste,
        crossterm::style::ResetColor,
        crossterm::cursor::Show,
        terminal::LeaveAlternateScreen
    )?;
    out.flush()?;
    terminal::disable_raw_mode()
}

fn restore_on_panic() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A worker's panic becomes a failed pane; only that of the screen's own thread ends it.
            if !is_worker() {
                let _ = leave();
                report(panic);
            }
        }));
    });
}

/// The name that a runtime gives its threads.
fn is_worker() -> bool {
    std::thread::current().name().is_some_and(|name| name.starts_with("tokio"))
}

/// Buttons, motion while one is held, and the wheel. Not any motion, as crossterm's own command has
/// it: that sends bytes for every move, over SSH too.
#[derive(Debug)]
struct MouseOn;

impl Command for MouseOn {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str("\x1b[?1000h\x1b[?1002h\x1b[?1006h")
    }
}

/// Every kind of report off.
#[derive(Debug)]
struct MouseOff;

impl Command for MouseOff {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str("\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l")
    }
}
