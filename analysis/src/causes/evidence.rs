//! What a component's numbers show: e1 and e2 of analytics 16.

use super::calling::is_comparable;
use super::{CauseInput, Component, Measured, Place};
use crate::stats::{Proportion, mann_whitney, nearest_rank, two_proportion_p};

/// Added to both means, so that microseconds cannot multiply.
pub(super) const TAU_NS: f64 = 100_000.0;

/// A component counts from this share of the path time of the fault window on.
const PATH_SHARE_MIN: f64 = 0.01;

/// Work that the base window does not know must have been done so often.
const NEW_CALLS_MIN: u64 = 20;

/// Calls beyond this share of the base window are long ones.
const LONG_FROM: f64 = 0.95;

/// A cache misses more from this rise of the rate on: what is asked for changes all the time.
const MISS_RISE_MIN: f64 = 0.10;

/// What a refusal counts.
const REFUSAL: f64 = 0.25;

/// A difference counts if chance gives one of its kind in less than this share of answers: 1 % for all
/// three kinds.
const P_MAX: f64 = 0.01 / 3.0;

/// From where on a difference counts: the more are looked at, the rarer it must be by chance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    /// Path time of the fault window, of which a component must have its share.
    pub(super) total_path_ns: i64,
    pub(super) latency_p_max: f64,
    pub(super) errors_p_max: f64,
    pub(super) calls_p_max: f64,
}

impl Levels {
    pub(super) fn of(input: &CauseInput, total_path_ns: i64) -> Levels {
        let mut levels =
            Levels { total_path_ns, latency_p_max: 1.0, errors_p_max: 1.0, calls_p_max: 1.0 };
        let among = |compared: usize| P_MAX / compared.max(1) as f64;
        let count = |is: &dyn Fn(&&Component) -> bool| {
            among(input.components.iter().filter(|component| is(component)).count())
        };
        levels.latency_p_max = count(&|c| levels.is_shown(c.fault.path_ns) && c.base.calls > 0);
        levels.errors_p_max = count(&|c| c.fault.errors + c.fault.refusals + c.fault.misses > 0);
        levels.calls_p_max = among(input.callings.iter().filter(|c| is_comparable(c)).count());
        levels
    }

    /// Whether a time is enough of the path to count.
    pub(super) fn is_shown(&self, ns: i64) -> bool {
        ns as f64 / self.total_path_ns.max(1) as f64 >= PATH_SHARE_MIN
    }
}

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
pub(super) fn slowdown(component: &Component, is_known: bool, levels: &Levels) -> Option<Slowdown> {
    let Component { place, fault, base } = component;
    if !levels.is_shown(fault.path_ns) {
        return None;
    }
    let is_new = base.calls == 0 && is_known;
    let base_ns = if is_new { 0.0 } else { mean_ns(base)? };
    let fault_ns = mean_ns(fault)?;
    let growth = grown(fault_ns, base_ns);
    let counts = match is_new {
        true => fault.calls >= NEW_CALLS_MIN,
        false => growth > 0.0 && is_no_chance(fault, base, levels.latency_p_max),
    };
    let path_ns = fault.path_ns;
    Some(Slowdown { place: place.clone(), growth, base_ns, fault_ns, counts, path_ns })
}

/// The growth of the mean; none where a side has none.
pub(super) fn growth(fault: &Measured, base: &Measured) -> Option<f64> {
    Some(grown(mean_ns(fault)?, mean_ns(base)?))
}

fn grown(fault_ns: f64, base_ns: f64) -> f64 {
    ((fault_ns + TAU_NS) / (base_ns + TAU_NS)).ln()
}

fn mean_ns(measured: &Measured) -> Option<f64> {
    (measured.calls > 0).then(|| measured.sum_ns as f64 / measured.calls as f64)
}

/// Whether the calls take longer as a whole, or more of them take long. The first does not see an
/// instance that stands still now and then, the second does.
fn is_no_chance(fault: &Measured, base: &Measured, p_max: f64) -> bool {
    let shifted = mann_whitney(&fault.sample_ns, &base.sample_ns);
    shifted.is_some_and(|t| t.z > 0.0 && 2.0 * t.p < p_max)
        || 2.0 * p_of_long_calls(&fault.sample_ns, &base.sample_ns) < p_max
}

fn p_of_long_calls(fault_ns: &[i64], base_ns: &[i64]) -> f64 {
    let mut sorted = base_ns.to_vec();
    sorted.sort_unstable();
    let Some(long_ns) = nearest_rank(&sorted, LONG_FROM) else { return 1.0 };
    let long = |of: &[i64]| Proportion {
        hits: of.iter().filter(|ns| **ns > long_ns).count() as u64,
        rows: of.len() as u64,
    };
    rise(long(fault_ns), long(base_ns)).map_or(1.0, |(_, p)| p)
}

/// What went wrong in all components of a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Errors {
    pub(super) failed: Rates,
    pub(super) refused: Rates,
    pub(super) missed: Rates,
}

/// A share of the calls in both windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) fault: Proportion,
    pub(super) base: Proportion,
}

impl Errors {
    pub(super) fn add(&mut self, component: &Component) {
        self.failed.add(component, |of| of.errors);
        self.refused.add(component, |of| of.refusals);
        self.missed.add(component, |of| of.misses);
    }
}

impl Rates {
    fn add(&mut self, component: &Component, hits: fn(&Measured) -> u64) {
        for (sum, of) in [(&mut self.fault, &component.fault), (&mut self.base, &component.base)] {
            sum.rows += of.calls;
            sum.hits += hits(of).min(of.calls);
        }
    }

    /// How much the rate rose; 0 where it fell or chance explains it. Without calls in the base window
    /// all of them are new.
    pub(super) fn rise(&self, p_max: f64) -> f64 {
        if self.base.rows == 0 {
            return self.fault.share();
        }
        match rise(self.fault, self.base) {
            Some((by, p)) if p < p_max => by,
            _ => 0.0,
        }
    }

    /// The same of look-ups that miss.
    pub(super) fn miss_rise(&self, p_max: f64) -> f64 {
        Some(self.rise(p_max)).filter(|by| *by >= MISS_RISE_MIN).unwrap_or(0.0)
    }
}

/// By how much a share rose, and how likely that is by chance; none where it fell.
fn rise(fault: Proportion, base: Proportion) -> Option<(f64, f64)> {
    let by = fault.share() - base.share();
    (by > 0.0).then(|| (by, two_proportion_p(fault, base)))
}

/// e2 of a candidate.
pub(super) fn errors(errors: &Errors, levels: &Levels) -> f64 {
    let (Errors { failed, refused, missed }, p_max) = (errors, levels.errors_p_max);
    failed.rise(p_max) + missed.miss_rise(p_max) + REFUSAL * refused.rise(p_max)
}

/// How much the rate of errors that begin in a component rose.
pub(super) fn error_rise(component: &Component, levels: &Levels) -> f64 {
    of_one(component).failed.rise(levels.errors_p_max)
}

/// How much more often look-ups of a component miss.
pub(super) fn miss_rise(component: &Component, levels: &Levels) -> f64 {
    of_one(component).missed.miss_rise(levels.errors_p_max)
}

fn of_one(component: &Component) -> Errors {
    let mut errors = Errors::default();
    errors.add(component);
    errors
}
