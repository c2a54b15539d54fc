//! What a component's numbers show: e1 and e2 of analytics 16.

use super::{Component, Measured, Place};
use crate::stats::{Proportion, mann_whitney, two_proportion_p};

/// Added to both means, so that microseconds cannot multiply.
const TAU_NS: f64 = 100_000.0;

/// A component counts from this share of the path time of the fault window on.
const PATH_SHARE_MIN: f64 = 0.01;

/// Work that the base window does not know must have been done so often.
const NEW_CALLS_MIN: u64 = 20;

/// A difference counts if chance gives it less often than this.
const P_MAX: f64 = 0.01;

/// What latency and errors must exceed to stand out.
pub(super) mod floors {
    /// ln 1.25.
    pub(in super::super) const LATENCY: f64 = 0.223_143_551_314_209_76;
    /// One more error among a hundred calls.
    pub(in super::super) const ERRORS: f64 = 0.01;
}

/// How a component's mean changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slowdown {
    /// Where.
    pub(super) place: Place,
    /// ln((m_F + τ) ÷ (m_B + τ)).
    pub(super) growth: f64,
    /// Mean per call in the base window.
    pub(super) base_ns: f64,
    /// Mean per call in the fault window.
    pub(super) fault_ns: f64,
    /// It grew, and not by chance.
    pub(super) counts: bool,
    path_ns: i64,
}

impl Slowdown {
    /// Larger growth, or as much on more path time.
    pub(super) fn is_larger(&self, other: &Slowdown) -> bool {
        (self.growth, self.path_ns) > (other.growth, other.path_ns)
    }
}

/// The change of a component on the path; none where it is off the path or was not used in one of
/// the windows, so that there is nothing to compare. Of a service that `is_known` in the base window,
/// work that was not done there took no time: waiting for a pool has spans only when there is a wait.
pub(super) fn slowdown(
    component: &Component,
    total_path_ns: i64,
    is_known: bool,
) -> Option<Slowdown> {
    let Component { place, fault, base } = component;
    let share = fault.path_ns as f64 / total_path_ns.max(1) as f64;
    if share < PATH_SHARE_MIN {
        return None;
    }
    let is_new = base.calls == 0 && is_known;
    let base_ns = if is_new { 0.0 } else { mean_ns(base)? };
    let fault_ns = mean_ns(fault)?;
    let growth = ((fault_ns + TAU_NS) / (base_ns + TAU_NS)).ln();
    let is_no_chance =
        || mann_whitney(&fault.sample_ns, &base.sample_ns).is_some_and(|t| t.p < P_MAX);
    let counts = match is_new {
        true => fault.calls >= NEW_CALLS_MIN,
        false => growth > 0.0 && is_no_chance(),
    };
    let path_ns = fault.path_ns;
    Some(Slowdown { place: place.clone(), growth, base_ns, fault_ns, counts, path_ns })
}

fn mean_ns(measured: &Measured) -> Option<f64> {
    (measured.calls > 0).then(|| measured.sum_ns as f64 / measured.calls as f64)
}

/// Errors of all components of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Errors {
    pub(super) fault: Proportion,
    pub(super) base: Proportion,
}

impl Errors {
    pub(super) fn add(&mut self, component: &Component) {
        for (sum, of) in [(&mut self.fault, &component.fault), (&mut self.base, &component.base)] {
            sum.rows += of.calls;
            sum.hits += of.errors.min(of.calls);
        }
    }
}

/// How much the rate rose; 0 where it fell or chance explains it. Without calls in the base window
/// all errors are new.
pub(super) fn errors(errors: &Errors) -> f64 {
    let increase = errors.fault.share() - errors.base.share();
    let is_chance = errors.base.rows > 0 && two_proportion_p(errors.fault, errors.base) >= P_MAX;
    if is_chance { 0.0 } else { increase.max(0.0) }
}
