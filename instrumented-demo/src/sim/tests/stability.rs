//! The same seed makes the same bytes.

use super::*;

fn hash(options: &Options) -> String {
    let (kept, _) = Kept::of(options);
    let mut bytes = Vec::new();
    for (signal, request) in &kept.requests {
        bytes.push(*signal as u8);
        bytes.extend((request.len() as u64).to_le_bytes());
        bytes.extend(request);
    }
    blake3::hash(&bytes).to_hex().to_string()
}

#[test]
fn unit_threads_change_nothing() {
    for preset in Preset::value_variants() {
        // Several blocks of each.
        let requests = match preset {
            Preset::Shop | Preset::Day1e9 => 5_000,
            Preset::MetaFetch => 70,
            Preset::DeepChain => 2,
            Preset::Dirty => 600,
            _ => 2_100,
        };
        let options = small(*preset, requests);
        let hashes: Vec<String> =
            (1..=3).map(|threads| hash(&Options { threads, ..options.clone() })).collect();
        assert_eq!(hashes[0], hashes[1], "{preset:?}");
        assert_eq!(hashes[0], hashes[2], "{preset:?}");
    }
}

#[test]
fn unit_another_seed_makes_other_bytes() {
    let options = small(Preset::Shop, 50);
    assert_ne!(hash(&options), hash(&Options { seed: 2, ..options.clone() }));
}

#[test]
fn unit_a_fault_changes_nothing_before_it() {
    let ordinary = Kept::of(&small(Preset::Shop, 600)).0.spans();
    let slow = Scenario::by_id(2);
    let faulty = Kept::of(&Options { scenario: slow, ..small(Preset::Shop, 600) }).0.spans();
    let fault_ns = Options::default().start_ns + 3 * MINUTE_NS;
    let before = |spans: Vec<(String, Span)>| -> Vec<(String, Span)> {
        let mut spans = spans;
        spans.retain(|(_, span)| span.end_time_unix_nano < fault_ns - MINUTE_NS);
        spans.sort_by(|a, b| a.1.span_id.cmp(&b.1.span_id));
        spans
    };
    let (ordinary, faulty) = (before(ordinary), before(faulty));
    assert!(ordinary.len() > 2_000, "{}", ordinary.len());
    assert_eq!(ordinary, faulty);
}
