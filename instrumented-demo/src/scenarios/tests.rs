//! The table holds what the rest of the demo takes for granted of it.
// A record that cannot be written or read should fail the test there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;

#[test]
fn unit_numbers_and_names_find_their_scenario() {
    for (index, scenario) in ALL.iter().enumerate() {
        assert_eq!(usize::from(scenario.id), index + 1);
        assert_eq!(Scenario::by_id(scenario.id), Some(scenario));
        assert_eq!(Scenario::by_name(scenario.name), Some(scenario));
    }
    let names: BTreeSet<&str> = ALL.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn unit_people_may_write_a_scenario_in_several_ways() {
    let id = |text| Scenario::find(text).map(|scenario| scenario.id);
    let cases = [
        ("4", Some(4)),
        ("S4", Some(4)),
        ("s30", Some(30)),
        ("slow_network", Some(4)),
        ("slow-network", Some(4)),
        ("0", None),
        ("31", None),
        ("", None),
        ("S", None),
    ];
    for (text, expected) in cases {
        assert_eq!(id(text), expected, "{text:?}");
    }
}

#[test]
fn unit_only_controls_blame_no_service() {
    for scenario in &ALL {
        let is_free = matches!(scenario.culprit.kind, Nobody | UpstreamLoad);
        assert_eq!(scenario.control, is_free, "S{}", scenario.id);
        assert!(!scenario.views.is_empty(), "S{}", scenario.id);
        let is_noticed = scenario.culprit.kind != Nobody;
        assert_eq!(!scenario.roots.is_empty(), is_noticed, "S{}", scenario.id);
    }
}
