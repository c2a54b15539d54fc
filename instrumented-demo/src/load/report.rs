//! What became of the requests, by phase of the run and by step.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Step;
use crate::truth::Requests;

/// Sub-buckets of a doubling: a quantile is at most 1/32 too high.
const SUB_BITS: u32 = 5;
const SUB: u64 = 1 << SUB_BITS;
/// Values of more microseconds than this land in the last bucket: over an hour.
const VALUE_MAX_US: u64 = (1 << 32) - 1;
const BUCKETS: usize = ((32 - SUB_BITS + 1) as usize) << SUB_BITS;

/// Counts of times in buckets whose width grows with the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// Counts a time, to the microsecond.
    pub fn add(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(VALUE_MAX_US).min(VALUE_MAX_US);
        self.counts[bucket(us)] += 1;
        self.total += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.total += other.total;
    }

    /// Times counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The upper end of the bucket in which this share of the times, by nearest rank, is reached.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut below = 0;
        self.counts.iter().enumerate().find_map(|(bucket, count)| {
            below += count;
            (below >= rank).then(|| Duration::from_micros(upper_us(bucket)))
        })
    }
}

/// Below 32 µs a bucket each; above, 32 for each doubling.
fn bucket(us: u64) -> usize {
    let doublings = (us | 1).ilog2().saturating_sub(SUB_BITS);
    let exact = u64::from(doublings) * SUB + (us >> doublings);
    exact as usize
}

fn upper_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket / SUB).saturating_sub(1);
    let within = bucket - doublings * SUB;
    ((within + 1) << doublings) - 1
}

/// What became of the requests of one step in one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sent. Those that are neither ok nor failed had no end when the run was stopped.
    pub sent: u64,
    /// Answered with success.
    pub ok: u64,
    /// Answered with an error, or not answered.
    pub failed: u64,
    /// Not sent, as too many were under way.
    pub not_sent: u64,
    /// From the moment a request was meant to be sent to its end, of those that were sent.
    pub latency: Histogram,
    /// By status; 0 is no answer.
    pub statuses: BTreeMap<u16, u64>,
}

impl Tally {
    /// Takes the end of a request.
    pub(crate) fn end(&mut self, status: u16, latency: Duration) {
        match status {
            200..400 => self.ok += 1,
            _ => self.failed += 1,
        }
        *self.statuses.entry(status).or_default() += 1;
        self.latency.add(latency);
    }

    fn merge(&mut self, other: &Tally) {
        self.sent += other.sent;
        self.ok += other.ok;
        self.failed += other.failed;
        self.not_sent += other.not_sent;
        self.latency.merge(&other.latency);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
    }
}

/// What became of all requests of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Where a phase ends and the next begins, from the start of the run.
    boundaries: Vec<Duration>,
    by_phase: Vec<BTreeMap<Step, Tally>>,
}

impl Report {
    /// Nothing yet, in one phase more than there are boundaries.
    pub fn new(boundaries: Vec<Duration>) -> Report {
        let by_phase = vec![BTreeMap::new(); boundaries.len() + 1];
        Report { boundaries, by_phase }
    }

    /// The tally of the phase in which a request was meant to be sent.
    pub(crate) fn tally(&mut self, at: Duration, step: Step) -> &mut Tally {
        let phase = self.boundaries.partition_point(|boundary| *boundary <= at);
        self.by_phase[phase].entry(step).or_default()
    }

    /// What became of a phase's requests, by step.
    pub fn phase(&self, phase: usize) -> impl Iterator<Item = (Step, &Tally)> {
        self.by_phase.get(phase).into_iter().flatten().map(|(step, tally)| (*step, tally))
    }

    /// What became of the requests of one root operation (`GET /api/orders/{id}`) in a phase.
    pub fn requests(&self, phase: usize, root: &str) -> Requests {
        let mut sum = Tally::default();
        let of_root = self.phase(phase).filter(|(step, _)| step.operation() == root);
        of_root.for_each(|(_, tally)| sum.merge(tally));
        let p99 = sum.latency.quantile(0.99).unwrap_or_default();
        let p99_ns = u64::try_from(p99.as_nanos()).unwrap_or(u64::MAX);
        Requests { count: sum.ok + sum.failed, errors: sum.failed, p99_ns }
    }

    /// Everything together.
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.by_phase.iter().flat_map(BTreeMap::values).for_each(|tally| total.merge(tally));
        total
    }

    fn by_step(&self) -> BTreeMap<Step, Tally> {
        let mut steps: BTreeMap<Step, Tally> = BTreeMap::new();
        for (step, tally) in self.by_phase.iter().flatten() {
            steps.entry(*step).or_default().merge(tally);
        }
        steps
    }
}

/// A table: a row per operation and one for all.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["operation", "sent", "failed", "not sent", "p50 ms", "p99 ms"];
        writeln!(
            f,
            "{:<32} {:>8} {:>8} {:>8} {:>9} {:>9}",
            head[0], head[1], head[2], head[3], head[4], head[5]
        )?;
        for (step, tally) in self.by_step() {
            row(f, step.operation(), &tally)?;
        }
        row(f, "all", &self.total())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, tally: &Tally) -> fmt::Result {
    let ms = |share| {
        let quantile = tally.latency.quantile(share).map(|time| time.as_secs_f64() * 1e3);
        quantile.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1}"))
    };
    let Tally { sent, failed, not_sent, .. } = tally;
    writeln!(f, "{name:<32} {sent:>8} {failed:>8} {not_sent:>8} {:>9} {:>9}", ms(0.5), ms(0.99))
}
