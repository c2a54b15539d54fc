//! When more requests, and not a fault, explain what is slow.

use super::evidence::floors;
use super::{Candidate, Cause, CauseInput, Evidence, Subject, SubjectKind, Window};

/// How much the request rate must have risen.
const RATE_GROWTH: f64 = 1.5;
/// How many of the candidates on the path must have slowed alike.
const ALIKE_SHARE: f64 = 0.80;
/// How far from the common growth they may lie.
const ALIKE_WITHIN: f64 = 0.30;

/// The load, if the rate rose and most of the path slowed alike: then no service is blamed.
pub(super) fn shared_slowdown<'a>(
    input: &CauseInput,
    candidates: impl Iterator<Item = &'a Candidate>,
) -> Option<Cause> {
    let growth = rate_growth(input)?;
    let is_place = |c: &&Candidate| {
        use SubjectKind::{Db, Edge, External, Service, Topic};
        matches!(c.subject.kind, Service | Edge | Db | Topic | External)
    };
    let mut grown: Vec<f64> = candidates.filter(is_place).filter_map(|c| c.growth).collect();
    grown.sort_unstable_by(f64::total_cmp);
    let alike = largest_group(&grown);
    let common = *alike.get(alike.len() / 2)?;
    let is_shared = alike.len() as f64 >= ALIKE_SHARE * grown.len() as f64;
    (is_shared && common > floors::LATENCY).then(|| {
        let reason = format!(
            "{} of {} parts of the path slowed alike (×{:.1})",
            alike.len(),
            grown.len(),
            common.exp()
        );
        cause(input, growth, &reason)
    })
}

/// The load, if the rate rose; asked when nothing else stands out.
pub(super) fn alone(input: &CauseInput) -> Option<Cause> {
    Some(cause(input, rate_growth(input)?, "nothing else stands out"))
}

/// The most values, of sorted ones, that lie within 30 % of some common positive value.
fn largest_group(sorted: &[f64]) -> &[f64] {
    let spread = (1.0 + ALIKE_WITHIN) / (1.0 - ALIKE_WITHIN);
    let groups = (0..sorted.len()).filter(|from| sorted[*from] > 0.0).map(|from| {
        let end = sorted.partition_point(|growth| *growth <= sorted[from] * spread);
        &sorted[from..end]
    });
    // The first of equally large groups, which is the one of the least growth.
    groups.rev().max_by_key(|group| group.len()).unwrap_or_default()
}

/// How many times the request rate rose, if it rose enough.
fn rate_growth(input: &CauseInput) -> Option<f64> {
    let growth = rate(&input.fault) / rate(&input.base);
    (growth.is_finite() && growth >= RATE_GROWTH).then_some(growth)
}

/// Requests per second.
fn rate(window: &Window) -> f64 {
    window.requests as f64 / (window.to_ns - window.from_ns).max(1) as f64 * 1e9
}

fn cause(input: &CauseInput, growth: f64, reason: &str) -> Cause {
    let evidence = Evidence { e1: growth.ln(), ..Evidence::default() };
    Cause {
        subject: Subject::new(SubjectKind::Load, "upstream-load"),
        charged_to: "upstream-load".into(),
        score: evidence.score(),
        evidence,
        path_ns: 0,
        edges: Vec::new(),
        why: format!(
            "requests {:.1} → {:.1} per second (×{growth:.1}), {reason}: no service is blamed",
            rate(&input.base),
            rate(&input.fault)
        ),
    }
}
