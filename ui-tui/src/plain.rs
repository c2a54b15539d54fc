//! The explorer as lines: for screen readers and scripts. Nothing is drawn, nothing moves; each line typed
//! is answered by lines below. The screens and their actions are the same.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use api::ask::Ask;
use api::client::ClientError;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::task::JoinSet;

use crate::action::{self, Action};
use crate::app::{App, update};
use crate::effect::Effect;
use crate::event::{Event, Key, Now};
use crate::files;
use crate::format;
use crate::overlay::palette::matching;
use crate::pane;
use crate::request::Outcome;
use crate::safe_text::SafeText;
use crate::screens::Grid;
use crate::slot::{State, Ticket};

#[cfg(test)]
mod tests;

/// Rows told at once.
const ROWS_MAX: usize = 40;
/// What the screens think they have: enough for every column.
const SIZE: (u16, u16) = (160, 60);
/// Time for which the cursor must rest before what depends on it is asked.
const REST_MS: u64 = 200;

/// An explorer that is talked to.
pub(crate) struct Talk<W> {
    app: App,
    ask: Arc<dyn Ask>,
    start: Instant,
    asking: JoinSet<(Ticket, Outcome)>,
    out: W,
    has_ended: bool,
}

/// Reads lines, does what each says, and tells what is there then, until the end of the lines.
pub(crate) async fn talk<W: Write>(
    ask: Arc<dyn Ask>,
    app: App,
    input: impl AsyncBufRead + Unpin,
    out: W,
) -> io::Result<()> {
    let (start, asking) = (Instant::now(), JoinSet::new());
    let mut talk = Talk { app, ask, start, asking, out, has_ended: false };
    talk.event(Event::Resize { width: SIZE.0, height: SIZE.1 }).await?;
    talk.settle().await?;
    talk.tell()?;
    let mut lines = input.lines();
    while let Some(line) = lines.next_line().await? {
        talk.heed(line.trim()).await?;
        if talk.has_ended {
            break;
        }
        talk.settle().await?;
        talk.tell()?;
    }
    Ok(())
}

impl<W: Write> Talk<W> {
    fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono_ms, unix_ns: api::time::now_ns() }
    }

    async fn event(&mut self, event: Event) -> io::Result<()> {
        let now = self.now();
        for effect in update(&mut self.app, now, event) {
            match effect {
                Effect::Ask { ticket, request, .. } => {
                    let asked = request.ask(self.ask.clone());
                    self.asking.spawn(async move { (ticket, asked.await) });
                }
                Effect::Write { name, bytes } => self.told(files::write(name, bytes).await)?,
                Effect::Download { name, request } => {
                    self.told(files::download(name, request, self.ask.clone()).await)?;
                }
                Effect::Copy(text) => writeln!(self.out, "{}", SafeText::new(text))?,
                Effect::Quit => self.has_ended = true,
                Effect::Edit(_)
                | Effect::Keep(_)
                | Effect::Mouse(_)
                | Effect::Suspend
                | Effect::Cancel(_) => {}
            }
        }
        Ok(())
    }

    fn told(&mut self, result: Result<String, String>) -> io::Result<()> {
        writeln!(self.out, "{}", result.unwrap_or_else(|error| error))
    }

    /// Waits until everything asked is answered, and what follows from the cursor too.
    async fn settle(&mut self) -> io::Result<()> {
        for rested in [false, true] {
            if rested {
                // The cursor has rested: nobody types faster than an answer is told.
                let rest = std::time::Duration::from_millis(REST_MS);
                if self.app.top().slots.iter().any(|slot| slot.is_waiting()) {
                    tokio::time::sleep(rest).await;
                    self.event(Event::Tick).await?;
                }
            }
            while let Some(done) = self.asking.join_next().await {
                let Ok((ticket, outcome)) = done else { continue };
                self.event(Event::Answer(ticket, outcome)).await?;
            }
        }
        Ok(())
    }

    /// Does what a line says: a row by its number, a filter, a range, a key, or an action by words.
    async fn heed(&mut self, line: &str) -> io::Result<()> {
        if let Ok(row) = line.parse::<usize>() {
            self.app.act(Action::Top);
            for _ in 1..row {
                self.app.act(Action::Down);
            }
            self.app.act(Action::Open);
        } else if let Some(filter) = line.strip_prefix('/') {
            self.app.apply_filter(filter.trim());
        } else if let Some(range) = line.strip_prefix("t ") {
            match crate::overlay::time::read(range, self.now(), self.app.top_look().zone) {
                Ok(range) => self.app.set_range(range),
                Err(error) => writeln!(self.out, "{error}")?,
            }
        } else if let Some(action) = self.action(line) {
            self.app.act(action);
        } else if crate::link::read(line).is_some() {
            self.event(Event::Paste(line.to_owned())).await?;
        } else if !line.is_empty() {
            writeln!(
                self.out,
                "not understood: a row's number, /filter, t range, a key, or words"
            )?;
        }
        // What the action wanted of the outside.
        self.event(Event::Focus(true)).await
    }

    fn action(&self, line: &str) -> Option<Action> {
        let layer = self.app.top().screen.layer();
        if let Some(action) = Key::parse(line).and_then(|key| action::of_key(layer, key)) {
            return Some(action);
        }
        let entries: Vec<&action::Entry> = action::holding(layer).collect();
        let titles: Vec<&str> = entries.iter().map(|entry| entry.title).collect();
        let found = matching(line, &titles);
        found.first().filter(|_| line.len() > 2).map(|at| entries[*at].action)
    }

    /// Tells where one is and what is there.
    fn tell(&mut self) -> io::Result<()> {
        let look = self.app.top_look();
        let where_: Vec<String> = self.app.crumbs().collect();
        let filter = match look.scope.filter.as_str() {
            "" => "no filter",
            filter => filter,
        };
        let range = look.scope.range.words(look.zone);
        let mut lines = vec![format!("{}; {range}; {filter}", where_.join(", "))];
        for slot in look.slots {
            if let State::Failed(error) = slot.state(look.now) {
                lines.push(format!("error: {}", said(error)));
            }
        }
        let facts = self.app.top().screen.facts(&look);
        if !facts.is_empty() {
            lines.push(facts.join(", "));
        }
        if let Some(note) = self.app.note() {
            lines.push(note.to_string());
        }
        match self.app.top().screen.grid(&look) {
            Some(grid) => lines.extend(rows(&grid)),
            None => lines.push("nothing to list".to_owned()),
        }
        // A name with a line end in it stays one line.
        let lines = lines.iter().map(|line| SafeText::new(line).as_str().to_owned() + "\n");
        self.out.write_all(lines.collect::<String>().as_bytes())?;
        self.out.flush()
    }
}

fn said(error: &ClientError) -> String {
    pane::told(error)
}

/// `3/9 payment, per second 198, errors 2.87`.
fn rows(grid: &Grid) -> Vec<String> {
    let len = grid.rows.len();
    let mut lines = Vec::new();
    for (at, row) in grid.rows.iter().take(ROWS_MAX).enumerate() {
        let cells: Vec<String> = grid
            .columns
            .iter()
            .zip(row)
            .enumerate()
            .filter(|(_, (_, cell))| !cell.is_empty())
            .map(|(column, (name, cell))| cell_text(column, name, cell))
            .collect();
        lines.push(format!("{}/{len} {}", at + 1, cells.join(", ")));
    }
    if len > ROWS_MAX {
        lines.push(format!("{} more", len - ROWS_MAX));
    }
    if len == 0 {
        lines.push("no rows".to_owned());
    }
    lines
}

/// The first column speaks for itself; numbers are told in three digits.
fn cell_text(column: usize, name: &str, cell: &str) -> String {
    let cell = match cell.parse::<f64>() {
        Ok(number) if cell.contains('.') => format::number(number),
        _ => cell.to_owned(),
    };
    let name = name.replace('_', " ");
    if column == 0 { cell } else { format!("{name} {cell}") }
}
