//! Two holders at once are impossible; one after the other is not.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use super::*;

#[test]
fn the_second_is_told_who_holds_it() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    let held = DirLock::acquire(&dir).unwrap();
    let refused = DirLock::acquire(&dir).unwrap_err();
    let expected = format!("in use by process {}", std::process::id());
    assert!(refused.to_string().contains(&expected), "{refused}");
    drop(held);
    DirLock::acquire(&dir).unwrap();
}
