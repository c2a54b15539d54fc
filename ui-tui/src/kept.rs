//! What is kept over restarts: bookmarks, filters and statements. Plain values; `files` reads and
//! writes them.

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Each has a letter.
const BOOKMARKS_MAX: usize = 26;
const FILTERS_MAX: usize = 100;
const STATEMENTS_MAX: usize = 500;
/// Longer texts are not kept.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Everything that is kept, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Kept {
    pub(crate) filters: Vec<String>,
    pub(crate) statements: Vec<String>,
    pub(crate) bookmarks: Vec<Bookmark>,
}

/// A view with the words of its breadcrumb.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bookmark {
    pub(crate) name: String,
    /// As [`crate::link`] writes it.
    pub(crate) link: String,
}

/// One thing more to be kept, or one less. Several explorers add to the same file, so a change is
/// made to what stands there, and not the whole written over it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Filter(String),
    Statement(String),
    Bookmark(Bookmark),
    /// The bookmark of a link.
    Forget(String),
}

impl Kept {
    pub(crate) fn change(&mut self, change: &Change) {
        match change {
            Change::Filter(text) => newest(&mut self.filters, text, FILTERS_MAX),
            Change::Statement(text) => newest(&mut self.statements, text, STATEMENTS_MAX),
            Change::Bookmark(bookmark) => {
                self.bookmarks.retain(|held| held.link != bookmark.link);
                self.bookmarks.push(bookmark.clone());
                cut(&mut self.bookmarks, BOOKMARKS_MAX);
            }
            Change::Forget(link) => self.bookmarks.retain(|held| held.link != *link),
        }
    }
}

/// Puts a text at the end; once is enough.
fn newest(texts: &mut Vec<String>, text: &str, most: usize) {
    if text.len() <= TEXT_BYTES_MAX {
        texts.retain(|held| held != text);
        texts.push(text.to_owned());
        cut(texts, most);
    }
}

fn cut<T>(list: &mut Vec<T>, most: usize) {
    list.drain(..list.len().saturating_sub(most));
}
