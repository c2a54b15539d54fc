//! The file as it is written, and what it means.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::{Action, ActionKind, Chaos, CronError};

const KNOWN: [&str; 4] = ["terminateInstance", "networkLatency", "cpuSpike", "memoryLeak"];
const DEFAULT_DURATION: Duration = Duration::from_secs(60);
const DEFAULT_LATENCY_MS: u64 = 1_000;
const DEFAULT_CPU_PERCENT: u8 = 70;
const DEFAULT_LEAK_BYTES: usize = 256 * 1024;

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// It is no YAML, or a key has the wrong type or is not known.
    #[error("chaos file: {0}")]
    Yaml(#[from] Box<serde_saphyr::Error>),
    /// The timetable.
    #[error("chaos file, schedule: {0}")]
    Schedule(#[from] CronError),
    /// No probability.
    #[error("chaos file, probability: {0} is not between 0 and 1")]
    Probability(f64),
    /// Something that nobody can do.
    #[error("chaos file, actions: {0:?} is not known; there are {known}", known = KNOWN.join(", "))]
    Action(String),
    /// A share above the whole.
    #[error("chaos file, actions: {0} percent is more than all")]
    Percentage(u8),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    chaos: Block,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    enabled: bool,
    schedule: String,
    probability: f64,
    actions: Vec<Entry>,
    #[serde(default)]
    exceptions: Vec<String>,
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    seed: u64,
    duration: Option<Time>,
}

/// An action: its name, or a map.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    #[serde(rename = "type")]
    kind: String,
    target: Option<String>,
    latency: Option<Time>,
    jitter: Option<Time>,
    duration: Option<Time>,
    percentage: Option<u8>,
}

struct Entry(Full);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Entry, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of an action, or a map with its type")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Entry, E> {
        Ok(Entry(Full { kind: name.to_owned(), ..Full::default() }))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Full::deserialize(MapAccessDeserializer::new(map)).map(Entry)
    }
}

/// A time with its unit: `1000ms`, `60s`, `5m`.
#[derive(Clone, Copy)]
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom(format!("{text:?} is no time: write 1000ms, 60s or 5m"));
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let unit_ms = match text[digits.len()..].trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit_ms).map(|ms| Time(Duration::from_millis(ms))).ok_or_else(wrong)
    }
}

impl Time {
    fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

pub(super) fn parse(text: &str) -> Result<Chaos, ChaosError> {
    let File { chaos } = serde_saphyr::from_str(text).map_err(Box::new)?;
    if !(0.0..=1.0).contains(&chaos.probability) {
        return Err(ChaosError::Probability(chaos.probability));
    }
    let duration = chaos.duration.map_or(DEFAULT_DURATION, |time| time.0);
    let actions = chaos.actions.into_iter().map(|Entry(full)| action(full, duration));
    Ok(Chaos {
        enabled: chaos.enabled,
        schedule: chaos.schedule.parse()?,
        probability: chaos.probability,
        actions: actions.collect::<Result<_, _>>()?,
        exceptions: chaos.exceptions,
        targets: chaos.targets,
        seed: chaos.seed,
    })
}

fn action(full: Full, duration: Duration) -> Result<Action, ChaosError> {
    Ok(Action {
        kind: kind(&full)?,
        target: full.target.filter(|target| target != "random"),
        duration: full.duration.map_or(duration, |time| time.0),
    })
}

fn kind(full: &Full) -> Result<ActionKind, ChaosError> {
    match full.kind.as_str() {
        "terminateInstance" => Ok(ActionKind::TerminateInstance),
        "networkLatency" => {
            let latency_ms = full.latency.map_or(DEFAULT_LATENCY_MS, Time::ms);
            Ok(ActionKind::NetworkLatency {
                latency_ms,
                jitter_ms: full.jitter.map_or(0, Time::ms),
            })
        }
        "cpuSpike" => match full.percentage.unwrap_or(DEFAULT_CPU_PERCENT) {
            percent @ 0..=100 => Ok(ActionKind::CpuSpike { percent }),
            percent => Err(ChaosError::Percentage(percent)),
        },
        "memoryLeak" => Ok(ActionKind::MemoryLeak { bytes_per_message: DEFAULT_LEAK_BYTES }),
        unknown => Err(ChaosError::Action(unknown.to_owned())),
    }
}
