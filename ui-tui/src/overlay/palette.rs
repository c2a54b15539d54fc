//! Every action by its words, and a place to paste an id or a link.

use frizbee::{Config, Matcher};
use ratatui::layout::Rect;

use super::line;
use super::{Deed, Next, middle};
use crate::action::{self, Action, Layer};
use crate::event::Key;
use crate::link;
use crate::pane::{Frame, framed};
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::input::Input;
use crate::window::List;

/// Characters of the input that are looked for; the matcher does not take any length.
const NEEDLE_MAX: usize = 48;
const HEIGHT: u16 = 18;

/// Actions of a view with what is typed.
#[derive(Debug)]
pub(crate) struct Palette {
    title: &'static str,
    line: Input,
    entries: Vec<Choosable>,
    /// Entries that fit what is typed, the best first.
    found: Vec<usize>,
    list: List,
}

#[derive(Debug)]
struct Choosable {
    title: String,
    key: &'static str,
    deed: Deed,
}

impl Palette {
    /// All that can be done on a screen.
    pub(crate) fn new(layer: Layer) -> Palette {
        Palette::over("Command palette", action::holding(layer).collect())
    }

    /// What has a key on a screen: the help.
    pub(crate) fn help(layer: Layer) -> Palette {
        let with_key = action::holding(layer).filter(|entry| !entry.keys.is_empty());
        Palette::over("Help: keys of this view, type to search", with_key.collect())
    }

    fn over(title: &'static str, entries: Vec<&'static action::Entry>) -> Palette {
        let entries: Vec<Choosable> = entries
            .into_iter()
            .filter(|entry| !matches!(entry.action, Action::Palette | Action::Help))
            .map(|entry| Choosable {
                title: entry.title.to_owned(),
                key: action::shown(entry.key()),
                deed: Deed::Act(entry.action),
            })
            .collect();
        let found = (0..entries.len()).collect();
        Palette { title, line: Input::default(), entries, found, list: List::default() }
    }

    pub(super) fn key(&mut self, key: Key) -> Next {
        match key.to_string().as_str() {
            "esc" => return Next::Close,
            "enter" => return self.take(),
            name @ ("up" | "down" | "pgup" | "pgdn") => {
                let action = match name {
                    "up" => Action::Up,
                    "down" => Action::Down,
                    "pgup" => Action::PageUp,
                    _ => Action::PageDown,
                };
                self.list.act(action, self.found.len(), usize::from(HEIGHT) - 4);
            }
            _ if line::take(&mut self.line, key) => self.search(),
            _ => {}
        }
        Next::Stay
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.line.insert(text);
        self.search();
    }

    fn take(&self) -> Next {
        if link::read(self.line.text()).is_some() {
            return Next::Do(Deed::Open(self.line.text().to_owned()));
        }
        match self.list.at(self.found.len()) {
            Some(at) => Next::Do(self.entries[self.found[at]].deed.clone()),
            None => Next::Stay,
        }
    }

    /// Keeps what matches every word; a better match of all words together comes first.
    fn search(&mut self) {
        let titles: Vec<&str> = self.entries.iter().map(|entry| entry.title.as_str()).collect();
        self.found = matching(self.line.text(), &titles);
        self.list.release();
    }

    fn area(&self, screen: Rect) -> Rect {
        let mut area = middle(screen, 68, HEIGHT);
        area.y = area.y.max(2).min(screen.height.saturating_sub(area.height));
        area
    }

    pub(super) fn click(&mut self, x: u16, y: u16, screen: Rect) -> Next {
        let area = self.area(screen);
        if !area.contains((x, y).into()) {
            return Next::Close;
        }
        let window = self.list.window(self.found.len(), usize::from(area.height.saturating_sub(4)));
        let row = window.start + usize::from(y.saturating_sub(area.y + 3));
        if y < area.y + 3 || !window.contains(&row) {
            return Next::Stay;
        }
        Next::Do(self.entries[self.found[row]].deed.clone())
    }

    pub(super) fn draw(&self, pen: &mut Pen<'_>) {
        let area = self.area(pen.area());
        let mut pen = pen.part(area.x, area.y, area.width, area.height);
        pen.clear();
        let note = format!("{} of {}", self.found.len(), self.entries.len());
        let title = self.title.to_owned();
        let mut pen = framed(&mut pen, &Frame { title, note, focused: true, is_old: false });
        let (width, height) = (pen.width(), pen.height());
        pen.text(1, 0, 2, &"> ".into(), Role::Accent);
        self.line.render(&mut pen.part(3, 0, width.saturating_sub(4), 1), None);
        if link::read(self.line.text()).is_some() {
            pen.text(3, 2, width, &"open what this names".into(), Role::Text);
            pen.restyle(0, 2, width, 1, pen.style(Role::Cursor));
            return;
        }
        let window = self.list.window(self.found.len(), usize::from(height.saturating_sub(2)));
        let at = self.list.at(self.found.len());
        for (y, row) in (2..).zip(window) {
            let entry = &self.entries[self.found[row]];
            let key_width = entry.key.len() as u16;
            pen.text(
                3,
                y,
                width.saturating_sub(key_width + 6),
                &entry.title.as_str().into(),
                Role::Text,
            );
            pen.text(
                width.saturating_sub(key_width + 1),
                y,
                key_width,
                &entry.key.into(),
                Role::Accent,
            );
            if at == Some(row) {
                pen.restyle(0, y, width, 1, pen.style(Role::Cursor));
                pen.put(0, y, '▌', Role::Accent);
            }
        }
    }
}

/// The texts that match every word, the best first; all of them, in order, without a word.
pub(crate) fn matching(words: &str, texts: &[&str]) -> Vec<usize> {
    let words: String = words.chars().take(NEEDLE_MAX).collect();
    let mut scores: Vec<Option<u32>> = vec![Some(0); texts.len()];
    for word in words.split_whitespace() {
        let mut found = vec![None; texts.len()];
        let config = Config::default().max_typos(Some(0));
        for hit in Matcher::new(word, &config).match_list(texts) {
            found[hit.index as usize] = Some(u32::from(hit.score));
        }
        for (score, hit) in scores.iter_mut().zip(found) {
            *score = score.zip(hit).map(|(a, b)| a + b);
        }
    }
    let mut order: Vec<usize> = (0..texts.len()).filter(|at| scores[*at].is_some()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(scores[*at]));
    order
}
