//! Answers made ready to be drawn: columns of time that stand still when asked again, cells of
//! heatmaps, labels of axes, and the one sentence that says what a chart shows.

use std::collections::HashMap;

use api::views::{Bins, HeatmapAnswer, HeatmapCell};
use jiff::tz::TimeZone;

use crate::format::{self, Clock};
use crate::safe_text::SafeText;
use crate::widgets::heatmap::{Area, Cells, Count};

#[cfg(test)]
mod tests;

const S: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * S;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Widths that columns may have: each divides a day, so that columns begin at round times.
pub const WIDTHS_NS: [i64; 18] = [
    S,
    2 * S,
    5 * S,
    10 * S,
    15 * S,
    30 * S,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
];

/// Columns of time, aligned to the epoch: asking again changes the newest only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Begin of the first.
    pub from_ns: i64,
    /// Width of each.
    pub width_ns: i64,
    /// How many.
    pub count: usize,
}

impl Buckets {
    /// At most `columns` that cover a range.
    pub fn covering(from_ns: i64, to_ns: i64, columns: usize) -> Self {
        let aligned = |width_ns: i64| {
            let from_ns = from_ns.div_euclid(width_ns) * width_ns;
            let count =
                (to_ns.saturating_sub(from_ns).max(1)).saturating_add(width_ns - 1) / width_ns;
            Self { from_ns, width_ns, count: count as usize }
        };
        let fitting = WIDTHS_NS.iter().map(|w| aligned(*w)).find(|b| b.count <= columns.max(1));
        fitting.unwrap_or_else(|| {
            // Longer than columns of weeks: whole weeks, as many as it takes.
            let weeks =
                (to_ns.saturating_sub(from_ns) / (7 * DAY) / columns.max(1) as i64).max(1) + 1;
            aligned(weeks.saturating_mul(7 * DAY))
        })
    }

    /// As an answer has them.
    pub fn of(bins: &Bins) -> Self {
        let from_ns = unix_ns(&bins.from).unwrap_or(0);
        Self { from_ns, width_ns: bins.width_ns.max(1), count: bins.count }
    }

    /// The column of a moment.
    pub fn column(&self, ns: i64) -> Option<usize> {
        let column = ns.checked_sub(self.from_ns)?.div_euclid(self.width_ns.max(1));
        usize::try_from(column).ok().filter(|c| *c < self.count)
    }

    /// Begin of a column.
    pub fn start_ns(&self, column: usize) -> i64 {
        self.from_ns.saturating_add(self.width_ns.saturating_mul(column as i64))
    }

    /// End of the last.
    pub fn to_ns(&self) -> i64 {
        self.start_ns(self.count)
    }

    /// Place of a moment from 0 to 1, as charts have it: columns stand for their middle.
    pub fn place(&self, ns: i64) -> f64 {
        let last = self.count.saturating_sub(1).max(1) as f64;
        let column = (ns - self.from_ns) as f64 / self.width_ns.max(1) as f64 - 0.5;
        (column / last).clamp(0.0, 1.0)
    }

    /// Labels at round times where `width` columns of the screen show the whole, with room for each:
    /// column and text.
    pub fn labels(&self, zone: &TimeZone, width: usize) -> Vec<(usize, SafeText)> {
        const ROOM: usize = 12;
        let apart = (ROOM * self.count.max(1)).div_ceil(width.max(1));
        let least = self.width_ns.saturating_mul(apart.max(1) as i64);
        let step = WIDTHS_NS.into_iter().find(|w| *w >= least).unwrap_or(least);
        let clock = match step {
            s if s < MINUTE => Clock::Second,
            s if s < DAY => Clock::Minute,
            _ => Clock::Day,
        };
        let offset = jiff::Timestamp::from_nanosecond(i128::from(self.from_ns))
            .map_or(0, |t| i64::from(zone.to_offset(t).seconds()) * S);
        (0..self.count)
            .filter(|c| {
                // Round in the zone in which it is read.
                (self.start_ns(*c).saturating_add(offset)).rem_euclid(step) < self.width_ns
            })
            .map(|c| (c, format::moment(self.start_ns(c), zone, clock).into()))
            .collect()
    }
}

/// Nanoseconds since 1970 of an RFC 3339 time.
pub fn unix_ns(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
}

/// Columns of a sweep: the axis stands still, and time runs over it from left to right again and again.
pub fn sweep_column(now_ns: i64, buckets: &Buckets) -> usize {
    let column = now_ns.div_euclid(buckets.width_ns.max(1));
    column.rem_euclid(buckets.count.max(1) as i64) as usize
}

/// Shortest duration of a row of a heatmap: two rows an octave, row 0 begins at 1 ns.
pub fn row_floor_ns(bin: i64) -> i64 {
    let ns = 2f64.powf(bin as f64 / 2.0);
    if ns.is_finite() { ns.round() as i64 } else { i64::MAX }
}

/// A duration in at most five signs: `37ms`, `1.4ms`, `4.1s`.
pub fn tight_duration(ns: i64) -> String {
    let units = [(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s"), (6e10, "m"), (3.6e12, "h")];
    let ns = ns as f64;
    let (size, unit) = units.into_iter().rev().find(|(s, _)| ns >= s * 0.9995).unwrap_or(units[0]);
    match ns / size {
        v if v >= 9.95 => format!("{v:.0}{unit}"),
        v if (v - v.round()).abs() < 0.05 => format!("{v:.0}{unit}"),
        v => format!("{v:.1}{unit}"),
    }
}

/// A heatmap made ready: cells, where they stand, and which answer is behind each.
#[derive(Clone, Debug, Default)]
pub struct HeatData {
    /// What to draw.
    pub cells: Cells,
    /// Columns.
    pub buckets: Buckets,
    /// Bin of the lowest row.
    pub first_bin: i64,
    /// Labels of rows.
    pub row_labels: Vec<SafeText>,
    /// Cells of the answer by column and row.
    behind: HashMap<(usize, usize), Vec<usize>>,
}

/// Outside of these shares of all, rows are not shown by themselves: what falls there is added to the end rows.
const LOW_SHARE: f64 = 0.001;
const HIGH_SHARE: f64 = 0.999;

impl HeatData {
    /// The cells of an answer, zoomed to where nearly all of them are.
    pub fn of(answer: &HeatmapAnswer) -> Self {
        let times: Vec<Option<i64>> = answer.cells.iter().map(|c| unix_ns(&c.time)).collect();
        let Some((low, high)) = bin_range(&answer.cells) else { return Self::default() };
        let width_ns = answer.column_ns.max(1);
        let end = |text: &Option<String>| text.as_deref().and_then(unix_ns);
        let first = times.iter().flatten().copied().min();
        let last = times.iter().flatten().copied().max().map(|t| t.saturating_add(1));
        let from = end(&answer.range.from).or(first).unwrap_or(0);
        let to = end(&answer.range.to).or(last).unwrap_or(0);
        let from_ns = from.div_euclid(width_ns) * width_ns;
        let count = (to.saturating_sub(from_ns).max(1) as u64).div_ceil(width_ns as u64);
        const COLUMNS_MAX: u64 = 10_000;
        let buckets = Buckets { from_ns, width_ns, count: count.min(COLUMNS_MAX) as usize };
        let rows = (high - low + 1) as usize;
        let mut cells = Cells::new(buckets.count, rows);
        let mut behind: HashMap<(usize, usize), Vec<usize>> = HashMap::new();
        for (at, (cell, time)) in answer.cells.iter().zip(&times).enumerate() {
            let Some(column) = time.and_then(|t| buckets.column(t)) else { continue };
            let row = (cell.bin.clamp(low, high) - low) as usize;
            cells.add(column, row, Count { all: cell.count, failed: cell.errors });
            behind.entry((column, row)).or_default().push(at);
        }
        let row_labels = (low..=high).map(|bin| tight_duration(row_floor_ns(bin)).into()).collect();
        Self { cells, buckets, first_bin: low, row_labels, behind }
    }

    /// The cells of the answer in an area, the fullest first.
    pub fn in_area<'a>(&self, answer: &'a HeatmapAnswer, area: &Area) -> Vec<&'a HeatmapCell> {
        let mut found: Vec<&HeatmapCell> = self
            .behind
            .iter()
            .filter(|((c, r), _)| area.columns.contains(c) && area.rows.contains(r))
            .flat_map(|(_, at)| at.iter().filter_map(|at| answer.cells.get(*at)))
            .collect();
        found.sort_by(|a, b| (b.count, &a.time, a.bin).cmp(&(a.count, &b.time, b.bin)));
        found
    }

    /// Times and durations of an area: from and to of each.
    pub fn bounds_ns(&self, area: &Area) -> ((i64, i64), (i64, i64)) {
        let time = |c: usize| self.buckets.start_ns(c);
        let floor = |r: usize| row_floor_ns(self.first_bin + r as i64);
        let (c, r) = (&area.columns, &area.rows);
        // The end rows hold what lies beyond them too.
        let low = if r.start == 0 { 0 } else { floor(r.start) };
        let high = if r.end >= self.cells.rows() { i64::MAX } else { floor(r.end) };
        ((time(c.start), time(c.end)), (low, high))
    }

    /// The row of a duration, with its fraction, for lines over the cells.
    pub fn row_of_ms(&self, ms: f64) -> Option<f64> {
        let bin = (ms * 1e6).log2() * 2.0;
        let row = bin - self.first_bin as f64;
        (row.is_finite() && row >= 0.0 && row < self.cells.rows() as f64).then_some(row)
    }
}

/// Lowest and highest bin between which nearly all counts lie.
fn bin_range(cells: &[HeatmapCell]) -> Option<(i64, i64)> {
    // More rows than there are durations would be a mistake of the server.
    const BINS: std::ops::RangeInclusive<i64> = 0..=130;
    let mut counts: Vec<(i64, u64)> =
        cells.iter().map(|c| (c.bin.clamp(*BINS.start(), *BINS.end()), c.count)).collect();
    counts.sort_unstable();
    let all: u64 = counts.iter().map(|c| c.1).sum();
    let bin_at = |share: f64| {
        let mut seen = 0;
        counts.iter().find(|(_, n)| {
            seen += n;
            seen as f64 > all as f64 * share
        })
    };
    let high = bin_at(HIGH_SHARE).or(counts.last())?.0;
    Some((bin_at(LOW_SHARE)?.0, high))
}

/// Says in one sentence how a value went: `p99 rose from 374 ms to 1.92 s at 15:53`.
pub fn sentence(
    what: &str,
    values: &[Option<f64>],
    buckets: &Buckets,
    zone: &TimeZone,
    words: impl Fn(f64) -> String,
) -> String {
    let known: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(at, v)| Some((at, (*v)?))).collect();
    let Some((_, last)) = known.last() else { return format!("{what}: no values") };
    let Some((at, before, behind)) = step(&known) else {
        return format!("{what} stayed near {}", words(*last));
    };
    let verb = if behind > before { "rose" } else { "fell" };
    let moment = format::moment(buckets.start_ns(at), zone, Clock::Minute);
    format!("{what} {verb} from {} to {} at {moment}", words(before), words(behind))
}

/// The column where the medians before and behind differ most, if they differ by a half.
fn step(known: &[(usize, f64)]) -> Option<(usize, f64, f64)> {
    const SIDE_MIN: usize = 3;
    let median = |part: &[(usize, f64)]| {
        let mut values: Vec<f64> = part.iter().map(|p| p.1).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let splits = (SIDE_MIN..known.len().saturating_sub(SIDE_MIN - 1)).map(|at| {
        // Only neighbours: a value that rose and fell again is told by its rise.
        let before = median(&known[at.saturating_sub(8)..at]);
        let behind = median(&known[at..(at + 8).min(known.len())]);
        // Between columns that differ as much, the jump itself decides.
        let jump = (known[at].1 - known[at - 1].1).abs();
        (known[at].0, before, behind, jump)
    });
    splits
        .filter(|(_, a, b, _)| (b - a).abs() > 0.5 * a.abs().min(b.abs()).max(f64::MIN_POSITIVE))
        .max_by(|a, b| {
            let size = |s: &(usize, f64, f64, f64)| (s.2 - s.1).abs();
            size(a).total_cmp(&size(b)).then(a.3.total_cmp(&b.3))
        })
        .map(|(at, before, behind, _)| (at, before, behind))
}
