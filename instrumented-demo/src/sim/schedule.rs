//! When requests come: the start of the one with a given number, without those before it.

use super::random::hash;

pub(super) const SECOND_NS: u64 = 1_000_000_000;
pub(super) const MINUTE_NS: u64 = 60 * SECOND_NS;
const DAY_MINUTES: u64 = 24 * 60;

/// Traffic over the hours of a day in thousandths of its mean: a night, a flat noon, an evening.
const DAY: [u64; 24] = [
    640, 480, 390, 350, 360, 430, 580, 800, 1050, 1270, 1400, 1450, 1450, 1450, 1440, 1400, 1360,
    1340, 1330, 1290, 1200, 1060, 870, 710,
];

/// Sections of time, each with so many requests at equal distances and a little beside them.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    /// Start, number of the first request, requests and length of each section.
    sections: Vec<Section>,
    pub(super) requests: u64,
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    start_ns: u64,
    first: u64,
    requests: u64,
    len_ns: u64,
}

impl Schedule {
    /// Sections one after the other: length and requests of each.
    pub(super) fn new(
        seed: u64,
        start_ns: u64,
        lengths: impl IntoIterator<Item = (u64, u64)>,
    ) -> Schedule {
        let sections = Vec::new();
        let mut schedule = Schedule { seed, sections, requests: 0, start_ns, end_ns: start_ns };
        for (len_ns, requests) in lengths {
            let (start_ns, first) = (schedule.end_ns, schedule.requests);
            schedule.sections.push(Section { start_ns, first, requests, len_ns });
            schedule.end_ns += len_ns;
            schedule.requests += requests;
        }
        schedule
    }

    /// So many requests at a constant rate.
    pub(super) fn even(seed: u64, start_ns: u64, len_ns: u64, requests: u64) -> Schedule {
        Schedule::new(seed, start_ns, [(len_ns, requests)])
    }

    /// Exactly so many requests over a day, with its curve.
    pub(super) fn day(seed: u64, start_ns: u64, requests: u64) -> Schedule {
        let weights: Vec<u64> = (0..DAY_MINUTES).map(traffic).collect();
        let total: u64 = weights.iter().sum();
        let mut passed = 0;
        let minutes = weights.into_iter().map(|weight| {
            let before = share(requests, passed, total);
            passed += weight;
            (MINUTE_NS, share(requests, passed, total) - before)
        });
        Schedule::new(seed, start_ns, minutes)
    }

    /// Start of a request, nanoseconds since 1970; never before that of the one before it.
    pub(super) fn at_ns(&self, request: u64) -> u64 {
        let after = self.sections.partition_point(|section| section.first <= request);
        let Some(section) = self.sections[..after].iter().rev().find(|s| s.requests > 0) else {
            return self.end_ns;
        };
        let place = |nth: u64| share(section.len_ns, nth, section.requests);
        let nth = request - section.first;
        let (from, to) = (place(nth), place(nth + 1));
        let beside = hash(self.seed ^ 0x5c4e_d01e, request) % (to - from).max(1);
        section.start_ns + from + beside
    }

    /// The first request that does not start before a time.
    pub(super) fn first_at(&self, time_ns: u64) -> u64 {
        let (mut from, mut to) = (0, self.requests);
        while from < to {
            let middle = from + (to - from) / 2;
            if self.at_ns(middle) < time_ns {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }
}

/// Weight of a minute of the day.
fn traffic(minute: u64) -> u64 {
    let hour = (minute / 60) as usize;
    let (now, next) = (DAY[hour], DAY[(hour + 1) % DAY.len()]);
    (now * (60 - minute % 60) + next * (minute % 60)) / 60
}

fn share(whole: u64, part: u64, of: u64) -> u64 {
    (u128::from(whole) * u128::from(part) / u128::from(of.max(1))) as u64
}
