//! Effects as text, and the commands at each moment.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Act, Command, Driver, Effect, World, drive};
use crate::faults::Knob;
use crate::proxy::Conditions;

fn effect(from_s: u64, to_s: u64, act: Act) -> Effect {
    Effect { from: Duration::from_secs(from_s), to: Duration::from_secs(to_s), act }
}

/// A command in few words.
fn words(command: &Command) -> String {
    match command {
        Command::Settings { instance, settings } => {
            let value = serde_json::to_value(settings).unwrap();
            let healthy = serde_json::to_value(super::Settings::default()).unwrap();
            let differs = |key: &&String| value[key.as_str()] != healthy[key.as_str()];
            let keys = value.as_object().unwrap().keys().filter(differs);
            let knobs: Vec<String> = keys.map(|key| format!("{key}={}", value[key])).collect();
            format!(
                "{instance}: {}",
                if knobs.is_empty() { "healthy".to_owned() } else { knobs.join(" ") }
            )
        }
        Command::Network { caller, callee, conditions } => {
            format!("{caller}→{callee}: {} ms", conditions.up.latency_ms)
        }
        Command::Terminate { instance, down_for } => format!("kill {instance} for {down_for:?}"),
        Command::Restart { instance } => format!("restart {instance}"),
    }
}

fn check(effects: Vec<Effect>, expected: &[(u64, &str)]) {
    let mut driver = Driver::new(effects);
    let mut seen = Vec::new();
    while let Some(at) = driver.next_change() {
        let commands = driver.advance(at);
        seen.push((at.as_secs(), commands.iter().map(words).collect::<Vec<_>>().join(", ")));
    }
    let expected: Vec<_> = expected.iter().map(|(at, words)| (*at, (*words).to_owned())).collect();
    assert_eq!(seen, expected);
}

#[test]
fn unit_knobs_are_turned_and_turned_back() {
    check(
        vec![effect(10, 20, Act::knob("a", Knob::DbPoolSize(2)))],
        &[(10, "a: db_pool_size=2"), (20, "a: healthy")],
    );
}

#[test]
fn unit_overlapping_knobs_hold_together_and_leave_one_by_one() {
    check(
        vec![
            effect(10, 30, Act::knob("a", Knob::NPlusOne)),
            effect(20, 40, Act::knob("a", Knob::ErrorPercent(30))),
            effect(20, 30, Act::knob("b", Knob::Poison)),
        ],
        &[
            (10, "a: n_plus_one=true"),
            (20, "a: error_percent=30 n_plus_one=true, b: poison=true"),
            (30, "b: healthy, a: error_percent=30"),
            (40, "a: healthy"),
        ],
    );
}

#[test]
fn unit_the_same_knob_twice_is_said_once() {
    check(
        vec![
            effect(0, 30, Act::knob("a", Knob::NPlusOne)),
            effect(10, 20, Act::knob("a", Knob::NPlusOne)),
        ],
        &[(0, "a: n_plus_one=true"), (10, ""), (20, ""), (30, "a: healthy")],
    );
}

#[test]
fn unit_ways_get_slow_and_fast_again() {
    let slow = |ms| Act::network("a", "b", Conditions::slower_by(ms, 0));
    check(
        vec![effect(5, 15, slow(80)), effect(10, 12, slow(200))],
        &[(5, "a→b: 40 ms"), (10, "a→b: 100 ms"), (12, "a→b: 40 ms"), (15, "a→b: 0 ms")],
    );
}

#[test]
fn unit_instances_go_after_what_holds_is_said() {
    let down_for = Duration::from_secs(10);
    check(
        vec![
            effect(5, 15, Act::Restart { instance: "a".to_owned() }),
            effect(5, 15, Act::knob("a", Knob::Version("1.4.1".to_owned()))),
            effect(7, 8, Act::Terminate { instance: "b".to_owned(), down_for }),
        ],
        &[
            (5, "a: version=\"1.4.1\", restart a"),
            (7, "kill b for 10s"),
            (8, ""),
            (15, "a: healthy, restart a"),
        ],
    );
}

#[test]
fn unit_a_late_driver_catches_up_and_the_end_takes_back() {
    let mut driver = Driver::new([
        effect(1, 2, Act::Restart { instance: "a".to_owned() }),
        effect(1, 9, Act::knob("b", Knob::Poison)),
        effect(8, 9, Act::knob("c", Knob::Poison)),
    ]);
    let said: Vec<_> = driver.advance(Duration::from_secs(5)).iter().map(words).collect();
    assert_eq!(said, ["b: poison=true"], "a restart that is over before it begins is none");
    let said: Vec<_> = driver.end().iter().map(words).collect();
    assert_eq!(said, ["b: healthy"]);
    assert_eq!(driver.next_change(), None);
}

/// Writes down when it was told what.
struct Diary {
    start: Instant,
    lines: Mutex<Vec<String>>,
}

impl World for Diary {
    async fn obey(&self, command: Command) -> anyhow::Result<()> {
        let line = format!("{} s {}", self.start.elapsed().as_secs(), words(&command));
        let fails = line.contains("restart");
        self.lines.lock().unwrap().push(line);
        anyhow::ensure!(!fails, "no such instance");
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn unit_drives_in_time_takes_more_and_ends_when_told() {
    let start = Instant::now();
    let world = Diary { start, lines: Mutex::default() };
    let (add, more) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let driver = Driver::new([
        effect(10, 20, Act::knob("a", Knob::Poison)),
        effect(15, 90, Act::Restart { instance: "a".to_owned() }),
    ]);
    let script = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        add.send(effect(40, 99, Act::knob("b", Knob::NPlusOne))).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        stop.cancel();
    };
    let (outcome, ()) = tokio::join!(drive(driver, more, start, &world, stop.clone()), script);
    let lines = world.lines.lock().unwrap().join("; ");
    let expected = "10 s a: poison=true; 15 s restart a; 20 s a: healthy; 40 s b: n_plus_one=true; \
                    50 s b: healthy; 50 s restart a";
    assert_eq!(lines, expected);
    assert_eq!((outcome.obeyed, outcome.failed), (4, 2));
    assert!(outcome.failures[0].ends_with("no such instance"), "{:?}", outcome.failures);
}

#[tokio::test(start_paused = true)]
async fn unit_ends_by_itself_when_nothing_is_left() {
    let start = Instant::now();
    let world = Diary { start, lines: Mutex::default() };
    let (add, more) = mpsc::channel(1);
    drop(add);
    let driver = Driver::new([effect(10, 20, Act::knob("a", Knob::Poison))]);
    let outcome = drive(driver, more, start, &world, CancellationToken::new()).await;
    assert_eq!((outcome.obeyed, start.elapsed().as_secs()), (2, 20));
}
