//! Services: who is slow, who fails, what has changed; the worst first.

use std::cmp::Ordering;

use api::views::{Heatmap, HeatmapAnswer, List as Rows, ServiceRow, Services as Question};
use ratatui::layout::Rect;

use super::heat::{self, Heat};
use super::{Cx, Grid, Look, Screen, Subject, service, traces};
use crate::action::{Action, Layer};
use crate::format;
use crate::overlay::filter;
use crate::pane;
use crate::request::Request;
use crate::safe_text::SafeText;
use crate::scope::{Compare, Fixed};
use crate::theme::Role;
use crate::widgets::table::{self, Cell, Column, Row, Sort, Table};
use crate::widgets::{Mark, Pen};
use crate::window::{List, next_where};

#[cfg(test)]
mod tests;

const ROWS: usize = 0;
const HEAT: usize = 1;
/// Columns of the trends.
const BINS: u64 = 15;
/// Errors from this share on are a matter of their own.
const ERRORS_MATTER: f64 = 0.01;
/// Panes from this width on have room for more columns.
const WIDE: u16 = 110;

/// The list with its cursor, and the heatmap of the row under it.
#[derive(Debug, Default)]
pub(crate) struct Services {
    list: List,
    /// The person has chosen a row; until then the cursor stays on the worst.
    chosen: bool,
    order: Order,
    reversed: bool,
    /// Places of the answer's rows in the order shown.
    sorted: Vec<usize>,
    heat: Heat,
}

/// By what the rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Impact,
    Name,
    Rate,
    Errors,
    P50,
    P95,
    P99,
}

impl Order {
    /// Each with its word and the column whose head shows it.
    const ALL: [(Order, &str, usize); 7] = [
        (Order::Impact, "impact", 6),
        (Order::Name, "service", 0),
        (Order::Rate, "rate", 1),
        (Order::Errors, "errors", 2),
        (Order::P50, "p50", 3),
        (Order::P95, "p95", 4),
        (Order::P99, "p99", 5),
    ];

    fn place(self) -> usize {
        Order::ALL.iter().position(|(order, ..)| *order == self).unwrap_or(0)
    }

    /// Larger comes first.
    fn value(self, row: &ServiceRow) -> f64 {
        match self {
            Order::Impact => row.impact.unwrap_or(0.0).max(0.0) + error_impact(row),
            Order::Name => 0.0,
            Order::Rate => row.per_second,
            Order::Errors => row.error_share.unwrap_or(0.0),
            Order::P50 => row.p50_ms.unwrap_or(0.0),
            Order::P95 => row.p95_ms.unwrap_or(0.0),
            Order::P99 => row.p99_ms.unwrap_or(0.0),
        }
    }
}

/// What a failed request counts, as if it had taken so much longer.
const FAILURE_MS: f64 = 10_000.0;

/// Rate by what the share of errors has grown, in the unit of the impact.
fn error_impact(row: &ServiceRow) -> f64 {
    let before = row.before.as_ref().and_then(|before| before.error_share).unwrap_or(0.0);
    let more = row.error_share.unwrap_or(0.0) - before;
    row.per_second * more.max(0.0) * FAILURE_MS
}

type Answer = Rows<ServiceRow>;

impl Services {
    fn selected<'a>(&self, answer: &'a Answer) -> Option<&'a ServiceRow> {
        let at = self.list.at(self.sorted.len())?;
        answer.rows.get(*self.sorted.get(at)?)
    }

    fn resort(&mut self, cx: &mut Cx<'_>) {
        if let Some(answer) = cx.get::<Answer>(ROWS) {
            self.sorted = sorted(&answer.rows, self.order, self.reversed);
            self.list.find(self.sorted.iter().map(|at| answer.rows[*at].service_name.as_str()));
        }
        self.settle(cx);
    }

    /// Holds the row under the cursor, and asks for its heatmap once the cursor rests.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let selected = cx.get::<Answer>(ROWS).and_then(|answer| self.selected(answer));
        let Some(row) = selected else { return };
        let (name, term) = (row.service_name.clone(), term(row));
        let request = heat_request(&term, cx);
        if self.chosen {
            self.list.hold(name);
        }
        cx.ask_soon(HEAT, request);
    }

    /// The row under the cursor is the one that is meant from now on.
    fn choose(&mut self, cx: &mut Cx<'_>) {
        self.chosen = true;
        self.settle(cx);
    }

    fn open(&self, cx: &mut Cx<'_>) {
        let selected = cx.get::<Answer>(ROWS).and_then(|answer| self.selected(answer));
        let Some(row) = selected else { return };
        if is_peer(row) {
            // It sends no spans: what is known are the calls to it.
            let scope = cx.scope.and(&term(row));
            return cx.push(Box::new(traces::Traces::default()), scope);
        }
        let (screen, scope) = (service::open(&row.service_name), cx.scope.clone());
        cx.push(screen, scope);
    }

    fn next_problem(&mut self, forward: bool, height: usize, cx: &mut Cx<'_>) {
        let Some(answer) = cx.get::<Answer>(ROWS) else { return };
        let len = self.sorted.len();
        let from = self.list.at(len).unwrap_or(0);
        let holds = |at: usize| mark(&answer.rows[self.sorted[at]]) != Mark::None;
        match next_where(from, len, forward, holds) {
            Some(at) => {
                self.list.to(at, len, height);
                self.choose(cx);
            }
            None => cx.say("no problem in this range"),
        }
    }

    fn sort_by(&mut self, place: usize, cx: &mut Cx<'_>) {
        let order = Order::ALL[place % Order::ALL.len()].0;
        self.reversed = self.order == order && !self.reversed;
        self.order = order;
        self.resort(cx);
    }
}

/// Places of rows in an order. Where nothing has got worse, by errors, then services before what is
/// known by their calls, and the busiest first.
fn sorted(rows: &[ServiceRow], order: Order, reversed: bool) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..rows.len()).collect();
    sorted.sort_by(|a, b| {
        let (a, b) = (&rows[*a], &rows[*b]);
        let by = |order: Order| order.value(b).total_cmp(&order.value(a));
        let by_name = a.service_name.cmp(&b.service_name);
        let of_equals = match order {
            Order::Impact => {
                by(Order::Errors).then(is_peer(a).cmp(&is_peer(b))).then(by(Order::Rate))
            }
            _ => Ordering::Equal,
        };
        let whole = by(order).then(of_equals).then(by_name);
        if reversed { whole.reverse() } else { whole }
    });
    sorted
}

/// A database, topic or outside host: known by the spans of its callers.
fn is_peer(row: &ServiceRow) -> bool {
    !matches!(row.kind.as_str(), "" | "service")
}

fn term(row: &ServiceRow) -> String {
    filter::term(if is_peer(row) { "peer" } else { "service" }, &row.service_name, true)
}

/// The services of a range beside what it is compared with.
pub(super) fn question(range: Fixed, compare: Compare) -> Question {
    Question {
        from: range.from(),
        to: range.to(),
        // An open range has no period before it.
        compare: range.both().and(compare.word()).map(str::to_owned),
        bins: Some(BINS),
        peers: Some(true),
    }
}

fn heat_request(term: &str, cx: &Cx<'_>) -> Request {
    let width = cx.widths.get(1).copied().unwrap_or(80);
    let question = Heatmap {
        from: cx.fixed.from(),
        to: cx.fixed.to(),
        columns: Some(heat::columns(width)),
        ..Heatmap::default()
    };
    Request::view(&question, &cx.scope.and(term).options())
}

impl Screen for Services {
    fn layer(&self) -> Layer {
        Layer::Services
    }

    fn crumb(&self) -> String {
        "services".to_owned()
    }

    fn link(&self) -> String {
        "services".to_owned()
    }

    fn slots(&self) -> usize {
        2
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        let lower = if body.height < 17 { 0 } else { (body.height / 3).min(18) };
        let upper = Rect { height: body.height - lower, ..body };
        vec![upper, Rect { y: body.y + upper.height, height: lower, ..body }]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        let question = question(cx.fixed, cx.scope.compare);
        let request = Request::view(&question, &cx.scope.options());
        cx.ask(ROWS, request);
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        if slot == ROWS {
            self.resort(cx);
        } else if let Some(answer) = cx.get::<HeatmapAnswer>(HEAT) {
            self.heat.fill(answer);
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = cx.height(0).saturating_sub(1);
        match action {
            Action::Open => {
                self.choose(cx);
                self.open(cx);
            }
            Action::NextError => self.next_problem(true, height, cx),
            Action::PreviousError => self.next_problem(false, height, cx),
            Action::Sort => self.sort_by(self.order.place() + 1, cx),
            Action::SortReverse => {
                self.reversed = !self.reversed;
                self.resort(cx);
            }
            Action::Percentiles => self.heat.toggle_lines(),
            Action::ErrorOverlay => self.heat.toggle_errors(),
            other if self.list.act(other, self.sorted.len(), height) => self.choose(cx),
            Action::Exemplar | Action::Pivot(_) => {
                self.choose(cx);
                return false;
            }
            _ => return false,
        }
        true
    }

    fn click(&mut self, pane: usize, x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        if pane != 0 {
            return false;
        }
        let width = cx.widths.first().copied().unwrap_or(0);
        let height = cx.height(0).saturating_sub(1);
        if y == 0 {
            let hit = super::column_at(&columns(width, ""), width, x);
            let place = hit.and_then(|hit| Order::ALL.iter().position(|(_, _, c)| *c == hit));
            if let Some(place) = place {
                self.sort_by(place, cx);
            }
            return false;
        }
        let was_there = self.list.click(usize::from(y) - 1, self.sorted.len(), height);
        self.choose(cx);
        was_there
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let selected = look.get::<Answer>(ROWS).and_then(|answer| self.selected(answer));
        let Some(row) = selected else { return Subject::default() };
        let key = if is_peer(row) { "peer" } else { "service" };
        Subject {
            service: Some(row.service_name.clone()).filter(|_| !is_peer(row)),
            trace_id: exemplar(row),
            term: Some((key.to_owned(), row.service_name.clone())),
            cell: row.service_name.clone(),
            json: serde_json::to_string_pretty(row).ok(),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let Some(answer) = look.get::<Answer>(ROWS) else { return Vec::new() };
        let peers = answer.rows.iter().filter(|row| is_peer(row)).count();
        let services = answer.rows.len() - peers;
        vec![format!("{services} services, {peers} peers")]
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 7] =
            ["service", "per_second", "error_share", "p50_ms", "p95_ms", "p99_ms", "change"];
        let answer = look.get::<Answer>(ROWS)?;
        let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let row = |row: &ServiceRow| {
            vec![
                row.service_name.clone(),
                row.per_second.to_string(),
                number(row.error_share),
                number(row.p50_ms),
                number(row.p95_ms),
                number(row.p99_ms),
                change(row).0,
            ]
        };
        let rows = self.sorted.iter().map(|at| row(&answer.rows[*at])).collect();
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            0 => self.draw_rows(pen, look),
            _ => self.draw_heat(pen, look),
        }
    }
}

/// The trace that shows best what is wrong: one in error where errors matter, else the slowest.
fn exemplar(row: &ServiceRow) -> Option<String> {
    let failing = row.error_share.is_some_and(|share| share >= ERRORS_MATTER);
    let error = row.error_trace.clone().filter(|_| failing);
    error.or_else(|| row.slowest_trace.clone()).or_else(|| row.median_trace.clone())
}

fn mark(row: &ServiceRow) -> Mark {
    let before = row.before.as_ref().and_then(|before| before.error_share).unwrap_or(0.0);
    let now = row.error_share.unwrap_or(0.0);
    let worse = row.change.as_ref().is_some_and(|c| c.of != "rate" && c.now > c.before);
    match () {
        () if now >= ERRORS_MATTER && now > before => Mark::Error,
        () if worse => Mark::Degraded,
        () => Mark::None,
    }
}

/// The largest change in words, and what it means.
fn change(row: &ServiceRow) -> (String, Role) {
    let Some(change) = &row.change else {
        let text = match &row.before {
            Some(before) if before.calls > 0 => "=",
            // Nothing to compare with: the range is all that there is, or the row is new in it.
            _ => format::NONE,
        };
        return (text.to_owned(), Role::Dim);
    };
    let word = if change.of == "errors" { "err" } else { change.of.as_str() };
    let role = match change.of.as_str() {
        "rate" => Role::Text,
        _ if change.now > change.before => Role::Change(4),
        _ => Role::Change(0),
    };
    (format!("{word} {}", format::factor(change.now, change.before)), role)
}

/// The columns; `change` heads that of changes.
fn columns(width: u16, change: &'static str) -> Vec<Column> {
    let wide = width >= WIDE;
    let mut columns = vec![
        Column::text("service", 13),
        Column::number("rate/s", 7),
        Column::number("err%", 5),
        Column::number("p50", 7),
        Column::number("p95", 7).rank(3),
        Column::number("p99", 7),
        Column::fixed(change, 10),
    ];
    if wide {
        columns.push(Column::number("self", 8).rank(4));
        columns.push(Column::number("inst", 5).rank(5));
        columns.push(Column::fixed("version", 14).rank(6));
    }
    columns.push(Column::fixed("p99 trend", if wide { 15 } else { 10 }).rank(2));
    columns
}

/// A share in the five columns that it has.
fn error_percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    if text.len() > 5 { format!("{:.1}", share * 100.0) } else { text }
}

fn cells(row: &ServiceRow, wide: bool, name_width: u16) -> Vec<Cell> {
    let ms =
        |value: Option<f64>| Cell::text(value.map_or(format::NONE.to_owned(), format::duration_ms));
    let star = match row.kind.as_str() {
        "" | "service" => "",
        "external" => " ext",
        _ => "*",
    };
    let errors = row.error_share.map_or(format::NONE.to_owned(), error_percent);
    let bad = row.error_share.is_some_and(|share| share >= ERRORS_MATTER);
    let (change, role) = change(row);
    let trend = row.trend.as_ref().map(|trend| trend.p99_ms.clone()).unwrap_or_default();
    let mut cells = vec![
        Cell::text(SafeText::both_ends(&format!("{}{star}", row.service_name), name_width.into())),
        Cell::text(format::rate(row.per_second)),
        Cell::text(errors).role(if bad { Role::Error } else { Role::Text }),
        ms(row.p50_ms),
        ms(row.p95_ms),
        ms(row.p99_ms),
        Cell::text(change).role(role),
    ];
    if wide {
        cells.push(ms(row.self_ms));
        cells.push(Cell::text(row.instances.map_or(String::new(), format::count)));
        cells.push(Cell::text(row.versions.join(" ")));
    }
    cells.push(Cell::spark(trend));
    cells
}

impl Services {
    fn draw_rows(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let (_, word, column) = Order::ALL[self.order.place()];
        let note = format!("sort: {word} {}", if self.reversed { "^" } else { "v" });
        let mut pen = look.framed(pen, (0, ROWS), "Services", &note);
        let Some((mut pen, answer)) = look.data::<Answer>(&mut pen, ROWS) else { return };
        if answer.rows.is_empty() {
            return pane::nothing(&mut pen, look, "services");
        }
        let (width, len) = (pen.width(), self.sorted.len());
        let has_before = |row: &ServiceRow| row.before.as_ref().is_some_and(|b| b.calls > 0);
        let compared = answer.rows.iter().any(has_before);
        let columns = columns(width, if compared { "vs prev" } else { "change" });
        let name_width = table::place(&columns, width).first().map_or(0, |placed| placed.width);
        let rows = |at: usize| {
            let row = answer.rows.get(*self.sorted.get(at)?)?;
            let cells = cells(row, width >= WIDE, name_width);
            Some(Row { mark: mark(row), cells, ..Row::default() })
        };
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &columns,
            len,
            first: self.list.window(len, height).start,
            cursor: self.list.at(len),
            sort: Some(Sort { column, descending: !self.reversed }),
            rows: &rows,
        };
        table.render(&mut pen);
        if len + 2 < height && answer.rows.iter().any(is_peer) {
            let text = "* database or topic, ext outside: known from the spans of callers";
            pen.text(3, pen.height() - 1, width, &text.into(), Role::Dim);
        }
    }

    fn draw_heat(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let selected = look.get::<Answer>(ROWS).and_then(|answer| self.selected(answer));
        let name = selected.map_or("", |row| row.service_name.as_str());
        let title = match name {
            "" => "Durations".to_owned(),
            name => format!("{name}  duration of its spans"),
        };
        let note = match look.get::<HeatmapAnswer>(HEAT) {
            Some(_) => format!("n={}", format::count(self.heat.total())),
            None => String::new(),
        };
        let mut pen = look.framed(pen, (1, HEAT), &title, &note);
        if let Some((mut pen, _)) = look.data::<HeatmapAnswer>(&mut pen, HEAT) {
            self.heat.draw(&mut pen, look.zone);
        }
    }
}
