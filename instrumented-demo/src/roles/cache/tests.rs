//! The protocol of the cache.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::faults::Knob;
use crate::roles::tests::alone;

fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    Store { instance: alone(Role::Cache, folder.path()), entries: Cache::new(10) }
}

#[test]
fn unit_lines_are_answered() {
    let store = store();
    let cases = [
        ("- GET a", "MISS"),
        ("- SET a 60000 {\"x\": 1, \"y\": 2}", "OK"),
        (
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 GET a",
            "HIT {\"x\": 1, \"y\": 2}",
        ),
        ("- SET b 0 gone", "OK"),
        ("- GET b", "MISS"),
        ("- SET c 10", "ERR"),
        ("- DROP a", "ERR"),
        ("", "ERR"),
    ];
    for (line, expected) in cases {
        assert_eq!(store.answer(line), expected, "{line}");
    }
}

#[test]
fn unit_without_time_to_live_nothing_is_kept() {
    let store = store();
    store.answer("- SET a 60000 1");
    store.instance.knobs.replace([Knob::CacheTtlMs(0)].into_iter().collect());
    assert_eq!(store.answer("- GET a"), "MISS");
    store.answer("- SET a 60000 1");
    store.instance.knobs.replace(crate::faults::Settings::default());
    assert_eq!(store.answer("- GET a"), "MISS");
}
