//! Whether an instance or a version explains what its service shows: it does where the service
//! without it is as before.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Levels, Slowdown, error_rise, growth, slowdown};
use super::{Component, Measured, Place};

/// What is left of a service must have run so often to be told from the part.
const REST_CALLS_MIN: u64 = 20;
/// What is left must have changed less than this share of what the part did.
const REST_SHARE: f64 = 0.5;

/// What a part shows that the rest of its service does not.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) slowdown: Option<Slowdown>,
    pub(super) has_errors: bool,
}

/// All parts, and which operations of services they explain.
#[derive(Debug, Default)]
pub(super) struct Parts<'a> {
    found: BTreeMap<&'a Place, Part>,
    latency: BTreeSet<(&'a str, &'a str)>,
    errors: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    pub(super) fn of(components: &[&'a Component], levels: &Levels) -> Parts<'a> {
        let own = |c: &&'a Component| match &c.place {
            Place::Own { service, operation } => Some(((&**service, &**operation), *c)),
            Place::Edge { .. } | Place::Part { .. } => None,
        };
        let owns: BTreeMap<(&str, &str), &Component> = components.iter().filter_map(own).collect();
        let mut parts = Parts::default();
        for component in components {
            let Place::Part { service, operation, .. } = &component.place else { continue };
            let key = (&**service, &**operation);
            let part = match owns.get(&key) {
                Some(own) => alone(component, own, levels),
                None => Part::default(),
            };
            if part.slowdown.is_some() {
                parts.latency.insert(key);
            }
            if part.has_errors {
                parts.errors.insert(key);
            }
            parts.found.insert(&component.place, part);
        }
        parts
    }

    /// What a part shows; none if the place is none.
    pub(super) fn part(&self, place: &Place) -> Option<&Part> {
        self.found.get(place)
    }

    /// Whether the time of an operation grew in a part of its service only.
    pub(super) fn explain_latency(&self, place: &Place) -> bool {
        matches!(place, Place::Own { service, operation }
            if self.latency.contains(&(&**service, &**operation)))
    }

    /// Whether an operation fails in a part of its service only.
    pub(super) fn explain_errors(&self, place: &Place) -> bool {
        matches!(place, Place::Own { service, operation }
            if self.errors.contains(&(&**service, &**operation)))
    }
}

/// What a part shows and the rest does not.
fn alone(part: &Component, own: &Component, levels: &Levels) -> Part {
    let rest = Measured {
        calls: own.fault.calls.saturating_sub(part.fault.calls),
        sum_ns: own.fault.sum_ns.saturating_sub(part.fault.sum_ns),
        errors: own.fault.errors.saturating_sub(part.fault.errors),
        ..Measured::default()
    };
    if rest.calls < REST_CALLS_MIN {
        return Part::default();
    }
    // A new part is held against what its service did before.
    let is_new = part.base.calls == 0;
    let base = if is_new { &own.base } else { &part.base };
    let compared = Component { base: base.clone(), ..part.clone() };
    let slower = slowdown(&compared, false, levels).filter(|found| found.counts);
    let rest_growth = growth(&rest, &own.base).unwrap_or(0.0);
    let rest_rise = rest.error_rate() - own.base.error_rate();
    let rise = error_rise(&compared, levels);
    Part {
        slowdown: slower.filter(|found| rest_growth < REST_SHARE * found.growth),
        has_errors: rise > 0.0 && rest_rise < REST_SHARE * rise,
    }
}

impl Measured {
    fn error_rate(&self) -> f64 {
        self.errors as f64 / self.calls.max(1) as f64
    }
}
