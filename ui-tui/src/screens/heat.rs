//! The heatmap that several screens show: time by duration, with lines, errors and a rectangle.

use api::time;
use api::views::{ChangePoint, HeatmapAnswer, HeatmapCell};
use jiff::tz::TimeZone;

use crate::action::Action;
use crate::format::{self, Clock};
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::heatmap::{Area, Cells, Count, GUTTER, Heatmap, Plot};

#[cfg(test)]
mod tests;

/// Rows of the scale: two an octave up to days.
const BINS_MAX: i64 = 120;
/// The share of spans that is left out at the lower end, so that a few fast ones do not stretch it.
const LOW_SHARE: f64 = 0.001;
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
    /// The condition over spans in SQL.
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
    pub(crate) fn words(self) -> String {
        let clock = |ns| format::moment(ns, &TimeZone::UTC, Clock::Minute);
        let mut words = format!("{}-{}", clock(self.from_ns), clock(self.to_ns));
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
        let (from_ns, to_ns) = (ns(&change.from)?, ns(&change.to)?);
        Some(Selection { from_ns, to_ns, over_ns: change.over_ns, under_ns: None })
    }
}

/// A heatmap with what is chosen in it.
#[derive(Debug, Default)]
pub(crate) struct Heat {
    cells: Cells,
    answers: Vec<HeatmapCell>,
    from_ns: i64,
    column_ns: i64,
    first_bin: i64,
    lines: Vec<(Vec<Option<f64>>, Role)>,
    hide_lines: bool,
    hide_errors: bool,
    cursor: (usize, usize),
    anchor: Option<(usize, usize)>,
    pub(crate) selection: Option<Selection>,
    total: u64,
}

impl Heat {
    /// Takes an answer; what is chosen stays.
    pub(crate) fn fill(&mut self, answer: &HeatmapAnswer) {
        let starts: Vec<i64> = answer.cells.iter().filter_map(|cell| ns(&cell.time)).collect();
        let range = (&answer.range.from, &answer.range.to);
        let first = range.0.as_deref().and_then(ns).or_else(|| starts.iter().min().copied());
        let last = range.1.as_deref().and_then(ns).or_else(|| starts.iter().max().copied());
        let (Some(first), Some(last)) = (first, last) else {
            self.cells = Cells::default();
            return;
        };
        self.column_ns = answer.column_ns.max(1);
        self.from_ns = first.div_euclid(self.column_ns) * self.column_ns;
        let columns = ((last - self.from_ns).max(1) as u64).div_ceil(self.column_ns as u64);
        let columns = usize::try_from(columns).unwrap_or(1).clamp(1, 1_000);
        self.total = answer.cells.iter().map(|cell| cell.count).sum();
        let (low, high) = bins(&answer.cells, self.total);
        self.first_bin = low;
        let rows = usize::try_from((high - low + 1).clamp(1, BINS_MAX)).unwrap_or(1);
        self.cells = Cells::new(columns, rows);
        for cell in &answer.cells {
            if let Some((column, row)) = self.place(cell) {
                self.cells.add(column, row, Count { all: cell.count, failed: cell.errors });
            }
        }
        self.lines = self.percentiles(answer);
        self.answers = answer.cells.clone();
        self.cursor = (self.cursor.0.min(columns - 1), self.cursor.1.min(rows - 1));
    }

    fn place(&self, cell: &HeatmapCell) -> Option<(usize, usize)> {
        let column = usize::try_from((ns(&cell.time)? - self.from_ns) / self.column_ns).ok()?;
        let row = usize::try_from(cell.bin - self.first_bin).unwrap_or(0);
        Some((column, row))
    }

    fn percentiles(&self, answer: &HeatmapAnswer) -> Vec<(Vec<Option<f64>>, Role)> {
        let line = |of: fn(&api::views::HeatmapColumn) -> Option<f64>| {
            let mut line = vec![None; self.cells.columns()];
            for column in &answer.columns {
                let at = ns(&column.time).map(|ns| (ns - self.from_ns) / self.column_ns);
                let place = at.and_then(|at| line.get_mut(usize::try_from(at).ok()?));
                if let (Some(place), Some(ms)) = (place, of(column)) {
                    *place = Some(2.0 * (ms * 1e6).max(1.0).log2() - self.first_bin as f64);
                }
            }
            line
        };
        vec![
            (line(|column| column.p50_ms), Role::Series(0)),
            (line(|column| column.p99_ms), Role::Series(1)),
        ]
    }

    /// Spans in it.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Shows the percentiles, or not.
    pub(crate) fn toggle_lines(&mut self) {
        self.hide_lines = !self.hide_lines;
    }

    /// Shows errors, or not.
    pub(crate) fn toggle_errors(&mut self) {
        self.hide_errors = !self.hide_errors;
    }

    /// Moves the cursor, or begins and ends a rectangle; true when it is complete or given up.
    pub(crate) fn act(&mut self, action: Action) -> Option<bool> {
        let (columns, rows) = (self.cells.columns(), self.cells.rows());
        if columns == 0 {
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
            Action::Back if self.selection.take().is_some() => return Some(true),
            _ => return None,
        };
        Some(false)
    }

    fn mark(&mut self) -> bool {
        let Some(anchor) = self.anchor.take() else {
            self.anchor = Some(self.cursor);
            return false;
        };
        self.selection = Some(self.between(anchor, self.cursor));
        true
    }

    /// Chooses what lies between two cells of the pane.
    pub(crate) fn drag(&mut self, from: (u16, u16), to: (u16, u16), width: u16, height: u16) -> bool {
        let plot = Plot::new(&self.cells, width, height);
        let corners = plot.cell_at(from.0, from.1).zip(plot.cell_at(to.0, to.1));
        let Some((from, to)) = corners else { return false };
        self.selection = Some(self.between(from, to));
        true
    }

    /// Puts the cursor on a cell of the pane.
    pub(crate) fn click(&mut self, x: u16, y: u16, width: u16, height: u16) {
        if let Some(cell) = Plot::new(&self.cells, width, height).cell_at(x, y) {
            self.cursor = cell;
        }
    }

    fn between(&self, a: (usize, usize), b: (usize, usize)) -> Selection {
        let (left, right) = (a.0.min(b.0), a.0.max(b.0));
        let (low, high) = (a.1.min(b.1), a.1.max(b.1));
        let at = |column: usize| self.from_ns + column as i64 * self.column_ns;
        Selection {
            from_ns: at(left),
            to_ns: at(right + 1),
            over_ns: (low > 0).then(|| edge_ns(self.first_bin + low as i64)),
            under_ns: (high + 1 < self.cells.rows())
                .then(|| edge_ns(self.first_bin + high as i64 + 1)),
        }
    }

    /// The rectangle of what is chosen, or is being chosen.
    fn area(&self) -> Option<Area> {
        if let Some(anchor) = self.anchor {
            return Some(area(anchor, self.cursor));
        }
        let chosen = self.selection?;
        let column = |ns: i64| ((ns - self.from_ns).max(0) / self.column_ns) as usize;
        let row = |ns: i64| (bin(ns) - self.first_bin).max(0) as usize;
        let (columns, rows) = (self.cells.columns(), self.cells.rows());
        let from = column(chosen.from_ns).min(columns.saturating_sub(1));
        let to = column(chosen.to_ns + self.column_ns - 1).clamp(from + 1, columns.max(from + 1));
        let low = chosen.over_ns.map_or(0, row).min(rows.saturating_sub(1));
        let high = chosen.under_ns.map_or(rows, row).clamp(low + 1, rows.max(low + 1));
        Some(Area { columns: from..to, rows: low..high })
    }

    /// Traces of what is chosen: in error, the slowest, a usual one.
    pub(crate) fn exemplars(&self) -> Vec<(&'static str, String)> {
        let area = self.area();
        let within = |cell: &&HeatmapCell| {
            let Some((column, row)) = self.place(cell) else { return false };
            area.as_ref().is_none_or(|a| a.columns.contains(&column) && a.rows.contains(&row))
        };
        let mut cells: Vec<&HeatmapCell> = self.answers.iter().filter(within).collect();
        cells.sort_by_key(|cell| std::cmp::Reverse((cell.bin, cell.count)));
        let first = |of: fn(&HeatmapCell) -> &Option<String>| {
            cells.iter().find_map(|cell| of(cell).clone())
        };
        let fullest = cells.iter().max_by_key(|cell| cell.count);
        let found = [
            ("median", fullest.and_then(|cell| cell.median_trace.clone())),
            ("error", first(|cell| &cell.error_trace)),
            ("max", first(|cell| &cell.slowest_trace)),
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
    pub(crate) fn draw(&self, pen: &mut Pen<'_>) {
        let plot_rows = self.cells.rows();
        let row_labels: Vec<SafeText> =
            (0..plot_rows).map(|row| format::tick_ns(edge_ns(self.first_bin + row as i64)).into()).collect();
        let column_labels = self.column_labels();
        let shown = if self.hide_lines { &[][..] } else { &self.lines[..] };
        let map = Heatmap {
            cells: Some(&self.cells),
            row_labels: &row_labels,
            column_labels: &column_labels,
            lines: shown,
            errors_from: (!self.hide_errors).then_some(ERRORS_FROM),
            selection: self.area(),
            cursor: self.anchor.map(|_| self.cursor),
            ..Heatmap::default()
        };
        map.render(pen);
    }

    fn column_labels(&self) -> Vec<(usize, SafeText)> {
        let columns = self.cells.columns();
        let span_ns = self.column_ns * columns as i64;
        let clock = match span_ns / 1_000_000_000 {
            ..=300 => Clock::Second,
            ..=172_800 => Clock::Minute,
            _ => Clock::Day,
        };
        let step = (columns / 4).max(1);
        let label = |at: usize| {
            let moment = self.from_ns + at as i64 * self.column_ns;
            (at, SafeText::new(format::moment(moment, &TimeZone::UTC, clock)))
        };
        (0..columns).step_by(step).map(label).collect()
    }
}

fn area(a: (usize, usize), b: (usize, usize)) -> Area {
    Area {
        columns: a.0.min(b.0)..a.0.max(b.0) + 1,
        rows: a.1.min(b.1)..a.1.max(b.1) + 1,
    }
}

/// Lowest and highest bin that are shown.
fn bins(cells: &[HeatmapCell], total: u64) -> (i64, i64) {
    let mut counts: Vec<(i64, u64)> = cells.iter().map(|cell| (cell.bin, cell.count)).collect();
    counts.sort_unstable();
    let skipped = (total as f64 * LOW_SHARE) as u64;
    let mut seen = 0;
    let low = counts.iter().find(|(_, count)| {
        seen += count;
        seen > skipped
    });
    let high = counts.last().map_or(0, |(bin, _)| *bin);
    (low.map_or(high, |(bin, _)| *bin).max(high - BINS_MAX + 1), high)
}

/// Where a bin begins.
fn edge_ns(bin: i64) -> i64 {
    2f64.powf(bin as f64 / 2.0).ceil() as i64
}

/// The bin of a duration.
fn bin(ns: i64) -> i64 {
    (2.0 * (ns.max(1) as f64).log2() + 1e-9).floor() as i64
}

fn ns(text: &str) -> Option<i64> {
    time::parse(text, 0).ok()
}
