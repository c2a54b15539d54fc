//! Ranges of time as people type them, and what they compare with.
//!
//! ```text
//! range = duration | day [clock "-" clock] | point ".." [point | "+" duration]
//!       | "around" point "+-" duration | "since" (point | event) | "change" | "all"
//! day   = "today" | "yesterday" | a date          clock = hour [":" minute [":" second]]
//! point = a time as `parse` reads it | day [clock] | clock        event = "deploy:" service
//! ```
//!
//! Days and clocks are those of a time zone. A clock alone is the last one that has been: at 9:00,
//! `14:00..14:30` is of yesterday.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::{TimeError, length_ns, relative};

#[cfg(test)]
mod tests;

/// A range, as far as it is known without asking the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// From inclusive, to exclusive.
    Between {
        /// Begin, nanoseconds since the epoch.
        from_ns: i64,
        /// End.
        to_ns: i64,
    },
    /// So long up to the newest data.
    Last {
        /// Length.
        length_ns: i64,
    },
    /// From a moment up to the newest data.
    Since {
        /// Begin, nanoseconds since the epoch.
        from_ns: i64,
    },
    /// From an event of a service up to the newest data: the first span with a new version.
    SinceDeploy {
        /// The service.
        service: String,
    },
    /// Around the change point of the view.
    Change,
    /// Everything.
    All,
}

impl Range {
    /// Both ends where they follow from the text and a moment; open ones are `None`.
    pub fn ends_ns(&self, now_ns: i64) -> Option<(Option<i64>, Option<i64>)> {
        match self {
            Range::Between { from_ns, to_ns } => Some((Some(*from_ns), Some(*to_ns))),
            Range::Last { length_ns } => {
                Some((Some(now_ns.saturating_sub(*length_ns)), Some(now_ns)))
            }
            Range::Since { from_ns } => Some((Some(*from_ns), Some(now_ns))),
            Range::All => Some((None, None)),
            Range::SinceDeploy { .. } | Range::Change => None,
        }
    }
}

/// Reads a range.
///
/// # Errors
/// The text is none, or it ends before it begins; the message says which forms there are.
pub fn range(text: &str, now_ns: i64, zone: &TimeZone) -> Result<Range, TimeError> {
    let typed = Typed { now_ns, zone };
    typed.range(text.trim()).filter(Range::is_forward).ok_or_else(|| TimeError {
        text: text.to_owned(),
        what: "range of time",
        forms: "`15m`, `yesterday 9-10`, `14:00..14:30`, `14:00..+30m`, `around 15:53 +-5m`, \
                `since 9:30`, `since deploy:NAME`, `change` or `all`",
    })
}

impl Range {
    fn is_forward(&self) -> bool {
        match self {
            Range::Between { from_ns, to_ns } => from_ns < to_ns,
            Range::Last { length_ns } => *length_ns > 0,
            _ => true,
        }
    }
}

/// A text at a moment and place.
struct Typed<'a> {
    now_ns: i64,
    zone: &'a TimeZone,
}

impl Typed<'_> {
    fn range(&self, text: &str) -> Option<Range> {
        match text {
            "all" => return Some(Range::All),
            "change" => return Some(Range::Change),
            _ => {}
        }
        if let Some(length_ns) = length_ns(text).filter(|_| text != "0") {
            return Some(Range::Last { length_ns });
        }
        if let Some(rest) = word(text, "since") {
            return self.since(rest);
        }
        if let Some(rest) = word(text, "around") {
            let (point, spread) = rest.split_once("+-")?;
            let (at_ns, by_ns) = (self.point(point.trim())?, length_ns(spread.trim())?);
            return between(at_ns.checked_sub(by_ns)?, at_ns.checked_add(by_ns)?);
        }
        match text.split_once("..") {
            Some((from, to)) => self.two_points(from.trim(), to.trim()),
            None => self.of_day(text),
        }
    }

    fn since(&self, rest: &str) -> Option<Range> {
        if let Some(service) = rest.strip_prefix("deploy:") {
            let service = service.trim();
            return (!service.is_empty())
                .then(|| Range::SinceDeploy { service: service.to_owned() });
        }
        Some(Range::Since { from_ns: self.point(rest)? })
    }

    /// `14:00..14:30`, `14:00..+30m`, `14:00..`
    fn two_points(&self, from: &str, to: &str) -> Option<Range> {
        let from_ns = self.point(from)?;
        if to.is_empty() {
            return Some(Range::Since { from_ns });
        }
        if let Some(length) = to.strip_prefix('+') {
            return between(from_ns, from_ns.checked_add(length_ns(length)?)?);
        }
        // A clock behind `..` is on the day of the begin, or the next one where it comes before.
        let to_ns = match clock(to) {
            Some(clock) => {
                let day = self.day_of(from_ns)?;
                let same = self.at(day, clock)?;
                if same > from_ns { same } else { self.at(day.tomorrow().ok()?, clock)? }
            }
            None => self.point(to)?,
        };
        between(from_ns, to_ns)
    }

    /// `yesterday`, `2026-11-22 9-10`
    fn of_day(&self, text: &str) -> Option<Range> {
        let (day, clocks) = match text.split_once(' ') {
            Some((day, clocks)) => (self.day(day)?, Some(clocks.trim())),
            None => (self.day(text)?, None),
        };
        let Some(clocks) = clocks else {
            let next = day.tomorrow().ok()?;
            return between(self.at(day, Time::midnight())?, self.at(next, Time::midnight())?);
        };
        let (from, to) = clocks.split_once('-')?;
        between(self.at(day, clock(from.trim())?)?, self.at(day, clock(to.trim())?)?)
    }

    fn point(&self, text: &str) -> Option<i64> {
        if let Some(ns) = relative(text, self.now_ns) {
            return Some(ns);
        }
        if let Some(clock) = clock(text).filter(|_| text.contains(':')) {
            let today = self.day_of(self.now_ns)?;
            let ns = self.at(today, clock)?;
            return if ns <= self.now_ns {
                Some(ns)
            } else {
                self.at(today.yesterday().ok()?, clock)
            };
        }
        if let Some((day, rest)) = text.split_once(' ')
            && let (Some(day), Some(clock)) = (self.day(day), clock(rest.trim()))
        {
            return self.at(day, clock);
        }
        if let Some(day) = self.day(text) {
            return self.at(day, Time::midnight());
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return i64::try_from(at.as_nanosecond()).ok();
        }
        if let Ok(at) = text.parse::<DateTime>() {
            return self.at(at.date(), at.time());
        }
        super::epoch(text)
    }

    fn day(&self, text: &str) -> Option<Date> {
        let today = self.day_of(self.now_ns)?;
        match text {
            "today" => Some(today),
            "yesterday" => today.yesterday().ok(),
            date if date.len() == 10 => date.parse().ok(),
            _ => None,
        }
    }

    fn day_of(&self, ns: i64) -> Option<Date> {
        let at = Timestamp::from_nanosecond(i128::from(ns)).ok()?;
        Some(at.to_zoned(self.zone.clone()).date())
    }

    fn at(&self, day: Date, clock: Time) -> Option<i64> {
        let at = day.to_datetime(clock).to_zoned(self.zone.clone()).ok()?;
        i64::try_from(at.timestamp().as_nanosecond()).ok()
    }
}

fn between(from_ns: i64, to_ns: i64) -> Option<Range> {
    Some(Range::Between { from_ns, to_ns })
}

/// What follows a word and spaces.
fn word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?;
    rest.starts_with(' ').then(|| rest.trim_start())
}

/// `9`, `9:30`, `09:30:15`
fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let mut part = |most: i8| -> Option<i8> {
        let digits = parts.next()?;
        let fits = (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|number: &i8| fits && *number <= most)
    };
    let hour = part(23)?;
    let rest = text.matches(':').count();
    let minute = if rest >= 1 { part(59)? } else { 0 };
    let second = if rest >= 2 { part(59)? } else { 0 };
    if rest > 2 {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}
