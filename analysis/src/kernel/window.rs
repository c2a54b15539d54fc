//! What can be learned only from many traces: how far the clocks of two hosts are apart, and which
//! service answers at which address (sections 4 and 11 of the definitions).

use std::collections::{HashMap, HashSet};

use super::skew::{are_apart, minute};
use crate::hash::{self, Mix};
use crate::span::Span;
use crate::symbols::Symbol;

/// With fewer calls a pair of hosts has no shift of its own.
const PAIRS_MIN: usize = 8;

/// Calls kept of a pair of hosts and a minute. Of more, those with the smallest hashes are kept:
/// the same ones whatever the order in which they come.
const PAIRS_MAX: usize = 1024;

/// A call from one host to another within a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPair {
    /// Clock of the caller.
    pub caller: Symbol,
    /// Clock of the callee.
    pub callee: Symbol,
    /// Minutes since 1970 of the call's start on the caller's clock.
    pub minute: i64,
}

/// How the callee's clock is brought to the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// By adding so many nanoseconds.
    By(i64),
    /// No single shift fits: the clock moved within the minute.
    Moved,
}

/// Tables learned from many traces, in symbols of the kernel they are given to.
#[derive(Clone, Debug, Default)]
pub struct Window {
    shifts: HashMap<HostPair, Shift, Mix>,
    services: HashMap<(Symbol, u32), Option<Symbol>, Mix>,
    own: HashSet<(Symbol, Symbol), Mix>,
}

impl Window {
    /// The shift for a call.
    pub fn shift(&self, caller: Symbol, callee: Symbol, minute: i64) -> Option<Shift> {
        self.shifts.get(&HostPair { caller, callee, minute }).copied()
    }

    /// Sets the shift for a pair of hosts and a minute.
    pub fn set_shift(&mut self, pair: HostPair, shift: Shift) {
        self.shifts.insert(pair, shift);
    }

    /// All shifts, in no order.
    pub fn shifts(&self) -> impl Iterator<Item = (HostPair, Shift)> + '_ {
        self.shifts.iter().map(|(pair, shift)| (*pair, *shift))
    }

    /// The service that answers at an address; none where several do.
    pub fn service_at(&self, address: Symbol, port: u32) -> Option<Symbol> {
        if address.is_none() {
            return None;
        }
        self.services.get(&(address, port)).copied().flatten()
    }

    /// Says that a service answers at an address.
    pub fn set_service_at(&mut self, address: Symbol, port: u32, service: Symbol) {
        let known = self.services.entry((address, port)).or_insert(Some(service));
        if *known != Some(service) {
            *known = None;
        }
    }

    /// All addresses at which one service answers, in no order.
    pub fn addresses(&self) -> impl Iterator<Item = (Symbol, u32, Symbol)> + '_ {
        self.services.iter().filter_map(|((address, port), service)| {
            service.map(|service| (*address, *port, service))
        })
    }

    /// Whether the service itself uses this address, seen in a call.
    pub fn is_own_address(&self, service: Symbol, address: Symbol) -> bool {
        self.own.contains(&(service, address))
    }

    /// Says that the service itself uses this address.
    pub fn set_own_address(&mut self, service: Symbol, address: Symbol) {
        self.own.insert((service, address));
    }

    /// All services with the addresses they use themselves, in no order.
    pub fn own_addresses(&self) -> impl Iterator<Item = (Symbol, Symbol)> + '_ {
        self.own.iter().copied()
    }
}

/// The shifts that one call allows, and its place in the sample.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    order: u64,
    lower: i64,
    upper: i64,
}

/// Collects a [`Window`] from the traces shown to [`super::Kernel::observe`].
#[derive(Debug, Default)]
pub struct WindowBuilder {
    bounds: HashMap<HostPair, Vec<Bounds>, Mix>,
    window: Window,
}

impl WindowBuilder {
    /// Nothing learned.
    pub fn new() -> WindowBuilder {
        WindowBuilder::default()
    }

    /// Memory held, estimated.
    pub fn bytes(&self) -> usize {
        let bounds: usize = self.bounds.values().map(Vec::capacity).sum();
        bounds * size_of::<Bounds>()
            + self.bounds.len() * 64
            + (self.window.services.len() + self.window.own.len()) * 32
    }

    /// Learns from a client and its only server child.
    pub(super) fn learn(&mut self, trace_id: u128, client: &Span, server: &Span) {
        let asked = client.target.server_address;
        if !asked.is_none() {
            self.window.set_service_at(asked, client.target.server_port, server.service);
            if server.target.server_address == asked {
                self.window.set_own_address(server.service, asked);
            }
        }
        let (outer, inner) = (client.duration_ns.max(0), server.duration_ns.max(0));
        if !are_apart(client, server) || inner > outer {
            return;
        }
        let lower = client.start_ns.saturating_sub(server.start_ns);
        let upper = lower.saturating_add(outer - inner);
        let pair = HostPair {
            caller: client.clock,
            callee: server.clock,
            minute: minute(client.start_ns),
        };
        let order = [(trace_id >> 64) as u64, trace_id as u64, client.span_id]
            .into_iter()
            .fold(client.row_hash, hash::step);
        let bounds = self.bounds.entry(pair).or_default();
        bounds.push(Bounds { order, lower, upper });
        if bounds.len() >= 2 * PAIRS_MAX {
            keep_smallest(bounds);
        }
    }

    /// The tables.
    pub fn finish(self) -> Window {
        let mut window = self.window;
        for (pair, mut bounds) in self.bounds {
            keep_smallest(&mut bounds);
            if let Some(shift) = shift(&bounds) {
                window.set_shift(pair, shift);
            }
        }
        window
    }
}

fn keep_smallest(bounds: &mut Vec<Bounds>) {
    if bounds.len() > PAIRS_MAX {
        bounds.select_nth_unstable_by_key(PAIRS_MAX, |b| (b.order, b.lower, b.upper));
        bounds.truncate(PAIRS_MAX);
    }
}

/// The shift that nearly all calls allow.
fn shift(bounds: &[Bounds]) -> Option<Shift> {
    if bounds.len() < PAIRS_MIN {
        return None;
    }
    let mut lower: Vec<i64> = bounds.iter().map(|b| b.lower).collect();
    let mut upper: Vec<i64> = bounds.iter().map(|b| b.upper).collect();
    lower.sort_unstable();
    upper.sort_unstable();
    let low = lower[nearest_rank(lower.len(), 95)];
    let high = upper[nearest_rank(upper.len(), 5)];
    Some(match () {
        () if low > high => Shift::Moved,
        () if low <= 0 && high >= 0 => Shift::By(0),
        () => Shift::By(half_to_even(i128::from(low) + i128::from(high))),
    })
}

/// Place of a percentile in a sorted list that is not empty.
fn nearest_rank(len: usize, percent: usize) -> usize {
    (len * percent).div_ceil(100).max(1) - 1
}

/// Half of a sum of two `i64`, the even neighbour where it lies between two numbers.
fn half_to_even(sum: i128) -> i64 {
    let floor = sum.div_euclid(2);
    let is_between = sum.rem_euclid(2) == 1;
    let half = floor + i128::from(is_between && floor.rem_euclid(2) == 1);
    half as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lower: &[i64], upper: &[i64], expected: Option<Shift>) {
        let bounds: Vec<Bounds> = lower
            .iter()
            .zip(upper)
            .map(|(&lower, &upper)| Bounds { order: 0, lower, upper })
            .collect();
        assert_eq!(shift(&bounds), expected, "{lower:?} {upper:?}");
    }

    #[test]
    fn shifts_of_a_window() {
        let lower = [38, 39, 40, 40, 41, 41, 42, 43];
        let upper = [47, 48, 48, 49, 50, 52, 55, 60];
        check(&lower, &upper, Some(Shift::By(45)));
        check(&lower[1..], &upper[1..], None);
        check(&[-2; 8], &[3; 8], Some(Shift::By(0)));
        check(&[0; 8], &[3; 8], Some(Shift::By(0)));
        check(&[1; 8], &[4; 8], Some(Shift::By(2)));
        check(&[1; 8], &[2; 8], Some(Shift::By(2)));
        check(&[-4; 8], &[-1; 8], Some(Shift::By(-2)));
        check(&[5; 8], &[4; 8], Some(Shift::Moved));
    }

    #[test]
    fn a_sample_is_the_same_in_any_order() {
        let all: Vec<Bounds> = (0..5000)
            .map(|i| Bounds { order: hash::spread(i), lower: i.cast_signed(), upper: 9000 })
            .collect();
        let sampled = |mut bounds: Vec<Bounds>| {
            keep_smallest(&mut bounds);
            let mut kept: Vec<i64> = bounds.iter().map(|b| b.lower).collect();
            kept.sort_unstable();
            kept
        };
        assert_eq!(sampled(all.clone()), sampled(all.into_iter().rev().collect()));
    }
}
