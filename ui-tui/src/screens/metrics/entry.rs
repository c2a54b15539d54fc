//! A metric of the list: of the catalogue, or ranked by how much it changed.

use api::views::{MetricRow, RankedMetricRow};
use serde::Serialize;

use crate::format;
use crate::theme::Role;
use crate::widgets::Mark;
use crate::widgets::table::{Cell, Column, Row};

/// Changes from this robust z on are worth a mark.
const CHANGED: f64 = 4.0;

/// One metric.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) metric: String,
    pub(super) service: Option<String>,
    pub(super) exemplar: Option<String>,
    pub(super) json: String,
    unit: String,
    kind: String,
    temporality: String,
    series: u64,
    /// Value now, or at the moment.
    value: Option<f64>,
    before: Option<f64>,
    score: f64,
    flips: u64,
    shows_rate: bool,
    labels: String,
    trend: Vec<Option<f64>>,
}

impl Entry {
    pub(super) fn of_row(row: &MetricRow) -> Entry {
        Entry {
            metric: row.metric.clone(),
            service: None,
            exemplar: None,
            json: json(row),
            unit: row.unit.clone().unwrap_or_default(),
            kind: row.kind.clone(),
            temporality: row.temporality.clone().unwrap_or_default(),
            series: row.series,
            value: row.last_value,
            before: None,
            score: 0.0,
            flips: 0,
            shows_rate: row.shows != "mean",
            labels: String::new(),
            trend: row.trend.clone(),
        }
    }

    pub(super) fn of_ranked(row: &RankedMetricRow) -> Entry {
        Entry {
            metric: row.metric.clone(),
            service: Some(row.service_name.clone()),
            exemplar: row.exemplar_trace.clone(),
            json: json(row),
            unit: row.unit.clone().unwrap_or_default(),
            kind: row.kind.clone(),
            temporality: String::new(),
            series: row.series,
            value: row.at,
            before: row.before,
            score: row.score,
            flips: row.flips,
            shows_rate: row.shows != "mean",
            labels: row.labels.join(" "),
            trend: row.trend.clone(),
        }
    }

    fn words(&self, value: Option<f64>) -> String {
        value.map_or(format::NONE.to_owned(), |v| in_unit(v, &self.unit, self.shows_rate))
    }

    /// What happened to it, in words.
    fn change(&self) -> String {
        match (self.before, self.value) {
            _ if self.flips >= 4 => format!("{} changes", self.flips),
            (Some(before), Some(now)) if self.score.abs() >= CHANGED => {
                let unit = |v| in_unit(v, &self.unit, self.shows_rate);
                format!("{} -> {}", unit(before), unit(now))
            }
            (Some(_), Some(_)) => "no change".to_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn row(&self) -> Row {
        let changed = self.score.abs() >= CHANGED;
        let name = match self.labels.as_str() {
            "" => self.metric.clone(),
            labels => format!("{} {{{labels}}}", self.metric),
        };
        Row {
            mark: if changed { Mark::Degraded } else { Mark::None },
            cells: vec![
                Cell::text(name),
                Cell::text(self.kind.replace("exponential_", "exp ")).role(Role::Dim),
                Cell::text(self.unit.as_str()).role(Role::Dim),
                Cell::text(self.temporality.as_str()).role(Role::Dim),
                Cell::text(format::count(self.series)),
                Cell::text(self.words(self.value)),
                Cell::text(self.change()).role(if changed { Role::Warn } else { Role::Dim }),
                Cell::spark(self.trend.clone()),
            ],
            ..Row::default()
        }
    }

    pub(super) fn fields(&self) -> Vec<String> {
        let number = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
        vec![
            self.metric.clone(),
            self.kind.clone(),
            self.unit.clone(),
            self.series.to_string(),
            number(self.before),
            number(self.value),
        ]
    }
}

fn json(of: &impl Serialize) -> String {
    serde_json::to_string_pretty(of).unwrap_or_default()
}

/// Columns of the list, in the order of [`Entry::row`].
pub(super) fn columns(width: u16, is_ranked: bool) -> Vec<Column> {
    let change = if is_ranked { 22 } else { 0 };
    vec![
        Column::text("metric", 20),
        Column::fixed("kind", 13).rank(if is_ranked { 7 } else { 3 }),
        Column::fixed("unit", 8).rank(if width < 100 { 9 } else { 4 }),
        Column::fixed("temporality", 11).rank(if is_ranked || width < 100 { 9 } else { 5 }),
        Column::number("series", 6).rank(if is_ranked { 6 } else { 2 }),
        Column::number("value", 10).rank(if is_ranked { 8 } else { 1 }),
        Column::fixed(if is_ranked { "change" } else { "" }, change).rank(if is_ranked {
            1
        } else {
            9
        }),
        Column::fixed("trend", 20).rank(2),
    ]
}

/// A value with its unit; times as lengths of time, sizes as sizes.
pub(super) fn in_unit(value: f64, unit: &str, is_rate: bool) -> String {
    let rate = if is_rate { "/s" } else { "" };
    let time_ms = |factor: f64| format::duration_ms(value * factor);
    match unit {
        "s" if !is_rate => time_ms(1e3),
        "ms" if !is_rate => time_ms(1.0),
        "us" if !is_rate => time_ms(1e-3),
        "ns" if !is_rate => time_ms(1e-6),
        "By" if value >= 0.0 => format!("{}{rate}", format::bytes(value as u64)),
        "1" | "" => format!("{}{rate}", format::number(value)),
        // Annotations in braces say what is counted, and are no unit.
        other if other.starts_with('{') => format!("{}{rate}", format::number(value)),
        other => format!("{} {other}{rate}", format::number(value)),
    }
}
