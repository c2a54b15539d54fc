//! Log records as rows, bars and facts.

use api::views::{List as Rows, LogLine, LogPatternRow, LogRow, LogVolumeRow, LogsAnswer};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::chart_data::{Buckets, unix_ns};
use crate::format::{self, Clock};
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::table::{Cell, Column, Row};
use crate::widgets::{Mark, Pen, columns};

/// How bad a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Unknown,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    /// By its number, 1 to 24.
    pub(super) fn of(number: Option<i64>) -> Severity {
        match number {
            Some(1..=4) => Severity::Trace,
            Some(5..=8) => Severity::Debug,
            Some(9..=12) => Severity::Info,
            Some(13..=16) => Severity::Warn,
            Some(17..=20) => Severity::Error,
            Some(21..=24) => Severity::Fatal,
            _ => Severity::Unknown,
        }
    }

    pub(super) fn letter(self) -> char {
        match self {
            Severity::Unknown => '-',
            Severity::Trace => 'T',
            Severity::Debug => 'D',
            Severity::Info => 'I',
            Severity::Warn => 'W',
            Severity::Error => 'E',
            Severity::Fatal => 'F',
        }
    }

    pub(super) fn role(self) -> Role {
        match self {
            Severity::Unknown | Severity::Trace | Severity::Debug => Role::Dim,
            Severity::Info => Role::Text,
            Severity::Warn => Role::Warn,
            Severity::Error | Severity::Fatal => Role::Error,
        }
    }

    /// Bodies keep the colour of text, unless they matter less or more.
    pub(super) fn text_role(self) -> Role {
        if self == Severity::Warn { Role::Text } else { self.role() }
    }
}

/// A line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A record asked for.
    Line(usize),
    /// Says that so many records nearby follow.
    Heading(usize),
    /// A record of the same instance without a trace id.
    Near(usize),
}

/// The record behind a line.
pub(super) fn record<'a>(
    entry: Entry,
    lines: Option<&'a LogsAnswer>,
    near: Option<&'a Rows<LogRow>>,
) -> Option<&'a LogRow> {
    match entry {
        Entry::Line(at) => Some(&lines?.rows.get(at)?.log),
        Entry::Near(at) => near?.rows.get(at),
        Entry::Heading(_) => None,
    }
}

/// What tells a record from others.
pub(super) fn key(log: &LogRow) -> String {
    let span = log.span_id.as_deref().unwrap_or("");
    format!("{} {span} {}", log.time, log.body.as_deref().unwrap_or(""))
}

pub(super) fn columns(width: u16, of_one_trace: bool) -> Vec<Column> {
    vec![
        Column { right: of_one_trace, ..Column::fixed("time", if of_one_trace { 9 } else { 12 }) },
        Column::fixed("", 1).rank(0),
        Column::fixed("service", if width < 100 { 10 } else { 14 }).rank(3),
        Column::text("body", 20),
    ]
}

/// From when times are counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Zero<'a> {
    /// A moment, such as the start of a span.
    Moment(i64),
    /// As a clock shows them.
    Midnight(&'a TimeZone),
}

/// Time as it is shown, and how bad it is.
pub(super) fn time_and_severity(log: &LogRow, zero: Zero<'_>) -> (String, Severity) {
    let ns = unix_ns(&log.time);
    let time = match (ns, zero) {
        (Some(ns), Zero::Moment(at)) => format::offset_ns(ns - at),
        (Some(ns), Zero::Midnight(zone)) => format::moment(ns, zone, Clock::Milli),
        (None, _) => format::NONE.to_owned(),
    };
    (time, Severity::of(log.severity_number))
}

pub(super) fn row(log: &LogRow, zero: Zero<'_>, width: usize) -> Row {
    let (time, severity) = time_and_severity(log, zero);
    let body = log.body.as_deref().or(log.event_name.as_deref()).unwrap_or("");
    Row {
        cells: vec![
            Cell::text(time).role(Role::Dim),
            Cell::text(severity.letter().to_string()).role(severity.role()),
            Cell::text(log.service_name.as_str()),
            Cell::text(SafeText::start_of(body, width)).role(severity.text_role()),
        ],
        ..Row::default()
    }
}

pub(super) fn heading(lines: usize) -> Row {
    let text = format!("-- nearby in the same instance, no trace id (+/- 2 s, {lines} lines) --");
    let blank = || Cell::text("");
    Row {
        cells: vec![blank(), blank(), blank(), Cell::text(text).role(Role::Dim)],
        ..Row::default()
    }
}

/// Records over time, ready to be drawn.
pub(super) struct Volume {
    pub(super) bars: Vec<columns::Parts>,
    pub(super) labels: Vec<(u16, SafeText)>,
}

impl Volume {
    /// Bars at their time, since columns without records are not in the answer; wider ones where there
    /// is room.
    pub(super) fn of(rows: &[LogVolumeRow], width: u16, zone: &TimeZone) -> Volume {
        let times: Vec<i64> = rows.iter().filter_map(|row| unix_ns(&row.time)).collect();
        let steps = times.windows(2).map(|w| w[1] - w[0]).filter(|step| *step > 0);
        let step = steps.min().unwrap_or(1);
        let first = times.first().copied().unwrap_or(0);
        let column = |ns: i64| usize::try_from((ns - first) / step).unwrap_or(0);
        let count = times.last().map_or(0, |last| column(*last) + 1);
        let wide = (usize::from(width) / count.max(1)).max(1);
        let mut bars = vec![columns::Parts::new(); (count * wide).min(width.into())];
        for (row, ns) in rows.iter().zip(&times) {
            for x in column(*ns) * wide..(column(*ns) + 1) * wide {
                if let Some(place) = bars.get_mut(x) {
                    *place = bar(row);
                }
            }
        }
        let shown = Buckets { from_ns: first, width_ns: step, count: bars.len() / wide };
        let labels = shown.labels(zone, bars.len()).into_iter();
        let labels = labels.map(|(at, label)| ((at * wide) as u16, label)).collect();
        Volume { bars, labels }
    }
}

/// A bar of the volume, the worst on top.
fn bar(row: &LogVolumeRow) -> columns::Parts {
    vec![
        ((row.trace + row.debug + row.unspecified) as f64, Role::Dim),
        (row.info as f64, Role::Series(0)),
        (row.warn as f64, Role::Warn),
        ((row.error + row.fatal) as f64, Role::Error),
    ]
}

pub(super) fn pattern_row(row: &LogPatternRow, zone: &TimeZone) -> Row {
    let severity = Severity::of(row.severity_number);
    let since = unix_ns(&row.first_seen)
        .map_or(String::new(), |ns| format::moment(ns, zone, Clock::Second));
    let since = if row.is_new { format!("new {}", &since[..since.len().min(5)]) } else { since };
    let trend = row.trend.iter().map(|n| Some(*n as f64)).collect();
    Row {
        mark: match severity {
            Severity::Error | Severity::Fatal => Mark::Error,
            Severity::Warn => Mark::Degraded,
            _ => Mark::None,
        },
        cells: vec![
            Cell::text(format::count(row.count)),
            Cell::text(format::share(row.share)),
            Cell::text(since).role(if row.is_new { Role::New } else { Role::Dim }),
            Cell::spark(trend),
            Cell::text(severity.letter().to_string()).role(severity.role()),
            Cell::text(SafeText::start_of(&row.pattern, 400)).role(severity.text_role()),
        ],
        ..Row::default()
    }
}

/// The title above what a record says.
pub(super) fn caption(log: &LogRow, zero: Zero<'_>) -> String {
    let (time, severity) = time_and_severity(log, zero);
    format!("{}  {time}  {}", severity.letter(), log.service_name)
}

/// A name with what stands behind it.
pub(super) type Fact = (String, String, Role);

/// What a record says, the most telling first.
pub(super) fn facts(log: &LogRow, line: Option<&LogLine>) -> Vec<Fact> {
    let severity = Severity::of(log.severity_number);
    let mut facts: Vec<Fact> = Vec::new();
    let mut fact = |name: &str, value: Option<&str>, role| {
        if let Some(value) = value {
            facts.push((name.to_owned(), value.to_owned(), role));
        }
    };
    fact("body", log.body.as_deref(), severity.text_role());
    fact("event", log.event_name.as_deref(), Role::Text);
    fact("logger", line.and_then(|l| l.scope_name.as_deref()), Role::Text);
    fact("pattern", line.and_then(|l| l.pattern.as_deref()), Role::Accent);
    fact("trace", log.trace_id.as_deref(), Role::Accent);
    fact("span", log.span_id.as_deref(), Role::Accent);
    fact("instance", line.and_then(|l| l.instance.as_deref()), Role::Text);
    facts.extend(pairs(log.attributes.as_ref()));
    facts.extend(pairs(line.and_then(|l| l.resource.as_ref())));
    facts
}

fn pairs(of: Option<&Value>) -> impl Iterator<Item = Fact> {
    let fields = of.and_then(Value::as_object).into_iter().flatten();
    fields.map(|(key, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (key.clone(), text, Role::Text)
    })
}

/// What a template says.
pub(super) fn pattern_facts(row: &LogPatternRow, zone: &TimeZone) -> Vec<Fact> {
    let time = |text: &str| {
        unix_ns(text)
            .map_or_else(|| text.to_owned(), |ns| format::moment(ns, zone, Clock::DateSecond))
    };
    let before = match (row.is_new, row.before) {
        (true, _) => "none: it is new".to_owned(),
        (false, n) => format::exact(n),
    };
    let text = |name: &str, value: String, role| (name.to_owned(), value, role);
    vec![
        text("pattern", row.pattern.clone(), Severity::of(row.severity_number).text_role()),
        text("example", row.example.clone().unwrap_or_default(), Role::Text),
        text("records", format::exact(row.count), Role::Text),
        text("before", before, if row.is_new { Role::New } else { Role::Text }),
        text("services", row.services.join(", "), Role::Text),
        text("first seen", time(&row.first_seen), Role::Dim),
        text("last seen", time(&row.last_seen), Role::Dim),
        text("trace", row.exemplar_trace.clone().unwrap_or_default(), Role::Accent),
    ]
}

/// Names at the left, values at the right, long ones over several lines.
pub(super) fn draw_facts(pen: &mut Pen<'_>, facts: &[Fact]) {
    let width = pen.width();
    let widest = facts.iter().map(|(name, ..)| name.len() as u16).max().unwrap_or(0);
    let names = widest.min(width / 3).max(8);
    let room = usize::from(width.saturating_sub(names + 3)).max(4);
    let mut y = 0;
    for (name, value, role) in facts {
        if y >= pen.height() {
            return;
        }
        pen.text(1, y, names, &name.as_str().into(), Role::Dim);
        let lines = usize::from(pen.height() - y).min(6);
        for line in SafeText::start_of(value, room * lines).wrapped(room) {
            pen.text(names + 2, y, room as u16, &line, *role);
            y += 1;
        }
    }
}
