//! The cases counted: by kind of fault, for each seed and for all.
//!
//! AC@k is the share of valid cases whose culprit is among the first k answers, MRR the mean of
//! 1 ÷ rank. Beside them stands what guessing would give: with n candidates k ÷ n, and the mean of
//! 1 ÷ rank over all orders.

use std::io::{self, Write};

use instrumented_demo::scenarios::Scenario;

use super::Case;

pub(super) const HEAD: &str = "\
faults    seed  cases  rank_causes        best of both  by chance          seconds until first
                       AC@1  AC@3  MRR    AC@1  AC@3    AC@1  AC@3  MRR    median, cases";

/// Scenarios that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Latency,
    Errors,
    Others,
    Controls,
}

impl Group {
    pub(super) const ALL: [Group; 4] =
        [Group::Latency, Group::Errors, Group::Others, Group::Controls];

    fn of(scenario: &Scenario) -> Group {
        match scenario.id {
            _ if scenario.control => Group::Controls,
            1..=4 | 6 | 7 | 10 | 11 | 20 | 24 => Group::Latency,
            5 | 9 | 12 | 13 | 21 | 22 | 23 => Group::Errors,
            _ => Group::Others,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Group::Latency => "latency",
            Group::Errors => "errors",
            Group::Others => "others",
            Group::Controls => "controls",
        }
    }

    /// A line for each seed, and one for all of several.
    pub(super) fn write(
        self,
        cases: &[Case],
        seeds: &[u64],
        out: &mut impl Write,
    ) -> io::Result<()> {
        let is_valid = |case: &&Case| case.record.valid && Group::of(case.scenario) == self;
        let valid: Vec<&Case> = cases.iter().filter(is_valid).collect();
        for seed in seeds {
            let of_seed = valid.iter().copied().filter(|case| case.record.seed == *seed);
            self.line(&seed.to_string(), &of_seed.collect::<Vec<_>>(), out)?;
        }
        if seeds.len() > 1 { self.line("all", &valid, out) } else { Ok(()) }
    }

    fn line(self, seed: &str, cases: &[&Case], out: &mut impl Write) -> io::Result<()> {
        if cases.is_empty() {
            return Ok(());
        }
        let count = cases.len();
        write!(out, "{:<8}  {seed:>4}  {count:>5}  ", self.name())?;
        if self == Group::Controls {
            let alarms = cases.iter().filter(|case| case.is_false_alarm()).count();
            return writeln!(out, "{alarms} false alarms");
        }
        let causes = Ranks::of(cases.iter().map(|case| case.causes()));
        let best = Ranks::of(cases.iter().map(|case| case.best()));
        let chance = by_chance(cases.iter().map(|case| case.candidates));
        let mut delays: Vec<i64> = cases.iter().filter_map(|case| case.delay_s).collect();
        delays.sort_unstable();
        let median = delays.get(delays.len() / 2).map_or("-".to_owned(), i64::to_string);
        writeln!(
            out,
            "{:.2}  {:.2}  {:.2}   {:.2}  {:.2}    {:.2}  {:.2}  {:.2}   {median}, {} of {count}",
            causes.first,
            causes.third,
            causes.reciprocal,
            best.first,
            best.third,
            chance.first,
            chance.third,
            chance.reciprocal,
            delays.len(),
        )
    }
}

/// AC@1, AC@3 and MRR.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ranks {
    pub(super) first: f64,
    pub(super) third: f64,
    pub(super) reciprocal: f64,
}

impl Ranks {
    /// Of the ranks of culprits, none where one was not found.
    pub(super) fn of(ranks: impl Iterator<Item = Option<usize>>) -> Ranks {
        mean(ranks.map(|rank| {
            let within = |k: usize| f64::from(u8::from(rank.is_some_and(|rank| rank <= k)));
            let reciprocal = rank.map_or(0.0, |rank| 1.0 / rank as f64);
            Ranks { first: within(1), third: within(3), reciprocal }
        }))
    }
}

/// What a random order of so many candidates gives.
pub(super) fn by_chance(candidates: impl Iterator<Item = usize>) -> Ranks {
    mean(candidates.map(|n| {
        let n = n.max(1);
        let within = |k: usize| k.min(n) as f64 / n as f64;
        let reciprocal = (1..=n).map(|rank| 1.0 / rank as f64).sum::<f64>() / n as f64;
        Ranks { first: within(1), third: within(3), reciprocal }
    }))
}

fn mean(all: impl Iterator<Item = Ranks>) -> Ranks {
    let (mut sum, mut count) = (Ranks::default(), 0.0_f64);
    for one in all {
        sum.first += one.first;
        sum.third += one.third;
        sum.reciprocal += one.reciprocal;
        count += 1.0;
    }
    let of = |sum: f64| sum / count.max(1.0);
    Ranks { first: of(sum.first), third: of(sum.third), reciprocal: of(sum.reciprocal) }
}
