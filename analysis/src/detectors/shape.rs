//! Rules of how services call each other: again, too often, too long, through too many.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, duration_text, percent_text};
use crate::stats::robust_z;

/// Attempts per logical call from which on retries amplify.
const ATTEMPTS_PER_CALL: f64 = 1.5;
/// An instance is an outlier above this robust z.
const OUTLIER_Z: f64 = 4.0;
/// Spans an instance needs, and instances that are needed.
const OUTLIER_SPANS_MIN: u64 = 30;
const OUTLIER_INSTANCES_MIN: usize = 3;
/// The least spread of the medians that counts.
const OUTLIER_SPREAD_MIN_NS: f64 = 10_000.0;
/// Durations of timeouts are alike within this.
const TIMEOUT_STEP_NS: i64 = 1_000_000;
/// A pair is chatty above so many calls per request, and this share of its time as gap.
const CHATTY_CALLS: f64 = 5.0;
const CHATTY_GAP_SHARE: f64 = 0.10;
/// Services on the path from which on a request counts as coupled.
const COUPLED_SERVICES: usize = 6;

/// Attempts and the logical calls they belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Client spans, repeated ones included.
    pub attempts: u64,
    /// Without the repeated ones.
    pub calls: u64,
}

/// What is known of one edge. An attempt is a sibling with the same peer and name after an erroring
/// one, or marked as sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct RetryAmplification {
    /// In the window.
    pub window: Attempts,
    /// Errors ÷ attempts in the window.
    pub error_rate: f64,
    /// The same in the baseline.
    pub base_error_rate: f64,
    /// Mean duration of an attempt.
    pub attempt_ns: i64,
    /// After the trigger ended, if that was seen.
    pub after: Option<Attempts>,
}

impl Attempts {
    fn ratio(self) -> f64 {
        self.attempts as f64 / self.calls.max(1) as f64
    }
}

/// Whether retries multiply the load while errors are above the baseline; and whether they still do
/// after the trigger ended: then the state is metastable, and the evidence says so. The score is
/// the number of attempts per call.
pub fn retry_amplification(input: &RetryAmplification) -> Option<Finding> {
    let Attempts { attempts, calls } = input.window;
    let ratio = input.window.ratio();
    if calls == 0 || ratio < ATTEMPTS_PER_CALL || input.error_rate <= input.base_error_rate {
        return None;
    }
    let mut evidence = format!(
        "{attempts} attempts for {calls} calls ({ratio:.2} each), errors {} against {}",
        percent_text(input.error_rate),
        percent_text(input.base_error_rate)
    );
    let after = input.after.filter(|after| after.calls > 0).map_or(0.0, Attempts::ratio);
    if after >= ATTEMPTS_PER_CALL {
        evidence += &format!("; metastable: {after:.2} each after the trigger ended");
    }
    let saving_ns = Some(((ratio - 1.0) * input.attempt_ns as f64) as i64);
    Some(Finding { score: ratio, saving_ns, evidence })
}

/// One instance of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Instance {
    /// Median self time.
    pub median_self_ns: i64,
    /// Of how many spans.
    pub spans: u64,
}

/// The instances that are slower than their peers, by their place in the input. The score is the
/// robust z.
pub fn instance_outliers(instances: &[Instance]) -> Vec<(usize, Finding)> {
    let known = instances.iter().enumerate().filter(|(_, i)| i.spans >= OUTLIER_SPANS_MIN);
    let known: Vec<(usize, &Instance)> = known.collect();
    if known.len() < OUTLIER_INSTANCES_MIN {
        return Vec::new();
    }
    let medians: Vec<f64> = known.iter().map(|(_, i)| i.median_self_ns as f64).collect();
    let middle_ns = crate::stats::median(&medians).unwrap_or_default();
    let scores = robust_z(&medians, OUTLIER_SPREAD_MIN_NS);
    let outliers = known.iter().zip(scores).filter(|(_, z)| *z > OUTLIER_Z);
    outliers
        .map(|((place, instance), z)| {
            let own_ns = instance.median_self_ns as f64;
            let evidence = format!(
                "median self time {} against {} of {} instances, z {z:.1}",
                duration_text(own_ns),
                duration_text(middle_ns),
                medians.len()
            );
            let saving_ns = Some((own_ns - middle_ns) as i64);
            (*place, Finding { score: z, saving_ns, evidence })
        })
        .collect()
}

/// What is known of the deadlines of one edge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts<'a> {
    /// The caller's deadline as it sends it.
    pub deadline_ns: Option<i64>,
    /// Durations of its calls that timed out, in any order.
    pub timed_out_ns: &'a [i64],
    /// 95th percentile of the callee.
    pub callee_p95_ns: i64,
}

/// Whether the caller gives up before the callee usually answers. Without a deadline it is the
/// commonest duration of the timeouts, to the millisecond; the shortest of equally common ones.
/// The score is the callee's time ÷ the deadline.
pub fn timeout_mismatch(input: &Timeouts<'_>) -> Option<Finding> {
    let (deadline_ns, source) = match input.deadline_ns {
        Some(deadline_ns) => (deadline_ns, "sent"),
        None => (commonest(input.timed_out_ns)?, "from its timeouts"),
    };
    (0 < deadline_ns && deadline_ns < input.callee_p95_ns).then(|| Finding {
        score: input.callee_p95_ns as f64 / deadline_ns as f64,
        saving_ns: None,
        evidence: format!(
            "deadline {} ({source}) below the callee's p95 of {}",
            duration_text(deadline_ns as f64),
            duration_text(input.callee_p95_ns as f64)
        ),
    })
}

fn commonest(durations_ns: &[i64]) -> Option<i64> {
    let mut counts = BTreeMap::<i64, usize>::new();
    for ns in durations_ns {
        *counts.entry((ns + TIMEOUT_STEP_NS / 2).div_euclid(TIMEOUT_STEP_NS)).or_default() += 1;
    }
    // The last of equal counts is taken, so the shortest must come last.
    let (steps, _) = counts.iter().rev().max_by_key(|(_, count)| **count)?;
    Some(steps * TIMEOUT_STEP_NS)
}

/// What is known of one edge.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChattyPair {
    /// Calls over the edge.
    pub calls: u64,
    /// Requests in which they happened.
    pub requests: u64,
    /// Σ gap of the calls.
    pub gap_ns: i64,
    /// Σ duration of the requests.
    pub request_ns: i64,
}

/// Whether two services talk so often that the calls themselves cost. The score is the share of the
/// requests' time; the saving is the gap of all calls but one.
pub fn chatty_pair(input: &ChattyPair) -> Option<Finding> {
    let calls = input.calls as f64 / input.requests.max(1) as f64;
    let score = input.gap_ns as f64 / input.request_ns.max(1) as f64;
    let gap_ns = input.gap_ns as f64 / input.requests.max(1) as f64;
    let fires = input.requests > 0 && calls > CHATTY_CALLS && score > CHATTY_GAP_SHARE;
    fires.then(|| Finding {
        score,
        saving_ns: Some((gap_ns * (1.0 - 1.0 / calls)) as i64),
        evidence: format!(
            "{calls:.1} calls per request, {} of its time between caller and callee",
            percent_text(score)
        ),
    })
}

/// What is known of the paths of one root operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coupling<'a> {
    /// For each request the number of services on its path.
    pub services_on_path: &'a [usize],
    /// Availability of each service on the synchronous chain.
    pub availabilities: &'a [f64],
}

/// Whether requests need many services at once. The score is the share of such requests; together
/// the services are no more available than the product says.
pub fn coupling(input: &Coupling<'_>) -> Option<Finding> {
    let coupled = input.services_on_path.iter().filter(|n| **n >= COUPLED_SERVICES).count();
    let score = coupled as f64 / input.services_on_path.len().max(1) as f64;
    let mut availabilities = input.availabilities.to_vec();
    availabilities.sort_unstable_by(f64::total_cmp);
    let together: f64 = availabilities.iter().product();
    (coupled > 0).then(|| Finding {
        score,
        saving_ns: None,
        evidence: format!(
            "{} of the requests cross {COUPLED_SERVICES} or more services; {} on the chain are \
             available {:.2} % of the time together",
            percent_text(score),
            availabilities.len(),
            together * 100.0
        ),
    })
}

/// Whether several services use one database. The score is their number.
pub fn shared_database(client_services: &[&str]) -> Option<Finding> {
    let clients: BTreeSet<&str> = client_services.iter().copied().collect();
    (clients.len() >= 2).then(|| Finding {
        score: clients.len() as f64,
        saving_ns: None,
        evidence: format!("used by {}", clients.into_iter().collect::<Vec<_>>().join(", ")),
    })
}
