//! Lines and points over time: Braille dots where the font has them, letters elsewhere. A missing value
//! is a gap, never zero.

use super::{Pen, Piece, piece};
use crate::safe_text::SafeText;
use crate::theme::{Depth, Role};

/// Columns of the labels at the left, the gap behind them included.
pub const GUTTER: u16 = 8;
/// Signs of series where there are no dots.
const LETTERS: [char; 8] = ['*', '+', 'o', 'x', '#', '%', '@', '&'];
/// Rows of dots that tell series apart where there is no colour.
const DASHES: [char; 4] = ['⠉', '⠒', '⠤', '⣀'];

/// How values become heights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// In proportion; begins at zero unless a value is below.
    #[default]
    Linear,
    /// By the logarithm; values of zero and below are not shown.
    Log,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Neighbours are joined.
    #[default]
    Line,
    /// Each point by itself.
    Dots,
}

/// Values along the axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What it is called.
    pub label: SafeText,
    /// How it is drawn.
    pub shape: Shape,
    /// Place along the axis from 0 to 1, rising, and the value there.
    pub points: Vec<(f64, Option<f64>)>,
}

impl Series {
    /// One value a bucket, all of the same width.
    pub fn of_buckets(label: impl Into<SafeText>, values: &[Option<f64>]) -> Self {
        let last = values.len().saturating_sub(1).max(1) as f64;
        let points = values.iter().enumerate().map(|(at, v)| (at as f64 / last, *v)).collect();
        Self { label: label.into(), shape: Shape::Line, points }
    }
}

/// A chart.
#[derive(Clone, Copy)]
pub struct Chart<'a> {
    /// What it shows, in order of importance: the first lies on top.
    pub series: &'a [Series],
    /// How values become heights.
    pub scale: Scale,
    /// The words for a value.
    pub words: &'a dyn Fn(f64) -> String,
    /// Labels below places of the axis, from 0 to 1.
    pub x_labels: &'a [(f64, SafeText)],
    /// Least and largest values around the first series.
    pub band: &'a [(f64, Option<(f64, f64)>)],
    /// Places of the axis with a line from top to bottom.
    pub moments: &'a [f64],
    /// Places at which a counter began anew.
    pub resets: &'a [f64],
    /// Place and value of measurements that lead to a trace.
    pub exemplars: &'a [(f64, f64)],
    /// Place under the cursor.
    pub cursor: Option<f64>,
}

impl std::fmt::Debug for Chart<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chart").field("series", &self.series.len()).finish()
    }
}

/// Values that are shown, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    low: f64,
    high: f64,
    scale: Scale,
}

impl Range {
    /// Height of a value from 0 to 1.
    fn share(&self, value: f64) -> Option<f64> {
        let to = |v: f64| if self.scale == Scale::Log { v.ln() } else { v };
        let share = (to(value) - to(self.low)) / (to(self.high) - to(self.low));
        (share.is_finite() && (self.scale == Scale::Linear || value > 0.0))
            .then(|| share.clamp(0.0, 1.0))
    }

    /// Round values, `most` at most.
    fn ticks(&self, most: usize) -> Vec<f64> {
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, most),
            Scale::Log => log_ticks(self.low, self.high, most),
        }
    }
}

fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let rough = (high - low) / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * power).into_iter().find(|s| *s >= rough * 0.999);
    let Some(step) = step.filter(|s| *s > 0.0 && s.is_finite()) else { return Vec::new() };
    let first = (low / step).ceil();
    (0..=most).map(|n| (first + n as f64) * step).take_while(|v| *v <= high * 1.0001).collect()
}

fn log_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let within = |steps: &[f64]| -> Vec<f64> {
        let values = decades.clone().flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
        values.filter(|v| (low..=high).contains(v)).collect()
    };
    let all = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].map(within);
    let fitting = all.iter().find(|v| v.len() <= most).unwrap_or(&all[2]);
    let skip = fitting.len().div_ceil(most.max(1)).max(1);
    fitting.iter().step_by(skip).copied().collect()
}

impl Chart<'_> {
    fn range(&self) -> Option<Range> {
        let lines = self.series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1));
        let band = self.band.iter().filter_map(|b| b.1).flat_map(|(low, high)| [low, high]);
        let all = lines.chain(band).chain(self.exemplars.iter().map(|e| e.1));
        let shown = |v: &f64| v.is_finite() && (self.scale == Scale::Linear || *v > 0.0);
        let (mut low, mut high, mut none) = (f64::INFINITY, f64::NEG_INFINITY, true);
        for value in all.filter(shown) {
            (low, high, none) = (low.min(value), high.max(value), false);
        }
        if none {
            return None;
        }
        if self.scale == Scale::Linear {
            low = low.min(0.0);
        }
        if high <= low {
            high = if low == 0.0 { 1.0 } else { low + low.abs() };
        }
        Some(Range { low, high, scale: self.scale })
    }

    /// Draws labels, lines and marks.
    pub fn render(&self, pen: &mut Pen<'_>) {
        let (width, height) = (pen.width().saturating_sub(GUTTER), pen.height().saturating_sub(1));
        let Some(range) = self.range().filter(|_| width > 0 && height > 0) else { return };
        self.labels(pen, &range, width, height);
        let mut plot = pen.part(GUTTER, 0, width, height);
        self.draw_band(&mut plot, &range);
        for place in self.moments {
            for y in 0..height {
                plot.put(x_of(*place, width), y, '┊', Role::Dim);
            }
        }
        if plot.theme().glyphs.braille {
            self.draw_dots(&mut plot, &range);
        } else {
            self.draw_letters(&mut plot, &range);
        }
        for place in self.resets {
            plot.put(x_of(*place, width), height - 1, '╳', Role::Warn);
        }
        for (place, value) in self.exemplars {
            if let Some(share) = range.share(*value) {
                plot.put(x_of(*place, width), y_of(share, height), '◆', Role::Event);
            }
        }
        if let Some(place) = self.cursor {
            plot.restyle(x_of(place, width), 0, 1, height, plot.style(Role::Cursor));
        }
    }

    fn labels(&self, pen: &mut Pen<'_>, range: &Range, width: u16, height: u16) {
        let mut free = height;
        for tick in range.ticks(usize::from(height).div_ceil(3).max(2)) {
            let Some(share) = range.share(tick) else { continue };
            let y = y_of(share, height);
            if y < free {
                pen.right(0, y, GUTTER - 1, &(self.words)(tick).into(), Role::Dim);
                free = y;
            }
        }
        let mut free = 0;
        for (place, label) in self.x_labels {
            let (x, wide) = (x_of(*place, width), label.width() as u16);
            if x >= free && x + wide <= width {
                pen.text(GUTTER + x, height, wide, label, Role::Dim);
                free = x + wide + 1;
            }
        }
    }

    fn draw_band(&self, pen: &mut Pen<'_>, range: &Range) {
        let (width, height) = (pen.width(), pen.height());
        for (place, ends) in self.band {
            let Some((low, high)) = ends else { continue };
            let (Some(low), Some(high)) = (range.share(*low), range.share(*high)) else { continue };
            for y in y_of(high, height)..=y_of(low, height) {
                pen.put(x_of(*place, width), y, '░', Role::Dim);
            }
        }
    }

    fn draw_dots(&self, pen: &mut Pen<'_>, range: &Range) {
        let told_by_dots = pen.theme().depth() == Depth::None && self.series.len() > 1;
        let mut dots = Dots::new(pen.width(), pen.height());
        for (at, series) in self.series.iter().enumerate().rev() {
            let row = told_by_dots.then_some(at % DASHES.len());
            let place = |(x, share): (f64, f64)| dots_place(pen, x, share, row);
            let points = series.points.iter().map(|(x, v)| Some((*x, range.share((*v)?)?)));
            let mut before = None;
            for point in points {
                let point = point.map(place);
                match (before, point) {
                    (Some(from), Some(to)) if series.shape == Shape::Line => {
                        dots.line(from, to, row, at as u8);
                    }
                    (_, Some(to)) => dots.set(to, at as u8),
                    _ => {}
                }
                before = point;
            }
        }
        dots.paint(pen);
    }

    fn draw_letters(&self, pen: &mut Pen<'_>, range: &Range) {
        let (width, height) = (pen.width(), pen.height());
        for (at, series) in self.series.iter().enumerate().rev() {
            let role = Role::Series(at as u8);
            let letter = LETTERS[at % LETTERS.len()];
            let mut before: Option<(u16, f64)> = None;
            for (place, value) in &series.points {
                let Some(share) = value.and_then(|v| range.share(v)) else {
                    before = None;
                    continue;
                };
                let x = x_of(*place, width);
                pen.put(x, y_of(share, height), letter, role);
                let from = before.filter(|_| series.shape == Shape::Line);
                for step in from.map_or(x, |(x, _)| x + 1)..x {
                    let (x0, share0) = from.unwrap_or((x, share));
                    let part = f64::from(step - x0) / f64::from(x - x0);
                    pen.put(step, y_of(share0 + (share - share0) * part, height), letter, role);
                }
                before = Some((x, share));
            }
        }
    }
}

/// The column of a place of the axis.
fn x_of(place: f64, width: u16) -> u16 {
    (place.clamp(0.0, 1.0) * f64::from(width.saturating_sub(1))).round() as u16
}

/// The row of a height.
fn y_of(share: f64, height: u16) -> u16 {
    ((1.0 - share) * f64::from(height.saturating_sub(1))).round() as u16
}

/// The dot of a place and height; in the given row of its cell where dots tell series apart.
fn dots_place(pen: &Pen<'_>, place: f64, share: f64, row: Option<usize>) -> (i32, i32) {
    let x = place.clamp(0.0, 1.0) * (f64::from(pen.width()) * 2.0 - 1.0);
    let y = (1.0 - share) * (f64::from(pen.height()) * 4.0 - 1.0);
    (x.round() as i32, in_row(y.round() as i32, row))
}

fn in_row(y: i32, row: Option<usize>) -> i32 {
    row.map_or(y, |row| y / 4 * 4 + row as i32)
}

/// Dots of Braille, two by four a cell.
struct Dots {
    width: usize,
    /// The bits of each cell, and the series that lies on top.
    cells: Vec<(u8, u8)>,
}

impl Dots {
    fn new(width: u16, height: u16) -> Self {
        let width = usize::from(width);
        Self { width, cells: vec![(0, 0); width * usize::from(height)] }
    }

    fn set(&mut self, (x, y): (i32, i32), series: u8) {
        const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        let cell = self.cells.get_mut(y / 4 * self.width + x / 2);
        if let Some(cell) = cell.filter(|_| x / 2 < self.width) {
            cell.0 |= BITS[y % 4][x % 2];
            cell.1 = series;
        }
    }

    fn line(&mut self, from: (i32, i32), to: (i32, i32), row: Option<usize>, series: u8) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).max(1);
        for step in 0..=steps {
            let part = f64::from(step) / f64::from(steps);
            let at = |a: i32, b: i32| (f64::from(a) + f64::from(b - a) * part).round() as i32;
            self.set((at(from.0, to.0), in_row(at(from.1, to.1), row)), series);
        }
    }

    fn paint(&self, pen: &mut Pen<'_>) {
        for (at, (bits, series)) in self.cells.iter().enumerate().filter(|(_, c)| c.0 > 0) {
            let glyph = char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' ');
            let (x, y) = (at % self.width, at / self.width);
            pen.put(x as u16, y as u16, glyph, Role::Series(*series));
        }
    }
}

/// The names of the series, each behind the sign it is drawn with.
pub fn legend(pen: &Pen<'_>, series: &[Series]) -> Vec<Piece> {
    let glyphs = pen.theme().glyphs;
    let mono = pen.theme().depth() == Depth::None;
    let sign = |at: usize| match () {
        () if !glyphs.braille => LETTERS[at % LETTERS.len()],
        () if mono && series.len() > 1 => DASHES[at % DASHES.len()],
        () => '─',
    };
    let entry = |(at, s): (usize, &Series)| {
        let role = Role::Series(at as u8);
        [
            piece(format!("{} ", sign(at)), role),
            (s.label.clone(), Role::Text),
            piece("  ", Role::Text),
        ]
    };
    series.iter().enumerate().flat_map(entry).collect()
}
