//! Live mode, and what happens while the server does not answer.
//!
//! A cheap question tells whether anything new has come; only then is the view asked for again. No
//! list is polled.

use api::client::ClientError;
use api::views::{Options, Watermark, WatermarkAnswer, WatermarkRow};

use super::App;
use crate::chart_data::unix_ns;
use crate::event::Now;
use crate::request::{Outcome, Request};
use crate::scope::Range;
use crate::slot::{Slot, Ticket};

/// Milliseconds between two looks at the watermark, at least.
const INTERVAL_MS: u64 = 2_000;
/// While the terminal has not the focus.
const UNFOCUSED_MS: u64 = 5_000;
/// Longest pause between two tries to reach the server.
const RETRY_MAX_MS: u64 = 5_000;

/// What is known of the data's newest end.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) on: bool,
    pub(crate) focused: bool,
    watermark: Slot,
    /// When the watermark is asked for next.
    next_ms: u64,
    /// Requests stored when the data on the screen was asked for.
    seq: Option<u64>,
    /// Since when the server does not answer, and how often it was tried.
    offline: Option<Offline>,
}

#[derive(Debug)]
struct Offline {
    since_ms: u64,
    tries: u32,
}

impl Default for Live {
    fn default() -> Live {
        Live {
            on: true,
            focused: true,
            watermark: Slot::default(),
            next_ms: INTERVAL_MS,
            seq: None,
            offline: None,
        }
    }
}

impl Live {
    /// Seconds for which the server has not answered.
    pub(crate) fn offline_s(&self, now: Now) -> Option<u64> {
        self.offline.as_ref().map(|off| now.mono_ms.saturating_sub(off.since_ms) / 1_000)
    }

    /// When something is to be done.
    pub(super) fn wake_at_ms(&self, app: &App) -> Option<u64> {
        if self.watermark.ticket().is_some() {
            return self.watermark.wake_at_ms(app.now);
        }
        (self.offline.is_some() || app.is_live()).then_some(self.next_ms)
    }

    /// Notes whether the server answers.
    pub(super) fn heard(&mut self, outcome: &Outcome, now: Now) {
        match outcome {
            Err(ClientError::Unreachable { .. }) if self.offline.is_none() => {
                self.offline = Some(Offline { since_ms: now.mono_ms, tries: 0 });
                self.next_ms = now.mono_ms + 500;
            }
            Err(ClientError::Unreachable { .. }) => {}
            _ => self.offline = None,
        }
    }
}

/// The times between which the data lies: that of spans, without any that of everything.
fn reach_ns(answer: &WatermarkAnswer) -> Option<(i64, i64)> {
    let of = |is_wanted: fn(&str) -> bool| {
        let rows = || answer.rows.iter().filter(|row| is_wanted(&row.table_name));
        let ends = |of: fn(&WatermarkRow) -> &Option<String>| {
            rows().filter_map(move |row| unix_ns(of(row).as_deref()?))
        };
        Some((ends(|row| &row.oldest).min()?, ends(|row| &row.newest).max()?))
    };
    of(|table| table == "spans").or_else(|| of(|_| true))
}

impl App {
    /// The view moves with the clock.
    pub(crate) fn is_live(&self) -> bool {
        self.live.on && self.top().scope.range.is_live() && self.top().screen.is_live()
    }

    pub(super) fn turn_live(&mut self) {
        self.live.on = !self.live.on;
        self.live.next_ms = self.now.mono_ms;
        self.say(if self.live.on { "live" } else { "paused" });
    }

    pub(super) fn tick_live(&mut self) {
        let now = self.now;
        self.live.watermark.tick(now, &mut self.out);
        let due = self.live.next_ms <= now.mono_ms && self.live.watermark.ticket().is_none();
        if due && (self.live.offline.is_some() || self.is_live()) {
            self.ask_watermark();
        }
    }

    /// Asks how far the data reaches.
    pub(super) fn ask_watermark(&mut self) {
        let request = Request::view(&Watermark::default(), &Options::default());
        self.live.watermark.ask_fresh(request, self.now, &mut self.out);
        self.live.next_ms = self.now.mono_ms + self.interval_ms();
    }

    /// Gives the first view a range that fits the data, unless something is opened from it; says
    /// whether that is another one.
    fn fit(&mut self) -> bool {
        let reach = self.live.watermark.get::<WatermarkAnswer>().and_then(reach_ns);
        let Some(reach) = reach.filter(|_| self.fits && self.depth() == 1) else { return false };
        let range = Range::fitting(self.now.unix_ns, reach);
        let view = &mut self.tab().views[0];
        let is_other = std::mem::replace(&mut view.scope.range, range) != range;
        if is_other && !range.is_live() {
            self.say(format!("nothing newer than {} has come", range.words(&self.look.zone)));
        }
        is_other
    }

    /// Slower when queries are slow, when nobody looks, and when nobody answers.
    fn interval_ms(&self) -> u64 {
        if let Some(offline) = &self.live.offline {
            return (500 << offline.tries.min(4)).min(RETRY_MAX_MS);
        }
        let slowest = self.top().slots.iter().filter_map(|slot| slot.took_ms()).max().unwrap_or(0);
        let least = if self.live.focused { INTERVAL_MS } else { UNFOCUSED_MS };
        least.max(4 * slowest)
    }

    /// Takes the answers that are the explorer's own; false when it is for a view.
    pub(super) fn answer_for_app(&mut self, ticket: Ticket, outcome: &Outcome) -> bool {
        if let Some(over) = self.overlays.last_mut()
            && over.answer(ticket, outcome, self.now)
        {
            self.dirty = true;
            return true;
        }
        if !self.live.watermark.answer(ticket, outcome, self.now) {
            return false;
        }
        let was_offline = self.live.offline.is_some();
        self.live.heard(outcome, self.now);
        if let Some(offline) = &mut self.live.offline {
            offline.tries += 1;
            self.dirty = true;
        }
        let is_back = was_offline && self.live.offline.is_none();
        let seq = self.live.watermark.get::<WatermarkAnswer>().map(|answer| answer.seq);
        let is_unasked = self.top().slots.iter().all(|slot| slot.request().is_none());
        let is_new = outcome.is_ok() && self.live.seq.replace(seq.unwrap_or(0)) != seq;
        if self.fits && ((is_new && self.fit()) || is_unasked) {
            self.dirty = true;
            self.load(false);
            return true;
        }
        if is_back || (is_new && self.is_live()) {
            self.dirty = true;
            self.refresh();
        }
        true
    }

    /// Asks again for what is on the screen unless it is being asked.
    fn refresh(&mut self) {
        if self.top().slots.iter().all(|slot| slot.ticket().is_none()) {
            self.load(true);
        }
    }
}
