//! One service: where the time of the requests through it goes, what is different in those that are
//! selected, and the heatmap in which they are selected.

use api::sql::SqlAnswer;
use api::views::{
    Compare, CompareRow, FilterAnswer, FilterLine, Heatmap, HeatmapAnswer, List as Rows, Options,
};
use ratatui::layout::Rect;

use super::heat::{self, Heat, Selection};
use super::{Cx, Grid, Look, Screen, Subject, compare, trace};
use crate::action::{Action, Layer};
use crate::format;
use crate::overlay::filter;
use crate::pane;
use crate::request::Request;
use crate::safe_text::SafeText;
use crate::scope::{Compare as Period, Fixed};
use crate::slot::State;
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::table::{Cell, Column, Row, Table};
use crate::window::List;

mod parts;
#[cfg(test)]
mod tests;

use parts::{By, Part, Parts};

const HEAT: usize = 0;
const MEANING: usize = 1;
const NOW: usize = 2;
const BEFORE: usize = 3;
const DIFFERENT: usize = 4;

const TIME_PANE: usize = 0;
const DIFFERENT_PANE: usize = 1;
const HEAT_PANE: usize = 2;

/// Attributes whose distributions are this near are no difference.
const SAME_SCORE: f64 = 0.02;

/// What the selection is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Against {
    /// The period that the scope names.
    #[default]
    Period,
    /// The other requests of the same range.
    Rest,
}

/// A service with what is selected of it.
#[derive(Debug)]
pub(crate) struct Service {
    name: String,
    by: By,
    against: Against,
    heat: Heat,
    /// The rectangle was drawn by the person, not by a change point.
    is_own: bool,
    /// What depends on the heatmap is asked past every cache.
    is_fresh: bool,
    /// The cursor has been put on the part that has grown most.
    is_placed: bool,
    parts: List,
    different: List,
    shown: Parts,
}

/// The screen of a service.
pub(crate) fn open(name: &str) -> Box<dyn Screen> {
    Box::new(Service {
        name: name.to_owned(),
        by: By::default(),
        against: Against::default(),
        heat: Heat::default(),
        is_own: false,
        is_fresh: false,
        is_placed: false,
        parts: List::default(),
        different: List::default(),
        shown: Parts::default(),
    })
}

type Differences = Rows<CompareRow>;

impl Service {
    /// The requests to the service, as a condition over spans.
    fn requests(&self, meaning: Option<&FilterAnswer>) -> String {
        let name = self.name.replace('\'', "''");
        let requests =
            format!("service_name = '{name}' AND (kind IN ('server', 'consumer') OR is_root)");
        match meaning {
            Some(filter) if filter.sql != "TRUE" => format!("{requests} AND ({})", filter.sql),
            _ => requests,
        }
    }

    /// Asks for what depends on the selection.
    fn load_parts(&mut self, cx: &mut Cx<'_>) {
        let requests = self.requests(cx.get(MEANING));
        let selection = self.heat.selection;
        let chosen = selected(&requests, selection);
        let range = selection.map_or(cx.fixed, |chosen| Fixed {
            from_ns: Some(chosen.from_ns),
            to_ns: Some(chosen.to_ns),
        });
        cx.ask(NOW, parts::request(&chosen, range, self.by));
        self.load_baseline(&requests, cx);
        self.load_different(cx);
    }

    fn load_baseline(&self, requests: &str, cx: &mut Cx<'_>) {
        match self.baseline(requests, cx) {
            Some((condition, range)) => cx.ask(BEFORE, parts::request(&condition, range, self.by)),
            None => cx.slots[BEFORE].clear(cx.out),
        }
    }

    /// Where the period before has no traces, a selection is held against the rest.
    fn replace_empty_baseline(&mut self, cx: &mut Cx<'_>) {
        let is_empty = cx.get::<SqlAnswer>(BEFORE).is_some_and(|answer| answer.rows.is_empty());
        if is_empty && self.against == Against::Period && self.heat.selection.is_some() {
            self.against = Against::Rest;
            let requests = self.requests(cx.get(MEANING));
            self.load_baseline(&requests, cx);
        }
    }

    /// Begins at the part that has grown most.
    fn place_cursor(&mut self, cx: &Cx<'_>) {
        let is_known = |slot: usize| cx.slots[slot].ticket().is_none();
        if self.is_placed || !is_known(NOW) || !is_known(BEFORE) {
            return;
        }
        let growth = |part: &&Part| part.before_ms.map_or(0.0, |before| part.mean_ms - before);
        let grown = self.shown.rows.iter().max_by(|a, b| growth(a).total_cmp(&growth(b)));
        if let Some(part) = grown.filter(|part| growth(part) > 0.0) {
            self.parts.hold(part.key.clone());
            self.is_placed = true;
        }
    }

    /// The same as soon as it is known what is selected: once the heatmap is there, and the filter has
    /// a meaning.
    fn load_parts_when_known(&mut self, cx: &mut Cx<'_>) {
        let has_meaning = cx.scope.filter.is_empty() || cx.get::<FilterAnswer>(MEANING).is_some();
        let is_known = |slot: usize| cx.slots[slot].ticket().is_none();
        if has_meaning && is_known(HEAT) && is_known(MEANING) {
            cx.fresh = std::mem::take(&mut self.is_fresh);
            self.load_parts(cx);
        }
    }

    /// Asks what tells some of the requests from the others.
    fn load_different(&mut self, cx: &mut Cx<'_>) {
        let Some((some, others)) = self.sets(cx.get(MEANING)) else {
            return cx.slots[DIFFERENT].clear(cx.out);
        };
        let compare = Compare {
            selection: Some(some),
            baseline: Some(others),
            from: cx.fixed.from(),
            to: cx.fixed.to(),
        };
        let options = Options { sql: Some(true), ..Options::default() };
        cx.ask(DIFFERENT, Request::view(&compare, &options));
    }

    /// The requests that are held against the others, as conditions over spans.
    fn sets(&self, meaning: Option<&FilterAnswer>) -> Option<(String, String)> {
        let (condition, _) = self.contrast()?;
        let requests = self.requests(meaning);
        let others = format!("{requests} AND NOT ({condition})");
        Some((format!("{requests} AND ({condition})"), others))
    }

    /// What sets the requests apart: the selection; without one failure, if enough fail; else slowness.
    fn contrast(&self) -> Option<(String, &'static str)> {
        const FEW: u64 = 20;
        let (total, failed) = (self.heat.total(), self.heat.failed());
        if let Some(chosen) = self.heat.selection {
            return Some((chosen.sql(), "the selection"));
        }
        if total < FEW {
            return None;
        }
        if failed >= 3 && failed * 100 >= total && failed < total {
            return Some(("is_error".to_owned(), "what failed"));
        }
        let ns = self.heat.slow_from_ns()?;
        Some((format!("duration_ns >= {ns}"), "the slowest 5%"))
    }

    /// The same in full: call paths and attributes of both sets.
    fn open_comparison(&self, cx: &mut Cx<'_>) {
        let (sets, contrast) = (self.sets(cx.get(MEANING)), self.contrast());
        let Some(((b, a), (_, word))) = sets.zip(contrast) else {
            return cx.say("too few requests to compare");
        };
        let names = ("the others".to_owned(), word.to_owned());
        cx.push(compare::open(compare::Sides::Sets { a, b, names }), cx.scope.clone());
    }

    /// What the selection is held against: its condition and range.
    fn baseline(&self, requests: &str, cx: &Cx<'_>) -> Option<(String, Fixed)> {
        if self.against == Against::Rest {
            let selection = self.heat.selection?;
            return Some((format!("{requests} AND NOT ({})", selection.sql()), cx.fixed));
        }
        let (from_ns, to_ns) = cx.fixed.both()?;
        let back_ns = match cx.scope.compare {
            Period::None => return None,
            Period::Previous => to_ns - from_ns,
            Period::DayBefore => 86_400_000_000_000,
            Period::WeekBefore => 7 * 86_400_000_000_000,
        };
        let range = Fixed { from_ns: Some(from_ns - back_ns), to_ns: Some(to_ns - back_ns) };
        Some((requests.to_owned(), range))
    }

    fn refresh_parts(&mut self, cx: &Cx<'_>) {
        let now = cx.get::<SqlAnswer>(NOW).map(parts::read).unwrap_or_default();
        let before = cx.get::<SqlAnswer>(BEFORE).map(parts::read);
        let before = before.filter(|parts| !parts.is_empty());
        self.shown = Parts::of(now, before.as_deref());
    }

    fn select(&mut self, selection: Option<Selection>, is_own: bool, cx: &mut Cx<'_>) {
        self.heat.selection = selection;
        self.is_own = is_own;
        self.load_parts(cx);
    }

    fn exemplar(&self, heat: Option<&HeatmapAnswer>) -> Option<String> {
        let exemplars = self.heat.exemplars(heat?);
        let wanted = if self.heat.selection.is_some() { "median" } else { "error" };
        let first = exemplars.iter().find(|(why, _)| *why == wanted).or(exemplars.first());
        first.map(|(_, id)| id.clone())
    }

    fn open_exemplar(&self, cx: &mut Cx<'_>) {
        let part = self.parts.at(self.shown.rows.len()).and_then(|at| self.shown.rows.get(at));
        let of_part = part.and_then(|part| part.exemplar.clone());
        let of_different = cx.get::<Differences>(DIFFERENT).and_then(|answer| {
            answer.rows.get(self.different.at(answer.rows.len())?)?.exemplar_trace.clone()
        });
        let of_heat = self.exemplar(cx.get(HEAT));
        let id = match *cx.focus {
            DIFFERENT_PANE => of_different.or(of_heat),
            HEAT_PANE => of_heat.or(of_part),
            _ => of_part.or(of_heat),
        };
        match id {
            Some(id) => cx.push(trace::open(&id, None), cx.scope.clone()),
            None => cx.say("no trace of this selection yet"),
        }
    }

    fn difference<'a>(&self, answer: Option<&'a Differences>) -> Option<&'a CompareRow> {
        let answer = answer?;
        answer.rows.get(self.different.at(answer.rows.len())?)
    }

    fn take_difference(&self, cx: &mut Cx<'_>) {
        let row = self.difference(cx.get(DIFFERENT));
        let Some((key, value)) = row.and_then(|r| Some((r.attribute.clone(), r.value.clone()?)))
        else {
            return cx.say("no single value here to filter by");
        };
        let scope = cx.scope.and(&filter::term(&key, &value, true));
        cx.go.push(super::Go::Scope(scope));
    }

    fn act_on_heat(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        match self.heat.act(action) {
            Some(true) => {
                let chosen = self.heat.selection;
                self.select(chosen, true, cx);
                true
            }
            Some(false) => true,
            None => false,
        }
    }
}

fn selected(requests: &str, selection: Option<Selection>) -> String {
    selection.map_or(requests.to_owned(), |chosen| format!("{requests} AND {}", chosen.sql()))
}

impl Screen for Service {
    fn layer(&self) -> Layer {
        Layer::Service
    }

    fn crumb(&self) -> String {
        self.name.clone()
    }

    fn link(&self) -> String {
        format!("service/{}", crate::link::encoded(&self.name))
    }

    fn slots(&self) -> usize {
        5
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        if body.height < 15 {
            return vec![body, Rect::ZERO, Rect::ZERO];
        }
        let heat = (body.height / 3).clamp(6, 20);
        let different = (body.height * 3 / 10).clamp(5, 16);
        let time = body.height - heat - different;
        let at = |y, height| Rect { y: body.y + y, height, ..body };
        vec![at(heat, time), at(heat + time, different), at(0, heat)]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        self.is_fresh = cx.fresh;
        let width = cx.widths.get(HEAT_PANE).copied().unwrap_or(80);
        let heat = Heatmap {
            from: cx.fixed.from(),
            to: cx.fixed.to(),
            filter: Some(self.requests(None)),
            columns: Some(heat::columns(width)),
        };
        cx.ask(HEAT, Request::view(&heat, &cx.scope.options()));
        if cx.scope.filter.is_empty() {
            cx.slots[MEANING].clear(cx.out);
            return self.load_parts_when_known(cx);
        }
        let line = FilterLine {
            text: Some(cx.scope.filter.clone()),
            from: cx.fixed.from(),
            to: cx.fixed.to(),
            ..FilterLine::default()
        };
        cx.ask(MEANING, Request::view(&line, &Options::default()));
        if cx.slots[MEANING].ticket().is_none() {
            self.load_parts_when_known(cx);
        }
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        match slot {
            HEAT => {
                if let Some(answer) = cx.get::<HeatmapAnswer>(HEAT) {
                    self.heat.fill(answer);
                    let change = answer.change.as_ref().and_then(Selection::of_change);
                    if !self.is_own {
                        self.heat.selection = change;
                    }
                }
                self.load_parts_when_known(cx);
            }
            MEANING => self.load_parts_when_known(cx),
            NOW | BEFORE => {
                self.replace_empty_baseline(cx);
                self.refresh_parts(cx);
                self.place_cursor(cx);
                self.parts.find(self.shown.rows.iter().map(|part| part.key.as_str()));
            }
            _ => {}
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let focus = *cx.focus;
        let height = cx.height(focus).saturating_sub(1);
        let differences = cx.get::<Differences>(DIFFERENT).map_or(0, |answer| answer.rows.len());
        match action {
            Action::Exemplar => self.open_exemplar(cx),
            Action::NextView => {
                self.by = self.by.next();
                self.parts.release();
                self.is_placed = false;
                self.load_parts(cx);
            }
            Action::Difference if focus == DIFFERENT_PANE => self.open_comparison(cx),
            Action::Difference => {
                self.against = match self.against {
                    Against::Period => Against::Rest,
                    Against::Rest => Against::Period,
                };
                self.load_parts(cx);
            }
            Action::Percentiles => self.heat.toggle_lines(),
            Action::ErrorOverlay => self.heat.toggle_errors(),
            Action::Mark if focus != HEAT_PANE => *cx.focus = HEAT_PANE,
            Action::Back if focus != HEAT_PANE && self.is_own => self.select(None, false, cx),
            _ if focus == HEAT_PANE && self.act_on_heat(action, cx) => {}
            Action::Open if focus == DIFFERENT_PANE => self.take_difference(cx),
            Action::Open => self.open_exemplar(cx),
            other if focus == DIFFERENT_PANE => {
                return self.different.act(other, differences, height);
            }
            other => {
                let len = self.shown.rows.len();
                let moved = self.parts.act(other, len, cx.height(TIME_PANE));
                if let Some(part) = self.parts.at(len).and_then(|at| self.shown.rows.get(at)) {
                    self.parts.hold(part.key.clone());
                    self.is_placed = true;
                }
                return moved;
            }
        }
        true
    }

    fn click(&mut self, pane: usize, x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        match pane {
            HEAT_PANE => {
                self.heat.click(x, y, (cx.widths[HEAT_PANE], cx.heights[HEAT_PANE]));
                false
            }
            TIME_PANE => self.parts.click(y.into(), self.shown.rows.len(), cx.height(TIME_PANE)),
            _ => {
                let len = cx.get::<Differences>(DIFFERENT).map_or(0, |a| a.rows.len());
                let Some(row) = usize::from(y).checked_sub(1) else { return false };
                self.different.click(row, len, cx.height(DIFFERENT_PANE).saturating_sub(1))
            }
        }
    }

    fn drag(&mut self, pane: usize, from: (u16, u16), to: (u16, u16), cx: &mut Cx<'_>) {
        let size = (cx.widths[HEAT_PANE], cx.heights[HEAT_PANE]);
        if pane == HEAT_PANE && self.heat.drag(from, to, size) {
            let chosen = self.heat.selection;
            self.select(chosen, true, cx);
        }
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let part = self.parts.at(self.shown.rows.len()).and_then(|at| self.shown.rows.get(at));
        let difference = self.difference(look.get(DIFFERENT));
        let (term, cell) = match (look.focus, difference, part) {
            (DIFFERENT_PANE, Some(row), _) => (
                row.value.clone().map(|value| (row.attribute.clone(), value)),
                format!("{}={}", row.attribute, row.value.as_deref().unwrap_or("")),
            ),
            (_, _, Some(part)) => {
                (Some(("service".to_owned(), self.name.clone())), part.key.clone())
            }
            _ => (Some(("service".to_owned(), self.name.clone())), self.name.clone()),
        };
        Subject {
            service: Some(self.name.clone()),
            trace_id: self.exemplar(look.get(HEAT)),
            at_ns: self.heat.selection.map(|chosen| chosen.from_ns),
            term,
            cell,
            json: difference.and_then(|row| serde_json::to_string_pretty(row).ok()),
            ..Subject::default()
        }
    }

    fn filter_line(&self, look: &Look<'_>) -> String {
        look.scope.filter.clone()
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let is_known = look.get::<HeatmapAnswer>(HEAT).is_some();
        let requests = is_known.then(|| format!("{} requests", format::count(self.heat.total())));
        requests.into_iter().collect()
    }

    fn statements(&self, look: &Look<'_>) -> Vec<String> {
        let requests = self.requests(look.get(MEANING));
        let chosen = selected(&requests, self.heat.selection);
        let range = self.heat.selection.map_or(look.fixed, |chosen| Fixed {
            from_ns: Some(chosen.from_ns),
            to_ns: Some(chosen.to_ns),
        });
        vec![parts::statement(&chosen, range, self.by)]
    }

    fn grid(&self, _look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 4] = ["group", "mean_ms", "share", "before_ms"];
        let rows = self.shown.rows.iter().map(|part| {
            vec![
                part.key.clone(),
                format!("{:.6}", part.mean_ms),
                format!("{:.5}", part.share),
                part.before_ms.map_or(String::new(), |ms| format!("{ms:.6}")),
            ]
        });
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows: rows.collect() })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            TIME_PANE => self.draw_time(pen, look),
            DIFFERENT_PANE => self.draw_different(pen, look),
            _ => self.draw_heat(pen, look),
        }
    }
}

impl Service {
    fn draw_heat(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let note = match self.heat.selection {
            Some(chosen) if self.is_own => format!("selected {}", chosen.words(look.zone)),
            Some(chosen) => format!("changed {}", chosen.words(look.zone)),
            None => "Space selects  % percentiles  ! errors".to_owned(),
        };
        let mut pen = look.framed(pen, (HEAT_PANE, HEAT), "Latency", &note);
        if let Some((mut pen, answer)) = look.data::<HeatmapAnswer>(&mut pen, HEAT) {
            if answer.cells.is_empty() {
                return pane::nothing(&mut pen, look, "requests");
            }
            self.heat.draw(&mut pen, look.zone);
        }
    }

    fn draw_time(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let of = if self.heat.selection.is_some() { "of the selection" } else { "of all" };
        let mean = format::duration_ms(self.shown.mean_ms);
        let title = match self.shown.rows.is_empty() {
            true => "Where the time goes".to_owned(),
            false => format!("Where the time goes  (mean {of} {mean})"),
        };
        let note = match self.against {
            Against::Period => format!("v: by {}", self.by.word()),
            Against::Rest => format!("was: the rest  v: by {}", self.by.word()),
        };
        let mut pen = look.framed(pen, (TIME_PANE, NOW), &title, &note);
        let slot = or_heat(look, NOW);
        let Some((mut pen, _)) = look.data::<SqlAnswer>(&mut pen, slot) else { return };
        if self.shown.rows.is_empty() {
            return pane::empty(&mut pen, "no trace in the selection has its root", "- more time");
        }
        let height = usize::from(pen.height());
        let len = self.shown.rows.len();
        let window = self.parts.window(len, height);
        let at = self.parts.at(len);
        let last = window.end;
        for (y, i) in (0..).zip(window) {
            let rest = last < len && i + 1 == last && at != Some(i);
            let row = if rest { self.shown.rest(i) } else { self.shown.rows[i].clone() };
            self.draw_part(&mut pen, y, &row);
            if at == Some(i) {
                let width = pen.width();
                pen.restyle(0, y, width / 2 - 2, 1, pen.style(Role::Cursor));
                pen.put(0, y, '▌', Role::Accent);
            }
        }
    }

    fn draw_part(&self, pen: &mut Pen<'_>, y: u16, part: &Part) {
        let width = pen.width();
        let name = (width * 2 / 5).min(48);
        let with_before = width >= 100 && part.before_ms.is_some();
        let right = if with_before { 30 } else { 16 };
        let bar = width.saturating_sub(name + right + 4);
        pen.text(1, y, name, &SafeText::new(&part.key), Role::Text);
        crate::widgets::bars::bar(pen, (name + 2, y), bar, part.share, Role::Critical);
        let x = name + bar + 3;
        pen.right(x, y, 5, &format::percent(part.share).into(), Role::Text);
        pen.right(x + 5, y, 9, &format::duration_ms(part.mean_ms).into(), Role::Text);
        if with_before {
            let before = part.before_ms.unwrap_or(0.0);
            let worse = part.mean_ms > before * 1.5;
            let role = if worse { Role::Change(4) } else { Role::Dim };
            pen.right(x + 15, y, 13, &format!("was {}", format::duration_ms(before)).into(), role);
        }
    }

    fn draw_different(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let contrast = self.contrast();
        let word = contrast.as_ref().map_or("the selection", |(_, word)| word);
        let title = format!("What is different in {word}");
        let note = if look.focus == DIFFERENT_PANE { "d all of it" } else { "against the rest" };
        let mut pen = look.framed(pen, (DIFFERENT_PANE, DIFFERENT), &title, note);
        if contrast.is_none() && look.get::<HeatmapAnswer>(HEAT).is_some() {
            let text = "too few requests to compare: Space in the heatmap, or drag, selects some";
            return pane::empty(&mut pen, text, "-  looks at more time");
        }
        let slot = or_heat(look, DIFFERENT);
        let Some((mut pen, answer)) = look.data::<Differences>(&mut pen, slot) else { return };
        let same = answer.rows.iter().filter(|row| row.score.unwrap_or(0.0) < SAME_SCORE).count();
        let len = answer.rows.len() - same;
        let rows = |at: usize| {
            let row = answer.rows.get(at)?;
            Some(Row { cells: difference_cells(row), ..Row::default() })
        };
        let height = pen.height();
        let table = Table {
            columns: &difference_columns(pen.width()),
            len,
            first: self.different.window(len, usize::from(height).saturating_sub(2)).start,
            cursor: self.different.at(len).filter(|_| look.focus == DIFFERENT_PANE),
            sort: None,
            rows: &rows,
        };
        let width = pen.width();
        table.render(&mut pen.part(0, 0, width, height.saturating_sub(u16::from(same > 0))));
        if same > 0 || len == 0 {
            let text = match len {
                0 => "no attribute tells the selection from the rest".to_owned(),
                _ => format!("{same} more values: no difference"),
            };
            pen.text(3, height.saturating_sub(1), width, &text.into(), Role::Dim);
        }
    }
}

/// A question that is not asked yet waits for the heatmap.
fn or_heat(look: &Look<'_>, slot: usize) -> usize {
    if matches!(look.state(slot), State::Idle) { HEAT } else { slot }
}

fn difference_columns(width: u16) -> Vec<Column> {
    let bar = (width / 6).max(8);
    vec![
        Column::text("attribute", 16).grow(2),
        Column::text("value", 10).grow(2),
        Column::number("selection", 9),
        Column::fixed("", bar).rank(4),
        Column::number("rest", 6),
        Column::fixed("", bar).rank(5),
        Column::number("score", 5).rank(6),
    ]
}

fn difference_cells(row: &CompareRow) -> Vec<Cell> {
    let share = |share: Option<f64>| share.map_or(format::NONE.to_owned(), format::share);
    let number = |value: Option<f64>| value.map_or(format::NONE.to_owned(), format::number);
    let is_number = row.value.is_none() && row.p50_sel.is_some();
    let (sel, base) = if is_number {
        (format!("p50 {}", number(row.p50_sel)), number(row.p50_base))
    } else {
        (share(row.share_sel), share(row.share_base))
    };
    vec![
        Cell::text(&row.attribute),
        Cell::text(row.value.as_deref().unwrap_or("(numbers)")),
        Cell::text(sel),
        Cell::bar(row.share_sel.unwrap_or(0.0)).role(Role::Series(1)),
        Cell::text(base),
        Cell::bar(row.share_base.unwrap_or(0.0)).role(Role::Series(0)),
        Cell::text(row.score.map_or(String::new(), |score| format!("{score:.2}"))),
    ]
}
