//! The generators keep their promises: reproducible, valid, every field used.
// A generated request that lacks what it must have should fail the test there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use prost::Message;

use super::{Generator, Options};
use crate::compare::Records;

#[test]
fn a_seed_makes_the_same_requests_again() {
    for options in [Options::plausible(), Options::wild()] {
        let bytes = |seed| {
            let mut g = Generator::new(seed, options);
            [g.traces().encode_to_vec(), g.logs().encode_to_vec(), g.metrics().encode_to_vec()]
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
    }
}

#[test]
fn plausible_requests_have_the_asked_size() {
    let mut g = Generator::new(1, Options::plausible());
    let traces = g.traces();
    let spans = &traces.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans.len(), 512);
    assert!(spans.iter().all(|s| s.attributes.len() == 10 && !s.trace_id.is_empty()));
    assert_eq!(Records::of_traces(&traces).len(), 512);
    assert_eq!(Records::of_logs(&g.logs()).len(), 512);
    assert_eq!(Records::of_metrics(&g.metrics()).len(), 512);
}

/// Paths of all fields that some message of the text sets to something.
fn fields_used(text: &str) -> BTreeSet<String> {
    let mut path: Vec<&str> = Vec::new();
    let mut used = BTreeSet::new();
    for line in text.lines() {
        let line = line.trim();
        let name = line.split([':', ' ', '(']).next().unwrap();
        if line.ends_with(['{', '(', '[']) {
            path.push(name);
        } else if line.starts_with(['}', ')', ']']) {
            path.pop();
        }
        let value = line.split_once(": ").map_or("", |(_, v)| v).trim_end_matches(',');
        if line.contains(':') && !["0", "\"\"", "[]", "None", "false", "0.0"].contains(&value) {
            used.insert(name.to_owned());
        }
    }
    used
}

#[test]
fn wild_requests_use_every_field() {
    let mut text = String::new();
    for seed in 0..25 {
        let mut g = Generator::new(seed, Options::wild());
        text += &format!("{:#?}\n{:#?}\n{:#?}\n", g.traces(), g.logs(), g.metrics());
    }
    let used = fields_used(&text);
    let declared: BTreeSet<String> = text
        .lines()
        .filter_map(|l| l.trim().split_once(": "))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        // Only the profiles signal uses these.
        .filter(|name| !name.ends_with("strindex"))
        .collect();
    let unused: Vec<_> = declared.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:?}");
    for variant in [
        "StringValue",
        "BoolValue",
        "IntValue",
        "DoubleValue",
        "ArrayValue",
        "KvlistValue",
        "BytesValue",
        "Gauge(",
        "Sum(",
        "Histogram(",
        "ExponentialHistogram(",
        "Summary(",
        "AsInt",
        "AsDouble",
        "NaN",
        "inf",
    ] {
        assert!(text.contains(variant), "{variant}");
    }
}
