//! Logs: of the range, of a trace or of a span; their volume, their patterns, and what one record says.

use api::views::{
    List as Rows, LogLine, LogPatternRow, LogPatterns, LogPatternsAnswer, LogRow, LogVolume,
    LogVolumeRow, Logs as Question, LogsAnswer, NearbyLogs, Options,
};
use ratatui::layout::Rect;

use super::{Cx, Grid, Look, Screen, Subject, trace};
use crate::action::{Action, Layer, Place};
use crate::chart_data::unix_ns;
use crate::export::otlp;
use crate::format;
use crate::pane;
use crate::request::Request;
use crate::safe_text::SafeText;
use crate::scope::Fixed;
use crate::theme::Role;
use crate::widgets::table::{Column, Table};
use crate::widgets::{Pen, columns};
use crate::window::{List, next_where};

mod lines;
#[cfg(test)]
mod tests;

use lines::{Entry, Severity};

const LINES: usize = 0;
const VOLUME: usize = 1;
const PATTERNS: usize = 2;
const NEARBY: usize = 3;

const LIST_PANE: usize = 0;
const DETAIL_PANE: usize = 1;

/// Records asked for at once, and how many more when the end is near.
const PAGE: u64 = 500;
/// Records held at most.
const LINES_MAX: u64 = 10_000;
/// Columns of the trends of patterns.
const BINS: u64 = 12;
/// Records of a trace lie this far from its moment at most.
const AROUND_NS: i64 = 3_600_000_000_000;
/// Screens from this height on show the volume.
const TALL: u16 = 20;

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Of {
    /// All of the scope.
    #[default]
    Scope,
    /// Those of a trace, or of one of its spans.
    Trace {
        trace_id: String,
        span_id: Option<String>,
        /// All of the trace, though a span is known.
        whole: bool,
        /// The moment that times are counted from.
        at_ns: Option<i64>,
        service: Option<String>,
        instance: Option<String>,
    },
}

/// The list with its cursor, and how it is shown.
#[derive(Debug)]
pub(crate) struct Logs {
    of: Of,
    patterns_shown: bool,
    wrapped: bool,
    /// Only records of this template.
    pattern: Option<String>,
    /// Template to stand on, once the patterns are there.
    wanted: Option<String>,
    list: List,
    patterns: List,
    limit: u64,
    entries: Vec<Entry>,
    /// The person has moved the cursor: the line under it is meant.
    moved: bool,
}

/// The screen of these records.
pub(crate) fn open(of: Of) -> Box<dyn Screen> {
    Box::new(Logs::new(of))
}

/// The logs of what is under a cursor: of its span, of its trace, else of the scope. A trace without a
/// moment is an example of something else.
pub(crate) fn of_subject(subject: &Subject) -> Of {
    let is_itself = subject.at_ns.is_some() || subject.span_id.is_some();
    match subject.trace_id.as_ref().filter(|_| is_itself) {
        Some(trace_id) => Of::Trace {
            trace_id: trace_id.clone(),
            span_id: subject.span_id.clone(),
            whole: false,
            at_ns: subject.at_ns,
            service: subject.service.clone(),
            instance: subject.instance.clone(),
        },
        None => Of::Scope,
    }
}

impl Logs {
    pub(crate) fn new(of: Of) -> Logs {
        Logs {
            of,
            patterns_shown: false,
            wrapped: false,
            pattern: None,
            wanted: None,
            list: List::default(),
            patterns: List::default(),
            limit: PAGE,
            entries: Vec::new(),
            moved: false,
        }
    }

    fn is_of_scope(&self) -> bool {
        self.of == Of::Scope
    }

    /// From when times are counted.
    fn zero<'a>(&self, look: &Look<'a>) -> lines::Zero<'a> {
        match &self.of {
            Of::Trace { at_ns: Some(zero), .. } => lines::Zero::Moment(*zero),
            _ => lines::Zero::Midnight(look.zone),
        }
    }

    /// The range asked for: that of the scope, or the surroundings of a trace.
    fn range(&self, cx: &Cx<'_>) -> Fixed {
        match &self.of {
            Of::Scope => cx.fixed,
            Of::Trace { at_ns, .. } => at_ns.map_or(Fixed::default(), |at| Fixed {
                from_ns: Some(at.saturating_sub(AROUND_NS)),
                to_ns: Some(at.saturating_add(AROUND_NS)),
            }),
        }
    }

    fn options(&self, cx: &Cx<'_>) -> Options {
        match self.of {
            Of::Scope => cx.scope.options(),
            Of::Trace { .. } => Options { sql: Some(true), ..Options::default() },
        }
    }

    fn lines_request(&self, cx: &Cx<'_>) -> Request {
        let range = self.range(cx);
        let (trace_id, span_id) = match &self.of {
            Of::Scope => (None, None),
            Of::Trace { trace_id, span_id, whole, .. } => {
                (Some(trace_id.clone()), span_id.clone().filter(|_| !whole))
            }
        };
        let sort = if self.is_of_scope() { "newest" } else { "oldest" };
        let question = Question {
            from: range.from(),
            to: range.to(),
            trace_id,
            span_id,
            pattern: self.pattern.clone(),
            sort: Some(sort.to_owned()),
            ..Question::default()
        };
        Request::view(&question, &Options { limit: Some(self.limit), ..self.options(cx) })
    }

    fn ask_volume(&self, cx: &mut Cx<'_>) {
        let columns = cx.widths.get(LIST_PANE).copied().unwrap_or(60).clamp(10, 240);
        let question = LogVolume {
            from: cx.fixed.from(),
            to: cx.fixed.to(),
            bins: Some(columns.into()),
            ..LogVolume::default()
        };
        let request = Request::view(&question, &cx.scope.options());
        cx.ask(VOLUME, request);
    }

    fn ask_patterns(&self, cx: &mut Cx<'_>) {
        let question = LogPatterns {
            from: cx.fixed.from(),
            to: cx.fixed.to(),
            bins: Some(BINS),
            ..LogPatterns::default()
        };
        let request = Request::view(&question, &cx.scope.options());
        cx.ask(PATTERNS, request);
    }

    /// Lines of the same instance that carry no trace id, near the span.
    fn ask_nearby(&self, cx: &mut Cx<'_>) {
        let Of::Trace { at_ns: Some(at), service: Some(service), instance, .. } = &self.of else {
            return;
        };
        let question = NearbyLogs {
            at: Some(api::time::format(*at)),
            service: Some(service.clone()),
            instance: instance.clone(),
            within_s: None,
        };
        let request = Request::view(&question, &self.options(cx));
        cx.ask(NEARBY, request);
    }

    /// Puts the records in the order shown, those nearby behind a heading.
    fn arrange(&mut self, cx: &Cx<'_>) {
        let lines = cx.get::<LogsAnswer>(LINES).map_or(0, |answer| answer.rows.len());
        self.entries = (0..lines).map(Entry::Line).collect();
        let near = cx.get::<Rows<LogRow>>(NEARBY).map_or(0, |answer| answer.rows.len());
        if near > 0 && !self.is_of_scope() {
            self.entries.push(Entry::Heading(near));
            self.entries.extend((0..near).map(Entry::Near));
        }
    }

    fn line<'a>(&self, look: &Look<'a>) -> Option<&'a LogRow> {
        let entry = self.entries.get(self.list.at(self.entries.len())?)?;
        lines::record(*entry, look.get(LINES), look.get(NEARBY))
    }

    fn full_line<'a>(&self, answer: Option<&'a LogsAnswer>) -> Option<&'a LogLine> {
        match self.entries.get(self.list.at(self.entries.len())?)? {
            Entry::Line(at) => answer?.rows.get(*at),
            _ => None,
        }
    }

    fn template<'a>(&self, answer: Option<&'a LogPatternsAnswer>) -> Option<&'a LogPatternRow> {
        let rows = &answer?.rows;
        rows.get(self.patterns.at(rows.len())?)
    }

    /// Asks for more when the cursor nears the end.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let len = cx.get::<LogsAnswer>(LINES).map_or(0, |answer| answer.rows.len()) as u64;
        let near_end = self.list.at(self.entries.len()).is_some_and(|at| at as u64 + 50 >= len);
        if near_end && len == self.limit && self.limit < LINES_MAX {
            self.limit += PAGE;
            let request = self.lines_request(cx);
            cx.ask(LINES, request);
        }
        if let Some(line) = self.full_line(cx.get(LINES)) {
            let key = lines::key(&line.log);
            self.list.hold(key);
        }
    }

    fn next_error(&mut self, forward: bool, height: usize, cx: &mut Cx<'_>) {
        if self.patterns_shown {
            return self.next_error_pattern(forward, height, cx);
        }
        let (lines, near) = (cx.get::<LogsAnswer>(LINES), cx.get::<Rows<LogRow>>(NEARBY));
        let len = self.entries.len();
        let from = self.list.at(len).unwrap_or(0);
        let holds = |at: usize| {
            let record = lines::record(self.entries[at], lines, near);
            record.is_some_and(|r| Severity::of(r.severity_number) >= Severity::Error)
        };
        match next_where(from, len, forward, holds) {
            Some(at) => {
                self.list.to(at, len, height);
                self.moved = true;
            }
            None => cx.say("no error among these lines"),
        }
    }

    fn next_error_pattern(&mut self, forward: bool, height: usize, cx: &mut Cx<'_>) {
        let Some(answer) = cx.get::<LogPatternsAnswer>(PATTERNS) else { return };
        let len = answer.rows.len();
        let from = self.patterns.at(len).unwrap_or(0);
        let holds = |at: usize| Severity::of(answer.rows[at].severity_number) >= Severity::Error;
        match next_where(from, len, forward, holds) {
            Some(at) if at != from => self.patterns.to(at, len, height),
            _ => cx.say("no other pattern of errors"),
        }
    }

    /// From a line to its pattern, from a pattern to its lines.
    fn turn_patterns(&mut self, cx: &mut Cx<'_>) {
        if self.patterns_shown {
            return self.open_pattern(cx);
        }
        let line = self.full_line(cx.get(LINES)).filter(|_| self.moved);
        self.wanted = line.and_then(|line| line.pattern.clone());
        self.patterns_shown = true;
        self.ask_patterns(cx);
        self.stand_on_wanted(cx);
    }

    fn open_pattern(&mut self, cx: &mut Cx<'_>) {
        let template = self.template(cx.get(PATTERNS)).map(|row| row.pattern.clone());
        let Some(template) = template else { return };
        self.show_lines_of(Some(template), cx);
    }

    fn show_lines_of(&mut self, pattern: Option<String>, cx: &mut Cx<'_>) {
        self.pattern = pattern;
        self.patterns_shown = false;
        self.list.release();
        self.limit = PAGE;
        let request = self.lines_request(cx);
        cx.ask(LINES, request);
    }

    fn stand_on_wanted(&mut self, cx: &Cx<'_>) {
        let Some(answer) = cx.get::<LogPatternsAnswer>(PATTERNS) else { return };
        let wanted = self.wanted.take();
        let at = wanted.and_then(|wanted| answer.rows.iter().position(|r| r.pattern == wanted));
        if let Some(at) = at {
            self.patterns.to(at, answer.rows.len(), cx.height(LIST_PANE).saturating_sub(1));
        }
    }

    /// Puts the cursor on the first line of the service that the records were asked for.
    fn stand_on_own(&mut self, cx: &Cx<'_>) {
        let Of::Trace { service: Some(own), .. } = &self.of else { return };
        let rows = cx.get::<LogsAnswer>(LINES).map(|answer| &answer.rows);
        let at = rows.and_then(|rows| rows.iter().position(|r| r.log.service_name == *own));
        if let Some(at) = at.filter(|_| !self.moved) {
            self.list.to(at, self.entries.len(), self.list_height(cx));
        }
    }

    /// The trace of the line, or one that shows the pattern.
    fn open_trace(&self, cx: &mut Cx<'_>) {
        let ids = if self.patterns_shown {
            let row = self.template(cx.get(PATTERNS));
            row.map(|row| (row.exemplar_trace.clone(), row.exemplar_span.clone()))
        } else {
            let lines = cx.get(LINES);
            let at = self.list.at(self.entries.len()).and_then(|at| self.entries.get(at));
            let record = at.and_then(|entry| lines::record(*entry, lines, cx.get(NEARBY)));
            record.map(|log| (log.trace_id.clone(), log.span_id.clone()))
        };
        match ids {
            Some((Some(trace_id), span_id)) => {
                cx.push(trace::open(&trace_id, span_id.as_deref()), cx.scope.clone());
            }
            Some(_) => cx.say("this record carries no trace id"),
            None => {}
        }
    }

    fn turn_scope(&mut self, cx: &mut Cx<'_>) {
        match &mut self.of {
            Of::Trace { span_id: Some(_), whole, .. } => {
                *whole = !*whole;
                self.list.release();
                let request = self.lines_request(cx);
                cx.ask(LINES, request);
            }
            Of::Trace { .. } => cx.say("these are all logs of the trace"),
            Of::Scope => cx.say("these are all logs of the range"),
        }
    }

    fn title(&self) -> String {
        match (&self.of, self.patterns_shown, &self.pattern) {
            (_, true, _) => "Patterns".to_owned(),
            (_, _, Some(pattern)) => format!("Logs like \"{pattern}\""),
            (Of::Scope, ..) => "Logs".to_owned(),
            (Of::Trace { span_id: Some(_), whole: false, .. }, ..) => {
                "Logs of this span".to_owned()
            }
            (Of::Trace { .. }, ..) => "Logs of this trace".to_owned(),
        }
    }
}

impl Screen for Logs {
    fn layer(&self) -> Layer {
        Layer::Logs
    }

    fn crumb(&self) -> String {
        "logs".to_owned()
    }

    fn link(&self) -> String {
        "logs".to_owned()
    }

    fn slots(&self) -> usize {
        4
    }

    fn filters(&self) -> Option<&'static str> {
        Some("logs")
    }

    fn is_live(&self) -> bool {
        self.is_of_scope()
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        if body.width >= 110 && body.height >= 12 {
            let right = body.width / 3;
            let left = Rect { width: body.width - right, ..body };
            return vec![left, Rect { x: body.x + left.width, width: right, ..body }];
        }
        let lower = if body.height < 14 { 0 } else { (body.height / 3).clamp(6, 12) };
        let upper = Rect { height: body.height - lower, ..body };
        vec![upper, Rect { y: body.y + upper.height, height: lower, ..body }]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        let request = self.lines_request(cx);
        cx.ask(LINES, request);
        if self.is_of_scope() {
            self.ask_volume(cx);
        }
        if self.patterns_shown {
            self.ask_patterns(cx);
        }
        self.ask_nearby(cx);
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        match slot {
            PATTERNS => self.stand_on_wanted(cx),
            VOLUME => {}
            _ => {
                self.arrange(cx);
                let keys: Vec<String> = cx
                    .get::<LogsAnswer>(LINES)
                    .map(|answer| answer.rows.iter().map(|row| lines::key(&row.log)).collect())
                    .unwrap_or_default();
                self.list.find(keys.iter().map(String::as_str));
                self.stand_on_own(cx);
            }
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = self.list_height(cx);
        match action {
            Action::Open if self.patterns_shown => self.open_pattern(cx),
            Action::Open | Action::Exemplar | Action::Pivot(Place::Traces) => self.open_trace(cx),
            Action::Patterns if self.is_of_scope() => self.turn_patterns(cx),
            Action::Patterns => {
                let pattern = self.full_line(cx.get(LINES)).and_then(|l| l.pattern.clone());
                let mut logs = Logs::new(Of::Scope);
                logs.pattern = pattern;
                cx.push(Box::new(logs), cx.scope.clone());
            }
            Action::NextView if self.is_of_scope() && !self.wrapped && !self.patterns_shown => {
                self.turn_patterns(cx);
            }
            Action::NextView => {
                self.wrapped = !self.wrapped;
                self.patterns_shown = false;
            }
            Action::LogScope => self.turn_scope(cx),
            Action::NextError => self.next_error(true, height, cx),
            Action::PreviousError => self.next_error(false, height, cx),
            Action::Back if self.patterns_shown => self.patterns_shown = false,
            Action::Back if self.pattern.is_some() => self.show_lines_of(None, cx),
            other => return self.move_cursor(other, height, cx),
        }
        true
    }

    fn click(&mut self, pane: usize, _x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        let Some(row) = y.checked_sub(1 + self.above(cx)).filter(|_| pane == LIST_PANE) else {
            return false;
        };
        let height = self.list_height(cx);
        if self.patterns_shown {
            let len = cx.get::<LogPatternsAnswer>(PATTERNS).map_or(0, |answer| answer.rows.len());
            return self.patterns.click(row.into(), len, height);
        }
        let was_there = self.list.click(row.into(), self.entries.len(), height);
        self.moved = true;
        self.settle(cx);
        was_there
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        if self.patterns_shown {
            let Some(row) = self.template(look.get(PATTERNS)) else { return Subject::default() };
            return Subject {
                service: row.services.first().cloned(),
                trace_id: row.exemplar_trace.clone(),
                span_id: row.exemplar_span.clone(),
                at_ns: unix_ns(&row.first_seen),
                cell: row.pattern.clone(),
                json: serde_json::to_string_pretty(row).ok(),
                ..Subject::default()
            };
        }
        let Some(log) = self.line(look) else { return self.of_subject() };
        // Coming from a span, that one is meant until a line is chosen.
        let span = Some(self.of_subject()).filter(|span| !self.moved && span.service.is_some());
        let instance = || self.full_line(look.get(LINES)).and_then(|line| line.instance.clone());
        let (service, instance) = match span {
            Some(span) => (span.service, span.instance),
            None => (Some(log.service_name.clone()), instance()),
        };
        Subject {
            service,
            instance,
            trace_id: log.trace_id.clone(),
            span_id: log.span_id.clone(),
            at_ns: unix_ns(&log.time),
            term: Some(("service".to_owned(), log.service_name.clone())),
            cell: log.body.clone().unwrap_or_default(),
            json: serde_json::to_string_pretty(log).ok(),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        if self.patterns_shown {
            let Some(answer) = look.get::<LogPatternsAnswer>(PATTERNS) else { return Vec::new() };
            let new = answer.rows.iter().filter(|row| row.is_new).count();
            let patterns = format::many(answer.rows.len(), "pattern");
            return vec![format!("{patterns}, {new} new")];
        }
        let Some(answer) = look.get::<LogsAnswer>(LINES) else { return Vec::new() };
        let len = answer.rows.len();
        match answer.next {
            Some(_) => vec![format!("{}+ lines", format::exact(len as u64))],
            None => vec![format::many(len, "line")],
        }
    }

    fn filter_line(&self, look: &Look<'_>) -> String {
        match &self.of {
            Of::Scope => look.scope.filter.clone(),
            Of::Trace { span_id: Some(span), whole: false, .. } => {
                format!("span={}  (A: whole trace)", format::short_id(span))
            }
            Of::Trace { trace_id, .. } => format!("trace={}", format::short_id(trace_id)),
        }
    }

    fn otlp(&self, look: &Look<'_>) -> Option<String> {
        let lines = &look.get::<LogsAnswer>(LINES)?.rows;
        (!lines.is_empty()).then(|| otlp::logs(lines.iter().map(|line| &line.log)))
    }

    fn grid(&self, look: &Look<'_>) -> Option<Grid> {
        const COLUMNS: [&str; 6] = ["time", "severity", "service", "body", "trace", "span"];
        let answer = look.get::<LogsAnswer>(LINES)?;
        let row = |line: &LogLine| {
            let log = &line.log;
            vec![
                log.time.clone(),
                Severity::of(log.severity_number).letter().to_string(),
                log.service_name.clone(),
                log.body.clone().unwrap_or_default(),
                log.trace_id.clone().unwrap_or_default(),
                log.span_id.clone().unwrap_or_default(),
            ]
        };
        let rows = answer.rows.iter().map(row).collect();
        Some(Grid { columns: COLUMNS.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            DETAIL_PANE => self.draw_detail(pen, look),
            _ if self.patterns_shown => self.draw_patterns(pen, look),
            _ => self.draw_lines(pen, look),
        }
    }
}

impl Logs {
    /// Rows above the list: the volume.
    fn above(&self, cx: &Cx<'_>) -> u16 {
        let height = cx.heights.first().copied().unwrap_or(0);
        if self.patterns_shown { 0 } else { self.volume_rows(height) }
    }

    fn volume_rows(&self, height: u16) -> u16 {
        if self.is_of_scope() && height + 2 >= TALL / 2 + 3 { 4 } else { 0 }
    }

    fn list_height(&self, cx: &Cx<'_>) -> usize {
        cx.height(LIST_PANE).saturating_sub(1 + usize::from(self.above(cx)))
    }

    fn move_cursor(&mut self, action: Action, height: usize, cx: &mut Cx<'_>) -> bool {
        if self.patterns_shown {
            let len = cx.get::<LogPatternsAnswer>(PATTERNS).map_or(0, |answer| answer.rows.len());
            return self.patterns.act(action, len, height);
        }
        let moved = self.list.act(action, self.entries.len(), height);
        if moved {
            self.moved = true;
            self.settle(cx);
        }
        moved
    }

    /// What the records belong to, where no record is under the cursor.
    fn of_subject(&self) -> Subject {
        let Of::Trace { trace_id, span_id, at_ns, service, instance, .. } = &self.of else {
            return Subject::default();
        };
        Subject {
            service: service.clone(),
            instance: instance.clone(),
            trace_id: Some(trace_id.clone()),
            span_id: span_id.clone(),
            at_ns: *at_ns,
            ..Subject::default()
        }
    }

    fn draw_lines(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let note = if self.is_of_scope() { "newest first  v patterns" } else { "" };
        let mut pen = look.framed(pen, (LIST_PANE, LINES), &self.title(), note);
        let above = self.volume_rows(pen.height());
        let (width, height) = (pen.width(), pen.height());
        if above > 0 {
            self.draw_volume(&mut pen.part(0, 0, width, above), look);
        }
        let mut pen = pen.part(0, above, width, height - above);
        let Some((mut pen, answer)) = look.data::<LogsAnswer>(&mut pen, LINES) else { return };
        if self.entries.is_empty() {
            return pane::nothing(&mut pen, look, "log records");
        }
        let nearby = look.get::<Rows<LogRow>>(NEARBY);
        if self.wrapped {
            return self.draw_wrapped(&mut pen, answer, look);
        }
        let len = self.entries.len();
        let body_width = usize::from(pen.width());
        let rows = |at: usize| {
            let entry = *self.entries.get(at)?;
            if let Entry::Heading(lines) = entry {
                return Some(lines::heading(lines));
            }
            let record = lines::record(entry, Some(answer), nearby)?;
            Some(lines::row(record, self.zero(look), body_width))
        };
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &lines::columns(
                pen.width(),
                matches!(self.zero(look), lines::Zero::Moment(_)),
            ),
            len,
            first: self.list.window(len, height).start,
            cursor: self.list.at(len),
            sort: None,
            rows: &rows,
        };
        table.render(&mut pen);
    }

    /// Bodies in full, over as many lines as they need; only records that are seen are measured.
    fn draw_wrapped(&self, pen: &mut Pen<'_>, answer: &LogsAnswer, look: &Look<'_>) {
        let nearby = look.get::<Rows<LogRow>>(NEARBY);
        let at = self.list.at(self.entries.len()).unwrap_or(0);
        let (width, height) = (pen.width(), pen.height());
        let first = self.list.window(self.entries.len(), usize::from(height / 2)).start;
        let mut y = 0;
        for (index, entry) in self.entries.iter().enumerate().skip(first) {
            if y >= height {
                return;
            }
            let Some(log) = lines::record(*entry, Some(answer), nearby) else { continue };
            let (time, severity) = lines::time_and_severity(log, self.zero(look));
            let body = log.body.as_deref().unwrap_or("");
            let indent = 17;
            let room = usize::from(width.saturating_sub(indent)).max(8);
            let text = SafeText::start_of(body, room * usize::from(height));
            for (line, part) in text.wrapped(room).iter().enumerate() {
                if line == 0 {
                    pen.text(1, y, 13, &time.as_str().into(), Role::Dim);
                    pen.put(15, y, severity.letter(), severity.role());
                }
                pen.text(indent, y, width.saturating_sub(indent), part, severity.text_role());
                if index == at {
                    pen.put(0, y, '▌', Role::Accent);
                    pen.restyle(indent, y, width, 1, pen.style(Role::Cursor));
                }
                y += 1;
            }
        }
    }

    fn draw_volume(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let Some(answer) = look.get::<Rows<LogVolumeRow>>(VOLUME) else { return };
        let (width, height) = (pen.width(), pen.height());
        let volume = lines::Volume::of(&answer.rows, width, look.zone);
        columns::columns(&mut pen.part(0, 0, width, height - 1), &volume.bars);
        for (x, label) in volume.labels {
            pen.text(x, height - 1, 8, &label, Role::Dim);
        }
    }

    fn draw_patterns(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let mut pen = look.framed(pen, (LIST_PANE, PATTERNS), &self.title(), "new ones first");
        let Some((mut pen, answer)) = look.data::<LogPatternsAnswer>(&mut pen, PATTERNS) else {
            return;
        };
        if answer.rows.is_empty() {
            return pane::nothing(&mut pen, look, "log records");
        }
        let len = answer.rows.len();
        let columns = [
            Column::number("count", 7),
            Column::number("share", 5).rank(2),
            Column::fixed("since", 9).rank(3),
            Column::fixed("trend", BINS as u16).rank(4),
            Column::fixed("", 1),
            Column::text("pattern", 20),
        ];
        let rows = |at: usize| answer.rows.get(at).map(|row| lines::pattern_row(row, look.zone));
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &columns,
            len,
            first: self.patterns.window(len, height).start,
            cursor: self.patterns.at(len),
            sort: None,
            rows: &rows,
        };
        table.render(&mut pen);
    }

    fn draw_detail(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        if self.patterns_shown {
            return self.draw_pattern(pen, look);
        }
        let record = self.line(look);
        let title = record.map_or("Record".to_owned(), |log| lines::caption(log, self.zero(look)));
        let mut pen = look.framed(pen, (DETAIL_PANE, LINES), &title, "yj JSON  yy body");
        if let Some(log) = record {
            let facts = lines::facts(log, self.full_line(look.get(LINES)));
            lines::draw_facts(&mut pen, &facts);
        }
    }

    fn draw_pattern(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let mut pen = look.framed(pen, (DETAIL_PANE, PATTERNS), "Pattern", "Enter its lines");
        if let Some(row) = self.template(look.get(PATTERNS)) {
            lines::draw_facts(&mut pen, &lines::pattern_facts(row, look.zone));
        }
    }
}
