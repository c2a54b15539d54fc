//! The table is consistent: no key twice on a layer, no key that multiplexers or terminals need.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;

use super::*;

#[test]
fn no_key_means_two_things_on_a_layer() {
    let mut seen = BTreeSet::new();
    for entry in ACTIONS {
        for key in entry.keys.split(' ').filter(|key| !key.is_empty()) {
            assert!(Key::parse(key).is_some(), "`{key}` is no key");
            assert!(
                seen.insert((format!("{:?}", entry.layer), key)),
                "`{key}` stands twice on {:?}",
                entry.layer
            );
        }
    }
}

#[test]
fn keys_of_multiplexers_and_flow_control_are_free() {
    for key in ["ctrl-a", "ctrl-b", "ctrl-s", "ctrl-q", "ctrl-h", "ctrl-i", "ctrl-j", "ctrl-m"] {
        assert!(ACTIONS.iter().all(|entry| !entry.has(key)), "{key}");
    }
}

#[test]
fn a_screen_comes_before_everywhere() {
    let key = |text: &str| Key::parse(text).unwrap();
    assert_eq!(of_key(Layer::Map, key("f")), Some(Action::Focus));
    assert_eq!(of_key(Layer::Traces, key("f")), Some(Action::Include));
    assert_eq!(of_key(Layer::Traces, key("ctrl-x")), None);
}

#[test]
fn hints_fit_and_end_with_help() {
    for width in [20, 40, 80, 120, 200] {
        let hints = hints(Layer::Services, width);
        let cells: usize = hints.iter().map(|hint| cells(*hint)).sum();
        assert!(cells <= width && hints.len() <= 9, "{width}: {hints:?}");
        assert_eq!(hints.last(), Some(&("?", "help")));
    }
}
