//! Cells by time and size, coloured by how many fall in: two rows a cell where there are half blocks
//! and colours, shades or signs elsewhere.

use std::ops::Range;

use super::Pen;
use crate::safe_text::SafeText;
use crate::theme::{Heat, RAMP, Role};

/// Columns of the labels at the left, the gap behind them included.
pub const GUTTER: u16 = 6;
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];
const SIGNS: [char; 9] = ['.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// What falls into a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All.
    pub all: u64,
    /// Those that failed.
    pub failed: u64,
}

/// Counts by column and row; row 0 is the lowest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells {
    columns: usize,
    rows: usize,
    counts: Vec<Count>,
}

impl Cells {
    /// Empty cells.
    pub fn new(columns: usize, rows: usize) -> Self {
        Self { columns, rows, counts: vec![Count::default(); columns * rows] }
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds to a cell; what lies outside is left out.
    pub fn add(&mut self, column: usize, row: usize, count: Count) {
        if column < self.columns && row < self.rows {
            let cell = &mut self.counts[row * self.columns + column];
            cell.all += count.all;
            cell.failed += count.failed;
        }
    }

    /// What falls into a cell.
    pub fn count(&self, column: usize, row: usize) -> Count {
        self.counts.get(row * self.columns + column).copied().unwrap_or_default()
    }

    fn sum(&self, columns: Range<usize>, rows: Range<usize>) -> Count {
        let mut sum = Count::default();
        for row in rows {
            for column in columns.clone() {
                let cell = self.count(column, row);
                sum.all += cell.all;
                sum.failed += cell.failed;
            }
        }
        sum
    }

    /// What counts as much: 99 % of the cells that hold something hold at most as many.
    fn much(&self) -> f64 {
        let mut counts: Vec<u64> = self.counts.iter().map(|c| c.all).filter(|c| *c > 0).collect();
        counts.sort_unstable();
        let at = (counts.len() * 99).div_ceil(100).saturating_sub(1);
        counts.get(at).map_or(1.0, |c| *c as f64)
    }
}

/// A rectangle of cells, ends exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// Columns.
    pub columns: Range<usize>,
    /// Rows.
    pub rows: Range<usize>,
}

/// A heatmap.
#[derive(Clone, Debug, Default)]
pub struct Heatmap<'a> {
    /// What it shows.
    pub cells: Option<&'a Cells>,
    /// Label of a row's lower end, from the lowest row up; as many as there is room for are shown.
    pub row_labels: &'a [SafeText],
    /// Labels below columns.
    pub column_labels: &'a [(usize, SafeText)],
    /// Lines over the cells: a row with a fraction for each column.
    pub lines: &'a [(Vec<Option<f64>>, Role)],
    /// Cells with at least this share of failed ones are shown as `x`.
    pub errors_from: Option<f64>,
    /// Columns with a mark on the axis, such as a deployment.
    pub marks: &'a [(usize, char)],
    /// What is selected.
    pub selection: Option<Area>,
    /// Cell under the cursor.
    pub cursor: Option<(usize, usize)>,
    /// Column that is written next in a sweep; it and the one behind it stay empty.
    pub sweep: Option<usize>,
}

/// Where the cells are on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plot {
    columns: usize,
    rows: usize,
    /// Columns of the screen.
    width: u16,
    /// Rows of the screen.
    height: u16,
}

impl Plot {
    /// In a pen of that size, with axis and labels.
    pub fn new(cells: &Cells, width: u16, height: u16) -> Self {
        Self {
            columns: cells.columns,
            rows: cells.rows,
            width: width.saturating_sub(GUTTER),
            height: height.saturating_sub(1),
        }
    }

    /// Cells in a column of the screen.
    fn columns_at(&self, x: u16) -> Range<usize> {
        if self.columns <= usize::from(self.width) {
            return usize::from(x)..(usize::from(x) + 1).min(self.columns);
        }
        let at = |x: usize| x * self.columns / usize::from(self.width);
        at(x.into())..at(usize::from(x) + 1)
    }

    /// Rows that share a line; where rows are few, each fills several lines. The same everywhere, so
    /// that equal heights are equal factors.
    fn rows_a_line(&self) -> usize {
        self.rows.div_ceil(usize::from(self.height).max(1)).max(1)
    }

    /// Rows are spread as they come, because a third of the lines would stay empty else.
    fn is_spread(&self) -> bool {
        let lines = usize::from(self.height);
        self.rows > lines && self.rows.div_ceil(self.rows_a_line()) * 3 < lines * 2
    }

    fn lines_a_row(&self) -> usize {
        (usize::from(self.height) / self.rows.max(1)).max(1)
    }

    /// Rows in a line, counted from the bottom.
    fn rows_at(&self, line: usize) -> Range<usize> {
        if self.is_spread() {
            let at = |line: usize| line * self.rows / usize::from(self.height);
            return at(line)..at(line + 1);
        }
        let first = line / self.lines_a_row() * self.rows_a_line();
        first.min(self.rows)..(first + self.rows_a_line()).min(self.rows)
    }

    /// Rows in the lower and the upper half of a line.
    fn halves_at(&self, line: usize) -> (Range<usize>, Range<usize>) {
        let rows = self.rows_at(line);
        if rows.len() < 2 && (self.is_spread() || self.rows_a_line() == 1) {
            return (rows.clone(), rows);
        }
        let a_line = if self.is_spread() { rows.len() } else { self.rows_a_line() };
        let middle = rows.start + a_line.div_ceil(2);
        (rows.start..middle.min(rows.end), middle.min(rows.end)..rows.end)
    }

    /// The screen's column of a column of cells.
    pub fn x_of(&self, column: usize) -> u16 {
        if self.columns <= usize::from(self.width) {
            return column.min(usize::from(self.width)) as u16;
        }
        (column * usize::from(self.width) / self.columns.max(1)) as u16
    }

    /// The screen's line of a row of cells, from the top.
    fn y_of(&self, row: f64) -> u16 {
        let line = match self.is_spread() {
            true => row * f64::from(self.height) / self.rows as f64,
            false => row * self.lines_a_row() as f64 / self.rows_a_line() as f64,
        };
        self.height.saturating_sub(1).saturating_sub((line.max(0.0) as u16).min(self.height))
    }

    /// The cell at a place of the pen; nothing beside the cells.
    pub fn cell_at(&self, x: u16, y: u16) -> Option<(usize, usize)> {
        let x = x.checked_sub(GUTTER).filter(|x| *x < self.width)?;
        let line = self.height.checked_sub(1)?.checked_sub(y)?;
        let column = self.columns_at(x).next()?;
        let rows = self.rows_at(line.into());
        Some((column, (rows.start + rows.end) / 2)).filter(|(_, row)| *row < self.rows)
    }
}

impl Heatmap<'_> {
    /// Draws cells, axis, lines and selection.
    pub fn render(&self, pen: &mut Pen<'_>) {
        let Some(cells) = self.cells else { return };
        let plot = Plot::new(cells, pen.width(), pen.height());
        if plot.width == 0 || plot.height == 0 || plot.rows == 0 {
            return;
        }
        self.labels(pen, &plot);
        let (width, height) = (plot.width, plot.height);
        let mut inner = pen.part(GUTTER, 0, width, height);
        let much = cells.much();
        for x in 0..width.min(plot.columns as u16) {
            if self.is_swept(plot.columns_at(x)) {
                continue;
            }
            for y in 0..height {
                self.cell(&mut inner, cells, &plot, much, (x, y));
            }
        }
        self.overlays(&mut inner, &plot);
    }

    fn is_swept(&self, columns: Range<usize>) -> bool {
        self.sweep.is_some_and(|s| columns.start == s || columns.start == s + 1)
    }

    fn cell(&self, pen: &mut Pen<'_>, cells: &Cells, plot: &Plot, much: f64, (x, y): (u16, u16)) {
        let columns = plot.columns_at(x);
        let line = usize::from(plot.height - 1 - y);
        let whole = cells.sum(columns.clone(), plot.rows_at(line));
        let failed = whole.failed as f64 / (whole.all as f64).max(1.0);
        if whole.failed > 0 && self.errors_from.is_some_and(|from| failed >= from) {
            pen.put(x, y, 'x', Role::Error);
            return;
        }
        match pen.theme().heat() {
            Heat::Halves => {
                // The mean of its rows, so that halves of one and of two look alike.
                let half = |rows: Range<usize>| {
                    let sum = cells.sum(columns.clone(), rows.clone()).all;
                    level(sum.div_ceil(rows.len().max(1) as u64), much)
                };
                let (lower, upper) = plot.halves_at(line);
                let (lower, upper) = (half(lower), half(upper));
                halves(pen, (x, y), upper, lower);
            }
            Heat::Shades | Heat::Weights => {
                if let Some(level) = level(whole.all, much) {
                    let glyph = if pen.theme().glyphs.halves {
                        SHADES[usize::from(level) * SHADES.len() / RAMP]
                    } else {
                        SIGNS[usize::from(level) * SIGNS.len() / RAMP]
                    };
                    pen.put(x, y, glyph, Role::Ramp(level));
                }
            }
        }
    }

    fn labels(&self, pen: &mut Pen<'_>, plot: &Plot) {
        // From the lowest line up, as many as have a line of their own.
        let mut free = plot.height;
        for (row, label) in self.row_labels.iter().enumerate().take(plot.rows) {
            let y = plot.y_of(row as f64);
            if y < free {
                pen.right(0, y, GUTTER - 1, label, Role::Dim);
                free = y;
            }
        }
        let y = plot.height;
        let mut free = 0;
        for (column, label) in self.column_labels {
            let x = plot.x_of(*column);
            let wide = label.width() as u16;
            if x >= free && x + wide <= plot.width {
                pen.text(GUTTER + x, y, wide, label, Role::Dim);
                free = x + wide + 1;
            }
        }
        for (column, mark) in self.marks {
            pen.put(GUTTER + plot.x_of(*column), y, *mark, Role::New);
        }
    }

    fn overlays(&self, pen: &mut Pen<'_>, plot: &Plot) {
        for (rows, role) in self.lines {
            for (column, row) in rows.iter().enumerate() {
                if let Some(row) = row {
                    pen.put(plot.x_of(column), plot.y_of(*row), '╌', *role);
                }
            }
        }
        if let Some(area) = &self.selection {
            selection(pen, plot, area);
        }
        if let Some((column, row)) = self.cursor {
            let (x, y) = (plot.x_of(column), plot.y_of(row as f64));
            pen.restyle(x, y, 1, 1, pen.style(Role::Cursor));
        }
    }
}

/// A step of the scale from 0 to 9, by the logarithm; nothing for nothing.
fn level(count: u64, much: f64) -> Option<u8> {
    if count == 0 {
        return None;
    }
    let share = (count as f64).ln_1p() / much.ln_1p();
    Some(((share * RAMP as f64) as u8).min(RAMP as u8 - 1))
}

fn halves(pen: &mut Pen<'_>, (x, y): (u16, u16), upper: Option<u8>, lower: Option<u8>) {
    match (upper, lower) {
        (Some(upper), Some(lower)) => {
            let style = pen.theme().halves(Role::Ramp(upper), Role::Ramp(lower));
            pen.glyph(x, y, '▀', style);
        }
        (Some(upper), None) => pen.put(x, y, '▀', Role::Ramp(upper)),
        (None, Some(lower)) => pen.put(x, y, '▄', Role::Ramp(lower)),
        (None, None) => {}
    }
}

/// A frame around the selected cells, on the cells beside them where there is room.
fn selection(pen: &mut Pen<'_>, plot: &Plot, area: &Area) {
    if area.columns.is_empty() || area.rows.is_empty() {
        return;
    }
    let left = plot.x_of(area.columns.start).saturating_sub(1);
    let right = plot.x_of(area.columns.end).min(plot.width.saturating_sub(1));
    let top = plot.y_of((area.rows.end - 1) as f64).saturating_sub(1);
    let bottom = (plot.y_of(area.rows.start as f64) + 1).min(plot.height.saturating_sub(1));
    for x in left..=right {
        pen.put(x, top, '─', Role::Accent);
        pen.put(x, bottom, '─', Role::Accent);
    }
    for y in top..=bottom {
        pen.put(left, y, '│', Role::Accent);
        pen.put(right, y, '│', Role::Accent);
    }
    for (x, y, corner) in
        [(left, top, '┌'), (right, top, '┐'), (left, bottom, '└'), (right, bottom, '┘')]
    {
        pen.put(x, y, corner, Role::Accent);
    }
}
