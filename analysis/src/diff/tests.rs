//! Traces as text: one line a span, indented under its parent, `step start self critical`.
#![allow(clippy::unwrap_used)] // a failing test may panic

use proptest::prelude::*;

use super::*;
use crate::path_times::TraceTotal;
use crate::random::SplitMix64;
use crate::sampling::Weight;

fn trace<'a>(lines: &[&'a str]) -> Vec<DiffSpan<'a>> {
    let mut spans: Vec<DiffSpan<'a>> = Vec::new();
    let mut open: Vec<(usize, u32)> = Vec::new();
    for line in lines {
        let indent = line.len() - line.trim_start().len();
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |i: usize| words.get(i).map_or(0, |word| word.parse().unwrap());
        open.retain(|(of, _)| *of < indent);
        let span = DiffSpan {
            parent: open.last().map(|(_, parent)| *parent),
            step: words[0],
            start_ns: number(1),
            span_id: spans.len() as u64,
            self_ns: number(2),
            critical_ns: if words.len() > 3 { number(3) } else { number(2) },
        };
        open.push((indent, spans.len() as u32));
        spans.push(span);
    }
    spans
}

fn check(a: &[&str], b: &[&str], expected: &[&str], critical_ns: i64) {
    let found = trace_diff(&trace(a), &trace(b));
    let rows: Vec<String> = found
        .rows
        .iter()
        .map(|r| {
            let sign = match r.presence {
                Presence::Both => "",
                Presence::Added => "+",
                Presence::Removed => "-",
            };
            format!("{sign}{} {} {} {}", r.path, r.count, r.self_ns, r.critical_ns)
        })
        .collect();
    assert_eq!(rows, expected);
    assert_eq!(found.critical_ns, critical_ns);
}

#[test]
fn the_example_of_the_page() {
    check(
        &["gateway 0 5", " order 2 10", "  pricing 5 20"],
        &["gateway 100 5", " order 102 12", "  pricing 105 20", "  pricing 127 25"],
        &[
            "gateway 0 0 0",
            "gateway/order 0 2 2",
            "gateway/order/pricing 0 0 0",
            "+gateway/order/pricing#2 1 25 25",
        ],
        62 - 35,
    );
}

#[test]
fn nodes_come_in_start_order_and_are_matched_by_path_and_ordinal() {
    check(
        &["g 0 1", " late 50 1", "  x 51 1", " early 10 4 2", " early 5 3"],
        &["g 0 1", " new 20 7", " early 8 3", "other 0 2"],
        &[
            "g 0 0 0",
            "g/early 0 0 0",
            "-g/early#2 -1 -4 -2",
            "+g/new 1 7 7",
            "-g/late -1 -1 -1",
            "-g/late/x -1 -1 -1",
            "+other 1 2 2",
        ],
        13 - 8,
    );
    check(&[], &[], &[], 0);
    check(&["a 0 1"], &[], &["-a -1 -1 -1"], -1);
}

#[test]
fn cycles_and_lost_parents_become_roots() {
    let mut spans = trace(&["a 0 1", "b 1 2", "c 2 4", "d 3 8"]);
    spans[1].parent = Some(2);
    spans[2].parent = Some(1);
    spans[3].parent = Some(99);
    let found = trace_diff(&[], &spans);
    let paths: Vec<&str> = found.rows.iter().map(|row| row.path.as_str()).collect();
    assert_eq!(paths, ["a", "b", "b/c", "d"]);
}

#[test]
fn a_deep_chain_takes_no_more_than_its_spans() {
    let step = |i: u32| DiffSpan {
        parent: i.checked_sub(1),
        step: "call",
        start_ns: i64::from(i),
        self_ns: 1,
        critical_ns: 1,
        ..DiffSpan::default()
    };
    let chain: Vec<DiffSpan<'_>> = (0..100_000).map(step).collect();
    let found = trace_diff(&chain[..10], &chain);
    assert_eq!((found.rows.len(), found.critical_ns), (100_000, 99_990));
    assert_eq!(found.rows[3].path, "call/call/call/call");
    assert!(found.rows[99_999].path.starts_with("…/call/"));
    assert_eq!(found.rows[99_999].path.matches("call").count(), PATH_STEPS_MAX);
}

fn total(spans: &[DiffSpan<'_>], weight: f64) -> TraceTotal {
    let root_ns = spans.iter().map(|span| span.critical_ns).sum();
    TraceTotal { root_ns, weight: Weight::from_f64(weight), root_operation: 0 }
}

#[test]
fn cohorts_compare_means_per_trace() {
    let mut cohorts = Cohorts::new();
    let a = trace(&["gateway 0 5", " order 2 10", "  pricing 5 20"]);
    let b = trace(&["gateway 0 5", " order 2 12", "  pricing 5 20", "  pricing 27 25"]);
    for _ in 0..10 {
        cohorts.add_first(total(&a, 1.0), &a);
        cohorts.add_second(total(&a, 1.0), &a);
        cohorts.add_second(total(&b, 3.0), &b);
    }
    let found = cohorts.finish(1).unwrap();
    assert_eq!((found.traces, found.unowned_ns), ([10, 20], [0, 0]));
    assert_eq!(found.mean_root_ns, [35.0, (35.0 + 3.0 * 62.0) / 4.0]);
    let rows: Vec<_> = found
        .rows
        .iter()
        .map(|r| format!("{} {:?} {} {} {}", r.path, r.presence, r.count, r.self_ns, r.critical_ns))
        .collect();
    assert_eq!(
        rows,
        [
            "gateway/order/pricing#2 Added 0.75 18.75 18.75",
            "gateway/order Both 0 1.5 1.5",
            "gateway Both 0 0 0",
            "gateway/order/pricing Both 0 0 0",
        ]
    );
    let interval = found.rows[0].interval;
    assert!(interval.lo_ns > 10.0 && interval.hi_ns < 25.0, "{interval:?}");
    assert_eq!(found.rows[2].interval, Default::default());
}

#[test]
fn an_empty_cohort_is_refused() {
    let mut cohorts = Cohorts::new();
    cohorts.add_second(TraceTotal::default(), &[]);
    let error = cohorts.finish(1).unwrap_err();
    assert_eq!(error, EmptyCohort { traces: [0, 1] });
    assert!(error.to_string().starts_with("the first set has 0 traces"), "{error}");
}

/// A random tree; the critical times are made up, and the root lasts their sum.
fn random_trace(random: &mut SplitMix64) -> Vec<DiffSpan<'static>> {
    const STEPS: [&str; 3] = ["order", "pricing", "db"];
    let span = |index: usize, random: &mut SplitMix64| DiffSpan {
        parent: (index > 0).then(|| random.below(index) as u32),
        step: if index > 0 { STEPS[random.below(3)] } else { "gateway" },
        start_ns: random.below(20) as i64,
        span_id: index as u64,
        self_ns: random.below(1_000) as i64,
        critical_ns: (random.below(3) * random.below(1_000)) as i64,
    };
    (0..1 + random.below(12)).map(|index| span(index, random)).collect()
}

/// The same spans in another order.
fn shuffled<'a>(spans: &[DiffSpan<'a>], random: &mut SplitMix64) -> Vec<DiffSpan<'a>> {
    let mut from: Vec<usize> = (0..spans.len()).collect();
    random.shuffle(&mut from);
    let place = |old: u32| from.iter().position(|of| *of == old as usize).unwrap() as u32;
    from.iter()
        .map(|&old| DiffSpan { parent: spans[old].parent.map(place), ..spans[old] })
        .collect()
}

proptest! {
    #[test]
    fn traces_differ_by_their_path_time_in_any_order(seed in any::<u64>()) {
        let random = &mut SplitMix64::new(seed);
        let (a, b) = (random_trace(random), random_trace(random));
        let found = trace_diff(&a, &b);
        prop_assert_eq!(found.critical_ns, total(&b, 1.0).root_ns - total(&a, 1.0).root_ns);
        prop_assert_eq!(trace_diff(&shuffled(&a, random), &shuffled(&b, random)), found.clone());
        let count: i64 = found.rows.iter().map(|row| row.count).sum();
        prop_assert_eq!(count, b.len() as i64 - a.len() as i64);
        prop_assert!(trace_diff(&a, &a).rows.iter().all(|r| (r.count, r.self_ns, r.critical_ns) == (0, 0, 0)));
    }

    #[test]
    fn cohorts_differ_by_their_mean_roots_in_any_order(seed in any::<u64>(), sizes in (1..12_usize, 1..12_usize)) {
        let random = &mut SplitMix64::new(seed);
        let weights = [1.0, 2.5, 8.0];
        let mut sets = [sizes.0, sizes.1].map(|size| -> Vec<_> {
            (0..size).map(|_| (random_trace(random), weights[random.below(3)])).collect()
        });
        let mut expected = None;
        for _ in 0..2 {
            let mut cohorts = Cohorts::new();
            for (spans, weight) in &sets[1] {
                cohorts.add_second(total(spans, *weight), spans);
            }
            for (spans, weight) in &sets[0] {
                cohorts.add_first(total(spans, *weight), spans);
            }
            let found = cohorts.finish(7).unwrap();
            prop_assert_eq!(found.unowned_ns, [0, 0]);
            let sum: f64 = found.rows.iter().map(|row| row.critical_ns).sum();
            let roots = found.mean_root_ns[1] - found.mean_root_ns[0];
            prop_assert!((sum - roots).abs() < 1e-6, "{} {}", sum, roots);
            prop_assert_eq!(expected.get_or_insert(found.clone()), &found);
            sets.iter_mut().for_each(|set| random.shuffle(set));
            for (spans, _) in sets.iter_mut().flatten() {
                *spans = shuffled(spans, random);
            }
        }
    }
}
