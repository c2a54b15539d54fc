//! One trace: its waterfall, what is known of the span under the cursor, and its logs.

use std::collections::HashSet;
use std::sync::Arc;

use api::sql::SqlAnswer;
use api::views::{
    FilterAnswer, FilterLine, List as Spans, LogRow, Options, Skeleton, SpanDetails,
    Trace as Question, TraceSpan,
};
use ratatui::layout::Rect;

use super::{Cx, Grid, Look, Screen, Subject, compare, logs};
use crate::action::{Action, Layer, Place};
use crate::export::otlp;
use crate::format::{self, Clock};
use crate::pane;
use crate::request::Request;
use crate::safe_text::SafeText;
use crate::scope::{Fixed, zone_word};
use crate::slot::State;
use crate::span_rows::{self, NO_ROW, Shown, SpanRows, flags};
use crate::theme::Role;
use crate::widgets::waterfall::{Bar, Field, Line, Waterfall, strip};
use crate::widgets::{Mark, Pen, piece};
use crate::window::List;

mod detail;
mod flames;
mod model;
#[cfg(test)]
mod tests;

use detail::{Fact, Part, facts};
use flames::{Flames, Kind};
pub(crate) use model::Model;
use model::{Wanted, ns, plain};

const TRACE: usize = 0;
const SKELETON: usize = 1;
const SPAN: usize = 2;
const FAST: usize = 3;
const MEANING: usize = 4;
const MATCHES: usize = 5;
/// Beyond so many spans their details are asked for one by one.
const WHOLE_MAX: usize = 2_000;
/// A trace that takes longer is asked for without its details too.
const LARGE_AFTER_MS: u64 = 80;
/// A trace to compare with began within this of the trace.
const FAST_WITHIN_NS: i64 = 1_800_000_000_000;
const TREE: usize = 0;
const DETAIL: usize = 1;
const LOGS: usize = 2;
/// Rows of the first pane above its list: density strip, upper border, axis.
const ABOVE: u16 = 2;

/// The trace, what is folded, where the cursor stands.
#[derive(Debug)]
pub(crate) struct Trace {
    id: String,
    /// The question whose answer is shown: the whole trace, or the tree of a large one.
    slot: usize,
    /// Details of the span under the cursor, where the trace came without.
    known: Option<TraceSpan>,
    /// Span to stand on, once it is there.
    wanted: Option<String>,
    rows: Option<SpanRows>,
    pauses: Vec<(i64, i64)>,
    list: List,
    /// Frames in place of the waterfall.
    flames: Option<Flames>,
    /// The part of the trace that is seen; none: all.
    zoom: Option<(i64, i64)>,
    looked_for: String,
    /// Rows that the filter line finds, once the server has said so; until then what is known here decides.
    found: Option<HashSet<u32>>,
    part: Part,
    detail: List,
    logs: List,
    /// Logs of the trace, not of the span.
    all_logs: bool,
}

/// The screen of a trace, with the cursor on a span or on the guilty one.
pub(crate) fn open(id: &str, span: Option<&str>) -> Box<dyn Screen> {
    Box::new(Trace {
        id: id.to_owned(),
        slot: TRACE,
        known: None,
        wanted: span.map(str::to_owned),
        rows: None,
        pauses: Vec::new(),
        list: List::default(),
        flames: None,
        zoom: None,
        looked_for: String::new(),
        found: None,
        part: Part::default(),
        detail: List::default(),
        logs: List::default(),
        all_logs: false,
    })
}

impl Trace {
    /// The span's row under the cursor.
    fn row(&self) -> Option<u32> {
        let rows = self.rows.as_ref()?;
        rows.span(self.list.at(rows.len())?)
    }

    /// Takes a new answer; the cursor stays on its span.
    fn fill(&mut self, model: &Model, height: usize) {
        let held = self.row().zip(self.rows.as_ref());
        let held = held.map(|(row, rows)| rows.skeleton().span_id_hex(row as usize));
        let wanted = self.wanted.take().or(held);
        let wanted = wanted.and_then(|id| model.skeleton.row_of(&id));
        let rows = SpanRows::new(Arc::clone(&model.skeleton), wanted);
        let row = wanted.or_else(|| rows.guilty());
        self.pauses = span_rows::pauses(&model.skeleton);
        self.flames = None;
        self.rows = Some(rows);
        if let Some(row) = row {
            self.stand_on(row, height);
        }
    }

    /// Puts the cursor on a span, wherever it is hidden.
    fn stand_on(&mut self, row: u32, height: usize) {
        let Some(rows) = &mut self.rows else { return };
        if let Some(at) = rows.show(row) {
            let len = rows.len();
            self.list.to(at, len, height);
        }
        self.moved();
    }

    /// What depends on the cursor's row begins anew.
    fn moved(&mut self) {
        self.detail.release();
        if !self.all_logs {
            self.logs.release();
        }
    }

    /// Finds the next row for which something holds.
    fn next(&mut self, forward: bool, height: usize, holds: impl Fn(usize) -> bool) -> bool {
        let from = self.row().unwrap_or(0);
        let found =
            self.rows.as_ref().and_then(|rows| rows.next_where(from, forward, |_, row| holds(row)));
        match found {
            Some(row) => {
                self.stand_on(row, height);
                true
            }
            None => false,
        }
    }

    fn act_on_tree(&mut self, action: Action, height: usize, cx: &mut Cx<'_>) -> bool {
        let Some(rows) = &mut self.rows else { return false };
        let (len, at) = (rows.len(), self.list.at(rows.len()).unwrap_or(0));
        let row = rows.span(at);
        match action {
            Action::Open => match rows.is_folded(at) {
                Some(folded) => rows.fold(at, !folded),
                None => *cx.focus = DETAIL,
            },
            Action::Left => match rows.is_folded(at) {
                Some(false) => rows.fold(at, true),
                _ => self.go_to_parent(height),
            },
            Action::Right => match rows.is_folded(at) {
                Some(true) => rows.fold(at, false),
                Some(false) => self.list.to(at + 1, len, height),
                None => {}
            },
            Action::UnfoldAll => {
                self.keep_row(height, |rows| rows.fold_all(false));
                self.say_if_same(len, "nothing is folded", cx);
            }
            Action::FoldSiblings => {
                self.keep_row(height, |rows| rows.set_grouping(!rows.is_grouping()));
                self.say_if_same(len, "no span has enough equal children to fold them", cx);
            }
            Action::CriticalPath => {
                self.keep_row(height, |rows| rows.set_path_only(!rows.is_path_only()));
            }
            Action::SlowestChild => {
                if let Some(child) = row.and_then(|row| rows.slowest_child(row)) {
                    self.stand_on(child, height);
                }
            }
            Action::NextSibling | Action::PreviousSibling => {
                let forward = action == Action::NextSibling;
                if let Some(sibling) = row.and_then(|row| rows.sibling(row, forward)) {
                    self.stand_on(sibling, height);
                }
            }
            other if self.list.act(other, len, height) => self.moved(),
            _ => return false,
        }
        true
    }

    fn next_form(&mut self, model: &Model) {
        let kind = match self.flames.as_ref().map(|flames| flames.kind) {
            None => Some(Kind::ByTime),
            Some(Kind::ByTime) => Some(Kind::LeftHeavy),
            Some(Kind::LeftHeavy) => Some(Kind::Sandwich),
            Some(Kind::Sandwich) => None,
        };
        let row = self.row().unwrap_or(0);
        self.flames = kind.map(|kind| Flames::of(&model.skeleton, kind, row));
    }

    fn go_to_parent(&mut self, height: usize) {
        let Some(rows) = &self.rows else { return };
        let parent = self.row().map(|row| rows.skeleton().parent[row as usize]);
        if let Some(parent) = parent.filter(|parent| *parent != NO_ROW) {
            self.stand_on(parent, height);
        }
    }

    /// Changes what is listed and keeps the cursor on its span, or on what hides it.
    fn keep_row(&mut self, height: usize, change: impl FnOnce(&mut SpanRows)) {
        let row = self.row();
        let Some(rows) = &mut self.rows else { return };
        change(rows);
        let at = row.and_then(|row| rows.place(row)).unwrap_or(0);
        self.list.to(at, rows.len(), height);
    }

    /// Says why there are as many rows as before.
    fn say_if_same(&self, len: usize, why: &str, cx: &mut Cx<'_>) {
        if self.rows.as_ref().is_some_and(|rows| rows.len() == len) {
            cx.say(why);
        }
    }

    fn act_on(&mut self, action: Action, model: &Model, height: usize, cx: &mut Cx<'_>) -> bool {
        match action {
            Action::Difference => self.ask_for_fast(model, cx),
            Action::Pivot(Place::Logs)
                if self.logs_of_span(model).is_empty() && !model.answer.logs.is_empty() =>
            {
                self.open_logs_of_trace(model, cx);
            }
            Action::NextError | Action::PreviousError => {
                let s = Arc::clone(&model.skeleton);
                let forward = action == Action::NextError;
                if !self.next(forward, height, |row| s.has(row, flags::ERROR)) {
                    cx.say("no error in this trace");
                }
            }
            Action::NextMatch | Action::PreviousMatch => {
                let forward = action == Action::NextMatch;
                self.next_match(forward, height, cx);
            }
            Action::LogScope => {
                self.all_logs = !self.all_logs;
                self.logs.release();
            }
            _ if self.act_on_time(action, model) => {}
            _ if *cx.focus == DETAIL && self.act_on_detail(action, cx) => {}
            _ if *cx.focus == LOGS => {
                let len = self.logs(model).len();
                return self.logs.act(action, len, cx.height(LOGS));
            }
            Action::NextView => self.next_form(model),
            _ if self.flames.is_some() => {
                let row = self.row().unwrap_or(0);
                let s = &model.skeleton;
                let to = self.flames.as_ref().and_then(|flames| flames.act(s, row, action));
                let Some(row) = to else { return false };
                self.stand_on(row, height);
            }
            _ => return self.act_on_tree(action, height, cx),
        }
        true
    }

    fn act_on_time(&mut self, action: Action, model: &Model) -> bool {
        let whole = model.window_ns;
        let (from, to) = self.zoom.unwrap_or(whole);
        let length = (to - from).max(1);
        let centre = self.row().map_or((from + to) / 2, |row| {
            let s = &model.skeleton;
            s.start_ns[row as usize] + s.duration_ns[row as usize] / 2
        });
        let next = match action {
            Action::ZoomIn => (centre - length / 4, centre + length / 4),
            Action::ZoomOut => (centre - length, centre + length),
            Action::ZoomReset => whole,
            Action::PanLeft => (from - length / 4, to - length / 4),
            Action::PanRight => (from + length / 4, to + length / 4),
            _ => return false,
        };
        self.zoom = within(next, whole);
        true
    }

    fn act_on_detail(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = cx.height(DETAIL);
        let facts = self.facts_of(cx.get(self.slot));
        if action == Action::NextView {
            self.part = self.part.next();
            self.detail.release();
            return true;
        }
        if action == Action::Open {
            let fact = self.detail.at(facts.len()).and_then(|at| facts.get(at));
            if let Some((trace, span)) = fact.and_then(|fact| fact.link.clone()) {
                cx.push(open(&trace, span.as_deref()), cx.scope.clone());
            }
            return true;
        }
        self.detail.act(action, facts.len(), height)
    }

    fn facts_of(&self, model: Option<&Model>) -> Vec<Fact> {
        let known = |(model, row)| facts(model, row, self.span(model, row), self.part);
        model.zip(self.row()).map_or_else(Vec::new, known)
    }

    /// What is known of a row's span.
    fn span<'a>(&'a self, model: &'a Model, row: u32) -> Option<&'a TraceSpan> {
        let id = || model.skeleton.span_id_hex(row as usize);
        model.span(row).or_else(|| self.known.as_ref().filter(|span| span.span_id == id()))
    }

    fn ask_for_span(&self, cx: &mut Cx<'_>) {
        let Some(id) = self.span_id().filter(|_| self.slot == SKELETON) else { return };
        let question = SpanDetails { trace_id: Some(self.id.clone()), ids: Some(id) };
        cx.ask_soon(SPAN, Request::view(&question, &Options::default()));
    }

    /// Asks for a fast trace of the same root without errors, to compare this one with.
    fn ask_for_fast(&self, model: &Model, cx: &mut Cx<'_>) {
        let s = &model.skeleton;
        if s.is_empty() {
            return;
        }
        let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let around = Fixed {
            from_ns: Some(model.start_ns - FAST_WITHIN_NS),
            to_ns: Some(model.start_ns + FAST_WITHIN_NS),
        };
        let sql = format!(
            "SELECT trace_id FROM traces WHERE {} AND root_service = {} AND root_name = {} \
             AND error_count = 0 AND duration_ns < {} ORDER BY duration_ns LIMIT 400",
            around.sql("start_time"),
            text(s.service(0)),
            text(s.name(0)),
            model.duration_ns()
        );
        cx.slots[FAST].ask_fresh(Request::sql(&sql), cx.now, cx.out);
        cx.say("looking for a typical fast trace of the same operation");
    }

    fn compare_with_fast(&self, cx: &mut Cx<'_>) {
        let Some(answer) = cx.get::<SqlAnswer>(FAST) else {
            return cx.say("no fast trace to compare with");
        };
        // Not the fastest: the middle of the faster ones.
        let row = answer.rows.get(answer.rows.len() * 2 / 5);
        let id = row.and_then(|row| row.values().next()?.as_str()).map(str::to_owned);
        match id {
            Some(fast) => {
                let sides = compare::Sides::Traces(fast, self.id.clone());
                cx.push(compare::open(sides), cx.scope.clone());
            }
            None => cx.say("no faster trace of this operation without errors near in time"),
        }
    }

    fn ask_for_skeleton(&mut self, cx: &mut Cx<'_>) {
        let question = Skeleton { trace_id: Some(self.id.clone()) };
        let options = Options { sql: Some(true), ..Options::default() };
        cx.ask(SKELETON, Request::view_into::<_, Model>(&question, &options));
        if cx.slots[SKELETON].ticket().is_none() {
            self.show_skeleton(cx);
        }
    }

    /// The tree of a trace whose details are too many came first.
    fn show_skeleton(&mut self, cx: &mut Cx<'_>) {
        let len = cx.get::<Model>(SKELETON).map_or(0, |model| model.skeleton.len());
        let is_refused = cx.slots[TRACE].ticket().is_none() && len > 0;
        let is_alone = cx.get::<Model>(TRACE).is_none() && (len > WHOLE_MAX || is_refused);
        if self.slot == TRACE && is_alone {
            cx.slots[TRACE].cancel(cx.out);
            self.slot = SKELETON;
        }
    }

    fn span_id(&self) -> Option<String> {
        let (row, rows) = (self.row()?, self.rows.as_ref()?);
        let s = rows.skeleton();
        let row = if s.is_span(row as usize) { row } else { s.parent[row as usize] };
        (row != NO_ROW).then(|| s.span_id_hex(row as usize))
    }

    /// Logs of the span under the cursor; where it has none, or all are wanted, of the trace.
    fn logs<'a>(&self, model: &'a Model) -> Vec<&'a LogRow> {
        let of_span = self.logs_of_span(model);
        if self.all_logs || of_span.is_empty() {
            model.answer.logs.iter().collect()
        } else {
            of_span
        }
    }

    fn logs_of_span<'a>(&self, model: &'a Model) -> Vec<&'a LogRow> {
        let id = self.span_id();
        model.answer.logs.iter().filter(|log| id.is_some() && log.span_id == id).collect()
    }

    /// The logs of the trace, for a span that has none of its own.
    fn open_logs_of_trace(&self, model: &Model, cx: &mut Cx<'_>) {
        let span = self.row().and_then(|row| self.span(model, row));
        let subject = Subject {
            trace_id: Some(self.id.clone()),
            service: span.map(|span| span.service_name.clone()),
            at_ns: Some(model.start_ns),
            ..Subject::default()
        };
        cx.push(logs::open(logs::of_subject(&subject)), cx.scope.clone());
    }
}

/// Whether a row is looked for.
fn is_match(found: Option<&HashSet<u32>>, model: &Model, row: u32, wanted: &[Wanted]) -> bool {
    found.map_or_else(|| model.matches(row, wanted), |found| found.contains(&row))
}

/// A window no wider than the whole; none when it is the whole.
fn within((from, to): (i64, i64), whole: (i64, i64)) -> Option<(i64, i64)> {
    let length = (to - from).clamp(1_000, (whole.1 - whole.0).max(1_000));
    let from = from.clamp(whole.0, (whole.1 - length).max(whole.0));
    let next = (from, from + length);
    (next.0 > whole.0 || next.1 < whole.1).then_some(next)
}

impl Screen for Trace {
    fn layer(&self) -> Layer {
        Layer::Trace
    }

    fn crumb(&self) -> String {
        format!("trace {}", format::short_id(&self.id))
    }

    fn link(&self) -> String {
        match self.span_id() {
            Some(span) => format!("trace/{}?span={span}", self.id),
            None => format!("trace/{}", self.id),
        }
    }

    fn slots(&self) -> usize {
        6
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        let wide = body.width >= 110 && body.height >= 24;
        if !wide {
            let lower = if body.height < 17 { 0 } else { (body.height / 3).min(14) };
            let upper = Rect { height: body.height - lower, ..body };
            let detail = Rect { y: body.y + upper.height, height: lower, ..body };
            return vec![upper, detail, Rect::ZERO];
        }
        let logs = (body.height * 3 / 10).clamp(6, 18);
        let side = (body.width * 7 / 20).clamp(40, 76);
        let upper = Rect { height: body.height - logs, ..body };
        let tree = Rect { width: body.width - side, ..upper };
        let detail = Rect { x: tree.right(), width: side, ..upper };
        vec![tree, detail, Rect { y: upper.bottom(), height: logs, ..body }]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        let question = Question { trace_id: Some(self.id.clone()) };
        let options = Options { sql: Some(true), ..Options::default() };
        let skeleton = Skeleton { trace_id: Some(self.id.clone()) };
        let skeleton = Request::view_into::<_, Model>(&skeleton, &options);
        if self.slot == SKELETON {
            return cx.ask(SKELETON, skeleton);
        }
        cx.ask(TRACE, Request::view_into::<_, Model>(&question, &options));
        if cx.get::<Model>(TRACE).is_none() {
            cx.slots[SKELETON].want_after(skeleton, LARGE_AFTER_MS, cx.now);
        }
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        match slot {
            FAST => return self.compare_with_fast(cx),
            MEANING => return self.ask_for_matches(cx),
            MATCHES => return self.take_matches(cx),
            SPAN => {
                let answer = cx.get::<Spans<TraceSpan>>(SPAN);
                self.known = answer.and_then(|answer| answer.rows.first().cloned());
                return;
            }
            SKELETON => self.show_skeleton(cx),
            // What cannot come whole may come as its tree.
            TRACE if cx.get::<Model>(TRACE).is_none() => self.ask_for_skeleton(cx),
            _ => {
                cx.slots[SKELETON].cancel(cx.out);
            }
        }
        if slot != self.slot {
            return;
        }
        let height = cx.height(TREE).saturating_sub(usize::from(ABOVE));
        if let Some(model) = cx.get::<Model>(self.slot) {
            self.fill(model, height);
        }
        self.ask_for_span(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = cx.height(TREE).saturating_sub(usize::from(ABOVE));
        let Some(model) = cx.share::<Model>(self.slot) else { return false };
        let done = self.act_on(action, &model, height, cx);
        self.ask_for_span(cx);
        done
    }

    fn find(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        self.looked_for = text.trim().to_owned();
        self.found = None;
        cx.slots[MATCHES].clear(cx.out);
        if self.looked_for.is_empty() {
            cx.slots[MEANING].clear(cx.out);
            return true;
        }
        let line = FilterLine { text: Some(self.looked_for.clone()), ..FilterLine::default() };
        cx.slots[MEANING].ask_fresh(Request::view(&line, &Options::default()), cx.now, cx.out);
        let height = cx.height(TREE).saturating_sub(usize::from(ABOVE));
        self.go_to_match(true, height, cx);
        true
    }

    fn filters(&self) -> Option<&'static str> {
        Some("spans")
    }

    fn filter_line(&self, _look: &Look<'_>) -> String {
        self.looked_for.clone()
    }

    fn is_live(&self) -> bool {
        false
    }

    fn click(&mut self, pane: usize, _x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        let y = usize::from(y);
        match pane {
            TREE if self.flames.is_none() => {
                let height = cx.height(TREE).saturating_sub(usize::from(ABOVE));
                let len = self.rows.as_ref().map_or(0, SpanRows::len);
                let Some(row) = y.checked_sub(usize::from(ABOVE)) else { return false };
                let was_there = self.list.click(row, len, height);
                self.moved();
                was_there
            }
            DETAIL => {
                let len = self.facts_of(cx.get(self.slot)).len();
                self.detail.click(y, len, cx.height(DETAIL))
            }
            _ => false,
        }
    }

    fn place_in_time(&self, look: &Look<'_>) -> Option<String> {
        let model = look.get::<Model>(self.slot).filter(|model| !model.skeleton.is_empty())?;
        let clock = if look.theme.glyphs.unicode { Clock::DateMilli } else { Clock::Milli };
        let start = format::moment(model.start_ns, look.zone, clock);
        let start = format!("{start}{}", zone_word(model.start_ns, look.zone));
        Some(format!("{}  {start}", format::duration_ns(model.duration_ns())))
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let Some(model) = look.get::<Model>(self.slot) else { return Vec::new() };
        if model.skeleton.is_empty() {
            return vec!["0 spans".into()];
        }
        let spans = model.spans() as u64;
        let mut facts = vec![
            format!("{} spans", format::exact(spans)),
            format!("{} svc", model.services),
            format!("{} err", model.errors),
            format!("{} logs", model.answer.logs.len()),
        ];
        if let Some(found) = &self.found {
            let word = if found.len() == 1 { "match" } else { "matches" };
            facts.push(format!("{} {word}, n/N", found.len()));
        }
        if model.skeleton.duplicates > 0 {
            facts.push(format!("{} duplicates", model.skeleton.duplicates));
        }
        facts
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let base = Subject { trace_id: Some(self.id.clone()), ..Subject::default() };
        let Some((model, row)) = look.get::<Model>(self.slot).zip(self.row()) else { return base };
        let Some(span) = self.span(model, row) else { return base };
        let facts = self.facts_of(Some(model));
        let fact = self.detail.at(facts.len()).and_then(|at| facts.get(at));
        let fact = fact.filter(|_| look.focus == DETAIL);
        let instance = ["service.instance.id", "k8s.pod.name", "host.name"];
        let resource = span.resource.as_ref();
        Subject {
            service: Some(span.service_name.clone()),
            operation: Some(span.name.clone()),
            instance: instance.iter().find_map(|key| resource?.get(key).map(plain)),
            span_id: Some(span.span_id.clone()),
            at_ns: ns(&span.start_time),
            term: match fact {
                Some(fact) => fact.filter_key.clone().map(|key| (key, fact.value.clone())),
                None => Some(("op".to_owned(), span.name.clone())),
            },
            cell: fact.map_or_else(|| span.name.clone(), |fact| fact.value.clone()),
            json: serde_json::to_string_pretty(span).ok(),
            ..base
        }
    }

    fn otlp(&self, look: &Look<'_>) -> Option<String> {
        let spans = &look.get::<Model>(self.slot)?.answer.spans;
        (!spans.is_empty()).then(|| otlp::spans(spans))
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 8] =
            ["span", "parent", "service", "name", "start", "duration", "self", "status"];
        let model = look.get::<Model>(self.slot)?;
        let number = |ns: Option<i64>| ns.map_or(String::new(), |ns| ns.to_string());
        let rows = model.answer.spans.iter().map(|span| {
            vec![
                span.span_id.clone(),
                span.parent_span_id.clone().unwrap_or_default(),
                span.service_name.clone(),
                span.name.clone(),
                span.start_time.clone(),
                span.duration_ns.to_string(),
                number(span.self_ns),
                span.status_code.clone().unwrap_or_default(),
            ]
        });
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows: rows.collect() })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            TREE => self.draw_tree(pen, look),
            DETAIL => self.draw_detail(pen, look),
            _ => self.draw_logs(pen, look),
        }
    }
}

impl Trace {
    fn next_match(&mut self, forward: bool, height: usize, cx: &mut Cx<'_>) {
        if self.looked_for.is_empty() {
            return cx.say("/ says what to look for in this trace");
        }
        let is_asked = [MEANING, MATCHES].iter().any(|slot| cx.slots[*slot].ticket().is_some());
        if !self.go_to_match(forward, height, cx) && !is_asked {
            let text = format!("nothing in this trace matches {}", self.looked_for);
            cx.say(text);
        }
    }

    fn go_to_match(&mut self, forward: bool, height: usize, cx: &Cx<'_>) -> bool {
        let wanted = Wanted::read(&self.looked_for);
        let Some(model) = cx.share::<Model>(self.slot) else { return false };
        let found = self.found.take();
        let holds = |row: usize| is_match(found.as_ref(), &model, row as u32, &wanted);
        let is_there = self.next(forward, height, holds);
        self.found = found;
        is_there
    }

    /// Asks which spans meet the condition that the filter line means.
    fn ask_for_matches(&self, cx: &mut Cx<'_>) {
        if let State::Failed(error) = cx.slots[MEANING].state(cx.now) {
            let text = pane::told(error);
            return cx.say(text);
        }
        let Some(meaning) = cx.get::<FilterAnswer>(MEANING) else { return };
        let sql = format!(
            "SELECT span_id FROM spans WHERE trace_id = '{}' AND ({})",
            self.id, meaning.sql
        );
        cx.slots[MATCHES].ask_fresh(Request::sql(&sql), cx.now, cx.out);
    }

    fn take_matches(&mut self, cx: &mut Cx<'_>) {
        if let State::Failed(error) = cx.slots[MATCHES].state(cx.now) {
            let text = pane::told(error);
            return cx.say(text);
        }
        let (Some(answer), Some(model)) =
            (cx.get::<SqlAnswer>(MATCHES), cx.share::<Model>(self.slot))
        else {
            return;
        };
        let ids: HashSet<&str> =
            answer.rows.iter().filter_map(|row| row.values().next()?.as_str()).collect();
        let s = &model.skeleton;
        let is_found = |row: &u32| {
            s.is_span(*row as usize) && ids.contains(s.span_id_hex(*row as usize).as_str())
        };
        let found: HashSet<u32> = (0..s.len() as u32).filter(is_found).collect();
        let is_there = self.row().is_some_and(|row| found.contains(&row));
        self.found = Some(found);
        if !is_there {
            let height = cx.height(TREE).saturating_sub(usize::from(ABOVE));
            self.next_match(true, height, cx);
        }
    }

    fn draw_tree(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let (width, height) = (pen.width(), pen.height());
        if let Some(model) = look.get::<Model>(self.slot).filter(|m| !m.skeleton.is_empty()) {
            self.draw_strip(&mut pen.part(0, 0, width, 1), model);
        }
        let mut pen = pen.part(0, 1, width, height.saturating_sub(1));
        let (title, others) = match self.flames.as_ref().map(|flames| flames.kind) {
            None => ("Waterfall", "v flame"),
            Some(Kind::ByTime) => ("Flame, in order of time", "v left-heavy"),
            Some(Kind::LeftHeavy) => ("Left-heavy, by own time", "v sandwich"),
            Some(Kind::Sandwich) => ("Callers above, callees below", "v waterfall"),
        };
        let path_only = self.rows.as_ref().is_some_and(SpanRows::is_path_only);
        let note = if path_only { "critical path only, P all" } else { others };
        let mut pen = look.framed(&mut pen, (TREE, self.slot), title, note);
        let Some((mut pen, model)) = look.data::<Model>(&mut pen, self.slot) else { return };
        if model.skeleton.is_empty() {
            let text = "its spans have not arrived, or are past their time; r asks again";
            return pane::empty(&mut pen, &format!("no spans of trace {}", self.id), text);
        }
        match &self.flames {
            None => self.draw_waterfall(&mut pen, model),
            Some(flames) => flames.draw(&mut pen, model, self.zoom, self.row().unwrap_or(0)),
        }
    }

    fn draw_strip(&self, pen: &mut Pen<'_>, model: &Model) {
        let (from, to) = model.window_ns;
        let counts = model.density(usize::from(pen.width().saturating_sub(2)));
        let share = |ns: i64| (ns - from) as f64 / (to - from).max(1) as f64;
        let seen = self.zoom.map_or(0.0..1.0, |(from, to)| share(from)..share(to));
        strip(pen, &counts, seen);
    }

    fn draw_waterfall(&self, pen: &mut Pen<'_>, model: &Model) {
        let Some(rows) = &self.rows else { return };
        let width = pen.width();
        let fields = fields(width);
        let wanted = Wanted::read(&self.looked_for);
        let lines = |at: usize| self.line(rows, model, at, &fields, &wanted);
        let waterfall = Waterfall {
            len: rows.len(),
            first: self.list.window(rows.len(), usize::from(pen.height()) - 1).start,
            cursor: self.list.at(rows.len()),
            name_width: name_width(width),
            fields: &fields,
            window_ns: self.zoom.unwrap_or(model.window_ns),
            zero_ns: model.window_ns.0,
            pauses: if self.zoom.is_none() { &self.pauses } else { &[] },
            head: "span",
            lines: &lines,
        };
        waterfall.render(pen);
        self.draw_below(pen, model, rows.len());
    }

    /// In the room below the last row: legend, shares of the path, the way of the error.
    fn draw_below(&self, pen: &mut Pen<'_>, model: &Model, rows: usize) {
        let used = rows as u16 + 2;
        if rows > 2_000 || used + 4 > pen.height() {
            return;
        }
        let width = pen.width().saturating_sub(2);
        let path: Vec<String> = model
            .path_shares()
            .iter()
            .filter(|(_, share)| *share >= 0.01)
            .map(|(node, share)| format!("{node} {:.0}%", share * 100.0))
            .collect();
        let name = |row: &u32| {
            let s = &model.skeleton;
            format!("{} {}", s.service(*row as usize), s.name(*row as usize))
        };
        let errors: Vec<String> = model.error_path().iter().map(name).collect();
        let mut y = used;
        let legend = "█ on the critical path  ▓ off it  ░ waiting  ▒ async  ◆ event";
        for (text, role) in [
            (legend.to_owned(), Role::Dim),
            (format!("critical path  {}", path.join(" > ")), Role::Text),
            (format!("errors  {}", errors.join(" -> ")), Role::Error),
        ] {
            if text.starts_with("errors") && errors.is_empty() {
                continue;
            }
            pen.text(1, y, width, &text.into(), role);
            y += 1;
        }
    }

    fn line(
        &self,
        rows: &SpanRows,
        model: &Model,
        at: usize,
        fields: &[Field],
        wanted: &[Wanted],
    ) -> Line {
        let Some(shown) = rows.shown(at) else { return Line::default() };
        let (s, row) = (rows.skeleton(), rows.span(at).unwrap_or(0));
        let i = row as usize;
        let (name, service) = (SafeText::new(s.name(i)), SafeText::new(s.service(i)));
        let is_match = is_match(self.found.as_ref(), model, row, wanted);
        let role = match () {
            () if is_match => Role::Match,
            () if s.has(i, flags::WAITING) => Role::Waiting,
            () if s.has(i, flags::MISSING) => Role::Warn,
            () => Role::Text,
        };
        let mut pieces = Vec::new();
        if fields.is_empty() && !s.has(i, flags::WAITING) {
            pieces.push(piece(&service, Role::Dim));
            pieces.push(piece(" ", Role::Text));
        }
        pieces.push(piece(&name, role));
        let mut duration_ns = s.duration_ns[i];
        if let Shown::Group(group) = shown {
            let group = rows.group(group);
            let text = format!(
                "  {}x p50 {} max {}",
                group.members.len(),
                format::duration_ns(group.p50_ns),
                format::duration_ns(group.max_ns)
            );
            pieces.push(piece(text, Role::Accent));
            duration_ns = group.sum_ns;
        } else if s.has(i, flags::WAITING) {
            pieces.push(piece(format!(" {}", format::duration_ns(duration_ns)), Role::Waiting));
        }
        if s.has(i, flags::CUT) {
            pieces.push(piece("  circle of parents, cut here", Role::Warn));
        }
        let texts = [
            piece(&service, Role::Dim),
            piece(format::duration_ns(s.self_ns[i]), Role::Text),
            piece(format::duration_ns(duration_ns), Role::Text),
        ];
        Line {
            mark: mark(s, i),
            depth: rows.depth(at),
            folded: rows.is_folded(at),
            name: pieces,
            fields: texts.into_iter().take(fields.len()).collect(),
            bars: self.bars(rows, model, shown, row),
            events: events(model, row),
        }
    }

    fn bars(&self, rows: &SpanRows, model: &Model, shown: Shown, row: u32) -> Vec<Bar> {
        let s = rows.skeleton();
        let bar = |row: u32| {
            let i = row as usize;
            let (fill, role) = match () {
                () if s.has(i, flags::WAITING) => ('░', Role::Waiting),
                () if s.has(i, flags::ASYNC) => ('▒', Role::Async),
                () if model.is_on_path(row) => ('█', Role::Critical),
                () => ('▓', Role::OffPath),
            };
            Bar { from_ns: s.start_ns[i], to_ns: s.end_ns(i), fill, role }
        };
        match shown {
            // Many bars on one row: as many as a screen can tell apart.
            Shown::Group(group) => {
                rows.group(group).members.iter().take(500).map(|m| bar(*m)).collect()
            }
            Shown::Span(_) if s.has(row as usize, flags::MISSING) => Vec::new(),
            Shown::Span(_) => vec![bar(row)],
        }
    }

    fn draw_detail(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let model = look.get::<Model>(self.slot);
        let span = model.zip(self.row()).and_then(|(model, row)| self.span(model, row));
        let title = span.map_or("Span".to_owned(), |span| {
            format!(
                "{} {}  {}",
                span.service_name,
                span.name,
                format::duration_ns(span.duration_ns)
            )
        });
        let note = format!("v {}", self.part.word());
        let mut pen = look.framed(pen, (DETAIL, self.slot), &title, &note);
        let facts = self.facts_of(model);
        let height = usize::from(pen.height());
        let at = self.detail.at(facts.len()).filter(|_| look.focus == DETAIL);
        let wide = facts.iter().map(|fact| fact.key.chars().count()).max().unwrap_or(0);
        let key_width = (wide as u16).min(pen.width() / 2);
        let window = self.detail.window(facts.len(), height);
        for (y, i) in (0..).zip(window) {
            draw_fact(&mut pen, y, key_width, &facts[i]);
            if at == Some(i) {
                let width = pen.width();
                pen.restyle(0, y, width, 1, pen.style(Role::Cursor));
                pen.put(0, y, '▌', Role::Accent);
            }
        }
    }

    fn draw_logs(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let Some(model) = look.get::<Model>(self.slot) else {
            look.framed(pen, (LOGS, self.slot), "Logs", "");
            return;
        };
        let logs = self.logs(model);
        let whole = model.answer.logs.len();
        let title = match self.logs_of_span(model).len() {
            _ if self.all_logs => format!("Logs  {whole} of the trace"),
            0 => format!("Logs  none of this span, {whole} of the trace"),
            own => format!("Logs  {own} of this span (A: {whole} of the trace)"),
        };
        let mut pen = look.framed(pen, (LOGS, self.slot), &title, "L opens");
        if logs.is_empty() {
            return pane::empty(&mut pen, "no log record carries the id of this trace", "");
        }
        let window = self.logs.window(logs.len(), usize::from(pen.height()));
        let at = self.logs.at(logs.len()).filter(|_| look.focus == LOGS);
        for (y, i) in (0..).zip(window) {
            draw_log(&mut pen, y, logs[i], model.start_ns);
            if at == Some(i) {
                let width = pen.width();
                pen.restyle(0, y, width, 1, pen.style(Role::Cursor));
            }
        }
    }
}

fn draw_fact(pen: &mut Pen<'_>, y: u16, key_width: u16, fact: &Fact) {
    let width = pen.width();
    let role = if fact.value.is_empty() { fact.role } else { Role::Dim };
    pen.text(
        1,
        y,
        key_width.max(if fact.value.is_empty() { width } else { 0 }),
        &SafeText::start_of(&fact.key, width.into()),
        role,
    );
    let x = if key_width == 0 { 1 } else { key_width + 3 };
    let room = width.saturating_sub(x + 1);
    pen.text(x, y, room, &SafeText::start_of(&fact.value, room.into()), fact.role);
}

/// `+0.661 W payment  pool wait exceeded`.
fn draw_log(pen: &mut Pen<'_>, y: u16, log: &LogRow, start_ns: i64) {
    let width = pen.width();
    let offset = ns(&log.time).unwrap_or(start_ns) - start_ns;
    let (letter, role) = severity(log.severity_number);
    pen.right(1, y, 8, &format!("{:+.3}", offset as f64 / 1e9).into(), Role::Dim);
    pen.put(10, y, letter, role);
    pen.text(12, y, 14, &SafeText::start_of(&log.service_name, 14), Role::Dim);
    let body = SafeText::start_of(log.body.as_deref().unwrap_or(""), width.into());
    let text = if role == Role::Error { Role::Error } else { Role::Text };
    pen.text(27, y, width.saturating_sub(28), &body, text);
}

/// The letter of a severity: `T D I W E F`.
pub(crate) fn severity(number: Option<i64>) -> (char, Role) {
    match number.unwrap_or(0) {
        1..=4 => ('T', Role::Dim),
        5..=8 => ('D', Role::Dim),
        9..=12 => ('I', Role::Text),
        13..=16 => ('W', Role::Warn),
        17..=20 => ('E', Role::Error),
        21..=24 => ('F', Role::Error),
        _ => ('-', Role::Dim),
    }
}

fn mark(s: &span_rows::Skeleton, row: usize) -> Mark {
    match () {
        () if s.has(row, flags::ORIGIN) => Mark::Origin,
        () if s.has(row, flags::ERROR) => Mark::Error,
        () if s.has(row, flags::ORPHAN | flags::MISSING) => Mark::Orphan,
        () if s.has(row, flags::WAITING | flags::OPEN) => Mark::Waiting,
        () if s.has(row, flags::ASYNC) => Mark::Async,
        () => Mark::None,
    }
}

fn events(model: &Model, row: u32) -> Vec<i64> {
    if !model.skeleton.is_span(row as usize) {
        return Vec::new();
    }
    let events = model.span(row).map_or(&[][..], |span| &span.events[..]);
    let at = |text: &str| ns(text).map(|ns| ns - model.start_ns);
    events.iter().take(100).filter_map(|event| at(&event.time)).collect()
}

/// Fields beside the name: none in a narrow pane, where the service stands in front of the name.
fn fields(width: u16) -> Vec<Field> {
    let field = |head: &str, width, right| Field { head: head.into(), width, right };
    let mut fields = Vec::new();
    if width >= 74 && width != 78 {
        fields.push(field("service", 11, false));
    }
    if width >= 110 {
        fields.push(field("self", 8, true));
        fields.push(field("total", 8, true));
    }
    fields
}

fn name_width(width: u16) -> u16 {
    match width {
        ..74 | 78 => (width * 9 / 20).max(16),
        _ => (width * 2 / 5).max(24),
    }
}
