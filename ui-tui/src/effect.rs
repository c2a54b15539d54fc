//! What the explorer wants done outside of itself, as data. Only the runtime carries it out.

use crate::kept::Change;
use crate::request::Request;
use crate::slot::Ticket;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Ask, and come back with [`crate::event::Event::Answer`].
    Ask {
        ticket: Ticket,
        request: Request,
        /// Past every cache.
        fresh: bool,
    },
    /// Stop asking, here and on the server.
    Cancel(Ticket),
    /// Put a text on the clipboard.
    Copy(String),
    /// Write a new file into the directory the explorer was started in.
    Write { name: String, bytes: Vec<u8> },
    /// Ask for an answer in a format of the server's and write it to a file as it comes.
    Download { name: String, request: Request },
    /// Open a text in the person's editor.
    Edit(String),
    /// Keep something over restarts, or no longer.
    Keep(Change),
    /// Switch the reports of the mouse on or off.
    Mouse(bool),
    /// Stand back as a job of the shell.
    Suspend,
    /// Leave.
    Quit,
}
