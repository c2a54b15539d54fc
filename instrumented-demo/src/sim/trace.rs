//! One request while it is told: spans on a clock of their own, and what is true of them.
//!
//! A world tells a request as a story: a span opens, works, calls, closes. The clock moves with the
//! work alone, so the own time of a span and its part of the critical path are known as it is told,
//! and nothing is searched for in the spans afterwards.

use super::catalog::{Call, Catalog, Kind, NOTHING};
use super::failure::{self, FailureId};
use super::random::{Random, mix};

/// A span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) op: u32,
    pub(super) instance: u32,
    /// Place of the parent, or [`NOTHING`].
    pub(super) parent: u32,
    /// Place of the span that a link leads to, or [`NOTHING`].
    pub(super) link: u32,
    /// Which of the request's traces it belongs to.
    pub(super) trace: u32,
    pub(super) id: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// Time in which no child ran.
    pub(super) own_ns: u64,
    /// The part of it that its segment had to wait for, if the span is on the path.
    path_ns: u64,
    is_on_path: bool,
    pub(super) is_sent: bool,
    pub(super) failure: FailureId,
    /// Whether it shows as an error, whether a child does, and whether all spans above do as well.
    pub(super) is_error: bool,
    pub(super) has_error: bool,
    pub(super) is_fatal: bool,
    /// Place of the server that answered a call, or [`NOTHING`].
    pub(super) server: u32,
    /// Its own attributes: first and number of them.
    values: (u32, u32),
}

impl Span {
    pub(super) fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    pub(super) fn critical_ns(&self) -> u64 {
        if self.is_on_path { self.path_ns } else { 0 }
    }
}

/// An attribute of one span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub(super) key: &'static str,
    pub(super) content: Content,
}

/// What an attribute holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Int(i64),
    Bool(bool),
    Text(&'static str),
    /// A text that ends with a number.
    Numbered(&'static str, u64),
}

/// The spans of one request: of its trace, and of those that its messages began.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) spans: Vec<Span>,
    values: Vec<Value>,
    pub(super) ids: Vec<u128>,
    /// Added to the times of each host, where its clock is wrong.
    pub(super) clock_shift_ns: Vec<i64>,
}

impl Trace {
    pub(super) fn clear(&mut self) {
        self.spans.clear();
        self.values.clear();
        self.ids.clear();
        self.clock_shift_ns.clear();
    }

    /// Marks errors and who answered whom, when all is told. Parents come before their children.
    pub(super) fn settle(&mut self, catalog: &Catalog) {
        for place in 0..self.spans.len() {
            let span = self.spans[place];
            let op = &catalog.ops[span.op as usize];
            let is_error =
                span.failure != failure::NONE && catalog.outcome(op, span.failure).is_error;
            let mut is_fatal = is_error;
            if let Some(parent) = self.spans.get_mut(span.parent as usize) {
                parent.has_error |= is_error;
                is_fatal &= parent.is_fatal;
                if op.kind == Kind::Server {
                    parent.server = place as u32;
                }
            }
            let span = &mut self.spans[place];
            (span.is_error, span.is_fatal) = (is_error, is_fatal);
        }
    }

    pub(super) fn values(&self, span: &Span) -> &[Value] {
        let (from, len) = span.values;
        &self.values[from as usize..(from + len) as usize]
    }

    pub(super) fn clock_shift_ns(&self, host: u8) -> i64 {
        self.clock_shift_ns.get(usize::from(host)).copied().unwrap_or(0)
    }
}

/// A span that is open; what was open before it is open again when it closes.
#[derive(Debug)]
#[must_use]
pub(super) struct Open {
    place: u32,
    outer: u32,
}

/// The place where a request is told.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) random: Random,
    pub(super) trace: &'a mut Trace,
    /// Time of the story, nanoseconds since 1970.
    pub(super) now_ns: u64,
    /// When the one who waits for all that happens now gives up.
    deadline_ns: u64,
    /// The innermost open span.
    current: u32,
    /// What ids are made of.
    key: u64,
}

impl<'a> Scene<'a> {
    /// An empty scene for the request of this number.
    pub(super) fn new(
        catalog: &'a Catalog,
        trace: &'a mut Trace,
        seed: u64,
        request: u64,
        start_ns: u64,
    ) -> Scene<'a> {
        trace.clear();
        let mut random = Random::new(seed, request);
        let key = random.next();
        Scene {
            catalog,
            random,
            trace,
            now_ns: start_ns,
            deadline_ns: u64::MAX,
            current: NOTHING,
            key,
        }
    }

    /// Opens the root of a trace of its own.
    pub(super) fn begin(&mut self, op: u32, instance: u32) -> Open {
        let nth = self.trace.ids.len() as u64;
        let [high, low] = [1, 2].map(|half| mix(self.key ^ mix(4 * nth + half)));
        self.trace.ids.push(u128::from(high) << 64 | u128::from(low));
        self.current = NOTHING;
        self.deadline_ns = u64::MAX;
        self.open(op, instance)
    }

    /// Opens a child of the open span.
    pub(super) fn open(&mut self, op: u32, instance: u32) -> Open {
        let place = self.trace.spans.len() as u32;
        let outer = std::mem::replace(&mut self.current, place);
        self.trace.spans.push(Span {
            op,
            instance,
            parent: outer,
            link: NOTHING,
            trace: self.trace.ids.len() as u32 - 1,
            // Zero is no id.
            id: mix(self.key.wrapping_add(u64::from(place) << 1 | 1)).max(1),
            start_ns: self.now_ns,
            end_ns: self.now_ns,
            own_ns: 0,
            path_ns: 0,
            is_on_path: true,
            is_sent: true,
            failure: failure::NONE,
            is_error: false,
            has_error: false,
            is_fatal: false,
            server: NOTHING,
            values: (self.trace.values.len() as u32, 0),
        });
        Open { place, outer }
    }

    /// Gives the span that was opened last an attribute, before it has a child.
    pub(super) fn value(&mut self, key: &'static str, content: Content) {
        self.trace.values.push(Value { key, content });
        if let Some(span) = self.trace.spans.last_mut() {
            span.values.1 += 1;
        }
    }

    /// The open span works, or waits.
    pub(super) fn work(&mut self, ns: u64) {
        let from_ns = self.now_ns;
        self.now_ns += ns;
        let Some(span) = self.trace.spans.get_mut(self.current as usize) else { return };
        span.own_ns += ns;
        span.path_ns += self.now_ns.min(self.deadline_ns).saturating_sub(from_ns);
    }

    /// Closes the innermost open span.
    pub(super) fn close(&mut self, open: Open, failure: FailureId) {
        let span = &mut self.trace.spans[open.place as usize];
        span.end_ns = self.now_ns;
        span.failure = failure;
        self.current = open.outer;
    }

    /// A call as both sides see it, with the times there and back. The callee's work is told with the
    /// instance that answers.
    pub(super) fn call(
        &mut self,
        call: Call,
        from: u32,
        ways_ns: [u64; 2],
        answer: impl FnOnce(&mut Scene<'a>, u32) -> FailureId,
    ) -> FailureId {
        let client = self.open(call.client, from);
        self.work(ways_ns[0]);
        let instance = self.pick(call.callee);
        let server = self.open(call.server, instance);
        let failure = answer(self, instance);
        self.close(server, failure);
        self.work(ways_ns[1]);
        self.close(client, failure);
        failure
    }

    /// What is told from here on is waited for up to this time; returns the time that was known so
    /// far.
    pub(super) fn wait_until(&mut self, deadline_ns: u64) -> u64 {
        let outer_ns = self.deadline_ns;
        self.deadline_ns = outer_ns.min(deadline_ns);
        outer_ns
    }

    /// Nobody waits any more: the clock goes back to when the caller gave up, and its caller's
    /// deadline holds again.
    pub(super) fn give_up(&mut self, outer_deadline_ns: u64) {
        self.now_ns = self.now_ns.min(self.deadline_ns);
        self.deadline_ns = outer_deadline_ns;
    }

    /// Branches that run side by side. Each opens one child and closes it; all but the one that ends
    /// last leave the path.
    pub(super) fn fan_out(
        &mut self,
        branches: usize,
        mut branch: impl FnMut(&mut Scene<'a>, usize),
    ) {
        let start_ns = self.now_ns;
        let mut last: Option<(u32, u32, u64)> = None;
        for nth in 0..branches {
            let from = self.trace.spans.len() as u32;
            self.now_ns = start_ns;
            branch(self, nth);
            let to = self.trace.spans.len() as u32;
            let end_ns = self.now_ns;
            // Of two that end together the smaller id is on the path.
            let loser = match last {
                Some((winner, winner_to, winner_end_ns)) => {
                    let id = |place: u32| self.trace.spans[place as usize].id;
                    if (winner_end_ns, id(from)) >= (end_ns, id(winner)) {
                        Some((from, to))
                    } else {
                        last = Some((from, to, end_ns));
                        Some((winner, winner_to))
                    }
                }
                None => {
                    last = Some((from, to, end_ns));
                    None
                }
            };
            let (from, to) = loser.unwrap_or_default();
            self.trace.spans[from as usize..to as usize]
                .iter_mut()
                .for_each(|span| span.is_on_path = false);
        }
        self.now_ns = last.map_or(start_ns, |(_, _, end_ns)| end_ns);
    }

    /// The place of the innermost open span.
    pub(super) fn place(&self) -> u32 {
        self.current
    }

    /// The span that was opened last points to another one.
    pub(super) fn link_to(&mut self, place: u32) {
        if let Some(span) = self.trace.spans.last_mut() {
            span.link = place;
        }
    }

    /// One of a service's instances that run when nothing is wrong.
    pub(super) fn pick(&mut self, service: u32) -> u32 {
        self.random.pick(&self.catalog.services[service as usize].instances)
    }
}
