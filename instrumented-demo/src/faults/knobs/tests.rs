//! Knobs as messages and as settings.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Knob, Knobs, LockHold, Settings};

#[test]
fn unit_settings_are_the_knobs_that_are_turned() {
    let hold = LockHold { hold_ms: 400, every_ms: 1_000 };
    let knobs = [Knob::DbPoolSize(2), Knob::DbLockHold(hold), Knob::DbPoolSize(3)];
    let expected =
        Settings { db_pool_size: Some(3), db_lock_hold: Some(hold), ..Settings::default() };
    assert_eq!(Settings::from_iter(knobs), expected);
    assert_eq!(Settings::from_iter([]), Settings::default());
}

#[test]
fn unit_settings_survive_the_control_socket() {
    let sent = Settings { poison: true, clock_offset_ms: -40, ..Settings::default() };
    let text = serde_json::to_string(&sent).unwrap();
    assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), sent);
    assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
}

#[test]
fn unit_all_holders_see_a_replacement() {
    let knobs = Knobs::new();
    let other = knobs.clone();
    let before = other.read();
    knobs.replace(Settings { n_plus_one: true, ..Settings::default() });
    assert!(other.read().n_plus_one);
    assert!(!before.n_plus_one, "a request keeps what it has read");
}
