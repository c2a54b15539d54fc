//! What a pane knows of one question: nothing, that it is asked, the answer, or why there is none.
//!
//! A slot holds at most one live ticket. Asking anew cancels the old request, and an answer with
//! another ticket than the live one is not taken: so a slow answer never covers a newer one.

use std::any::Any;
use std::sync::Arc;

use api::client::ClientError;

use crate::effect::Effect;
use crate::event::Now;
use crate::request::{Outcome, Request, Told};

#[cfg(test)]
mod tests;

/// Seconds after which a request is given up.
pub(crate) const DEADLINE_S: u64 = 30;

/// Names one request of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// Where tickets come from and where effects go.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) effects: Vec<Effect>,
    last_ticket: u64,
}

impl Outbox {
    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Takes what is to be done.
    pub(crate) fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }
}

/// One question of a pane and what is known of it.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    request: Option<Request>,
    live: Option<Live>,
    /// A request that waits for the cursor to rest.
    later: Option<Later>,
    loaded: Option<Loaded>,
    error: Option<ClientError>,
}

#[derive(Debug)]
struct Live {
    ticket: Ticket,
    since_ms: u64,
}

#[derive(Debug)]
struct Later {
    at_ms: u64,
    request: Request,
}

/// An answer with when it came and what it answers.
#[derive(Debug)]
struct Loaded {
    told: Told,
    at_ms: u64,
    took_ms: u64,
    request: Request,
}

/// What is to be drawn of a slot besides its data.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State<'a> {
    /// Nobody asked.
    Idle,
    /// Asked so many milliseconds ago; old data may be there.
    Loading { for_ms: u64 },
    /// The data is the answer.
    Ready,
    /// There is no answer; old data may be there.
    Failed(&'a ClientError),
}

impl Slot {
    /// Asks. A request under way is given up for it; the data stays until the answer comes.
    pub(crate) fn ask(&mut self, request: Request, now: Now, out: &mut Outbox) {
        self.send(request, false, now, out);
    }

    /// Asks past every cache.
    pub(crate) fn ask_fresh(&mut self, request: Request, now: Now, out: &mut Outbox) {
        self.send(request, true, now, out);
    }

    /// Asks unless this very request is under way or answered.
    pub(crate) fn want(&mut self, request: Request, now: Now, out: &mut Outbox) {
        let same = self.request.as_ref() == Some(&request);
        if !same || (self.live.is_none() && self.loaded.is_none()) {
            self.ask(request, now, out);
        }
        self.later = None;
    }

    /// As [`Slot::want`], once the person has rested for a moment.
    pub(crate) fn want_after(&mut self, request: Request, rest_ms: u64, now: Now) {
        let same = self.request.as_ref() == Some(&request);
        let known = same && (self.live.is_some() || self.loaded.is_some());
        self.later = (!known).then(|| Later { at_ms: now.mono_ms + rest_ms, request });
    }

    fn send(&mut self, request: Request, fresh: bool, now: Now, out: &mut Outbox) {
        self.cancel(out);
        let ticket = out.ticket();
        self.live = Some(Live { ticket, since_ms: now.mono_ms });
        self.request = Some(request.clone());
        out.effects.push(Effect::Ask { ticket, request, fresh });
    }

    /// Gives up what is under way.
    pub(crate) fn cancel(&mut self, out: &mut Outbox) -> bool {
        self.later = None;
        let Some(live) = self.live.take() else { return false };
        out.effects.push(Effect::Cancel(live.ticket));
        true
    }

    /// Forgets everything: the question no longer makes sense.
    pub(crate) fn clear(&mut self, out: &mut Outbox) {
        self.cancel(out);
        *self = Slot::default();
    }

    /// Sends what has rested long enough, and gives up what is past its deadline.
    pub(crate) fn tick(&mut self, now: Now, out: &mut Outbox) {
        if let Some(later) = self.later.take_if(|later| later.at_ms <= now.mono_ms) {
            self.ask(later.request, now, out);
        }
        let deadline_ms = DEADLINE_S * 1_000;
        if self.live.as_ref().is_some_and(|live| live.since_ms + deadline_ms <= now.mono_ms) {
            self.cancel(out);
            let text = format!("no answer within {DEADLINE_S} s");
            self.error = Some(ClientError::Garbled(text));
        }
    }

    /// When [`Slot::tick`] has something to do, or what is drawn changes by itself.
    pub(crate) fn wake_at_ms(&self, now: Now) -> Option<u64> {
        let later = self.later.as_ref().map(|later| later.at_ms);
        let live = self.live.as_ref().map(|live| next_change_ms(live.since_ms, now.mono_ms));
        later.into_iter().chain(live).min()
    }

    /// Takes the answer if the ticket is the live one.
    pub(crate) fn answer(&mut self, ticket: Ticket, outcome: &Outcome, now: Now) -> bool {
        let Some(live) = self.live.take_if(|live| live.ticket == ticket) else { return false };
        match (outcome, self.request.clone()) {
            (Ok(told), Some(request)) => {
                let took_ms = now.mono_ms.saturating_sub(live.since_ms);
                self.loaded =
                    Some(Loaded { told: told.clone(), at_ms: now.mono_ms, took_ms, request });
                self.error = None;
            }
            (Err(error), _) => self.error = Some(error.clone()),
            (Ok(_), None) => {}
        }
        true
    }

    /// The data, old or new.
    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.loaded.as_ref()?.told.get()
    }

    /// The data, held on to.
    pub(crate) fn share<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.loaded.as_ref()?.told.share()
    }

    /// The answer with its basis.
    pub(crate) fn told(&self) -> Option<&Told> {
        self.loaded.as_ref().map(|loaded| &loaded.told)
    }

    /// The question last asked.
    pub(crate) fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// The data answers the question last asked, and not an earlier one.
    pub(crate) fn is_current(&self) -> bool {
        self.loaded.as_ref().map(|loaded| &loaded.request) == self.request.as_ref()
    }

    /// How long the answer took.
    pub(crate) fn took_ms(&self) -> Option<u64> {
        self.loaded.as_ref().map(|loaded| loaded.took_ms)
    }

    /// How old the data is.
    pub(crate) fn age_ms(&self, now: Now) -> Option<u64> {
        self.loaded.as_ref().map(|loaded| now.mono_ms.saturating_sub(loaded.at_ms))
    }

    /// A question waits for the cursor to rest.
    pub(crate) fn is_waiting(&self) -> bool {
        self.later.is_some()
    }

    /// The ticket that is under way.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        self.live.as_ref().map(|live| live.ticket)
    }

    /// Where the question stands.
    pub(crate) fn state(&self, now: Now) -> State<'_> {
        match (&self.live, &self.error, &self.loaded) {
            (Some(live), _, _) => {
                State::Loading { for_ms: now.mono_ms.saturating_sub(live.since_ms) }
            }
            (None, Some(error), _) => State::Failed(error),
            (None, None, Some(_)) => State::Ready,
            (None, None, None) => State::Idle,
        }
    }
}

/// A request under way looks different after 0.3 s, and then each second.
fn next_change_ms(since_ms: u64, now_ms: u64) -> u64 {
    let for_ms = now_ms.saturating_sub(since_ms);
    if for_ms < 300 { since_ms + 300 } else { since_ms + (for_ms / 1_000 + 1) * 1_000 }
}
