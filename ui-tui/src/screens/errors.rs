//! Error paths: where errors begin, which way they take, and whether a user saw them.

use api::views::{ErrorRow, Errors as Question, List as Rows};
use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::compare::{self, Sides};
use super::{Cx, Grid, Look, Screen, Subject, trace, traces};
use crate::action::{Action, Layer};
use crate::chart_data::unix_ns;
use crate::format::{self, Clock};
use crate::overlay::filter;
use crate::pane;
use crate::request::Request;
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::table::{Cell, Column, Row, Sort, Table};
use crate::widgets::{Mark, Pen, piece};
use crate::window::{List, next_where};

#[cfg(test)]
mod tests;

const ROWS: usize = 0;

const LIST_PANE: usize = 0;
const PATH_PANE: usize = 1;

/// What stands between the steps of a path, as the view writes it.
const ARROW: &str = " → ";

/// By what the rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Count,
    Fatal,
    Cost,
    LastSeen,
}

impl Order {
    /// Each with its word and its column.
    const ALL: [(Order, &str, usize); 4] = [
        (Order::Count, "count", 0),
        (Order::Fatal, "seen by users", 2),
        (Order::Cost, "cost", 6),
        (Order::LastSeen, "last seen", 7),
    ];

    fn place(self) -> usize {
        Order::ALL.iter().position(|(order, ..)| *order == self).unwrap_or(0)
    }

    /// Larger comes first.
    fn value(self, row: &ErrorRow) -> f64 {
        match self {
            Order::Count => row.count as f64,
            Order::Fatal => row.fatal_share * row.count as f64,
            Order::Cost => row.cost_ms.unwrap_or(0.0),
            Order::LastSeen => {
                row.last_seen.as_deref().and_then(unix_ns).map_or(0.0, |ns| ns as f64)
            }
        }
    }
}

/// Paths, or what they have in common.
#[derive(Clone, Debug, Default)]
struct Line {
    /// Places of its rows in the answer, the first tells the most.
    rows: Vec<usize>,
    count: u64,
}

/// The list of paths with its cursor.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    list: List,
    order: Order,
    /// Paths of one origin and type are one line.
    by_type: bool,
    /// Only paths with this service.
    service: Option<String>,
    looked_for: String,
    lines: Vec<Line>,
}

/// The error paths of the range, or those that touch a service.
pub(crate) fn open(service: Option<&str>) -> Box<dyn Screen> {
    Box::new(Errors { service: service.map(str::to_owned), ..Errors::default() })
}

type Answer = Rows<ErrorRow>;

impl Errors {
    fn refill(&mut self, cx: &Cx<'_>) {
        let Some(answer) = cx.get::<Answer>(ROWS) else { return };
        let wanted = |row: &&ErrorRow| {
            let touches = |s: &String| steps(row).any(|step| service_of(step) == s);
            let found = row.path.to_lowercase().contains(&self.looked_for)
                || row
                    .error_type
                    .as_deref()
                    .unwrap_or("")
                    .to_lowercase()
                    .contains(&self.looked_for);
            self.service.as_ref().is_none_or(touches) && found
        };
        let mut shown: Vec<usize> =
            (0..answer.rows.len()).filter(|at| wanted(&&answer.rows[*at])).collect();
        let value = |at: &usize| self.order.value(&answer.rows[*at]);
        shown.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.cmp(b)));
        let mut lines: Vec<Line> = Vec::new();
        for at in shown {
            let row = &answer.rows[at];
            let same = |line: &&mut Line| {
                let first = &answer.rows[line.rows[0]];
                (&first.origin, &first.error_type) == (&row.origin, &row.error_type)
            };
            let known = if self.by_type { lines.iter_mut().find(same) } else { None };
            match known {
                Some(line) => {
                    line.rows.push(at);
                    line.count += row.count;
                }
                None => lines.push(Line { rows: vec![at], count: row.count }),
            }
        }
        self.lines = lines;
        let first = |line: &Line| answer.rows[line.rows[0]].signature.as_str();
        self.list.find(self.lines.iter().map(first));
    }

    fn selected<'a>(&self, answer: Option<&'a Answer>) -> Option<&'a ErrorRow> {
        let line = self.lines.get(self.list.at(self.lines.len())?)?;
        answer?.rows.get(line.rows[0])
    }

    fn hold(&mut self, cx: &Cx<'_>) {
        let signature = self.selected(cx.get(ROWS)).map(|row| row.signature.clone());
        if let Some(signature) = signature {
            self.list.hold(signature);
        }
    }

    fn open_exemplar(&self, cx: &mut Cx<'_>) {
        let id = self.selected(cx.get(ROWS)).and_then(|row| row.exemplar_trace.clone());
        match id {
            Some(id) => cx.push(trace::open(&id, None), cx.scope.clone()),
            None => cx.say("no trace of this path"),
        }
    }

    /// The traces with an error of that origin and type.
    fn open_traces(&self, cx: &mut Cx<'_>) {
        let Some(row) = self.selected(cx.get(ROWS)) else { return };
        let mut scope = cx.scope.and("status=error");
        let service = row.origin.split(ARROW).next().unwrap_or("");
        scope = scope.and(&filter::term("service", service, true));
        if let Some(operation) = steps(row).last().map(operation_of) {
            scope = scope.and(&filter::term("op", operation, true));
        }
        cx.push(Box::new(traces::Traces::default()), scope);
    }

    /// Traces in which the operation at the end of the path fails, against those in which it does not.
    fn compare_with_good(&self, cx: &mut Cx<'_>) {
        let step = self.selected(cx.get(ROWS)).and_then(|row| steps(row).last());
        let Some(step) = step else { return };
        let quoted = |text: &str| text.replace('\'', "''");
        let (service, name) = (quoted(service_of(step)), quoted(operation_of(step)));
        let operation = format!("service_name = '{service}' AND name = '{name}'");
        let sides = Sides::Sets {
            a: format!("{operation} AND status_code <> 'error'"),
            b: format!("{operation} AND status_code = 'error'"),
            names: ("good".to_owned(), "failed".to_owned()),
        };
        cx.push(compare::open(sides), cx.scope.clone());
    }

    fn next_fatal(&mut self, forward: bool, height: usize, cx: &mut Cx<'_>) {
        let Some(answer) = cx.get::<Answer>(ROWS) else { return };
        let len = self.lines.len();
        let from = self.list.at(len).unwrap_or(0);
        let holds = |at: usize| answer.rows[self.lines[at].rows[0]].fatal_share > 0.0;
        match next_where(from, len, forward, holds) {
            Some(at) => self.list.to(at, len, height),
            None => cx.say("no error here reached a user"),
        }
    }
}

/// The steps of a path from the first span to the origin: service and name.
fn steps(row: &ErrorRow) -> impl Iterator<Item = &str> {
    row.path.split(ARROW)
}

fn service_of(step: &str) -> &str {
    step.split(' ').next().unwrap_or(step)
}

fn operation_of(step: &str) -> &str {
    step.split_once(' ').map_or(step, |(_, operation)| operation)
}

/// How far it came, in words: `gateway POST /checkout`, or that it was absorbed.
fn surfaced(row: &ErrorRow) -> String {
    match row.fatal_share {
        share if share <= 0.0 => "absorbed".to_owned(),
        share if share >= 1.0 => steps(row).next().unwrap_or("").to_owned(),
        share => format!("{} of them", format::share(share)),
    }
}

impl Screen for Errors {
    fn layer(&self) -> Layer {
        Layer::Errors
    }

    fn crumb(&self) -> String {
        "errors".to_owned()
    }

    fn link(&self) -> String {
        "errors".to_owned()
    }

    fn slots(&self) -> usize {
        1
    }

    /// Paths are made of whole traces: the line finds instead of filtering.
    fn filters(&self) -> Option<&'static str> {
        None
    }

    fn filter_line(&self, _look: &Look<'_>) -> String {
        self.looked_for.clone()
    }

    fn find(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        self.looked_for = text.trim().to_lowercase();
        self.refill(cx);
        true
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        if body.width >= 110 {
            let right = (body.width * 2 / 5).min(76);
            let left = Rect { width: body.width - right, ..body };
            return vec![left, Rect { x: body.x + left.width, width: right, ..body }];
        }
        let lower = if body.height < 12 { 0 } else { body.height * 3 / 5 };
        let upper = Rect { height: body.height - lower, ..body };
        vec![upper, Rect { y: body.y + upper.height, height: lower, ..body }]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        let (from, to) = (cx.fixed.from(), cx.fixed.to());
        let question = Question { from, to, ..Question::default() };
        cx.ask(ROWS, Request::view(&question, &cx.scope.options()));
    }

    fn told(&mut self, _slot: usize, cx: &mut Cx<'_>) {
        self.refill(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = cx.height(LIST_PANE).saturating_sub(1);
        match action {
            Action::Open => self.open_traces(cx),
            Action::Exemplar => self.open_exemplar(cx),
            Action::Difference => self.compare_with_good(cx),
            Action::NextView => {
                self.by_type = !self.by_type;
                self.refill(cx);
            }
            Action::Sort => {
                self.order = Order::ALL[(self.order.place() + 1) % Order::ALL.len()].0;
                self.refill(cx);
            }
            Action::NextError => self.next_fatal(true, height, cx),
            Action::PreviousError => self.next_fatal(false, height, cx),
            Action::Include => {
                let row = self.selected(cx.get(ROWS));
                self.service = row.map(|row| service_of(&row.origin).to_owned());
                self.refill(cx);
            }
            Action::Back if self.service.is_some() || !self.looked_for.is_empty() => {
                self.service = None;
                self.looked_for.clear();
                self.refill(cx);
            }
            other if self.list.act(other, self.lines.len(), height) => self.hold(cx),
            _ => return false,
        }
        true
    }

    fn click(&mut self, pane: usize, _x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        let Some(row) = y.checked_sub(1).filter(|_| pane == LIST_PANE) else { return false };
        let height = cx.height(LIST_PANE).saturating_sub(1);
        let was_there = self.list.click(row.into(), self.lines.len(), height);
        self.hold(cx);
        was_there
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let Some(row) = self.selected(look.get(ROWS)) else { return Subject::default() };
        let service = service_of(&row.origin).to_owned();
        Subject {
            term: Some(("service".to_owned(), service.clone())),
            service: Some(service),
            operation: steps(row).last().map(|step| operation_of(step).to_owned()),
            at_ns: row.first_seen.as_deref().and_then(unix_ns),
            cell: row.path.clone(),
            json: serde_json::to_string_pretty(row).ok(),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let Some(answer) = look.get::<Answer>(ROWS) else { return Vec::new() };
        let failed: u64 = self.lines.iter().map(|line| line.count).sum();
        let mut facts = vec![format!(
            "{} errors on {}",
            format::count(failed),
            format::many(self.lines.len(), "path")
        )];
        if let Some(service) = &self.service {
            facts.push(format!("through {service}, of {}", answer.rows.len()));
        }
        if !look.scope.filter.is_empty() {
            facts.push("of traces with such a span".to_owned());
        }
        facts
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 6] =
            ["count", "fatal_share", "origin", "error_type", "path", "exemplar"];
        let answer = look.get::<Answer>(ROWS)?;
        let row = |line: &Line| {
            let row = &answer.rows[line.rows[0]];
            vec![
                line.count.to_string(),
                row.fatal_share.to_string(),
                row.origin.clone(),
                row.error_type.clone().unwrap_or_default(),
                row.path.clone(),
                row.exemplar_trace.clone().unwrap_or_default(),
            ]
        };
        let rows = self.lines.iter().map(row).collect();
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            LIST_PANE => self.draw_list(pen, look),
            _ => self.draw_path(pen, look),
        }
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::number("count", 7),
        Column::number("share", 5).rank(3),
        Column::fixed("surfaced at", 20).rank(2),
        Column::text("origin", 18).grow(2),
        Column::fixed("type", 16),
        Column::number("paths", 5).rank(8),
        Column::number("cost", 8).rank(5),
        Column::fixed("last seen", 8).rank(6),
    ]
}

fn clock(text: Option<&String>, zone: &TimeZone) -> String {
    let ns = text.and_then(|text| unix_ns(text));
    ns.map_or(String::new(), |ns| format::moment(ns, zone, Clock::Second))
}

impl Errors {
    fn draw_list(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let (_, word, column) = Order::ALL[self.order.place()];
        let title = if self.by_type { "Errors by type" } else { "Error paths" };
        let mut pen = look.framed(pen, (LIST_PANE, ROWS), title, &format!("sort: {word} v"));
        let Some((mut pen, answer)) = look.data::<Answer>(&mut pen, ROWS) else { return };
        if self.lines.is_empty() {
            return pane::nothing(&mut pen, look, "errors");
        }
        let all: u64 = self.lines.iter().map(|line| line.count).sum();
        let rows = |at: usize| {
            let line = self.lines.get(at)?;
            let row = answer.rows.get(line.rows[0])?;
            let fatal = row.fatal_share > 0.0;
            let operation = steps(row).last().map_or("", operation_of);
            Some(Row {
                mark: if fatal { Mark::Error } else { Mark::Degraded },
                cells: vec![
                    Cell::text(format::count(line.count)),
                    Cell::text(format::share(line.count as f64 / (all as f64).max(1.0))),
                    Cell::text(surfaced(row)).role(if fatal { Role::Text } else { Role::Dim }),
                    Cell::text(format!("{} {operation}", service_of(&row.origin))),
                    Cell::text(row.error_type.as_deref().unwrap_or("-")).role(Role::Error),
                    Cell::text(line.rows.len().to_string()).role(Role::Dim),
                    Cell::text(row.cost_ms.map_or("-".to_owned(), format::duration_ms)),
                    Cell::text(clock(row.last_seen.as_ref(), look.zone)).role(Role::Dim),
                ],
                ..Row::default()
            })
        };
        let len = self.lines.len();
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &columns(),
            len,
            first: self.list.window(len, height).start,
            cursor: self.list.at(len),
            sort: Some(Sort { column, descending: true }),
            rows: &rows,
        };
        table.render(&mut pen);
    }

    /// The path from the surface down to the origin, and what is known of it.
    fn draw_path(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let row = self.selected(look.get(ROWS));
        let exemplar = row.and_then(|row| row.exemplar_trace.as_deref());
        let note = exemplar.map_or(String::new(), |id| format!("x {}", format::short_id(id)));
        let mut pen = look.framed(pen, (PATH_PANE, ROWS), "Path", &note);
        let Some(row) = row else { return };
        let below = facts_of(row, look.zone);
        // The path comes first; of what is known of it as much follows as there is room for.
        let room = usize::from(pen.height()).saturating_sub(below.len().min(4) + 1);
        let steps: Vec<&str> = steps(row).collect();
        let width = pen.width();
        let mut y = 0;
        // One line a step, with a line between where there is room.
        let spaced = steps.len() * 2 <= room;
        // What is left out takes a line too.
        let skipped = match steps.len() {
            n if n <= room => 0,
            n => (n + 1 - room.max(3)).min(n - 2),
        };
        for (at, step) in steps.iter().enumerate() {
            if at > 0 && at <= skipped {
                if at == 1 {
                    let text = format!("  … {skipped} more");
                    pen.text(1, y, width, &text.into(), Role::Dim);
                    y += 1;
                }
                continue;
            }
            let is_origin = at + 1 == steps.len();
            let mark = if is_origin { Mark::Origin } else { Mark::Error };
            pen.put(1, y, mark.glyph(), mark.role());
            let service = SafeText::new(service_of(step));
            pen.text(3, y, 14, &service, Role::Title);
            let name = SafeText::new(operation_of(step));
            pen.text(18, y, width.saturating_sub(19), &name, Role::Text);
            y += 1;
            if spaced && !is_origin {
                pen.put(1, y, '│', Role::Error);
                y += 1;
            }
        }
        for (name, value, role) in below {
            y += 1;
            let line = [piece(format!("{name:<12}"), Role::Dim), piece(value, role)];
            pen.pieces(1, y, width.saturating_sub(2), &line);
        }
    }
}

fn facts_of(row: &ErrorRow, zone: &TimeZone) -> Vec<(&'static str, String, Role)> {
    let role = match row.error_role.as_deref() {
        Some("peer_origin") => "the callee told nothing of it",
        Some("timeout_origin") => "the caller gave up, the callee ended well or went on",
        _ => "no span below it failed",
    };
    let seen_by = match row.fatal_share {
        share if share <= 0.0 => "nobody: an ancestor ended well".to_owned(),
        share if share >= 1.0 => "users, each time".to_owned(),
        share => format!("users, in {} of the cases", format::share(share)),
    };
    let mut facts = vec![
        ("origin", row.origin.clone(), Role::Text),
        ("type", row.error_type.clone().unwrap_or("unknown".to_owned()), Role::Error),
        ("begins here", role.to_owned(), Role::Text),
        ("seen by", seen_by, if row.fatal_share > 0.0 { Role::Error } else { Role::Text }),
    ];
    if let Some(cost) = row.cost_ms {
        facts.push((
            "cost",
            format!("{} on critical paths", format::duration_ms(cost)),
            Role::Text,
        ));
    }
    let seen = format!(
        "{} .. {}",
        clock(row.first_seen.as_ref(), zone),
        clock(row.last_seen.as_ref(), zone)
    );
    facts.push(("seen", seen, Role::Dim));
    facts
}
