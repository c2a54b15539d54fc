//! Path times written as text, and that their order means nothing.
#![allow(clippy::unwrap_used)] // a failing test may panic

use super::*;
use crate::random::SplitMix64;

/// Traces as text: each line is `root ×weight: key path/spans, …`, the weight and the spans being
/// optional; `gateway 10, order 19/2`.
pub(crate) fn path_times(lines: &[&str]) -> PathTimes {
    let (names, totals, entries) = parse(lines);
    PathTimes::new(&names, &totals, &entries).unwrap()
}

fn parse(lines: &[&str]) -> (Vec<String>, Vec<TraceTotal>, Vec<PathTime>) {
    let (mut names, mut totals, mut entries) = (Vec::<String>::new(), Vec::new(), Vec::new());
    for (trace, line) in lines.iter().enumerate() {
        let (head, rows) = line.split_once(':').unwrap();
        let (root, weight) = head.split_once('×').unwrap_or((head, "1"));
        totals.push(TraceTotal {
            root_ns: root.trim().parse().unwrap(),
            weight: Weight::from_f64(weight.trim().parse().unwrap()),
            root_operation: 0,
        });
        for row in rows.split(',').filter(|row| !row.trim().is_empty()) {
            let (name, time) = row.trim().rsplit_once(' ').unwrap();
            let (path, spans) = time.split_once('/').unwrap_or((time, "1"));
            let key = names.iter().position(|n| n == name).unwrap_or_else(|| {
                names.push(name.into());
                names.len() - 1
            });
            let (path_ns, spans) = (path.parse().unwrap(), spans.parse().unwrap());
            entries.push(PathTime { trace: trace as u32, key: key as u32, path_ns, spans });
        }
    }
    (names, totals, entries)
}

/// Random traces whose entries sum to the root, as the kernel's do.
pub(crate) fn random_traces(
    seed: u64,
    traces: usize,
    keys: usize,
) -> (Vec<String>, Vec<TraceTotal>, Vec<PathTime>) {
    let mut random = SplitMix64::new(seed);
    let names = (0..keys).map(|key| format!("key{key:03}")).collect();
    let (mut totals, mut entries) = (Vec::new(), Vec::new());
    for trace in 0..traces {
        let mut root_ns = 0;
        for key in 0..keys {
            if random.below(3) > 0 {
                let path_ns = random.below(5_000_000) as i64 * (1 + random.below(20) as i64 / 19);
                let spans = 1 + random.below(4) as u32;
                entries.push(PathTime { trace: trace as u32, key: key as u32, path_ns, spans });
                root_ns += path_ns;
            }
        }
        let weight = Weight::from_f64([1.0, 1.5, 4.0][random.below(3)]);
        totals.push(TraceTotal { root_ns, weight, root_operation: 0 });
    }
    (names, totals, entries)
}

/// The same traces with other indices and another order of everything.
pub(crate) fn shuffled(
    seed: u64,
    (names, totals, entries): &(Vec<String>, Vec<TraceTotal>, Vec<PathTime>),
) -> PathTimes {
    let mut random = SplitMix64::new(seed);
    let mut order = |count: usize| {
        let mut to: Vec<usize> = (0..count).collect();
        random.shuffle(&mut to);
        to
    };
    let (trace_to, key_to, entry_to) =
        (order(totals.len()), order(names.len()), order(entries.len()));
    let mut new_totals = totals.clone();
    trace_to.iter().zip(totals).for_each(|(to, total)| new_totals[*to] = *total);
    let mut new_names = names.clone();
    key_to.iter().zip(names).for_each(|(to, name)| new_names[*to].clone_from(name));
    let mut new_entries = entries.clone();
    for (to, entry) in entry_to.iter().zip(entries) {
        let trace = trace_to[entry.trace as usize] as u32;
        let key = key_to[entry.key as usize] as u32;
        new_entries[*to] = PathTime { trace, key, ..*entry };
    }
    PathTimes::new(&new_names, &new_totals, &new_entries).unwrap()
}

fn check_entries(lines: &[&str], expected: &str) {
    let times = path_times(lines);
    let text = |trace: usize| {
        let entries = times.entries(trace).iter();
        let rows: Vec<String> = entries
            .map(|e| format!("{} {}/{}", times.keys()[e.key as usize], e.path_ns, e.spans))
            .collect();
        format!("{}: {}", times.traces()[trace].root_ns, rows.join(", "))
    };
    let found: Vec<String> = (0..times.traces().len()).map(text).collect();
    assert_eq!(found.join("; "), expected);
}

#[test]
fn traces_and_keys_are_ordered_and_equal_ones_added() {
    check_entries(&["9: b 4, a 5", "7: c 7"], "7: c 7/1; 9: a 5/1, b 4/1");
    check_entries(&["9: b 4, a 1/2, b 4", "9: a 9"], "9: a 1/2, b 8/2; 9: a 9/1");
    check_entries(&["9: a 0/0, b 9", "0:"], "0: ; 9: b 9/1");
    check_entries(&[], "");
}

#[test]
fn an_index_that_is_not_there_is_refused() {
    let entry = PathTime { trace: 1, key: 0, path_ns: 1, spans: 1 };
    let error = PathTimes::new(&["a".into()], &[TraceTotal::default()], &[entry]).unwrap_err();
    assert!(error.to_string().starts_with("path time of trace 1 and key 0"), "{error}");
    let entry = PathTime { trace: 0, key: 1, path_ns: 1, spans: 1 };
    assert!(PathTimes::new(&["a".into()], &[TraceTotal::default()], &[entry]).is_err());
}
