//! Two counts over the last ten seconds, in a ring of one-second buckets.

use std::time::Instant;

const BUCKETS: usize = 10;

/// Counts of the current second and the nine before it.
#[derive(Debug)]
pub(super) struct Window {
    epoch: Instant,
    newest_s: u64,
    buckets: [[u64; 2]; BUCKETS],
}

impl Window {
    /// An empty window; times before `epoch` count as `epoch`.
    pub(super) fn new(epoch: Instant) -> Window {
        Window { epoch, newest_s: 0, buckets: [[0; 2]; BUCKETS] }
    }

    /// Adds one to one of the two counts.
    pub(super) fn add(&mut self, now: Instant, count: usize) {
        self.advance(now);
        self.buckets[self.newest_s as usize % BUCKETS][count] += 1;
    }

    /// Both counts as of `now`.
    pub(super) fn sums(&mut self, now: Instant) -> [u64; 2] {
        self.advance(now);
        self.buckets.iter().fold([0; 2], |[a, b], bucket| [a + bucket[0], b + bucket[1]])
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.buckets = [[0; 2]; BUCKETS];
    }

    fn advance(&mut self, now: Instant) {
        let now_s = now.saturating_duration_since(self.epoch).as_secs();
        let passed = now_s.saturating_sub(self.newest_s).min(BUCKETS as u64);
        for second in 1..=passed {
            self.buckets[(now_s - passed + second) as usize % BUCKETS] = [0; 2];
        }
        self.newest_s = self.newest_s.max(now_s);
    }
}
