//! Every scenario against the whole fleet.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Act, Phases, Script};
use crate::faults::{Driver, Fleet, Member};
use crate::load::{Change, Report, Step};
use crate::scenarios::{ALL, CulpritKind, Scenario};

/// The instances of the demo.
fn fleet() -> Fleet {
    let services = [
        ("gateway", 1),
        ("user-service", 2),
        ("order-service", 3),
        ("inventory-service", 2),
        ("payment-service", 2),
        ("pricing-service", 3),
        ("shipping-service", 1),
        ("order-query", 1),
        ("notification-service", 1),
        ("event-bus", 1),
        ("cache", 1),
        ("registry", 1),
        ("psp", 1),
    ];
    let members = services.into_iter().flat_map(|(service, count)| {
        (1..=count).map(move |n| Member {
            service: service.to_owned(),
            instance: format!("{service}-{n}"),
            host: format!("host-{}", ["a", "b", "c"][n % 3]),
        })
    });
    Fleet { instances: members.collect(), edges: Vec::new() }
}

fn script(id: u8, seed: u64) -> Script {
    let scenario = Scenario::by_id(id).unwrap();
    Script::new(scenario, Phases::default(), seed, &fleet())
}

#[test]
fn unit_every_scenario_but_calm_does_something_within_its_window() {
    let (from, to) = (Phases::default().fault_from(), Phases::default().fault_to());
    for scenario in &ALL {
        let script = script(scenario.id, 1);
        let is_calm = script.effects.is_empty() && script.load.is_none();
        assert_eq!(is_calm, scenario.name == "calm", "S{}", scenario.id);
        let within = |effect: &&super::Effect| effect.from >= from && effect.to <= to;
        let outside = script.effects.iter().filter(|effect| !within(effect)).count();
        let slow_pricing = if scenario.id == 23 { 3 } else { 0 };
        assert_eq!(outside, slow_pricing, "S{}", scenario.id);
    }
}

#[test]
fn unit_the_same_seed_makes_the_same_script_and_seeds_choose_different_targets() {
    for scenario in &ALL {
        assert_eq!(script(scenario.id, 3), script(scenario.id, 3), "S{}", scenario.id);
    }
    for (id, targets) in [(7, 3), (10, 2), (15, 2), (20, 3)] {
        let aims: BTreeSet<String> =
            (0..40).flat_map(|seed| script(id, seed).aims).map(|(_, name)| name).collect();
        assert_eq!(aims.len(), targets, "S{id}: {aims:?}");
    }
}

#[test]
fn unit_everything_is_taken_back_at_the_end() {
    for scenario in &ALL {
        let script = script(scenario.id, 2);
        let mut driver = Driver::new(script.effects);
        let mut commands = Vec::new();
        while let Some(at) = driver.next_change() {
            commands.extend(driver.advance(at));
        }
        assert_eq!(driver.end(), [], "S{}", scenario.id);
    }
}

/// The effects of a scenario on a fleet, in few words, without their times.
fn check(id: u8, expected: &[&str]) {
    let words = |act: &Act| match act {
        Act::Knob { instance, knob } => format!("{instance} {knob:?}"),
        Act::Network { caller, callee, .. } => format!("{caller}→{callee}"),
        Act::Terminate { instance, .. } => format!("kill {instance}"),
        Act::Restart { instance } => format!("restart {instance}"),
    };
    let acts: Vec<String> = script(id, 1).effects.iter().map(|effect| words(&effect.act)).collect();
    assert_eq!(acts, expected, "S{id}");
}

#[test]
fn unit_scenarios_hit_whom_they_name() {
    let pool = |n| format!("order-service-{n} DbPoolSize(2)");
    check(1, &[&pool(1), &pool(2), &pool(3)]);
    check(3, &["inventory-service-1 DbLockHold(LockHold { hold_ms: 800, every_ms: 1000 })"]);
    check(4, &["order-service→payment-service"]);
    check(5, &["gateway→user-service"]);
    check(12, &["registry-1 DeadAddressOf(\"shipping-service\")"]);
    check(25, &["cache-1 CacheTtlMs(0)"]);
    check(28, &[]);
    let kills = ["kill payment-service-1", "kill payment-service-2"].repeat(5);
    check(9, &kills);
    let both = script(30, 1).effects.len();
    assert_eq!(both, script(2, 1).effects.len() + script(9, 1).effects.len());
}

#[test]
fn unit_a_fleet_without_the_service_is_left_alone() {
    for scenario in &ALL {
        let script = Script::new(scenario, Phases::default(), 1, &Fleet::default());
        let instances = script.effects.iter().filter(|e| !matches!(e.act, Act::Network { .. }));
        assert_eq!(instances.count(), 0, "S{}", scenario.id);
    }
}

#[test]
fn unit_a_short_fault_still_kills_once() {
    let phases = Phases::within(Duration::from_secs(20));
    let script = Script::new(Scenario::by_id(9).unwrap(), phases, 1, &fleet());
    assert_eq!(script.effects.len(), 2);
}

#[test]
fn unit_phases_fill_a_run() {
    let phases = Phases::within(Duration::from_secs(170));
    assert_eq!(phases.fault_from(), Duration::from_secs(90));
    assert_eq!(phases.fault_to(), Duration::from_secs(140));
    assert_eq!(phases.total(), Duration::from_secs(170));
    assert_eq!(Phases::default().fault_from(), Duration::from_secs(180));
}

/// A report in which orders take these times before and during the fault.
fn report(before_ms: u64, during_ms: u64, phases: Phases) -> Report {
    let mut report = Report::new(phases.boundaries());
    for (at, ms) in [(phases.warm_up, before_ms), (phases.fault_from(), during_ms)] {
        for _ in 0..100 {
            let tally = report.tally(at, Step::Order);
            tally.sent += 1;
            tally.end(201, Duration::from_millis(ms));
        }
    }
    report
}

#[test]
fn unit_the_record_says_who_when_and_whether_anyone_would_notice() {
    let phases = Phases::default();
    let record = script(20, 1).record(1_000_000_000, &report(100, 110, phases));
    assert!(!record.valid, "{}", record.why);
    let record = script(20, 1).record(1_000_000_000, &report(100, 140, phases));
    assert!(record.valid, "{}", record.why);
    assert_eq!(record.start_ns, 181_000_000_000);
    assert_eq!(record.end_ns, 281_000_000_000);
    let instance = record.also.iter().find(|culprit| culprit.kind == CulpritKind::Instance);
    assert!(instance.unwrap().name.starts_with("order-service-"), "{:?}", record.also);
}

#[test]
fn unit_loads_change_in_the_window() {
    let (from, to) = (Phases::default().fault_from(), Phases::default().fault_to());
    let Some(Change::Surge(surge)) = script(28, 1).load else { panic!("no surge") };
    assert_eq!((surge.from, surge.to), (from, to));
    let Some(Change::Favourite { user, percent, .. }) = script(16, 1).load else {
        panic!("no favourite")
    };
    assert_eq!((percent, (1..=500).contains(&user)), (50, true));
}

#[test]
fn unit_a_hot_shard_is_that_of_the_favourite() {
    let script = script(16, 5);
    let Some(Change::Favourite { user, .. }) = script.load else { panic!("no favourite") };
    let shard = crate::topology::shard_of(&format!("u{user}"));
    let expected = [
        (CulpritKind::Db, format!("sqlite:orders@shard-{shard}")),
        (CulpritKind::Attribute, format!("customer.id=u{user}")),
    ];
    assert_eq!(script.aims, expected);
}
