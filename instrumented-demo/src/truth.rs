//! What really happened: one record for each fault that was played, in `ground_truth.jsonl` beside a
//! run and never in its telemetry.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::scenarios::{Blame, CulpritKind, Scenario};

/// File name of the records in the folder of a run.
pub const FILE_NAME: &str = "ground_truth.jsonl";
/// Relative change of the p99 of an affected root operation that a user notices.
pub const LATENCY_CHANGE_MIN: f64 = 0.25;
/// Rise of the error rate of an affected root operation that a user notices, in percentage points.
pub const ERROR_RISE_MIN_PERCENT: u64 = 1;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Number of the scenario.
    pub id: u8,
    /// Its name.
    pub name: String,
    /// Seed of the run.
    pub seed: u64,
    /// When it began to act.
    #[serde(rename = "t_start", with = "rfc3339")]
    pub start_ns: i64,
    /// When it stopped.
    #[serde(rename = "t_end", with = "rfc3339")]
    pub end_ns: i64,
    /// Who is to blame.
    pub culprit: Culprit,
    /// Others to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Culprit>,
    /// What happened.
    pub mechanism: String,
    /// The views that should put the culprit first.
    pub views: Vec<String>,
    /// Root operations of requests that suffered.
    pub roots: Vec<String>,
    /// Whether no service may be blamed.
    pub control: bool,
    /// Whether a user would notice; of a control, whether nothing was to be noticed.
    pub valid: bool,
    /// Why it is valid or not.
    pub why: String,
}

/// Who is to blame, by the name that the views have for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Culprit {
    /// What it is.
    pub kind: CulpritKind,
    /// Its name.
    pub name: String,
}

impl From<Blame> for Culprit {
    fn from(blame: Blame) -> Culprit {
        Culprit { kind: blame.kind, name: blame.name.to_owned() }
    }
}

impl Record {
    /// The record of a scenario as the table has it, not yet judged.
    pub fn new(scenario: &Scenario, seed: u64, start_ns: i64, end_ns: i64) -> Record {
        Record {
            id: scenario.id,
            name: scenario.name.to_owned(),
            seed,
            start_ns,
            end_ns,
            culprit: scenario.culprit.into(),
            also: scenario.also.iter().copied().map(Culprit::from).collect(),
            mechanism: scenario.mechanism.to_owned(),
            views: scenario.views.iter().map(ToString::to_string).collect(),
            roots: scenario.roots.iter().map(|root| (*root).to_owned()).collect(),
            control: scenario.control,
            valid: false,
            why: "not judged".to_owned(),
        }
    }

    /// Names the target that was drawn, where the table has a service or a database only.
    #[must_use]
    pub fn aimed_at(mut self, kind: CulpritKind, name: &str) -> Record {
        let aims = std::iter::once(&mut self.culprit).chain(&mut self.also);
        aims.filter(|culprit| culprit.kind == kind)
            .for_each(|culprit| name.clone_into(&mut culprit.name));
        self
    }

    /// Judges by what the requests of each affected root operation did before and during the fault.
    pub fn judge(&mut self, changes: &[Change]) {
        let noticed = changes.iter().find_map(Change::noticed);
        (self.valid, self.why) = match noticed {
            Some(why) => (true, why),
            None if self.roots.is_empty() => (true, "nothing is to be noticed".to_owned()),
            None => (false, self.closest(changes)),
        };
    }

    fn closest(&self, changes: &[Change]) -> String {
        let by_latency = |a: &&Change, b: &&Change| a.p99_ratio().total_cmp(&b.p99_ratio());
        match changes.iter().max_by(by_latency) {
            Some(change) => format!("no user would notice: {}", change.text()),
            None => "no request of an affected operation came in both windows".to_owned(),
        }
    }

    /// The record as a line without its end.
    pub fn to_line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Appends the record to a file of records. Nothing is synced.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.to_line()?)
    }
}

/// Reads the records of a file; empty lines are left out.
pub fn read(input: impl BufRead) -> io::Result<Vec<Record>> {
    let lines = input.lines().filter(|line| !matches!(line, Ok(line) if line.trim().is_empty()));
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

/// How the requests of one root operation changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The root operation.
    pub root: String,
    /// Before the fault.
    pub before: Requests,
    /// During the fault.
    pub during: Requests,
}

/// What the requests of one operation did in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    /// How many.
    pub count: u64,
    /// How many failed.
    pub errors: u64,
    /// 99th percentile of the latency of all.
    pub p99_ns: u64,
}

impl Requests {
    /// Counts finished requests: latency and whether it failed. Reorders the list.
    pub fn of(requests: &mut [(u64, bool)]) -> Requests {
        let errors = requests.iter().filter(|(_, is_error)| *is_error).count() as u64;
        let count = requests.len() as u64;
        if requests.is_empty() {
            return Requests::default();
        }
        // Nearest rank.
        let rank = (requests.len() * 99).div_ceil(100) - 1;
        let (_, (p99_ns, _), _) = requests.select_nth_unstable(rank);
        Requests { count, errors, p99_ns: *p99_ns }
    }

    fn error_rate(&self) -> f64 {
        self.errors as f64 / self.count.max(1) as f64
    }
}

impl Change {
    fn p99_ratio(&self) -> f64 {
        self.during.p99_ns as f64 / self.before.p99_ns.max(1) as f64 - 1.0
    }

    /// In integers: a rise by exactly the least one counts.
    fn has_more_errors(&self) -> bool {
        let scaled =
            |of: &Requests, other: &Requests| 100 * u128::from(of.errors) * u128::from(other.count);
        let least = u128::from(ERROR_RISE_MIN_PERCENT)
            * u128::from(self.before.count)
            * u128::from(self.during.count);
        scaled(&self.during, &self.before) >= scaled(&self.before, &self.during) + least
    }

    fn noticed(&self) -> Option<String> {
        let is_measured = self.before.count > 0 && self.during.count > 0;
        let is_noticed = self.p99_ratio().abs() >= LATENCY_CHANGE_MIN || self.has_more_errors();
        (is_measured && is_noticed).then(|| self.text())
    }

    fn text(&self) -> String {
        format!(
            "{}: p99 {:.1} → {:.1} ms ({:+.0} %), errors {:.1} → {:.1} %",
            self.root,
            self.before.p99_ns as f64 / 1e6,
            self.during.p99_ns as f64 / 1e6,
            100.0 * self.p99_ratio(),
            100.0 * self.before.error_rate(),
            100.0 * self.during.error_rate(),
        )
    }
}

/// Times as text with all nine digits.
mod rfc3339 {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    pub(super) fn serialize<S: Serializer>(ns: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        let time =
            Timestamp::from_nanosecond(i128::from(*ns)).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{time:.9}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Timestamp = text.parse().map_err(D::Error::custom)?;
        i64::try_from(time.as_nanosecond()).map_err(D::Error::custom)
    }
}
