//! The chart that a result suggests: time and a number a line, with a text of few values one line each; a
//! text and a number bars; two numbers points.

use std::collections::BTreeMap;

use api::sql::SqlAnswer;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::chart_data::unix_ns;
use crate::format::{self, Clock};
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::chart::{Chart, Scale, Series, Shape};
use crate::widgets::{Pen, bars};

/// Lines by themselves; the others are one.
const LINES_MAX: usize = 8;
const BARS_MAX: usize = 60;

/// What stands below a place of the axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Moment {
    At(i64, Clock),
    Text(SafeText),
}

/// A chart made ready.
#[derive(Debug, PartialEq)]
pub(crate) enum Plot {
    /// Values over an axis.
    Lines { title: String, series: Vec<Series>, moments: Vec<(f64, Moment)> },
    /// A bar each.
    Bars { title: String, rows: Vec<(SafeText, f64)> },
}

fn is_time(kind: &str) -> bool {
    kind.starts_with("timestamp") || kind.starts_with("date")
}

fn is_number(kind: &str) -> bool {
    ["int", "double", "float", "real", "decimal", "numeric"].iter().any(|word| kind.contains(word))
}

impl Plot {
    /// What suits the columns of an answer; nothing where none does.
    pub(crate) fn of(answer: &SqlAnswer) -> Option<Plot> {
        let first = |holds: fn(&str) -> bool| answer.schema.iter().find(|field| holds(&field.kind));
        let name = |field: &api::sql::Field| field.name.clone();
        let text = answer.schema.iter().find(|field| field.kind == "text").map(name);
        let numbers: Vec<String> =
            answer.schema.iter().filter(|f| is_number(&f.kind)).map(name).collect();
        let y = numbers.first()?;
        if answer.rows.len() < 2 {
            return None;
        }
        if let Some(x) = first(is_time).map(name) {
            return Some(over_time(answer, &x, y, text.as_deref()));
        }
        if let Some(text) = text {
            return Some(by_text(answer, &text, y));
        }
        let other = numbers.get(1)?;
        Some(points(answer, y, other))
    }

    /// Draws it.
    pub(crate) fn draw(&self, pen: &mut Pen<'_>, zone: &TimeZone) {
        match self {
            Plot::Lines { series, moments, .. } => {
                let label = |(place, moment): &(f64, Moment)| match moment {
                    Moment::At(ns, clock) => (*place, format::moment(*ns, zone, *clock).into()),
                    Moment::Text(text) => (*place, text.clone()),
                };
                let labels: Vec<(f64, SafeText)> = moments.iter().map(label).collect();
                let chart = Chart {
                    series,
                    scale: Scale::Linear,
                    words: &format::number,
                    x_labels: &labels,
                    band: &[],
                    moments: &[],
                    resets: &[],
                    exemplars: &[],
                    cursor: None,
                };
                chart.render(pen);
            }
            Plot::Bars { rows, .. } => draw_bars(pen, rows),
        }
    }

    /// What is drawn against what.
    pub(crate) fn title(&self) -> &str {
        match self {
            Plot::Lines { title, .. } | Plot::Bars { title, .. } => title,
        }
    }
}

fn draw_bars(pen: &mut Pen<'_>, rows: &[(SafeText, f64)]) {
    let width = pen.width();
    let names = rows.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let name = u16::try_from(names).unwrap_or(u16::MAX).min(width / 3);
    let most = rows.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    for (y, (text, value)) in (0..pen.height()).zip(rows) {
        pen.text(1, y, name, text, Role::Text);
        let room = width.saturating_sub(name + 14);
        if most > 0.0 {
            bars::bar(pen, (name + 3, y), room, value / most, Role::Series(0));
        }
        pen.right(width.saturating_sub(10), y, 9, &format::number(*value).into(), Role::Text);
    }
}

fn number(row: &Map<String, Value>, name: &str) -> Option<f64> {
    let value = row.get(name)?;
    // Numbers beyond what JSON holds exactly come as text.
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn plain(row: &Map<String, Value>, name: &str) -> String {
    match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "∅".to_owned(),
        Some(other) => other.to_string(),
    }
}

fn over_time(answer: &SqlAnswer, x: &str, y: &str, by: Option<&str>) -> Plot {
    let at = |row: &Map<String, Value>| row.get(x).and_then(Value::as_str).and_then(unix_ns);
    let times: Vec<i64> = answer.rows.iter().filter_map(at).collect();
    let low = times.iter().copied().min().unwrap_or(0);
    let high = times.iter().copied().max().unwrap_or(0);
    let share = |ns: i64| (ns - low) as f64 / (high - low).max(1) as f64;
    let mut lines: BTreeMap<String, Vec<(f64, Option<f64>)>> = BTreeMap::new();
    for row in &answer.rows {
        let Some(ns) = at(row) else { continue };
        let line = by.map_or(y.to_owned(), |by| plain(row, by));
        lines.entry(line).or_default().push((share(ns), number(row, y)));
    }
    let mut series: Vec<Series> = lines
        .into_iter()
        .map(|(label, mut points)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series { label: label.into(), shape: Shape::Line, points }
        })
        .collect();
    let largest = |s: &Series| s.points.iter().filter_map(|p| p.1).fold(0.0, f64::max);
    series.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
    let left_out = series.len().saturating_sub(LINES_MAX);
    series.truncate(LINES_MAX);
    let label = |part: i64| {
        let ns = low + (high - low) / 4 * part;
        let clock = if high - low < 600_000_000_000 { Clock::Second } else { Clock::Minute };
        (share(ns), Moment::At(ns, clock))
    };
    let by = by.map_or(String::new(), |by| format!(" by {by}"));
    let others = if left_out > 0 { format!(", {left_out} lines not shown") } else { String::new() };
    let title = format!("{y} over {x}{by}{others}");
    Plot::Lines { title, series, moments: (0..4).map(label).collect() }
}

fn by_text(answer: &SqlAnswer, text: &str, y: &str) -> Plot {
    let row = |row: &Map<String, Value>| Some((plain(row, text).into(), number(row, y)?));
    let rows = answer.rows.iter().filter_map(row).take(BARS_MAX).collect();
    Plot::Bars { title: format!("{y} by {text}"), rows }
}

fn points(answer: &SqlAnswer, y: &str, x: &str) -> Plot {
    let pairs: Vec<(f64, f64)> =
        answer.rows.iter().filter_map(|row| Some((number(row, x)?, number(row, y)?))).collect();
    let low = pairs.iter().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let high = pairs.iter().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let share = |value: f64| if high > low { (value - low) / (high - low) } else { 0.0 };
    let mut points: Vec<(f64, Option<f64>)> =
        pairs.iter().map(|(x, y)| (share(*x), Some(*y))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let label = |part: f64| {
        let text = SafeText::new(format::number(low + (high - low) * part));
        (part, Moment::Text(text))
    };
    Plot::Lines {
        title: format!("{y} against {x}"),
        series: vec![Series { label: y.into(), shape: Shape::Dots, points }],
        moments: [0.0, 0.25, 0.5, 0.75].map(label).to_vec(),
    }
}
