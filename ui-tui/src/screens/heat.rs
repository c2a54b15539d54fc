//! The heatmap that several screens show: what is drawn over it, and what is chosen in it.

use api::time;
use api::views::{ChangePoint, HeatmapAnswer, HeatmapCell, HeatmapColumn};
use jiff::tz::TimeZone;

use crate::action::Action;
use crate::chart_data::{HeatData, unix_ns};
use crate::format::{self, Clock};
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::heatmap::{Area, GUTTER, Heatmap, Plot};

#[cfg(test)]
mod tests;

/// Cells with this share of errors are shown as such.
const ERRORS_FROM: f64 = 0.2;

/// Columns to ask for in a pane of that width.
pub(crate) fn columns(width: u16) -> u64 {
    u64::from(width.saturating_sub(GUTTER)).clamp(10, 300)
}

/// Spans by start and duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) from_ns: i64,
    pub(crate) to_ns: i64,
    /// Shortest duration; none: any.
    pub(crate) over_ns: Option<i64>,
    /// Durations below this only.
    pub(crate) under_ns: Option<i64>,
}

impl Selection {
    /// The condition over spans or traces in SQL.
    pub(crate) fn sql(self) -> String {
        let mut conditions = vec![
            format!("start_time >= {}", time::sql_literal(self.from_ns)),
            format!("start_time < {}", time::sql_literal(self.to_ns)),
        ];
        conditions.extend(self.over_ns.map(|ns| format!("duration_ns >= {ns}")));
        conditions.extend(self.under_ns.map(|ns| format!("duration_ns < {ns}")));
        conditions.join(" AND ")
    }

    /// `15:53-15:57, >= 700 ms`.
    pub(crate) fn words(self, zone: &TimeZone) -> String {
        let whole = self.from_ns % 60_000_000_000 == 0 && self.to_ns % 60_000_000_000 == 0;
        let clock = if whole { Clock::Minute } else { Clock::Second };
        let moment = |ns| format::moment(ns, zone, clock);
        let mut words = format!("{}-{}", moment(self.from_ns), moment(self.to_ns));
        if let Some(ns) = self.over_ns {
            words += &format!(", >= {}", format::duration_ns(ns));
        }
        if let Some(ns) = self.under_ns {
            words += &format!(", < {}", format::duration_ns(ns));
        }
        words
    }

    /// The stretch that a change point names.
    pub(crate) fn of_change(change: &ChangePoint) -> Option<Selection> {
        let (from_ns, to_ns) = (unix_ns(&change.from)?, unix_ns(&change.to)?);
        Some(Selection { from_ns, to_ns, over_ns: change.over_ns, under_ns: None })
    }
}

/// A heatmap with what is chosen in it.
#[derive(Debug, Default)]
pub(crate) struct Heat {
    data: HeatData,
    lines: Vec<(Vec<Option<f64>>, Role)>,
    show_lines: bool,
    hide_errors: bool,
    cursor: (usize, usize),
    anchor: Option<(usize, usize)>,
    pub(crate) selection: Option<Selection>,
    total: u64,
    failed: u64,
    slow_from_ns: Option<i64>,
}

impl Heat {
    /// Takes an answer; what is chosen stays.
    pub(crate) fn fill(&mut self, answer: &HeatmapAnswer) {
        self.data = HeatData::of(answer);
        self.total = answer.cells.iter().map(|cell| cell.count).sum();
        self.failed = answer.cells.iter().map(|cell| cell.errors).sum();
        self.slow_from_ns = slow_from_ns(&answer.cells, self.total);
        self.lines = vec![
            (self.line(answer, |column| column.p50_ms), Role::Series(0)),
            (self.line(answer, |column| column.p99_ms), Role::Series(1)),
        ];
        let (columns, rows) = (self.data.cells.columns(), self.data.cells.rows());
        let (x, y) = self.cursor;
        self.cursor = (x.min(columns.saturating_sub(1)), y.min(rows.saturating_sub(1)));
    }

    fn line(
        &self,
        answer: &HeatmapAnswer,
        of: fn(&HeatmapColumn) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let mut line = vec![None; self.data.cells.columns()];
        for column in &answer.columns {
            let at = unix_ns(&column.time).and_then(|ns| self.data.buckets.column(ns));
            if let Some(place) = at.and_then(|at| line.get_mut(at)) {
                *place = of(column).and_then(|ms| self.data.row_of_ms(ms));
            }
        }
        line
    }

    /// Spans in it.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Spans in it that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Where the slowest twentieth begins, as near as the rows tell.
    pub(crate) fn slow_from_ns(&self) -> Option<i64> {
        self.slow_from_ns
    }

    /// Shows the percentiles, or not.
    pub(crate) fn toggle_lines(&mut self) {
        self.show_lines = !self.show_lines;
    }

    /// Shows errors, or not.
    pub(crate) fn toggle_errors(&mut self) {
        self.hide_errors = !self.hide_errors;
    }

    /// Moves the cursor, begins or ends a rectangle. Says whether the selection changed; nothing when
    /// the action is not for a heatmap.
    pub(crate) fn act(&mut self, action: Action) -> Option<bool> {
        let (columns, rows) = (self.data.cells.columns(), self.data.cells.rows());
        if columns == 0 || rows == 0 {
            return None;
        }
        let (x, y) = self.cursor;
        self.cursor = match action {
            Action::Left => (x.saturating_sub(1), y),
            Action::Right => ((x + 1).min(columns - 1), y),
            Action::Up => (x, (y + 1).min(rows - 1)),
            Action::Down => (x, y.saturating_sub(1)),
            Action::Mark => return Some(self.mark()),
            Action::Back if self.anchor.take().is_some() => return Some(false),
            _ => return None,
        };
        Some(false)
    }

    fn mark(&mut self) -> bool {
        let Some(anchor) = self.anchor.take() else {
            self.anchor = Some(self.cursor);
            return false;
        };
        self.selection = Some(self.chosen(&area(anchor, self.cursor)));
        true
    }

    /// Chooses what lies between two cells of the pane.
    pub(crate) fn drag(
        &mut self,
        from: (u16, u16),
        to: (u16, u16),
        (width, height): (u16, u16),
    ) -> bool {
        let plot = Plot::new(&self.data.cells, width, height);
        let corners = plot.cell_at(from.0, from.1).zip(plot.cell_at(to.0, to.1));
        let Some((from, to)) = corners else { return false };
        self.selection = Some(self.chosen(&area(from, to)));
        true
    }

    /// Puts the cursor on a cell of the pane.
    pub(crate) fn click(&mut self, x: u16, y: u16, (width, height): (u16, u16)) {
        if let Some(cell) = Plot::new(&self.data.cells, width, height).cell_at(x, y) {
            self.cursor = cell;
        }
    }

    fn chosen(&self, area: &Area) -> Selection {
        let ((from_ns, to_ns), (low, high)) = self.data.bounds_ns(area);
        Selection {
            from_ns,
            to_ns,
            over_ns: (low > 0).then_some(low),
            under_ns: (high < i64::MAX).then_some(high),
        }
    }

    /// The rectangle of what is chosen, or is being chosen.
    fn area(&self) -> Option<Area> {
        if let Some(anchor) = self.anchor {
            return Some(area(anchor, self.cursor));
        }
        let chosen = self.selection?;
        let (columns, rows) = (self.data.cells.columns(), self.data.cells.rows());
        if columns == 0 || rows == 0 {
            return None;
        }
        let column = |ns: i64| self.data.buckets.place(ns) * (columns - 1) as f64;
        let row = |ns: i64| self.data.row_of_ms(ns as f64 / 1e6).map(|row| row.round() as usize);
        let from = (column(chosen.from_ns) + 0.5).floor() as usize;
        let to =
            ((column(chosen.to_ns) + 0.5).round() as usize).clamp(from + 1, columns.max(from + 1));
        let low = chosen.over_ns.map_or(0, |ns| row(ns).unwrap_or(0)).min(rows - 1);
        let high = chosen.under_ns.and_then(row).unwrap_or(rows).clamp(low + 1, rows);
        Some(Area { columns: from.min(columns - 1)..to, rows: low..high })
    }

    /// Traces of what is chosen, with why: a usual one, one in error, the slowest.
    pub(crate) fn exemplars(&self, answer: &HeatmapAnswer) -> Vec<(&'static str, String)> {
        let whole =
            || Area { columns: 0..self.data.cells.columns(), rows: 0..self.data.cells.rows() };
        let cells = self.data.in_area(answer, &self.area().unwrap_or_else(whole));
        let slowest = cells.iter().max_by_key(|cell| cell.bin);
        let failed = cells.iter().max_by_key(|cell| (cell.error_trace.is_some(), cell.errors));
        let id = |cell: Option<&&HeatmapCell>, of: fn(&HeatmapCell) -> &Option<String>| {
            cell.and_then(|cell| of(cell).clone())
        };
        let found = [
            ("median", id(cells.first(), |cell| &cell.median_trace)),
            ("error", id(failed, |cell| &cell.error_trace)),
            ("max", id(slowest, |cell| &cell.slowest_trace)),
        ];
        let mut exemplars: Vec<(&str, String)> = Vec::new();
        for (why, id) in found {
            if let Some(id) = id.filter(|id| exemplars.iter().all(|(_, other)| other != id)) {
                exemplars.push((why, id));
            }
        }
        exemplars
    }

    /// Draws it.
    pub(crate) fn draw(&self, pen: &mut Pen<'_>, zone: &TimeZone) {
        let shown = self.data.buckets.count.min(pen.width().saturating_sub(GUTTER).into());
        let column_labels = self.data.buckets.labels(zone, shown);
        let map = Heatmap {
            cells: Some(&self.data.cells),
            row_labels: &self.data.row_labels,
            column_labels: &column_labels,
            lines: if self.show_lines { &self.lines } else { &[] },
            errors_from: (!self.hide_errors).then_some(ERRORS_FROM),
            selection: self.area(),
            cursor: self.anchor.map(|_| self.cursor),
            ..Heatmap::default()
        };
        map.render(pen);
    }
}

fn slow_from_ns(cells: &[HeatmapCell], total: u64) -> Option<i64> {
    let mut rows: Vec<(i64, u64)> = cells.iter().map(|cell| (cell.from_ns, cell.count)).collect();
    rows.sort_unstable();
    let mut left = total / 20;
    let above = rows.iter().rev().take_while(|(_, count)| {
        let fits = left > 0;
        left = left.saturating_sub(*count);
        fits
    });
    above.last().map(|(from_ns, _)| *from_ns)
}

fn area(a: (usize, usize), b: (usize, usize)) -> Area {
    Area { columns: a.0.min(b.0)..a.0.max(b.0) + 1, rows: a.1.min(b.1)..a.1.max(b.1) + 1 }
}
