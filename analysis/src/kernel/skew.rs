//! Clock correction: one shift for each host of a trace (section 4 of the definitions). Which shift
//! is learned from all calls of a minute between two hosts, else from the trace alone.

use super::prepare::{NONE, Rows};
use super::tree::{Node, Tree};
use super::window::{Shift, Window};
use super::{Options, SkewMode};
use crate::span::{Kind, Span};
use crate::symbols::Symbol;

const MINUTE_NS: i64 = 60_000_000_000;

/// The minute in which a call began.
pub(super) fn minute(start_ns: i64) -> i64 {
    start_ns.div_euclid(MINUTE_NS)
}

/// A call from one known clock to another.
#[derive(Clone, Copy, Debug)]
struct Call {
    tree: u32,
    depth: u32,
    start: i64,
    rank: u32,
    client: u32,
    server: u32,
}

/// Shifts of the clocks of a trace.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    calls: Vec<Call>,
    /// By symbol: the run that fixed the clock, and the shift.
    fixed: Vec<(u32, i64)>,
    run: u32,
}

impl Clocks {
    /// Fills the tree's shifts from its first walk, made with times as sent. Says whether any start
    /// moved, and how many corrections were refused.
    pub(super) fn correct(
        &mut self,
        spans: &[Span],
        tree: &mut Tree,
        options: &Options,
        window: &Window,
    ) -> (bool, u32) {
        if options.skew == SkewMode::Off {
            return (false, 0);
        }
        self.find_calls(spans, &tree.nodes);
        if self.calls.is_empty() {
            return (false, 0);
        }
        self.start_run();
        if let Some(root) = tree.nodes.first() {
            self.fix(spans[root.index as usize].clock, 0);
        }
        let refused = self.fix_all(spans, options, window);
        (self.fill(spans, &mut tree.shift), refused)
    }

    /// Servers under clients of another clock, in the order of a walk by depth.
    fn find_calls(&mut self, spans: &[Span], nodes: &[Node]) {
        self.calls.clear();
        let mut tree = 0;
        for (place, node) in (0u32..).zip(nodes) {
            if node.parent == NONE {
                tree = place;
                continue;
            }
            let parent = &nodes[node.parent as usize];
            if node.kind != Kind::Server || parent.kind != Kind::Client {
                continue;
            }
            let (client, server) = (parent.index, node.index);
            if are_apart(&spans[client as usize], &spans[server as usize]) {
                let (depth, start, rank) = (node.depth, node.start, node.rank);
                self.calls.push(Call { tree, depth, start, rank, client, server });
            }
        }
        self.calls.sort_unstable_by_key(|call| (call.tree, call.depth, call.start, call.rank));
    }

    fn start_run(&mut self) {
        self.run = self.run.wrapping_add(1);
        if self.run == 0 {
            self.fixed.clear();
            self.run = 1;
        }
    }

    /// The first call that reaches a clock fixes its shift. A clock that calls before it was
    /// reached stays as it is.
    fn fix_all(&mut self, spans: &[Span], options: &Options, window: &Window) -> u32 {
        let mut refused = 0;
        for at in 0..self.calls.len() {
            let (client, server) =
                (&spans[self.calls[at].client as usize], &spans[self.calls[at].server as usize]);
            if self.shift(server.clock).is_some() {
                continue;
            }
            let of_client = self.shift(client.clock).unwrap_or(0);
            self.fix(client.clock, of_client);
            let step = step(client, server, options, window);
            let is_refused = step.saturating_abs() > options.skew_max_ns;
            refused += u32::from(is_refused);
            let of_server = if is_refused { 0 } else { of_client.saturating_add(step) };
            self.fix(server.clock, of_server);
        }
        refused
    }

    fn fill(&self, spans: &[Span], shifts: &mut Vec<i64>) -> bool {
        shifts.clear();
        shifts.extend(spans.iter().map(|span| self.shift(span.clock).unwrap_or(0)));
        let moved = shifts.iter().any(|shift| *shift != 0);
        if !moved {
            shifts.clear();
        }
        moved
    }

    fn shift(&self, clock: Symbol) -> Option<i64> {
        self.fixed
            .get(clock.index())
            .filter(|(run, _)| *run == self.run && !clock.is_none())
            .map(|(_, shift)| *shift)
    }

    fn fix(&mut self, clock: Symbol, shift: i64) {
        if self.fixed.len() <= clock.index() {
            self.fixed.resize(clock.index() + 1, (0, 0));
        }
        self.fixed[clock.index()] = (self.run, shift);
    }
}

/// What the server's clock needs more than the client's.
fn step(client: &Span, server: &Span, options: &Options, window: &Window) -> i64 {
    if options.skew == SkewMode::Window
        && let Some(Shift::By(shift)) =
            window.shift(client.clock, server.clock, minute(client.start_ns))
    {
        return shift;
    }
    trace_rule(client, server)
}

/// A child inside its parent stays; a longer one begins with it; others go to the middle.
fn trace_rule(client: &Span, server: &Span) -> i64 {
    let end = |span: &Span| span.start_ns.saturating_add(span.duration_ns.max(0));
    if server.start_ns >= client.start_ns && end(server) <= end(client) {
        return 0;
    }
    let spare = client.duration_ns.max(0) - server.duration_ns.max(0);
    client.start_ns.saturating_add(spare.max(0) / 2).saturating_sub(server.start_ns)
}

/// Whether both clocks are known, and not one.
pub(super) fn are_apart(a: &Span, b: &Span) -> bool {
    a.clock != b.clock && !a.clock.is_none() && !b.clock.is_none()
}

/// Finds the calls of a trace from which a window learns: clients with their only server child.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Of each client, its last server child and how many there are.
    servers: Vec<(u32, u32)>,
}

impl Pairs {
    /// Hands over client and server of each call.
    pub(super) fn each(
        &mut self,
        spans: &[Span],
        rows: &Rows,
        mut learn: impl FnMut(&Span, &Span),
    ) {
        self.servers.clear();
        self.servers.resize(spans.len(), (NONE, 0));
        for (index, &parent) in (0u32..).zip(&rows.parent) {
            let is_call = parent != NONE
                && spans[index as usize].kind == Kind::Server
                && spans[parent as usize].kind == Kind::Client;
            if is_call {
                let (server, count) = &mut self.servers[parent as usize];
                *server = index;
                *count += 1;
            }
        }
        for (client, &(server, count)) in spans.iter().zip(&self.servers) {
            if count == 1 {
                learn(client, &spans[server as usize]);
            }
        }
    }
}
