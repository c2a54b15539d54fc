//! What a view is about: a range of time, a filter, and what it is compared with.

use api::time;
use api::views::Options;
use jiff::tz::TimeZone;

use crate::event::Now;
use crate::format::{Clock, moment};

#[cfg(test)]
mod tests;

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;
const DAY_NS: i64 = 24 * HOUR_NS;

/// Ranges to step through when zooming, the narrowest first.
const STEPS_NS: [i64; 9] = [
    MINUTE_NS,
    5 * MINUTE_NS,
    15 * MINUTE_NS,
    HOUR_NS,
    6 * HOUR_NS,
    DAY_NS,
    7 * DAY_NS,
    30 * DAY_NS,
    365 * DAY_NS,
];

/// Filter, time and comparison of a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// What is looked at.
    pub(crate) range: Range,
    /// The filter line as typed; empty is everything.
    pub(crate) filter: String,
    /// What it is compared with.
    pub(crate) compare: Compare,
}

impl Scope {
    /// What every question within this scope takes: the filter, and that the SQL comes along.
    pub(crate) fn options(&self) -> Options {
        let search = Some(self.filter.clone()).filter(|filter| !filter.is_empty());
        Options { search, sql: Some(true), ..Options::default() }
    }

    /// The same with a filter more.
    pub(crate) fn and(&self, term: &str) -> Scope {
        let filter = crate::overlay::filter::with(&self.filter, term);
        Scope { filter, ..self.clone() }
    }
}

/// A range of time as a person chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// The newest so many nanoseconds.
    Last(i64),
    /// From inclusive, to exclusive.
    Between(i64, i64),
    /// From a moment on.
    Since(i64),
    /// Whatever there is.
    All,
}

impl Range {
    /// The range to begin with: all that is there while that is not much, else the usual one. Where
    /// nothing has come for longer than that, the end of what there is.
    pub(crate) fn fitting(now_ns: i64, (oldest_ns, newest_ns): (i64, i64)) -> Range {
        let usual_ns = 15 * MINUTE_NS;
        let is_over = now_ns.saturating_sub(newest_ns) >= usual_ns;
        let end_ns = if is_over { newest_ns } else { now_ns.max(newest_ns) };
        let age_ns = end_ns.saturating_sub(oldest_ns);
        let step_ns = if age_ns < 5 * MINUTE_NS { 30 * SECOND_NS } else { MINUTE_NS };
        let length_ns =
            ((age_ns / step_ns).saturating_add(1)).saturating_mul(step_ns).min(usual_ns);
        if is_over {
            // Times of rows are before the end of a range.
            let end_ns = (end_ns / SECOND_NS).saturating_add(1).saturating_mul(SECOND_NS);
            return Range::Between(end_ns.saturating_sub(length_ns), end_ns);
        }
        Range::Last(length_ns)
    }
}

impl Default for Range {
    fn default() -> Range {
        Range::Last(15 * MINUTE_NS)
    }
}

/// What a range is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compare {
    /// With nothing.
    None,
    /// With as long a range just before.
    #[default]
    Previous,
    /// With the same hours of the day before.
    DayBefore,
    /// With the same hours of the week before.
    WeekBefore,
}

impl Compare {
    /// All, in the order in which they are offered.
    pub(crate) const ALL: [Compare; 4] =
        [Compare::None, Compare::Previous, Compare::DayBefore, Compare::WeekBefore];

    /// In words.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Compare::None => "none",
            Compare::Previous => "previous period",
            Compare::DayBefore => "same, -1 d",
            Compare::WeekBefore => "same, -7 d",
        }
    }

    /// As the API writes it.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Compare::None => None,
            Compare::Previous => Some("previous"),
            Compare::DayBefore => Some("1d"),
            Compare::WeekBefore => Some("7d"),
        }
    }
}

/// A range fixed to instants, either end open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) from_ns: Option<i64>,
    pub(crate) to_ns: Option<i64>,
}

impl Fixed {
    /// As the API reads it.
    pub(crate) fn from(self) -> Option<String> {
        self.from_ns.map(time::format)
    }

    /// As the API reads it.
    pub(crate) fn to(self) -> Option<String> {
        self.to_ns.map(time::format)
    }

    /// Both ends, when both are known.
    pub(crate) fn both(self) -> Option<(i64, i64)> {
        self.from_ns.zip(self.to_ns)
    }

    /// The condition on a column in SQL; `TRUE` where it is open.
    pub(crate) fn sql(self, column: &str) -> String {
        let from = self.from_ns.map(|ns| format!("{column} >= {}", time::sql_literal(ns)));
        let to = self.to_ns.map(|ns| format!("{column} < {}", time::sql_literal(ns)));
        let ends: Vec<String> = from.into_iter().chain(to).collect();
        if ends.is_empty() { "TRUE".to_owned() } else { ends.join(" AND ") }
    }
}

impl Range {
    /// Fixed to the clock, rounded up to a bucket: so the same question is asked until the bucket
    /// is over, and not another one each millisecond.
    pub(crate) fn fixed(self, now: Now) -> Fixed {
        match self {
            Range::Last(length_ns) => {
                let bucket_ns = bucket_ns(length_ns, 60);
                let to_ns = (now.unix_ns.div_euclid(bucket_ns) + 1) * bucket_ns;
                Fixed { from_ns: Some(to_ns - length_ns), to_ns: Some(to_ns) }
            }
            Range::Between(from_ns, to_ns) => Fixed { from_ns: Some(from_ns), to_ns: Some(to_ns) },
            Range::Since(from_ns) => {
                let length_ns = now.unix_ns.saturating_sub(from_ns).max(SECOND_NS);
                let bucket_ns = bucket_ns(length_ns, 60);
                let to_ns = (now.unix_ns.div_euclid(bucket_ns) + 1) * bucket_ns;
                Fixed { from_ns: Some(from_ns), to_ns: Some(to_ns) }
            }
            Range::All => Fixed::default(),
        }
    }

    /// Half of it or the next smaller one.
    pub(crate) fn narrower(self) -> Range {
        match self {
            Range::Last(ns) => {
                Range::Last(STEPS_NS.into_iter().rev().find(|step| *step < ns).unwrap_or(ns))
            }
            Range::Between(from_ns, to_ns) => {
                let quarter = (to_ns - from_ns) / 4;
                if quarter < 1_000 {
                    self
                } else {
                    Range::Between(from_ns + quarter, to_ns - quarter)
                }
            }
            Range::Since(_) | Range::All => Range::Last(STEPS_NS[STEPS_NS.len() - 1]),
        }
    }

    /// Twice of it or the next larger one, in the end everything.
    pub(crate) fn wider(self) -> Range {
        match self {
            Range::Last(ns) => {
                STEPS_NS.into_iter().find(|step| *step > ns).map_or(Range::All, Range::Last)
            }
            Range::Between(from_ns, to_ns) => {
                let half = (to_ns - from_ns) / 2;
                Range::Between(from_ns.saturating_sub(half), to_ns.saturating_add(half))
            }
            Range::Since(_) | Range::All => Range::All,
        }
    }

    /// Moved by a part of its length, positive into the future; live ranges stop being live.
    pub(crate) fn shifted(self, now: Now, parts: i64, of: i64) -> Range {
        match self.fixed(now).both() {
            Some((from_ns, to_ns)) => {
                let by = (to_ns - from_ns) * parts / of;
                Range::Between(from_ns.saturating_add(by), to_ns.saturating_add(by))
            }
            None => self,
        }
    }

    /// It moves with the clock.
    pub(crate) fn is_live(self) -> bool {
        !matches!(self, Range::Between(..))
    }
}

impl Range {
    /// In words, times as a zone shows them; another one than UTC is named.
    pub(crate) fn words(self, zone: &TimeZone) -> String {
        match self {
            Range::Last(ns) => format!("last {}", length(ns)),
            Range::Between(from_ns, to_ns) => between((from_ns, to_ns), zone),
            Range::Since(from_ns) => {
                let from = moment(from_ns, zone, Clock::DateSecond);
                format!("since {}{}", from.get(..16).unwrap_or(&from), zone_word(from_ns, zone))
            }
            Range::All => "all time".to_owned(),
        }
    }
}

/// `14:00..14:30`, with the day in front, and in the middle when it is not within one.
fn between((from_ns, to_ns): (i64, i64), zone: &TimeZone) -> String {
    let whole = from_ns % MINUTE_NS == 0 && to_ns % MINUTE_NS == 0;
    let clock = if whole { Clock::Minute } else { Clock::Second };
    let (day, last) = (moment(from_ns, zone, Clock::Date), moment(to_ns, zone, Clock::Date));
    let (a, b) = (moment(from_ns, zone, clock), moment(to_ns, zone, clock));
    let word = zone_word(from_ns, zone);
    if day == last {
        format!("{day} {a}..{b}{word}")
    } else {
        format!("{day} {a}..{last} {b}{word}")
    }
}

/// ` CET`, nothing for UTC.
pub(crate) fn zone_word(at_ns: i64, zone: &TimeZone) -> String {
    if *zone == TimeZone::UTC {
        return String::new();
    }
    jiff::Timestamp::from_nanosecond(i128::from(at_ns))
        .map_or(String::new(), |at| format!(" {}", at.to_zoned(zone.clone()).strftime("%Z")))
}

/// `90s`, `15m`, `1h30m`, `7d`.
pub(crate) fn length(ns: i64) -> String {
    const UNITS: [(i64, &str); 4] =
        [(DAY_NS, "d"), (HOUR_NS, "h"), (MINUTE_NS, "m"), (SECOND_NS, "s")];
    let mut rest = ns;
    let mut text = String::new();
    for (unit_ns, name) in UNITS {
        if rest >= unit_ns {
            text.push_str(&format!("{}{name}", rest / unit_ns));
            rest %= unit_ns;
        }
    }
    if text.is_empty() { format!("{}ms", ns / 1_000_000) } else { text }
}

/// The narrowest of the usual widths with which so many columns suffice.
pub(crate) fn bucket_ns(length_ns: i64, columns: i64) -> i64 {
    const SECONDS: [i64; 19] = [
        1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400,
        172_800, 604_800,
    ];
    let columns = columns.max(1);
    let widths = SECONDS.iter().map(|seconds| seconds * SECOND_NS);
    let last = 604_800 * SECOND_NS;
    widths
        .clone()
        .find(|width| length_ns <= width.saturating_mul(columns))
        .unwrap_or_else(|| (length_ns / columns / last + 1) * last)
}
