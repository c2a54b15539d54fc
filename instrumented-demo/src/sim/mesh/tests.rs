//! The made-up systems have the shapes that they are named for.
// A generated request that lacks what it must have should fail the test there.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::sim::tests::{Kept, Row, small};
use crate::sim::{Preset, Summary};

fn data(preset: Preset, requests: u64) -> (Vec<Row>, Summary) {
    let (kept, summary) = Kept::of(&small(preset, requests));
    (kept.spans(), summary)
}

/// Spans and depth, in services, of each trace.
fn shapes(rows: &[Row]) -> Vec<(usize, usize)> {
    let spans: HashMap<&[u8], &Row> =
        rows.iter().map(|row| (row.1.span_id.as_slice(), row)).collect();
    let mut traces: BTreeMap<&[u8], (usize, usize)> = BTreeMap::new();
    for row in rows {
        let above = std::iter::successors(Some(row), |(_, span)| {
            spans.get(span.parent_span_id.as_slice()).copied()
        });
        let depth = above.filter(|(_, span)| span.kind == 2).count();
        let shape = traces.entry(&row.1.trace_id).or_default();
        *shape = (shape.0 + 1, shape.1.max(depth));
    }
    traces.into_values().collect()
}

fn quantile(mut numbers: Vec<usize>, percent: usize) -> usize {
    numbers.sort_unstable();
    numbers[(numbers.len() * percent / 100).min(numbers.len() - 1)]
}

#[test]
fn unit_large_systems_have_their_services_and_depths() {
    let cases = [
        (Preset::Alibaba500, 500, 300),
        (Preset::Netflix700, 700, 400),
        (Preset::Uber1000, 1_000, 500),
    ];
    for (preset, services, seen_min) in cases {
        let (rows, summary) = data(preset, 1_000);
        let seen: BTreeSet<&str> = rows.iter().map(|(service, _)| service.as_str()).collect();
        assert!((seen_min..=services).contains(&seen.len()), "{preset:?}: {}", seen.len());
        let shapes = shapes(&rows);
        let depths = shapes.iter().map(|(_, depth)| *depth).collect();
        let sizes = shapes.iter().map(|(spans, _)| *spans).collect();
        let (p50, most) = (quantile(depths, 50), shapes.iter().map(|s| s.1).max().unwrap());
        assert!((2..=6).contains(&p50) && most <= 6, "{preset:?}: depth {p50}, {most}");
        let p50 = quantile(sizes, 50);
        assert!((10..=200).contains(&p50), "{preset:?}: {p50} spans");
        // A few are called by many, most by a few.
        let mut callers: BTreeMap<&str, u64> = BTreeMap::new();
        for edge in summary.answers.edges.iter().filter(|edge| edge.target_kind == "service") {
            *callers.entry(&edge.target).or_default() += 1;
        }
        let most = callers.values().max().copied().unwrap_or_default();
        let middle = quantile(callers.values().map(|n| *n as usize).collect(), 50);
        assert!(most >= 20 && middle <= 5, "{preset:?}: {most}, {middle}");
    }
}

#[test]
fn unit_of_ubers_good_requests_nearly_a_third_hold_an_error() {
    let (rows, summary) = data(Preset::Uber1000, 1_000);
    let root = |row: &Row| row.1.parent_span_id.is_empty();
    let failed = |row: &Row| row.1.status.as_ref().is_some_and(|status| status.code == 2);
    let bad: BTreeSet<&[u8]> =
        rows.iter().filter(|r| root(r) && failed(r)).map(|r| r.1.trace_id.as_slice()).collect();
    let holding: BTreeSet<&[u8]> = rows
        .iter()
        .filter(|r| failed(r) && !bad.contains(r.1.trace_id.as_slice()))
        .map(|r| r.1.trace_id.as_slice())
        .collect();
    let good = summary.answers.traces - bad.len() as u64;
    let percent = 100 * holding.len() as u64 / good;
    assert!((23..=33).contains(&percent), "{percent} %");
    assert!(!bad.is_empty());
}

#[test]
fn unit_fetches_are_wide_and_shallow() {
    let shapes = shapes(&data(Preset::MetaFetch, 8).0);
    let (spans, _) = shapes.iter().max().copied().unwrap_or_default();
    assert!(spans > 1_000, "{shapes:?}");
    assert!(shapes.iter().all(|(_, depth)| (2..=4).contains(depth)), "{shapes:?}");
}

#[test]
fn unit_few_methods_take_most_calls_and_few_calls_most_of_the_time() {
    let rows = data(Preset::RpcSkew, 3_000).0;
    let mut methods: HashMap<&str, (u64, u64)> = HashMap::new();
    for (_, span) in rows.iter().filter(|(_, span)| span.kind == 2) {
        let sums = methods.entry(&span.name).or_default();
        sums.0 += 1;
        sums.1 += span.end_time_unix_nano - span.start_time_unix_nano;
    }
    let mut calls: Vec<u64> = methods.values().map(|sums| sums.0).collect();
    calls.sort_unstable_by(|a, b| b.cmp(a));
    let all: u64 = calls.iter().sum();
    let percent = |of: u64, all: u64| 100 * of / all;
    let top = |n: usize| percent(calls[..n].iter().sum(), all);
    assert!((56..=60).contains(&top(10)), "{}", top(10));
    assert!((89..=92).contains(&top(100)), "{}", top(100));
    let slow: Vec<&(u64, u64)> =
        methods.values().filter(|(calls, ns)| ns / calls > 50_000_000).collect();
    let time: u64 = methods.values().map(|sums| sums.1).sum();
    let slow_time = percent(slow.iter().map(|sums| sums.1).sum(), time);
    let slow_calls = 1000 * slow.iter().map(|sums| sums.0).sum::<u64>() / all;
    assert!((85..=92).contains(&slow_time), "{slow_time}");
    assert!((8..=14).contains(&slow_calls), "{slow_calls}");
}
