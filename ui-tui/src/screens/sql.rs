//! SQL over everything: an editor, the result as a table that leads back to traces, and its chart.

use std::collections::HashMap;

use api::sql::SqlAnswer;
use api::views::{Complete, CompleteAnswer, FilterAnswer, FilterLine, Options};
use ratatui::layout::Rect;
use ratatui_textarea::{CursorMove, TextArea};
use serde_json::Value;

use super::{Cx, Go, Grid, Look, Screen, Subject, trace};
use crate::action::{Action, Layer};
use crate::event::Key;
use crate::format;
use crate::kept::Change;
use crate::overlay::line::pressed;
use crate::pane::{self, Frame};
use crate::request::Request;
use crate::safe_text::SafeText;
use crate::scope::Fixed;
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::table::{Cell, Column, Row, Sort, Table};
use crate::window::List;

mod chart;
mod statement;
#[cfg(test)]
mod tests;

use chart::Plot;

const RESULT: usize = 0;
const COMPLETE: usize = 1;
const MEANING: usize = 2;

const EDITOR_PANE: usize = 0;
const RESULT_PANE: usize = 1;
const CHART_PANE: usize = 2;

const CANDIDATES_SHOWN: usize = 8;
/// Widest column of a result.
const COLUMN_MAX: u16 = 48;
/// Rows that are looked at for the width of a column.
const ROWS_MEASURED: usize = 200;

const FIRST: &str = "SELECT service_name, count(*) AS spans, round(p99(duration_ns) / 1e6, 1) AS p99_ms\n\
FROM spans\n\
WHERE start_time >= :from AND start_time < :to\n\
GROUP BY 1 ORDER BY 2 DESC";

/// Editor, result and what was run before.
#[derive(Debug)]
pub(crate) struct Sql {
    editor: TextArea<'static>,
    /// Keys go into the text.
    is_typing: bool,
    chosen: Option<usize>,
    rows: List,
    column: usize,
    sort: Option<Sort>,
    sorted: Vec<usize>,
    columns: Vec<Column>,
    plot: Option<Plot>,
    /// The chart in place of the table, where there is no room for both.
    shows_chart: bool,
    past: Option<usize>,
    /// Run as soon as the filter's meaning is known.
    waits_for_filter: Option<String>,
}

impl Default for Sql {
    fn default() -> Sql {
        Sql::with(FIRST)
    }
}

impl Sql {
    fn with(text: &str) -> Sql {
        Sql {
            editor: TextArea::new(text.lines().map(str::to_owned).collect()),
            is_typing: true,
            chosen: None,
            rows: List::default(),
            column: 0,
            sort: None,
            sorted: Vec::new(),
            columns: Vec::new(),
            plot: None,
            shows_chart: false,
            past: None,
            waits_for_filter: None,
        }
    }

    /// The editor with the statements behind a view, ready to be run.
    pub(crate) fn showing(statements: &[String]) -> Sql {
        let laid_out: Vec<String> = statements.iter().map(|sql| statement::laid_out(sql)).collect();
        Sql { is_typing: false, ..Sql::with(&(laid_out.join(";\n\n") + ";")) }
    }

    fn text(&self) -> String {
        self.editor.lines().join("\n")
    }

    /// Bytes of the text in front of the cursor.
    fn byte(&self) -> usize {
        let cursor = self.editor.cursor();
        let lines = self.editor.lines();
        let before: usize = lines.iter().take(cursor.0).map(|line| line.len() + 1).sum();
        let line = lines.get(cursor.0).map_or("", String::as_str);
        before + line.char_indices().nth(cursor.1).map_or(line.len(), |(at, _)| at)
    }

    fn set(&mut self, text: &str) {
        self.editor = TextArea::new(text.lines().map(str::to_owned).collect());
        self.editor.move_cursor(CursorMove::Bottom);
        self.editor.move_cursor(CursorMove::End);
        self.chosen = None;
    }

    fn run(&mut self, prefix: &str, cx: &mut Cx<'_>) {
        let text = self.text();
        let wanted = statement::around(&text, self.byte()).to_owned();
        if wanted.is_empty() {
            return cx.say("nothing to run");
        }
        if cx.kept.statements.last() != Some(&wanted) {
            cx.go.push(Go::Keep(Change::Statement(wanted.clone())));
        }
        self.past = None;
        let wanted = format!("{prefix}{wanted}");
        if cx.scope.filter.is_empty() || !wanted.contains(":filter") {
            return self.send(&wanted, "TRUE", cx);
        }
        self.waits_for_filter = Some(wanted);
        let line = FilterLine {
            text: Some(cx.scope.filter.clone()),
            from: cx.fixed.from(),
            to: cx.fixed.to(),
            ..FilterLine::default()
        };
        cx.slots[MEANING].ask_fresh(Request::view(&line, &Options::default()), cx.now, cx.out);
    }

    fn send(&mut self, wanted: &str, filter: &str, cx: &mut Cx<'_>) {
        let sql = bound(wanted, cx.fixed, filter);
        (self.sort, self.column) = (None, 0);
        self.rows.release();
        cx.slots[RESULT].ask_fresh(Request::sql(&sql), cx.now, cx.out);
    }

    fn fill(&mut self, answer: &SqlAnswer) {
        self.columns = columns(answer);
        self.sorted = (0..answer.rows.len()).collect();
        self.plot = Plot::of(answer);
    }

    fn sort(&mut self, descending: bool, answer: &SqlAnswer) {
        let Some(field) = answer.schema.get(self.column) else { return };
        self.sort = Some(Sort { column: self.column, descending });
        self.sorted.sort_by(|a, b| {
            let value = |row: &usize| answer.rows[*row].get(&field.name).unwrap_or(&Value::Null);
            let order = compare(value(a), value(b));
            if descending { order.reverse() } else { order }
        });
    }

    fn recall(&mut self, older: bool, history: &[String]) {
        let len = history.len();
        let at = match (self.past, older) {
            (None, true) => len.checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1).filter(|at| *at < len),
            (None, false) => None,
        };
        if let Some(text) = at.and_then(|at| history.get(at)).cloned() {
            self.past = at;
            self.set(&text);
        }
    }

    fn changed(&mut self, cx: &mut Cx<'_>) {
        self.chosen = None;
        let text = self.text();
        let position = text[..self.byte().min(text.len())].chars().count();
        let question = Complete {
            text: Some(text),
            position: Some(position as u64),
            table: Some("sql".to_owned()),
            ..Complete::default()
        };
        cx.ask_soon(COMPLETE, Request::view(&question, &Options::default()));
    }

    fn candidates<'a>(&self, slot: &'a crate::slot::Slot) -> Option<&'a CompleteAnswer> {
        let answer: &CompleteAnswer = slot.get()?;
        (self.is_typing && slot.is_current() && !answer.rows.is_empty()).then_some(answer)
    }

    fn take_candidate(&mut self, cx: &mut Cx<'_>) {
        let picked = self.chosen.and_then(|at| {
            let answer = self.candidates(&cx.slots[COMPLETE])?;
            Some((answer.from as usize, answer.to as usize, answer.rows.get(at)?.text.clone()))
        });
        let Some((from, to, with)) = picked else { return };
        let chars: Vec<char> = self.text().chars().collect();
        let to = to.min(chars.len());
        let from = from.min(to);
        let head: String = chars[..from].iter().collect();
        let tail: String = chars[to..].iter().collect();
        let end = format!("{head}{with}");
        let (row, column) =
            (end.matches('\n').count(), end.lines().last().unwrap_or("").chars().count());
        self.set(&format!("{end}{tail}"));
        let (row, column) = (row.min(usize::from(u16::MAX)), column.min(usize::from(u16::MAX)));
        self.editor.move_cursor(CursorMove::Jump(row as u16, column as u16));
        self.changed(cx);
    }

    fn choose(&mut self, forward: bool, cx: &Cx<'_>) -> bool {
        let Some(answer) = self.candidates(&cx.slots[COMPLETE]) else { return false };
        let len = answer.rows.len().min(CANDIDATES_SHOWN);
        self.chosen = Some(match (self.chosen, forward) {
            (None, true) => 0,
            (None, false) => len - 1,
            (Some(at), true) => (at + 1) % len,
            (Some(at), false) => (at + len - 1) % len,
        });
        true
    }

    fn row<'a>(&self, answer: &'a SqlAnswer) -> Option<&'a serde_json::Map<String, Value>> {
        let at = self.rows.at(self.sorted.len())?;
        answer.rows.get(*self.sorted.get(at)?)
    }

    /// Opens what the row names: a trace, or a service.
    fn open_row(&mut self, cx: &mut Cx<'_>) {
        let row = cx.get::<SqlAnswer>(RESULT).and_then(|answer| self.row(answer));
        let Some(row) = row else { return };
        let ids = ids(row);
        let service = service(row);
        match (ids, service) {
            ((Some(trace), span), _) => {
                cx.push(trace::open(&trace, span.as_deref()), cx.scope.clone());
            }
            (_, Some(name)) => cx.push(super::service::open(&name), cx.scope.clone()),
            _ => cx.say("this row names no trace and no service"),
        }
    }
}

/// The service that a row names, under whatever alias.
fn service(row: &serde_json::Map<String, Value>) -> Option<String> {
    let named = |key: &str| key == "service" || key.starts_with("service") && key.ends_with("name");
    row.iter().find(|(key, _)| named(key))?.1.as_str().map(str::to_owned)
}

/// The first trace id and span id among the values of a row.
fn ids(row: &serde_json::Map<String, Value>) -> (Option<String>, Option<String>) {
    let hex = |digits: usize| {
        row.values()
            .filter_map(Value::as_str)
            .find(|text| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    (hex(32).map(str::to_owned), hex(16).map(str::to_owned))
}

fn bound(sql: &str, fixed: Fixed, filter: &str) -> String {
    let from = fixed.from_ns.unwrap_or(0);
    let to = fixed.to_ns.unwrap_or(i64::MAX);
    let filter = format!("({filter})");
    statement::bound(sql, &api::time::sql_literal(from), &api::time::sql_literal(to), &filter)
}

fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.as_f64(), b.as_f64(), a, b) {
        (Some(a), Some(b), ..) => a.total_cmp(&b),
        (_, _, Value::Null, Value::Null) => std::cmp::Ordering::Equal,
        (_, _, Value::Null, _) => std::cmp::Ordering::Less,
        (_, _, _, Value::Null) => std::cmp::Ordering::Greater,
        (_, _, Value::String(a), Value::String(b)) => a.cmp(b),
        (_, _, a, b) => a.to_string().cmp(&b.to_string()),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn columns(answer: &SqlAnswer) -> Vec<Column> {
    let width = |name: &str| {
        let cells = answer.rows.iter().take(ROWS_MEASURED).map(|row| {
            row.get(name).map_or(0, |value| SafeText::start_of(&plain(value), 60).width())
        });
        let widest = cells.max().unwrap_or(0).max(SafeText::new(name).width() + 2);
        u16::try_from(widest).unwrap_or(COLUMN_MAX).min(COLUMN_MAX)
    };
    let column = |field: &api::sql::Field| {
        let number = chart_number(&field.kind);
        let column = Column::fixed(&field.name, width(&field.name));
        Column { right: number, rank: 1, ..column }
    };
    answer.schema.iter().map(column).collect()
}

fn chart_number(kind: &str) -> bool {
    ["int", "double", "float", "real", "decimal", "numeric"].iter().any(|word| kind.contains(word))
}

impl Screen for Sql {
    fn layer(&self) -> Layer {
        Layer::Sql
    }

    fn crumb(&self) -> String {
        "sql".to_owned()
    }

    fn link(&self) -> String {
        "sql".to_owned()
    }

    fn slots(&self) -> usize {
        3
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        let editor = (body.height * 3 / 10).clamp(4, 16).min(body.height);
        let upper = Rect { height: editor, ..body };
        let rest = Rect { y: upper.bottom(), height: body.height - editor, ..body };
        if rest.height >= 26 {
            let chart = rest.height * 2 / 5;
            let table = Rect { height: rest.height - chart, ..rest };
            let chart = Rect { y: table.bottom(), height: chart, ..rest };
            return vec![upper, table, chart];
        }
        if self.shows_chart { vec![upper, Rect::ZERO, rest] } else { vec![upper, rest, Rect::ZERO] }
    }

    /// Nothing runs by itself.
    fn load(&mut self, cx: &mut Cx<'_>) {
        if cx.fresh && cx.slots[RESULT].request().is_some() {
            self.run("", cx);
        }
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        match slot {
            RESULT => {
                if let Some(answer) = cx.share::<SqlAnswer>(RESULT) {
                    self.fill(&answer);
                }
            }
            MEANING => {
                let Some(wanted) = self.waits_for_filter.take() else { return };
                match cx.get::<FilterAnswer>(MEANING).map(|answer| answer.sql.clone()) {
                    Some(filter) => self.send(&wanted, &filter, cx),
                    None => cx.say("the filter is not understood: / changes it"),
                }
            }
            _ => {}
        }
    }

    fn key(&mut self, key: Key, cx: &mut Cx<'_>) -> bool {
        if !self.is_typing || *cx.focus != EDITOR_PANE {
            return false;
        }
        match key.to_string().as_str() {
            "f5" | "f6" | "alt-enter" | "alt-f" | "ctrl-c" | "ctrl-p" => return false,
            "alt-up" => self.recall(true, &cx.kept.statements),
            "alt-down" => self.recall(false, &cx.kept.statements),
            "esc" if self.chosen.is_some() => self.chosen = None,
            "esc" => self.is_typing = false,
            "tab" => {
                if !self.choose(true, cx) {
                    self.editor.insert_str("  ");
                }
            }
            "backtab" => {
                self.choose(false, cx);
            }
            "enter" if self.chosen.is_some() => self.take_candidate(cx),
            "down" if self.chosen.is_some() => {
                self.choose(true, cx);
            }
            "up" if self.chosen.is_some() => {
                self.choose(false, cx);
            }
            _ => {
                let changed = pressed(key).is_some_and(|input| self.editor.input(input));
                if changed {
                    self.changed(cx);
                }
            }
        }
        true
    }

    fn paste(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        if self.is_typing && *cx.focus == EDITOR_PANE {
            self.editor.insert_str(text);
            self.chosen = None;
            return true;
        }
        false
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let focus = *cx.focus;
        let height = cx.height(RESULT_PANE).saturating_sub(1);
        match action {
            Action::Run => self.run("", cx),
            Action::Explain => self.run("EXPLAIN ANALYZE ", cx),
            Action::Format => {
                let laid_out = statement::laid_out(&self.text());
                self.set(&laid_out);
            }
            Action::Edit => cx.go.push(Go::Edit(self.text())),
            Action::NextView => {
                self.shows_chart = !self.shows_chart;
                *cx.focus = if self.shows_chart { CHART_PANE } else { RESULT_PANE };
            }
            Action::Open if focus == EDITOR_PANE && !self.is_typing => self.is_typing = true,
            Action::Open => self.open_row(cx),
            Action::Left => self.column = self.column.saturating_sub(1),
            Action::Right => {
                self.column = (self.column + 1).min(self.columns.len().saturating_sub(1));
            }
            Action::Sort | Action::SortReverse => {
                if let Some(answer) = cx.share::<SqlAnswer>(RESULT) {
                    self.sort(action == Action::SortReverse, &answer);
                }
            }
            other => return self.rows.act(other, self.sorted.len(), height),
        }
        true
    }

    fn click(&mut self, pane: usize, x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        match pane {
            EDITOR_PANE => {
                let top = self.first_line(cx.heights[EDITOR_PANE]);
                self.is_typing = true;
                self.editor.move_cursor(CursorMove::Jump(y + top as u16, x.saturating_sub(1)));
                false
            }
            RESULT_PANE => {
                let height = cx.height(RESULT_PANE).saturating_sub(1);
                let Some(row) = usize::from(y).checked_sub(1) else { return false };
                self.rows.click(row, self.sorted.len(), height)
            }
            _ => false,
        }
    }

    fn is_live(&self) -> bool {
        false
    }

    fn edited(&mut self, text: &str, _cx: &mut Cx<'_>) {
        self.set(text);
    }

    fn statements(&self, look: &Look<'_>) -> Vec<String> {
        let text = self.text();
        vec![bound(statement::around(&text, self.byte()), look.fixed, "TRUE")]
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let Some(answer) = look.get::<SqlAnswer>(RESULT) else { return Subject::default() };
        let Some(row) = self.row(answer) else { return Subject::default() };
        let (trace_id, span_id) = ids(row);
        let name = answer.schema.get(self.column).map(|field| field.name.clone());
        let cell = name.as_ref().and_then(|name| row.get(name)).map(plain).unwrap_or_default();
        Subject {
            service: service(row),
            trace_id,
            span_id,
            term: name.map(|name| (name, cell.clone())),
            cell,
            json: serde_json::to_string_pretty(row).ok(),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let rows = look.get::<SqlAnswer>(RESULT).map(|answer| answer.rows.len() as u64);
        rows.map(|rows| format!("{} rows", format::exact(rows))).into_iter().collect()
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        let answer = look.get::<SqlAnswer>(RESULT)?;
        let columns: Vec<String> = answer.schema.iter().map(|field| field.name.clone()).collect();
        let row = |at: &usize| {
            let row = &answer.rows[*at];
            columns.iter().map(|name| row.get(name).map(plain).unwrap_or_default()).collect()
        };
        Some(Grid { rows: self.sorted.iter().map(row).collect(), columns })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            EDITOR_PANE => self.draw_editor(pen, look),
            RESULT_PANE => self.draw_result(pen, look),
            _ => self.draw_chart(pen, look),
        }
    }
}

impl Sql {
    /// The uppermost line that is seen, so that the cursor is.
    fn first_line(&self, height: u16) -> usize {
        let cursor = self.editor.cursor();
        (cursor.0 + 1).saturating_sub(height.max(1).into())
    }

    fn draw_editor(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let cursor = self.editor.cursor();
        let (line, column) = (cursor.0, cursor.1);
        let note = format!("Ln {}, Col {}", line + 1, column + 1);
        let title =
            if self.is_typing { "Query  (F5 runs, Esc leaves)" } else { "Query  (Enter edits)" };
        let focused = look.focus == EDITOR_PANE;
        let frame = Frame { title: title.to_owned(), note, focused, is_old: false };
        let mut inner = pane::framed(pen, &frame);
        let (width, height) = (inner.width().saturating_sub(2), inner.height());
        let top = self.first_line(height);
        let skip = (column + 2).saturating_sub(width.into());
        let mut colours: HashMap<usize, Vec<statement::Colour>> = HashMap::new();
        for colour in statement::colours(&self.text()) {
            colours.entry(colour.line).or_default().push(colour);
        }
        for (y, (at, text)) in (0..height).zip(self.editor.lines().iter().enumerate().skip(top)) {
            draw_line(&mut inner, y, (skip, width), text, colours.get(&at));
        }
        if focused && self.is_typing {
            let x = 1 + (column - skip.min(column)) as u16;
            let style = inner.style(Role::Cursor);
            inner.restyle(x, (line - top) as u16, 1, 1, style);
        }
        self.draw_candidates(pen, look, ((line - top) as u16, column - skip.min(column)));
    }

    fn draw_candidates(&self, pen: &mut Pen<'_>, look: &Look<'_>, (line, column): (u16, usize)) {
        let Some(answer) = self.candidates(&look.slots[COMPLETE]) else { return };
        let room = usize::from(pen.height().saturating_sub(line + 4)).min(CANDIDATES_SHOWN);
        let first = self.chosen.map_or(0, |at| (at + 1).saturating_sub(room));
        let x = (column as u16 + 2).min(pen.width().saturating_sub(34));
        for (y, (at, row)) in (0..room).zip(answer.rows.iter().enumerate().skip(first)) {
            let y = line + 2 + y as u16;
            pen.row(x, y, 34, ' ', Role::Text);
            pen.text(x + 1, y, 20, &SafeText::new(&row.text), Role::Accent);
            let right = row.count.map(format::count).or_else(|| row.detail.clone());
            pen.right(
                x + 21,
                y,
                12,
                &SafeText::start_of(&right.unwrap_or_default(), 12),
                Role::Dim,
            );
            let style = if self.chosen == Some(at) { Role::Cursor } else { Role::Marked };
            pen.restyle(x, y, 34, 1, pen.style(style));
        }
    }

    fn draw_result(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let mut pen = look.framed(pen, (RESULT_PANE, RESULT), "Result", "v chart  s sort  W write");
        if look.slots[RESULT].request().is_none() {
            let text = ":from, :to and :filter stand for the range and the filter above";
            return pane::empty(&mut pen, "F5 runs the statement at the cursor", text);
        }
        let Some((mut pen, answer)) = look.data::<SqlAnswer>(&mut pen, RESULT) else { return };
        if answer.rows.is_empty() {
            let text = ":from and :to are the range above, t chooses another; F6 explains the plan";
            return pane::empty(&mut pen, "no rows", text);
        }
        // Columns are virtual too: the first is the one under the cursor, when all do not fit.
        let whole: usize = self.columns.iter().map(|column| usize::from(column.min) + 1).sum();
        let skip = if whole + 3 <= usize::from(pen.width()) { 0 } else { self.column };
        let names: Vec<&str> = answer.schema.iter().skip(skip).map(|f| f.name.as_str()).collect();
        let rows = |at: usize| {
            let row = answer.rows.get(*self.sorted.get(at)?)?;
            let cell = |name: &&str| {
                let value = row.get(*name).unwrap_or(&Value::Null);
                let text = SafeText::start_of(&plain(value), COLUMN_MAX.into());
                Cell::text(text).role(if value.is_null() { Role::Dim } else { Role::Text })
            };
            Some(Row { cells: names.iter().map(cell).collect(), ..Row::default() })
        };
        let len = self.sorted.len();
        let height = usize::from(pen.height().saturating_sub(1));
        let sort = self
            .sort
            .and_then(|sort| Some(Sort { column: sort.column.checked_sub(skip)?, ..sort }));
        let table = Table {
            columns: &self.columns[skip.min(self.columns.len())..],
            len,
            first: self.rows.window(len, height).start,
            cursor: self.rows.at(len).filter(|_| look.focus == RESULT_PANE),
            sort,
            rows: &rows,
        };
        table.render(&mut pen);
    }

    fn draw_chart(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let title = self.plot.as_ref().map_or("Chart", Plot::title);
        let mut pen = look.framed(pen, (CHART_PANE, RESULT), title, "v table");
        match &self.plot {
            Some(plot) => plot.draw(&mut pen, look.zone),
            None => {
                let text = "a time or a text, and a number make a chart";
                pane::empty(&mut pen, "no chart suits this result", text);
            }
        }
    }
}

fn draw_line(
    pen: &mut Pen<'_>,
    y: u16,
    (skip, width): (usize, u16),
    text: &str,
    colours: Option<&Vec<statement::Colour>>,
) {
    let seen: String = text.chars().skip(skip).take(width.into()).collect();
    pen.text(1, y, width, &SafeText::new(&seen), Role::Text);
    for colour in colours.into_iter().flatten() {
        let from = colour.from.saturating_sub(skip).min(width.into());
        let to = colour.to.saturating_sub(skip).min(seen.chars().count());
        if from < to {
            let style = pen.style(colour.role);
            pen.restyle(1 + from as u16, y, (to - from) as u16, 1, style);
        }
    }
}
