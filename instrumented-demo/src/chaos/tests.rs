//! The article's block, draws over weeks, and what is never hit.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::{DateTime, Weekday};

use super::{Action, ActionKind, Chaos, Firing, Target};
use crate::faults::{Act, Effect, Fleet, Knob, Member};
use crate::proxy::Conditions;

/// The block of the article, comments and all; it is the example that comes with the program.
const ARTICLE: &str = include_str!("../../chaos.yaml");

fn article() -> Chaos {
    Chaos::parse(ARTICLE).unwrap()
}

fn fleet() -> Fleet {
    let member = |(service, instance): (&str, &str)| Member {
        service: service.to_owned(),
        instance: instance.to_owned(),
        host: "host-a".to_owned(),
    };
    let instances = [
        ("gateway", "gateway-1"),
        ("order-service", "order-service-1"),
        ("order-service", "order-service-2"),
        ("payment-service", "payment-service-1"),
        ("psp", "psp-1"),
    ];
    let edges = [
        ("gateway", "order-service"),
        ("order-service", "payment-service"),
        ("payment-service", "psp"),
        ("order-service", "sqlite:orders@shard-0"),
        ("user-service", "sqlite:users@replica-1"),
    ];
    let edge = |(caller, callee): (&str, &str)| (caller.to_owned(), callee.to_owned());
    Fleet {
        instances: instances.into_iter().map(member).collect(),
        edges: edges.into_iter().map(edge).collect(),
    }
}

fn day(text: &str) -> DateTime {
    text.parse::<jiff::civil::Date>().unwrap().to_datetime(jiff::civil::Time::midnight())
}

/// Firings from a Thursday on: ten thousand take more than four years.
fn firings(chaos: &Chaos, fleet: &Fleet, count: usize) -> Vec<Firing> {
    chaos.rehearse(day("2026-01-01"), day("2036-01-01"), fleet).take(count).collect()
}

#[test]
fn unit_the_articles_block_parses_unchanged() {
    let action =
        |kind, seconds| Action { kind, target: None, duration: Duration::from_secs(seconds) };
    let expected = Chaos {
        enabled: true,
        schedule: "0 9-17 * * 1-5".parse().unwrap(),
        probability: 0.1,
        actions: vec![
            action(ActionKind::TerminateInstance, 60),
            action(ActionKind::NetworkLatency { latency_ms: 1_000, jitter_ms: 0 }, 60),
            action(ActionKind::CpuSpike { percent: 80 }, 60),
            action(ActionKind::MemoryLeak { bytes_per_message: 256 * 1024 }, 300),
        ],
        exceptions: vec!["payment-gateway".to_owned(), "production-database".to_owned()],
        targets: Vec::new(),
        seed: 0,
    };
    assert_eq!(article(), expected);
}

#[test]
fn unit_actions_may_be_names_and_our_keys_are_optional() {
    let text = "
chaos:
  enabled: true
  schedule: '*/5 * * * *'
  probability: 1
  seed: 7
  duration: 2m
  targets: [order-service, payment-service]
  actions:
    - cpuSpike
    - type: networkLatency
      latency: 80ms
      jitter: 20ms
      target: payment-service
      duration: 30s
";
    let chaos = Chaos::parse(text).unwrap();
    assert_eq!((chaos.seed, chaos.targets.len(), chaos.exceptions.len()), (7, 2, 0));
    let [spike, latency] = &chaos.actions[..] else { panic!("{:?}", chaos.actions) };
    assert_eq!(spike.kind, ActionKind::CpuSpike { percent: 70 });
    assert_eq!(spike.duration, Duration::from_secs(120));
    assert_eq!(latency.kind, ActionKind::NetworkLatency { latency_ms: 80, jitter_ms: 20 });
    assert_eq!(latency.target.as_deref(), Some("payment-service"));
    assert_eq!(latency.duration, Duration::from_secs(30));
}

fn check_refused(from: &str, to: &str, why: &str) {
    let text = ARTICLE.replace(from, to);
    assert_ne!(text, ARTICLE);
    let error = Chaos::parse(&text).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn unit_refusals_say_what_may_be_written() {
    check_refused(
        "terminateInstance",
        "fillDisk",
        "\"fillDisk\" is not known; there are terminateInstance, networkLatency, cpuSpike, memoryLeak",
    );
    check_refused("9-17", "9-27", "hour cannot be \"9-27\"");
    check_refused("probability: 0.1", "probability: 1.5", "1.5 is not between 0 and 1");
    check_refused("percentage: 80", "percentage: 180", "180 percent is more than all");
    check_refused("1000ms", "1000", "\"1000\" is no time: write 1000ms, 60s or 5m");
    check_refused("latency: 1000ms", "lag: 1000ms", "lag");
    check_refused("enabled", "enabeld", "enabeld");
}

#[test]
fn unit_fires_nine_times_each_weekday() {
    let (chaos, fleet) = (article(), fleet());
    // A week from Monday.
    let mut by_day: BTreeMap<i8, Vec<i8>> = BTreeMap::new();
    for firing in chaos.rehearse(day("2026-01-05"), day("2026-01-12"), &fleet) {
        by_day.entry(firing.at.day()).or_default().push(firing.at.hour());
    }
    let hours: Vec<i8> = (9..=17).collect();
    let expected = (5..=9).map(|day| (day, hours.clone())).collect::<BTreeMap<_, _>>();
    assert_eq!(by_day, expected);
    assert_eq!(day("2026-01-05").weekday(), Weekday::Monday);
}

#[test]
fn unit_ten_thousand_firings_strike_a_thousand_times_and_never_an_exception() {
    for seed in 1..=3 {
        let (chaos, fleet) = (Chaos { seed, ..article() }, fleet());
        let firings = firings(&chaos, &fleet, 10_000);
        let strikes: Vec<_> = firings.iter().filter_map(|firing| firing.strike.as_ref()).collect();
        assert!((910..=1_090).contains(&strikes.len()), "seed {seed}: {}", strikes.len());
        let hit: BTreeSet<&Target> = strikes.iter().map(|strike| &strike.target).collect();
        let excepted = hit.iter().filter(|target| target.touches("psp")).count();
        assert_eq!(excepted, 0, "seed {seed}");
        assert!(!hit.iter().any(|target| target.touches("sqlite:orders@shard-0")));
        // Everything else is hit: four instances, two edges between services, and the replica.
        assert_eq!(hit.len(), 7, "seed {seed}: {hit:?}");
    }
}

#[test]
fn unit_actions_and_targets_are_drawn_evenly() {
    let (chaos, fleet) = (Chaos { seed: 5, probability: 1.0, ..article() }, fleet());
    let firings = firings(&chaos, &fleet, 10_000);
    let mut actions: BTreeMap<&str, i32> = BTreeMap::new();
    let mut instances: BTreeMap<&Target, i32> = BTreeMap::new();
    for strike in firings.iter().filter_map(|firing| firing.strike.as_ref()) {
        *actions.entry(strike.action.kind.name()).or_default() += 1;
        if matches!(strike.target, Target::Instance { .. }) {
            *instances.entry(&strike.target).or_default() += 1;
        }
    }
    // Four standard deviations.
    assert!(actions.values().all(|count| (count - 2_500).abs() < 175), "{actions:?}");
    assert!(instances.values().all(|count| (count - 1_875).abs() < 160), "{instances:?}");
}

#[test]
fn unit_draws_do_not_depend_on_when_one_began_to_look() {
    let (chaos, fleet) = (Chaos { probability: 0.5, ..article() }, fleet());
    let week: Vec<_> = chaos.rehearse(day("2026-01-05"), day("2026-01-12"), &fleet).collect();
    let late: Vec<_> = chaos.rehearse(day("2026-01-08"), day("2026-01-12"), &fleet).collect();
    assert_eq!(week[week.len() - late.len()..], late);
    assert_eq!(late.len(), 18);
}

#[test]
fn unit_targets_and_exceptions_narrow_the_choice() {
    let hit = |chaos: &Chaos| -> BTreeSet<String> {
        let firings = firings(&Chaos { probability: 1.0, ..chaos.clone() }, &fleet(), 500);
        let strikes = firings.into_iter().filter_map(|firing| firing.strike);
        strikes.map(|strike| format!("{:?}", strike.target.names().last().unwrap())).collect()
    };
    let only = |names: &[&str]| names.iter().map(|name| format!("{name:?}")).collect();
    let mut chaos = article();
    chaos.targets = vec!["payment-service".to_owned()];
    let payment: BTreeSet<String> = only(&["payment-service", "payment-service-1"]);
    assert_eq!(hit(&chaos), payment);
    chaos.exceptions.push("payment-service".to_owned());
    assert_eq!(hit(&chaos), BTreeSet::new());
    chaos.targets = vec!["order-service-2".to_owned()];
    assert_eq!(hit(&chaos), only(&["order-service-2"]));
    chaos.enabled = false;
    assert_eq!(hit(&chaos), BTreeSet::new());
}

#[test]
fn unit_a_strike_becomes_an_effect_of_the_run() {
    let (chaos, fleet) = (Chaos { seed: 2, probability: 1.0, ..article() }, fleet());
    let from = Duration::from_secs(90);
    let mut seen = BTreeSet::new();
    for strike in firings(&chaos, &fleet, 50).into_iter().filter_map(|firing| firing.strike) {
        let Effect { from: begins, to, act } = strike.effect(from);
        assert_eq!((begins, to), (from, from + strike.action.duration));
        seen.insert(strike.action.kind.name());
        match strike.action.kind {
            ActionKind::TerminateInstance => assert!(matches!(act, Act::Terminate { .. })),
            ActionKind::NetworkLatency { .. } => {
                let Act::Network { conditions, .. } = act else { panic!("{act:?}") };
                assert_eq!(conditions, Conditions::slower_by(1_000, 0));
            }
            ActionKind::CpuSpike { .. } => {
                assert!(matches!(act, Act::Knob { knob: Knob::CpuSpinPercent(80), .. }));
            }
            ActionKind::MemoryLeak { .. } => {
                assert!(matches!(act, Act::Knob { knob: Knob::Leak(_), .. }));
            }
        }
    }
    assert_eq!(seen.len(), 4);
}
