//! What differs: between two traces, or between the means of two sets of traces; the tree of call paths
//! with differences to both sides of a line, and the attributes that tell the sets apart.

use api::views::{
    CohortDiff, Compare as Attributes, CompareRow, DiffRow, List as Rows, Options, TraceDiff,
};
use ratatui::layout::Rect;

use super::{Cx, Go, Grid, Look, Screen, Subject, trace};
use crate::action::{Action, Layer};
use crate::format;
use crate::overlay::filter;
use crate::pane;
use crate::request::Request;
use crate::theme::Role;
use crate::widgets::table::{Cell, Column, Row, Sort, Table};
use crate::widgets::{Mark, Pen};
use crate::window::List;

#[cfg(test)]
mod tests;

const PATHS: usize = 0;
const ATTRIBUTES: usize = 1;

const PATH_PANE: usize = 0;
const ATTRIBUTE_PANE: usize = 1;

/// What stands between the steps of a path, as the view writes it.
const ARROW: &str = " → ";
/// Attributes that tell the sets apart less than this are the same.
const SAME_SCORE: f64 = 0.02;

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sides {
    /// Two traces: the one before and the one after.
    Traces(String, String),
    /// Conditions over spans; a trace belongs to a side when one of its spans meets it.
    Sets {
        a: String,
        b: String,
        /// What the sides are called.
        names: (String, String),
    },
}

/// The comparison with its cursors.
#[derive(Debug)]
pub(crate) struct Compare {
    sides: Sides,
    paths: List,
    attributes: List,
    /// In the order of the trace; else the largest difference first.
    as_tree: bool,
    order: Vec<usize>,
    /// Largest difference on the critical path.
    largest_ms: f64,
}

/// The screen of a comparison.
pub(crate) fn open(sides: Sides) -> Box<dyn Screen> {
    let as_tree = matches!(sides, Sides::Traces(..));
    Box::new(Compare {
        sides,
        paths: List::default(),
        attributes: List::default(),
        as_tree,
        order: Vec::new(),
        largest_ms: 0.0,
    })
}

type Paths = Rows<DiffRow>;
type Differences = Rows<CompareRow>;

impl Compare {
    fn arrange(&mut self, cx: &Cx<'_>) {
        let Some(answer) = cx.get::<Paths>(PATHS) else { return };
        let size = |at: &usize| critical(&answer.rows[*at]).abs();
        self.order = (0..answer.rows.len()).collect();
        if !self.as_tree {
            self.order.sort_by(|a, b| size(b).total_cmp(&size(a)));
        }
        self.largest_ms = answer.rows.iter().map(|r| critical(r).abs()).fold(0.0, f64::max);
        if self.as_tree && self.paths == List::default() {
            // The cursor begins at the largest difference.
            let worst = (0..answer.rows.len()).max_by(|a, b| size(a).total_cmp(&size(b)));
            let height = cx.height(PATH_PANE).saturating_sub(1);
            self.paths.to(worst.unwrap_or(0), answer.rows.len(), height);
        }
    }

    fn path<'a>(&self, answer: Option<&'a Paths>) -> Option<&'a DiffRow> {
        let at = self.paths.at(self.order.len())?;
        answer?.rows.get(*self.order.get(at)?)
    }

    /// Attributes that differ enough to be shown.
    fn shown(answer: &Differences) -> usize {
        answer.rows.iter().take_while(|row| row.score.unwrap_or(0.0) >= SAME_SCORE).count()
    }

    fn attribute<'a>(&self, answer: Option<&'a Differences>) -> Option<&'a CompareRow> {
        let answer = answer?;
        answer.rows.get(self.attributes.at(Compare::shown(answer))?)
    }

    fn names(&self) -> (String, String) {
        match &self.sides {
            Sides::Traces(a, b) => (format::short_id(a).to_owned(), format::short_id(b).to_owned()),
            Sides::Sets { names, .. } => names.clone(),
        }
    }

    fn open_exemplar(&self, cx: &mut Cx<'_>) {
        let of_attribute =
            self.attribute(cx.get(ATTRIBUTES)).and_then(|r| r.exemplar_trace.clone());
        let id = match (&self.sides, *cx.focus) {
            (Sides::Traces(_, b), _) => Some(b.clone()),
            (Sides::Sets { .. }, _) => of_attribute,
        };
        match id {
            Some(id) => cx.push(trace::open(&id, None), cx.scope.clone()),
            None => cx.say("no trace here"),
        }
    }

    fn take_attribute(&self, include: bool, cx: &mut Cx<'_>) {
        let row = self.attribute(cx.get(ATTRIBUTES));
        match row.and_then(|row| Some((row.attribute.clone(), row.value.clone()?))) {
            Some((key, value)) => {
                let scope = cx.scope.and(&filter::term(&key, &value, include));
                cx.go.push(Go::Scope(scope));
            }
            None => cx.say("no single value here to filter by"),
        }
    }
}

fn critical(row: &DiffRow) -> f64 {
    row.dcritical_ms.unwrap_or(0.0)
}

/// A difference of time with its sign.
fn signed_ms(ms: Option<f64>) -> String {
    match ms {
        None => format::NONE.to_owned(),
        Some(ms) if ms.abs() < 0.005 => "=".to_owned(),
        Some(ms) if ms > 0.0 => format!("+{}", format::duration_ms(ms)),
        Some(ms) => format::duration_ms(ms),
    }
}

impl Screen for Compare {
    fn layer(&self) -> Layer {
        Layer::Compare
    }

    fn crumb(&self) -> String {
        let (a, b) = self.names();
        format!("{a} -> {b}")
    }

    fn link(&self) -> String {
        match &self.sides {
            Sides::Traces(a, b) => format!("compare/{a}-{b}"),
            Sides::Sets { .. } => "errors".to_owned(),
        }
    }

    fn slots(&self) -> usize {
        2
    }

    fn filters(&self) -> Option<&'static str> {
        None
    }

    fn filter_line(&self, _look: &Look<'_>) -> String {
        String::new()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        if matches!(self.sides, Sides::Traces(..)) {
            return vec![body, Rect { width: 0, height: 0, ..body }];
        }
        if body.width >= 110 {
            let left = Rect { width: body.width * 11 / 20, ..body };
            let right = Rect { x: body.x + left.width, width: body.width - left.width, ..body };
            return vec![left, right];
        }
        let upper = Rect { height: body.height - body.height * 2 / 5, ..body };
        let lower = Rect { y: body.y + upper.height, height: body.height - upper.height, ..body };
        vec![upper, lower]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        let options = Options { sql: Some(true), ..Options::default() };
        match &self.sides {
            Sides::Traces(a, b) => {
                let question = TraceDiff { trace_id: Some(a.clone()), other: Some(b.clone()) };
                cx.ask(PATHS, Request::view(&question, &options));
            }
            Sides::Sets { a, b, .. } => {
                let question = CohortDiff {
                    selection_a: Some(a.clone()),
                    selection_b: Some(b.clone()),
                    from: cx.fixed.from(),
                    to: cx.fixed.to(),
                };
                cx.ask(PATHS, Request::view(&question, &options));
                let attributes = Attributes {
                    selection: Some(b.clone()),
                    baseline: Some(a.clone()),
                    from: cx.fixed.from(),
                    to: cx.fixed.to(),
                };
                cx.ask(ATTRIBUTES, Request::view(&attributes, &options));
            }
        }
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        if slot == PATHS {
            self.arrange(cx);
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = cx.height(*cx.focus).saturating_sub(1);
        match action {
            Action::Exemplar => self.open_exemplar(cx),
            Action::Open if *cx.focus == ATTRIBUTE_PANE => self.take_attribute(true, cx),
            Action::Include => self.take_attribute(true, cx),
            Action::Exclude => self.take_attribute(false, cx),
            Action::Open => self.open_exemplar(cx),
            Action::NextView | Action::Sort => {
                self.as_tree = !self.as_tree;
                self.paths.release();
                self.arrange(cx);
            }
            other if *cx.focus == ATTRIBUTE_PANE => {
                let len = cx.get::<Differences>(ATTRIBUTES).map_or(0, Compare::shown);
                return self.attributes.act(other, len, height);
            }
            other => return self.paths.act(other, self.order.len(), height),
        }
        true
    }

    fn click(&mut self, pane: usize, _x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        let Some(row) = y.checked_sub(1) else { return false };
        let height = cx.height(pane).saturating_sub(1);
        if pane == ATTRIBUTE_PANE {
            let len = cx.get::<Differences>(ATTRIBUTES).map_or(0, Compare::shown);
            return self.attributes.click(row.into(), len, height);
        }
        self.paths.click(row.into(), self.order.len(), height)
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let trace_id = match &self.sides {
            Sides::Traces(_, b) => Some(b.clone()),
            Sides::Sets { .. } => None,
        };
        if look.focus == ATTRIBUTE_PANE {
            let Some(row) = self.attribute(look.get(ATTRIBUTES)) else { return Subject::default() };
            return Subject {
                trace_id: row.exemplar_trace.clone(),
                term: row.value.clone().map(|value| (row.attribute.clone(), value)),
                cell: row.attribute.clone(),
                json: serde_json::to_string_pretty(row).ok(),
                ..Subject::default()
            };
        }
        let path = self.path(look.get(PATHS));
        let step = path.and_then(|row| row.path.split(ARROW).last());
        Subject {
            trace_id,
            service: step.and_then(|step| step.split(' ').next()).map(str::to_owned),
            cell: path.map(|row| row.path.clone()).unwrap_or_default(),
            json: path.and_then(|row| serde_json::to_string_pretty(row).ok()),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let Some(answer) = look.get::<Paths>(PATHS) else { return Vec::new() };
        let sum: f64 = answer.rows.iter().map(critical).sum();
        let mut facts = vec![format!("{} in all", signed_ms(Some(sum)))];
        let sides = answer.rows.first().and_then(|r| r.traces_a.zip(r.traces_b));
        if let Some((a, b)) = sides.filter(|_| matches!(self.sides, Sides::Sets { .. })) {
            facts.push(format!("{} and {} traces", format::count(a), format::count(b)));
        }
        facts
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 5] = ["path", "status", "dcount", "dself_ms", "dcritical_ms"];
        let answer = look.get::<Paths>(PATHS)?;
        let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
        let row = |at: &usize| {
            let row = &answer.rows[*at];
            vec![
                row.path.clone(),
                row.status.clone(),
                number(row.dcount),
                number(row.dself_ms),
                number(row.dcritical_ms),
            ]
        };
        let rows = self.order.iter().map(row).collect();
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            PATH_PANE => self.draw_paths(pen, look),
            _ => self.draw_attributes(pen, look),
        }
    }
}

impl Compare {
    fn path_row(&self, row: &DiffRow) -> Row {
        let mut steps = row.path.rsplit(ARROW);
        let step = steps.next().unwrap_or("");
        let indent =
            if self.as_tree { "  ".repeat((row.depth as usize).min(20)) } else { String::new() };
        let share = critical(row) / self.largest_ms.max(f64::MIN_POSITIVE);
        let role = match critical(row) {
            d if d > 0.0 && share > 0.1 => Role::Change(4),
            d if d < 0.0 && share < -0.1 => Role::Change(0),
            _ => Role::Text,
        };
        let (mark, status) = match row.status.as_str() {
            "added" => (Mark::Degraded, "added"),
            "removed" => (Mark::Waiting, "removed"),
            _ => (Mark::None, ""),
        };
        let interval = row.lo_ms.zip(row.hi_ms).map_or(String::new(), |(lo, hi)| {
            format!("{} .. {}", signed_ms(Some(lo)), signed_ms(Some(hi)))
        });
        Row {
            mark,
            cells: vec![
                Cell::text(format!("{indent}{step}")),
                Cell::text(signed_ms(row.dcritical_ms)).role(role),
                Cell::both_ways(share),
                Cell::text(signed_ms(row.dself_ms)),
                Cell::text(calls(row.dcount)).role(Role::Dim),
                Cell::text(status).role(Role::New),
                Cell::text(interval).role(Role::Dim),
            ],
            ..Row::default()
        }
    }

    fn draw_paths(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let (a, b) = self.names();
        let note = if self.as_tree { "v largest first" } else { "v as a tree" };
        let title = format!("Where the time differs: {b} less {a}");
        let mut pen = look.framed(pen, (PATH_PANE, PATHS), &title, note);
        let Some((mut pen, answer)) = look.data::<Paths>(&mut pen, PATHS) else { return };
        if answer.rows.is_empty() {
            let what = "nothing to compare: one of the sides has no trace";
            return pane::empty(&mut pen, what, "Esc goes back; - looks at more time");
        }
        let is_of_sets = matches!(self.sides, Sides::Sets { .. });
        let columns =
            [
                Column::text("call path", 24).grow(3),
                Column::number("on path", 9),
                Column::fixed("less | more", 17).rank(2),
                Column::number("own time", 9).rank(4),
                Column::number("calls", 6).rank(3),
                Column::fixed("", 7).rank(5),
                Column::fixed(if is_of_sets { "90 % interval" } else { "" }, 20)
                    .rank(if is_of_sets { 6 } else { 9 }),
            ];
        let len = self.order.len();
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &columns,
            len,
            first: self.paths.window(len, height).start,
            cursor: self.paths.at(len),
            sort: (!self.as_tree).then_some(Sort { column: 1, descending: true }),
            rows: &|at| Some(self.path_row(answer.rows.get(*self.order.get(at)?)?)),
        };
        table.render(&mut pen);
    }

    fn draw_attributes(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let (a, b) = self.names();
        let title = format!("What is different in {b}");
        let mut pen = look.framed(pen, (ATTRIBUTE_PANE, ATTRIBUTES), &title, &format!("vs {a}"));
        let Some((mut pen, answer)) = look.data::<Differences>(&mut pen, ATTRIBUTES) else {
            return;
        };
        let len = Compare::shown(answer);
        let same = answer.rows.len() - len;
        let height = pen.height();
        if len == 0 {
            let what = format!("{same} attributes looked at: none differs");
            return pane::empty(&mut pen, &what, "the sides differ in time only");
        }
        let columns = [
            Column::text("attribute", 14).grow(2),
            Column::text("value", 8),
            Column::number(&b, 6),
            Column::fixed("", 12).rank(4),
            Column::number(&a, 6),
            Column::fixed("", 12).rank(5),
        ];
        let table_height = usize::from(height.saturating_sub(2));
        let table = Table {
            columns: &columns,
            len,
            first: self.attributes.window(len, table_height).start,
            cursor: self.attributes.at(len).filter(|_| look.focus == ATTRIBUTE_PANE),
            sort: None,
            rows: &|at| answer.rows.get(at).map(attribute_row),
        };
        let width = pen.width();
        table.render(&mut pen.part(0, 0, width, height.saturating_sub(1)));
        let text = format!("{same} more: no difference");
        pen.text(3, height.saturating_sub(1), width.saturating_sub(4), &text.into(), Role::Dim);
    }
}

fn calls(difference: Option<f64>) -> String {
    match difference {
        None => String::new(),
        Some(d) if d.abs() < 0.005 => "=".to_owned(),
        Some(d) if d > 0.0 => format!("+{}", format::number(d)),
        Some(d) => format::number(d),
    }
}

/// An attribute with both shares, or both medians of a number.
fn attribute_row(row: &CompareRow) -> Row {
    let (sel, base) = (row.share_sel.unwrap_or(0.0), row.share_base.unwrap_or(0.0));
    let value = match (&row.value, row.p50_sel, row.p50_base) {
        (Some(value), ..) => value.clone(),
        (None, Some(now), Some(before)) => {
            format!("p50 {} vs {}", format::number(now), format::number(before))
        }
        _ => String::new(),
    };
    Row {
        cells: vec![
            Cell::text(row.attribute.as_str()),
            Cell::text(value).role(Role::Accent),
            Cell::text(format::percent(sel)),
            Cell::bar(sel).role(Role::Series(1)),
            Cell::text(format::percent(base)).role(Role::Dim),
            Cell::bar(base).role(Role::Dim),
        ],
        ..Row::default()
    }
}
