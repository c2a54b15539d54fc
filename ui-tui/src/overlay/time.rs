//! Range and comparison: typed in words, previewed while typing.

use api::time;
use jiff::tz::TimeZone;

use super::line;
use super::{Deed, Next, middle};
use crate::action::Action;
use crate::event::{Key, Now};
use crate::pane::{Frame, framed};
use crate::scope::{Compare, Range, bucket_ns, length};
use crate::theme::Role;
use crate::widgets::Pen;
use crate::widgets::input::Input;

/// Ranges on one key each.
const QUICK: [&str; 7] = ["5m", "15m", "1h", "6h", "24h", "7d", "all"];

/// What is typed, and what it is compared with.
#[derive(Debug)]
pub(crate) struct TimePicker {
    line: Input,
    compare: Compare,
    before: Range,
    zone: TimeZone,
}

impl TimePicker {
    pub(crate) fn new(range: Range, compare: Compare, zone: TimeZone) -> TimePicker {
        TimePicker { line: Input::default(), compare, before: range, zone }
    }

    pub(super) fn key(&mut self, key: Key, now: Now) -> Next {
        match key.to_string().as_str() {
            "esc" => return Next::Close,
            "tab" => self.turn_compare(1),
            "backtab" => self.turn_compare(Compare::ALL.len() - 1),
            "down" => self.quick(1),
            "up" => self.quick(QUICK.len() - 1),
            // No word of the grammar begins with it.
            "z" if self.line.text().is_empty() => return Next::Act(Action::NextZone),
            "enter" => {
                if let Ok(range) = self.range(now) {
                    return Next::Do(Deed::Scope(range, self.compare));
                }
            }
            _ => {
                line::take(&mut self.line, key);
            }
        }
        Next::Stay
    }

    pub(super) fn paste(&mut self, text: &str) {
        self.line.insert(text);
    }

    /// From now on times are read as that zone has them.
    pub(crate) fn set_zone(&mut self, zone: TimeZone) {
        self.zone = zone;
    }

    fn turn_compare(&mut self, by: usize) {
        let at = Compare::ALL.iter().position(|one| *one == self.compare).unwrap_or(0);
        self.compare = Compare::ALL[(at + by) % Compare::ALL.len()];
    }

    fn quick(&mut self, by: usize) {
        let at = QUICK.iter().position(|text| *text == self.line.text());
        let next =
            at.map_or(if by == 1 { 0 } else { QUICK.len() - 1 }, |at| (at + by) % QUICK.len());
        self.line = Input::new(QUICK[next]);
    }

    /// The range typed; without any the one before.
    fn range(&self, now: Now) -> Result<Range, String> {
        match self.line.text().trim() {
            "" => Ok(self.before),
            text => read(text, now, &self.zone),
        }
    }

    pub(super) fn draw(&self, now: Now, pen: &mut Pen<'_>) {
        let area = middle(pen.area(), 66, 9);
        let mut pen = pen.part(area.x, area.y, area.width, area.height);
        pen.clear();
        let zone = self.zone.iana_name().unwrap_or("UTC");
        let (title, note) = (format!("Time range   {zone}"), "z zone  Esc".to_owned());
        let mut pen = framed(&mut pen, &Frame { title, note, focused: true, is_old: false });
        let width = pen.width();
        pen.text(1, 0, 2, &"> ".into(), Role::Accent);
        self.line.render(&mut pen.part(3, 0, width.saturating_sub(4), 1), None);
        let (text, role) = match self.range(now) {
            Ok(range) => (preview(range, now, &self.zone), Role::Text),
            Err(error) => (error, Role::Error),
        };
        pen.text(1, 1, width, &format!("  = {text}").into(), role);
        let quick = format!("  {}   down, up", QUICK.join(" "));
        pen.text(1, 3, width, &quick.into(), Role::Dim);
        let forms = "  14:00..14:30   yesterday 9-10   around 15:53 +-5m   since 9:30";
        pen.text(1, 4, width, &forms.into(), Role::Dim);
        self.draw_compare(&mut pen);
    }

    fn draw_compare(&self, pen: &mut Pen<'_>) {
        let width = pen.width();
        let mut x = 3 + pen.text(3, 5, width, &"compare with (Tab):".into(), Role::Dim) + 1;
        for one in Compare::ALL {
            let chosen = one == self.compare;
            let (mark, role) = if chosen { ("(o) ", Role::Title) } else { ("( ) ", Role::Dim) };
            if x + 24 > width {
                x = 3;
            }
            let y = if x == 3 || one == Compare::DayBefore || one == Compare::WeekBefore {
                6
            } else {
                5
            };
            x = if y == 6 && one == Compare::DayBefore { 3 } else { x };
            x += pen.text(x, y, width, &format!("{mark}{}", one.title()).into(), role) + 2;
        }
    }
}

/// `2026-11-22 15:40:00 - 16:05:00   25m   bucket 15s`.
fn preview(range: Range, now: Now, zone: &TimeZone) -> String {
    let Some((from_ns, to_ns)) = range.fixed(now).both() else { return range.words(zone) };
    let spelled = Range::Between(from_ns, to_ns).words(zone);
    let bucket = length(bucket_ns(to_ns - from_ns, 100));
    format!("{spelled}   {}   bucket {bucket}", length(to_ns - from_ns))
}

/// Reads a range in the words of `api::time`. What depends on the data is not known here.
pub(crate) fn read(text: &str, now: Now, zone: &TimeZone) -> Result<Range, String> {
    match time::range(text, now.unix_ns, zone).map_err(|error| error.to_string())? {
        time::Range::Between { from_ns, to_ns } => Ok(Range::Between(from_ns, to_ns)),
        time::Range::Last { length_ns } => Ok(Range::Last(length_ns)),
        time::Range::Since { from_ns } => Ok(Range::Since(from_ns)),
        time::Range::All => Ok(Range::All),
        time::Range::SinceDeploy { .. } | time::Range::Change => {
            Err("not known before the data is asked: the service screen marks changes".to_owned())
        }
    }
}
