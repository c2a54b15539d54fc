//! Timetables of five fields: minute, hour, day of the month, month, day of the week.
//!
//! A field is `*`, a number, a range `9-17` with both ends, a list of these, each with an optional
//! step `/15`. Days of the week are 0 to 7, Sunday being both 0 and 7. If both days are restricted,
//! either is enough, as everywhere since Version 7 Unix.

#[cfg(test)]
mod tests;

use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};

/// After so many days without a match there is none: the 29th of February comes back within eight
/// years.
const DAYS_MAX: usize = 8 * 366 + 1;

/// A timetable, as sets of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: Option<u64>,
    months: u64,
    weekdays: Option<u64>,
}

/// Why a text is no timetable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error("a schedule has five fields (minute, hour, day, month, day of the week), this has {0}")]
    Fields(usize),
    /// A field that cannot be read.
    #[error(
        "{field} cannot be {text:?}: write *, numbers from {min} to {max}, ranges, lists, steps"
    )]
    Field {
        /// Which one.
        field: &'static str,
        /// What it says.
        text: String,
        /// The least number.
        min: u32,
        /// The greatest.
        max: u32,
    },
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Cron, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(CronError::Fields(fields.len()));
        };
        let restricted = |text: &str, set| (!text.starts_with('*')).then_some(set);
        let weekday_set = field("day of the week", weekdays, 0, 7)?;
        Ok(Cron {
            minutes: field("minute", minutes, 0, 59)?,
            hours: field("hour", hours, 0, 23)?,
            days: restricted(days, field("day", days, 1, 31)?),
            months: field("month", months, 1, 12)?,
            weekdays: restricted(weekdays, weekday_set | weekday_set >> 7 & 1),
        })
    }
}

impl Cron {
    /// The first minute of the timetable after this one.
    pub fn next_after(&self, at: DateTime) -> Option<DateTime> {
        let from = at.with().second(0).subsec_nanosecond(0).build().ok()?;
        let from = from.checked_add(1.minute()).ok()?;
        let today = self.first_of(from.date(), minute_of_day(from));
        let later = || {
            let days = from.date().series(1.day()).skip(1).take(DAYS_MAX);
            days.into_iter().find_map(|date| self.first_of(date, 0))
        };
        today.or_else(later)
    }

    /// The first minute of a day, from a minute of it on.
    fn first_of(&self, date: Date, from_minute: u32) -> Option<DateTime> {
        if !self.runs_on(date) {
            return None;
        }
        let (from_hour, from) = (from_minute / 60, from_minute % 60);
        (from_hour..24).filter(|hour| has(self.hours, *hour)).find_map(|hour| {
            let from = if hour == from_hour { from } else { 0 };
            let left = self.minutes >> from << from;
            let minute = left.trailing_zeros();
            (left != 0).then(|| date.at(hour as i8, minute as i8, 0, 0))
        })
    }

    fn runs_on(&self, date: Date) -> bool {
        let day = |set| has(set, date.day() as u32);
        let weekday = |set| has(set, date.weekday().to_sunday_zero_offset() as u32);
        let is_day = match (self.days, self.weekdays) {
            (None, None) => true,
            (Some(days), None) => day(days),
            (None, Some(weekdays)) => weekday(weekdays),
            (Some(days), Some(weekdays)) => day(days) || weekday(weekdays),
        };
        is_day && has(self.months, date.month() as u32)
    }
}

fn has(set: u64, number: u32) -> bool {
    set >> number & 1 == 1
}

fn minute_of_day(at: DateTime) -> u32 {
    at.hour() as u32 * 60 + at.minute() as u32
}

/// The set of numbers that a field means.
fn field(name: &'static str, text: &str, min: u32, max: u32) -> Result<u64, CronError> {
    let parts = text.split(',').map(|part| part_of(part, min, max));
    let set = parts.reduce(|a, b| Some(a? | b?)).flatten();
    set.ok_or_else(|| CronError::Field { field: name, text: text.to_owned(), min, max })
}

fn part_of(part: &str, min: u32, max: u32) -> Option<u64> {
    let (range, step) = match part.split_once('/') {
        Some((range, step)) => (range, number(step, 1, max.max(1))?),
        None => (part, 1),
    };
    let (from, to) = match range.split_once('-') {
        _ if range == "*" => (min, max),
        Some((from, to)) => (number(from, min, max)?, number(to, min, max)?),
        // `5/15` is from 5 on, by the custom of all who read it.
        None if part.contains('/') => (number(range, min, max)?, max),
        None => (number(range, min, max)?, number(range, min, max)?),
    };
    (from <= to).then(|| (from..=to).step_by(step as usize).fold(0, |set, n| set | 1 << n))
}

fn number(text: &str, min: u32, max: u32) -> Option<u32> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}
