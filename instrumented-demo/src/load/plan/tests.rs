//! The list of requests: always the same, and shaped like people.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Change, Options, Plan, Planned, Step};

const SEED: u64 = 1;

fn plan(requests: usize) -> Vec<Planned> {
    Plan::new(Options { seed: SEED, ..Options::default() }).take(requests).collect()
}

/// FNV-1a over all that is planned.
fn hash(plan: impl Iterator<Item = Planned>) -> u64 {
    let text = plan.map(|planned| format!("{planned:?}\n")).collect::<String>();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn unit_the_same_seed_makes_the_same_list() {
    let of = |seed| hash(Plan::new(Options { seed, ..Options::default() }).take(10_000));
    assert_eq!(format!("{:016x}", of(1)), "8184bd46ded7b26e");
    assert_ne!(of(1), of(2));
}

#[test]
fn unit_ends_with_its_duration() {
    let minute = Some(Duration::from_secs(60));
    let all: Vec<_> = Plan::new(Options { duration: minute, ..Options::default() }).collect();
    assert!(all.len() > 1_000);
    assert!(all.iter().map(|planned| planned.at).is_sorted());
    assert!(all.last().unwrap().at < Duration::from_secs(60));
}

#[test]
fn unit_sessions_go_from_login_along_the_allowed_steps() {
    let mut last: HashMap<u64, Step> = HashMap::new();
    for planned in plan(20_000).iter().filter(|planned| planned.session != 0) {
        let Some(before) = last.insert(planned.session, planned.step) else {
            assert_eq!(planned.step, Step::Login, "session {}", planned.session);
            continue;
        };
        let full_cart = (before, planned.step) == (Step::Add, Step::Order);
        let not_ordered = planned.step == Step::Browse;
        let allowed = before.next().iter().any(|(step, _)| *step == planned.step);
        assert!(allowed || full_cart || not_ordered, "{before:?} → {:?}", planned.step);
    }
}

#[test]
fn unit_nobody_pays_or_looks_up_before_the_order_and_no_order_is_empty() {
    let mut ordered: HashMap<u64, bool> = HashMap::new();
    for planned in plan(20_000) {
        match planned.step {
            Step::Order => {
                assert!((1..=5).contains(&planned.items.len()));
                ordered.insert(planned.session, true);
            }
            Step::Pay | Step::LookUp => assert!(ordered.contains_key(&planned.session)),
            Step::View | Step::Add | Step::Partner => assert_eq!(planned.items.len(), 1),
            _ => assert!(planned.items.is_empty()),
        }
    }
}

#[test]
fn unit_steps_come_in_their_shares() {
    let mut counts: BTreeMap<Step, u32> = BTreeMap::new();
    plan(20_000).iter().for_each(|planned| *counts.entry(planned.step).or_default() += 1);
    let percent = |step: Step| 100.0 * f64::from(counts[&step]) / 20_000.0;
    let shares: Vec<_> = Step::ALL.iter().map(|step| (step, percent(*step))).collect();
    println!("{shares:?}");
    let expect = |step: Step, from: f64, to: f64| {
        assert!((from..=to).contains(&percent(step)), "{step:?} not in {from}–{to}: {shares:?}");
    };
    expect(Step::Partner, 1.7, 2.3);
    expect(Step::Browse, 10.0, 20.0);
    expect(Step::View, 20.0, 30.0);
    expect(Step::Order, 10.0, 15.0);
    expect(Step::Pay, 8.0, 13.0);
    expect(Step::LookUp, 8.0, 13.0);
}

#[test]
fn unit_popular_items_and_tenants_lead() {
    let all = plan(20_000);
    let mut items: BTreeMap<u32, u32> = BTreeMap::new();
    let mut tenants: BTreeMap<u32, u32> = BTreeMap::new();
    for planned in &all {
        planned.items.iter().for_each(|item| *items.entry(item.item).or_default() += 1);
        *tenants.entry(planned.tenant).or_default() += 1;
        assert_eq!(super::tenant_of(planned.user), planned.tenant);
        assert!((1..=500).contains(&planned.user));
    }
    assert!(items[&1] > 5 * items[&10]);
    assert!(tenants[&1] > 2 * tenants[&3]);
    assert_eq!(tenants.len(), 20);
    for region in ["eu", "us", "ap"] {
        assert!(all.iter().any(|planned| planned.region == region));
    }
}

#[test]
fn unit_a_favourite_makes_half_of_the_orders_of_its_window() {
    let at = Duration::from_secs;
    let change = Change::Favourite { user: 7, percent: 50, from: at(600), to: at(1_200) };
    let options = Options { change: Some(change), ..Options::default() };
    let orders: Vec<_> = Plan::new(options)
        .take_while(|planned| planned.at < at(1_800))
        .filter(|planned| planned.step == Step::Order)
        .collect();
    let share = |from: u64, to: u64| {
        let window: Vec<_> =
            orders.iter().filter(|order| (at(from)..at(to)).contains(&order.at)).collect();
        window.iter().filter(|order| order.user == 7).count() as f64 / window.len() as f64
    };
    assert!(share(0, 600) < 0.05);
    // Half of the sessions that order, and those who then come back and order again.
    assert!((0.45..0.65).contains(&share(600, 1_200)), "{}", share(600, 1_200));
    assert!(share(1_300, 1_800) < 0.05);
}
