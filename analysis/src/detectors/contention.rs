//! Rules of waiting: something is used up, or no more run at once than now.

use super::{Finding, duration_text, percent_text};

/// A pool is full from this share of its maximum on.
const POOL_FULL_SHARE: f64 = 0.95;
/// In at least this share of the points.
const POOL_POINTS_SHARE: f64 = 0.20;
/// Waiting counts above this share of the caller's path time.
const WAIT_SHARE: f64 = 0.10;
/// How long a lag must grow.
const LAG_GROWTH_NS: i64 = 30_000_000_000;
/// A processor is used up above this share.
const CPU_SHARE: f64 = 0.90;
/// How much of the window the concurrency must stand at its maximum.
const AT_MAXIMUM_SHARE: f64 = 0.50;
/// How many times the gap must have grown.
const GAP_GROWTH: f64 = 2.0;

/// What is known of one service or pool; what is not measured stays empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saturation<'a> {
    /// The pool over time, in any order.
    pub pool: &'a [PoolPoint],
    /// 90th percentile of the wait for the pool.
    pub wait_p90_ns: i64,
    /// Path time of the caller that waits.
    pub caller_path_ns: i64,
    /// The consumer's lag over time, in any order.
    pub lag: &'a [LagPoint],
    /// Processor time used ÷ available.
    pub cpu_share: Option<f64>,
}

/// A pool at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolPoint {
    /// In use.
    pub used: f64,
    /// At most.
    pub max: f64,
    /// Waiting for one.
    pub pending: f64,
}

/// A consumer's lag at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LagPoint {
    /// When.
    pub time_ns: i64,
    /// Messages, or seconds; it is only compared.
    pub lag: f64,
}

/// Whether a pool, a consumer or a processor is used up. The score is the share of full points, the
/// share of the processor, or 1 for a growing lag, whichever is largest.
pub fn saturation(input: &Saturation<'_>) -> Option<Finding> {
    let all = [pool_full(input), lag_grows(input.lag), cpu_used_up(input.cpu_share)];
    let mut fired: Vec<Finding> = all.into_iter().flatten().collect();
    fired.sort_by(|a, b| b.score.total_cmp(&a.score));
    Some(Finding {
        score: fired.first()?.score,
        saving_ns: fired.iter().find_map(|finding| finding.saving_ns),
        evidence: fired.iter().map(|f| f.evidence.as_str()).collect::<Vec<_>>().join("; "),
    })
}

fn pool_full(input: &Saturation<'_>) -> Option<Finding> {
    let is_full =
        |p: &&PoolPoint| p.pending > 0.0 || (p.max > 0.0 && p.used / p.max >= POOL_FULL_SHARE);
    let full = input.pool.iter().filter(is_full).count();
    let score = full as f64 / input.pool.len().max(1) as f64;
    let is_felt = input.wait_p90_ns as f64 > WAIT_SHARE * input.caller_path_ns as f64;
    (full > 0 && score >= POOL_POINTS_SHARE && is_felt).then(|| Finding {
        score,
        saving_ns: Some(input.wait_p90_ns),
        evidence: format!(
            "pool full in {full} of {} points, p90 of the wait {} of {} path time",
            input.pool.len(),
            duration_text(input.wait_p90_ns as f64),
            duration_text(input.caller_path_ns as f64)
        ),
    })
}

/// Whether there is a run of points, each with more lag than the one before, that is long enough.
fn lag_grows(points: &[LagPoint]) -> Option<Finding> {
    let mut points = points.to_vec();
    points.sort_by(|a, b| a.time_ns.cmp(&b.time_ns).then_with(|| a.lag.total_cmp(&b.lag)));
    let runs = points.chunk_by(|before, after| after.lag > before.lag);
    let ends = runs.filter_map(|run| Some((*run.first()?, *run.last()?)));
    let (from, to) = ends.max_by_key(|(from, to)| to.time_ns - from.time_ns)?;
    let grew_ns = to.time_ns - from.time_ns;
    (grew_ns >= LAG_GROWTH_NS).then(|| Finding {
        score: 1.0,
        saving_ns: None,
        evidence: format!(
            "lag grew from {} to {} for {}",
            from.lag,
            to.lag,
            duration_text(grew_ns as f64)
        ),
    })
}

fn cpu_used_up(cpu_share: Option<f64>) -> Option<Finding> {
    let share = cpu_share.filter(|share| *share > CPU_SHARE)?;
    let evidence = format!("{} of the processor used", percent_text(share));
    Some(Finding { score: share, saving_ns: None, evidence })
}

/// How many spans ran at once at most, and for how long that many did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AtMaximum {
    /// The largest number of spans at one time.
    pub spans_max: u64,
    /// Time during which so many ran.
    pub time_ns: i64,
}

/// Counts the concurrency of one instance's server spans, given as (start, end). An end belongs to
/// no span, so that two touching ones never count as two.
pub fn at_maximum(spans: &[(i64, i64)]) -> AtMaximum {
    let lasting = spans.iter().filter(|(start, end)| end > start);
    let mut changes: Vec<(i64, i64)> = lasting.flat_map(|(s, e)| [(*s, 1), (*e, -1)]).collect();
    // Ends sort before starts of the same time.
    changes.sort_unstable();
    let (mut running, mut found) = (0_i64, AtMaximum::default());
    for pair in changes.windows(2) {
        running += pair[0].1;
        let lasted_ns = pair[1].0 - pair[0].0;
        let spans = running.unsigned_abs();
        if lasted_ns > 0 && spans > found.spans_max {
            found = AtMaximum { spans_max: spans, time_ns: 0 };
        }
        if spans == found.spans_max {
            found.time_ns += lasted_ns;
        }
    }
    found
}

/// What is known of one instance and of the calls into it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConcurrencyLimit {
    /// From [`at_maximum`].
    pub concurrency: AtMaximum,
    /// Length of the window.
    pub window_ns: i64,
    /// 90th percentile of the gap of its callers.
    pub gap_p90_ns: i64,
    /// The same in the baseline.
    pub base_gap_p90_ns: i64,
}

/// Whether an instance stands at its largest concurrency while its callers wait. The score is the
/// share of the window at the maximum.
pub fn concurrency_limit(input: &ConcurrencyLimit) -> Option<Finding> {
    let AtMaximum { spans_max, time_ns } = input.concurrency;
    let score = time_ns as f64 / input.window_ns.max(1) as f64;
    let (gap, base) = (input.gap_p90_ns as f64, input.base_gap_p90_ns as f64);
    let fires = spans_max > 0 && score >= AT_MAXIMUM_SHARE && gap > 0.0 && gap >= GAP_GROWTH * base;
    fires.then(|| Finding {
        score,
        saving_ns: Some(input.gap_p90_ns - input.base_gap_p90_ns),
        evidence: format!(
            "{spans_max} at once for {} of {}, p90 of the gap {} against {}",
            duration_text(time_ns as f64),
            duration_text(input.window_ns as f64),
            duration_text(gap),
            duration_text(base)
        ),
    })
}
