//! The course of a run: blocks are taken in their order, counted and handed over; what is late comes
//! later, and metrics are collected when their time has come.

use std::collections::{BTreeMap, VecDeque};

use super::answers::Tally;
use super::encode::Requests;
use super::metrics::Meters;
use super::stream::{Block, RootSpan, Signals};
use super::world::World;
use super::{FAULT_SIXTHS, Options, Sent, Signal, Sink, Summary};
use crate::truth::{Change, Record, Requests as Judged};

/// Late spans come so many blocks after those of their trace, or at the end.
const LATE_BLOCKS: usize = 4;

pub(super) struct Course<'a> {
    world: &'a dyn World,
    signals: Signals,
    tally: Tally,
    meters: Meters,
    late: VecDeque<Requests>,
    roots: Vec<RootSpan>,
    sent: Sent,
}

impl<'a> Course<'a> {
    pub(super) fn new(world: &'a dyn World, signals: Signals) -> Course<'a> {
        let schedule = world.schedule();
        Course {
            world,
            signals,
            tally: Tally::new(world.catalog()),
            meters: Meters::new(schedule.start_ns, schedule.end_ns - schedule.start_ns),
            late: VecDeque::new(),
            roots: Vec::new(),
            sent: Sent::default(),
        }
    }

    pub(super) fn take(&mut self, block: Block, sink: &mut dyn Sink) -> anyhow::Result<()> {
        self.tally.merge(&block.tally);
        self.roots.extend(block.roots);
        self.hand_over(Signal::Traces, &block.spans, sink)?;
        self.hand_over(Signal::Logs, &block.logs, sink)?;
        self.late.push_back(block.late);
        if self.late.len() > LATE_BLOCKS {
            self.hand_over_late(sink)?;
        }
        self.meters.record(&block.measurements);
        // The next block has nothing that ended before this one's last request.
        self.collect(block.reached_ns, sink)
    }

    /// What is left when all blocks are taken.
    pub(super) fn end(&mut self, sink: &mut dyn Sink) -> anyhow::Result<()> {
        while !self.late.is_empty() {
            self.hand_over_late(sink)?;
        }
        self.collect(self.world.schedule().end_ns + self.meters.interval_ns, sink)
    }

    fn hand_over_late(&mut self, sink: &mut dyn Sink) -> anyhow::Result<()> {
        let late = self.late.pop_front().unwrap_or_default();
        self.hand_over(Signal::Traces, &late, sink)
    }

    fn collect(&mut self, until_ns: u64, sink: &mut dyn Sink) -> anyhow::Result<()> {
        if !self.signals.metrics {
            return Ok(());
        }
        let mut requests = Requests::default();
        let pools = |now_ns| self.world.pools(now_ns);
        self.meters.collect(self.world.catalog(), until_ns, pools, &mut requests);
        self.hand_over(Signal::Metrics, &requests, sink)
    }

    fn hand_over(
        &mut self,
        signal: Signal,
        requests: &Requests,
        sink: &mut dyn Sink,
    ) -> anyhow::Result<()> {
        if requests.is_empty() {
            return Ok(());
        }
        self.sent.requests += requests.len() as u64;
        self.sent.bytes += requests.bytes() as u64;
        *match signal {
            Signal::Traces => &mut self.sent.spans,
            Signal::Logs => &mut self.sent.log_records,
            Signal::Metrics => &mut self.sent.data_points,
        } += requests.records;
        sink.take(signal, requests)
    }

    /// All that is known at the end.
    pub(super) fn summary(self, options: &Options) -> Summary {
        let name = options.preset.name();
        let mut answers = self.tally.answers(self.world.catalog(), &name, options.seed);
        answers.exact = self.world.is_exact();
        if self.signals.traces {
            answers.spans_sent = self.sent.spans;
        }
        let record = self.world.record().map(|record| self.judged(record));
        answers.culprit = record.as_ref().map(|record| record.culprit.clone());
        Summary { answers, record, sent: self.sent }
    }

    /// Whether anyone would have noticed the fault.
    fn judged(&self, mut record: Record) -> Record {
        let (start_ns, end_ns) = (self.world.schedule().start_ns, self.world.schedule().end_ns);
        let sixth_ns = (end_ns - start_ns) / 6;
        let fault_ns = start_ns + FAULT_SIXTHS.start * sixth_ns;
        let windows =
            [start_ns + sixth_ns..fault_ns, fault_ns..start_ns + FAULT_SIXTHS.end * sixth_ns];
        let mut by_root: BTreeMap<&str, [Vec<(u64, bool)>; 2]> = BTreeMap::new();
        for root in &self.roots {
            let Some(name) = self.affected(root, &record) else { continue };
            let nth = windows.iter().position(|window| window.contains(&root.start_ns));
            if let Some(nth) = nth {
                by_root.entry(name).or_default()[nth].push((root.duration_ns, root.is_error));
            }
        }
        let changes: Vec<Change> = by_root
            .into_iter()
            .map(|(root, [mut before, mut during])| Change {
                root: root.to_owned(),
                before: Judged::of(&mut before),
                during: Judged::of(&mut during),
            })
            .collect();
        record.judge(&changes);
        record
    }

    /// The name by which the record has the operation of a root, if it has it.
    fn affected<'r>(&self, root: &RootSpan, record: &'r Record) -> Option<&'r str> {
        let catalog = self.world.catalog();
        let op = &catalog.ops[root.op as usize];
        let service = catalog.services[op.service as usize].name.as_str();
        let is_it = |name: &&str| {
            **name == *op.name
                || name.strip_prefix(service).is_some_and(|rest| rest.trim_start() == op.name)
        };
        record.roots.iter().map(String::as_str).find(is_it)
    }
}
