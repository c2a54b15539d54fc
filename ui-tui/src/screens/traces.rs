//! Traces: those that meet the filter, with the heatmap of their durations above.

use api::views::{Heatmap, HeatmapAnswer, List as Rows, Options, TraceRow, Traces as Question};
use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::heat::{self, Heat};
use super::{Cx, Grid, Look, Screen, Subject, compare, trace};
use crate::action::{Action, Layer};
use crate::format::{self, Clock};
use crate::pane;
use crate::request::Request;
use crate::slot::State;
use crate::theme::Role;
use crate::widgets::table::{Cell, Column, Row, Table};
use crate::widgets::{Mark, Pen};
use crate::window::{List, next_where};

#[cfg(test)]
mod tests;

const ROWS: usize = 0;
const HEAT: usize = 1;
/// Rows asked for at once, and how many more when the end is near.
const PAGE: u64 = 500;
/// Rows held at most.
const ROWS_MAX: u64 = 10_000;

/// Orders of the list with their words.
const ORDERS: [(&str, &str); 6] = [
    ("newest", "newest first"),
    ("slowest", "slowest first"),
    ("errors", "most errors first"),
    ("spans", "most spans first"),
    ("fastest", "fastest first"),
    ("oldest", "oldest first"),
];

/// The list with its cursor, marks and order.
#[derive(Debug)]
pub(crate) struct Traces {
    list: List,
    order: usize,
    heat: Heat,
    /// Ids of at most two traces to compare.
    marked: Vec<String>,
    limit: u64,
    /// The trace to be opened once the list is there.
    open_typical: bool,
    /// The heatmap is asked for past every cache.
    is_fresh: bool,
}

impl Default for Traces {
    fn default() -> Traces {
        Traces {
            list: List::default(),
            order: 0,
            heat: Heat::default(),
            marked: Vec::new(),
            limit: PAGE,
            open_typical: false,
            is_fresh: false,
        }
    }
}

type Answer = Rows<TraceRow>;

impl Traces {
    fn selected<'a>(&self, answer: &'a Answer) -> Option<&'a TraceRow> {
        answer.rows.get(self.list.at(answer.rows.len())?)
    }

    fn request(&self, cx: &Cx<'_>) -> Request {
        let mut conditions = Vec::new();
        if let Some(chosen) = self.heat.selection {
            conditions.push(chosen.sql());
        }
        let question = Question {
            from: cx.fixed.from(),
            to: cx.fixed.to(),
            sort: Some(ORDERS[self.order].0.to_owned()),
            trace_filter: (!conditions.is_empty()).then(|| conditions.join(" AND ")),
            top: Some(true),
            ..Question::default()
        };
        let options = Options { limit: Some(self.limit), ..cx.scope.options() };
        Request::view(&question, &options)
    }

    fn settle(&mut self, cx: &mut Cx<'_>) {
        let Some(answer) = cx.get::<Answer>(ROWS) else { return };
        let len = answer.rows.len() as u64;
        if let Some(row) = self.selected(answer) {
            self.list.hold(row.trace_id.clone());
        }
        let near_end = self.list.at(answer.rows.len()).is_some_and(|at| at as u64 + 50 >= len);
        if near_end && len == self.limit && self.limit < ROWS_MAX {
            self.limit += PAGE;
            let request = self.request(cx);
            cx.ask(ROWS, request);
        }
    }

    fn mark(&mut self, cx: &Cx<'_>) {
        let selected = cx.get::<Answer>(ROWS).and_then(|answer| self.selected(answer));
        let Some(id) = selected.map(|row| row.trace_id.clone()) else { return };
        match self.marked.iter().position(|marked| *marked == id) {
            Some(at) => drop(self.marked.remove(at)),
            None => {
                if self.marked.len() == 2 {
                    self.marked.remove(0);
                }
                self.marked.push(id);
            }
        }
    }

    fn diff(&self, cx: &mut Cx<'_>) {
        match &self.marked[..] {
            [a, b] => {
                let sides = compare::Sides::Traces(a.clone(), b.clone());
                cx.push(compare::open(sides), cx.scope.clone());
            }
            _ => cx.say("mark two traces with Space first"),
        }
    }

    /// The trace of median duration among those with the most common root.
    fn typical(&self, answer: &Answer) -> Option<String> {
        let root = |row: &TraceRow| (row.root_service.clone(), row.root_name.clone());
        let mut counts = std::collections::BTreeMap::new();
        for row in &answer.rows {
            *counts.entry(root(row)).or_insert(0) += 1;
        }
        let (usual, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let mut rows: Vec<&TraceRow> =
            answer.rows.iter().filter(|row| root(row) == usual).collect();
        rows.sort_by_key(|row| row.duration_ns);
        rows.get(rows.len() / 2).map(|row| row.trace_id.clone())
    }

    fn open_the_typical(&self, cx: &mut Cx<'_>) {
        let id = cx.get::<Answer>(ROWS).and_then(|answer| self.typical(answer));
        match id {
            Some(id) => cx.push(trace::open(&id, None), cx.scope.clone()),
            None => cx.say("no trace here"),
        }
    }

    fn next_error(&mut self, forward: bool, height: usize, cx: &mut Cx<'_>) {
        let Some(answer) = cx.get::<Answer>(ROWS) else { return };
        let len = answer.rows.len();
        let from = self.list.at(len).unwrap_or(0);
        match next_where(from, len, forward, |at| has_errors(&answer.rows[at])) {
            Some(at) => self.list.to(at, len, height),
            None => cx.say("no trace in error in this list"),
        }
    }

    fn act_on_heat(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match self.heat.act(action) {
            Some(changed) => {
                if changed {
                    self.load(cx);
                }
                true
            }
            None => false,
        }
    }

    /// Asks for the heatmap, behind the list.
    fn ask_heat(&mut self, cx: &mut Cx<'_>) {
        cx.fresh = std::mem::take(&mut self.is_fresh);
        let width = cx.widths.get(1).copied().unwrap_or(80);
        let heat = Heatmap {
            from: cx.fixed.from(),
            to: cx.fixed.to(),
            columns: Some(heat::columns(width)),
            ..Heatmap::default()
        };
        let request = Request::view(&heat, &cx.scope.options());
        cx.ask(HEAT, request);
    }
}

impl Screen for Traces {
    fn layer(&self) -> Layer {
        Layer::Traces
    }

    fn crumb(&self) -> String {
        "traces".to_owned()
    }

    fn link(&self) -> String {
        "traces".to_owned()
    }

    fn slots(&self) -> usize {
        2
    }

    /// The list is the first pane, though it stands below.
    fn layout(&self, body: Rect) -> Vec<Rect> {
        let upper = if body.height < 17 { 0 } else { (body.height * 2 / 5).min(16) };
        let list = Rect { y: body.y + upper, height: body.height - upper, ..body };
        vec![list, Rect { height: upper, ..body }]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        self.is_fresh = cx.fresh;
        let request = self.request(cx);
        cx.ask(ROWS, request);
        if cx.slots[ROWS].ticket().is_none() {
            self.ask_heat(cx);
        }
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        if slot == HEAT {
            if let Some(answer) = cx.get::<HeatmapAnswer>(HEAT) {
                self.heat.fill(answer);
            }
            return;
        }
        if let Some(answer) = cx.get::<Answer>(ROWS) {
            self.list.find(answer.rows.iter().map(|row| row.trace_id.as_str()));
        }
        if std::mem::take(&mut self.open_typical) {
            return self.open_the_typical(cx);
        }
        self.ask_heat(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        if *cx.focus == HEAT && self.act_on_heat(action, cx) {
            return true;
        }
        let len = cx.get::<Answer>(ROWS).map_or(0, |answer| answer.rows.len());
        let height = cx.height(0).saturating_sub(1);
        match action {
            Action::Open => {
                let selected = cx.get::<Answer>(ROWS).and_then(|answer| self.selected(answer));
                let Some(id) = selected.map(|row| row.trace_id.clone()) else { return true };
                cx.push(trace::open(&id, None), cx.scope.clone());
            }
            Action::Exemplar => self.open_the_typical(cx),
            Action::Mark => self.mark(cx),
            Action::Difference => self.diff(cx),
            Action::NextError => self.next_error(true, height, cx),
            Action::PreviousError => self.next_error(false, height, cx),
            Action::Percentiles => self.heat.toggle_lines(),
            Action::ErrorOverlay => self.heat.toggle_errors(),
            Action::Sort | Action::SortReverse => {
                let by = if action == Action::Sort { 1 } else { ORDERS.len() - 1 };
                self.order = (self.order + by) % ORDERS.len();
                self.list.release();
                self.load(cx);
            }
            Action::Back if !self.marked.is_empty() => self.marked.clear(),
            Action::Back if self.heat.selection.take().is_some() => self.load(cx),
            other if self.list.act(other, len, height) => self.settle(cx),
            _ => return false,
        }
        true
    }

    fn click(&mut self, pane: usize, x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        if pane == 1 {
            self.heat.click(x, y, (cx.widths[1], cx.heights[1]));
            return false;
        }
        let len = cx.get::<Answer>(ROWS).map_or(0, |answer| answer.rows.len());
        let height = cx.height(0).saturating_sub(1);
        let Some(row) = usize::from(y).checked_sub(1) else { return false };
        let was_there = self.list.click(row, len, height);
        self.settle(cx);
        was_there
    }

    fn drag(&mut self, pane: usize, from: (u16, u16), to: (u16, u16), cx: &mut Cx<'_>) {
        let size = (cx.widths[1], cx.heights[1]);
        if pane == 1 && self.heat.drag(from, to, size) {
            self.load(cx);
        }
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let selected = look.get::<Answer>(ROWS).and_then(|answer| self.selected(answer));
        let Some(row) = selected else { return Subject::default() };
        let op = row.root_name.clone().map(|name| ("op".to_owned(), name));
        Subject {
            service: row.root_service.clone(),
            operation: row.root_name.clone(),
            trace_id: Some(row.trace_id.clone()),
            at_ns: row.start_time.as_deref().and_then(|text| api::time::parse(text, 0).ok()),
            term: op,
            cell: row.trace_id.clone(),
            json: serde_json::to_string_pretty(row).ok(),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let Some(answer) = look.get::<Answer>(ROWS) else { return Vec::new() };
        let more = if answer.rows.len() as u64 == self.limit { "+" } else { "" };
        vec![format!("{}{more} traces", format::exact(answer.rows.len() as u64))]
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 7] = ["start", "duration", "root", "spans", "errors", "most", "id"];
        let answer = look.get::<Answer>(ROWS)?;
        let row = |row: &TraceRow| {
            vec![
                row.start_time.clone().unwrap_or_default(),
                row.duration_ns.map_or(String::new(), |ns| ns.to_string()),
                root(row),
                row.span_count.to_string(),
                row.error_count.map_or(String::new(), |n| n.to_string()),
                most(row),
                row.trace_id.clone(),
            ]
        };
        let rows = answer.rows.iter().map(row).collect();
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            0 => self.draw_rows(pen, look),
            _ => self.draw_heat(pen, look),
        }
    }
}

fn root(row: &TraceRow) -> String {
    match (&row.root_service, &row.root_name) {
        (Some(service), Some(name)) => format!("{service} {name}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => "(root missing)".to_owned(),
    }
}

/// The group with the largest part of the critical path.
fn most(row: &TraceRow) -> String {
    match (&row.top_node, row.top_share) {
        (Some(node), Some(share)) => format!("{node} {:.0}%", share * 100.0),
        _ => String::new(),
    }
}

fn has_errors(row: &TraceRow) -> bool {
    row.error_count.is_some_and(|errors| errors > 0)
}

fn mark(row: &TraceRow) -> Mark {
    match row {
        _ if has_errors(row) => Mark::Error,
        _ if row.root_name.is_none() => Mark::Orphan,
        _ if row.trace_complete == Some(false) => Mark::Waiting,
        _ => Mark::None,
    }
}

fn columns(width: u16) -> Vec<Column> {
    vec![
        Column::fixed("start", 12),
        Column::number("duration", 9).rank(0),
        Column::text("root", 16).grow(2),
        Column::number("spans", 5),
        Column::number("err", 4),
        Column::number("svc", 4).rank(if width < 100 { 9 } else { 3 }),
        Column::number("depth", 5).rank(if width < 100 { 9 } else { 4 }),
        Column::text("most time in", 16).rank(2),
    ]
}

fn cells(row: &TraceRow, zone: &TimeZone) -> Vec<Cell> {
    let start = row.start_time.as_deref().and_then(|text| api::time::parse(text, 0).ok());
    let start = start.map_or(String::new(), |ns| format::moment(ns, zone, Clock::Milli));
    let so_far = row.trace_complete == Some(false) && row.root_name.is_some();
    let duration = row.duration_ns.map_or(format::NONE.to_owned(), format::duration_ns);
    let errors = if has_errors(row) { Role::Error } else { Role::Text };
    let count = |n: Option<u64>| n.map_or(format::NONE.to_owned(), format::count);
    vec![
        Cell::text(start),
        Cell::text(duration).role(if so_far { Role::Dim } else { Role::Text }),
        Cell::text(root(row)),
        Cell::text(format::count(row.span_count)),
        Cell::text(count(row.error_count)).role(errors),
        Cell::text(count(row.service_count)),
        Cell::text(count(row.depth)),
        Cell::text(most(row)),
    ]
}

impl Traces {
    fn draw_rows(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let mut note = ORDERS[self.order].1.to_owned();
        if !self.marked.is_empty() {
            note = format!("{} marked  {note}", self.marked.len());
        }
        let mut pen = look.framed(pen, (0, ROWS), "Traces", &note);
        let Some((mut pen, answer)) = look.data::<Answer>(&mut pen, ROWS) else { return };
        if answer.rows.is_empty() {
            return pane::nothing(&mut pen, look, "traces");
        }
        let (width, len) = (pen.width(), answer.rows.len());
        let rows = |at: usize| {
            let row = answer.rows.get(at)?;
            let marked = self.marked.contains(&row.trace_id);
            Some(Row { mark: mark(row), marked, cells: cells(row, look.zone), ..Row::default() })
        };
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &columns(width),
            len,
            first: self.list.window(len, height).start,
            cursor: self.list.at(len),
            sort: None,
            rows: &rows,
        };
        table.render(&mut pen);
    }

    fn draw_heat(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let note = match self.heat.selection {
            Some(chosen) => format!("selected {}", chosen.words(look.zone)),
            None => "% percentiles  ! errors".to_owned(),
        };
        let title = if look.scope.filter.is_empty() {
            "Duration of the root spans"
        } else {
            "Duration of the matching spans"
        };
        let mut pen = look.framed(pen, (1, HEAT), title, &note);
        // It is asked for behind the list.
        let slot = if matches!(look.state(HEAT), State::Idle) { ROWS } else { HEAT };
        if let Some((mut pen, _)) = look.data::<HeatmapAnswer>(&mut pen, slot) {
            self.heat.draw(&mut pen, look.zone);
        }
    }
}
