//! Every scenario is noticed by users, and named nowhere in what they send.

use std::collections::BTreeSet;

use super::*;
use crate::scenarios::ALL;

fn case(id: u8, seed: u64) -> (Kept, Summary) {
    let scenario = Scenario::by_id(id);
    // Every sixth of it is half a minute.
    Kept::of(&Options { scenario, seed, minutes: Some(3), rate: 15, ..Options::default() })
}

#[test]
fn unit_every_scenario_is_valid_for_three_seeds() {
    for scenario in &ALL {
        for seed in 1..=3 {
            let record = case(scenario.id, seed).1.record.unwrap();
            assert!(record.valid, "S{} seed {seed}: {}", scenario.id, record.why);
            assert_eq!((record.id, record.seed), (scenario.id, seed));
        }
    }
}

#[test]
fn unit_nothing_that_is_sent_tells_the_truth() {
    let mut words: Vec<String> =
        ["inject", "fault", "chaos", "scenario", "culprit"].map(str::to_owned).to_vec();
    for scenario in &ALL {
        if scenario.name.contains('_') {
            words.push(scenario.name.to_owned());
            words.push(scenario.name.replace('_', "-"));
        }
        words.push(scenario.title.to_lowercase());
        words.push(scenario.mechanism.to_lowercase());
    }
    for scenario in &ALL {
        let options = Options { scenario: Some(scenario), rate: 2, ..Options::default() };
        let texts = texts(&Kept::of(&options).0);
        for word in &words {
            let told = texts.iter().find(|text| text.contains(word.as_str()));
            assert_eq!(told, None, "S{}: {word:?}", scenario.id);
        }
    }
}

/// Everything in the requests that a person could read, in lower case and once.
fn texts(kept: &Kept) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for (_, bytes) in &kept.requests {
        for run in bytes.split(|byte| !byte.is_ascii_graphic() && *byte != b' ') {
            if run.len() >= 4 {
                texts.insert(String::from_utf8_lossy(run).to_ascii_lowercase());
            }
        }
    }
    texts
}

#[test]
fn unit_targets_are_drawn_by_the_seed() {
    let target = |id, seed| case(id, seed).1.record.unwrap().culprit.name;
    for id in [7, 10, 15, 16] {
        let names: BTreeSet<String> = (1..=6).map(|s| target(id, s)).collect();
        assert!(names.len() > 1, "S{id}: {names:?}");
    }
}
