//! Rows with a bar each on one axis of time, indented as a tree.

use super::bars::{Stretch, stretch};
use super::{Mark, Pen, Piece, first_visible, sparkline};
use crate::format;
use crate::safe_text::SafeText;
use crate::theme::Role;

/// Columns a folded pause takes.
const PAUSE_WIDTH: u16 = 9;
/// Columns in front of the name: cursor and mark, then a gap.
const MARGIN: u16 = 3;

/// An axis of time on which long pauses are folded.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Stretches of time and columns that are drawn to scale, in order.
    scales: Vec<Scale>,
    /// Folded pauses with the column where each stands.
    folds: Vec<(u16, i64)>,
    width: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    from_ns: i64,
    to_ns: i64,
    x: f64,
    width: f64,
}

impl Axis {
    /// The window over `width` columns, without those of the pauses that lie in it.
    pub fn new((from_ns, to_ns): (i64, i64), pauses: &[(i64, i64)], width: u16) -> Self {
        let to_ns = to_ns.max(from_ns.saturating_add(1));
        let within = pauses.iter().filter(|(a, b)| *a > from_ns && *b < to_ns);
        let pauses: Vec<(i64, i64)> = within.copied().collect();
        let folded = PAUSE_WIDTH.saturating_mul(pauses.len() as u16);
        // Too narrow to fold: plain scale.
        let (pauses, folded) = if folded * 2 > width { (Vec::new(), 0) } else { (pauses, folded) };
        let paused: i64 = pauses.iter().map(|(a, b)| b - a).sum();
        let busy = ((to_ns - from_ns - paused) as f64).max(1.0);
        let per_ns = f64::from(width - folded) / busy;
        let (mut scales, mut folds) = (Vec::new(), Vec::new());
        let (mut at, mut x) = (from_ns, 0.0);
        for (begin, end) in pauses.iter().copied().chain([(to_ns, to_ns)]) {
            let length = (begin - at) as f64 * per_ns;
            scales.push(Scale { from_ns: at, to_ns: begin, x, width: length });
            x += length;
            if end > begin {
                folds.push((x.round() as u16, end - begin));
                x += f64::from(PAUSE_WIDTH);
            }
            at = end;
        }
        Self { scales, folds, width }
    }

    /// The column of a moment; those outside the window stand at its ends.
    pub fn column(&self, ns: i64) -> f64 {
        for s in &self.scales {
            if ns <= s.to_ns {
                let share = (ns - s.from_ns) as f64 / ((s.to_ns - s.from_ns) as f64).max(1.0);
                return s.x + share.max(0.0) * s.width;
            }
        }
        f64::from(self.width)
    }

    /// The moment at a column.
    pub fn moment(&self, column: f64) -> i64 {
        let scale = self.scales.iter().rev().find(|s| s.x <= column);
        let Some(s) = scale.or(self.scales.first()) else { return 0 };
        let share = if s.width > 0.0 { ((column - s.x) / s.width).clamp(0.0, 1.0) } else { 0.0 };
        s.from_ns + (share * (s.to_ns - s.from_ns) as f64) as i64
    }
}

/// A bar of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Begin.
    pub from_ns: i64,
    /// End.
    pub to_ns: i64,
    /// What whole cells are filled with.
    pub fill: char,
    /// What it means.
    pub role: Role,
}

/// A row.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// What stands in front.
    pub mark: Mark,
    /// How far the name is indented.
    pub depth: u16,
    /// Whether something is hidden below; nothing where there is nothing.
    pub folded: Option<bool>,
    /// What it is.
    pub name: Vec<Piece>,
    /// Fields between name and bar, one a [`Field`].
    pub fields: Vec<Piece>,
    /// When it ran.
    pub bars: Vec<Bar>,
    /// Moments within it.
    pub events: Vec<i64>,
}

/// A field between name and bar.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its head.
    pub head: SafeText,
    /// Its columns.
    pub width: u16,
    /// Numbers stand at the right.
    pub right: bool,
}

/// Gives a row that is seen.
pub type LineSource<'a> = &'a dyn Fn(usize) -> Line;

/// Rows with bars.
#[derive(Clone, Copy)]
pub struct Waterfall<'a> {
    /// How many rows there are.
    pub len: usize,
    /// First row to show; moved as far as the cursor needs.
    pub first: usize,
    /// Row under the cursor.
    pub cursor: Option<usize>,
    /// Columns for the name, marks included.
    pub name_width: u16,
    /// Fields between name and bar.
    pub fields: &'a [Field],
    /// What the axis begins and ends with.
    pub window_ns: (i64, i64),
    /// Moments that the labels of the axis count from.
    pub zero_ns: i64,
    /// Pauses that may be folded.
    pub pauses: &'a [(i64, i64)],
    /// Head of the names.
    pub head: &'a str,
    /// Asked for rows that are seen, and for no others.
    pub lines: LineSource<'a>,
}

impl std::fmt::Debug for Waterfall<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waterfall").field("len", &self.len).field("cursor", &self.cursor).finish()
    }
}

impl Waterfall<'_> {
    /// Where the bars begin.
    pub fn bars_x(&self) -> u16 {
        self.fields.iter().fold(self.name_width + 1, |x, f| x.saturating_add(f.width + 1))
    }

    /// The axis in a pane of that width.
    pub fn axis(&self, width: u16) -> Axis {
        Axis::new(self.window_ns, self.pauses, width.saturating_sub(self.bars_x()))
    }

    /// The first row that is drawn in `height`.
    pub fn first_drawn(&self, height: u16) -> usize {
        let rows = usize::from(height.saturating_sub(1));
        first_visible(self.first, self.cursor.unwrap_or(self.first), rows, self.len)
    }

    /// Draws the head and the rows that are seen.
    pub fn render(&self, pen: &mut Pen<'_>) {
        let axis = self.axis(pen.width());
        self.head(pen, &axis);
        let first = self.first_drawn(pen.height());
        let rows = usize::from(pen.height().saturating_sub(1));
        for (at, index) in (first..self.len.min(first + rows)).enumerate() {
            let y = at as u16 + 1;
            let line = (self.lines)(index);
            self.texts(pen, y, &line);
            self.bars(pen, y, &line, &axis);
            if self.cursor == Some(index) {
                let width = self.bars_x().saturating_sub(2);
                pen.restyle(1, y, width, 1, pen.style(Role::Cursor));
                pen.put(0, y, '▌', Role::Accent);
            }
        }
    }

    fn head(&self, pen: &mut Pen<'_>, axis: &Axis) {
        pen.text(1, 0, self.name_width, &self.head.into(), Role::Head);
        let mut x = self.name_width + 1;
        for field in self.fields {
            if field.right {
                pen.right(x, 0, field.width, &field.head, Role::Head);
            } else {
                pen.text(x, 0, field.width, &field.head, Role::Head);
            }
            x += field.width + 1;
        }
        let width = pen.width().saturating_sub(x);
        let mut used = 0;
        for quarter in 0..4 {
            let (column, moment) = self.tick(axis, quarter);
            let label = SafeText::new(format::tick_ns(moment - self.zero_ns));
            let wide = label.width() as u16;
            // Labels never touch each other, nor the edge.
            if column >= used && column + wide <= width {
                pen.text(x + column, 0, wide, &label, Role::Dim);
                used = column + wide + 1;
            }
        }
    }

    /// Column and moment of a label: quarters of the window, or of its columns where pauses are folded.
    fn tick(&self, axis: &Axis, quarter: u16) -> (u16, i64) {
        if axis.folds.is_empty() {
            let (from, to) = self.window_ns;
            let moment = from + (to - from) / 4 * i64::from(quarter);
            return (axis.column(moment).round() as u16, moment);
        }
        let column = axis.width / 4 * quarter;
        (column, axis.moment(f64::from(column)))
    }

    fn texts(&self, pen: &mut Pen<'_>, y: u16, line: &Line) {
        pen.put(1, y, line.mark.glyph(), line.mark.role());
        let room = self.name_width.saturating_sub(MARGIN + 2);
        // Deep rows keep half of the room for their name.
        let indent = line.depth.saturating_mul(2).min(room / 2);
        if usize::from(line.depth) * 2 > usize::from(indent) {
            pen.put(MARGIN + indent.saturating_sub(1), y, '…', Role::Dim);
        }
        match line.folded {
            Some(true) => pen.put(MARGIN + indent, y, '>', Role::Accent),
            Some(false) => pen.put(MARGIN + indent, y, 'v', Role::Dim),
            None => {}
        }
        let x = MARGIN + indent + 2;
        pen.pieces(x, y, self.name_width.saturating_sub(x), &line.name);
        let mut x = self.name_width + 1;
        for (field, (text, role)) in self.fields.iter().zip(&line.fields) {
            if field.right {
                pen.right(x, y, field.width, text, *role);
            } else {
                pen.text(x, y, field.width, text, *role);
            }
            x += field.width + 1;
        }
    }

    fn bars(&self, pen: &mut Pen<'_>, y: u16, line: &Line, axis: &Axis) {
        let x = self.bars_x();
        for (column, pause_ns) in &axis.folds {
            let label = format!("┄ {} ┄", format::tick_ns(*pause_ns));
            pen.text(x + column, y, PAUSE_WIDTH, &label.into(), Role::Dim);
        }
        for bar in &line.bars {
            if bar.to_ns < self.window_ns.0 || bar.from_ns > self.window_ns.1 {
                continue;
            }
            let (from, to) = (axis.column(bar.from_ns), axis.column(bar.to_ns));
            if (to - from) * 16.0 < 1.0 {
                // Too short for an eighth of a cell.
                let at = (from as u16).min(axis.width.saturating_sub(1));
                pen.put(x + at, y, '·', bar.role);
                continue;
            }
            let s = Stretch::of(from, to, f64::from(axis.width), axis.width);
            stretch(pen, (x, y), s, bar.fill, bar.role);
        }
        for event in &line.events {
            if (self.window_ns.0..=self.window_ns.1).contains(event) {
                let at = (axis.column(*event) as u16).min(axis.width.saturating_sub(1));
                pen.put(x + at, y, '◆', Role::Event);
            }
        }
    }
}

/// The density strip: `├▄▂▁┤`, how much runs when, with the part that is seen in another colour.
pub fn strip(pen: &mut Pen<'_>, counts: &[u32], seen: std::ops::Range<f64>) {
    let width = pen.width();
    if width < 3 {
        return;
    }
    let inner = width - 2;
    pen.put(0, 0, '├', Role::Border);
    pen.put(width - 1, 0, '┤', Role::Border);
    let values: Vec<Option<f64>> =
        counts.iter().map(|c| (*c > 0).then_some(f64::from(*c))).collect();
    sparkline::sparkline(pen, (1, 0), inner, &values, Role::OffPath);
    let from = (seen.start.clamp(0.0, 1.0) * f64::from(inner)).floor() as u16;
    let to = (seen.end.clamp(0.0, 1.0) * f64::from(inner)).ceil() as u16;
    if to > from && to - from < inner {
        pen.restyle(1 + from, 0, to - from, 1, pen.style(Role::Accent));
    }
}
