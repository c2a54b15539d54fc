//! Small systems with one fault each, written as `place base → fault` in milliseconds.
#![allow(clippy::unwrap_used)] // a failing test may panic

use super::*;
use crate::random::SplitMix64;

const S: i64 = 1_000_000_000;
const CALLS: u64 = 200;

/// 200 calls around a mean, with a noise of ± 10 % that is the same in every test.
fn measured(mean_ms: f64, errors: u64, seed: u64) -> Measured {
    let mut random = SplitMix64::new(seed);
    let sample_ns: Vec<i64> =
        (0..CALLS).map(|_| (mean_ms * (900_000.0 + random.below(200_000) as f64)) as i64).collect();
    let sum_ns = (mean_ms * 1e6) as i64 * CALLS as i64;
    Measured { calls: CALLS, sum_ns, path_ns: sum_ns, errors, sample_ns, ..Measured::default() }
}

/// `order.place`, `order→payment`, `order→db:orders`, `instance pay-2 of pay.charge`; then `20 21`, and
/// errors in the fault window as `30%`.
fn component(line: &str) -> Component {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (place, numbers) = match words[..] {
        ["instance", name, "of", own, ref rest @ ..] => {
            let subject = Subject::new(SubjectKind::Instance, name);
            let (service, operation) = own.split_once('.').unwrap();
            let (service, operation) = (service.into(), operation.into());
            (Place::Part { service, subject, operation }, rest)
        }
        [name, ref rest @ ..] => {
            let place = match (name.split_once('→'), name.split_once('.')) {
                (Some((caller, callee)), _) => {
                    let callee_kind = match callee.split_once(':') {
                        Some(("db", _)) => NodeKind::Db,
                        Some(("ext", _)) => NodeKind::External,
                        _ => NodeKind::Service,
                    };
                    // `order→db:orders#INSERT` names a statement.
                    let (callee, operation) = callee.split_once('#').unwrap_or((callee, ""));
                    let (callee, operation) = (callee.into(), operation.into());
                    Place::Edge { caller: caller.into(), callee, callee_kind, operation }
                }
                (_, Some((service, operation))) => {
                    Place::Own { service: service.into(), operation: operation.into() }
                }
                _ => panic!("no place in {line}"),
            };
            (place, rest)
        }
        [] => panic!("an empty line"),
    };
    let errors = numbers.get(2).map_or(0, |text| text.trim_end_matches('%').parse().unwrap());
    let [base, fault] = [0, 1].map(|i| numbers[i].parse::<f64>().unwrap());
    Component { base: measured(base, 0, 1), fault: measured(fault, errors * CALLS / 100, 2), place }
}

fn input(lines: &[&str]) -> CauseInput {
    let window = Window { from_ns: 1_000 * S, to_ns: 1_100 * S, requests: 1_000 };
    CauseInput {
        fault: window,
        base: Window { from_ns: 800 * S, to_ns: 1_000 * S, requests: 2_000 },
        components: lines.iter().map(|line| component(line)).collect(),
        ..CauseInput::default()
    }
}

/// The rows as `name score`, in their order.
fn check(input: &CauseInput, expected: &[&str]) {
    let rows = rank_causes(input);
    let text = |c: &Cause| format!("{} {:.2}", c.subject.name, c.score);
    assert_eq!(rows.iter().map(text).collect::<Vec<_>>(), expected);
}

const SHOP: [&str; 5] = [
    "gateway.get 10 10",
    "order.place 20 21",
    "payment.charge 30 30",
    "gateway→order 6 6",
    "order→db:o 15 15",
];

fn shop_with(more: &[&str]) -> CauseInput {
    input(&[&SHOP, more].concat())
}

#[test]
fn the_example_of_the_page() {
    let rows = rank_causes(&shop_with(&["order→payment 4 84"]));
    let first = &rows[0];
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(first.subject, Subject::edge("order", "payment"));
    assert_eq!(first.charged_to, "payment");
    assert!((first.evidence.e1 - 3.02).abs() < 0.005, "{:?}", first.evidence);
    assert_eq!(first.score, 1.0);
    assert_eq!(first.why, "time between order and payment 4.0 ms → 84.0 ms per call (×20.5)");
    let order = component("order.place 20 21");
    let levels = evidence::Levels::of(&input(&["order.place 20 21"]), order.fault.path_ns);
    let own = evidence::slowdown(&order, true, &levels).unwrap();
    assert!(own.counts && (own.growth - 0.05).abs() < 0.005, "{own:?}");
}

#[test]
fn nothing_stands_out_in_an_ordinary_hour() {
    check(&shop_with(&["order→payment 4 4"]), &[]);
    check(&shop_with(&["order→payment 4 4.9"]), &[]);
    check(&CauseInput::default(), &[]);
    // A firing or a change alone makes no cause.
    let mut quiet = shop_with(&[]);
    quiet.changes = vec![change(SubjectKind::Service, "order", 1_050)];
    quiet.firings = vec![firing("order", false)];
    check(&quiet, &[]);
}

fn change(kind: SubjectKind, name: &str, at_s: i64) -> Change {
    Change { subject: Subject::new(kind, name), at_ns: at_s * S, text: "version 1.4.1".into() }
}

fn firing(name: &str, in_base: bool) -> Firing {
    let subject = Subject::new(SubjectKind::Service, name);
    Firing { subject, in_base, evidence: "pool full in 9 of 30 points".into() }
}

#[test]
fn small_or_chance_growth_does_not_count() {
    // Three times slower, on less than 1 % of the path.
    check(&shop_with(&["user.get 0.2 0.6"]), &[]);
    // Microseconds are damped by τ.
    check(&input(&["a.x 0.01 0.03"]), &[]);
    // The means differ, the samples do not.
    let mut chance = input(&["a.x 10 20", "b.x 10 10"]);
    chance.components[0].fault.sample_ns = chance.components[0].base.sample_ns.clone();
    check(&chance, &[]);
    // Nothing to compare with.
    let mut new = input(&["a.x 10 20", "b.x 10 10"]);
    new.components[0].base = Measured::default();
    check(&new, &[]);
}

#[test]
fn one_slow_statement_does_not_drown_among_quick_ones() {
    let rows = rank_causes(&shop_with(&["order→db:o#SELECT 10 10", "order→db:o#INSERT 2 20"]));
    assert_eq!(rows[0].subject, Subject::new(SubjectKind::Db, "db:o"));
    assert_eq!(rows[0].why, "INSERT of order in db:o 2.0 ms → 20.0 ms per call (×9.6)");
}

#[test]
fn work_that_was_never_done_before_counts_in_a_service_that_was_there() {
    let mut new = shop_with(&["order.db.pool.acquire 1 40"]);
    new.components.last_mut().unwrap().base = Measured::default();
    check(&new, &["order 1.00"]);
    let place = Place::Own { service: "new".into(), operation: "get".into() };
    new.components.last_mut().unwrap().place = place;
    check(&new, &[]);
}

#[test]
fn errors_count_when_they_are_more_than_chance() {
    check(&shop_with(&["order→payment 4 4 30%"]), &["order→payment 0.60"]);
    check(&shop_with(&["order→payment 4 4 2%"]), &[]);
    let rows = rank_causes(&input(&["payment.charge 30 60 80%"]));
    assert_eq!(
        rows[0].why,
        "errors 0.0 % → 80.0 % of calls; own time of charge 30.0 ms → 60.0 ms per call (×2.0)"
    );
    assert!((rows[0].score - 1.0 - (60.1_f64 / 30.1).log10()).abs() < 1e-9);
}

#[test]
fn saturation_and_change_add_to_the_score() {
    let mut with = shop_with(&["payment.refund 30 90"]);
    with.firings = vec![firing("payment", false), firing("order", true)];
    with.changes = vec![
        change(SubjectKind::Service, "payment", 700),
        change(SubjectKind::Version, "order 1.4.1", 699),
        change(SubjectKind::Version, "payment 1.4.1", 1_100),
        change(SubjectKind::Service, "gateway", 1_101),
    ];
    check(&with, &["payment 1.23", "payment 1.4.1 0.25"]);
    let why = &rank_causes(&with)[0].why;
    assert_eq!(
        why,
        "saturated: pool full in 9 of 30 points; own time of refund 30.0 ms → 90.0 ms per call \
         (×3.0); changed: version 1.4.1"
    );
}

#[test]
fn a_node_answers_for_edges_that_grew_alike() {
    let rows =
        rank_causes(&shop_with(&["order→stock 5 40", "cart→stock 5 60", "user→stock 5 6.6"]));
    let names: Vec<&str> = rows.iter().map(|row| row.subject.name.as_str()).collect();
    assert_eq!(names, ["stock", "user→stock"]);
    assert_eq!(rows[0].subject.kind, SubjectKind::Service);
    assert_eq!(rows[0].edges, ["cart→stock", "order→stock"]);
    assert!((rows[0].evidence.e1 - (60.1_f64 / 5.1).ln()).abs() < 1e-9);
    // One edge alone, or one far above the other, stays an edge.
    check(&shop_with(&["order→stock 5 40", "cart→stock 5 5"]), &["order→stock 0.90"]);
    check(
        &shop_with(&["order→stock 5 40", "cart→stock 5 6.6"]),
        &["order→stock 0.90", "cart→stock 0.12"],
    );
    // Refused by all.
    check(&shop_with(&["order→stock 5 5 40%", "cart→stock 5 5 50%"]), &["stock 1.00"]);
}

#[test]
fn what_sends_no_spans_is_a_node_with_its_edges() {
    let rows = rank_causes(&input(&["order→ext:psp 10 90", "cart→ext:psp 10 10", "a.x 50 50"]));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].subject, Subject::new(SubjectKind::External, "ext:psp"));
    assert_eq!(rows[0].edges, ["cart→ext:psp", "order→ext:psp"]);
    check(&input(&["order→db:o 10 90", "a.x 50 50"]), &["db:o 0.95"]);
}

#[test]
fn equal_scores_go_by_path_time_and_then_by_name() {
    check(&input(&["b.x 1 99", "c.x 2 198", "a.x 1 99"]), &["c 1.00", "a 1.00", "b 1.00"]);
}

/// A part with a share of the calls of its service.
fn part(name: &str, own: &str, base: f64, fault: f64, share: u64) -> Component {
    let mut part = component(&format!("instance {name} of {own} {base} {fault}"));
    for of in [&mut part.fault, &mut part.base] {
        (of.calls, of.sum_ns, of.path_ns) =
            (of.calls / share, of.sum_ns / share as i64, of.path_ns / share as i64);
    }
    part
}

#[test]
fn a_part_stands_for_its_service_where_the_rest_is_as_before() {
    let with = |service: &str, parts: Vec<Component>| {
        let mut with = shop_with(&[service]);
        with.components.extend(parts);
        with
    };
    // One of two takes 190 ms, the other 10 as before.
    let one = vec![part("pay-1", "pay.x", 10.0, 190.0, 2), part("pay-2", "pay.x", 10.0, 10.0, 2)];
    check(&with("pay.x 10 100", one.clone()), &["pay-1 1.00"]);
    // Both take longer.
    let both = vec![part("pay-1", "pay.x", 10.0, 110.0, 2), part("pay-2", "pay.x", 10.0, 90.0, 2)];
    check(&with("pay.x 10 100", both), &["pay 1.00"]);
    // There is no other.
    check(&with("pay.x 10 100", vec![part("pay-1", "pay.x", 10.0, 100.0, 1)]), &["pay 1.00"]);
    // A new one is held against what its service did before.
    let mut new = one;
    new[0].base = Measured::default();
    check(&with("pay.x 10 100", new), &["pay-1 1.00"]);
}

#[test]
fn errors_of_one_part_are_not_those_of_its_service() {
    let mut with = shop_with(&["pay.x 10 10 40%"]);
    let mut bad = part("pay-1", "pay.x", 10.0, 10.0, 2);
    bad.fault.errors = CALLS * 4 / 10;
    with.components.extend([bad, part("pay-2", "pay.x", 10.0, 10.0, 2)]);
    check(&with, &["pay-1 1.00"]);
}

/// `order.place→db:o SELECT 1 12` or `order.place series 1 12`: calls for each of 100 runs, and as many
/// times 2 ms lost.
fn calling(line: &str) -> Calling {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (own, callee) = words[0].split_once('→').unwrap_or((words[0], ""));
    let (service, operation) = own.split_once('.').unwrap();
    let [base, fault] = [2, 3].map(|at| words[at].parse::<f64>().unwrap());
    let counted = |each: f64| {
        let calls = (each * 100.0) as u64;
        let saving_ns = if callee.is_empty() { calls as i64 * 2_000_000 } else { 0 };
        Counted { runs: 100, calls, saving_ns }
    };
    let callee_kind = if callee.starts_with("db:") { NodeKind::Db } else { NodeKind::Service };
    let manner = match callee {
        "" => Manner::InSeries { rule: "serial_fanout".into() },
        _ => Manner::Repeats { callee: callee.into(), callee_kind, call: words[1].into() },
    };
    let (service, operation) = (service.into(), operation.into());
    Calling { service, operation, manner, fault: counted(fault), base: counted(base) }
}

fn shop_calling(components: &[&str], callings: &[&str]) -> CauseInput {
    let callings = callings.iter().map(|line| calling(line)).collect();
    CauseInput { callings, ..shop_with(components) }
}

#[test]
fn who_calls_more_often_is_to_blame_and_not_who_is_called() {
    check(&shop_calling(&[], &["cart.add→db:o SELECT 1 12"]), &["cart 1.00"]);
    check(&shop_calling(&[], &["cart.add→user GET 1 5"]), &["cart→user 0.67"]);
    let why = &rank_causes(&shop_calling(&[], &["cart.add→db:o SELECT 1 12"]))[0].why;
    assert_eq!(why, "SELECT in db:o 1.0 → 12.0 times for each add (×11.0)");
    // Not yet twice as often, and so seldom that it says nothing.
    check(&shop_calling(&[], &["cart.add→db:o SELECT 1 1.9"]), &[]);
    check(&shop_calling(&[], &["cart.add→db:o SELECT 0 0.05"]), &[]);
}

#[test]
fn calls_in_series_count_by_what_they_cost() {
    check(&shop_calling(&[], &["cart.add series 0 3"]), &["cart 1.00"]);
    check(&shop_calling(&[], &["cart.add series 3 6"]), &["cart 0.30"]);
    let why = &rank_causes(&shop_calling(&[], &["cart.add series 3 6"]))[0].why;
    assert_eq!(
        why,
        "3.0 → 6.0 calls one after another in each add, which costs 6.0 ms → 12.0 ms (×2.0)"
    );
    // A few calls more.
    check(&shop_calling(&[], &["cart.add series 3 4"]), &[]);
    // As many calls as before that take longer are not the caller's doing.
    let mut slower = shop_calling(&[], &["cart.add series 3 3"]);
    slower.callings[0].fault.saving_ns *= 10;
    check(&slower, &[]);
}

#[test]
fn a_cache_that_misses_is_charged_with_what_follows() {
    let mut with = shop_calling(&["order→cache 1 1"], &["order.place→db:o SELECT 0.1 1"]);
    with.components.last_mut().unwrap().fault.misses = CALLS * 9 / 10;
    check(&with, &["order→cache 1.74"]);
    assert_eq!(
        rank_causes(&with)[0].why,
        "missed 0.0 % → 90.0 % of look-ups; SELECT in db:o 0.1 → 1.0 times for each place (×5.5)"
    );
    // What is asked for changes a bit all the time.
    let mut little = shop_with(&["order→cache 1 1"]);
    little.components.last_mut().unwrap().fault.misses = CALLS * 8 / 100;
    check(&little, &[]);
}

#[test]
fn a_refusal_stands_behind_what_else_changed() {
    let mut with = shop_calling(&["gateway→stock 5 5"], &["gateway.get→user POST 0 1"]);
    with.components.last_mut().unwrap().fault.refusals = CALLS;
    check(&with, &["gateway→user 1.00", "gateway→stock 0.50"]);
    assert_eq!(rank_causes(&with)[1].why, "refused 0.0 % → 100.0 % of calls");
}

#[test]
fn a_few_very_long_calls_are_no_chance() {
    // One of eight stands still for 800 ms.
    let mut with = shop_with(&["stock.get 10 10"]);
    let fault = &mut with.components.last_mut().unwrap().fault;
    fault.sample_ns.iter_mut().step_by(8).for_each(|ns| *ns = 800_000_000);
    fault.sum_ns += 100_000_000 * CALLS as i64;
    check(&with, &["stock 1.00"]);
}

#[test]
fn load_blames_no_service() {
    let tripled = |lines: &[&str]| {
        let mut with = input(lines);
        with.fault.requests = 3_000;
        with
    };
    let slow = ["a.x 10 22", "b.x 10 25", "a→b 10 24", "c.x 10 21", "b→db:o 10 90"];
    check(&tripled(&slow), &["upstream-load 0.48"]);
    assert_eq!(
        rank_causes(&tripled(&slow))[0].why,
        "requests 10.0 → 30.0 per second (×3.0), 4 of 5 parts of the path slowed alike (×2.4): no \
         service is blamed"
    );
    // The same without more requests, or with less in common.
    assert_eq!(rank_causes(&input(&slow))[0].subject.name, "db:o");
    let mixed = ["a.x 10 22", "b.x 10 10", "a→b 10 24", "c.x 10 60", "b→db:o 10 90"];
    assert_eq!(rank_causes(&tripled(&mixed))[0].subject.name, "db:o");
    // One fault among parts that did not slow is still found.
    check(
        &tripled(&["a.x 10 10", "b.x 10 10", "c.x 10 10", "a→b 10 90", "b→c 10 10"]),
        &["a→b 0.95"],
    );
    // Nothing slowed.
    check(&tripled(&SHOP), &["upstream-load 0.48"]);
    let why = &rank_causes(&tripled(&SHOP))[0].why;
    assert!(why.contains("nothing else stands out"), "{why}");
}

#[test]
fn the_order_of_the_input_means_nothing() {
    let lines = [
        "a.x 10 22",
        "a.y 10 22",
        "b.x 3 25 3%",
        "a→b 10 24 9%",
        "c→b 10 21 9%",
        "b→db:o 10 90",
        "d→db:o 10 90",
        "instance b-1 of b.x 3 25",
        "d.x 10 22",
    ];
    let mut with = input(&lines);
    with.changes =
        vec![change(SubjectKind::Service, "b", 1_000), change(SubjectKind::Service, "z", 900)];
    with.firings = vec![firing("b", false), firing("y", false)];
    let expected = rank_causes(&with);
    assert!(expected.len() > 4);
    for seed in 0..50 {
        let mut random = SplitMix64::new(seed);
        random.shuffle(&mut with.components);
        random.shuffle(&mut with.changes);
        random.shuffle(&mut with.firings);
        for component in &mut with.components {
            random.shuffle(&mut component.fault.sample_ns);
        }
        assert_eq!(rank_causes(&with), expected, "seed {seed}");
    }
}

#[test]
fn baselines_rank_by_their_formulas() {
    use baselines::{Scored, naive_self_growth, random_order, trace_rca};
    let with = shop_with(&["order→payment 4 84"]);
    let text = |rows: Vec<Scored>| {
        let row = |s: &Scored| format!("{} {:.3}", s.node, s.score);
        rows.iter().map(row).collect::<Vec<_>>().join(", ")
    };
    // 200 calls in 1,000 requests, and in 2,000 of the base window.
    assert_eq!(
        text(naive_self_growth(&with, 1)),
        "order 20100000.000, payment 3000000.000, gateway 1600000.000"
    );
    // 200 of payment's 400 calls are beyond 3σ, and no others.
    let found = trace_rca(&with, 1);
    assert_eq!(text(found[..1].to_vec()), "payment 0.667");
    assert!(found[1..].iter().all(|s| s.score == 0.0));
    let orders: BTreeSet<String> = (0..50).map(|seed| text(random_order(&with, seed))).collect();
    assert!(orders.len() > 15, "{}", orders.len());
    assert_eq!(random_order(&with, 3), random_order(&with, 3));
}
