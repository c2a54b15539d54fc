//! Metrics: the catalogue of a scope, or those that changed most around a moment, and one of them over
//! time with its exemplars.

use api::views::{
    List as Rows, MetricRow, MetricSeries, MetricSeriesAnswer, Metrics as Question, MetricsRanked,
    Options, RankedMetricRow,
};
use ratatui::layout::Rect;

use super::{Cx, Grid, Look, Screen, Subject, trace, traces};
use crate::action::{Action, Layer, Place};
use crate::format;
use crate::overlay::filter;
use crate::pane;
use crate::request::Request;
use crate::scope::{Fixed, Range, Scope};
use crate::widgets::Pen;
use crate::widgets::table::Table;
use crate::window::List;

mod drawn;
mod entry;
#[cfg(test)]
mod tests;

use drawn::Drawn;
use entry::Entry;

const CATALOGUE: usize = 0;
const RANKED: usize = 1;
const SERIES: usize = 2;

const LIST_PANE: usize = 0;
const CHART_PANE: usize = 1;

/// Columns of the trends in the list.
const BINS: u64 = 20;
/// The range around a moment.
const AROUND_NS: i64 = 5 * 60_000_000_000;

/// Attributes a metric is grouped by, one after the other; the first is none.
const GROUPS: [Option<&str>; 5] = [
    None,
    Some("service"),
    Some("resource.service.instance.id"),
    Some("resource.k8s.pod.name"),
    Some("server.address"),
];

/// What the metrics are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// A moment around which they are ranked.
    pub(crate) at_ns: Option<i64>,
    pub(crate) service: Option<String>,
    pub(crate) instance: Option<String>,
}

/// The list with its cursor, and the chart.
#[derive(Debug)]
pub(crate) struct Metrics {
    about: About,
    /// The whole catalogue, though a moment is known.
    all: bool,
    list: List,
    entries: Vec<Entry>,
    /// Place in [`GROUPS`].
    group: usize,
    /// Lines of quantiles, or the mean.
    as_quantiles: bool,
    drawn: Drawn,
    /// Column of the chart under the cursor.
    column: Option<usize>,
}

/// The screen of the scope's metrics, or of those around a moment.
pub(crate) fn open(about: About) -> Box<dyn Screen> {
    Box::new(Metrics {
        about,
        all: false,
        list: List::default(),
        entries: Vec::new(),
        group: 0,
        as_quantiles: true,
        drawn: Drawn::default(),
        column: None,
    })
}

/// The metrics around what is under a cursor.
pub(crate) fn about(subject: &Subject) -> About {
    About {
        at_ns: subject.at_ns,
        service: subject.service.clone(),
        instance: subject.instance.clone(),
    }
}

impl Metrics {
    fn is_ranked(&self) -> bool {
        self.about.at_ns.is_some() && !self.all
    }

    fn slot(&self) -> usize {
        if self.is_ranked() { RANKED } else { CATALOGUE }
    }

    /// Five minutes to each side of the moment, or the range of the scope.
    fn range(&self, cx: &Cx<'_>) -> Fixed {
        match self.about.at_ns {
            Some(at) => Fixed {
                from_ns: Some(at.saturating_sub(AROUND_NS)),
                to_ns: Some(at.saturating_add(AROUND_NS)),
            },
            None => cx.fixed,
        }
    }

    /// The filter: that of the scope, or the instance in question.
    fn options(&self, cx: &Cx<'_>) -> Options {
        let mut scope = match self.about.at_ns {
            Some(_) => Scope::default(),
            None => cx.scope.clone(),
        };
        if let Some(service) = &self.about.service {
            scope = scope.and(&filter::term("service", service, true));
        }
        scope.options()
    }

    fn list_request(&self, cx: &Cx<'_>) -> Request {
        let (range, options) = (self.range(cx), self.options(cx));
        match self.about.at_ns.filter(|_| !self.all) {
            Some(at) => {
                let question = MetricsRanked {
                    at: Some(api::time::format(at)),
                    from: range.from(),
                    to: range.to(),
                    columns: Some(BINS * 2),
                    ..MetricsRanked::default()
                };
                Request::view(&question, &options)
            }
            None => {
                let question = Question {
                    from: range.from(),
                    to: range.to(),
                    bins: Some(BINS),
                    ..Question::default()
                };
                Request::view(&question, &options)
            }
        }
    }

    fn selected(&self) -> Option<&Entry> {
        self.entries.get(self.list.at(self.entries.len())?)
    }

    /// Asks for the chart of the metric under the cursor once the cursor rests.
    fn settle(&mut self, cx: &mut Cx<'_>) {
        let Some(metric) = self.selected().map(|entry| entry.metric.clone()) else { return };
        let range = self.range(cx);
        let width = cx.widths.get(CHART_PANE).copied().unwrap_or(80);
        let question = MetricSeries {
            metric: Some(metric.clone()),
            from: range.from(),
            to: range.to(),
            by: GROUPS[self.group].map(str::to_owned),
            columns: Some(
                u64::from(width.saturating_sub(crate::widgets::chart::GUTTER)).clamp(20, 240),
            ),
            ..MetricSeries::default()
        };
        let request = Request::view(&question, &self.options(cx));
        self.list.hold(metric);
        cx.ask_soon(SERIES, request);
    }

    fn fill_list(&mut self, cx: &mut Cx<'_>) {
        self.entries = if self.is_ranked() {
            let answer = cx.get::<Rows<RankedMetricRow>>(RANKED);
            answer.map(|a| a.rows.iter().map(Entry::of_ranked).collect()).unwrap_or_default()
        } else {
            let answer = cx.get::<Rows<MetricRow>>(CATALOGUE);
            answer.map(|a| a.rows.iter().map(Entry::of_row).collect()).unwrap_or_default()
        };
        self.list.find(self.entries.iter().map(|entry| entry.metric.as_str()));
        self.settle(cx);
    }

    fn redraw(&mut self, cx: &Cx<'_>) {
        let Some(answer) = cx.get::<MetricSeriesAnswer>(SERIES) else { return };
        self.drawn = Drawn::of(answer, self.as_quantiles);
        let count = self.drawn.buckets.count;
        self.column = self.column.map(|column| column.min(count.saturating_sub(1)));
    }

    /// The exemplar nearest to the cursor of the chart, else the highest.
    fn exemplar(&self, answer: Option<&MetricSeriesAnswer>) -> Option<(String, Option<String>)> {
        let at = self.column.map(|column| self.drawn.buckets.start_ns(column));
        let nearest = self.drawn.exemplar(answer?, at)?;
        Some((nearest.trace_id.clone()?, nearest.span_id.clone()))
    }

    fn open_exemplar(&self, cx: &mut Cx<'_>) {
        let of_chart = self.exemplar(cx.get(SERIES));
        let of_list = self.selected().and_then(|e| e.exemplar.clone()).map(|id| (id, None));
        match of_chart.or(of_list) {
            Some((id, span)) => cx.push(trace::open(&id, span.as_deref()), cx.scope.clone()),
            None => cx.say("no exemplar in this range"),
        }
    }

    fn move_column(&mut self, by: isize) {
        let count = self.drawn.buckets.count;
        let at = self.column.unwrap_or(count / 2);
        self.column = (count > 0).then(|| at.saturating_add_signed(by).min(count - 1));
    }

    /// The traces of the column under the cursor, or of the whole chart.
    fn open_traces(&self, cx: &mut Cx<'_>) {
        let buckets = &self.drawn.buckets;
        let range = match (self.column, self.about.at_ns) {
            (Some(column), _) => {
                Range::Between(buckets.start_ns(column), buckets.start_ns(column + 1))
            }
            (None, Some(at)) => Range::Between(at - AROUND_NS, at + AROUND_NS),
            (None, None) => cx.scope.range,
        };
        let mut scope = Scope { range, ..cx.scope.clone() };
        if let Some(service) = &self.about.service {
            scope = scope.and(&filter::term("service", service, true));
        }
        cx.push(Box::new(traces::Traces::default()), scope);
    }
}

impl Screen for Metrics {
    fn layer(&self) -> Layer {
        Layer::Metrics
    }

    fn crumb(&self) -> String {
        "metrics".to_owned()
    }

    fn link(&self) -> String {
        "metrics".to_owned()
    }

    fn slots(&self) -> usize {
        3
    }

    fn filters(&self) -> Option<&'static str> {
        Some("metrics")
    }

    fn is_live(&self) -> bool {
        self.about.at_ns.is_none()
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        if body.height < 14 {
            return vec![body, Rect { height: 0, ..body }];
        }
        let lower = body.height * 3 / 5;
        let upper = Rect { height: body.height - lower, ..body };
        vec![upper, Rect { y: body.y + upper.height, height: lower, ..body }]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        let request = self.list_request(cx);
        cx.ask(self.slot(), request);
        self.fill_list(cx);
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        if slot == SERIES {
            self.redraw(cx);
        } else {
            self.fill_list(cx);
        }
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let height = cx.height(LIST_PANE).saturating_sub(1);
        match action {
            Action::Open if *cx.focus == LIST_PANE => *cx.focus = CHART_PANE,
            Action::Exemplar => self.open_exemplar(cx),
            Action::Pivot(Place::Traces) => self.open_traces(cx),
            Action::Group => {
                self.group = (self.group + 1) % GROUPS.len();
                self.settle(cx);
                cx.say(format!("by {}", GROUPS[self.group].unwrap_or("nothing")));
            }
            Action::NextView => {
                self.as_quantiles = !self.as_quantiles;
                self.redraw(cx);
            }
            Action::AllRows => {
                self.all = !self.all;
                cx.say(if self.all { "all metrics" } else { "metrics of the scope" });
                self.load(cx);
            }
            Action::Left if *cx.focus == CHART_PANE => self.move_column(-1),
            Action::Right if *cx.focus == CHART_PANE => self.move_column(1),
            Action::Back if *cx.focus == CHART_PANE => *cx.focus = LIST_PANE,
            other if self.list.act(other, self.entries.len(), height) => self.settle(cx),
            _ => return false,
        }
        true
    }

    fn click(&mut self, pane: usize, x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        if pane == CHART_PANE {
            let width = cx.widths.get(CHART_PANE).copied().unwrap_or(0);
            self.column = self.drawn.column_at(x, width);
            return false;
        }
        let Some(row) = y.checked_sub(1) else { return false };
        let height = cx.height(LIST_PANE).saturating_sub(1);
        let was_there = self.list.click(row.into(), self.entries.len(), height);
        self.settle(cx);
        was_there
    }

    fn subject(&self, look: &Look<'_>) -> Subject {
        let Some(entry) = self.selected() else { return Subject::default() };
        let exemplar = self.exemplar(look.get(SERIES));
        let at_column = self.column.map(|column| self.drawn.buckets.start_ns(column));
        Subject {
            service: entry.service.clone().or_else(|| self.about.service.clone()),
            instance: self.about.instance.clone(),
            trace_id: exemplar.as_ref().map(|e| e.0.clone()).or_else(|| entry.exemplar.clone()),
            span_id: exemplar.and_then(|e| e.1),
            at_ns: at_column.or(self.about.at_ns),
            cell: entry.metric.clone(),
            json: Some(entry.json.clone()),
            ..Subject::default()
        }
    }

    fn facts(&self, _look: &Look<'_>) -> Vec<String> {
        let ranked = if self.is_ranked() { ", ranked by change" } else { "" };
        vec![format!("{}{ranked}", format::many(self.entries.len(), "metric"))]
    }

    fn filter_line(&self, look: &Look<'_>) -> String {
        match (&self.about.at_ns, &self.about.service) {
            (Some(_), Some(service)) => format!("service={service}"),
            _ => look.scope.filter.clone(),
        }
    }

    fn place_in_time(&self, look: &Look<'_>) -> Option<String> {
        let at = self.about.at_ns?;
        let clock = |ns| format::moment(ns, look.zone, format::Clock::Minute);
        Some(format!("{}..{} (span +/- 5 m)", clock(at - AROUND_NS), clock(at + AROUND_NS)))
    }

    fn grid(&self, _look: &Look<'_>) -> Option<Grid> {
        let columns = ["metric", "kind", "unit", "series", "before", "value"];
        let rows = self.entries.iter().map(Entry::fields).collect();
        Some(Grid { columns: columns.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            LIST_PANE => self.draw_list(pen, look),
            _ => self.draw_chart(pen, look),
        }
    }
}

impl Metrics {
    fn draw_list(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let (title, note) = match self.is_ranked() {
            true => ("Metrics by change", "A all metrics"),
            false => ("Metrics", "by name"),
        };
        let mut pen = look.framed(pen, (LIST_PANE, self.slot()), title, note);
        let Some(slot) = look.slots.get(self.slot()) else { return };
        let Some(mut pen) = pane::state(&mut pen, slot, look.now) else { return };
        if self.entries.is_empty()
            && let (Some(service), true) = (&self.about.service, self.about.at_ns.is_some())
        {
            let what = format!("{service} sends no metrics, or none in these ten minutes");
            return pane::empty(&mut pen, &what, "5 shows the metrics of all services");
        }
        if self.entries.is_empty() {
            return pane::nothing(&mut pen, look, "metrics");
        }
        let len = self.entries.len();
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &entry::columns(pen.width(), self.is_ranked()),
            len,
            first: self.list.window(len, height).start,
            cursor: self.list.at(len),
            sort: None,
            rows: &|at| self.entries.get(at).map(Entry::row),
        };
        table.render(&mut pen);
    }

    fn draw_chart(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let answer = look.get::<MetricSeriesAnswer>(SERIES);
        let title = answer.map_or("Chart".to_owned(), drawn::title);
        let mut pen = look.framed(pen, (CHART_PANE, SERIES), &title, "x exemplar  a group");
        if let Some((mut pen, answer)) = look.data::<MetricSeriesAnswer>(&mut pen, SERIES) {
            self.drawn.draw(&mut pen, answer, (self.about.at_ns, self.column), look.zone);
        }
    }
}
