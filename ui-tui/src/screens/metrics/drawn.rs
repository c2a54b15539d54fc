//! One metric over time, made ready to be drawn once when its answer comes.

use api::views::{MetricExemplar, MetricSeriesAnswer};
use jiff::tz::TimeZone;

use super::entry::in_unit;
use crate::chart_data::{Buckets, sentence, unix_ns};
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::chart::{Chart, GUTTER, Scale, Series, legend};

/// Exemplars that are drawn at most.
const EXEMPLARS_MAX: usize = 60;

/// Lines, marks and labels.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pub(super) buckets: Buckets,
    series: Vec<Series>,
    band: Vec<(f64, Option<(f64, f64)>)>,
    resets: Vec<f64>,
    exemplars: Vec<(f64, f64)>,
    as_quantiles: bool,
}

/// The title of the chart.
pub(super) fn title(answer: &MetricSeriesAnswer) -> String {
    let kind = answer.kind.as_deref().unwrap_or("no points");
    let temporality = answer.temporality.as_deref().map_or(String::new(), |t| format!("  {t}"));
    let shows = if answer.shows == "mean" { "" } else { "  per second" };
    format!("{}  {kind}{temporality}{shows}", answer.metric)
}

impl Drawn {
    pub(super) fn of(answer: &MetricSeriesAnswer, as_quantiles: bool) -> Drawn {
        let buckets = Buckets::of(&answer.bins);
        let last = buckets.count.saturating_sub(1).max(1) as f64;
        let place = |column: usize| column as f64 / last;
        let series = series(answer, as_quantiles);
        let one = answer.groups.first().filter(|_| answer.groups.len() == 1);
        let is_band = matches!(answer.kind.as_deref(), Some("gauge"));
        let band = one.filter(|_| is_band).map_or(Vec::new(), |group| {
            let ends = group.min.iter().zip(&group.max).map(|(low, high)| low.zip(*high));
            ends.enumerate().map(|(column, ends)| (place(column), ends)).collect()
        });
        let resets = answer.groups.iter().flat_map(|g| g.resets.iter().map(|c| place(*c)));
        Drawn {
            series,
            band,
            resets: resets.collect(),
            exemplars: exemplars(answer, &buckets),
            as_quantiles,
            buckets,
        }
    }

    /// The exemplar nearest to a moment, or the one with the largest value.
    pub(super) fn exemplar<'a>(
        &self,
        answer: &'a MetricSeriesAnswer,
        at_ns: Option<i64>,
    ) -> Option<&'a MetricExemplar> {
        let with_trace = answer.exemplars.iter().filter(|e| e.trace_id.is_some());
        match at_ns {
            Some(at) => with_trace.min_by_key(|e| unix_ns(&e.time).unwrap_or(0).abs_diff(at)),
            None => {
                with_trace.max_by(|a, b| a.value.unwrap_or(0.0).total_cmp(&b.value.unwrap_or(0.0)))
            }
        }
    }

    /// The column of time at a column of the pane.
    pub(super) fn column_at(&self, x: u16, width: u16) -> Option<usize> {
        let plot = width.saturating_sub(GUTTER).max(2);
        let at = x.checked_sub(GUTTER)?;
        let last = self.buckets.count.checked_sub(1)?;
        Some((usize::from(at) * last / usize::from(plot - 1)).min(last))
    }

    pub(super) fn draw(
        &self,
        pen: &mut Pen<'_>,
        answer: &MetricSeriesAnswer,
        (at_ns, column): (Option<i64>, Option<usize>),
        zone: &TimeZone,
    ) {
        let (width, height) = (pen.width(), pen.height());
        if self.series.is_empty() {
            pen.text(2, 1, width, &"no points in this range".into(), Role::Dim);
            return;
        }
        let last = self.buckets.count.saturating_sub(1).max(1) as f64;
        let labels = self.buckets.labels(zone, width.saturating_sub(GUTTER).into()).into_iter();
        let labels: Vec<(f64, SafeText)> =
            labels.map(|(column, label)| (column as f64 / last, label)).collect();
        let moment: Vec<f64> = at_ns.map(|at| self.buckets.place(at)).into_iter().collect();
        let (low, high) = self.extremes();
        let chart = Chart {
            series: &self.series,
            // Quantiles lie decades apart, and then only a logarithm shows them all.
            scale: if low > 0.0 && high / low > 30.0 { Scale::Log } else { Scale::Linear },
            words: &|v| words(answer, v),
            x_labels: &labels,
            band: &self.band,
            moments: &moment,
            resets: &self.resets,
            exemplars: &self.exemplars,
            cursor: column.map(|c| c as f64 / last),
        };
        chart.render(&mut pen.part(0, 0, width, height.saturating_sub(2)));
        let y = height.saturating_sub(2);
        let names = legend(pen, &self.series);
        pen.pieces(1, y, width.saturating_sub(2), &names);
        let below = match column {
            Some(column) => self.at_column(column, answer, zone),
            None => self.says(answer, zone),
        };
        pen.text(1, y + 1, width.saturating_sub(2), &below.into(), Role::Dim);
    }

    /// How the one line went, in words.
    fn says(&self, answer: &MetricSeriesAnswer, zone: &TimeZone) -> String {
        let [group] = &answer.groups[..] else { return String::new() };
        let (what, values) = match group.quantiles.last().filter(|_| self.as_quantiles) {
            Some(line) => (quantile_name(line.quantile), &line.values),
            None => ("it".to_owned(), &group.value),
        };
        sentence(&what, values, &self.buckets, zone, |v| words(answer, v))
    }

    /// The values of a column in words.
    fn at_column(&self, column: usize, answer: &MetricSeriesAnswer, zone: &TimeZone) -> String {
        let moment = self.buckets.start_ns(column);
        let mut text = crate::format::moment(moment, zone, crate::format::Clock::Second);
        for series in &self.series {
            let value = series.points.get(column).and_then(|p| p.1);
            let value = value.map_or("-".to_owned(), |v| words(answer, v));
            text += &format!("   {} {value}", series.label);
        }
        text
    }

    fn extremes(&self) -> (f64, f64) {
        let values = || self.series.iter().flat_map(|s| s.points.iter().filter_map(|p| p.1));
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    }
}

fn words(answer: &MetricSeriesAnswer, value: f64) -> String {
    // Quantiles and means of a histogram have its unit, whatever else is per second.
    let is_rate = answer.shows != "mean" && answer.kind.as_deref() == Some("sum");
    in_unit(value, answer.unit.as_deref().unwrap_or(""), is_rate)
}

fn quantile_name(quantile: f64) -> String {
    format!("p{}", crate::format::number(quantile * 100.0))
}

/// The lines: quantiles of the one group where there are any, else the value of each group.
fn series(answer: &MetricSeriesAnswer, as_quantiles: bool) -> Vec<Series> {
    if let [one] = &answer.groups[..]
        && as_quantiles
        && !one.quantiles.is_empty()
    {
        let lines = one.quantiles.iter().rev();
        return lines.map(|q| Series::of_buckets(quantile_name(q.quantile), &q.values)).collect();
    }
    let name = |label: &Option<String>, is_other: bool| match label {
        _ if is_other => "other".to_owned(),
        Some(label) => label.clone(),
        None if answer.groups.len() == 1 => answer.shows.clone(),
        None => "(none)".to_owned(),
    };
    let groups = answer.groups.iter();
    groups.map(|g| Series::of_buckets(name(&g.label, g.is_other), &g.value)).collect()
}

fn exemplars(answer: &MetricSeriesAnswer, buckets: &Buckets) -> Vec<(f64, f64)> {
    let step = answer.exemplars.len().div_ceil(EXEMPLARS_MAX).max(1);
    let marks = answer.exemplars.iter().step_by(step);
    marks.filter_map(|e| Some((buckets.place(unix_ns(&e.time)?), e.value?))).collect()
}
