//! The filter line while it is edited: what it means is asked for as one types, and candidates for
//! the place of the cursor are offered. Typing never waits for either.

use api::client::ClientError;
use api::views::{Complete, CompleteAnswer, FilterAnswer, FilterLine as Meaning, Options};

use super::Next;
use super::line;
use crate::event::{Key, Now};
use crate::format;
use crate::overlay::Deed;
use crate::pane;
use crate::request::{Outcome, Request};
use crate::scope::Fixed;
use crate::slot::{Outbox, Slot, State, Ticket};
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::input::Input;

#[cfg(test)]
mod tests;

/// Typing must rest for so long before anything is asked.
const REST_MS: u64 = 120;
const CANDIDATES_SHOWN: usize = 8;

/// The line with what is known of it.
#[derive(Debug)]
pub(crate) struct FilterLine {
    line: Input,
    /// What it is over: `spans`, `traces`, `logs`, `metrics`; none: it is not sent to the server.
    table: Option<&'static str>,
    fixed: Fixed,
    complete: Slot,
    meaning: Slot,
    /// The candidate under the cursor, once one was chosen.
    chosen: Option<usize>,
    /// Filters applied before, the newest last, and which of them is shown.
    history: Vec<String>,
    past: Option<usize>,
}

impl FilterLine {
    /// Edits a filter over a table; without one it is a text to find.
    pub(crate) fn new(
        text: &str,
        table: Option<&'static str>,
        fixed: Fixed,
        history: Vec<String>,
    ) -> FilterLine {
        let spaced =
            if text.is_empty() || table.is_none() { text.to_owned() } else { format!("{text} ") };
        FilterLine {
            line: Input::new(&spaced),
            table,
            fixed,
            complete: Slot::default(),
            meaning: Slot::default(),
            chosen: None,
            history,
            past: None,
        }
    }

    /// Asks for candidates, as after every change.
    pub(crate) fn changed(&mut self, now: Now) {
        self.chosen = None;
        let Some(table) = self.table else { return };
        let text = self.line.text().to_owned();
        let complete = Complete {
            text: Some(text.clone()),
            position: Some(self.line.position() as u64),
            table: Some(table.to_owned()),
            from: self.fixed.from(),
            to: self.fixed.to(),
        };
        let meaning =
            Meaning { text: Some(text), table: Some(table.to_owned()), ..Meaning::default() };
        self.complete.want_after(Request::view(&complete, &Options::default()), REST_MS, now);
        self.meaning.want_after(Request::view(&meaning, &Options::default()), REST_MS, now);
    }

    pub(super) fn key(&mut self, key: Key, now: Now, out: &mut Outbox) -> Next {
        match key.to_string().as_str() {
            "esc" if self.chosen.is_some() => self.chosen = None,
            "esc" => return Next::Close,
            "enter" if self.chosen.is_some() => self.insert_chosen(now),
            "enter" => return Next::Do(Deed::Filter(self.line.text().trim().to_owned())),
            "tab" => self.tab(now),
            "backtab" => self.choose(false),
            "down" if self.candidates().is_some() => self.choose(true),
            "up" if self.chosen.is_some() => self.choose(false),
            "up" => self.recall(true, now),
            "down" => self.recall(false, now),
            _ => {
                if line::take(&mut self.line, key) {
                    self.changed(now);
                }
            }
        }
        let _ = out;
        Next::Stay
    }

    pub(super) fn paste(&mut self, text: &str, now: Now) {
        self.line.insert(text);
        self.changed(now);
    }

    /// The first Tab chooses the first candidate, and puts it in where it is the only one.
    fn tab(&mut self, now: Now) {
        match self.candidates().map(|answer| answer.rows.len()) {
            Some(1) => {
                self.chosen = Some(0);
                self.insert_chosen(now);
            }
            Some(_) => self.choose(true),
            None => {}
        }
    }

    fn choose(&mut self, forward: bool) {
        let Some(len) = self.candidates().map(|answer| answer.rows.len().min(CANDIDATES_SHOWN))
        else {
            return;
        };
        self.chosen = Some(match (self.chosen, forward) {
            (None, true) => 0,
            (None, false) => len - 1,
            (Some(at), true) => (at + 1) % len,
            (Some(at), false) => (at + len - 1) % len,
        });
    }

    fn insert_chosen(&mut self, now: Now) {
        let picked = self.chosen.take().and_then(|at| {
            let answer = self.candidates()?;
            let row = answer.rows.get(at)?;
            Some((answer.from as usize, answer.to as usize, row.text.clone()))
        });
        if let Some((from, to, text)) = picked {
            self.line.replace(from, to, &text);
            self.changed(now);
        }
    }

    fn recall(&mut self, older: bool, now: Now) {
        let len = self.history.len();
        let at = match (self.past, older) {
            (None, true) => len.checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1).filter(|at| *at < len),
            (None, false) => None,
        };
        self.past = at;
        if let Some(at) = at {
            self.line = Input::new(&self.history[at]);
            self.changed(now);
        }
    }

    /// Candidates that are about the text as it stands.
    fn candidates(&self) -> Option<&CompleteAnswer> {
        let answer: &CompleteAnswer = self.complete.get()?;
        (self.complete.is_current() && !answer.rows.is_empty()).then_some(answer)
    }

    pub(super) fn answer(&mut self, ticket: Ticket, outcome: &Outcome, now: Now) -> bool {
        self.complete.answer(ticket, outcome, now) || self.meaning.answer(ticket, outcome, now)
    }

    pub(super) fn tick(&mut self, now: Now, out: &mut Outbox) {
        self.complete.tick(now, out);
        self.meaning.tick(now, out);
    }

    pub(super) fn wake_at_ms(&self, now: Now) -> Option<u64> {
        [self.complete.wake_at_ms(now), self.meaning.wake_at_ms(now)].into_iter().flatten().min()
    }

    pub(super) fn cancel(&mut self, out: &mut Outbox) {
        self.complete.cancel(out);
        self.meaning.cancel(out);
    }

    pub(super) fn draw(&self, now: Now, pen: &mut Pen<'_>) {
        let width = pen.width();
        pen.row(0, 1, width, ' ', Role::Text);
        pen.text(1, 1, 2, &"/ ".into(), Role::Accent);
        self.line.render(&mut pen.part(3, 1, width.saturating_sub(4), 1), None);
        let (text, role) = self.says(now);
        pen.row(0, 2, width, ' ', role);
        pen.text(3, 2, width.saturating_sub(4), &text.into(), role);
        self.draw_candidates(pen);
    }

    /// What the line means, what is wrong with it, or what can be typed.
    fn says(&self, now: Now) -> (String, Role) {
        if self.table.is_none() {
            return ("text to find; Enter finds, n and N go on, Esc leaves".into(), Role::Dim);
        }
        if let State::Failed(error) = self.meaning.state(now) {
            return match error {
                ClientError::Refused(problem) => (problem.message.clone(), Role::Error),
                error => (pane::told(error), Role::Warn),
            };
        }
        match self.meaning.get::<FilterAnswer>().filter(|_| self.meaning.is_current()) {
            Some(meaning) if !meaning.warnings.is_empty() => {
                let warning = &meaning.warnings[0];
                let near = warning.near.join(", ");
                let near = if near.is_empty() { near } else { format!(" (near: {near})") };
                (format!("{}{near}", warning.message), Role::Warn)
            }
            Some(meaning) if !self.line.text().trim().is_empty() => {
                (meaning.sql.clone(), Role::Dim)
            }
            _ => ("service=checkout dur>250ms status=error -env=dev timeout".into(), Role::Dim),
        }
    }

    fn draw_candidates(&self, pen: &mut Pen<'_>) {
        let Some(answer) = self.candidates() else { return };
        let rows = &answer.rows[..answer.rows.len().min(CANDIDATES_SHOWN)];
        let wide = rows.iter().map(|row| row.text.chars().count()).max().unwrap_or(0).min(40);
        let width = (wide as u16 + 26).min(pen.width());
        let x = (3 + answer.from.min(10_000) as u16).min(pen.width() - width);
        let mut pen = pen.part(x, 3, width, rows.len() as u16 + 2);
        pen.clear();
        let frame = pane::Frame { title: "Tab".into(), focused: true, ..pane::Frame::default() };
        let mut pen = pane::framed(&mut pen, &frame);
        let width = pen.width();
        for (y, row) in (0..).zip(rows) {
            let count = row.count.map(format::count).or_else(|| row.detail.clone());
            let right = count.unwrap_or_else(|| row.kind.clone());
            pen.text(1, y, width.saturating_sub(14), &row.text.as_str().into(), Role::Text);
            pen.right(width.saturating_sub(13), y, 12, &right.into(), Role::Dim);
            if self.chosen == Some(usize::from(y)) {
                pen.restyle(0, y, width, 1, pen.style(Role::Cursor));
                pen.put(0, y, '▌', Role::Accent);
            }
        }
    }
}

/// A comparison with a value, as the filter line writes it.
pub(crate) fn term(key: &str, value: &str, include: bool) -> String {
    let minus = if include { "" } else { "-" };
    format!("{minus}{key}={}", quoted(value))
}

/// The value, in quotes where the line could read it otherwise.
pub(crate) fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/:{}*@".contains(c);
    if !value.is_empty() && value.chars().all(plain) && !value.starts_with('-') {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A line with a term more; one that is there already is not repeated.
pub(crate) fn with(line: &str, term: &str) -> String {
    let line = line.trim();
    match line {
        "" => term.to_owned(),
        _ if format!(" {line} ").contains(&format!(" {term} ")) => line.to_owned(),
        _ if line.contains(" or ") => format!("({line}) {term}"),
        _ => format!("{line} {term}"),
    }
}
